//! The DNS side of 2021-10-04, made after FIELD-FACTS.md: three vantages ask eight authority addresses of
//! facebook.com and two public resolvers. Timeouts at all eight from 15:50 on, a healthy parent, healthy canaries,
//! SERVFAIL at the resolvers as their caches run out, and recovery in its order with the wobble of 21:11.
//!
//! What is said is compared with `dns_20211004.txt`. Read the difference as you read a diff; `UPDATE_GOLDEN=1`
//! writes the file anew.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use netfault_engine::dns::DnsSettings;
use netfault_engine::{Engine, Settings};
use netfault_model::{
    Finding, Input, Outcome, Output, Probe, Role, State, Time, Transition, Transport, Watch,
};

const NAME: &str = "facebook.com";
const VANTAGES: [&str; 3] = ["ams", "nyc", "sin"];
/// The four pairs a to d, IPv4 and IPv6.
const AUTHORITIES: [[&str; 2]; 4] = [
    ["129.134.30.12:53", "[2a03:2880:f0fc:c:face:b00c:0:35]:53"],
    ["129.134.31.12:53", "[2a03:2880:f0fd:c:face:b00c:0:35]:53"],
    ["185.89.218.12:53", "[2a03:2880:f1fc:c:face:b00c:0:35]:53"],
    ["185.89.219.12:53", "[2a03:2880:f1fd:c:face:b00c:0:35]:53"],
];
/// When each pair went silent at the first vantage and came back, in seconds of the day. Another vantage loses it
/// later, as paths are withdrawn one by one: 129.134.30.0/24 was gone everywhere at 15:53:47.
const SILENT: [[i64; 2]; 4] = [
    [at(15, 50, 27), at(21, 6, 20)],
    [at(15, 51, 5), at(21, 7, 0)],
    [at(15, 51, 30), at(21, 5, 10)],
    [at(15, 52, 10), at(21, 5, 40)],
];
const LATER: [i64; 4] = [100, 20, 10, 10];
/// The resolvers: when their caches run out, when they hang instead of answering, and when they resolve again.
const RESOLVERS: [(&str, i64, i64, i64); 2] = [
    ("1.1.1.1:53", at(15, 51, 20), at(24, 0, 0), at(21, 9, 30)),
    ("8.8.8.8:53", at(15, 54, 10), at(16, 31, 0), at(21, 12, 0)),
];
/// The parent (a.gtld-servers.net), and a root server of another operator.
const CONTROLS: [&str; 4] = [
    "192.5.6.30:53",
    "[2001:503:a83e::2:30]:53",
    "199.9.14.201:53",
    "[2801:1b8:10::b]:53",
];

const fn at(hour: i64, minute: i64, second: i64) -> i64 {
    (hour * 60 + minute) * 60 + second
}

fn time(second: i64) -> Time {
    let midnight: Time = "2021-10-04T00:00:00Z".parse().unwrap();
    midnight + Duration::from_secs(second as u64)
}

fn authority(pair: usize, family: usize, vantage: usize, second: i64) -> Outcome {
    let [gone, back] = SILENT[pair];
    let gone = gone + LATER[pair] * vantage as i64 + 15 * family as i64;
    let back = back + 60 * family as i64;
    let wobble = pair < 2 && (at(21, 11, 0)..at(21, 11, 40)).contains(&second);
    if (gone..back).contains(&second) || wobble {
        Outcome::Timeout
    } else {
        Outcome::Ok
    }
}

fn resolver(which: usize, second: i64) -> (Outcome, Option<u32>) {
    let (_, empty, hangs, back) = RESOLVERS[which];
    if second < empty || second >= back {
        let left = (empty - second).rem_euclid(300).max(1);
        (Outcome::Ok, Some(left as u32))
    } else if second >= hangs {
        (Outcome::Timeout, None)
    } else {
        (Outcome::Servfail, None)
    }
}

fn probe(vantage: &str, role: Role, server: &str, second: i64, qtype: &str, outcome: Outcome) -> Probe {
    let took = match outcome {
        Outcome::Timeout if role.is_authority() => 4_000_000,
        Outcome::Timeout => 5_000_000,
        _ => 20_000,
    };
    let name = match role {
        Role::Authority | Role::Resolver => NAME,
        Role::ControlAuthority => "com",
        Role::ControlResolver => "",
    };
    Probe {
        at: time(second).plus_micros(took),
        vantage: vantage.into(),
        name: name.into(),
        role,
        server: server.parse::<SocketAddr>().unwrap(),
        qname: name.into(),
        qtype: qtype.into(),
        outcome,
        rcode: None,
        authoritative: role.is_authority() && outcome == Outcome::Ok,
        ede: None,
        nsid: None,
        latency_us: took as u32,
        ttl: None,
        answers: Vec::new(),
        transport: Transport::Udp,
        packets_sent: 1,
        arrival: netfault_model::Arrival::InTime,
        detail: None,
    }
}

/// From 14:40, so that the servers have their hour of history, to 21:45, in rounds of 30 s ± 10 %.
fn stream() -> Vec<Probe> {
    let mut probes = Vec::new();
    for (v, vantage) in VANTAGES.into_iter().enumerate() {
        for round in 0..850 {
            let jitter = (round * 7919 + v as i64 * 104_729) % 7 - 3;
            let now = at(14, 40, 0) + round * 30 + jitter + 9 * v as i64;
            for (pair, addrs) in AUTHORITIES.iter().enumerate() {
                for (family, addr) in addrs.iter().enumerate() {
                    let outcome = authority(pair, family, v, now);
                    probes.push(probe(vantage, Role::Authority, addr, now, "SOA", outcome));
                }
            }
            for (n, control) in CONTROLS.iter().enumerate() {
                let asked = now + 13 * (n as i64 / 2);
                probes.push(probe(
                    vantage,
                    Role::ControlAuthority,
                    control,
                    asked,
                    "SOA",
                    Outcome::Ok,
                ));
            }
            for (which, (addr, ..)) in RESOLVERS.iter().enumerate() {
                for name in ["canary.example", "canary.test"] {
                    let canary = probe(vantage, Role::ControlResolver, addr, now + 5, "A", Outcome::Ok);
                    probes.push(Probe {
                        name: name.into(),
                        qname: name.into(),
                        ..canary
                    });
                }
                for qtype in ["A", "AAAA"] {
                    let (outcome, ttl) = resolver(which, now);
                    let answer = probe(vantage, Role::Resolver, addr, now, qtype, outcome);
                    probes.push(Probe { ttl, ..answer });
                }
            }
        }
    }
    probes.sort_by_key(|probe| probe.at);
    probes
}

fn outputs() -> Vec<Output> {
    let mut engine = Engine::new(Settings::default(), DnsSettings::default(), Watch::default());
    let mut out = Vec::new();
    for probe in stream() {
        engine.push(Input::Probe(Box::new(probe)), &mut out);
    }
    engine.finish(None, &mut out);
    out
}

/// One line a step; incidents are the matter of others.
fn written(outputs: &[Output]) -> String {
    let mut text = String::new();
    for output in outputs {
        match output {
            Output::Transition(step) => text.push_str(&line(step)),
            Output::Notable(notable) => {
                let _ = writeln!(text, "{} note: {}", notable.at, notable.summary);
            }
            _ => {}
        }
    }
    text
}

fn line(step: &Transition) -> String {
    let dns = step.dns.as_ref().expect("a step of a name says who sees what");
    let mut line = format!(
        "{} {} to {} finding {:?} servers {}/{} resolvers {}/{} since {}",
        step.at,
        step.from.name(),
        step.to.name(),
        step.finding.unwrap_or(Finding::None),
        step.servers_ok.unwrap_or(0),
        step.servers_eligible.unwrap_or(0),
        step.resolvers_ok.unwrap_or(0),
        step.resolvers_eligible.unwrap_or(0),
        step.first_evidence_at,
    );
    if let Some(until) = dns.masked_until {
        let _ = write!(line, " masked until {until}");
    }
    for view in &dns.vantages {
        let _ = write!(
            line,
            " {} {}/{}",
            view.vantage, view.servers_ok, view.servers_eligible
        );
    }
    line + "\n"
}

fn steps(outputs: &[Output]) -> Vec<&Transition> {
    let steps = outputs.iter().filter_map(|output| match output {
        Output::Transition(step) => Some(step.as_ref()),
        _ => None,
    });
    steps.collect()
}

#[test]
fn the_day_is_told_as_it_was() {
    let outputs = outputs();
    let text = written(&outputs);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dns_20211004.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|set| set == "1") && std::env::var_os("CI").is_none() {
        std::fs::write(&file, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(text == expected, "said:\n{text}\nexpected:\n{expected}");
}

/// What the file must hold, whatever the file holds.
#[test]
fn the_servers_are_out_of_reach_and_nobody_says_that_the_name_does_not_exist() {
    let outputs = outputs();
    let steps = steps(&outputs);
    let first = |to: State| steps.iter().find(|step| step.to == to).expect("a step");

    let out = first(State::Out);
    assert_eq!(out.finding, Some(Finding::AuthorityUnreachable));
    assert_eq!((out.servers_ok, out.servers_eligible), (Some(0), Some(8)));
    // The median vantage has lost its last server 10 s after the first one, at 15:52:35.
    let late = out.at.since(time(at(15, 52, 35)));
    assert!(
        (0..=70_000_000).contains(&late),
        "{late} µs after the last server was lost"
    );
    assert_eq!(steps.iter().filter(|step| step.to == State::Out).count(), 1);
    let denied = [
        Finding::RecordMissing,
        Finding::VantageOffline,
        Finding::DelegationBroken,
    ];
    for step in &steps {
        assert!(
            !step.finding.is_some_and(|finding| denied.contains(&finding)),
            "{step:?}"
        );
    }

    // Per layer: half of the servers answer first, resolvers are the last.
    let servers = first(State::Recovering).at;
    assert!(
        servers.since(time(at(21, 5, 10))) > 0 && servers < time(at(21, 8, 0)),
        "{servers}"
    );
    let whole = steps.last().unwrap();
    assert_eq!((whole.to, whole.finding), (State::Ok, Some(Finding::None)));
    assert!(
        whole.at > time(at(21, 12, 0)) && whole.at < time(at(21, 20, 0)),
        "{}",
        whole.at
    );
    assert!(
        !outputs
            .iter()
            .any(|output| matches!(output, Output::Notable(it) if it.watched))
    );
}

/// An agent's wrong clock, or its spool of yesterday: such probes are stored, decide nothing, and do not move engine time.
#[test]
fn probes_that_came_late_or_early_change_nothing() {
    use netfault_model::Arrival::{Early, Late};
    let mut engine = Engine::new(Settings::default(), DnsSettings::default(), Watch::default());
    let mut out = Vec::new();
    for probe in stream() {
        for (arrival, hours) in [(Late, -2), (Early, 24)] {
            let astray = Probe {
                at: probe.at.plus_micros(hours * 3_600_000_000),
                outcome: Outcome::Timeout,
                arrival,
                ..probe.clone()
            };
            engine.push(Input::Probe(Box::new(astray)), &mut out);
        }
        engine.push(Input::Probe(Box::new(probe)), &mut out);
    }
    engine.finish(None, &mut out);
    assert_eq!(out, outputs());
}
