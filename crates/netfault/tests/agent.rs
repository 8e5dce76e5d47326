//! `netfault agent` and its collector as two programs: real processes, TLS with an authority of our own, and signals.
//!
//! Whoever is asked about a name counts the questions, so that what arrives at the collector can be held against what was asked.

mod common;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::*;
use netfault_model::{Arrival, Input, Outcome, Probe};
use netfault_sources::journal;

const TOKEN: &str = "b7c1f1d0a5a64b8e9d6a";

/// A name server that answers every question with a SOA and counts them; for as long as the test runs.
fn name_server() -> (SocketAddr, Arc<AtomicU64>) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let addr = socket.local_addr().expect("an address");
    let asked = Arc::new(AtomicU64::new(0));
    let counted = asked.clone();
    std::thread::spawn(move || {
        let mut bytes = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut bytes) {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = socket.send_to(&soa(&bytes[..length]), from);
        }
    });
    (addr, asked)
}

/// The answer to `query`: authoritative, one SOA at the name asked for.
fn soa(query: &[u8]) -> Vec<u8> {
    let mut end = 12;
    while query.get(end).is_some_and(|length| *length != 0) {
        end += 1 + usize::from(query[end]);
    }
    let mut answer = query[..end + 5].to_vec();
    answer[2] = 0x84;
    answer[3] = 0;
    answer[6..12].copy_from_slice(&[0, 1, 0, 0, 0, 0]);
    answer.extend_from_slice(&[0xc0, 12, 0, 6, 0, 1, 0, 0, 1, 44, 0, 22, 0, 0]);
    answer.extend_from_slice(&[0; 20]);
    answer
}

/// Where the collector of a test lives, and who is asked.
struct Lab {
    dir: tempfile::TempDir,
    addr: SocketAddr,
}

impl Lab {
    fn new() -> Lab {
        let dir = tempfile::tempdir().expect("a folder");
        authority::authority(dir.path(), "127.0.0.1");
        Lab {
            dir,
            addr: closed_port(),
        }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    }

    /// `more`: sections of the collector besides.
    fn collector(&self, more: &str) -> Running {
        let text = format!(
            "sources: {{ris_live: {{enabled: false}}}}\ndata_dir: collector\n\
             listen: {{address: '{}', tls: {{cert: cert.pem, key: key.pem}}}}\n\
             agents: [{{name: ams1, token: {TOKEN}}}, {{name: fra1, token: {TOKEN}-of-fra1}}]\n{more}\n",
            self.addr
        );
        let config = self.write("collector.yaml", &text);
        let mut command = netfault(self.path());
        command.args(["--format", "ndjson", "run", "-c", &config]);
        let mut running = Running::start(command, self.path(), "collector");
        running.says("listening on https://");
        running
    }

    /// The configuration of an agent. `more` is of its section `agent`.
    fn agent_file(&self, name: &str, more: &str, names: &str) -> String {
        let text = format!(
            "data_dir: {name}\nagent: {{name: {name}, {more}}}\nwatch: {{names: [{names}]}}\ndns: {{interval: 1s, resolver_per_second: 500, controls: {{enabled: false}}}}\n"
        );
        self.write(&format!("{name}.yaml"), &text)
    }

    fn ours(&self) -> String {
        format!("collector: 'https://{}', token: {TOKEN}, ca: ca.pem", self.addr)
    }

    fn agent(&self, file: &str) -> Running {
        let mut command = netfault(self.path());
        command.args(["agent", "-c", file]);
        Running::start(command, self.path(), "agent")
    }

    fn spool(&self, agent: &str) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.path().join(agent).join("agent")) else {
            return Vec::new();
        };
        let paths = entries.flatten().map(|entry| entry.path());
        paths
            .filter(|path| path.extension().is_some_and(|it| it == "batch"))
            .collect()
    }

    /// Everything in the collector's journal; call it when the collector is not running.
    fn journal(&self) -> Vec<Input> {
        match journal::Reader::open(&self.path().join("collector/journal")) {
            Ok(reader) => reader.flatten().collect(),
            Err(_) => Vec::new(),
        }
    }

    fn probes(&self) -> Vec<Probe> {
        let probes = self.journal().into_iter().filter_map(|input| match input {
            Input::Probe(probe) => Some(*probe),
            _ => None,
        });
        probes.collect()
    }

    fn gaps(&self) -> Vec<String> {
        let gaps = self.journal().into_iter().filter_map(|input| match input {
            Input::Gap(gap) => Some(gap.reason.into_owned()),
            _ => None,
        });
        gaps.collect()
    }
}

/// Twenty names at one resolver, two questions each, every second.
fn many_names(resolver: SocketAddr) -> String {
    let names = (0..20).map(|n| format!("{{name: n{n}.example.com, resolvers: ['{resolver}']}}"));
    names.collect::<Vec<_>>().join(", ")
}

/// One name, one authority.
fn one_name(authority: SocketAddr) -> String {
    format!("{{name: www.example.com, authorities: ['{authority}']}}")
}

/// No probe stands there twice, and those of each question are in order.
fn assert_once_and_in_order(probes: &[Probe]) {
    let mut last: BTreeMap<_, _> = BTreeMap::new();
    for probe in probes {
        let question = (&probe.name, &probe.qtype, probe.server);
        if let Some(before) = last.insert(question, probe.at) {
            assert!(before < probe.at, "{question:?}: {before} before {}", probe.at);
        }
    }
}

fn packets(probes: &[Probe]) -> u64 {
    probes.iter().map(|probe| u64::from(probe.packets_sent)).sum()
}

#[test]
fn results_arrive_over_tls_with_the_vantage_of_the_agent() {
    let lab = Lab::new();
    let (server, asked) = name_server();
    let collector = lab.collector("");
    let file = lab.agent_file("ams1", &lab.ours(), &one_name(server));
    let check = run(lab.path(), &["config", "check", "-c", &file]).ok().out;
    assert!(
        check.contains("agent:   'ams1' reports to https://127.0.0.1:"),
        "{check}"
    );
    let mut agent = lab.agent(&file);
    agent.says("connected to https://");
    wait_for("three questions", || {
        (asked.load(Ordering::SeqCst) >= 3).then_some(())
    });
    let (agent, _) = agent.stop();
    let agent = agent.ok();
    assert!(
        !agent.err.contains("ERROR") && !agent.err.contains("kept in the spool"),
        "{}",
        agent.err
    );
    assert!(lab.spool("ams1").is_empty());
    // The name is judged by what the agent saw.
    wait_for("the name's state", || {
        collector.out().contains(r#""to":"ok""#).then_some(())
    });
    collector.stop().0.ok();
    let probes = lab.probes();
    assert_once_and_in_order(&probes);
    assert_eq!(
        packets(&probes),
        asked.load(Ordering::SeqCst),
        "every question asked is there"
    );
    for probe in &probes {
        assert_eq!((probe.vantage.as_str(), probe.arrival), ("ams1", Arrival::InTime));
        assert_eq!(
            (probe.name.as_str(), probe.outcome),
            ("www.example.com", Outcome::Ok)
        );
    }
}

#[test]
fn a_collector_that_is_killed_loses_nothing_and_takes_nothing_twice() {
    let lab = Lab::new();
    let (server, asked) = name_server();
    let file = lab.agent_file("ams1", &lab.ours(), &many_names(server));
    let mut agent = lab.agent(&file);
    let mut collector = lab.collector("checkpoint_every: 1s");
    agent.says("connected to https://");
    for round in 0..8u64 {
        let before = asked.load(Ordering::SeqCst);
        wait_for("more questions", || {
            (asked.load(Ordering::SeqCst) >= before + 40).then_some(())
        });
        pause(Duration::from_millis(fastrand::u64(0..1000)));
        collector.kill();
        if round % 2 == 1 {
            agent.says("spooling, because the collector cannot be reached");
        }
        collector = lab.collector("checkpoint_every: 1s");
    }
    wait_for("the spool to be sent", || {
        (lab.spool("ams1").len() <= 1).then_some(())
    });
    let (agent, _) = agent.stop();
    let agent = agent.ok();
    let spooled = lab.spool("ams1").len();
    if spooled > 0 {
        // It was waiting for its next try: the rest is sent at its next start.
        assert!(agent.err.contains("kept in the spool"), "{}", agent.err);
        let mut again = lab.agent(&file);
        again.says("connected to https://");
        wait_for("the spool to be sent", || {
            lab.spool("ams1").is_empty().then_some(())
        });
        again.stop().0.ok();
    }
    let all = asked.load(Ordering::SeqCst);
    collector.stop().0.ok();
    let probes = lab.probes();
    assert_once_and_in_order(&probes);
    assert_eq!(
        packets(&probes),
        all,
        "every question asked is in the journal once"
    );
}

#[test]
fn a_killed_agent_sends_what_it_had_spooled() {
    let lab = Lab::new();
    let (server, _) = name_server();
    let file = lab.agent_file("ams1", &lab.ours(), &one_name(server));
    let mut agent = lab.agent(&file);
    agent.says("spooling, because the collector cannot be reached");
    wait_for("three batches", || (lab.spool("ams1").len() >= 3).then_some(()));
    let spooled = lab.spool("ams1");
    agent.kill();
    let collector = lab.collector("");
    let mut agent = lab.agent(&file);
    agent.says("connected to https://");
    agent.says("caught up");
    wait_for("the old batches to be gone", || {
        spooled.iter().all(|path| !path.exists()).then_some(())
    });
    agent.stop().0.ok();
    collector.stop().0.ok();
    let probes = lab.probes();
    assert_once_and_in_order(&probes);
    assert!(probes.len() > spooled.len(), "{probes:?}");
    let gaps = lab.gaps();
    assert!(
        gaps.iter()
            .any(|gap| gap == "agent ams1: the agent was not running"),
        "{gaps:?}"
    );
}

/// Wrong token, wrong authority, a name that the collector does not know: nothing comes in, nothing is dropped.
#[test]
fn strangers_are_refused_and_keep_what_they_have() {
    let lab = Lab::new();
    let (server, _) = name_server();
    let collector = lab.collector("");
    let other = tempfile::tempdir().expect("a folder");
    authority::authority(other.path(), "127.0.0.1");
    let url = format!("collector: 'https://{}'", lab.addr);
    let theirs = other.path().join("ca.pem");
    let unsigned =
        "the answer is not signed by the collector (401 Unauthorized: no agent of that name with that token)";
    for (name, section, why) in [
        ("ams1", format!("{url}, token: {TOKEN}x, ca: ca.pem"), unsigned),
        ("fra2", format!("{url}, token: {TOKEN}, ca: ca.pem"), unsigned),
        (
            "fra1",
            format!("{url}, token: {TOKEN}-of-fra1, ca: '{}'", theirs.display()),
            "certificate",
        ),
    ] {
        let mut agent = lab.agent(&lab.agent_file(name, &section, &one_name(server)));
        agent.says("spooling, because");
        agent.says(why);
        wait_for("the spool", || (!lab.spool(name).is_empty()).then_some(()));
        let (ended, _) = agent.stop();
        assert!(ended.ok().err.contains("kept in the spool"));
        assert!(!lab.spool(name).is_empty(), "{name}");
    }
    collector.stop().0.ok();
    assert_eq!(lab.probes(), []);
}

/// Something answers 200 to everything where the collector should be.
#[test]
fn an_impostor_does_not_drain_the_spool() {
    let lab = Lab::new();
    let (server, _) = name_server();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let impostor = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 65_536]);
            let body = "{\"taken\":\"applied\"}\n";
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    let section = format!("collector: 'http://{impostor}', token: {TOKEN}");
    let mut agent = lab.agent(&lab.agent_file("ams1", &section, &one_name(server)));
    agent.says("spooling, because the answer is not signed by the collector (200 OK");
    wait_for("three batches", || (lab.spool("ams1").len() >= 3).then_some(()));
    let (ended, _) = agent.stop();
    assert!(ended.ok().err.contains("kept in the spool"));
    assert!(lab.spool("ams1").len() >= 3);
}

/// An agent goes away: that is said, and the name stays what it is, because the collector's own vantage still sees it.
#[test]
fn an_agent_that_goes_away_is_a_statement_about_it_and_none_about_names() {
    let lab = Lab::new();
    let (server, _) = name_server();
    let own = format!(
        "watch: {{names: [{}]}}\ndns: {{interval: 1s, vantage: home, controls: {{enabled: false}}, detect: {{stale_s: 6, forget_s: 4}}}}",
        one_name(server)
    );
    let collector = lab.collector(&own);
    let mut agent = lab.agent(&lab.agent_file("ams1", &lab.ours(), &one_name(server)));
    agent.says("connected to https://");
    wait_for("the name's state", || {
        collector.out().contains(r#""to":"ok""#).then_some(())
    });
    agent.kill();
    let silent = |out: &str| {
        out.lines()
            .any(|line| line.contains("agent ams1: it does not report"))
    };
    wait_for("the statement", || silent(&collector.out()).then_some(()));
    let offline = |out: &str, over: bool| {
        let said = out
            .lines()
            .filter(|line| line.contains(r#""what":"vantage_offline""#));
        let of_it = said.filter(|line| line.contains("Vantage ams1"));
        of_it
            .filter(|line| line.contains(&format!(r#""over":{over}"#)))
            .count()
    };
    wait_for("the vantage to be offline", || {
        (offline(&collector.out(), false) == 1).then_some(())
    });
    // It comes back, and so does the word of it.
    let mut agent = lab.agent(&lab.path().join("ams1.yaml").display().to_string());
    agent.says("connected to https://");
    wait_for("its return", || {
        collector.err().contains("the agent reports again").then_some(())
    });
    wait_for("the vantage to be back", || {
        (offline(&collector.out(), true) == 1).then_some(())
    });
    agent.stop().0.ok();
    let collector = collector.stop().0.ok();
    let steps: Vec<&str> = transitions(&collector.out);
    assert_eq!(steps.len(), 1, "only Unknown → Ok: {steps:?}");
    assert!(incidents(&collector.out).is_empty());
    let told = collector.out.matches("agent ams1: it does not report").count();
    assert_eq!(told, 1);
    assert_eq!(
        (offline(&collector.out, false), offline(&collector.out, true)),
        (1, 1)
    );
}

#[test]
fn the_two_kinds_of_configuration_are_told_apart() {
    let lab = Lab::new();
    let (server, _) = name_server();
    let agent = lab.agent_file("ams1", &lab.ours(), &one_name(server));
    let refused = run(lab.path(), &["run", "-c", &agent]);
    assert_eq!(refused.code, Some(78));
    assert!(
        refused.err.contains("run it with netfault agent"),
        "{}",
        refused.err
    );
    let collector = lab.write("c.yaml", "watch: {names: []}\n");
    let refused = run(lab.path(), &["agent", "-c", &collector]);
    assert_eq!(refused.code, Some(78));
    assert!(refused.err.contains("no section 'agent'"), "{}", refused.err);
    let taken = taken_port();
    let busy = lab.write(
        "b.yaml",
        &format!(
            "sources: {{ris_live: {{enabled: false}}}}\nlisten: {{address: '{}'}}\n",
            taken.1
        ),
    );
    let refused = run(lab.path(), &["run", "-c", &busy]);
    assert_eq!(refused.code, Some(69));
    assert!(refused.err.contains("cannot listen on"), "{}", refused.err);
}
