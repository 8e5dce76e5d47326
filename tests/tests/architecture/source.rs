//! What a source text uses of the standard library, read from its tokens: enough for a ban list, not a Rust parser.
//! It sees paths and `use` trees that begin with `std`, and single words; it does not see renames.

/// The standard library's ways to the outside world, or to an order that differs between runs.
/// An address is a value; a socket, or a lookup, is not.
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
        || within("std::net")
            && !one_of(&[
                "std::net::IpAddr",
                "std::net::Ipv4Addr",
                "std::net::Ipv6Addr",
                "std::net::SocketAddr",
            ])
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
pub fn breaches(source: &str) -> Vec<String> {
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
