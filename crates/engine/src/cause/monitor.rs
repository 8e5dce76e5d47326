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
        let feeds = self.feeds.judge(
            now,
            feeds,
            "collector",
            "routes that are seen nowhere else are not judged",
        );
        let vantages = self
            .vantages
            .judge(now, vantages, "vantage", "names are not judged from there");
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

    fn judge(&mut self, now: Time, all: usize, kind: &str, text: &str) -> Option<Notable> {
        let lost = self.lost.len();
        let most = lost * 2 > all;
        match (most, self.told) {
            (true, None) => {
                let id = Id::of(&["notable", "monitor_fault", kind, &now.micros().to_string()]);
                self.told = Some((id, now));
                let summary = match all {
                    0 | 1 => format!("The only {kind} is lost: {text}"),
                    _ => format!("{lost} of {all} {kind}s are lost: {text}"),
                };
                Some(say(now, (id, now), false, summary))
            }
            (false, Some(told)) => {
                self.told = None;
                let summary = match all {
                    0 | 1 => format!("The only {kind} is back"),
                    _ => format!("Most {kind}s are back: {lost} of {all} are still lost"),
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
