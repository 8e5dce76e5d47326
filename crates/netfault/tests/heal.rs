//! A feed that is cut loses messages; the archive has them. What is said in the end is what would have been said.

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use common::*;
use serde_json::Value;

/// 06:47:30 to 06:49:00: the site's prefixes are withdrawn, and nothing says so later.
const CUT: std::ops::Range<u32> = 1_795_330_050..1_795_330_140;

fn config(dir: &Path, url: &str) -> String {
    let path = dir.join("netfault.yaml");
    let capture = lab("");
    let text = format!(
        "watch: {{prefixes: [198.18.0.0/17, 2001:db8::/40, 192.0.2.0/24]}}\n\
         detect: {{held_for_s: 60}}\n\
         sources:\n  ris_live: {{url: '{url}', lateness: trust, everything: true}}\n  mrt: {{seed: ['{}']}}\n  \
         archive: {{dir: '{capture}', collectors: [lab-capture]}}\n",
        lab_files().1
    );
    std::fs::write(&path, text).expect("a file");
    path.display().to_string()
}

fn folder_size(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.metadata().ok())
        .map(|meta| meta.len())
        .sum()
}

fn lines(out: &str) -> Vec<Value> {
    out.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn id(line: &Value) -> String {
    line["id"].as_str().expect("an id").to_owned()
}

#[test]
fn a_hole_in_the_feed_is_filled_and_verdicts_that_change_are_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let before = lab_part(dir.path(), "before", 0..CUT.start);
    let after = lab_part(dir.path(), "after", CUT.end..u32::MAX);
    let (first_server, url) = ris_live_file(dir.path(), "server1", &before, "127.0.0.1:0");
    let config = config(dir.path(), &url);
    let mut command = netfault(dir.path());
    command.args(["--format", "ndjson", "run", "-c", &config]);
    let running = Running::start(command, dir.path(), "live");
    // The feed's last word before it goes away.
    let journal = dir.path().join(".netfault/journal");
    wait_for("the first part to be in the journal", || {
        let size = folder_size(&journal);
        pause(std::time::Duration::from_secs(2));
        (size > 0 && folder_size(&journal) == size).then_some(())
    });
    first_server.kill();
    let port = url
        .trim_start_matches("ws://")
        .split('/')
        .next()
        .expect("an address");
    let (_second_server, _) = ris_live_file(dir.path(), "server2", &after, port);
    wait_for("the hole to be filled, and the rest of the feed", || {
        let size = running.out().len();
        pause(std::time::Duration::from_secs(3));
        let out = running.out();
        (out.len() == size && out.contains(r#""what":"healed""#)).then_some(())
    });
    let live = running.stop().0.ok();
    let args = ["-q", "--format", "ndjson", "replay", "-c", &config, &lab("")];
    let whole = run(dir.path(), &args).ok();
    let truth: BTreeSet<String> = lines(&whole.out)
        .iter()
        .filter(|line| line["kind"] == "transition")
        .map(id)
        .collect();
    let (mut believed, mut healed) = (BTreeSet::new(), 0);
    for line in lines(&live.out) {
        if line["kind"] == "transition" {
            healed += usize::from(line["healed"] == true);
            believed.insert(id(&line));
        }
        if line["what"] == "healed" && line["over"] == true {
            assert!(believed.remove(&id(&line)), "withdrawn, but never said: {line}");
        }
    }
    assert!(healed > 0, "the cut hid nothing:\n{}", live.out);
    assert_eq!(believed, truth);
}
