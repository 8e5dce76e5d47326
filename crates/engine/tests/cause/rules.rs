//! Each rule: a story that it fits, and its neighbour that it must not fit.

use netfault_engine::cause::Word;
use netfault_model::*;

use crate::world::{PEERS, Story, Told, at};

const NAME: &str = "example.com";
const SERVERS: [&str; 4] = ["192.0.32.1", "192.0.33.1", "192.0.34.1", "192.0.35.1"];
const CARRIERS: [&str; 4] = ["192.0.32.0/24", "192.0.33.0/24", "192.0.34.0/24", "192.0.35.0/24"];
const RESOLVERS: [&str; 3] = ["1.1.1.1", "8.8.8.8", "9.9.9.9"];
const OWN: &str = "198.18.5.0/24";
const END: i64 = at(13, 0, 0);
/// When it happens.
const NOON: i64 = at(12, 0, 0);

/// A service, its name, four name servers in prefixes of their own, and its own address elsewhere; all is well from 10:00 on.
fn story(outcome: impl Fn(Role, usize, usize, i64) -> Outcome) -> Story {
    let mut story = Story::new("2026-03-01");
    let dump = at(10, 0, 0) as f64;
    for prefix in CARRIERS {
        story.table(dump, prefix, &[3356, 64500]);
    }
    story.table(dump, OWN, &[174, 64510]);
    story.service("shop", &[NAME]);
    story.delegation(dump + 60.0, NAME, &SERVERS, &["198.18.5.80"], true);
    story.rounds(NAME, (at(10, 2, 0), END), &SERVERS, &RESOLVERS, outcome);
    story.chatter(at(10, 0, 0), END, |_, _| true);
    story
}

fn fine(_: Role, _: usize, _: usize, _: i64) -> Outcome {
    Outcome::Ok
}

/// `lost` of the peers lose the prefix at noon, a second apart, and have it again ten minutes later.
fn dip(story: &mut Story, prefix: &str, lost: usize, origin: u32) {
    for index in 0..lost {
        story.route((NOON + index as i64) as f64, index, prefix, None);
        let back = (NOON + 600 + index as i64) as f64;
        story.route(back, index, prefix, Some(&[3356, origin]));
    }
}

fn rules(told: &Told) -> Vec<CauseRule> {
    let mut rules: Vec<CauseRule> = told
        .incidents()
        .filter(|it| it.shown)
        .filter_map(|it| it.rule)
        .collect();
    rules.dedup();
    rules
}

/// Shared fate is said before there is an outage, and by routes, not by guesses at /24s.
#[test]
fn name_servers_that_share_an_as_are_a_risk() {
    let told = story(fine).play(at(10, 30, 0));
    let said = told.outputs.iter().find_map(|output| match output {
        Output::Delegation(it) => Some(it.as_ref()),
        _ => None,
    });
    let delegation = said.expect("the delegation is said");
    assert_eq!(
        delegation.servers[0].route.map(|route| route.origin),
        Some(Some(Asn(64500)))
    );
    let kinds: Vec<(&str, bool)> = delegation
        .findings
        .iter()
        .map(|it| (it.kind.as_str(), it.fault))
        .collect();
    assert_eq!(kinds, [("shared_as", false)]);
}

#[test]
fn r1_a_name_dies_with_the_prefixes_of_its_servers() {
    let silent = |role, _: usize, _: usize, second| match role {
        Role::Authority if (NOON + 60..NOON + 620).contains(&second) => Outcome::Timeout,
        Role::Resolver if (NOON + 90..NOON + 640).contains(&second) => Outcome::Servfail,
        _ => Outcome::Ok,
    };
    let mut story = story(silent);
    CARRIERS
        .iter()
        .for_each(|prefix| dip(&mut story, prefix, PEERS, 64500));
    let told = story.play(END);
    assert_eq!(rules(&told).last(), Some(&CauseRule::R1), "{}", told.text());
    let shown = told.last();
    assert_eq!(
        (shown.len(), shown[0].state),
        (1, IncidentState::Resolved),
        "{}",
        told.text()
    );
    assert_eq!(
        shown[0].subject,
        Subject::Service {
            service: "shop".to_owned()
        }
    );
    told.golden("r1");
}

/// Asked in the middle of it, the answer is the incident's own sentence.
#[test]
fn r1_is_the_answer_to_whoever_asks() {
    let silent = |role, _: usize, _: usize, second| match role {
        Role::Authority if second >= NOON + 60 => Outcome::Timeout,
        _ => Outcome::Ok,
    };
    let mut story = story(silent);
    for index in 0..PEERS {
        CARRIERS
            .iter()
            .for_each(|prefix| story.route(NOON as f64, index, prefix, None));
    }
    let told = story.play(NOON + 300);
    let answer = told.engine.answer("shop").expect("a service");
    assert_eq!(answer.answer, Word::Incident, "{answer:?}");
    assert!(
        answer
            .summary
            .starts_with("shop fails because 4 of 4 name servers"),
        "{answer:?}"
    );
    assert_eq!(answer.incidents.len(), 1);
}

#[test]
fn r1_does_not_fit_where_one_of_four_prefixes_is_lost() {
    let silent = |role, _: usize, _: usize, second| match role {
        Role::Authority if (NOON + 60..NOON + 620).contains(&second) => Outcome::Timeout,
        _ => Outcome::Ok,
    };
    let mut story = story(silent);
    dip(&mut story, CARRIERS[0], PEERS, 64500);
    let told = story.play(END);
    assert!(!rules(&told).contains(&CauseRule::R1), "{}", told.text());
    assert!(rules(&told).contains(&CauseRule::R6), "{}", told.text());
}

#[test]
fn r2_an_outage_of_dns_is_predicted_from_routes_alone() {
    let mut story = story(fine);
    CARRIERS
        .iter()
        .take(2)
        .for_each(|prefix| dip(&mut story, prefix, 26, 64500));
    let told = story.play(END);
    assert_eq!(rules(&told), [CauseRule::R2], "{}", told.text());
    let first = told
        .incidents()
        .find(|it| it.rule == Some(CauseRule::R2))
        .unwrap();
    // Half of the peers have lost both at 12:00:22; half a minute later it is said.
    let said = told.second(first.at) - NOON;
    assert!((50..=70).contains(&said), "{said}");
    assert_eq!((first.severity, first.watched), (4, true));
    assert_eq!(
        told.transitions()
            .filter(|it| it.subject.key().0 == "name" && it.to != State::Ok)
            .count(),
        0
    );
    told.golden("r2");
}

#[test]
fn r2_does_not_fit_one_of_four_or_a_dip_that_stays_above_half() {
    let mut one = story(fine);
    dip(&mut one, CARRIERS[0], PEERS, 64500);
    let told = one.play(END);
    assert!(rules(&told).is_empty(), "{}", told.text());
    let mut shallow = story(fine);
    CARRIERS
        .iter()
        .for_each(|prefix| dip(&mut shallow, prefix, 18, 64500));
    let told = shallow.play(END);
    assert!(rules(&told).is_empty(), "{}", told.text());
}

#[test]
fn r3_the_network_of_the_service_itself_is_withdrawn() {
    let mut story = story(fine);
    dip(&mut story, OWN, PEERS, 64510);
    let told = story.play(END);
    assert_eq!(rules(&told), [CauseRule::R3], "{}", told.text());
    assert_eq!(told.incidents().map(|it| it.severity).max(), Some(5));
    told.golden("r3");
}

/// Six origins of two prefixes each, behind one transit AS, or each behind its own.
fn behind(transit: impl Fn(u32) -> u32) -> Told {
    let mut story = Story::new("2026-03-01");
    let dump = at(10, 0, 0) as f64;
    for origin in 0..6u32 {
        for n in 0..2 {
            let prefix = format!("198.{}.{n}.0/24", 20 + origin);
            let path = [3356 + u32::from(n == 1), transit(origin), 64700 + origin];
            for index in 0..PEERS {
                let upstream = 7000 + index as u32 % 5;
                story.table_one(dump, index, &prefix, &[upstream, path[1], path[2]]);
                let gone = (NOON + index as i64 % 20) as f64 + f64::from(origin) * 3.0;
                story.route(gone, index, &prefix, None);
                story.route(gone + 900.0, index, &prefix, Some(&[upstream, path[1], path[2]]));
            }
        }
    }
    for n in 0..50 {
        story.table(dump, &format!("203.0.{n}.0/24"), &[3356, 65100 + n]);
    }
    story.chatter(at(10, 0, 0), END, |_, _| true);
    story.play(END)
}

#[test]
fn r4_origins_behind_one_transit_as_are_one_incident() {
    let told = behind(|_| 64600);
    let shown = told.last();
    assert_eq!(shown.len(), 1, "{}", told.text());
    assert_eq!(
        (shown[0].rule, shown[0].cause),
        (Some(CauseRule::R4), Cause::TransitFailed)
    );
    assert_eq!(shown[0].subject, Subject::Origin { origin: Asn(64600) });
    assert_eq!(
        (shown[0].prefixes, shown[0].facts.as_ref().unwrap().origins),
        (12, 6)
    );
    told.golden("r4");
}

#[test]
fn r4_does_not_fit_origins_that_fall_together_for_themselves() {
    let told = behind(|origin| 64600 + origin);
    assert_eq!(
        told.incidents().filter(|it| it.rule.is_some()).count(),
        0,
        "{}",
        told.text()
    );
}

#[test]
fn r5_a_watched_prefix_is_announced_by_somebody_else() {
    let mut story = story(fine);
    story.watch.prefixes.insert(OWN.parse().unwrap());
    for index in 0..20 {
        story.route((NOON + index as i64) as f64, index, OWN, Some(&[6939, 17557]));
        story.route(
            (NOON + 1200 + index as i64) as f64,
            index,
            OWN,
            Some(&[174, 64510]),
        );
    }
    story.chatter(END, END + 3600, |_, _| true);
    let told = story.play(END + 3600);
    let hijack = told
        .incidents()
        .find(|it| it.cause == Cause::Hijacked)
        .expect("it alerts");
    assert!(told.second(hijack.at) - NOON <= 20, "{}", told.text());
    assert_eq!(
        (hijack.rule, hijack.severity, hijack.watched),
        (Some(CauseRule::R5), 4, true)
    );
    assert_eq!(hijack.facts.as_ref().unwrap().other_origins, [Asn(17557)]);
    assert_eq!(hijack.prefixes_down, 0, "a hijack is no outage");
    assert_eq!(
        told.last().last().unwrap().state,
        IncidentState::Resolved,
        "{}",
        told.text()
    );
    told.golden("r5");
}

/// 2025-07-14: a resolver's prefixes are withdrawn, and then somebody's old announcement shines through.
#[test]
fn r5_another_origin_after_the_loss_is_an_effect() {
    let mut story = story(fine);
    story.watch.prefixes.insert(OWN.parse().unwrap());
    for index in 0..PEERS {
        story.route((NOON + index as i64 / 4) as f64, index, OWN, None);
    }
    for index in 0..PEERS - 3 {
        story.route(
            (NOON + 240 + index as i64) as f64,
            index,
            OWN,
            Some(&[6453, 4755]),
        );
        story.route((NOON + 600) as f64, index, OWN, None);
    }
    let told = story.play(END);
    let shown = told.last();
    assert!(
        told.incidents().all(|it| it.cause != Cause::Hijacked),
        "{}",
        told.text()
    );
    assert_eq!(shown.len(), 1, "{}", told.text());
    let facts = shown[0].facts.as_ref().expect("facts");
    assert_eq!(
        (facts.exposed, facts.other_origins.as_slice()),
        (true, &[Asn(4755)][..])
    );
    told.golden("r5-effect");
}

#[test]
fn r6_routes_are_there_and_nothing_answers() {
    let silent = |role, _: usize, _: usize, second| match role {
        Role::Authority if (NOON..NOON + 900).contains(&second) => Outcome::Timeout,
        Role::Resolver if (NOON + 60..NOON + 900).contains(&second) => Outcome::Servfail,
        _ => Outcome::Ok,
    };
    let told = story(silent).play(END);
    assert_eq!(rules(&told), [CauseRule::R6], "{}", told.text());
    assert_eq!(told.last()[0].state, IncidentState::Resolved);
    told.golden("r6");
}

/// Names that nobody called a service, all on one provider's servers but the last.
fn hosted(names: &[&str], outcome: impl Fn(&str, Role, i64) -> Outcome) -> Story {
    let mut story = Story::new("2026-03-01");
    let dump = at(10, 0, 0) as f64;
    CARRIERS
        .iter()
        .for_each(|prefix| story.table(dump, prefix, &[3356, 64500]));
    story.table(dump, OWN, &[174, 64510]);
    for (n, name) in names.iter().enumerate() {
        let own = ["198.18.5.1", "198.18.5.2"];
        let servers = if n + 1 == names.len() {
            &own[..]
        } else {
            &SERVERS[..]
        };
        story.watch.names.insert((*name).to_owned());
        story.delegation(dump + 60.0, name, servers, &[], true);
        let of_name = |role, _: usize, _: usize, second| outcome(name, role, second);
        story.rounds(name, (at(10, 2, 0), END), servers, &RESOLVERS, of_name);
    }
    story.chatter(at(10, 0, 0), END, |_, _| true);
    story
}

/// A provider of DNS goes away, and somebody else's servers with it by chance: two incidents, not as many as names.
#[test]
fn r6_names_on_the_same_servers_are_one_incident() {
    let names = ["a.example", "b.example", "c.example", "d.example"];
    let silent = |_: &str, role, second| match role {
        Role::Authority if (NOON..NOON + 900).contains(&second) => Outcome::Timeout,
        _ => Outcome::Ok,
    };
    let told = hosted(&names, silent).play(END);
    let who = |it: &&Incident| {
        let names = it.children.iter().map(|child| child.subject.key().1);
        names.collect::<Vec<_>>().join(" ")
    };
    let last = told.last();
    assert_eq!(
        last.iter().map(who).collect::<Vec<_>>(),
        ["a.example b.example c.example", "d.example"],
        "{}",
        told.text()
    );
    assert!(last.iter().all(|it| it.rule == Some(CauseRule::R6)));
    assert!(
        last[0].summary.contains(" and 2 more names are back"),
        "{}",
        last[0].summary
    );
    told.golden("r6-provider");
}

/// On the same servers, at the same time, for a reason of its own: what the servers still answer is not their failure.
#[test]
fn r6_a_missing_record_is_not_a_failure_of_the_servers_it_is_on() {
    let names = ["a.example", "b.example", "d.example"];
    let story = hosted(&names, |name, role, second| match (name, role) {
        ("a.example", Role::Authority) if (NOON..NOON + 900).contains(&second) => Outcome::Timeout,
        ("b.example", Role::Resolver) if (NOON..NOON + 900).contains(&second) => Outcome::Nodata,
        _ => Outcome::Ok,
    });
    let told = story.play(END);
    let parts: Vec<usize> = told.last().iter().map(|it| it.children.len()).collect();
    assert_eq!(parts, [1, 1], "{}", told.text());
}

/// 2025-10-20: an empty record, from healthy servers.
#[test]
fn r6_an_empty_record_from_healthy_servers_is_told_apart() {
    let empty = |role, _: usize, _: usize, second| match role {
        Role::Resolver if (NOON..NOON + 900).contains(&second) => Outcome::Nodata,
        _ => Outcome::Ok,
    };
    let told = story(empty).play(END);
    let out = told
        .transitions()
        .find(|it| it.to == State::Out)
        .expect("it is out");
    assert_eq!(out.finding, Some(Finding::RecordMissing));
    assert_eq!(rules(&told), [CauseRule::R6], "{}", told.text());
    assert!(told.last()[0].facts.is_some());
    told.golden("r6-empty-record");
}

#[test]
fn r7_bogus_answers_are_no_fault_of_servers_or_routes() {
    let bogus = |role, _: usize, _: usize, second| match role {
        Role::Resolver if (NOON..NOON + 900).contains(&second) => Outcome::Bogus,
        _ => Outcome::Ok,
    };
    let told = story(bogus).play(END);
    assert_eq!(rules(&told), [CauseRule::R7], "{}", told.text());
    assert_eq!(told.last()[0].cause, Cause::DnssecBogus);
    told.golden("r7-bogus");
}

/// 2025-07-14: one public resolver goes away. No name is at fault.
#[test]
fn r7_one_resolver_out_is_no_incident_of_any_name() {
    let one = |role, n: usize, _: usize, second| match role {
        Role::Resolver | Role::ControlResolver if n == 0 && (NOON..NOON + 900).contains(&second) => {
            Outcome::Timeout
        }
        _ => Outcome::Ok,
    };
    let told = story(one).play(END);
    assert_eq!(told.last().len(), 0, "{}", told.text());
    let faults = told.notables(NotableKind::ResolverFault);
    assert!(faults.iter().any(|it| !it.over) && faults.iter().any(|it| it.over));
}
