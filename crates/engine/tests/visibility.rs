//! Who sees a prefix, and what that decides: properties of random streams, and a dull model of sets beside them.

mod streams;

use std::collections::{BTreeMap, BTreeSet};

use netfault_model::{
    Arrival, Asn, Baseline, Evidence, Input, Output, Peer, Prefix, Rule, State, Time, Transition, Update,
};
use proptest::prelude::*;
use streams::dull::Dull;
use streams::{PEERS, Said, engine, play, prefix, prefix_of, said, stream, transitions};

/// The stream, with something done to every update.
fn with_updates(inputs: &[Input], mut change: impl FnMut(Update) -> Vec<Update>) -> Vec<Input> {
    let mut changed = Vec::new();
    for input in inputs {
        match input {
            Input::Update(update) => changed.extend(change(update.clone()).into_iter().map(Input::Update)),
            other => changed.push(other.clone()),
        }
    }
    changed
}

fn with_peers(inputs: &[Input], change: impl Fn(Peer) -> Vec<Peer>) -> Vec<Input> {
    let mut changed = Vec::new();
    for input in inputs {
        let Some(peer) = streams::peer_of(input) else {
            changed.push(input.clone());
            continue;
        };
        for peer in change(peer) {
            let mut input = input.clone();
            match &mut input {
                Input::Update(update) => update.peer = peer,
                Input::Peer(state) => state.peer = peer,
                _ => {}
            }
            changed.push(input);
        }
    }
    changed
}

fn without_sessions(said: &[Said]) -> Vec<Said> {
    let keeps = |it: &&Said| !matches!(it, Said::Session { .. });
    said.iter().filter(keeps).cloned().collect()
}

fn played_until(inputs: &[Input], until: Time) -> Vec<Transition> {
    let (mut engine, mut out) = (engine(), Vec::new());
    inputs
        .iter()
        .for_each(|input| engine.push(input.clone(), &mut out));
    engine.finish(Some(until), &mut out);
    transitions(out)
}

fn evidence(t: &Transition) -> &Evidence {
    t.evidence
        .as_deref()
        .expect("each transition of a prefix has its evidence")
}

fn asns(list: &[Asn]) -> BTreeSet<Asn> {
    list.iter().copied().collect()
}

/// The share that decided, from the lists of the evidence.
fn share(t: &Transition) -> f64 {
    let e = evidence(t);
    let (seen, unknown, lost) = (e.kept.len(), e.unknown.len(), e.lost.len());
    let rises = matches!(t.to, State::Normal | State::Recovering);
    let part = if rises { seen } else { seen + unknown };
    part as f64 / (seen + unknown + lost).max(1) as f64
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Each list of the evidence is what the sets say, the counts are the lists', and the share is theirs.
    #[test]
    fn the_evidence_is_what_a_dull_model_says(said in said()) {
        let inputs = stream(&without_sessions(&said), 0);
        for t in transitions(play(&inputs)) {
            let (prefix, e) = (prefix_of(&t), evidence(&t));
            let dull = Dull::at(&inputs, t.at);
            let having = dull.having(prefix);
            let lost: BTreeSet<Asn> = e.lost.iter().map(|lost| lost.peer_asn).collect();
            prop_assert!(asns(&e.kept).is_subset(&having), "{t:?}");
            prop_assert!(asns(&e.unknown).is_subset(&having), "{t:?}");
            prop_assert!(lost.is_disjoint(&having), "{t:?}");
            prop_assert!(e.lost.iter().all(|lost| lost.at <= t.at && !lost.inferred));
            let counts = (e.kept.len() as u32, e.lost.len() as u32, e.unknown.len() as u32);
            prop_assert_eq!(counts, (t.peers_seen.unwrap(), t.peers_lost.unwrap(), t.peers_unknown.unwrap()));
            prop_assert!((share(&t) - t.visibility.unwrap_or(0.0)).abs() <= 0.005 + 1e-9, "{t:?}");
        }
    }

    /// When a prefix leaves Normal, its baseline is exactly the set of those that held it for long enough; until it is
    /// Normal again that set is frozen.
    #[test]
    fn the_baseline_is_what_a_dull_model_says(said in said()) {
        // Only seven of twelve are there from the beginning; who comes later may mature in the midst of an outage.
        let mut said = without_sessions(&said);
        for it in said.iter_mut().take(4) {
            if let Said::Many { peers, .. } = it {
                *peers = 7;
            }
        }
        let inputs = stream(&said, 0);
        let mut frozen: BTreeMap<Prefix, BTreeSet<Asn>> = BTreeMap::new();
        for t in transitions(play(&inputs)) {
            let (prefix, e) = (prefix_of(&t), evidence(&t));
            let lost = e.lost.iter().map(|lost| lost.peer_asn);
            let voters: BTreeSet<Asn> = asns(&e.kept).into_iter().chain(asns(&e.unknown)).chain(lost).collect();
            if t.baseline != Some(Baseline::Held) {
                frozen.remove(&prefix);
                continue;
            }
            let Some(base) = frozen.get(&prefix) else {
                if t.from == State::Normal && t.to == State::Degrading {
                    let base = Dull::at(&inputs, t.at).baseline(prefix, t.at, 60);
                    prop_assert_eq!(&voters, &base, "{:?}", t);
                    frozen.insert(prefix, base);
                }
                continue;
            };
            prop_assert_eq!(&voters, base, "{:?}", t);
            if t.to == State::Normal {
                frozen.remove(&prefix);
            }
        }
    }

    /// The rule that is named is one that its numbers allow, and its hold has just ended.
    #[test]
    fn the_rule_that_is_named_is_the_one_that_fired(said in said()) {
        for t in transitions(play(&stream(&said, 0))) {
            let (e, v) = (evidence(&t), share(&t));
            let holds = match e.rule {
                Rule::Falling => v < 0.80,
                Rule::Burst => e.lost.iter().filter(|lost| t.at.since(lost.at) < 60_000_000).count() >= 5,
                Rule::Clear | Rule::Whole => v >= 0.90,
                Rule::Partial => v <= 0.50,
                Rule::Out => v <= 0.20,
                Rule::Rising => v >= 0.65,
                Rule::QuorumLost => e.known < 0.60 || e.threshold.is_none(),
                Rule::QuorumBack => e.known >= 0.60,
                Rule::FirstQuorum => v >= 0.80 || t.baseline == Some(Baseline::Inferred),
                _ => false,
            };
            prop_assert!(holds, "{t:?}");
            let since = e.since.expect("each rule of a prefix has a beginning");
            prop_assert!(t.at.since(since) >= e.hold_s as i64 * 1_000_000, "{t:?}");
            let to = match e.rule {
                Rule::Falling | Rule::Burst => State::Degrading,
                Rule::Clear | Rule::Whole | Rule::FirstQuorum => State::Normal,
                Rule::Partial => State::Partial,
                Rule::Out => State::Out,
                Rule::Rising => State::Recovering,
                Rule::QuorumLost => State::Unknown,
                _ => t.to,
            };
            prop_assert_eq!(to, t.to);
        }
    }

    /// One AS may have any number of sessions with a collector: it has one vote.
    #[test]
    fn splitting_a_peer_as_into_sessions_changes_nothing(said in said(), who in 0..PEERS, into in 2u8..5) {
        let inputs = stream(&said, 0);
        let split = with_peers(&inputs, |peer| match peer == streams::peer(who) {
            false => vec![peer],
            true => (0..into).map(|n| {
                let addr = std::net::IpAddr::V4(std::net::Ipv4Addr::new(198, 18, n, who as u8));
                Peer { addr, ..peer }
            }).collect(),
        });
        prop_assert_eq!(transitions(play(&inputs)), transitions(play(&split)));
    }

    /// Whatever IPv4 messages say, IPv6 prefixes go through the same states.
    #[test]
    fn ipv4_events_never_change_ipv6_state(said in said()) {
        let inputs = stream(&said, 0);
        let v6 = prefix(3);
        let turned = with_updates(&inputs, |mut update| {
            if update.nlri[0].prefix != v6 {
                let announced = update.announced_from == 0;
                update.nlri[0].prefix = if update.nlri[0].prefix == prefix(0) { prefix(2) } else { prefix(0) };
                update.announced_from = u32::from(announced);
                update.announcement = (!announced).then(|| netfault_model::Announcement {
                    origin: Some(Asn(64999)),
                    path: [update.peer.asn, Asn(64999)].into(),
                });
            }
            vec![update]
        });
        let of_v6 = |inputs: &[Input]| -> Vec<Transition> {
            transitions(play(inputs)).into_iter().filter(|t| prefix_of(t) == v6).collect()
        };
        prop_assert_eq!(of_v6(&inputs), of_v6(&turned));
    }

    /// A message that is older than the last one of its session, and one whose stamp its source calls wrong.
    #[test]
    fn late_messages_change_nothing(said in said(), every in 1usize..6, later in 1usize..30, wrong in any::<bool>()) {
        let inputs = stream(&said, 0);
        let mut late: Vec<Input> = Vec::new();
        for (index, input) in inputs.iter().enumerate() {
            late.push(input.clone());
            let Some(Input::Update(old)) = index.checked_sub(later).map(|index| &inputs[index]) else { continue };
            let newer = inputs[index - later + 1..=index].iter().any(|input| {
                streams::peer_of(input) == Some(old.peer) && input.at() > old.at
            });
            // Of two messages of one moment, nobody can tell which one is repeated late.
            let alone = inputs.iter().filter(|input| {
                streams::peer_of(input) == Some(old.peer) && input.at() == old.at
            }).count() == 1;
            if index % every == 0 && (newer && alone || wrong) {
                let mut again = old.clone();
                if wrong {
                    again.arrival = if index % 2 == 0 { Arrival::Late } else { Arrival::Early };
                    again.at = again.at.plus_micros(index as i64 * 7_000_000);
                }
                late.push(Input::Update(again));
            }
        }
        prop_assert_eq!(transitions(play(&inputs)), transitions(play(&late)));
    }

    /// Other names, the same answer.
    #[test]
    fn renaming_asns_and_prefixes_gives_the_same_answer(said in said(), salt in 1u32..1000) {
        let inputs = stream(&said, 0);
        let rename = |asn: Asn| Asn(1 + (asn.0 * 7919 + salt * 104_729) % 1_000_003);
        let prefixes: [Prefix; 4] =
            ["10.20.100.0/24", "10.20.0.0/16", "10.1.113.0/24", "2a00:1::/48"].map(|p| p.parse().unwrap());
        let new = |p: Prefix| prefixes[(0..4).find(|&n| prefix(n) == p).unwrap()];
        let renamed = with_updates(&with_peers(&inputs, |peer| vec![Peer { asn: rename(peer.asn), ..peer }]), |mut update| {
            update.nlri[0].prefix = new(update.nlri[0].prefix);
            if let Some(announcement) = &mut update.announcement {
                announcement.origin = announcement.origin.map(rename);
                announcement.path = announcement.path.iter().map(|&asn| rename(asn)).collect();
            }
            vec![update]
        });
        let watch = netfault_model::Watch { all: true, prefixes: [prefixes[0], prefixes[3]].into(), ..Default::default() };
        let mut engine = netfault_engine::Engine::new(streams::settings(), Default::default(), watch);
        let mut out = Vec::new();
        renamed.iter().for_each(|input| engine.push(input.clone(), &mut out));
        engine.finish(None, &mut out);
        let plain = |t: &Transition, name: &dyn Fn(Asn) -> Asn, prefix: Prefix| {
            let e = evidence(t);
            let list = |asns: &[Asn]| -> BTreeSet<Asn> { asns.iter().map(|&asn| name(asn)).collect() };
            let lost: BTreeSet<(Asn, Time)> = e.lost.iter().map(|lost| (name(lost.peer_asn), lost.at)).collect();
            format!("{:?}", (t.at, prefix, t.from, t.to, t.visibility, t.cover, e.rule, list(&e.kept), list(&e.unknown), lost))
        };
        let mut before: Vec<String> =
            transitions(play(&inputs)).iter().map(|t| plain(t, &rename, new(prefix_of(t)))).collect();
        let mut after: Vec<String> = transitions(out).iter().map(|t| plain(t, &|asn| asn, prefix_of(t))).collect();
        before.sort();
        after.sort();
        prop_assert_eq!(before, after);
    }

    /// A collector that goes away in mid-stream, or was never there, takes nothing with it: prefixes that nobody withdraws
    /// stay, whatever happens to another one.
    #[test]
    fn removing_a_collector_never_creates_an_outage(said in said(), from in 0usize..300, which in any::<bool>()) {
        let calm: Vec<Said> = said.into_iter().filter(|it| {
            !it.withdraws() || matches!(it, Said::One { prefix: 0, .. } | Said::Many { prefix: 0, .. } | Said::Session { .. })
        }).collect();
        let inputs = stream(&calm, 0);
        let gone = if which { "one" } else { "two" };
        let silent_from = inputs[from.min(inputs.len() - 1)].at();
        let rest: Vec<Input> = inputs.into_iter().filter(|input| {
            input.at() < silent_from || streams::peer_of(input).is_none_or(|peer| peer.collector.name() != gone)
        }).collect();
        let resets: BTreeSet<Peer> = rest.iter().filter_map(|input| match input {
            Input::Peer(state) => Some(state.peer),
            _ => None,
        }).collect();
        // Not even if a tenth of the baseline were enough for a verdict.
        let settings = netfault_engine::Settings { min_known: 0.1, ..streams::settings() };
        let mut engine = netfault_engine::Engine::new(settings, Default::default(), streams::watch());
        let mut out = Vec::new();
        rest.into_iter().for_each(|input| engine.push(input, &mut out));
        engine.finish(None, &mut out);
        for t in transitions(out) {
            // A session that was reset may really come back without the route; a fall has to be made of those.
            let lost = &evidence(&t).lost;
            let reset_only = !lost.is_empty()
                && lost.iter().all(|l| l.inferred && resets.iter().any(|peer| peer.asn == l.peer_asn));
            let down = matches!(t.to, State::Degrading | State::Out | State::Partial);
            prop_assert!(!down || prefix_of(&t) == prefix(0) || reset_only, "{t:?}");
        }
    }

    /// Nothing is heard any more: what was known becomes Unknown, and nothing becomes Out or Normal.
    #[test]
    fn removing_all_input_gives_unknown(said in said(), from in 0usize..400) {
        let inputs = stream(&said, 0);
        let cut = inputs[from.min(inputs.len() - 1)].at();
        let rest: Vec<Input> = inputs.into_iter().filter(|input| input.at() <= cut && !matches!(input, Input::Tick(_))).collect();
        let end = rest.last().map_or(cut, Input::at);
        let told = played_until(&rest, end.plus_micros(86_400_000_000));
        let mut last: BTreeMap<Prefix, &Transition> = BTreeMap::new();
        for t in &told {
            // Until the silence is one (180 s), holds run out as they would have.
            let known_silent = t.at > end.plus_micros(180_000_000);
            prop_assert!(!known_silent || t.to == State::Unknown, "{t:?}");
            last.insert(prefix_of(t), t);
        }
        for (prefix, t) in last {
            prop_assert!(t.to == State::Unknown || t.to == State::Normal && !t.watched, "{prefix} {t:?}");
        }
    }

    /// Peers withdraw and announce again within less than the shortest hold, again and again.
    #[test]
    fn a_signal_shorter_than_its_hold_never_transitions(
        dips in prop::collection::vec((0i64..9_900_000, 60_000_000i64..100_000_000, 1..=PEERS, 0usize..4), 1..20)
    ) {
        let mut said: Vec<Said> = (0..4).map(|prefix| Said::Many {
            after: 1000, from: 0, peers: PEERS, prefix, announce: true, apart: 0,
        }).collect();
        said.push(Said::Pause { after: 70_000_000 });
        for (lasts, pause, peers, prefix) in dips {
            said.push(Said::Many { after: pause, from: 0, peers, prefix, announce: false, apart: 0 });
            said.push(Said::Many { after: lasts, from: 0, peers: PEERS, prefix, announce: true, apart: 0 });
        }
        let inputs = stream(&said, 0);
        let inputs = &inputs[..inputs.len() - 1];
        for t in transitions(play(inputs)) {
            prop_assert_eq!((t.from, t.to), (State::Unknown, State::Normal));
        }
    }

    /// While it is out: a return that lasts for less than its hold, and one that does not reach the threshold at which
    /// Out is left, change nothing. Entry (20 %) and leave (65 %) keep their distance.
    #[test]
    fn out_is_left_neither_for_a_moment_nor_for_a_few(
        returns in prop::collection::vec((1usize..=PEERS, 0i64..90_000_000, 20_000_000i64..40_000_000), 1..20)
    ) {
        let many = |after, peers, announce| Said::Many { after, from: 0, peers, prefix: 2, announce, apart: 0 };
        let mut said = vec![many(1000, PEERS, true), Said::Pause { after: 90_000_000 }, many(1000, PEERS, false)];
        said.push(Said::Pause { after: 40_000_000 });
        for (peers, lasts, pause) in returns {
            // Seven of eleven peer ASes are 64 %.
            let lasts = if peers > 7 { lasts % 30_000_000 } else { lasts };
            said.push(many(pause, peers, true));
            said.push(many(lasts, PEERS, false));
        }
        let inputs = stream(&said, 0);
        let told = transitions(play(&inputs[..inputs.len() - 1]));
        prop_assert_eq!(told.last().map(|t| t.to), Some(State::Out));
        prop_assert_eq!(told.iter().filter(|t| t.to == State::Out).count(), 1);
    }

    /// Up to four sessions go down at once, come back and send the tables that they had.
    #[test]
    fn a_reset_with_the_same_table_makes_no_transition(
        first in 0usize..8,
        many in 1usize..5,
        away in 0i64..150,
        order in Just([0usize, 1, 2, 3]).prop_shuffle(),
        apart in 0i64..30,
        told_end in any::<bool>(),
    ) {
        let reset = first..first + many;
        let mut others = streams::script::Script::learned();
        others.alive(20..900, 0..PEERS);
        let mut script = streams::script::Script::learned();
        let rest: Vec<usize> = (0..PEERS).filter(|who| !reset.contains(who)).collect();
        script.alive(20..900, rest).alive(20..200, reset.clone());
        for who in reset {
            script.session(200, who, netfault_model::SessionState::Down);
            script.session(200 + away, who, netfault_model::SessionState::Up);
            let mut at = 200 + away;
            for what in order {
                at += apart;
                script.say(at, who, what, true);
            }
            if told_end {
                script.end_of_rib(at, who, netfault_model::Family::V4);
                script.end_of_rib(at, who, netfault_model::Family::V6);
            }
        }
        let plain = |t: Transition| (t.at, t.from, t.to, prefix_of(&t));
        let undisturbed: Vec<_> = transitions(play(&others.inputs(900))).into_iter().map(plain).collect();
        let disturbed: Vec<_> = transitions(play(&script.inputs(900))).into_iter().map(plain).collect();
        prop_assert_eq!(undisturbed, disturbed);
    }
}

/// What is kept does not grow over days that are alike: it is bounded by peers and prefixes.
#[test]
fn memory_is_bounded_by_peers_and_prefixes_not_by_time() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    const DAY: i64 = 86_400_000_000;
    for _ in 0..8 {
        let said = said().new_tree(&mut runner).unwrap().current();
        let (mut engine, mut out) = (engine(), Vec::<Output>::new());
        let mut sizes = Vec::new();
        for day in 0..24 {
            for input in stream(&said, day * DAY) {
                engine.push(input, &mut out);
            }
            out.clear();
            sizes.push((postcard::to_stdvec(&engine).unwrap().len(), engine.deadlines()));
        }
        let (settled, later) = (&sizes[8..16], &sizes[16..]);
        let largest = |days: &[(usize, usize)]| {
            (
                days.iter().map(|day| day.0).max().unwrap(),
                days.iter().map(|day| day.1).max().unwrap(),
            )
        };
        let ((bytes, waiting), (bytes_later, waiting_later)) = (largest(settled), largest(later));
        assert!(bytes_later <= bytes + bytes / 20, "{sizes:?}");
        assert!(waiting_later <= waiting + 8, "{sizes:?}");
    }
}
