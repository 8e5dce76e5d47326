//! 2021-10-04, a **reconstruction** after FIELD-FACTS.md: no raw updates of that day were to be had. The six routes that carried the name
//! servers are withdrawn in two bursts with path hunting (15:41:50–15:43:40, 15:50–15:53:47) and a straggler at 16:02:33, the /17 and
//! 94 % of AS32934 stay, names fail from 15:50, routes return at 21:00:40, wobble at 21:11 and are stable at 21:28, applications at 22:45.

use netfault_model::*;

use crate::world::{PEERS, Story, Told, at};

const SERVICES: [(&str, &str); 4] = [
    ("facebook", "facebook.com"),
    ("instagram", "instagram.com"),
    ("messenger", "messenger.com"),
    ("whatsapp", "whatsapp.net"),
];
const SERVERS: [&str; 4] = ["129.134.30.12", "129.134.31.12", "185.89.218.12", "185.89.219.12"];
const WITHDRAWN: [&str; 6] = [
    "129.134.30.0/24",
    "129.134.30.0/23",
    "129.134.31.0/24",
    "185.89.218.0/24",
    "185.89.218.0/23",
    "185.89.219.0/24",
];
const RESOLVERS: [&str; 2] = ["1.1.1.1", "8.8.8.8"];
const STABLE: i64 = at(21, 28, 0);

/// When a peer loses the route: 26 in the first burst, 16 in the second, and the straggler.
fn lost(index: usize, prefix: usize) -> f64 {
    match index {
        0..26 => at(15, 41, 50) as f64 + index as f64 * 4.0 + prefix as f64 * 1.3,
        42 if prefix == 0 => at(16, 2, 33) as f64,
        _ => at(15, 50, 0) as f64 + (index - 26) as f64 * 13.5 + prefix as f64 * 1.3,
    }
}

fn routes(story: &mut Story) {
    let dump = at(14, 30, 0) as f64;
    story.table(dump, "129.134.0.0/17", &[3356, 32934]);
    for prefix in WITHDRAWN {
        story.table(dump, prefix, &[3356, 32934]);
    }
    for n in 0..94 {
        story.table(dump, &format!("157.240.{n}.0/24"), &[3356, 32934]);
    }
    for (p, prefix) in WITHDRAWN.into_iter().enumerate() {
        for index in 0..PEERS {
            let gone = lost(index, p);
            story.route(gone - 20.0, index, prefix, Some(&[174, 3356, 32934]));
            story.route(gone - 8.0, index, prefix, Some(&[6939, 174, 3356, 32934]));
            story.route(gone, index, prefix, None);
            let back = at(21, 0, 40) as f64 + index as f64 * 3.0 + p as f64;
            story.route(back, index, prefix, Some(&[3356, 32934]));
            if p < 3 && index < 12 {
                let wobble = at(21, 11, 0) as f64 + index as f64 + p as f64;
                story.route(wobble, index, prefix, None);
                story.route(wobble + 45.0, index, prefix, Some(&[3356, 32934]));
            }
            let settled = STABLE as f64 - 60.0 + index as f64;
            story.route(settled, index, prefix, Some(&[1299, 3356, 32934]));
        }
    }
    story.chatter(at(14, 30, 0), at(23, 0, 0), |_, _| true);
}

fn outcome(role: Role, n: usize, vantage: usize, second: i64) -> Outcome {
    let silent = match role {
        Role::Authority => (
            at(15, 50, 20) + 30 * n as i64 + 10 * vantage as i64,
            at(21, 5, 10) + 40 * n as i64,
        ),
        Role::Resolver => (at(15, 52, 0) + 150 * n as i64, at(21, 9, 30) + 150 * n as i64),
        _ => return Outcome::Ok,
    };
    match (role, (silent.0..silent.1).contains(&second)) {
        (_, false) => Outcome::Ok,
        (Role::Resolver, true) => Outcome::Servfail,
        (_, true) => Outcome::Timeout,
    }
}

fn day() -> Told {
    let mut story = Story::new("2021-10-04");
    routes(&mut story);
    for (service, name) in SERVICES {
        story.service(service, &[name]);
        for minute in (0..480).step_by(10) {
            let walked = at(14, 35, 0) + minute * 60;
            let reached = !(at(15, 50, 0)..at(21, 7, 0)).contains(&walked);
            story.delegation(walked as f64, name, &SERVERS, &["157.240.3.35"], reached);
        }
        story.rounds(name, (at(14, 36, 0), at(23, 0, 0)), &SERVERS, &RESOLVERS, outcome);
    }
    for minute in 0..499 {
        let second = at(14, 40, 0) + minute * 60;
        let troubled = (at(15, 51, 0)..at(22, 45, 0)).contains(&second);
        story.http(second as f64, "facebook", if troubled { None } else { Some(200) });
    }
    story.play(at(23, 0, 0))
}

#[test]
fn one_incident_one_sentence() {
    let told = day();
    let shown = told.last();
    assert_eq!(shown.len(), 1, "{}", told.text());
    let id = shown[0].id;
    let versions: Vec<&Incident> = told.incidents().filter(|it| it.id == id).collect();

    let degrading = told.first("129.134.30.0/24", State::Degrading).expect("it falls");
    assert!(
        (at(15, 41, 50)..=at(15, 43, 0)).contains(&degrading),
        "{degrading}"
    );
    let predicted = versions
        .iter()
        .find(|it| it.rule == Some(CauseRule::R2))
        .expect("R2");
    let raised = told.second(predicted.at);
    assert!((at(15, 42, 0)..at(15, 50, 0)).contains(&raised), "{raised}");
    assert_eq!((predicted.severity, predicted.watched), (4, true));
    let out = told.first("129.134.30.0/24", State::Out).expect("it is out");
    assert!((at(15, 50, 0)..=at(15, 54, 0)).contains(&out), "{out}");

    let cause = versions
        .iter()
        .find(|it| it.rule == Some(CauseRule::R1))
        .expect("R1");
    let failing = told.first("facebook.com", State::Out).expect("the name is out");
    assert!(
        told.second(cause.at) <= failing.max(out) + 60,
        "R1 at {}",
        cause.at
    );
    let facts = cause.facts.as_deref().expect("the numbers of the rule");
    assert_eq!(
        (facts.servers_lost, facts.servers, facts.parent_ok),
        (4, 4, Some(true))
    );
    assert!(
        facts.lead_s.is_some_and(|lead| (400..=600).contains(&lead)),
        "{facts:?}"
    );
    assert_eq!(
        facts.carriers.iter().map(|route| route.origin).next(),
        Some(Some(Asn(32934)))
    );
    let later = versions
        .iter()
        .rfind(|it| it.state == IncidentState::Update)
        .expect("a later version");
    assert_eq!(later.services, ["facebook", "instagram", "messenger", "whatsapp"]);
    assert_eq!(versions.iter().map(|it| it.severity).max(), Some(5));

    // The origin as a whole is not out, and neither the wobble nor a single layer closes it.
    assert_eq!(told.first("32934", State::Out), None);
    let closed: Vec<i64> = versions
        .iter()
        .filter(|it| it.state == IncidentState::Resolved)
        .map(|it| told.second(it.at))
        .collect();
    assert_eq!(closed.len(), 1, "{}", told.text());
    assert!(
        (at(21, 11, 45)..=at(21, 35, 0)).contains(&closed[0]),
        "{}",
        told.text()
    );
    let last = versions.last().expect("it ends");
    let recovered = |kind| {
        last.layers
            .iter()
            .find(|it| it.layer == kind)
            .and_then(|it| it.recovered_at)
    };
    assert!(recovered(LayerKind::Bgp).is_some() && recovered(LayerKind::Dns).is_some());
    assert_eq!(
        recovered(LayerKind::Application),
        None,
        "users are not well before 22:45"
    );

    // What users still notice is no part of it, and not the network.
    let hints = told.notables(NotableKind::NoNetworkFault);
    let spans: Vec<(i64, bool)> = hints.iter().map(|it| (told.second(it.at), it.over)).collect();
    assert_eq!(spans.len(), 2, "{spans:?}");
    assert!(spans[0].0 >= closed[0] && !spans[0].1, "{spans:?}");
    assert!(
        (at(22, 45, 0)..at(22, 47, 0)).contains(&spans[1].0) && spans[1].1,
        "{spans:?}"
    );
    told.golden("facebook-20211004-reconstruction");
}
