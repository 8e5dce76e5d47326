//! The rules of DESIGN section 2, kept by a test: dependencies point one way, and the engine (with the model it is made
//! of) has no clock, no socket, no file, no thread and no hash order of its own. Each check is also held against a planted
//! breach, so that it is known to be able to fail.

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

/// The standard library's ways to the outside world, or to an order that differs between runs.
fn is_banned(path: &str) -> bool {
    let within = |module: &str| {
        path == module
            || path
                .strip_prefix(module)
                .is_some_and(|rest| rest.starts_with("::"))
    };
    let one_of = |allowed: &[&str]| allowed.iter().any(|name| within(name));
    let banned = [
        "std::fs",
        "std::thread",
        "std::env",
        "std::process",
        "std::sync::mpsc",
        "std::os",
    ]
    .into_iter();
    banned.into_iter().any(within)
        || within("std::time") && !one_of(&["std::time::Duration"])
        || within("std::net") && !one_of(&["std::net::IpAddr", "std::net::Ipv4Addr", "std::net::Ipv6Addr"])
        || within("std::io")
            && !one_of(&[
                "std::io::Write",
                "std::io::Read",
                "std::io::Error",
                "std::io::Result",
            ])
        || within("std::hash::RandomState")
        || within("std::collections::hash_map::RandomState")
        || within("std::collections::hash_map::DefaultHasher")
}

/// Names that are refused wherever they stand: maps with a random order (FxHashMap or BTreeMap instead), wall clocks.
const BANNED_WORDS: &[&str] = &[
    "HashMap",
    "HashSet",
    "RandomState",
    "SystemTime",
    "now_utc",
    "now_local",
    "tokio",
    "println",
    "eprintln",
];

/// Source text without comments, string and character literals, and without the tests at its end.
fn code_only(source: &str) -> String {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let mut code = String::new();
    for line in source.lines() {
        let mut in_string = false;
        let mut previous = ' ';
        for (at, c) in line.char_indices() {
            match c {
                '"' if previous != '\\' && previous != '\'' => in_string = !in_string,
                '/' if !in_string && line[at..].starts_with("//") => break,
                _ if !in_string => code.push(c),
                _ => {}
            }
            previous = c;
        }
        code.push('\n');
    }
    code
}

/// Identifiers, and `::`, `{`, `}`, `,` as tokens of their own; all else separates.
fn tokens(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            c if c.is_alphanumeric() || c == '_' => rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len()),
            ':' if rest.starts_with("::") => 2,
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        if !token.trim().is_empty() {
            found.push(token);
        }
        rest = after;
    }
    found
}

/// The paths that one path or `use` tree stands for, `prefix` before it. Returns how many tokens it took.
fn expand(tokens: &[&str], prefix: &str, paths: &mut Vec<String>) -> usize {
    let Some(&first) = tokens.first() else { return 0 };
    if first == "{" {
        let mut at = 1;
        while at < tokens.len() && tokens[at] != "}" {
            at += if tokens[at] == "," {
                1
            } else {
                expand(&tokens[at..], prefix, paths).max(1)
            };
        }
        return at + 1;
    }
    let path = if prefix.is_empty() {
        first.to_owned()
    } else {
        format!("{prefix}::{first}")
    };
    if tokens.get(1) == Some(&"::") {
        return 2 + expand(&tokens[2..], &path, paths);
    }
    paths.push(path.strip_suffix("::self").unwrap_or(&path).to_owned());
    1
}

/// What a source text uses that the engine must not.
fn breaches(source: &str) -> Vec<String> {
    let code = code_only(source);
    let tokens = tokens(&code);
    let mut found: Vec<String> = tokens
        .iter()
        .filter(|token| BANNED_WORDS.contains(token))
        .map(|token| (*token).to_owned())
        .collect();
    for at in (0..tokens.len()).filter(|&at| tokens[at] == "std" && tokens.get(at + 1) == Some(&"::")) {
        let mut paths = Vec::new();
        expand(&tokens[at..], "", &mut paths);
        found.extend(paths.into_iter().filter(|path| is_banned(path)));
    }
    found
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
            let source = std::fs::read_to_string(&file).expect("a readable source file");
            found.extend(
                breaches(&source)
                    .into_iter()
                    .map(|breach| format!("{}: {breach}", file.display())),
            );
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_breach_would_be_seen_and_lookalikes_are_left_alone() {
    for (planted, breach) in [
        ("use std::time::Instant;", "std::time::Instant"),
        ("let t = std::time::Instant::now();", "std::time::Instant::now"),
        (
            "use std::{fmt, time::{Duration, SystemTime}};",
            "std::time::SystemTime",
        ),
        ("use std::{fs, net::IpAddr};", "std::fs"),
        ("use std::time;", "std::time"),
        ("use std::thread::{self, Builder};", "std::thread"),
        ("use std::net::{IpAddr, UdpSocket};", "std::net::UdpSocket"),
        ("let m: std::collections::HashMap<u8, u8>;", "HashMap"),
        ("let now = time::OffsetDateTime::now_utc();", "now_utc"),
    ] {
        assert!(
            breaches(planted).contains(&breach.to_owned()),
            "{planted}: {:?}",
            breaches(planted)
        );
    }
    for innocent in [
        "use rustc_hash::{FxHashMap, FxHashSet}; use std::collections::{BTreeMap, hash_map::Entry};",
        "pub struct Instant { at: Time } // never std::time::Instant",
        "use std::{fmt, net::{IpAddr, Ipv4Addr}, time::Duration};",
        "const SAY: &str = \"std::fs is for others\";",
        "#[cfg(test)]\nmod tests { use std::collections::HashMap; }",
    ] {
        assert_eq!(breaches(innocent), Vec::<String>::new(), "{innocent}");
    }
}
