//! Made-up alerts: for `alert test`, for checking templates, and for tests.

use netfault_model::{Baseline, Cause, Child, Id, Incident, IncidentState, State, Subject, Time};

use crate::notice::{Notice, NoticeState};

/// An incident about `subject`, as it could be told.
pub(crate) fn incident(subject: &Subject) -> Incident {
    let started = Time::from_secs(1_633_362_000);
    let json = serde_json::json!({
        "id": Id::of(&["sample"]),
        "version": 1,
        "state": IncidentState::Open,
        "subject": subject,
        "cause": match subject {
            Subject::Origin { .. } => Cause::OriginWithdrawn,
            Subject::Name { .. } => Cause::NameFailing,
            _ => Cause::PrefixWithdrawn,
        },
        "at": started,
        "first_evidence_at": started,
        "raised_at": started,
        "cleared_at": null,
        "confidence": 0.9,
        "baseline": Baseline::Held,
        "children": [Child {
            subject: subject.clone(),
            state: State::Out,
            worst: State::Out,
            first_evidence_at: started,
            cleared_at: None,
        }],
        "severity": 3,
        "level": State::Out,
        "prefixes_down": 1,
        "prefixes": 1,
        "watched": true,
        "shown": true,
        "beacon": false,
        "flapping": false,
        "reopened": 0,
        "merged_into": null,
        "summary": "This is a sample.",
    });
    match serde_json::from_value(json) {
        Ok(incident) => incident,
        // Fields are only added to incidents, with defaults.
        Err(error) => unreachable!("the sample incident: {error}"),
    }
}

/// One notice in each state, with an incident and without: what a template must be able to say.
pub(crate) fn notices() -> Vec<Notice> {
    let subject = Subject::Name {
        name: "www.example.com".to_owned(),
    };
    let incident = incident(&subject);
    let with = |state| Notice {
        state,
        severity: 3,
        opened_severity: 3,
        subject: Some(subject.clone()),
        services: vec!["example".to_owned()],
        title: "www.example.com is out.".to_owned(),
        text: "This is a sample.".to_owned(),
        incident: Some(Box::new(incident.clone())),
        ..Notice::blank(incident.id.to_string(), incident.at)
    };
    let mut all: Vec<Notice> = NoticeState::ALL.into_iter().map(with).collect();
    all.push(Notice {
        title: "This is a sample about netfault itself.".to_owned(),
        ..Notice::blank("sample", incident.at)
    });
    all
}
