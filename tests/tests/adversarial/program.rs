//! Runs the program as a user does.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::SystemTime;

use tempfile::TempDir;

use crate::golden;
use crate::said::Said;
use crate::world::World;

/// Replays a world, hands what is said of it to `verdict`, then compares it with the golden file of that name.
#[track_caller]
pub fn play(scenario: &str, world: &mut World, config: Option<&str>, verdict: impl FnOnce(&Said)) {
    let said = replay(world, config);
    verdict(&said);
    golden::compare(scenario, &said.text);
}

/// What is said of a world.
pub fn replay(world: &mut World, config: Option<&str>) -> Said {
    let folder = archive();
    world.write(folder.path());
    replay_folder(folder.path(), config)
}

pub fn archive() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

pub fn replay_folder(folder: &Path, config: Option<&str>) -> Said {
    let mut text = String::new();
    run(folder, config, |line| {
        text.push_str(line);
        text.push('\n');
    });
    Said::new(text)
}

/// Replays what is in `folder`, which is also where the program runs, and gives each line that it prints. The most
/// memory it had, in MB, as far as Linux tells.
pub fn run(folder: &Path, config: Option<&str>, mut each: impl FnMut(&str)) -> u64 {
    let mut command = Command::new(binary());
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    for name in ["NETFAULT_CONFIG", "RUST_LOG", "RUST_BACKTRACE"] {
        command.env_remove(name);
    }
    command.args(["-q", "--format", "ndjson", "replay"]);
    if let Some(config) = config {
        std::fs::write(folder.join("config.yaml"), config).expect("a configuration");
        command.args(["-c", "config.yaml"]);
    }
    command.args(folders(folder));
    let mut child = command.spawn().expect("the program starts");
    let status = format!("/proc/{}/status", child.id());
    let out = BufReader::with_capacity(1 << 20, child.stdout.take().expect("its output"));
    let mut most = 0;
    for (number, line) in out.lines().enumerate() {
        each(&line.expect("UTF-8"));
        if number % 4096 == 0 {
            most = most.max(memory(&status));
        }
    }
    let code = child.wait().expect("its end").code();
    assert_eq!(code, Some(0), "the program failed");
    most
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the archive").flatten();
    let mut folders: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}

fn memory(status: &str) -> u64 {
    let text = std::fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) / 1024
}

/// The program of this build (`NETFAULT_BIN` names another). Cargo builds it together with the tests of the workspace;
/// when only these are run, it may be missing, or older than its sources, and that is said.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(named) = std::env::var_os("NETFAULT_BIN") {
            return named.into();
        }
        let test = std::env::current_exe().expect("this test's own path");
        let profile = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
        let binary = profile.join("netfault");
        let Ok(built) = std::fs::metadata(&binary).and_then(|data| data.modified()) else {
            panic!(
                "{}: not there; cargo build --bin netfault makes it",
                binary.display()
            );
        };
        if sources_newest() > built {
            eprintln!(
                "{}: older than its sources; cargo build --bin netfault",
                binary.display()
            );
        }
        binary
    })
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources_newest() -> SystemTime {
    let crates = ["model", "engine", "sources", "store", "alerts", "netfault"];
    let newest = crates.map(|name| newest_in(&workspace().join("crates").join(name).join("src")));
    newest.into_iter().max().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn newest_in(folder: &Path) -> SystemTime {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let times = entries.map(|entry| match entry.path().is_dir() {
        true => newest_in(&entry.path()),
        false => entry
            .metadata()
            .and_then(|data| data.modified())
            .unwrap_or(SystemTime::UNIX_EPOCH),
    });
    times.max().unwrap_or(SystemTime::UNIX_EPOCH)
}
