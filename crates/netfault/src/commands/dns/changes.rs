//! What a report says of each server, and what is different from the one before. Pure.

use std::collections::{BTreeMap, BTreeSet};

use netfault_model::Outcome;
use netfault_sources::dns::check::{CheckProbe, CheckReport};

use super::check::server;

/// A report, as far as rounds are compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Each server: what is wrong with it, or nothing.
    servers: BTreeMap<String, Option<String>>,
    /// Answers by type, of all servers together.
    answers: BTreeMap<String, BTreeSet<String>>,
}

impl View {
    pub fn of(report: &CheckReport) -> View {
        let mut view = View::default();
        for probe in &report.probes {
            let entry = view.servers.entry(server(probe)).or_default();
            if entry.is_none() && is_bad(probe) {
                *entry = Some(wrong(probe));
            }
            if matches!(probe.qtype.as_str(), "A" | "AAAA") && probe.outcome == Outcome::Ok {
                let answers = view.answers.entry(probe.qtype.clone()).or_default();
                answers.extend(probe.answers.iter().cloned());
            }
        }
        view
    }

    /// Servers that fail, and how.
    pub fn failing(&self) -> Vec<String> {
        let failing = self.servers.iter();
        failing
            .filter_map(|(server, wrong)| Some(format!("{server} {}", wrong.as_ref()?)))
            .collect()
    }

    pub fn servers(&self) -> usize {
        self.servers.len()
    }

    /// One line for each thing that is not as it was in `before`.
    pub fn changes(&self, before: &View) -> Vec<String> {
        let mut lines = Vec::new();
        for (server, now) in &self.servers {
            match (before.servers.get(server), now) {
                (None, _) => lines.push(format!("{server} is new")),
                (Some(None), Some(wrong)) => lines.push(format!("{server} fails: {wrong}")),
                (Some(Some(_)), None) => lines.push(format!("{server} answers again")),
                (Some(Some(was)), Some(is)) if was != is => lines.push(format!("{server}: {is}, was {was}")),
                _ => {}
            }
        }
        let gone = before
            .servers
            .keys()
            .filter(|server| !self.servers.contains_key(*server));
        lines.extend(gone.map(|server| format!("{server} is no longer among the servers")));
        // No answer at all is said by the servers' outcomes.
        for (qtype, now) in &self.answers {
            match before.answers.get(qtype) {
                Some(was) if was != now => lines.push(format!("{qtype} is {}, was {}", list(now), list(was))),
                _ => {}
            }
        }
        lines
    }
}

fn is_bad(probe: &CheckProbe) -> bool {
    !matches!(probe.outcome, Outcome::Ok | Outcome::Nodata)
}

fn wrong(probe: &CheckProbe) -> String {
    match (&probe.detail, &probe.ede) {
        (Some(detail), _) => format!("{} ({detail})", probe.outcome.name()),
        (None, Some(ede)) => format!("{} (EDE {})", probe.outcome.name(), ede.code),
        (None, None) => probe.outcome.name().to_owned(),
    }
}

fn list(answers: &BTreeSet<String>) -> String {
    let texts: Vec<&str> = answers.iter().map(String::as_str).collect();
    texts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(servers: &[(&str, Option<&str>)], a: &[&str]) -> View {
        View {
            servers: servers
                .iter()
                .map(|(server, wrong)| ((*server).to_owned(), wrong.map(str::to_owned)))
                .collect(),
            answers: match a.is_empty() {
                true => BTreeMap::new(),
                false => [("A".to_owned(), a.iter().map(|text| (*text).to_owned()).collect())].into(),
            },
        }
    }

    #[test]
    fn only_what_differs_is_said() {
        let first = view(
            &[("a", None), ("b", Some("timeout")), ("c", Some("refused"))],
            &["192.0.2.1"],
        );
        assert_eq!(first.changes(&first), [""; 0]);
        assert_eq!(first.failing(), ["b timeout", "c refused"]);
        let second = view(
            &[
                ("a", Some("servfail")),
                ("b", None),
                ("c", Some("lame")),
                ("d", None),
            ],
            &["192.0.2.2"],
        );
        assert_eq!(
            second.changes(&first),
            [
                "a fails: servfail",
                "b answers again",
                "c: lame, was refused",
                "d is new",
                "A is 192.0.2.2, was 192.0.2.1"
            ]
        );
        let third = view(&[("a", Some("timeout"))], &[]);
        assert_eq!(
            third.changes(&second),
            [
                "a: timeout, was servfail",
                "b is no longer among the servers",
                "c is no longer among the servers",
                "d is no longer among the servers"
            ]
        );
    }
}
