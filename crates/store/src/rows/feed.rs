//! `feed_status`: which feeds could be counted on, and the holes in what they delivered.

use netfault_model::{Feed, Gap, Peer, Time};

use super::{Names, serde_name, stable_id};
use crate::native::Block;

pub(super) const COLUMNS: &[&str] = &[
    "id",
    "at",
    "kind",
    "collector",
    "peer_addr",
    "peer_asn",
    "state",
    "source",
    "reason",
    "gap_from",
    "gap_to",
    "offset",
    "lost",
];

/// A state of a feed or a hole in one: both answer "could we see at all?", so they share a table.
pub(crate) enum FeedRow {
    Feed(Feed),
    Gap(Gap),
}

impl FeedRow {
    pub fn at(&self) -> Time {
        match self {
            FeedRow::Feed(feed) => feed.at,
            FeedRow::Gap(gap) => gap.at,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            FeedRow::Feed(_) => "feed",
            FeedRow::Gap(_) => "gap",
        }
    }

    fn collector(&self) -> &str {
        match self {
            FeedRow::Feed(feed) => feed.collector.name(),
            FeedRow::Gap(gap) => gap.collector.map_or("", |collector| collector.name()),
        }
    }

    fn peer(&self) -> Option<Peer> {
        match self {
            FeedRow::Feed(feed) => feed.peer,
            FeedRow::Gap(gap) => gap.peer,
        }
    }

    fn state(&self) -> String {
        match self {
            FeedRow::Feed(feed) => serde_name(&feed.state),
            FeedRow::Gap(_) => String::new(),
        }
    }

    fn source(&self) -> String {
        match self {
            FeedRow::Feed(_) => String::new(),
            FeedRow::Gap(gap) => serde_name(&gap.source),
        }
    }

    fn reason(&self) -> &str {
        match self {
            FeedRow::Feed(feed) => &feed.reason,
            FeedRow::Gap(gap) => &gap.reason,
        }
    }

    fn gap(&self) -> Option<&Gap> {
        match self {
            FeedRow::Feed(_) => None,
            FeedRow::Gap(gap) => Some(gap),
        }
    }

    /// The same statement has the same id, as with transitions.
    fn id(&self) -> u64 {
        let peer = self.peer().map(|peer| peer.to_string()).unwrap_or_default();
        let offset = self.gap().and_then(|gap| gap.offset);
        stable_id(&format!(
            "{}|{}|{peer}|{}|{}|{}|{}|{offset:?}",
            self.kind(),
            self.collector(),
            self.state(),
            self.source(),
            self.at().micros(),
            self.reason(),
        ))
    }
}

pub(super) fn encode(rows: &[FeedRow]) -> Vec<u8> {
    let mut block = Block::new(COLUMNS, rows.len());
    block.u64s("id", rows.iter().map(FeedRow::id));
    block.times("at", rows.iter().map(|row| row.at().micros()));
    Names::column(&mut block, "kind", rows.iter().map(FeedRow::kind));
    Names::column(&mut block, "collector", rows.iter().map(FeedRow::collector));
    let addrs: Vec<_> = rows
        .iter()
        .map(|row| row.peer().map(|peer| peer.addr.to_string()).unwrap_or_default())
        .collect();
    Names::column(&mut block, "peer_addr", addrs.iter().map(String::as_str));
    block.u32s(
        "peer_asn",
        rows.iter().map(|row| row.peer().map_or(0, |peer| peer.asn.0)),
    );
    let states: Vec<_> = rows.iter().map(FeedRow::state).collect();
    Names::column(&mut block, "state", states.iter().map(String::as_str));
    let sources: Vec<_> = rows.iter().map(FeedRow::source).collect();
    Names::column(&mut block, "source", sources.iter().map(String::as_str));
    block.strings("reason", rows.iter().map(FeedRow::reason));
    let mut number = |name: &str, kind: &str, value: &dyn Fn(&Gap) -> Option<u64>| {
        let values: Vec<_> = rows.iter().map(|row| row.gap().and_then(value)).collect();
        block.nullable(name, kind, &values, |value| value.to_le_bytes());
    };
    // The bits of an i64 are what a DateTime64 is.
    number("gap_from", "DateTime64(6)", &|gap| {
        gap.from.map(|time| time.micros() as u64)
    });
    number("gap_to", "DateTime64(6)", &|gap| {
        gap.to.map(|time| time.micros() as u64)
    });
    number("offset", "UInt64", &|gap| gap.offset);
    number("lost", "UInt64", &|gap| gap.lost);
    block.finish()
}
