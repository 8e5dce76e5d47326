//! Random stories of a few prefixes: whatever happens, what is said of it is sound.

use proptest::prelude::*;

use super::*;

/// Falls and rises of a few prefixes of a few origins, as a state machine would say them.
fn story() -> impl Strategy<Value = Vec<Transition>> {
    let step = (0i64..900, 100u32..103, 0u32..4, 0u8..8);
    prop::collection::vec(step, 1..60).prop_map(|steps| {
        let (mut now, mut states, mut told) = (0, BTreeMap::new(), Vec::new());
        for (after, origin, index, what) in steps {
            now += if after < 300 { 0 } else { after - 300 };
            let state = states.entry((origin, index)).or_insert(State::Normal);
            let to = match (*state, what) {
                (State::Unknown, 0..4) => State::Out,
                (State::Unknown, _) => State::Normal,
                (State::Normal, _) => State::Out,
                (_, 0) => State::Unknown,
                (_, 1) => State::Gone,
                _ => State::Normal,
            };
            told.push(transition(subject(origin, index), *state, to, now, now - 30));
            *state = if to == State::Gone { State::Normal } else { to };
        }
        told
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_incident_is_a_sound_story(told in story()) {
        let said = play(told.clone());
        let mut by_id: BTreeMap<Id, Vec<&Incident>> = BTreeMap::new();
        said.iter().for_each(|incident| by_id.entry(incident.id).or_default().push(incident));
        for versions in by_id.values() {
            prop_assert_eq!(versions[0].state, IncidentState::Open);
            for (index, it) in versions.iter().enumerate() {
                prop_assert_eq!(it.version as usize, index + 1);
                prop_assert!(it.first_evidence_at <= it.raised_at && it.raised_at <= it.at);
                prop_assert_eq!(it.first_evidence_at, versions[0].first_evidence_at);
                prop_assert!((0.0..=1.0).contains(&it.confidence) && (1..=5).contains(&it.severity));
                prop_assert!(it.children.windows(2).all(|pair| pair[0].subject < pair[1].subject));
                let down = it.children.iter().filter(|child| child.state == State::Out).count();
                prop_assert!(it.prefixes_down as usize >= down);
                let settled = it.children.iter().all(|child| severity::is_settled(child.state));
                prop_assert!(it.state != IncidentState::Resolved || settled && it.cleared_at.is_some());
            }
        }
        // A prefix is in trouble if and only if an open incident says so.
        let mut last: BTreeMap<Subject, State> = BTreeMap::new();
        told.iter().for_each(|it| { last.insert(it.subject.clone(), it.to); });
        let open = by_id.values().filter_map(|versions| versions.last())
            .filter(|it| matches!(it.state, IncidentState::Open | IncidentState::Update));
        let troubled: BTreeSet<Subject> = open.flat_map(|it| &it.children)
            .filter(|child| !severity::is_settled(child.state) && child.state != State::Unknown)
            .map(|child| child.subject.clone()).collect();
        let expected: BTreeSet<Subject> = last.into_iter().filter(|(_, state)| *state == State::Out).map(|(subject, _)| subject).collect();
        prop_assert_eq!(troubled, expected);
    }

    #[test]
    fn the_order_within_one_instant_means_nothing(told in story(), seed in any::<u64>()) {
        let mut shuffled = told.clone();
        // Of different subjects only: the edges of one subject have an order.
        shuffled.sort_by_key(|it| {
            let (_, what) = it.subject.key();
            (it.at, Id::of(&[&what, &seed.to_string()]))
        });
        prop_assert_eq!(play(told), play(shuffled));
    }

    #[test]
    fn a_saved_state_goes_on_as_if_nothing_had_been(told in story(), cut in 0usize..60) {
        let whole = play(told.clone());
        let cut = told.get(cut.min(told.len() - 1)).map(|it| it.at).unwrap();
        let mut play = Play::new();
        let mut rest = told;
        while rest.first().is_some_and(|it| it.at <= cut) {
            let now = rest[0].at;
            let after = rest.split_off(rest.partition_point(|it| it.at == now));
            play.run_to(now.plus_micros(-1));
            play.instant(now, std::mem::replace(&mut rest, after));
        }
        let saved = postcard::to_stdvec(&play.incidents).unwrap();
        play.incidents = postcard::from_bytes(&saved).unwrap();
        prop_assert_eq!(whole, play.play(rest));
    }
}
