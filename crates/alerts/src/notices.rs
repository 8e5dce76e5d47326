//! Which transition opens an alert, and which one resolves it. Pure: no I/O, no clock.

use std::collections::BTreeMap;

use netfault_model::{Baseline, Cover, Finding, State, Subject, Time, Transition};

use crate::notice::{self, Notice, NoticeState};

/// Alerts that were opened and not resolved, by subject.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Open(BTreeMap<Subject, OpenNotice>);

#[derive(Clone, Debug, PartialEq)]
struct OpenNotice {
    id: String,
    severity: u8,
    started_at: Time,
}

impl Open {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes up an alert that an earlier run opened, so that this run resolves it and opens no second one.
    pub(crate) fn adopt(&mut self, notice: &Notice) {
        if let (Some(subject), NoticeState::Open) = (&notice.subject, notice.state) {
            let open = OpenNotice {
                id: notice.id.clone(),
                severity: notice.severity,
                started_at: notice.started_at,
            };
            self.0.entry(key(subject)).or_insert(open);
        }
    }
}

/// The origin may change while the alert is open; the prefix does not.
fn key(subject: &Subject) -> Subject {
    match subject {
        Subject::Prefix { prefix, .. } => Subject::Prefix {
            prefix: *prefix,
            origin: None,
        },
        other => other.clone(),
    }
}

/// The notice that `transition` calls for, if any.
///
/// A watched subject that goes Out opens one; going Out again while it is open is the same outage. Normal
/// (of a prefix) or Ok (of a name) resolves it, never Recovering. Gone resolves it too, in its own words: the
/// loss is accepted, and an alert that nothing can end any more helps nobody.
pub fn from_transition(transition: &Transition, open: &mut Open) -> Option<Notice> {
    let key = key(&transition.subject);
    match transition.to {
        State::Out if transition.watched && !open.0.contains_key(&key) => {
            let notice = opened(transition);
            open.adopt(&notice);
            Some(notice)
        }
        State::Normal | State::Ok | State::Gone => open.0.remove(&key).map(|it| resolved(transition, it)),
        _ => None,
    }
}

fn opened(transition: &Transition) -> Notice {
    Notice {
        id: notice::id("outage", &transition.subject, transition.first_evidence_at),
        state: NoticeState::Open,
        severity: severity(&transition.subject),
        subject: Some(transition.subject.clone()),
        title: open_title(transition),
        text: caveats(transition),
        started_at: transition.first_evidence_at,
        at: transition.at,
        details: Some(transition.clone()),
    }
}

fn resolved(transition: &Transition, open: OpenNotice) -> Notice {
    Notice {
        id: open.id,
        state: NoticeState::Resolved,
        severity: open.severity,
        subject: Some(transition.subject.clone()),
        title: resolve_title(transition, open.started_at),
        text: String::new(),
        started_at: open.started_at,
        at: transition.at,
        details: Some(transition.clone()),
    }
}

/// DESIGN section 7: 5 a watched service out (a name stands for its service), 2 a prefix out.
fn severity(subject: &Subject) -> u8 {
    match subject {
        Subject::Prefix { .. } => 2,
        Subject::Origin { .. } => 3,
        Subject::Name { .. } | Subject::Country { .. } => 5,
    }
}

fn open_title(transition: &Transition) -> String {
    let since = format!("since {} UTC", clock(transition.first_evidence_at));
    match &transition.subject {
        Subject::Prefix { .. } | Subject::Origin { .. } | Subject::Country { .. } => {
            format!("{} is out: {}, lost {since}.", who(transition), peers(transition))
        }
        Subject::Name { .. } => format!(
            "{} is out: {}, failing {since}.",
            who(transition),
            servers(transition)
        ),
    }
}

fn resolve_title(transition: &Transition, started_at: Time) -> String {
    let lasted = lasted(transition.at.since(started_at));
    if transition.to == State::Gone {
        return format!(
            "{} is taken as gone for good after {lasted}; alerting on it ends.",
            who(transition)
        );
    }
    let seen = match &transition.subject {
        Subject::Prefix { .. } | Subject::Origin { .. } | Subject::Country { .. } => peers(transition),
        Subject::Name { .. } => servers(transition),
    };
    format!("{} is back after {lasted}: {seen}.", who(transition))
}

fn who(transition: &Transition) -> String {
    match &transition.subject {
        Subject::Prefix {
            prefix,
            origin: Some(origin),
        } => format!("{prefix} ({origin})"),
        Subject::Prefix { prefix, origin: None } => prefix.to_string(),
        Subject::Name { name } => name.clone(),
        Subject::Origin { origin } => origin.to_string(),
        Subject::Country { country } => country.to_string(),
    }
}

fn peers(transition: &Transition) -> String {
    let (Some(seen), Some(of)) = (transition.peers_seen, transition.peers_eligible) else {
        return "visibility not known".to_owned();
    };
    let share = transition
        .visibility
        .map_or(String::new(), |v| format!(" ({:.0} %)", v * 100.0));
    format!("{seen} of {of} peer ASes see it{share}")
}

fn servers(transition: &Transition) -> String {
    let count = |ok: Option<u32>, of: Option<u32>, what: &str| {
        let (ok, of) = (ok?, of?);
        (of > 0).then(|| format!("{ok} of {of} {what} answer"))
    };
    let parts: Vec<String> = [
        count(transition.servers_ok, transition.servers_eligible, "name servers"),
        count(
            transition.resolvers_ok,
            transition.resolvers_eligible,
            "resolvers",
        ),
        transition.finding.and_then(finding).map(str::to_owned),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() {
        "no server could be asked".to_owned()
    } else {
        parts.join(", ")
    }
}

fn finding(finding: Finding) -> Option<&'static str> {
    match finding {
        Finding::None => None,
        Finding::AuthorityUnreachable => Some("authoritative servers unreachable"),
        Finding::AuthorityPartial => Some("some authoritative servers unreachable"),
        Finding::DelegationBroken => Some("delegation broken"),
        Finding::DnssecBogus => Some("DNSSEC validation fails"),
        Finding::RecordMissing => Some("the record is missing"),
        Finding::AnswerChanged => Some("the answer changed"),
        Finding::ResolverFault => Some("the resolver is at fault"),
        Finding::VantageOffline => Some("the vantage is offline"),
    }
}

/// What weakens or qualifies the verdict.
fn caveats(transition: &Transition) -> String {
    let mut said = Vec::new();
    match transition.cover {
        Some(Cover::SameOrigin) => {
            said.push("A less-specific route of the same origin is still there.".to_owned())
        }
        Some(Cover::OtherOrigin) => {
            said.push("A less-specific route of another origin is still there.".to_owned())
        }
        Some(Cover::None) | None => {}
    }
    if let Some(unknown) = transition.peers_unknown.filter(|&unknown| unknown > 0) {
        said.push(format!("{unknown} peer ASes are unknown."));
    }
    if transition.baseline == Some(Baseline::Inferred) {
        said.push("The baseline is inferred from withdrawals.".to_owned());
    }
    said.join(" ")
}

fn clock(at: Time) -> String {
    notice::second(at).trim_end_matches('Z').to_owned()
}

/// `42 s`, `7 min 3 s`, `1 h 58 min`, `3 d 4 h`: two units are enough at 3 a.m.
fn lasted(micros: i64) -> String {
    let secs = micros.max(0) / 1_000_000;
    match secs {
        0..60 => format!("{secs} s"),
        60..3600 => format!("{} min {} s", secs / 60, secs % 60),
        3600..86_400 => format!("{} h {} min", secs / 3600, secs % 3600 / 60),
        _ => format!("{} d {} h", secs / 86_400, secs % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netfault_model::Asn;

    fn prefix(from: State, to: State, secs: i64, origin: Option<u32>) -> Transition {
        let (seen, visibility) = if to == State::Out { (7, 0.18) } else { (36, 0.95) };
        Transition {
            subject: Subject::Prefix {
                prefix: "84.205.71.0/24".parse().unwrap(),
                origin: origin.map(Asn),
            },
            from,
            to,
            at: Time::from_secs(secs),
            first_evidence_at: Time::from_secs(1_203_818_473),
            visibility: Some(visibility),
            peers_seen: Some(seen),
            peers_lost: Some(38 - seen),
            peers_unknown: Some(0),
            peers_eligible: Some(38),
            baseline: Some(Baseline::Held),
            cover: Some(Cover::None),
            finding: None,
            servers_ok: None,
            servers_eligible: None,
            resolvers_ok: None,
            resolvers_eligible: None,
            watched: true,
            beacon: false,
            healed: false,
            evidence: None,
        }
    }

    fn name(to: State, secs: i64) -> Transition {
        Transition {
            subject: Subject::Name {
                name: "www.example.com".into(),
            },
            from: State::Ok,
            to,
            peers_seen: None,
            peers_lost: None,
            peers_unknown: None,
            peers_eligible: None,
            visibility: None,
            baseline: None,
            cover: None,
            finding: Some(Finding::AuthorityUnreachable),
            servers_ok: Some(0),
            servers_eligible: Some(4),
            resolvers_ok: Some(0),
            resolvers_eligible: Some(2),
            ..prefix(State::Normal, State::Out, secs, None)
        }
    }

    /// What each state does, with nothing open and with the outage open.
    #[test]
    fn the_table_of_states() {
        use NoticeState::{Open as Opens, Resolved as Resolves};
        let table = [
            (State::Unknown, None, None),
            (State::Normal, None, Some(Resolves)),
            (State::Degrading, None, None),
            (State::Partial, None, None),
            (State::Out, Some(Opens), None),
            (State::Recovering, None, None),
            (State::Gone, None, Some(Resolves)),
            (State::Ok, None, Some(Resolves)),
            (State::Degraded, None, None),
        ];
        for (to, closed, opened) in table {
            let transition = prefix(State::Unknown, to, 1_203_818_700, None);
            assert_eq!(
                from_transition(&transition, &mut Open::default()).map(|n| n.state),
                closed,
                "{to:?}"
            );
            let mut open = Open::default();
            from_transition(
                &prefix(State::Degrading, State::Out, 1_203_818_622, None),
                &mut open,
            );
            assert_eq!(
                from_transition(&transition, &mut open).map(|n| n.state),
                opened,
                "{to:?} while open"
            );
            assert_eq!(open.is_empty(), opened == Some(Resolves), "{to:?}");
        }
    }

    #[test]
    fn the_resolve_carries_the_id_and_start_of_its_open() {
        let mut open = Open::default();
        let first = from_transition(
            &prefix(State::Degrading, State::Out, 1_203_818_622, None),
            &mut open,
        )
        .unwrap();
        // In between the origin was learnt, and the engine began a new episode of the same outage.
        let mut back = prefix(State::Recovering, State::Normal, 1_203_825_600, Some(12654));
        back.first_evidence_at = Time::from_secs(1_203_820_000);
        let last = from_transition(&back, &mut open).unwrap();
        assert_eq!((last.id, last.started_at), (first.id, first.started_at));
        assert_eq!(
            last.title,
            "84.205.71.0/24 (AS12654) is back after 1 h 58 min: 36 of 38 peer ASes see it (95 %)."
        );
    }

    #[test]
    fn nobody_is_woken_for_what_nobody_watches() {
        let mut transition = prefix(State::Degrading, State::Out, 1_203_818_622, None);
        transition.watched = false;
        assert_eq!(from_transition(&transition, &mut Open::default()), None);
    }

    #[test]
    fn a_title_is_one_sentence_with_the_figures() {
        let mut open = Open::default();
        let mut transition = prefix(State::Degrading, State::Out, 1_203_818_622, Some(12654));
        transition.cover = Some(Cover::SameOrigin);
        transition.baseline = Some(Baseline::Inferred);
        let notice = from_transition(&transition, &mut open).unwrap();
        assert_eq!(
            notice.title,
            "84.205.71.0/24 (AS12654) is out: 7 of 38 peer ASes see it (18 %), lost since 2008-02-24 02:01:13 UTC."
        );
        assert_eq!(
            notice.text,
            "A less-specific route of the same origin is still there. The baseline is inferred from withdrawals."
        );
        let notice = from_transition(&name(State::Out, 1_203_818_622), &mut open).unwrap();
        assert_eq!(
            notice.title,
            "www.example.com is out: 0 of 4 name servers answer, 0 of 2 resolvers answer, \
             authoritative servers unreachable, failing since 2008-02-24 02:01:13 UTC."
        );
        assert_eq!(open.len(), 2);
    }

    #[test]
    fn two_units_are_enough() {
        for (secs, text) in [
            (-1, "0 s"),
            (59, "59 s"),
            (423, "7 min 3 s"),
            (7_080, "1 h 58 min"),
            (273_600, "3 d 4 h"),
        ] {
            assert_eq!(lasted(secs * 1_000_000), text);
        }
    }
}
