//! R3 for services that list prefixes and no names.

use netfault_model::*;

use crate::world::{PEERS, Story, Told, at};

const MAIL: [&str; 3] = ["198.18.5.0/24", "198.18.6.0/24", "198.18.7.0/24"];
const END: i64 = at(13, 0, 0);
const NOON: i64 = at(12, 0, 0);

/// `mail` lists some prefixes; all three /24s are announced from 10:00 on.
fn story(listed: &[&str]) -> Story {
    let mut story = Story::new("2026-03-01");
    for prefix in MAIL {
        story.table(at(10, 0, 0) as f64, prefix, &[174, 64510]);
    }
    story.service_of_prefixes("mail", listed);
    story.chatter(at(10, 0, 0), END, |_, _| true);
    story
}

/// `lost` of the peers lose these at noon, a second apart, and have them again ten minutes later.
fn dip(story: &mut Story, prefixes: &[&str], lost: usize) {
    for (index, prefix) in (0..lost).flat_map(|index| prefixes.iter().map(move |prefix| (index, prefix))) {
        story.route((NOON + index as i64) as f64, index, prefix, None);
        let back = (NOON + 600 + index as i64) as f64;
        story.route(back, index, prefix, Some(&[174, 64510]));
    }
}

/// What R3 said while it was not over: the highest severity, and the last sentence.
fn r3(told: &Told) -> Option<(u8, &str)> {
    let said: Vec<&Incident> = told
        .incidents()
        .filter(|it| it.rule == Some(CauseRule::R3) && it.state != IncidentState::Resolved)
        .filter(|it| it.level == State::Out)
        .collect();
    let severity = said.iter().map(|it| it.severity).max()?;
    Some((severity, said.last()?.summary.as_str()))
}

#[test]
fn a_service_is_gone_with_all_of_its_prefixes() {
    let mut story = story(&MAIL);
    dip(&mut story, &MAIL, PEERS);
    let told = story.play(END);
    let shown = told.last();
    assert_eq!(shown.len(), 1, "{}", told.text());
    let service = "mail".to_owned();
    assert_eq!(
        (&shown[0].subject, shown[0].cause, &shown[0].services),
        (
            &Subject::Service {
                service: service.clone()
            },
            Cause::ServiceWithdrawn,
            &vec![service]
        )
    );
    let text = "mail cannot be reached: AS64510 withdrew 3 of its 3 prefixes; 43 of 43 peers agree";
    assert_eq!(r3(&told), Some((5, text)), "{}", told.text());
    told.golden("r3-prefixes");
}

#[test]
fn most_of_its_prefixes_are_most_of_it() {
    let mut story = story(&MAIL);
    dip(&mut story, &MAIL[..2], PEERS);
    let told = story.play(END);
    let text = "mail can be reached only in part: AS64510 withdrew 2 of its 3 prefixes; 43 of 43 peers agree";
    assert_eq!(r3(&told), Some((4, text)), "{}", told.text());
}

/// It lists a /23 that is announced as two /24s.
#[test]
fn what_is_listed_whole_may_be_announced_in_pieces() {
    let mut story = story(&["198.18.6.0/23"]);
    dip(&mut story, &MAIL[1..], PEERS);
    let told = story.play(END);
    let text = "mail cannot be reached: AS64510 withdrew its prefix; 43 of 43 peers agree";
    assert_eq!(r3(&told), Some((5, text)), "{}", told.text());
}

#[test]
fn one_prefix_of_three_is_that_prefix_and_no_service() {
    let mut story = story(&MAIL);
    dip(&mut story, &MAIL[..1], PEERS);
    let told = story.play(END);
    let shown = told.last();
    assert_eq!(
        (shown.len(), shown[0].rule, shown[0].cause, shown[0].severity),
        (1, None, Cause::PrefixWithdrawn, 2),
        "{}",
        told.text()
    );
    assert_eq!(shown[0].services, ["mail"], "it concerns it all the same");
    told.golden("r3-prefixes-one-of-three");
}

/// 60 % of the peers lost all three: they are Partial, and whoever still has a route reaches it.
#[test]
fn prefixes_that_are_partly_out_are_still_there() {
    let mut story = story(&MAIL);
    dip(&mut story, &MAIL, 26);
    let told = story.play(END);
    assert!(
        told.transitions().any(|it| it.to == State::Partial),
        "{}",
        told.text()
    );
    assert_eq!(r3(&told), None, "{}", told.text());
}
