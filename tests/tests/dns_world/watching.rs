//! `netfault run` inside the world, and what it says: transitions, statements, alerts; and the probes of its journal.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use netfault_model::{Outcome, Probe, Role, Time};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::daemon::{PATIENCE, pause};
use crate::net::Side;
use crate::program::{netfault_at, output, probes_in};
use crate::world::World;
use crate::zones::{NAME, STEADY};

/// How it is set up. Rounds are as short as the limit of an authority allows: two packets in an outage, one a second.
#[derive(Clone, Debug)]
pub struct Setup {
    pub interval: &'static str,
    pub authority_timeout: &'static str,
    pub resolver_timeout: &'static str,
    /// Lines of `dns.detect`, flow style.
    pub detect: String,
    /// Resolvers that are asked; all three by default.
    pub resolvers: usize,
    /// Authorities are given; else they are found by a walk, again and again.
    pub given: bool,
    /// What resolvers say of the watched name is validated by netfault itself.
    pub validate: bool,
    /// Two control names at each resolver, and control authorities in both families.
    pub controls: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            interval: "3s",
            authority_timeout: "500ms",
            resolver_timeout: "900ms",
            detect: "{ok_hold_s: 1, round_grace_s: 2, forget_s: 12, stale_s: 18}".to_owned(),
            resolvers: 3,
            given: true,
            validate: false,
            controls: true,
        }
    }
}

fn list(addrs: &[IpAddr]) -> String {
    let quoted: Vec<String> = addrs.iter().map(|addr| format!("\"{addr}\"")).collect();
    format!("[{}]", quoted.join(", "))
}

impl Setup {
    /// What is asked, and how, as of the vantage: the sections `watch` and `dns`.
    pub fn asked(&self, world: &World, vantage: &str) -> String {
        let of = |authorities: &[IpAddr]| match self.given {
            true => format!("\n      authorities: {}", list(authorities)),
            false => String::new(),
        };
        let controls = match self.controls {
            true => {
                "{names: [www.canary.test, www.control.test], authorities: {control.test: [198.18.0.4, \"fd00:18::4\"]}}"
            }
            false => "{enabled: false}",
        };
        let (dnssec, anchors) = match self.validate {
            true => {
                let file = world.zones.anchor_file();
                let anchors = format!("  trust_anchors: {}\n", file.display());
                ("\n      dnssec: validate", anchors)
            }
            false => ("", String::new()),
        };
        let steady = ["198.18.0.4", "fd00:18::4"].map(|addr| addr.parse().expect("an address"));
        format!(
            "watch:\n  names:\n    - name: {NAME}{}{dnssec}\n    - name: {STEADY}{}\n\
             dns:\n  resolvers: {}\n  interval: {}\n  authority_timeout: {}\n  resolver_timeout: {}\n  vantage: {vantage}\n  detect: {}\n  \
             controls: {controls}\n  root_hints: {}\n  refresh: 1m\n  authority_per_second: 5\n{anchors}",
            of(&world.authorities()),
            of(&steady),
            list(&world.resolver_addrs()[..self.resolvers]),
            self.interval,
            self.authority_timeout,
            self.resolver_timeout,
            self.detect,
            world.hints().display(),
        )
    }

    fn config(&self, world: &World) -> String {
        format!(
            "data_dir: data\nsources:\n  ris_live: {{enabled: false}}\n{}\
             alerts:\n  receivers:\n    - name: console\n      stdout: {{}}\n    - {{name: ourselves, command: {{run: [/bin/sh, -c, \"cat >> ourselves\"]}}}}\n  \
             routes:\n    - {{name: names, match: {{about: target}}, receivers: [console]}}\n    \
             - {{name: ourselves, match: {{about: self}}, receivers: [ourselves]}}\n",
            self.asked(world, "here")
        )
    }
}

pub struct Watching {
    child: Child,
    out: PathBuf,
    err: PathBuf,
    dir: TempDir,
    /// Lines that were looked at.
    seen: usize,
}

pub fn watch(world: &World, setup: &Setup) -> Watching {
    watch_at(world, Side::Here, setup, "")
}

/// `more`: further sections.
pub fn watch_at(world: &World, side: Side, setup: &Setup, more: &str) -> Watching {
    let dir = tempfile::tempdir().expect("a folder");
    let config = setup.config(world) + more;
    std::fs::write(dir.path().join("netfault.yaml"), config).expect("the configuration");
    let (out, stdout) = output(dir.path(), "out");
    let (err, stderr) = output(dir.path(), "err");
    let child = netfault_at(world, side)
        .current_dir(dir.path())
        .args(["--format", "ndjson", "run", "-c", "netfault.yaml"])
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .expect("the program starts");
    Watching {
        child,
        out,
        err,
        dir,
        seen: 0,
    }
}

/// Watches until both names are fine.
pub fn watch_until_ok(world: &World, setup: &Setup) -> Watching {
    let mut watching = watch(world, setup);
    watching.until_both_are_ok();
    watching
}

impl Watching {
    #[track_caller]
    pub fn until_both_are_ok(&mut self) {
        self.until("both names to be ok", |event| {
            event["subject"]["name"] == NAME && event["to"] == "ok"
        });
        self.seen = 0;
        self.until("both names to be ok", |event| {
            event["subject"]["name"] == STEADY && event["to"] == "ok"
        });
        self.seen = self.lines().len();
    }

    fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.out).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(str::to_owned).collect()
    }

    /// The next line that is `wanted`; lines before it are passed over.
    #[track_caller]
    pub fn until(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let lines = self.lines();
            for line in &lines[self.seen.min(lines.len())..] {
                self.seen += 1;
                let event = serde_json::from_str::<Value>(line).unwrap_or_default();
                if wanted(&event) {
                    return event;
                }
            }
            let ended = self.child.try_wait().expect("its state");
            if ended.is_some() || start.elapsed() > PATIENCE {
                let err = std::fs::read_to_string(&self.err).unwrap_or_default();
                panic!(
                    "{what}: waited for in vain ({ended:?})\n{}\n{err}",
                    lines.join("\n")
                );
            }
            pause(Duration::from_millis(20));
        }
    }

    /// The next time the watched name goes to this state.
    #[track_caller]
    pub fn until_state(&mut self, to: &str) -> Value {
        self.until(to, |event| {
            event["kind"] == "transition" && event["subject"]["name"] == NAME && event["to"] == to
        })
    }

    #[track_caller]
    pub fn until_said(&mut self, what: &str, over: bool) -> Value {
        self.until(what, |event| event["what"] == what && event["over"] == over)
    }

    /// The next line for people that has this in it.
    #[track_caller]
    pub fn until_alert(&mut self, word: &str) -> String {
        let start = Instant::now();
        loop {
            let found = self
                .lines()
                .into_iter()
                .find(|line| !line.starts_with('{') && line.contains(word));
            if let Some(line) = found {
                return line;
            }
            assert!(start.elapsed() < PATIENCE, "no {word}: {:?}", self.lines());
            pause(Duration::from_millis(20));
        }
    }

    /// Alerts about netfault itself, oldest first: their state and their title.
    pub fn about_us(&self) -> Vec<(String, String)> {
        let text = std::fs::read_to_string(self.dir.path().join("ourselves")).unwrap_or_default();
        let notices = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let field = |notice: &Value, field: &str| notice[field].as_str().unwrap_or_default().to_owned();
        notices
            .map(|notice| (field(&notice, "state"), field(&notice, "title")))
            .collect()
    }

    /// Our vantage was told to be offline once, and once to be back; nothing else of us was.
    #[track_caller]
    pub fn until_offline_is_over(&self) {
        let start = Instant::now();
        let of_vantage = || {
            let mut told = self.about_us();
            told.retain(|(_, title)| title.contains("antage"));
            told
        };
        while of_vantage().len() < 2 {
            assert!(start.elapsed() < PATIENCE, "{:?}", self.about_us());
            pause(Duration::from_millis(20));
        }
        let states: Vec<String> = of_vantage().into_iter().map(|(state, _)| state).collect();
        assert_eq!(states, ["open", "resolved"], "{:?}", self.about_us());
    }

    pub fn stop(mut self) -> Course {
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let status = self.child.wait().expect("its end");
        let err = std::fs::read_to_string(&self.err).unwrap_or_default();
        assert!(status.success(), "{status}: {err}");
        let lines = self.lines();
        Course {
            events: lines
                .iter()
                .filter_map(|line| serde_json::from_str(line).ok())
                .collect(),
            alerts: lines
                .iter()
                .filter(|line| !line.starts_with('{'))
                .cloned()
                .collect(),
            probes: probes_in(&self.dir.path().join("data/journal")),
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A whole run.
pub struct Course {
    pub events: Vec<Value>,
    pub alerts: Vec<String>,
    pub probes: Vec<Probe>,
}

pub fn time(event: &Value, field: &str) -> Time {
    let text = event[field]
        .as_str()
        .unwrap_or_else(|| panic!("no {field}: {event}"));
    text.parse().expect("a time")
}

const FAILING: [&str; 3] = ["partial", "degraded", "out"];

impl Course {
    /// States of a name, in order.
    pub fn states(&self, name: &str) -> Vec<&str> {
        let steps = self.events.iter().filter(|event| event["kind"] == "transition");
        let its = steps.filter(|event| event["subject"]["name"] == name);
        its.map(|event| event["to"].as_str().expect("a state")).collect()
    }

    /// Nothing was said against the name whose servers nobody touched, nor was anybody woken up for it.
    #[track_caller]
    pub fn leaves_the_other_alone(&self) -> &Self {
        let states = self.states(STEADY);
        assert!(
            states.iter().all(|state| !FAILING.contains(state)),
            "{STEADY}: {states:?}"
        );
        assert!(
            self.alerts.iter().all(|line| !line.contains(STEADY)),
            "{:#?}",
            self.alerts
        );
        self
    }

    /// Nor against the watched name itself.
    #[track_caller]
    pub fn accuses_no_name(&self) -> &Self {
        self.leaves_the_other_alone();
        let states = self.states(NAME);
        assert!(
            states.iter().all(|state| !FAILING.contains(state)),
            "{NAME}: {states:?}"
        );
        assert!(
            self.alerts.iter().all(|line| !line.contains(NAME)),
            "{:#?}",
            self.alerts
        );
        self
    }

    /// So many alerts, and the end of each.
    #[track_caller]
    pub fn alerted(&self, times: usize) -> &Self {
        let count = |word: &str| self.alerts.iter().filter(|line| line.contains(word)).count();
        assert_eq!(
            (count(" ALERT "), count(" RESOLVED ")),
            (times, times),
            "{:#?}",
            self.alerts
        );
        self
    }

    /// How questions about the watched name to one server ended.
    pub fn outcomes(&self, server: &str, role: Role) -> Vec<Outcome> {
        let addr: IpAddr = server.parse().expect("an address");
        let probes = self
            .probes
            .iter()
            .filter(|probe| probe.name == NAME && probe.role == role);
        probes
            .filter(|probe| probe.server.ip() == addr)
            .map(|probe| probe.outcome)
            .collect()
    }

    #[track_caller]
    pub fn has(&self, server: &str, role: Role, outcome: Outcome) -> &Self {
        let outcomes = self.outcomes(server, role);
        assert!(
            outcomes.contains(&outcome),
            "{server}: no {outcome:?} in {outcomes:?}"
        );
        self
    }
}
