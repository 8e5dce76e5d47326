//! R8: users have trouble, and neither routes nor names do.
//!
//! Hints (HTTP probes, reports of users, traffic, status pages) never make an outage. They are kept by service, stand beside the network
//! layers of an incident, and ask one question of their own: a service whose users have had trouble for a while (by then routes
//! and names would have shown it) and whose routes and names are fine has no network-layer fault. That is said once, and taken
//! back when the trouble ends or turns out to be of the network after all.

use std::collections::{BTreeMap, BTreeSet};

use netfault_model::{
    Hint, HintKind, HttpPhase, Id, Notable, NotableKind, Output, State, Subject, Time, Watch,
};
use serde::{Deserialize, Serialize};

use crate::Settings;
use crate::dns::Names;
use crate::graph::Graph;
use crate::settings::secs;

/// Sources of one service that are listened to.
const SOURCES: usize = 256;
/// A source that says nothing for so long says nothing of now.
const SILENT: i64 = 900 * 1_000_000;
/// Bad HTTP answers in a row that are trouble: one may be anything.
const BAD: u32 = 2;
/// Reports without a history to compare them with are trouble from so many in one interval on (a guess).
const MANY: f64 = 1000.0;

/// What one source says.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Voice {
    heard: Time,
    bad: u32,
    /// The first bad word of the present row of them.
    since: Option<Time>,
    in_trouble: bool,
    text: String,
    above: Option<f64>,
    usual: Option<f64>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Users {
    voices: BTreeMap<String, Voice>,
    told: Option<(Id, Time)>,
    /// Since when they have had trouble, and when that ended, of the last time that they had.
    since: Option<Time>,
    calm_at: Option<Time>,
}

/// How the users of each service fare.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Hints {
    #[serde(skip)]
    services: BTreeMap<String, netfault_model::Service>,
    users: BTreeMap<String, Users>,
    /// About services that nobody has configured, or from too many sources.
    refused: u64,
}

impl Hints {
    pub fn new(watch: &Watch) -> Self {
        let mut hints = Hints::default();
        hints.configure(watch);
        hints
    }

    pub fn configure(&mut self, watch: &Watch) {
        self.services = watch.services.clone();
        self.users
            .retain(|service, _| watch.services.contains_key(service));
    }

    pub fn take(&mut self, settings: &Settings, hint: Hint, now: Time) {
        if !self.services.contains_key(&hint.service) {
            self.refused = self.refused.saturating_add(1);
            return;
        }
        let users = self.users.entry(hint.service.clone()).or_default();
        let key = key(&hint);
        if users.voices.len() >= SOURCES && !users.voices.contains_key(&key) {
            self.refused = self.refused.saturating_add(1);
            return;
        }
        let word = weigh(settings, &hint);
        let voice = users.voices.entry(key).or_insert(Voice {
            heard: now,
            bad: 0,
            since: None,
            in_trouble: false,
            text: String::new(),
            above: None,
            usual: None,
        });
        voice.heard = now;
        match word {
            Some(word) => {
                voice.bad = voice.bad.saturating_add(1);
                voice.since = voice.since.or(Some(hint.at.min(now)));
                voice.in_trouble |= voice.bad >= word.needed;
                voice.text = word.text;
                (voice.above, voice.usual) = (word.above, word.usual);
            }
            None => {
                voice.bad = 0;
                voice.since = None;
                voice.in_trouble = false;
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Since when the users of a service have had trouble, and when that was over, the last time.
    pub fn trouble(&self, service: &str) -> Option<(Time, Option<Time>)> {
        let users = self.users.get(service)?;
        Some((users.since?, users.calm_at))
    }

    /// What is said of the trouble of a service now, in words.
    pub fn said(&self, service: &str) -> Vec<String> {
        let voices = self
            .users
            .get(service)
            .into_iter()
            .flat_map(|users| users.voices.values());
        voices
            .filter(|voice| voice.in_trouble)
            .map(|voice| voice.text.clone())
            .collect()
    }

    /// When there is something to decide without a new hint.
    pub fn next_deadline(&self, settings: &Settings, now: Time) -> Option<Time> {
        let dues = self.users.values().flat_map(|users| {
            let silent = users.voices.values().map(|voice| voice.heard.plus_micros(SILENT));
            let ripe = users.since.filter(|_| users.calm_at.is_none());
            silent.chain(ripe.map(|since| since.plus_micros(secs(settings.hint_hold_s))))
        });
        dues.filter(|&due| due > now).min()
    }

    /// The instant is over. `concerned`: services that an open incident is about.
    pub fn settle(
        &mut self,
        settings: &Settings,
        now: Time,
        (graph, names): (&Graph, &Names),
        concerned: &BTreeSet<String>,
        decided: &mut Vec<Output>,
    ) {
        for (service, users) in &mut self.users {
            users.listen(now);
            let trouble = users.since.filter(|_| users.calm_at.is_none());
            let ripe = trouble.is_some_and(|since| now.since(since) >= secs(settings.hint_hold_s));
            let fine = || Fine::of(&self.services[service], graph, names, now);
            let said = match (users.told, concerned.contains(service)) {
                (None, false) if ripe => fine().map(|fine| users.say(service, now, &fine)),
                (Some(told), is_concerned) if trouble.is_none() || is_concerned => {
                    users.told = None;
                    Some(taken_back(service, now, told, is_concerned))
                }
                _ => None,
            };
            decided.extend(said.map(|it| Output::Notable(Box::new(it))));
        }
    }
}

impl Users {
    /// Forgets who is silent, and notes when trouble begins and ends.
    fn listen(&mut self, now: Time) {
        self.voices.retain(|_, voice| now.since(voice.heard) < SILENT);
        let troubled = self.voices.values().filter(|voice| voice.in_trouble);
        match (troubled.filter_map(|voice| voice.since).min(), self.calm_at) {
            (Some(since), Some(_)) => {
                self.since = Some(since);
                self.calm_at = None;
            }
            (Some(since), None) => self.since = Some(self.since.map_or(since, |known| known.min(since))),
            (None, None) if self.since.is_some() => self.calm_at = Some(now),
            (None, _) => {}
        }
    }

    fn say(&mut self, service: &str, now: Time, fine: &Fine) -> Notable {
        let since = self.since.unwrap_or(now);
        let id = Id::of(&[
            "notable",
            "no_network_fault",
            service,
            &since.micros().to_string(),
        ]);
        self.told = Some((id, since));
        let troubled: Vec<&Voice> = self.voices.values().filter(|voice| voice.in_trouble).collect();
        let words: Vec<&str> = troubled.iter().take(3).map(|voice| voice.text.as_str()).collect();
        let loudest = troubled
            .iter()
            .max_by(|a, b| a.above.unwrap_or(0.0).total_cmp(&b.above.unwrap_or(0.0)));
        Notable {
            id,
            subject: Some(Subject::Service {
                service: service.to_owned(),
            }),
            first_evidence_at: since,
            measured: loudest.and_then(|voice| voice.above),
            usual: loudest.and_then(|voice| voice.usual),
            watched: true,
            summary: format!(
                "No network-layer fault at {service}: {}. Its users have trouble: {}",
                fine.text(),
                words.join("; ")
            ),
            ..Notable::blank(NotableKind::NoNetworkFault, now)
        }
    }
}

fn taken_back(service: &str, now: Time, (id, since): (Id, Time), is_concerned: bool) -> Notable {
    let summary = match is_concerned {
        true => format!("It is the network after all: {service} has an incident now"),
        false => format!("The users of {service} have no trouble any more"),
    };
    Notable {
        id,
        subject: Some(Subject::Service {
            service: service.to_owned(),
        }),
        first_evidence_at: since,
        over: true,
        watched: true,
        summary,
        ..Notable::blank(NotableKind::NoNetworkFault, now)
    }
}

/// What was looked at and found well.
pub struct Fine {
    names: usize,
    servers: u32,
    prefixes: usize,
}

impl Fine {
    /// `None`: something is not well, or not known.
    pub fn of(service: &netfault_model::Service, graph: &Graph, names: &Names, now: Time) -> Option<Fine> {
        let mut fine = Fine {
            names: 0,
            servers: 0,
            prefixes: 0,
        };
        let mut carriers: BTreeSet<_> = service.prefixes.clone();
        for name in &service.names {
            let node = graph.node(name)?;
            if node.state != State::Ok {
                return None;
            }
            fine.names += 1;
            fine.servers += names.servers_up(name, now);
            carriers.extend(node.carriers());
        }
        fine.prefixes = carriers.len();
        let there = carriers
            .iter()
            .all(|prefix| graph.state(*prefix) == State::Normal);
        (there && fine.names + fine.prefixes > 0).then_some(fine)
    }

    pub fn text(&self) -> String {
        let names = match self.names {
            1 => "its name resolves".to_owned(),
            many => format!("its {many} names resolve"),
        };
        let servers = format!("{} name servers answer", self.servers);
        let prefixes = match self.prefixes {
            0 => "no route of it is known".to_owned(),
            1 => "the prefix that carries it is there".to_owned(),
            many => format!("all {many} prefixes that carry it are there"),
        };
        match self.names {
            0 => prefixes,
            _ => format!("{names}, {servers}, {prefixes}"),
        }
    }
}

/// One source may send several series: reports, and traffic by country.
fn key(hint: &Hint) -> String {
    match &hint.what {
        HintKind::Http { vantage, .. } => format!("{} http {vantage}", hint.source),
        HintKind::Reports { .. } => format!("{} reports", hint.source),
        HintKind::Traffic { of, unit, .. } => format!("{} traffic {unit} {of}", hint.source),
        HintKind::Status { .. } => format!("{} status", hint.source),
    }
}

/// A bad word.
struct Word {
    /// In a row, to be trouble.
    needed: u32,
    text: String,
    above: Option<f64>,
    usual: Option<f64>,
}

fn weigh(settings: &Settings, hint: &Hint) -> Option<Word> {
    let word = |needed, text: String| Word {
        needed,
        text,
        above: None,
        usual: None,
    };
    match &hint.what {
        HintKind::Http {
            reached,
            status,
            error,
            ..
        } => {
            let is_good = *reached == HttpPhase::Done && status.is_some_and(|status| status < 500);
            let why = match (error, status) {
                (_, Some(status)) if *reached == HttpPhase::Done => format!("answers {status}"),
                (Some(error), _) => error.clone(),
                (None, _) => "does not answer".to_owned(),
            };
            (!is_good).then(|| word(BAD, format!("{} {why}", hint.source)))
        }
        HintKind::Reports {
            interval_s,
            count,
            usual,
        } => {
            let above = count - usual.unwrap_or(0.0);
            let is_trouble = match usual {
                Some(usual) => *count >= usual * settings.hint_times && above >= settings.hint_least,
                None => *count >= MANY,
            };
            let normal = if usual.is_some() { " above normal" } else { "" };
            let text = format!(
                "{}: {} reports{normal} in {interval_s} s",
                hint.source,
                thousands(above)
            );
            is_trouble.then(|| Word {
                above: Some(above),
                usual: *usual,
                ..word(1, text)
            })
        }
        HintKind::Traffic { value, usual, of, .. } => {
            let usual = usual.filter(|usual| *usual > 0.0)?;
            let share = value / usual;
            let part = if of.is_empty() {
                String::new()
            } else {
                format!(" of {of}")
            };
            let text = format!(
                "{}: traffic{part} is at {:.0} % of what is usual",
                hint.source,
                share * 100.0
            );
            (share < 0.5).then(|| Word {
                usual: Some(usual),
                ..word(2, text)
            })
        }
        HintKind::Status {
            indicator,
            description,
        } => matches!(indicator.as_str(), "major" | "critical")
            .then(|| word(1, format!("{} says: {description}", hint.source))),
    }
}

/// `2,560`
fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.max(0.0));
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
