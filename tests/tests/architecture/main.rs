//! The rules of DESIGN section 2, kept by a test: dependencies point one way, and the engine (with the model it is made
//! of) has no clock, no socket, no file, no thread and no hash order of its own. Each check is also held against a planted
//! breach, so that it is known to be able to fail.

mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Which members of the workspace each member may use. A new crate needs a line here, and that is the point.
const MAY_USE: &[(&str, &[&str])] = &[
    ("netfault-model", &[]),
    ("netfault-engine", &["netfault-model"]),
    ("netfault-sources", &["netfault-model"]),
    ("netfault-store", &["netfault-model"]),
    ("netfault-alerts", &["netfault-model"]),
    ("netfault-api", &["netfault-model"]),
    (
        "netfault",
        &[
            "netfault-model",
            "netfault-engine",
            "netfault-sources",
            "netfault-store",
            "netfault-alerts",
            "netfault-api",
        ],
    ),
    (
        "netfault-tests",
        &[
            "netfault-model",
            "netfault-engine",
            "netfault-sources",
            "netfault-store",
            "netfault-alerts",
            "netfault-api",
            "netfault",
        ],
    ),
];

/// Everything that may be linked with the engine. Nothing here waits, listens, opens a file or asks for the time unbidden
/// (`time` can, with `now_utc`, which the source check below refuses).
const ENGINE_TREE: &[&str] = &[
    "deranged",
    "hashbrown",
    "ipnet",
    "netfault-engine",
    "netfault-model",
    "num-conv",
    "powerfmt",
    "rustc-hash",
    "serde",
    "serde_core",
    "smallvec",
    "thiserror",
    "time",
    "time-core",
];

fn workspace_root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("tests/ lies in the workspace")
        .to_path_buf()
}

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let done = Command::new(cargo)
        .args(arguments)
        .current_dir(workspace_root())
        .output()
        .expect("cargo runs");
    assert!(
        done.status.success(),
        "cargo {arguments:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout).expect("cargo writes UTF-8")
}

/// Member → the members that it names in its manifest, for any purpose (tests and build scripts too).
fn member_dependencies() -> BTreeMap<String, Vec<String>> {
    let text = cargo(&["metadata", "--format-version", "1", "--no-deps", "--offline"]);
    let metadata: Value = serde_json::from_str(&text).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let text_of = |value: &Value| value.as_str().expect("a string").to_owned();
    let members: Vec<String> = packages.iter().map(|package| text_of(&package["name"])).collect();
    let used = |package: &Value| {
        let names = package["dependencies"]
            .as_array()
            .expect("dependencies")
            .iter()
            .map(|d| text_of(&d["name"]));
        names.filter(|name| members.contains(name)).collect()
    };
    packages
        .iter()
        .map(|package| (text_of(&package["name"]), used(package)))
        .collect()
}

/// One sentence for each dependency that [`MAY_USE`] does not allow.
fn wrong_directions(dependencies: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (member, used) in dependencies {
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| name == member) else {
            wrong.push(format!("{member} has no line in MAY_USE"));
            continue;
        };
        for other in used.iter().filter(|other| !allowed.contains(&other.as_str())) {
            wrong.push(format!("{member} must not use {other}"));
        }
    }
    wrong
}

#[test]
fn dependencies_point_one_way() {
    let dependencies = member_dependencies();
    assert!(
        dependencies["netfault-engine"].contains(&"netfault-model".to_owned()),
        "the engine speaks the model"
    );
    assert_eq!(wrong_directions(&dependencies), Vec::<String>::new());
}

#[test]
fn a_wrong_direction_would_be_seen() {
    let planted = BTreeMap::from([
        (
            "netfault-engine".to_owned(),
            vec!["netfault-model".to_owned(), "netfault-store".to_owned()],
        ),
        ("netfault-new".to_owned(), vec![]),
    ]);
    let wrong = [
        "netfault-engine must not use netfault-store",
        "netfault-new has no line in MAY_USE",
    ];
    assert_eq!(wrong_directions(&planted), wrong);
}

#[test]
fn the_engine_is_linked_with_nothing_that_does_io() {
    let tree = cargo(&[
        "tree",
        "--offline",
        "--package",
        "netfault-engine",
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "none",
    ]);
    let names = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !name.is_empty());
    let mut strangers: Vec<&str> = names.filter(|name| !ENGINE_TREE.contains(name)).collect();
    strangers.sort_unstable();
    strangers.dedup();
    assert_eq!(
        strangers,
        Vec::<&str>::new(),
        "look at what each does before it is let into ENGINE_TREE"
    );
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a source folder") {
        let path = entry.expect("a folder entry").path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() && name != "tests" {
            rust_files(&path, files);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            files.push(path);
        }
    }
}

#[test]
fn the_engine_and_the_model_have_no_clock_no_io_and_no_hash_order() {
    let mut found = Vec::new();
    for member in ["engine", "model"] {
        let mut files = Vec::new();
        rust_files(
            &workspace_root().join("crates").join(member).join("src"),
            &mut files,
        );
        assert!(!files.is_empty(), "crates/{member}/src has sources");
        for file in files {
            let text = std::fs::read_to_string(&file).expect("a readable source file");
            found.extend(
                source::breaches(&text)
                    .into_iter()
                    .map(|breach| format!("{}: {breach}", file.display())),
            );
        }
    }
    assert_eq!(found, Vec::<String>::new());
}
