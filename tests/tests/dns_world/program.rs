//! The program under test, as a user starts it, inside the world.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use netfault_model::{Input, Probe};
use netfault_sources::journal;
use serde_json::Value;

use crate::net::Side;
use crate::world::World;
use crate::zones::NAME;

/// The program of this build (`NETFAULT_BIN` names another). Cargo builds it together with the tests of the workspace.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(named) = std::env::var_os("NETFAULT_BIN") {
            return named.into();
        }
        let test = std::env::current_exe().expect("this test's own path");
        let profile = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
        let binary = profile.join("netfault");
        assert!(
            binary.exists(),
            "{}: not there; cargo build --bin netfault makes it",
            binary.display()
        );
        binary
    })
}

/// It, asked from where netfault stands.
pub fn netfault(world: &World) -> Command {
    netfault_at(world, Side::Here)
}

pub fn netfault_at(world: &World, side: Side) -> Command {
    let mut command = world.net.command(side, binary());
    for name in ["NETFAULT_CONFIG", "RUST_LOG", "RUST_BACKTRACE"] {
        command.env_remove(name);
    }
    command
}

/// One look: `netfault dns check --format json`, and its exit code.
pub struct Check {
    pub code: i32,
    pub report: Value,
}

impl Check {
    /// What servers of a role said to questions of a type, each once, sorted: `udp ok`, `timeout`.
    pub fn outcomes(&self, role: &str, qtype: &str) -> BTreeSet<&str> {
        let probes = self
            .probes()
            .filter(|probe| probe["role"] == role && probe["qtype"] == qtype);
        probes
            .map(|probe| probe["outcome"].as_str().expect("an outcome"))
            .collect()
    }

    pub fn probes(&self) -> impl Iterator<Item = &Value> {
        let all = ["probes", "application"].map(|list| self.report[list].as_array().expect("a list"));
        all.into_iter().flatten()
    }

    /// The first probe of one server.
    #[track_caller]
    pub fn of(&self, addr: &str) -> &Value {
        let mut probes = self.probes();
        probes
            .find(|probe| {
                probe["server"]
                    .as_str()
                    .is_some_and(|server| server.contains(addr))
            })
            .unwrap_or_else(|| panic!("{addr} was not asked: {}", self.report))
    }

    /// One line for each probe, and what the walk found: for messages of tests.
    pub fn table(&self) -> String {
        let mut lines: Vec<String> = self
            .probes()
            .map(|probe| {
                let fields = [
                    "role",
                    "server",
                    "qname",
                    "qtype",
                    "outcome",
                    "rcode",
                    "ttl",
                    "ede",
                    "latency_ms",
                    "packets_sent",
                ];
                fields.map(|field| probe[field].to_string()).join(" ")
            })
            .collect();
        lines.push(self.report["findings"].to_string());
        lines.push(self.report["walk"].to_string());
        lines.join("\n")
    }

    #[track_caller]
    pub fn is(&self, verdict: &str, finding: &str) -> &Self {
        assert_eq!(
            (self.report["verdict"].as_str(), self.report["finding"].as_str()),
            (Some(verdict), Some(finding)),
            "\n{}",
            self.table()
        );
        let code = ["ok", "degraded", "out", "unknown"]
            .iter()
            .position(|word| *word == verdict);
        assert_eq!(
            Some(self.code as usize),
            code,
            "the exit code is that of the verdict"
        );
        self
    }

    /// Kinds of what the walk found wrong.
    pub fn faults(&self) -> BTreeSet<&str> {
        let findings = self.report["findings"].as_array().expect("findings").iter();
        let faults = findings.filter(|finding| finding["level"] == "fault");
        faults
            .map(|finding| finding["kind"].as_str().expect("a kind"))
            .collect()
    }
}

/// Walks from the world's root; `options` go to `dns check`.
pub fn check_name(world: &World, name: &str, options: &[&str]) -> Check {
    let hints = world.hints();
    let output = netfault(world)
        .args(["-q", "--format", "json", "dns", "check", name, "--root-hints"])
        .arg(hints)
        .args(options)
        .output()
        .expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)));
    Check {
        code: output.status.code().expect("an exit code"),
        report,
    }
}

/// The watched name, at its authorities and all three resolvers.
pub fn check(world: &World) -> Check {
    let resolvers = world.resolver_addrs().map(|addr| addr.to_string());
    let options: Vec<&str> = resolvers.iter().flat_map(|addr| ["--resolver", addr]).collect();
    check_name(world, NAME, &options)
}

/// What the journal of a run has of probes, in the order in which they ended.
pub fn probes_in(journal: &Path) -> Vec<Probe> {
    let reader = journal::Reader::open(journal).expect("the journal");
    let probes = reader.flatten().filter_map(|input| match input {
        Input::Probe(probe) => Some(*probe),
        _ => None,
    });
    probes.collect()
}

/// A file to write into, for the output of a program.
pub fn output(dir: &Path, name: &str) -> (PathBuf, File) {
    let path = dir.join(name);
    let file = File::create(&path).expect("a file");
    (path, file)
}
