//! The time contract (DESIGN section 3) on random streams: the answer depends on what was said and when, and
//! on nothing else.

mod streams;

use netfault_model::{Id, Input, Output, State, Subject, Time};
use proptest::prelude::*;
use streams::{Said, play, said, settings, stream};

/// Inputs as they arrive when each is under way for up to the window, each peer's own order kept.
fn shuffled(inputs: &[Input], delays: &[i64]) -> Vec<Input> {
    let mut arriving: Vec<(i64, usize)> = Vec::new();
    let mut last_of_peer = std::collections::BTreeMap::new();
    for (index, input) in inputs.iter().enumerate() {
        let wanted = input.at().micros() + delays[index % delays.len()];
        let last = last_of_peer.entry(streams::peer_of(input)).or_insert(i64::MIN);
        *last = wanted.max(*last);
        arriving.push((*last, index));
    }
    arriving.sort();
    arriving
        .into_iter()
        .map(|(_, index)| inputs[index].clone())
        .collect()
}

fn shift(output: Output, by: i64) -> Output {
    match output {
        Output::Transition(mut t) => {
            t.at = t.at.plus_micros(by);
            t.first_evidence_at = t.first_evidence_at.plus_micros(by);
            if let Some(evidence) = &mut t.evidence {
                evidence.since = evidence.since.map(|since| since.plus_micros(by));
                evidence
                    .lost
                    .iter_mut()
                    .for_each(|lost| lost.at = lost.at.plus_micros(by));
            }
            Output::Transition(t)
        }
        // Their ids come from their times.
        Output::Incident(mut it) => {
            (it.id, it.merged_into) = (Id::default(), None);
            it.at = it.at.plus_micros(by);
            it.first_evidence_at = it.first_evidence_at.plus_micros(by);
            it.raised_at = it.raised_at.plus_micros(by);
            it.cleared_at = it.cleared_at.map(|at| at.plus_micros(by));
            for child in &mut it.children {
                child.first_evidence_at = child.first_evidence_at.plus_micros(by);
                child.cleared_at = child.cleared_at.map(|at| at.plus_micros(by));
            }
            for layer in &mut it.layers {
                layer.since = layer.since.plus_micros(by);
                layer.recovered_at = layer.recovered_at.map(|at| at.plus_micros(by));
            }
            it.summary.clear();
            Output::Incident(it)
        }
        Output::Notable(mut it) => {
            it.id = Id::default();
            it.at = it.at.plus_micros(by);
            it.first_evidence_at = it.first_evidence_at.plus_micros(by);
            it.summary.clear();
            Output::Notable(it)
        }
        Output::Feed(mut feed) => {
            feed.at = feed.at.plus_micros(by);
            Output::Feed(feed)
        }
        Output::Delegation(mut it) => {
            it.at = it.at.plus_micros(by);
            Output::Delegation(it)
        }
        Output::Gap(gap) => Output::Gap(gap),
    }
}

fn is_legal(from: State, to: State) -> bool {
    use State::{Degrading, Gone, Normal, Out, Partial, Recovering, Unknown};
    match (from, to) {
        (_, Unknown) => from != Gone,
        (Unknown, _) => true,
        (_, Gone) => from != Normal,
        (Gone | Recovering, Normal) | (Normal, Degrading) => true,
        (Degrading, Normal | Partial | Out) | (Partial, Out | Recovering) => true,
        (Out, Recovering) | (Recovering, Partial | Out) => true,
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn run_twice_and_in_any_batching(said in said(), cuts in prop::collection::vec(1usize..40, 1..20)) {
        let inputs = stream(&said, 0);
        let once = play(&inputs);
        let mut engine = streams::engine();
        let (mut all, mut rest) = (Vec::new(), inputs.as_slice());
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let (batch, more) = rest.split_at((*cut).min(rest.len()));
            let mut out = Vec::new();
            batch.iter().for_each(|input| engine.push(input.clone(), &mut out));
            all.append(&mut out);
            rest = more;
        }
        engine.finish(None, &mut all);
        prop_assert_eq!(once, all);
    }

    #[test]
    fn the_cadence_of_ticks_changes_nothing(said in said(), step in 50_000i64..20_000_000) {
        let inputs = stream(&said, 0);
        let mut ticking = Vec::new();
        for pair in inputs.windows(2) {
            ticking.push(pair[0].clone());
            let (mut at, end) = (pair[0].at().micros() + step, pair[1].at().micros());
            while at < end {
                ticking.push(Input::Tick(Time::from_micros(at)));
                at += step;
            }
        }
        ticking.extend(inputs.last().cloned());
        prop_assert_eq!(play(&inputs), play(&ticking));
    }

    #[test]
    fn the_interleaving_of_peers_within_the_window_changes_nothing(
        said in said(),
        delays in prop::collection::vec(0i64..=500_000, 1..60),
    ) {
        let inputs = stream(&said, 0);
        prop_assert_eq!(play(&inputs), play(&shuffled(&inputs, &delays)));
    }

    #[test]
    fn a_message_said_twice_changes_nothing(said in said()) {
        let inputs = stream(&said, 0);
        let twice: Vec<Input> = inputs.iter().flat_map(|input| {
            let again = matches!(input, Input::Update(_));
            std::iter::repeat_n(input.clone(), 1 + usize::from(again))
        }).collect();
        prop_assert_eq!(play(&inputs), play(&twice));
    }

    #[test]
    fn shifting_all_times_shifts_all_outputs(said in said(), by in 1i64..10_000_000_000) {
        let shifted: Vec<Output> = play(&stream(&said, 0)).into_iter().map(|output| shift(output, by)).collect();
        let then: Vec<Output> = play(&stream(&said, by)).into_iter().map(|output| shift(output, 0)).collect();
        prop_assert_eq!(shifted, then);
    }

    #[test]
    fn outputs_are_in_order_edges_are_legal_and_shares_are_shares(said in said()) {
        let outputs = play(&stream(&said, 0));
        let mut states: std::collections::BTreeMap<Subject, State> = Default::default();
        for pair in outputs.windows(2) {
            prop_assert!((pair[0].at(), pair[0].kind()) <= (pair[1].at(), pair[1].kind()));
        }
        for output in &outputs {
            let Output::Transition(t) = output else { continue };
            prop_assert!(is_legal(t.from, t.to), "{:?} -> {:?}", t.from, t.to);
            let Subject::Prefix { prefix, .. } = t.subject else { continue };
            let subject = Subject::Prefix { prefix, origin: None };
            // That an untroubled prefix has been learned is told of watched ones only.
            let first = if t.watched { State::Unknown } else { State::Normal };
            let before = states.insert(subject, t.to).unwrap_or(first);
            prop_assert_eq!(before, t.from, "the chain of {} is broken at {}", prefix, t.at);
            prop_assert!(t.first_evidence_at <= t.at);
            if let Some(v) = t.visibility {
                prop_assert!((0.0..=1.0).contains(&v));
            }
            let sum = t.peers_seen.unwrap() + t.peers_lost.unwrap() + t.peers_unknown.unwrap();
            prop_assert_eq!(sum, t.peers_eligible.unwrap());
        }
    }

    #[test]
    fn losing_a_whole_collector_never_makes_an_outage(said in said(), from in 0usize..200) {
        // All that the second collector says after some moment is gone, and nobody withdraws anything before.
        let calm: Vec<Said> = said.iter().filter(|it| !it.withdraws()).cloned().collect();
        let inputs = stream(&calm, 0);
        let silent_from = inputs.get(from.min(inputs.len().saturating_sub(1))).map_or(Time::MIN, Input::at);
        let rest: Vec<Input> = inputs.into_iter()
            .filter(|input| input.at() < silent_from || streams::peer_of(input).is_none_or(|peer| peer.collector.name() == "one"))
            .collect();
        let mut engine = streams::engine();
        let mut out = Vec::new();
        rest.into_iter().for_each(|input| engine.push(input, &mut out));
        engine.finish(Some(Time::from_secs(100_000)), &mut out);
        for output in out {
            if let Output::Transition(t) = output {
                prop_assert!(!matches!(t.to, State::Out | State::Partial), "{t:?}");
            }
        }
    }
}

#[test]
fn the_random_streams_do_reach_every_state() {
    // A property that never sees an outage proves nothing.
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut reached = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let said = said().new_tree(&mut runner).unwrap().current();
        for output in play(&stream(&said, 0)) {
            if let Output::Transition(t) = output {
                reached.insert(t.to);
            }
        }
    }
    let wanted = [
        State::Normal,
        State::Degrading,
        State::Partial,
        State::Out,
        State::Recovering,
        State::Unknown,
    ];
    assert!(
        wanted.iter().all(|state| reached.contains(state)),
        "only {reached:?}"
    );
    assert_eq!(settings().check(), Ok(()));
}
