//! Days on which netfault must not cry outage, and what it says instead.

use netfault_engine::cause::Word;
use netfault_model::*;

use crate::world::{Story, at};

const NAME: &str = "facebook.com";
const SERVERS: [&str; 2] = ["129.134.30.12", "185.89.218.12"];
const RESOLVERS: [&str; 2] = ["1.1.1.1", "8.8.8.8"];

/// Healthy routes and names from 13:00 to 18:00.
fn healthy(day: &str) -> Story {
    let mut story = Story::new(day);
    let dump = at(13, 0, 0) as f64;
    story.table(dump, "129.134.30.0/24", &[3356, 32934]);
    story.table(dump, "185.89.218.0/24", &[3356, 32934]);
    story.service("facebook", &[NAME]);
    story.delegation(dump + 60.0, NAME, &SERVERS, &["129.134.30.35"], true);
    story.rounds(
        NAME,
        (at(13, 2, 0), at(18, 0, 0)),
        &SERVERS,
        &RESOLVERS,
        |_, _, _, _| Outcome::Ok,
    );
    story
}

fn not_the_network(story: Story) -> crate::world::Told {
    let told = story.play(at(18, 0, 0));
    assert_eq!(told.incidents().count(), 0, "{}", told.text());
    told
}

/// 2024-03-05: nobody could log in for two hours; 500,000 reports at the peak.
#[test]
fn a_login_failure_is_no_outage_of_the_network() {
    let mut story = healthy("2024-03-05");
    story.chatter(at(13, 0, 0), at(18, 0, 0), |_, _| true);
    for minute in 0..300 {
        let second = at(13, 0, 30) + minute * 60;
        let hours = (second - at(15, 20, 0)) as f64 / 3600.0;
        let count = if (0.0..1.7).contains(&hours) {
            500_000.0 * (1.0 - hours / 2.0)
        } else {
            240.0
        };
        story.reports(second as f64, "facebook", count, 250.0);
    }
    let told = not_the_network(story);
    let said = told.notables(NotableKind::NoNetworkFault);
    let spans: Vec<(i64, bool)> = said.iter().map(|it| (told.second(it.at), it.over)).collect();
    assert_eq!(spans.len(), 2, "{spans:?}");
    assert!((at(15, 22, 0)..at(15, 25, 0)).contains(&spans[0].0), "{spans:?}");
    assert!(spans[1].0 >= at(17, 0, 0) && spans[1].1, "{spans:?}");
    assert!(
        said[0].measured.is_some_and(|above| above > 400_000.0),
        "{:?}",
        said[0]
    );
    told.golden("login-failure-20240305");
}

/// 2021-06-08: a CDN answers 503 to everything.
#[test]
fn http_5xx_alone_is_no_outage_of_the_network() {
    let mut story = healthy("2021-06-08");
    story.chatter(at(13, 0, 0), at(18, 0, 0), |_, _| true);
    for minute in 0..290 {
        let second = at(13, 5, 0) + minute * 60;
        let status = if (at(14, 0, 0)..at(14, 49, 0)).contains(&second) {
            503
        } else {
            200
        };
        story.http(second as f64, "facebook", Some(status));
    }
    let told = not_the_network(story);
    assert_eq!(
        told.notables(NotableKind::NoNetworkFault).len(),
        2,
        "{}",
        told.text()
    );
    told.golden("http-5xx-20210608");
}

/// One bad answer, and a busy but usual hour, are nothing at all.
#[test]
fn users_without_trouble_are_not_spoken_of() {
    let mut story = healthy("2026-03-01");
    story.chatter(at(13, 0, 0), at(18, 0, 0), |_, _| true);
    for minute in 0..290 {
        let second = (at(13, 5, 0) + minute * 60) as f64;
        story.http(second, "facebook", Some(if minute == 100 { 503 } else { 404 }));
        story.reports(second, "facebook", 900.0, 800.0);
    }
    let told = not_the_network(story);
    assert_eq!(
        told.notables(NotableKind::NoNetworkFault).len(),
        0,
        "{}",
        told.text()
    );
}

/// R0: five of eight collectors fall silent for half an hour.
#[test]
fn lost_feeds_are_our_own_fault() {
    let mut story = healthy("2026-03-01");
    let lost = ["rrc00", "rrc01", "rrc03", "rrc04", "rrc10"];
    story.chatter(at(13, 0, 0), at(18, 0, 0), |collector, second| {
        !(lost.contains(&collector) && (at(15, 0, 0)..at(15, 30, 0)).contains(&second))
    });
    let told = not_the_network(story);
    let said = told.notables(NotableKind::MonitorFault);
    let spans: Vec<(i64, bool)> = said.iter().map(|it| (told.second(it.at), it.over)).collect();
    assert_eq!(spans.len(), 2, "{spans:?}");
    assert!(
        (at(15, 1, 0)..at(15, 5, 0)).contains(&spans[0].0) && !spans[0].1,
        "{spans:?}"
    );
    assert!(
        (at(15, 29, 0)..at(15, 33, 0)).contains(&spans[1].0) && spans[1].1,
        "{spans:?}"
    );
    told.golden("feeds-lost");
}

/// A host route of somebody else's inside a watched prefix: a possible hijack, and no outage.
#[test]
fn a_hijacked_host_route_is_no_outage() {
    let mut story = healthy("2026-03-01");
    story.watch.prefixes.insert("129.134.30.0/24".parse().unwrap());
    story.chatter(at(13, 0, 0), at(18, 0, 0), |_, _| true);
    for index in 0..20 {
        let second = (at(15, 0, 0) + index as i64) as f64;
        story.route(second, index, "129.134.30.12/32", Some(&[6939, 17557]));
        story.route(second + 600.0, index, "129.134.30.12/32", None);
    }
    let told = story.play(at(18, 0, 0));
    let shown = told.last();
    assert_eq!(shown.len(), 1, "{}", told.text());
    assert_eq!(
        (shown[0].cause, shown[0].rule),
        (Cause::Hijacked, Some(CauseRule::R5))
    );
    assert!(
        told.transitions()
            .all(|it| !matches!(it.to, State::Partial | State::Out)),
        "{}",
        told.text()
    );
    told.golden("hijacked-host-route");
}

/// 20,000 prefixes take a way through an AS that never carried them: nothing of that is an outage.
#[test]
fn a_leak_of_20000_prefixes_is_no_outage() {
    let mut story = healthy("2026-03-01");
    story.chatter(at(13, 0, 0), at(15, 0, 0), |_, _| true);
    for n in 0..20_000u32 {
        let prefix = format!("{}.{}.{}.0/24", 60 + n / 65536, n / 256 % 256, n % 256);
        story.table_of(12, at(13, 0, 0) as f64, &prefix, &[3356, 65000 + n % 400]);
        for index in 0..4 {
            let leaked = at(14, 0, 0) as f64 + f64::from(n) / 200.0;
            story.route(leaked, index, &prefix, Some(&[64999, 701, 3356, 65000 + n % 400]));
        }
    }
    let told = story.play(at(15, 0, 0));
    assert_eq!(told.incidents().count(), 0, "{}", told.text());
    assert!(
        told.transitions()
            .all(|it| !matches!(it.to, State::Partial | State::Out))
    );
}

/// R8 on request: what is fine, and what nobody can know.
#[test]
fn asked_whether_it_is_the_network() {
    let mut story = healthy("2026-03-01");
    story.service("unheard", &["unheard.example"]);
    story.chatter(at(13, 0, 0), at(18, 0, 0), |_, _| true);
    let engine = not_the_network(story).engine;
    let fine = engine.answer("facebook").expect("a service");
    assert_eq!(
        (fine.answer, fine.names[0].servers_up),
        (Word::NoNetworkFault, 2),
        "{fine:?}"
    );
    assert_eq!(fine.prefixes.len(), 2, "{fine:?}");
    assert_eq!(engine.answer(NAME).expect("a name").answer, Word::NoNetworkFault);
    assert_eq!(engine.answer("unheard").expect("a service").answer, Word::Unknown);
    assert_eq!(engine.answer("nobody"), None);
}
