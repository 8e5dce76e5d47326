//! A saved state is the whole of an engine: cut anywhere, saved, loaded, and gone on with, nothing that is said differs.

mod streams;

use netfault_engine::dns::DnsSettings;
use netfault_engine::{Engine, STATE_VERSION};
use netfault_model::{Arrival, Id, Input, Outcome, Output, Probe, Role, Time, Transport};
use proptest::prelude::*;
use streams::{Said, play, said, settings, stream, watch};

fn saved_and_loaded(engine: &Engine) -> Engine {
    let bytes = postcard::to_stdvec(engine).expect("an engine can be saved");
    let loaded: Result<Engine, _> = postcard::from_bytes(&bytes);
    loaded
        .map_err(|error| error.to_string())
        .expect("and loaded")
        .resume(settings(), DnsSettings::default(), watch())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_restart_changes_nothing(said in said(), cuts in prop::collection::vec(0.0f64..1.0, 1..4)) {
        let inputs = stream(&said, 0);
        let mut cuts: Vec<usize> = cuts.iter().map(|share| (share * inputs.len() as f64) as usize).collect();
        cuts.sort_unstable();
        let (mut engine, mut out) = (streams::engine(), Vec::new());
        for (index, input) in inputs.iter().enumerate() {
            if cuts.contains(&index) {
                engine = saved_and_loaded(&engine);
            }
            engine.push(input.clone(), &mut out);
        }
        engine.finish(None, &mut out);
        prop_assert_eq!(out, play(&inputs));
    }
}

/// A name server answers.
fn probe(vantage: &str, first: Time, after: u64) -> Input {
    Input::Probe(Box::new(Probe {
        at: first + std::time::Duration::from_secs(after),
        vantage: vantage.into(),
        name: "example.com".into(),
        role: Role::Authority,
        server: ([192, 0, 2, 1], 53).into(),
        qname: "example.com".into(),
        qtype: "SOA".into(),
        outcome: Outcome::Ok,
        rcode: None,
        authoritative: true,
        ede: None,
        nsid: None,
        latency_us: 1000,
        ttl: None,
        answers: Vec::new(),
        transport: Transport::Udp,
        packets_sent: 1,
        arrival: Arrival::InTime,
        detail: None,
    }))
}

/// The bytes of one known state. When this fails, what is serialised has changed: raise `STATE_VERSION`, then pin
/// what the failure shows. A state of an older version is not read, and nothing is lost by that: the journal is played.
#[test]
fn the_format_of_a_state_changes_only_with_its_version() {
    let (mut engine, mut out) = (streams::engine(), Vec::new());
    let said = [
        Said::Many {
            after: 0,
            from: 0,
            peers: 12,
            prefix: 0,
            announce: true,
            apart: 7000,
        },
        Said::Pause { after: 90_000_000 },
        Said::Many {
            after: 0,
            from: 0,
            peers: 11,
            prefix: 0,
            announce: false,
            apart: 7000,
        },
        Said::Pause { after: 90_000_000 },
        Said::Session {
            after: 0,
            peer: 3,
            up: false,
        },
    ];
    let mut inputs = stream(&said, 0);
    let first = inputs[0].at();
    inputs
        .extend([("ams", 0), ("nyc", 0), ("nyc", 200)].map(|(vantage, after)| probe(vantage, first, after)));
    inputs.sort_by_key(Input::at);
    for input in inputs {
        engine.push(input, &mut out);
    }
    engine.finish(None, &mut out);
    assert!(out.iter().any(|output| matches!(output, Output::Transition(_))));
    let says =
        |output: &Output| matches!(output, Output::Notable(it) if it.summary.contains("Vantage ams has not"));
    assert!(out.iter().any(says), "one of two vantages is silent");
    let bytes = postcard::to_stdvec(&engine).unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        (STATE_VERSION, Id::of(&[&hex]).to_string().as_str()),
        (3, "41dc774f4329a83d")
    );
}
