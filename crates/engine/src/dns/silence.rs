//! Vantages that report nothing, or nothing in time, any more.

use std::time::Duration;

use netfault_model::{Finding, NotableKind, Outcome, State, Time};

use super::lab::Lab;
use super::{DnsSettings, Names};

const OUT: (State, Finding) = (State::Out, Finding::AuthorityUnreachable);
const ABC: &[&str] = &["a", "b", "c"];
const LOST: (NotableKind, bool) = (NotableKind::VantageOffline, false);
const BACK: (NotableKind, bool) = (NotableKind::VantageOffline, true);

/// Rounds of 30 s until what was asked last was asked more than 180 s ago.
const STALE_ROUNDS: usize = 6;

/// When vantage `from` asked last, if it does so no more from now on.
fn last_asked(lab: &Lab, from: usize) -> Time {
    let mut before = lab.clone();
    before.now = before.now.plus_micros(-30_000_000);
    let vantage = lab.from[from].vantage;
    let probes = before.probes();
    let own = probes.iter().filter(|probe| probe.vantage == vantage);
    own.map(|probe| probe.at).max().expect("it asked")
}

#[test]
fn a_vantage_that_reports_nothing_is_told_at_its_time_and_taken_back_when_it_does() {
    let mut lab = Lab::settled(ABC);
    let last = last_asked(&lab, 0);
    lab.from[0].asks = false;
    lab.rounds(STALE_ROUNDS - 1);
    assert_eq!(lab.said, [], "five rounds may be late");
    lab.rounds(20);
    let said = lab.said.clone();
    assert_eq!(lab.heard(), [LOST], "once");
    assert_eq!(
        (said[0].at, said[0].first_evidence_at, said[0].summary.as_str()),
        (
            last + Duration::from_secs(180),
            last,
            "Vantage a has not reported in time for 3 min: names are judged without it"
        )
    );
    lab.from[0].asks = true;
    lab.round();
    assert_eq!(lab.said[0].id, said[0].id);
    assert_eq!(lab.heard(), [BACK]);
    assert_eq!(lab.took(), [], "the name is seen by others all the time");
}

/// It saw the name fail, which the others do not: once it is silent, that says nothing any more.
#[test]
fn its_vote_goes_with_it() {
    let mut lab = Lab::settled(&["a", "b"]);
    for from in &mut lab.from {
        for (_, outcome) in &mut from.authorities[..2] {
            *outcome = Outcome::Timeout;
        }
    }
    lab.rounds(3);
    assert_eq!(
        lab.took().last(),
        Some(&(State::Degraded, Finding::AuthorityPartial))
    );
    lab.from[1]
        .authorities
        .iter_mut()
        .for_each(|(_, it)| *it = Outcome::Ok);
    lab.from[0].asks = false;
    lab.rounds(STALE_ROUNDS + 150);
    assert_eq!(lab.took(), [(State::Ok, Finding::None)]);
}

/// An agent whose uplink is cut sees nobody, and soon cannot report that either.
#[test]
fn cut_off_first_and_silent_then_is_one_statement() {
    let mut lab = Lab::settled(ABC);
    lab.from[0].cut();
    lab.rounds(4);
    assert_eq!(lab.heard(), [LOST]);
    lab.from[0].asks = false;
    lab.rounds(STALE_ROUNDS + 3);
    assert_eq!(lab.heard(), []);
    lab.from[0] = Lab::new(ABC).from[0].clone();
    lab.rounds(3);
    assert_eq!(lab.heard(), [BACK]);
}

#[test]
fn it_is_back_only_when_it_has_heard_somebody() {
    let mut lab = Lab::settled(ABC);
    lab.from[0].asks = false;
    lab.rounds(STALE_ROUNDS);
    assert_eq!(lab.heard(), [LOST]);
    lab.from[0].asks = true;
    lab.from[0].cut();
    lab.from[0].resolvers.fill(Outcome::Timeout);
    lab.from[0].canaries.fill([Outcome::Timeout; 2]);
    lab.rounds(10);
    assert_eq!(lab.heard(), [], "it reports that it hears nobody");
    lab.from[0] = Lab::new(ABC).from[0].clone();
    lab.rounds(3);
    assert_eq!(lab.heard(), [BACK]);
    assert_eq!(lab.took(), []);
}

/// After a cut the last answers of before it and all failures in it arrive together: that is no return, and no second loss.
#[test]
fn what_it_had_spooled_is_old_news() {
    let mut lab = Lab::settled(ABC);
    let mut spool = lab.clone();
    lab.from[0].asks = false;
    lab.rounds(STALE_ROUNDS + 4);
    assert_eq!(lab.heard(), [LOST]);
    while spool.now < lab.now {
        for probe in spool.probes().iter().filter(|probe| probe.vantage == "a") {
            lab.names.probe(lab.now, probe, &mut lab.steps);
        }
        spool.now = spool.now + Duration::from_secs(30);
        spool.from[0].cut();
        spool.from[0].resolvers.fill(Outcome::Timeout);
        spool.from[0].canaries.fill([Outcome::Timeout; 2]);
    }
    lab.said.extend(lab.names.take_said());
    assert_eq!(lab.heard(), []);
    lab.from[0].asks = true;
    lab.rounds(3);
    assert_eq!(lab.heard(), [BACK]);
    assert_eq!(lab.took(), []);
}

#[test]
fn the_only_vantage_takes_its_names_with_it() {
    let mut lab = Lab::settled(&["a"]);
    let last = last_asked(&lab, 0);
    let due = last + Duration::from_secs(180);
    lab.names.fire(due, &mut lab.steps);
    lab.said.extend(lab.names.take_said());
    assert_eq!(lab.said[0].at, due);
    assert_eq!(lab.heard(), [LOST]);
    assert_eq!(lab.took(), [(State::Unknown, Finding::VantageOffline)]);
}

/// An agent that was taken out of service: its faults are nobody's any more.
#[test]
fn after_a_day_it_is_forgotten_with_its_resolver_faults() {
    let mut lab = Lab::settled(&["a", "b"]);
    lab.from[0].resolvers[0] = Outcome::Servfail;
    lab.from[0].canaries[0] = [Outcome::Servfail; 2];
    lab.rounds(6);
    let fault = (NotableKind::ResolverFault, false);
    assert_eq!(lab.heard(), [fault]);
    let last = last_asked(&lab, 0);
    lab.from[0].asks = false;
    lab.rounds(STALE_ROUNDS);
    assert_eq!((lab.heard(), lab.names.vantages()), (vec![LOST], 2));
    let day = last + Duration::from_secs(86_400);
    while lab.now < day + Duration::from_secs(60) {
        lab.round();
    }
    let said = lab.said.clone();
    assert_eq!(lab.heard(), [BACK, (NotableKind::ResolverFault, true)]);
    assert_eq!(
        (said[0].at, said[0].summary.as_str()),
        (
            day,
            "Vantage a has not reported for 24 h: it is not counted any more"
        )
    );
    assert_eq!(lab.names.vantages(), 1);
    assert_eq!(lab.took(), []);
}

/// Cut between the last report, the statement, and the return: what is loaded says the same.
#[test]
fn a_saved_state_knows_who_is_silent() {
    let mut lab = Lab::settled(ABC);
    lab.from[0].asks = false;
    let mut other = lab.clone();
    for rounds in [3, STALE_ROUNDS, 4] {
        for lab in [&mut lab, &mut other] {
            lab.rounds(rounds);
        }
        other.names = postcard::from_bytes::<Names>(&postcard::to_stdvec(&other.names).unwrap()).unwrap();
        other.names.resume(DnsSettings::default());
    }
    lab.from[0].asks = true;
    other.from[0].asks = true;
    lab.rounds(2);
    other.rounds(2);
    assert_eq!(lab.said, other.said);
    assert_eq!(lab.heard(), [LOST, BACK]);
}

#[test]
fn a_vantage_that_is_lost_does_not_make_an_outage_of_what_another_sees() {
    let mut lab = Lab::settled(&["a", "b"]);
    lab.from[1]
        .authorities
        .iter_mut()
        .for_each(|(_, it)| *it = Outcome::Timeout);
    lab.rounds(5);
    lab.from[0].asks = false;
    lab.rounds(200);
    assert_eq!(lab.took(), [], "b never saw it, a did until it was lost");
}

#[test]
fn a_vantage_that_was_lost_before_the_outage_has_no_say_in_it() {
    let mut lab = Lab::settled(&["a", "b"]);
    lab.from[0].asks = false;
    lab.rounds(3);
    lab.authorities(Outcome::Timeout);
    lab.rounds(8);
    assert_eq!(lab.took(), [OUT]);
}
