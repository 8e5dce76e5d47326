//! What the engine says → what people are told, and what our own health follows from.

use std::collections::BTreeMap;
use std::sync::Arc;

use netfault_alerts::{Health, Notice, Open, Policy};
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

    pub fn send(&mut self, notices: Vec<Notice>) {
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

pub fn now() -> Time {
    system_clock()()
}
