//! What must hold for any course of events.

use std::time::Duration;

use netfault_model::{Outcome, Probe, Role, State, Time, Transition};
use proptest::prelude::*;

use super::tests::{T0, probe, server};
use super::{DnsSettings, Names};

const AUTHORITIES: usize = 4;
const RESOLVERS: usize = 2;
/// Questions in a round: one per authority, two per resolver.
const SLOTS: usize = AUTHORITIES + 2 * RESOLVERS;

/// Per round, per slot, an outcome.
type Script = Vec<[Outcome; SLOTS]>;

/// All but `Void`, which is as if nobody had asked.
fn outcome() -> impl Strategy<Value = Outcome> {
    let failure: Vec<Outcome> = Outcome::ALL
        .into_iter()
        .filter(|outcome| *outcome != Outcome::Void)
        .collect();
    let failure = prop::sample::select(failure);
    prop_oneof![3 => Just(Outcome::Ok), 2 => failure, 2 => Just(Outcome::Timeout)]
}

/// Rounds that come in runs, so that rises and falls have the time to happen.
fn script() -> impl Strategy<Value = Script> {
    let run = (prop::array::uniform8(outcome()), 1usize..16);
    prop::collection::vec(run, 1..12).prop_map(|runs| {
        runs.into_iter()
            .flat_map(|(slots, times)| vec![slots; times])
            .collect()
    })
}

fn slot(n: usize) -> (Role, u8, &'static str) {
    if n < AUTHORITIES {
        (Role::Authority, n as u8, "SOA")
    } else {
        let n = n - AUTHORITIES;
        (Role::Resolver, 100 + (n / 2) as u8, ["A", "AAAA"][n % 2])
    }
}

/// The probes of one name, every 30 s; within a round in the order given, one millisecond apart.
fn probes(name: &str, start: Time, script: &Script, order: &[usize]) -> Vec<Probe> {
    let mut probes = Vec::new();
    for (round, outcomes) in script.iter().enumerate() {
        for (place, n) in order.iter().enumerate() {
            let (role, addr, qtype) = slot(*n);
            let at = start + Duration::from_millis(round as u64 * 30_000 + place as u64);
            probes.push(probe(at, name, role, server(addr), qtype, outcomes[*n]));
        }
    }
    probes
}

fn run(probes: &[Probe]) -> Vec<Transition> {
    let mut names = Names::new(DnsSettings::default());
    let mut out = Vec::new();
    for probe in probes {
        names.probe(probe.at, probe, &mut out);
    }
    if let Some(last) = probes.last() {
        names.fire(last.at + Duration::from_secs(100), &mut out);
    }
    out
}

fn steps(transitions: &[Transition]) -> Vec<(State, State)> {
    transitions.iter().map(|step| (step.from, step.to)).collect()
}

fn is_legal(from: State, to: State) -> bool {
    use State::{Degraded, Ok, Out, Partial, Recovering, Unknown};
    match from {
        Unknown => matches!(to, Ok | Partial | Degraded | Out),
        Ok => matches!(to, Partial | Degraded | Out | Unknown),
        Partial => matches!(to, Ok | Degraded | Out | Unknown),
        Degraded => matches!(to, Ok | Partial | Out | Unknown),
        Out => matches!(to, Recovering | Unknown),
        Recovering => matches!(to, Ok | Partial | Degraded | Out | Unknown),
        _ => false,
    }
}

fn identity() -> Vec<usize> {
    (0..SLOTS).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Authorities among themselves, and resolvers among themselves, may answer in any order: same states,
    /// same moments. (Two roles are two rounds: their answers never mix.)
    #[test]
    fn the_order_of_answers_in_a_round_is_nothing(
        script in script(),
        authorities in Just((0..AUTHORITIES).collect::<Vec<_>>()).prop_shuffle(),
        resolvers in Just((AUTHORITIES..SLOTS).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let shuffled: Vec<usize> = authorities.into_iter().chain(resolvers).collect();
        let one = run(&probes("example.com", T0, &script, &identity()));
        let other = run(&probes("example.com", T0, &script, &shuffled));
        let moments = |run: &[Transition]| -> Vec<_> {
            run.iter().map(|step| (step.to, step.at, step.finding, step.servers_ok, step.resolvers_ok)).collect()
        };
        prop_assert_eq!(moments(&one), moments(&other));
    }

    #[test]
    fn a_duplicate_counts_once(script in script(), again in 1usize..4) {
        let once = probes("example.com", T0, &script, &identity());
        let more: Vec<Probe> = once.iter().flat_map(|probe| vec![probe.clone(); again]).collect();
        prop_assert_eq!(run(&once), run(&more));
    }

    #[test]
    fn another_time_gives_the_same_answer_at_that_time(script in script(), shift in 0u64..100_000_000) {
        let shift = Duration::from_micros(shift * 1013);
        let now = run(&probes("example.com", T0, &script, &identity()));
        let mut later = run(&probes("example.com", T0 + shift, &script, &identity()));
        for step in &mut later {
            step.at = step.at - shift;
            step.first_evidence_at = step.first_evidence_at - shift;
        }
        prop_assert_eq!(now, later);
    }

    #[test]
    fn ticks_change_nothing(script in script(), every in 1u64..50) {
        let probes = probes("example.com", T0, &script, &identity());
        let mut names = Names::new(DnsSettings::default());
        let mut out = Vec::new();
        let mut clock = T0;
        for probe in &probes {
            while clock < probe.at {
                names.fire(clock, &mut out);
                clock = clock + Duration::from_millis(every * 517);
            }
            names.probe(probe.at, probe, &mut out);
        }
        names.fire(probes[probes.len() - 1].at + Duration::from_secs(100), &mut out);
        prop_assert_eq!(out, run(&probes));
    }

    #[test]
    fn only_legal_edges_and_each_from_where_the_last_one_ended(script in script()) {
        let mut state = State::Unknown;
        let mut at = Time::MIN;
        for step in run(&probes("example.com", T0, &script, &identity())) {
            prop_assert_eq!(step.from, state);
            prop_assert!(is_legal(step.from, step.to), "{} to {}", step.from.name(), step.to.name());
            prop_assert!(step.at >= at && step.first_evidence_at <= step.at);
            (state, at) = (step.to, step.at);
        }
    }

    /// Resolvers that answer from their cache all the time do not keep a name from being Out.
    #[test]
    fn a_cached_answer_is_no_healthy_authority(lead in 2usize..10) {
        let mut script: Script = vec![[Outcome::Ok; SLOTS]; lead];
        let mut dead = [Outcome::Ok; SLOTS];
        dead[..AUTHORITIES].fill(Outcome::Timeout);
        script.extend([dead; 2]);
        let steps = steps(&run(&probes("example.com", T0, &script, &identity())));
        prop_assert_eq!(steps.last().copied(), Some((State::Ok, State::Out)));
    }

    /// From the moment when nothing is heard any more, no name goes Out, in whatever state it was.
    #[test]
    fn vantage_loss_never_makes_an_outage(one in script(), other in script(), offset in 1u64..29_000) {
        let lost = vec![[Outcome::Timeout; SLOTS]; 10];
        let rounds = one.len().min(other.len());
        let cut = T0 + Duration::from_secs(rounds as u64 * 30);
        let course = |name: &str, script: &Script, start: Time| {
            let script: Script = script[..rounds].iter().chain(&lost).copied().collect();
            let mut probes = probes(name, start, &script, &identity());
            // The cut is a moment, not a round: whatever is asked later is lost.
            for probe in probes.iter_mut().filter(|probe| probe.at >= cut) {
                probe.outcome = Outcome::Timeout;
            }
            probes
        };
        let mut probes = course("a.example", &one, T0);
        probes.extend(course("b.example", &other, T0 + Duration::from_millis(offset)));
        probes.sort_by_key(|probe| probe.at);
        for step in run(&probes) {
            let from_before = step.first_evidence_at < cut;
            prop_assert!(step.at < cut || step.to != State::Out || from_before, "{:?}", step);
        }
    }
}

mod several {
    use super::super::lab::Lab;
    use super::*;

    const VANTAGES: &[&str] = &["a", "b", "c"];

    /// What a vantage finds while nothing changes: its four authorities and two resolvers.
    fn found() -> impl Strategy<Value = ([bool; 4], [Outcome; 2])> {
        let resolver = prop::sample::select(vec![
            Outcome::Ok,
            Outcome::Ok,
            Outcome::Servfail,
            Outcome::Bogus,
            Outcome::Nxdomain,
            Outcome::WrongAnswer,
            Outcome::Timeout,
        ]);
        (
            prop::array::uniform4(any::<bool>()),
            prop::array::uniform2(resolver),
        )
    }

    /// How an authority can fail.
    fn failing() -> impl Strategy<Value = Outcome> {
        prop::sample::select(vec![
            Outcome::Timeout,
            Outcome::NetUnreachable,
            Outcome::ConnRefused,
            Outcome::Servfail,
            Outcome::Refused,
            Outcome::Lame,
            Outcome::Notimp,
            Outcome::Formerr,
            Outcome::Truncated,
            Outcome::Malformed,
        ])
    }

    /// How a vantage is lost.
    #[derive(Clone, Copy, Debug)]
    enum Loss {
        None,
        /// The agent is gone.
        Gone,
        /// Its uplink is cut; the resolvers beside it still answer as before, or fail with their canaries or not.
        Cut,
        CutServfail,
        CutDead,
    }

    fn loss() -> impl Strategy<Value = Loss> {
        prop::sample::select(vec![
            Loss::None,
            Loss::Gone,
            Loss::Cut,
            Loss::CutServfail,
            Loss::CutDead,
        ])
    }

    fn lose(lab: &mut Lab, losses: [Loss; 3]) {
        for (from, loss) in lab.from.iter_mut().zip(losses) {
            match loss {
                Loss::None => continue,
                Loss::Gone => from.asks = false,
                Loss::Cut => from.cut(),
                Loss::CutServfail => {
                    from.cut();
                    from.resolvers.fill(Outcome::Servfail);
                }
                Loss::CutDead => {
                    from.cut();
                    from.resolvers.fill(Outcome::Timeout);
                    from.canaries.fill([Outcome::Timeout; 2]);
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(192))]

        /// Nothing changes but that vantages are lost, in whatever way, and come back: no name goes Out by that.
        #[test]
        fn losing_vantages_never_makes_an_outage(
            vantages in 1usize..4,
            found in prop::array::uniform3(found()),
            losses in prop::array::uniform3(loss()),
            rounds in 6usize..60,
        ) {
            let mut lab = Lab::settled(&VANTAGES[..vantages]);
            for (from, (alive, resolvers)) in lab.from.iter_mut().zip(found) {
                for ((_, outcome), alive) in from.authorities.iter_mut().zip(alive) {
                    *outcome = if alive { Outcome::Ok } else { Outcome::Timeout };
                }
                from.resolvers = resolvers.to_vec();
            }
            lab.rounds(rounds);
            let was_out = lab.took().last().is_some_and(|(state, _)| *state == State::Out);
            let before = lab.from.clone();
            // What was found before may end in an outage by itself.
            let mut unharmed = lab.clone();
            unharmed.rounds(50);
            let fails = was_out || unharmed.steps.iter().any(|step| step.to == State::Out);
            lose(&mut lab, losses);
            lab.rounds(40);
            for step in &lab.steps {
                prop_assert!(step.to != State::Out, "{:?}", step);
            }
            lab.from = before;
            lab.rounds(10);
            for step in &lab.steps {
                prop_assert!(fails || step.to != State::Out, "{:?}", step);
            }
        }

        /// Whatever went before: once every server fails, in whatever way, no answer of a resolver (fresh, cached or
        /// stale, of any TTL) counts for one of them, and the name is Out by the end of the second round.
        #[test]
        fn no_cached_answer_is_a_healthy_authority(
            before in prop::collection::vec((prop::array::uniform3(found()), 1usize..14), 0..4),
            vantages in 1usize..4,
            dead in prop::array::uniform4(failing()),
            ttl in 0u32..100_000,
            stale in any::<bool>(),
        ) {
            let mut lab = Lab::settled(&VANTAGES[..vantages]);
            for (found, rounds) in before {
                for (from, (alive, resolvers)) in lab.from.iter_mut().zip(found) {
                    for ((_, outcome), alive) in from.authorities.iter_mut().zip(alive) {
                        *outcome = if alive { Outcome::Ok } else { Outcome::Timeout };
                    }
                    from.resolvers = resolvers.to_vec();
                }
                lab.rounds(rounds);
            }
            lab.resolvers(Outcome::Ok);
            lab.ttl = ttl;
            for from in &mut lab.from {
                from.stale = stale;
                from.authorities.iter_mut().zip(dead).for_each(|((_, outcome), dead)| *outcome = dead);
            }
            lab.rounds(2);
            prop_assert_eq!(lab.steps.last().map(|step| step.to), Some(State::Out));
        }

        /// Within the answers of one role from one vantage the order is nothing, control questions included.
        #[test]
        fn order_is_nothing_from_several_vantages_either(
            course in prop::collection::vec((prop::array::uniform3(found()), 1usize..14), 1..6),
            stride in 1usize..97,
        ) {
            let run = |shuffled: bool| {
                let mut lab = Lab::new(VANTAGES);
                for (found, rounds) in &course {
                    for (from, (alive, resolvers)) in lab.from.iter_mut().zip(found) {
                        for (n, (_, outcome)) in from.authorities.iter_mut().enumerate() {
                            *outcome = if alive[n] { Outcome::Ok } else { Outcome::Timeout };
                        }
                        from.resolvers = resolvers.to_vec();
                        from.controls[0].1 = from.authorities[3].1;
                        from.controls[1].1 = from.authorities[2].1;
                        from.canaries[0] = [from.authorities[3].1, from.authorities[1].1];
                    }
                    for _ in 0..*rounds {
                        lab.names.fire(lab.now, &mut lab.steps);
                        let mut probes = lab.probes();
                        let times: Vec<Time> = probes.iter().map(|probe| probe.at).collect();
                        for group in probes.chunk_by_mut(|a, b| (a.role, &a.vantage) == (b.role, &b.vantage)) {
                            let count = group.len();
                            if shuffled {
                                group.rotate_left(stride % count);
                                group[..count / 2].reverse();
                            }
                        }
                        for (probe, at) in probes.iter_mut().zip(times) {
                            probe.at = at;
                            lab.names.probe(at, probe, &mut lab.steps);
                        }
                        lab.now = lab.now + Duration::from_secs(30);
                    }
                }
                let steps = lab.steps.into_iter();
                steps.map(|step| (step.to, step.at, step.finding, step.servers_ok)).collect::<Vec<_>>()
            };
            prop_assert_eq!(run(false), run(true));
        }
    }
}
