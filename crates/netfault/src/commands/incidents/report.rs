//! A post-mortem as Markdown. Pure: what is known of an incident in, a text out. It is written for somebody who was not
//! there and wants to know what broke, when, who saw it, and how far all of this can be trusted.
//!
//! * [`cause`] the rule and its numbers; [`layers`] one line a layer; [`timeline`] step by step
//! * [`seen`] who saw it; [`unknown`] what is not known; [`text`] times, tables and words

mod cause;
mod layers;
mod seen;
mod text;
mod timeline;
mod unknown;

#[cfg(test)]
mod tests;

use netfault_model::{Hint, Incident, Transition};
use netfault_store::query::{FeedTrouble, NoteKind};

use super::super::explain::History;
use crate::render::who;
use text::{Table, clean, clock, lasted, moment};

/// Parts that are listed; the rest is counted.
const MOST_PARTS: usize = 50;

/// Everything that the store knows of an incident.
pub struct Case {
    pub history: History,
    /// Of its parts, in order of time.
    pub transitions: Vec<Transition>,
    /// What kept us from seeing while it lasted.
    pub troubles: Vec<FeedTrouble>,
    /// Of its services.
    pub hints: Vec<Hint>,
}

impl Case {
    fn newest(&self) -> &Incident {
        self.history.newest()
    }

    /// The version that says most of what was lost: the first of the worst.
    fn worst(&self) -> &Incident {
        let rank = |it: &Incident| (it.severity, it.prefixes_down, it.children.len());
        let mut worst = &self.history.versions[0];
        for version in &self.history.versions {
            if rank(version) > rank(worst) {
                worst = version;
            }
        }
        worst
    }
}

pub fn markdown(case: &Case) -> String {
    let mut out = String::new();
    out.push_str(&head(case));
    out.push_str(&cause::section(case));
    out.push_str("\n## Timeline\n\nAll times are UTC.\n\n");
    out.push_str(&layers::table(case));
    out.push_str(&timeline::section(case));
    out.push_str(&parts(case.newest()));
    out.push_str(&seen::section(case));
    out.push_str(&notes(case));
    out.push_str(&unknown::section(case));
    out.push_str("\n---\nWritten by netfault from what it saw. Routing data: RIPE NCC RIS and RouteViews, where those were the sources.\n");
    out
}

fn head(case: &Case) -> String {
    let (newest, worst) = (case.newest(), case.worst());
    let mut out = format!("# {}\n\n", clean(worst.summary.trim_end_matches('.')));
    if newest.summary != worst.summary {
        out.push_str(&format!("In the end: {}\n\n", clean(&newest.summary)));
    }
    let mut table = Table::new(&["", ""]);
    let mut fact = |name: &str, value: String| table.row([name.to_owned(), value]);
    let state = match newest.merged_into {
        Some(into) => format!("became part of `{into}`"),
        None => newest.state.name().to_owned(),
    };
    fact(
        "Incident",
        format!("`{}`, version {}, {state}", newest.id, newest.version),
    );
    if !newest.services.is_empty() {
        fact("Services", clean(&newest.services.join(", ")));
    }
    times(newest, &mut fact);
    let now = match worst.severity == newest.severity {
        true => String::new(),
        false => format!(" at its worst, {} now", newest.severity),
    };
    fact("Severity", format!("{} of 5{now}", worst.severity));
    fact("Confidence", format!("{:.0} %", worst.confidence * 100.0));
    fact("Taken on", taken_on(case));
    if newest.reopened > 0 {
        let times = text::count(newest.reopened as usize, "time", "times");
        fact("Opened again", times);
    }
    if newest.flapping {
        fact(
            "Flapping",
            "yes: it went and came back again and again".to_owned(),
        );
    }
    out.push_str(&table.finish());
    out
}

fn times(newest: &Incident, fact: &mut impl FnMut(&str, String)) {
    let first = newest.first_evidence_at;
    fact("First evidence", moment(first));
    let after = lasted(newest.raised_at.since(first));
    fact(
        "Raised",
        format!(
            "{}, {after} after the first evidence",
            clock(newest.raised_at, first)
        ),
    );
    let cleared = match newest.cleared_at {
        Some(at) => format!("{}, after {}", clock(at, first), lasted(at.since(first))),
        None => format!("not by {}", clock(newest.at, first)),
    };
    fact("Cleared", cleared);
}

/// The first acknowledgement.
fn taken_on(case: &Case) -> String {
    let newest = case.newest();
    let mut notes = case.history.notes.iter();
    let Some(ack) = notes.find(|note| note.kind == NoteKind::Ack) else {
        return "by nobody who said so".to_owned();
    };
    format!(
        "by {} at {}, {} after it was raised",
        clean(&ack.by),
        clock(ack.at, newest.first_evidence_at),
        lasted(ack.at.since(newest.raised_at))
    )
}

fn parts(newest: &Incident) -> String {
    let mut out = String::from("\n## What was affected\n\n");
    let mut table = Table::new(&["what", "origin AS", "worst", "first loss", "well again", "for"]);
    for child in newest.children.iter().take(MOST_PARTS) {
        let (subject, origin) = who(&child.subject);
        let (again, time) = match child.cleared_at {
            Some(at) => (
                clock(at, newest.first_evidence_at),
                lasted(at.since(child.first_evidence_at)),
            ),
            None => (format!("no, {}", child.state.name()), String::new()),
        };
        table.row([
            format!("`{subject}`"),
            origin,
            child.worst.name().to_owned(),
            clock(child.first_evidence_at, newest.first_evidence_at),
            again,
            time,
        ]);
    }
    out.push_str(&table.finish());
    let more = newest.children.len().saturating_sub(MOST_PARTS);
    if more > 0 {
        out.push_str(&format!(
            "\nand {more} more (`netfault incidents show {} --format json`).\n",
            newest.id
        ));
    }
    out
}

fn notes(case: &Case) -> String {
    let mut out = String::from("\n## Notes\n\n");
    if case.history.notes.is_empty() {
        let id = case.newest().id;
        out.push_str(&format!(
            "Nobody has written anything down (`netfault incidents note {id} TEXT`).\n"
        ));
    }
    for note in &case.history.notes {
        let does = match note.kind {
            NoteKind::Ack => " took it on",
            NoteKind::Note => "",
        };
        let end = if note.text.is_empty() { "." } else { ":\n" };
        out.push_str(&format!("{}, {}{does}{end}\n", moment(note.at), clean(&note.by)));
        for line in note.text.lines() {
            out.push_str(format!("> {}", clean(line)).trim_end());
            out.push('\n');
        }
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}
