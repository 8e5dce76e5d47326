//! R0: most of what we see by is lost. It is said once, about ourselves; nothing is judged by the lost views: routes whose peers are
//! silent are Unknown, and so are names that no vantage sees (those rules are theirs, see `look` and `dns`).

use std::collections::BTreeSet;

use netfault_model::{FeedState, Id, Notable, NotableKind, Output, Time};
use serde::{Deserialize, Serialize};

/// Feeds (collectors) and vantages that are lost, and since when that is most of either.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Monitor {
    feeds: Side,
    vantages: Side,
}

/// What is lost, in words. One vantage that is lost has been told by itself (`vantage_offline`); a feed is told here even if it
/// is the only one, for its own message is no notable.
struct Kind {
    name: &'static str,
    least: usize,
    means: &'static str,
}

const FEEDS: Kind = Kind {
    name: "collector",
    least: 1,
    means: "routes that are seen nowhere else are not judged",
};
const VANTAGES: Kind = Kind {
    name: "vantage",
    least: 2,
    means: "names are not judged from there",
};

#[derive(Debug, Default, Serialize, Deserialize)]
struct Side {
    lost: BTreeSet<String>,
    told: Option<(Id, Time)>,
}

impl Monitor {
    /// The instant is over: takes what was decided in it, and says what it means for us. `feeds` and `vantages`: how many there are.
    pub fn settle(&mut self, now: Time, (feeds, vantages): (usize, usize), decided: &mut Vec<Output>) {
        for output in decided.iter() {
            match output {
                Output::Feed(feed) if feed.peer.is_none() => {
                    let is_lost = matches!(feed.state, FeedState::Suspect | FeedState::Down);
                    self.feeds.note(feed.collector.to_string(), is_lost);
                }
                Output::Notable(it) if it.what == NotableKind::VantageOffline => {
                    self.vantages.note(it.id.to_string(), !it.over);
                }
                _ => {}
            }
        }
        let feeds = self.feeds.judge(now, feeds, &FEEDS);
        let vantages = self.vantages.judge(now, vantages, &VANTAGES);
        let said = feeds.into_iter().chain(vantages);
        decided.extend(said.map(|it| Output::Notable(Box::new(it))));
    }
}

impl Side {
    fn note(&mut self, what: String, is_lost: bool) {
        match is_lost {
            true => drop(self.lost.insert(what)),
            false => drop(self.lost.remove(&what)),
        }
    }

    fn judge(&mut self, now: Time, all: usize, kind: &Kind) -> Option<Notable> {
        let Kind { name, least, means } = kind;
        let lost = self.lost.len();
        let most = lost * 2 > all;
        match (most, self.told) {
            (true, None) if lost >= *least => {
                let id = Id::of(&["notable", "monitor_fault", name, &now.micros().to_string()]);
                self.told = Some((id, now));
                let summary = match all {
                    1 => format!("The only {name} is lost: {means}"),
                    _ => format!("{lost} of {all} {name}s are lost: {means}"),
                };
                Some(say(now, (id, now), false, summary))
            }
            (false, Some(told)) => {
                self.told = None;
                let summary = match (lost, all) {
                    (_, 1) => format!("The only {name} is back"),
                    (0, _) => format!("No {name} is lost any more"),
                    _ => format!("Most {name}s are back: {lost} of {all} are still lost"),
                };
                Some(say(now, told, true, summary))
            }
            _ => None,
        }
    }
}

fn say(now: Time, (id, since): (Id, Time), over: bool, summary: String) -> Notable {
    Notable {
        id,
        first_evidence_at: since,
        over,
        watched: true,
        summary,
        ..Notable::blank(NotableKind::MonitorFault, now)
    }
}
