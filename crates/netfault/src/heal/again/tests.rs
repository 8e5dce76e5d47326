//! The lab capture with a hole in it, healed, against the whole of it.

use std::time::Duration;

use netfault_engine::Settings;
use netfault_engine::dns::DnsSettings;
use netfault_model::Watch;

use super::*;
use crate::heal::compare;

fn capture() -> (Vec<String>, Vec<Input>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/lab-capture");
    let paths = vec![folder.display().to_string()];
    let files = mrt::discover(&paths).expect("the lab capture");
    let stream = mrt::Stream::open(files, mrt::Options::default()).expect("the lab capture");
    (paths, stream.flatten().collect())
}

fn config() -> Config {
    let mut config = Config::builtin().expect("the built-in configuration");
    config.detect = Settings {
        held_for_s: 60,
        ..Settings::default()
    };
    config.watch = Watch {
        all: true,
        ..Watch::default()
    };
    config
}

fn engine(config: &Config) -> Engine {
    Engine::new(
        config.detect.clone(),
        DnsSettings::default(),
        config.watch.clone(),
    )
}

/// Everything that is said from `from` on, of those that matter.
fn play_all(config: &Config, inputs: &[Input], from: Time) -> Vec<Output> {
    let (mut engine, mut out) = (engine(config), Vec::new());
    inputs
        .iter()
        .for_each(|input| engine.push(input.clone(), &mut out));
    out.retain(|output| matters(output) && output.at() >= from);
    out
}

fn gap(collector: Collector, from: Time, to: Time) -> Input {
    Input::Gap(Box::new(Gap {
        at: from,
        source: GapSource::RisLive,
        collector: Some(collector),
        peer: None,
        from: Some(from),
        to: Some(to),
        offset: None,
        reason: "connection lost".into(),
        lost: None,
    }))
}

#[test]
fn a_hole_that_was_filled_leaves_no_trace() {
    let (paths, inputs) = capture();
    let config = config();
    let updates: Vec<Time> = inputs
        .iter()
        .filter(|input| matches!(input, Input::Update(_)))
        .map(Input::at)
        .collect();
    let collector = inputs
        .iter()
        .find_map(|input| match input {
            Input::Update(update) => Some(update.peer.collector),
            _ => None,
        })
        .expect("an update");
    // The hole takes the first loss whole, and more.
    let truth = play_all(&config, &inputs, Time::MIN);
    let first = truth.first().expect("the capture has an outage").at();
    let (from, to) = (first - Duration::from_secs(60), first + Duration::from_secs(30));
    assert!(
        updates.iter().any(|at| (from..to).contains(at)),
        "nothing is missing"
    );

    let dir = tempfile::tempdir().unwrap();
    let mut journal = journal::Writer::open(dir.path(), journal::Limits::default()).unwrap();
    let (mut first, mut said, mut base) = (engine(&config), Vec::new(), None);
    for input in &inputs {
        if input.at() >= from && base.is_none() {
            base = Some((
                format::pack(&first, journal.offset()).unwrap(),
                journal.offset(),
                first.now(),
            ));
            let gap = gap(collector, from, to);
            journal.append(std::slice::from_ref(&gap)).unwrap();
            first.push(gap, &mut said);
        }
        if !(from..to).contains(&input.at()) {
            journal.append(std::slice::from_ref(input)).unwrap();
            first.push(input.clone(), &mut said);
        }
    }
    journal.sync().unwrap();
    let (base, offset, since) = base.expect("the hole is in the capture");
    said.retain(|output| matters(output) && output.at() > since);
    let truth: Vec<Output> = truth.into_iter().filter(|output| output.at() > since).collect();
    assert_ne!(said, truth, "a hole that hides nothing proves nothing");

    let hole = Hole { collector, from, to };
    let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
    let filled = [(hole, paths)];
    let mut again = play(&config, &base, &filled, dir.path(), offset).unwrap();
    assert!(again.messages > 0);
    assert_eq!(again.said, truth);
    assert_eq!(again.offset, journal.offset());

    // The end of the stream, which comes after the second engine was made.
    let end = Input::Tick(inputs.last().unwrap().at() + Duration::from_secs(600));
    journal.append(std::slice::from_ref(&end)).unwrap();
    journal.sync().unwrap();
    again.catch_up(dir.path()).unwrap();
    let mut whole = inputs.clone();
    whole.push(end);
    let truth = play_all(&config, &whole, since + Duration::from_micros(1));
    assert_eq!(again.said, truth);
    let changes = compare(&said, &again.said, again.engine.now());
    assert!(!changes.added.is_empty());
}
