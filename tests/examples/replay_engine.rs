//! Replays MRT files through decoder and engine, without store or output, and says what it cost:
//! `cargo run --release -p netfault-tests --example replay_engine -- [--watch PREFIX] PATH…`

use std::collections::BTreeMap;
use std::time::Instant;

use netfault_engine::{Engine, Settings, dns::DnsSettings};
use netfault_model::{Output, Watch};
use netfault_sources::mrt;

fn main() {
    let mut watch = Watch {
        all: true,
        ..Watch::default()
    };
    let (mut paths, mut args) = (Vec::new(), std::env::args().skip(1));
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--watch" => drop(
                watch
                    .prefixes
                    .insert(args.next().expect("a prefix").parse().expect("a prefix")),
            ),
            _ => paths.push(arg),
        }
    }
    let started = Instant::now();
    let stream =
        mrt::Stream::open(mrt::discover(&paths).expect("paths"), mrt::Options::default()).expect("stream");
    let mut engine = Engine::new(Settings::default(), DnsSettings::default(), watch.clone());
    let (mut out, mut kinds) = (Vec::new(), BTreeMap::new());
    let (mut engine_time, mut printed) = (0u128, 0u32);
    let mut tell = |out: &mut Vec<Output>| {
        for output in out.drain(..) {
            let what = match &output {
                Output::Transition(t) => format!("{} -> {} {:?}", t.from.name(), t.to.name(), t.baseline),
                Output::Feed(feed) => format!("feed {:?}", feed.state),
                Output::Gap(gap) => format!("gap {}", gap.reason),
            };
            *kinds.entry(what).or_insert(0u32) += 1;
            if let Output::Transition(t) = &output
                && t.watched
                && printed < 200
            {
                printed += 1;
                println!(
                    "{} {:?} {} -> {} V={:?} seen {:?} lost {:?} of {:?} {:?} evidence {}",
                    t.at,
                    t.subject,
                    t.from.name(),
                    t.to.name(),
                    t.visibility,
                    t.peers_seen,
                    t.peers_lost,
                    t.peers_eligible,
                    t.baseline,
                    t.first_evidence_at
                );
            }
        }
    };
    for batch in stream {
        let begun = Instant::now();
        for input in batch {
            engine.push(input, &mut out);
        }
        engine_time += begun.elapsed().as_micros();
        tell(&mut out);
    }
    engine.finish(None, &mut out);
    tell(&mut out);
    println!("{kinds:#?}\n{:?} {:?}", engine.stats(), engine.size());
    println!(
        "wall {:.2} s, engine {:.2} s",
        started.elapsed().as_secs_f64(),
        engine_time as f64 / 1e6
    );
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .filter(|line| line.starts_with("VmHWM"))
        .for_each(|line| println!("{line}"));
}
