//! What the parts of netfault report, and when a report is trouble.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use netfault_model::{FeedState, GapSource, NotableKind, Output, Time};

use super::{LOSS, Trouble};

/// Asks a source whether it is well although nothing comes from it.
pub struct Alive(Box<dyn Fn() -> bool + Send + Sync>);

impl Alive {
    pub fn new(ask: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Alive(Box::new(ask))
    }

    pub(super) fn ask(&self) -> bool {
        (self.0)()
    }
}

impl fmt::Debug for Alive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Alive")
    }
}

#[derive(Debug)]
pub(super) struct Source {
    pub heard: Time,
    pub limit: Duration,
    pub alive: Option<Alive>,
}

/// How the store fares.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Store {
    /// What it said last, until a batch goes through.
    pub error: Option<String>,
    pub spool_bytes: u64,
    pub spool_max: u64,
}

/// Something that the engine said, until it says otherwise.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Standing {
    severity: u8,
    title: String,
    since: Time,
    /// It is trouble only once it has lasted so long.
    hold: Duration,
    /// It ends by itself.
    until: Option<Time>,
    stale: bool,
    /// How often it happened, and how often it must.
    times: u32,
    needs: u32,
}

/// Collectors pause while they write a table dump, for two minutes and more.
const FEED: Duration = Duration::from_secs(300);
/// After a pause of ours the engine first says what was lost in it, and takes it back with the first answers.
const CATCH_UP: Duration = Duration::from_secs(60);
/// A feed that breaks so often within [`LOSS`] is not well.
const BREAKS: u32 = 3;

impl Standing {
    fn new(severity: u8, title: String, now: Time) -> Self {
        Standing {
            severity,
            title,
            since: now,
            hold: Duration::ZERO,
            until: None,
            stale: false,
            times: 1,
            needs: 1,
        }
    }

    pub(super) fn has_faded(&self, now: Time) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    pub(super) fn trouble(&self, key: &str, now: Time) -> Option<Trouble> {
        let counts = self.since + self.hold <= now && self.times >= self.needs;
        counts.then(|| Trouble {
            key: key.to_owned(),
            severity: self.severity,
            title: self.title.clone(),
            since: self.since,
            stale: self.stale,
        })
    }
}

pub(super) fn note(standing: &mut BTreeMap<String, Standing>, output: &Output, now: Time) {
    match output {
        Output::Feed(feed) if feed.peer.is_none() => {
            let key = format!("feed:{}", feed.collector);
            if matches!(feed.state, FeedState::Up | FeedState::Syncing) {
                standing.remove(&key);
                return;
            }
            let title = format!(
                "The feed of collector {} is lost: {}.",
                feed.collector, feed.reason
            );
            standing.entry(key).or_insert(Standing {
                hold: FEED,
                ..Standing::new(3, title, now)
            });
        }
        Output::Notable(notable) => {
            let Some((severity, stale)) = about_ourselves(notable.what) else {
                return;
            };
            let key = format!("{}:{}", notable.what.name(), notable.id);
            match notable.over {
                true => drop(standing.remove(&key)),
                false => {
                    let is_past = notable.at + CATCH_UP < now;
                    let said = Standing {
                        stale,
                        hold: if is_past { CATCH_UP } else { Duration::ZERO },
                        ..Standing::new(severity, notable.summary.clone(), now)
                    };
                    standing.insert(key, said);
                }
            }
        }
        Output::Gap(gap) => lost(standing, gap.source, &gap.reason, now),
        Output::Feed(_) | Output::Transition(_) | Output::Incident(_) | Output::Delegation(_) => {}
    }
}

/// Severity, and whether it makes us blind.
fn about_ourselves(what: NotableKind) -> Option<(u8, bool)> {
    match what.name() {
        "vantage_offline" => Some((3, true)),
        "monitor_fault" => Some((4, true)),
        "resolver_fault" => Some((2, false)),
        _ => None,
    }
}

fn lost(standing: &mut BTreeMap<String, Standing>, source: GapSource, reason: &str, now: Time) {
    let (name, severity, needs) = match source {
        GapSource::Store => ("store", 3, 1),
        GapSource::Journal => ("journal", 3, 1),
        GapSource::RisLive => ("RIS Live", 2, BREAKS),
        GapSource::Bmp => ("BMP", 2, BREAKS),
        GapSource::Dns => ("DNS", 2, BREAKS),
        GapSource::Mrt => return, // files: nobody can do anything about them now
    };
    let title = match needs {
        1 => format!("The {name} lost data: {reason}."),
        _ => format!("{name} keeps losing messages: {reason}."),
    };
    let said = standing.entry(format!("gap:{name}")).or_insert_with(|| Standing {
        times: 0,
        needs,
        ..Standing::new(severity, String::new(), now)
    });
    // One break of a feed is a gap of each of its collectors, all at once.
    let is_another = said.times == 0
        || said
            .until
            .is_none_or(|until| until < now + LOSS - Duration::from_secs(5));
    said.times += u32::from(is_another);
    said.title = title;
    said.until = Some(now + LOSS);
}
