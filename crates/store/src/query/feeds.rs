//! Could we see at all? Holes in feeds, and feeds that could not be counted on.

use netfault_model::Time;
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::StoreError;

/// One hole, or one state of a feed that is not up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedTrouble {
    pub at: Time,
    /// Of a hole.
    pub source: String,
    /// Of a feed: suspect, down or syncing.
    pub state: String,
    pub collector: String,
    /// Empty: the whole collector.
    pub peer_addr: String,
    pub peer_asn: u32,
    pub reason: String,
    /// Messages, where that is known.
    pub lost: Option<u64>,
}

/// What kept us from seeing in `since..until`, in order of time, at most `limit`.
pub async fn feed_troubles(
    client: &Client,
    since: Time,
    until: Time,
    limit: u64,
) -> Result<Vec<FeedTrouble>, StoreError> {
    let query = client
        .query(&format!(
            "SELECT at, source, state, collector, peer_addr, peer_asn, reason, lost FROM feed_status FINAL \
             WHERE at >= fromUnixTimestamp64Micro({{since:Int64}}, 'UTC') \
             AND at < fromUnixTimestamp64Micro({{until:Int64}}, 'UTC') \
             AND (kind = 'gap' OR state IN ('suspect', 'down')) ORDER BY at, collector, peer_addr LIMIT {limit}"
        ))
        .param("since", since.micros().to_string())
        .param("until", until.micros().to_string());
    client.fetch(query).await
}
