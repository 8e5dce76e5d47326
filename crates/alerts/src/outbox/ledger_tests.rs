use super::*;
use netfault_model::Subject;

const MANNER: Manner = Manner {
    updates: true,
    acks: true,
    summary_every: 60_000_000,
};

fn at(secs: i64) -> Time {
    Time::from_secs(secs)
}

pub(crate) fn notice(id: &str, state: NoticeState) -> Notice {
    Notice {
        state,
        severity: 2,
        subject: Some(Subject::Name { name: id.to_owned() }),
        title: format!("{id} is {}.", state.name()),
        ..Notice::blank(id, at(2))
    }
}

fn open(id: &str) -> Notice {
    notice(id, NoticeState::Open)
}

fn update(id: &str, version: u32) -> Notice {
    Notice {
        version,
        ..notice(id, NoticeState::Update)
    }
}

fn resolved(id: &str) -> Notice {
    notice(id, NoticeState::Resolved)
}

fn put(ledger: &mut Ledger, notice: Notice) -> Put {
    let id = notice.id.clone();
    let put = ledger.put(notice, Some(Plan::PLAIN));
    look(ledger, &id);
    put
}

fn look(ledger: &mut Ledger, id: &str) {
    ledger.look(id, at(10), MANNER, &Quiet::default());
}

/// The receiver takes what is due of `id`.
fn accept(ledger: &mut Ledger, id: &str) -> NoticeState {
    let entry = ledger.get(id).expect("known");
    let version = entry.notice.version;
    let Due::Now(state) = entry.due(at(10), MANNER, false, false) else {
        panic!("nothing is due of {id}");
    };
    ledger.tried(id);
    ledger.accepted(id, state, version, at(10), None);
    look(ledger, id);
    state
}

fn waiting(ledger: &Ledger) -> Vec<(&str, NoticeState)> {
    ledger
        .waiting()
        .map(|entry| (entry.notice.id.as_str(), entry.notice.state))
        .collect()
}

#[test]
fn the_newest_state_keeps_the_place_of_the_older_one() {
    let mut ledger = Ledger::default();
    for notice in [open("a"), open("b"), update("a", 2), resolved("a")] {
        assert_eq!(put(&mut ledger, notice), Put::Kept);
    }
    assert_eq!(put(&mut ledger, open("a")), Put::Known);
    assert_eq!(
        waiting(&ledger),
        [("a", NoticeState::Resolved), ("b", NoticeState::Open)]
    );
}

#[test]
fn a_resolve_that_came_while_the_open_was_in_flight_still_waits() {
    let mut ledger = Ledger::default();
    put(&mut ledger, open("a"));
    ledger.tried("a");
    put(&mut ledger, resolved("a"));
    ledger.accepted("a", NoticeState::Open, 1, at(10), None);
    look(&mut ledger, "a");
    assert!(ledger.told("a"));
    assert_eq!(waiting(&ledger), [("a", NoticeState::Resolved)]);
    assert_eq!(accept(&mut ledger, "a"), NoticeState::Resolved);
    assert_eq!((ledger.len(), ledger.waiting_len()), (0, 0));
}

#[test]
fn the_first_thing_a_receiver_hears_is_an_open_and_then_the_newest_update() {
    let mut ledger = Ledger::default();
    put(&mut ledger, open("a"));
    put(&mut ledger, update("a", 2));
    assert_eq!(accept(&mut ledger, "a"), NoticeState::Open);
    assert_eq!(ledger.waiting_len(), 0, "the open said it all");
    assert_eq!(put(&mut ledger, update("a", 2)), Put::Known);
    put(&mut ledger, update("a", 3));
    put(&mut ledger, update("a", 4));
    assert_eq!(accept(&mut ledger, "a"), NoticeState::Update);
    assert_eq!(ledger.waiting_len(), 0);
    // An update that was in flight while a newer one came: the newer one is still due.
    put(&mut ledger, update("a", 5));
    ledger.accepted("a", NoticeState::Update, 4, at(10), None);
    look(&mut ledger, "a");
    assert_eq!(accept(&mut ledger, "a"), NoticeState::Update);
    assert_eq!(ledger.open().count(), 1);
}

#[test]
fn a_refused_open_is_forgotten_and_a_refused_update_is_not_tried_again() {
    let mut ledger = Ledger::default();
    put(&mut ledger, open("a"));
    ledger.refused("a", NoticeState::Open, 1);
    assert_eq!(ledger.len(), 0);
    put(&mut ledger, open("b"));
    accept(&mut ledger, "b");
    put(&mut ledger, update("b", 2));
    ledger.refused("b", NoticeState::Update, 2);
    look(&mut ledger, "b");
    assert_eq!(ledger.waiting_len(), 0);
    put(&mut ledger, resolved("b"));
    assert_eq!(accept(&mut ledger, "b"), NoticeState::Resolved);
}

#[test]
fn what_was_silenced_from_beginning_to_end_is_never_told() {
    let quiet_everything = {
        let folder = tempfile::tempdir().unwrap();
        let file = crate::silences::SilenceFile::new(folder.path().join("s"));
        let silence = crate::silences::Silence::new(Default::default(), at(0), at(100), "", "");
        file.change(|all| all.push(silence), at(0)).unwrap();
        crate::silences::Watcher::new(file, Vec::new()).look(at(10))
    };
    let mut ledger = Ledger::default();
    ledger.put(open("a"), Some(Plan::PLAIN));
    ledger.look("a", at(10), MANNER, &quiet_everything);
    ledger.put(open("b"), Some(Plan::PLAIN));
    ledger.look("b", at(10), MANNER, &quiet_everything);
    assert_eq!(ledger.waiting_len(), 0);
    assert_eq!(put(&mut ledger, resolved("a")), Put::Forgotten);
    // The silence ends while b is open.
    ledger.look_at_all(at(10), MANNER, &Quiet::default());
    assert_eq!(waiting(&ledger), [("b", NoticeState::Open)]);
    accept(&mut ledger, "b");
    // Another one begins: the end is told all the same.
    ledger.put(resolved("b"), Some(Plan::PLAIN));
    ledger.look("b", at(10), MANNER, &quiet_everything);
    assert_eq!(waiting(&ledger), [("b", NoticeState::Resolved)]);
}

#[test]
fn an_alert_whose_open_may_have_arrived_is_owed_its_end() {
    let mut ledger = Ledger::default();
    put(&mut ledger, open("a"));
    ledger.tried("a"); // and the answer was lost
    ledger.dequeue("a");
    assert_eq!(put(&mut ledger, resolved("a")), Put::Kept);
    assert_eq!(waiting(&ledger), [("a", NoticeState::Resolved)]);
}

#[test]
fn a_full_ledger_takes_no_new_id_but_every_resolve_it_owes() {
    let mut ledger = Ledger::default();
    for n in 0..Ledger::MAX {
        put(&mut ledger, open(&n.to_string()));
    }
    assert_eq!(put(&mut ledger, open("one more")), Put::Full);
    assert_eq!(
        put(&mut ledger, resolved("one more")),
        Put::Known,
        "never told, so not owed"
    );
    assert_eq!(put(&mut ledger, resolved("7")), Put::Kept);
    assert_eq!(ledger.len(), Ledger::MAX);
}

fn of_origin(id: &str, prefix: Option<&str>, severity: u8) -> Notice {
    let origin = netfault_model::Asn(64500);
    let subject = match prefix {
        Some(prefix) => Subject::Prefix {
            prefix: prefix.parse().unwrap(),
            origin: Some(origin),
        },
        None => Subject::Origin { origin },
    };
    let mut incident = crate::samples::incident(&subject);
    incident.severity = severity;
    Notice {
        severity,
        subject: Some(subject),
        incident: Some(Box::new(incident)),
        ..open(id)
    }
}

#[test]
fn a_part_of_what_was_told_is_told_only_when_the_whole_is_over() {
    let mut ledger = Ledger::default();
    put(&mut ledger, of_origin("whole", None, 3));
    put(&mut ledger, of_origin("part", Some("192.0.2.0/24"), 2));
    put(&mut ledger, of_origin("louder", Some("198.51.100.0/24"), 4));
    accept(&mut ledger, "whole");
    look(&mut ledger, "part");
    look(&mut ledger, "louder");
    assert_eq!(waiting(&ledger), [("louder", NoticeState::Open)]);
    put(
        &mut ledger,
        Notice {
            state: NoticeState::Resolved,
            ..of_origin("whole", None, 3)
        },
    );
    assert_eq!(accept(&mut ledger, "whole"), NoticeState::Resolved);
    ledger.look_at_all(at(10), MANNER, &Quiet::default());
    assert_eq!(
        waiting(&ledger),
        [("louder", NoticeState::Open), ("part", NoticeState::Open)]
    );
}

#[test]
fn what_a_cap_holds_back_is_told_as_one_number_that_ends_with_the_last() {
    let mut ledger = Ledger::default();
    for id in ["a", "b"] {
        put(&mut ledger, open(id));
        ledger.sum_up(id, at(10));
        let summary = ledger.gather(groups::SUMMARY, "hook", &open(id), at(10)).unwrap();
        assert_eq!(put(&mut ledger, summary), Put::Kept);
    }
    assert_eq!(ledger.waiting_len(), 0, "it waits for more to count");
    ledger.wake(at(16), MANNER, &Quiet::default());
    let (id, title) = {
        let entry = ledger.waiting().next().unwrap();
        (entry.notice.id.clone(), entry.notice.title.clone())
    };
    assert!(title.starts_with("2 more alerts suppressed"), "{title}");
    assert_eq!(put(&mut ledger, resolved("a")), Put::Forgotten);
    assert_eq!(ledger.ended_summary(), None);
    ledger.accepted(&id, NoticeState::Open, 2, at(16), None);
    assert_eq!(put(&mut ledger, resolved("b")), Put::Forgotten);
    let end = ledger.ended_summary().unwrap();
    put(&mut ledger, end);
    assert_eq!(accept(&mut ledger, &id), NoticeState::Resolved);
    assert_eq!(ledger.len(), 0);
}

#[test]
fn members_of_a_group_are_one_alert() {
    let mut ledger = Ledger::default();
    for member in [open("a"), open("b")] {
        let group = ledger.gather("r/x", "hook", &member, at(10)).unwrap();
        put(&mut ledger, group);
    }
    assert_eq!(ledger.waiting_len(), 1);
    let id = waiting(&ledger)[0].0.to_owned();
    assert_eq!(accept(&mut ledger, &id), NoticeState::Open);
    // Another key by now, but it stays where it was told.
    let group = ledger.gather("r/y", "hook", &resolved("a"), at(10)).unwrap();
    assert_eq!((group.id.as_str(), group.is_over()), (id.as_str(), false));
    put(&mut ledger, group);
    let group = ledger.gather("r/x", "hook", &resolved("b"), at(10)).unwrap();
    assert!(group.is_over());
    put(&mut ledger, group);
    assert_eq!(accept(&mut ledger, &id), NoticeState::Resolved);
    let again = ledger.gather("r/x", "hook", &open("c"), at(10)).unwrap();
    assert_ne!(again.id, id);
}

/// Random records against the ledger that is built from its own snapshot at every step.
#[test]
fn a_snapshot_makes_the_same_ledger() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut ledger = Ledger::default();
    for step in 0..2_000_i64 {
        let id = random.u8(0..12).to_string();
        let version = random.u32(1..5);
        let state = NoticeState::ALL[random.usize(0..5)];
        match random.u8(0..8) {
            6 => drop(ledger.hold(&id)),
            7 => drop(ledger.release(&id)),
            0 | 1 => drop(put(
                &mut ledger,
                Notice {
                    version,
                    ..notice(&id, state)
                },
            )),
            2 => ledger.accepted(&id, state, version, at(step), None),
            3 => drop(ledger.ack(&id, "ann")),
            4 => ledger.sum_up(&id, at(step)),
            _ => ledger.refused(&id, state, version),
        }
        look(&mut ledger, &id);
        let mut again = Ledger::default();
        ledger
            .snapshot()
            .into_iter()
            .for_each(|record| again.apply(record));
        assert_eq!(again.snapshot(), ledger.snapshot());
        let told = ledger.open().filter(|entry| entry.told.is_some()).count();
        let over = ledger
            .waiting()
            .filter(|entry| entry.notice.is_over() && entry.told.is_some());
        assert_eq!(
            (ledger.told_len(), again.told_len()),
            (told + over.count(), ledger.told_len())
        );
        assert_eq!(waiting(&again), waiting(&ledger));
    }
}

/// What happens to one alert, in any order, with a receiver that loses answers: it never holds an open whose resolve
/// is not coming.
#[test]
fn no_open_without_its_resolve_whatever_happens() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut ledger = Ledger::default();
        let mut held_by_receiver = false;
        let mut over = false;
        put(&mut ledger, open("a"));
        for step in 0..40 {
            match random.u8(0..8) {
                0 if !over => drop(put(&mut ledger, update("a", step + 2))),
                1 if !over => {
                    over = true;
                    put(
                        &mut ledger,
                        Notice {
                            version: 99,
                            ..resolved("a")
                        },
                    );
                }
                2 => {
                    // A crash: what is on disk is played.
                    let mut again = Ledger::default();
                    ledger
                        .snapshot()
                        .into_iter()
                        .for_each(|record| again.apply(record));
                    ledger = again;
                    ledger.look_at_all(at(10), MANNER, &Quiet::default());
                }
                _ => {
                    let Some(entry) = ledger.waiting().next() else {
                        continue;
                    };
                    let version = entry.notice.version;
                    let Due::Now(state) = entry.due(at(10), MANNER, false, false) else {
                        continue;
                    };
                    ledger.tried("a");
                    if random.bool() {
                        held_by_receiver = state != NoticeState::Resolved;
                        if random.bool() {
                            ledger.accepted("a", state, version, at(10), None);
                            look(&mut ledger, "a");
                        }
                    }
                }
            }
        }
        if held_by_receiver && over {
            assert!(
                ledger.waiting().any(|entry| entry.notice.is_over()),
                "seed {seed}: the receiver holds it open and nothing waits"
            );
        }
    }
}
