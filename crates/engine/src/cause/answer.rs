//! R8 on request: what is known of a service, or of a name, now.

use std::collections::BTreeSet;

use netfault_model::{Delegation, Prefix, Route, Service, State, Subject, Time};
use serde::Serialize;

use crate::Engine;

/// What there is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// An open incident concerns it.
    Incident,
    /// Its names resolve and the prefixes that carry it are there (R8).
    NoNetworkFault,
    /// Something of it is not well, and too little for an incident, or not for long enough.
    Unwell,
    /// Something that has to be known is not.
    Unknown,
}

/// The answer about one service or one name. Fields are added, never changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// Engine time: nothing later is known.
    pub at: Time,
    pub subject: Subject,
    pub answer: Word,
    /// One sentence.
    pub summary: String,
    pub incidents: Vec<OpenIncident>,
    pub names: Vec<NameNow>,
    pub prefixes: Vec<PrefixNow>,
    /// What users notice, in words; hints, not verdicts.
    pub hints: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OpenIncident {
    pub id: netfault_model::Id,
    pub severity: u8,
    pub since: Time,
    pub summary: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NameNow {
    pub name: String,
    pub state: State,
    /// Servers that answer, where most are seen, and how many addresses there are.
    pub servers_up: u32,
    pub servers: u32,
    /// When its delegation was walked.
    pub mapped_at: Option<Time>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PrefixNow {
    #[serde(flatten)]
    pub route: Route,
    pub state: State,
}

impl Engine {
    /// What is known of a service of the configuration, or of a watched name. `None`: neither is called so.
    pub fn answer(&self, what: &str) -> Option<Answer> {
        let service = self.graph.services().find(|(name, _)| ***name == *what);
        let (subject, service) = match service {
            Some((name, service)) => (
                Subject::Service {
                    service: name.to_string(),
                },
                service.clone(),
            ),
            None => {
                self.graph.node(what)?;
                let alone = Service {
                    names: [what.to_owned()].into(),
                    ..Service::default()
                };
                (
                    Subject::Name {
                        name: what.to_owned(),
                    },
                    alone,
                )
            }
        };
        let names: Vec<NameNow> = service.names.iter().map(|name| self.name_now(name)).collect();
        let prefixes = self.prefixes_now(&service);
        let incidents = self.incidents.about(&self.graph.ties(&subject));
        let hints = self.hints.said(what);
        let answer = word(&names, &prefixes, !incidents.is_empty());
        let summary = summary(what, answer, &names, &prefixes, incidents.first());
        Some(Answer {
            at: self.now,
            subject,
            answer,
            summary,
            incidents,
            names,
            prefixes,
            hints,
        })
    }

    fn name_now(&self, name: &str) -> NameNow {
        let node = self.graph.node(name);
        let delegation: Option<&Delegation> = node.and_then(|node| node.delegation.as_ref());
        let addresses: Option<BTreeSet<_>> =
            delegation.map(|it| it.servers.iter().map(|server| server.addr).collect());
        NameNow {
            name: name.to_owned(),
            state: node.map_or(State::Unknown, |node| node.state),
            servers_up: self.names.servers_up(name, self.now),
            servers: addresses.map_or(0, |addresses| addresses.len() as u32),
            mapped_at: delegation.map(|it| it.at),
        }
    }

    fn prefixes_now(&self, service: &Service) -> Vec<PrefixNow> {
        let mut routes: BTreeSet<Route> = BTreeSet::new();
        for name in &service.names {
            let delegation = self.graph.node(name).and_then(|node| node.delegation.as_ref());
            routes.extend(delegation.into_iter().flat_map(Delegation::routes));
        }
        let origin = |prefix: Prefix| {
            self.table
                .find(prefix)
                .and_then(|row| self.table.entry(row).origin())
        };
        routes.extend(service.prefixes.iter().map(|&prefix| Route {
            prefix,
            origin: origin(prefix),
        }));
        let state = |prefix| {
            self.table
                .find(prefix)
                .map_or(State::Unknown, |row| self.table.entry(row).state)
        };
        let now = |route: Route| PrefixNow {
            route,
            state: state(route.prefix),
        };
        routes.into_iter().map(now).collect()
    }
}

fn word(names: &[NameNow], prefixes: &[PrefixNow], has_incident: bool) -> Word {
    let states = || {
        names
            .iter()
            .map(|it| it.state)
            .chain(prefixes.iter().map(|it| it.state))
    };
    let fine = |state: State| matches!(state, State::Ok | State::Normal);
    if has_incident {
        Word::Incident
    } else if states().any(|state| !fine(state) && state != State::Unknown) {
        Word::Unwell
    } else if states().next().is_none() || states().any(|state| state == State::Unknown) {
        Word::Unknown
    } else {
        Word::NoNetworkFault
    }
}

fn summary(
    what: &str,
    answer: Word,
    names: &[NameNow],
    prefixes: &[PrefixNow],
    incident: Option<&OpenIncident>,
) -> String {
    let not = |fine: State| names.iter().filter(|it| it.state != fine).count();
    let down = prefixes.iter().filter(|it| it.state != State::Normal).count();
    let counts = format!(
        "{} of {} names resolve, {} of {} prefixes that carry it are there",
        names.len() - not(State::Ok),
        names.len(),
        prefixes.len() - down,
        prefixes.len()
    );
    match (answer, incident) {
        (Word::Incident, Some(incident)) => incident.summary.clone(),
        (Word::NoNetworkFault, _) => format!("No network-layer fault at {what}: {counts}"),
        (Word::Unknown, _) => format!("Not enough is known of {what} to answer: {counts}"),
        _ => format!("Something of {what} is not well: {counts}"),
    }
}
