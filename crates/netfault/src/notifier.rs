//! What the engine says → what people are told, and what our own health follows from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use netfault_alerts::{Health, Notice, NoticeState, Open, Policy};
use netfault_model::{Finding, Incident, IncidentState, Output, State, Subject, Time};
use netfault_sources::ris_live::system_clock;

/// Turns incidents into notices, and hands them over.
pub struct Notifier {
    policy: Policy,
    open: Open,
    send: Box<dyn FnMut(Vec<Notice>) + Send>,
    health: Arc<Health>,
    /// Why watched names fail.
    findings: BTreeMap<String, Finding>,
}

/// What an earlier run said, as far as alerts need it. What was delivered then is known to [`Open`], which is on disk.
#[derive(Default)]
pub struct Past {
    alerts: BTreeMap<String, Versions>,
}

/// Of one alert.
#[derive(Default)]
struct Versions {
    /// The last version that would open it: it may have got better since, and still be an outage.
    opens: Option<Incident>,
    last: Option<Incident>,
}

impl Notifier {
    pub fn new(
        policy: Policy,
        open: Open,
        health: Arc<Health>,
        send: impl FnMut(Vec<Notice>) + Send + 'static,
    ) -> Self {
        Notifier {
            policy,
            open,
            send: Box::new(send),
            health,
            findings: BTreeMap::new(),
        }
    }

    /// The notice that `output` calls for.
    pub fn hear(&mut self, output: &Output) -> Option<Notice> {
        match output {
            Output::Incident(incident) => self.notice(incident),
            Output::Transition(_) => {
                self.learn(output);
                None
            }
            _ => {
                self.health.output(output, now());
                None
            }
        }
    }

    fn notice(&mut self, incident: &Incident) -> Option<Notice> {
        let mut notice = netfault_alerts::from_incident(incident, self.policy, &mut self.open)?;
        notice.findings = self.findings_of(incident);
        Some(notice)
    }

    /// Why a name fails stands in its transitions.
    fn learn(&mut self, output: &Output) {
        let Output::Transition(transition) = output else {
            return;
        };
        let (Subject::Name { name }, Some(finding)) = (&transition.subject, transition.finding) else {
            return;
        };
        match finding {
            Finding::None => drop(self.findings.remove(name)),
            finding => drop(self.findings.insert(name.clone(), finding)),
        }
    }

    fn findings_of(&self, incident: &Incident) -> Vec<Finding> {
        let failing = incident
            .children
            .iter()
            .filter(|child| !matches!(child.state, State::Ok | State::Normal));
        let mut findings: Vec<Finding> = failing
            .filter_map(|child| match &child.subject {
                Subject::Name { name } => self.findings.get(name).copied(),
                _ => None,
            })
            .collect();
        findings.sort_unstable();
        findings.dedup();
        findings
    }

    /// What was decided together.
    pub fn send(&mut self, mut notices: Vec<Notice>) {
        leave_out_what_joined(&mut notices);
        if !notices.is_empty() {
            (self.send)(notices);
        }
    }

    /// Notes what an earlier run has said.
    pub fn relive(&mut self, output: Output, past: &mut Past) {
        self.learn(&output);
        let Output::Incident(incident) = output else {
            return;
        };
        let id = netfault_alerts::notice_id(&incident);
        let is_over = matches!(incident.state, IncidentState::Resolved | IncidentState::Merged);
        let opens = !is_over && netfault_alerts::decides(&incident, self.policy);
        // Most incidents are nobody's alert; their end needs no memory.
        let is_known = past.alerts.contains_key(&id) || self.open.has(&id);
        if !opens && !is_known {
            return;
        }
        let versions = past.alerts.entry(id).or_default();
        if opens {
            versions.opens = Some((*incident).clone());
        }
        versions.last = Some(*incident);
    }

    /// What people should have been told and were not. An alert that was told already opens no second time, and one
    /// that is not open is not resolved.
    pub fn settle(&mut self, past: Past) {
        let mut notices = Vec::new();
        for versions in past.alerts.into_values() {
            let is_over = |it: &Incident| matches!(it.state, IncidentState::Resolved | IncidentState::Merged);
            let began_and_ended = versions.last.as_ref().is_some_and(is_over);
            // Nobody is told of what is over; what was told is resolved.
            for incident in versions
                .opens
                .iter()
                .filter(|_| !began_and_ended)
                .chain(&versions.last)
            {
                notices.extend(self.notice(incident));
            }
        }
        if !notices.is_empty() {
            tracing::info!(
                notices = notices.len(),
                "alerts that the last run could not send any more"
            );
            self.send(notices);
        }
    }
}

/// An incident that became part of another one before anybody had heard of it would be two messages about nothing: that it
/// began, and that it goes on elsewhere.
fn leave_out_what_joined(notices: &mut Vec<Notice>) {
    let is_merged = |notice: &Notice| {
        let incident = notice.incident.as_deref();
        incident.is_some_and(|incident| incident.state == IncidentState::Merged)
    };
    let of = |is_meant: &dyn Fn(&Notice) -> bool| -> BTreeSet<String> {
        let meant = notices.iter().filter(|notice| is_meant(notice));
        meant.map(|notice| notice.id.clone()).collect()
    };
    let untold = &of(&|notice| notice.state == NoticeState::Open) & &of(&is_merged);
    notices.retain(|notice| !untold.contains(&notice.id));
}

pub fn now() -> Time {
    system_clock()()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use netfault_model::{Id, Prefix};

    use super::*;

    fn incident(prefix: &str, state: IncidentState, version: u32, into: Option<Id>) -> Output {
        let prefix: Prefix = prefix.parse().unwrap();
        let at = Time::from_secs(1_000 + i64::from(version));
        let json = serde_json::json!({
            "id": id(&prefix.to_string()), "version": version, "state": state,
            "subject": Subject::Prefix { prefix, origin: None }, "cause": "prefix_withdrawn",
            "at": at, "first_evidence_at": at, "raised_at": at, "cleared_at": null, "confidence": 0.9,
            "baseline": "held", "children": [], "severity": 2, "level": State::Out, "prefixes_down": 1, "prefixes": 1,
            "watched": true, "shown": true, "beacon": false, "flapping": false, "reopened": 0, "merged_into": into,
            "summary": format!("{prefix} is out"),
        });
        Output::Incident(serde_json::from_value(json).unwrap())
    }

    fn id(prefix: &str) -> Id {
        Id::of(&[prefix])
    }

    /// What is sent of batches of outputs: state and subject, batch by batch.
    fn sent(batches: &[&[Output]]) -> Vec<Vec<String>> {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&sent);
        let send = move |notices: Vec<Notice>| {
            let told = notices
                .iter()
                .map(|it| format!("{} {}", it.state.name(), it.title));
            kept.lock().unwrap().push(told.collect());
        };
        let health = Arc::new(Health::new(Time::from_secs(0)));
        let mut notifier = Notifier::new(Policy::default(), Open::default(), health, send);
        for batch in batches {
            let notices = batch.iter().filter_map(|output| notifier.hear(output)).collect();
            notifier.send(notices);
        }
        std::mem::take(&mut *sent.lock().unwrap())
    }

    #[test]
    fn what_joins_another_incident_before_it_was_told_is_never_told() {
        use IncidentState::{Merged, Open, Update};
        let (a, b) = ("192.0.2.0/24", "198.51.100.0/24");
        let opened = incident(a, Open, 1, None);
        let joined = incident(a, Merged, 3, Some(id(b)));
        let other = incident(b, Open, 1, None);
        let between = incident(a, Update, 2, None);
        let at_once = [opened.clone(), between, other.clone(), joined.clone()];
        assert_eq!(sent(&[&at_once]), [["open 198.51.100.0/24 is out."]]);
        assert_eq!(
            sent(&[std::slice::from_ref(&opened), &[other, joined.clone()]]),
            [
                vec!["open 192.0.2.0/24 is out."],
                vec!["open 198.51.100.0/24 is out.", "resolved 192.0.2.0/24 is out."]
            ],
            "who was told of it is told where it goes on"
        );
        assert_eq!(sent(&[&[opened, joined]]), Vec::<Vec<String>>::new());
    }
}
