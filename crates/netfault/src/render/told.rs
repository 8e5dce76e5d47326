//! Incidents and notables as one line for people. Their sentence is the engine's; here it gets its frame.

use netfault_model::{Baseline, Delegation, Incident, IncidentState, Notable};

use super::style::{Style, moment};

/// `2008-02-24 02:03:42Z  INCIDENT  opened  <sentence> (severity 3, 81 % sure; netfault explain 0123456789abcdef)`
pub fn incident(incident: &Incident, style: Style) -> String {
    let word = match (incident.state, incident.reopened) {
        (IncidentState::Open, 0) => "opened".to_owned(),
        (IncidentState::Open, times) => format!("again, {times}"),
        (IncidentState::Update, _) => "goes on".to_owned(),
        (IncidentState::Resolved, _) => "resolved".to_owned(),
        (IncidentState::Merged, _) => "merged".to_owned(),
    };
    let title = format!("{:<18}", "INCIDENT");
    let title = match incident.shown {
        true => style.state(incident.level, &title),
        false => title,
    };
    let line = format!(
        "{}  {title}  {word:<9}  {} ({}; netfault explain {})",
        moment(incident.at),
        incident.summary.trim_end_matches('.'),
        marks(incident).join(", "),
        incident.id
    );
    match incident.shown {
        true => line,
        false => style.dim(&line),
    }
}

/// `2026-11-27 02:03:42Z  example.com  delegation  zone example.com: 4 servers in 192.0.2.0/24 (AS64500)`
pub fn delegation(delegation: &Delegation, style: Style) -> String {
    let mut routes: Vec<String> = delegation
        .servers
        .iter()
        .filter_map(|server| server.route)
        .map(|route| match route.origin {
            Some(origin) => format!("{} ({origin})", route.prefix),
            None => route.prefix.to_string(),
        })
        .collect();
    routes.sort();
    routes.dedup();
    let within = match routes.is_empty() {
        true => String::new(),
        false => format!(" in {}", routes.join(", ")),
    };
    let line = format!(
        "{}  {:<18}  delegation           zone {}: {} addresses of name servers{within}",
        moment(delegation.at),
        delegation.name,
        delegation.zone.as_deref().unwrap_or("not found"),
        delegation.servers.len(),
    );
    style.dim(&line)
}

/// What weighs it.
fn marks(incident: &Incident) -> Vec<String> {
    let mut marks = vec![
        format!("severity {}", incident.severity),
        format!("{:.0} % sure", incident.confidence * 100.0),
    ];
    let mut mark = |is_so: bool, word: &str| {
        if is_so {
            marks.push(word.to_owned());
        }
    };
    mark(incident.watched, "watched");
    mark(incident.beacon, "beacon");
    mark(incident.flapping, "flapping");
    mark(incident.baseline == Baseline::Inferred, "inferred baseline");
    marks
}

/// `2008-02-24 18:48:09Z  208.65.153.0/24     AS17557    note: origin change     <sentence>`
pub fn notable(notable: &Notable, style: Style) -> String {
    let (subject, origin) = match &notable.subject {
        Some(subject) => super::human::who(subject),
        None => ("all feeds".to_owned(), String::new()),
    };
    let over = if notable.over { " over" } else { "" };
    let note = format!("note: {}{over}", notable.what.name().replace('_', " "));
    let watched = if notable.watched { " (watched)" } else { "" };
    let line = format!(
        "{}  {subject:<18}  {origin:<9}  {note:<22}  {}{watched}",
        moment(notable.at),
        notable.summary.trim_end_matches('.')
    );
    style.note(&line)
}
