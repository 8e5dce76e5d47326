//! The results of an agent as bytes: zstd over one JSON document.
//!
//! ```text
//! {"version": 1, "items": [{"probe": {…}}, {"delegation": {…}}, {"gap": {"at", "from", "to", "reason", "lost"}}]}
//! ```
//!
//! JSON, because an agent may be older or newer than its collector: what one of them does not know is skipped, what is
//! absent has its default. A field that is added to a probe or a delegation must be optional, else the version is raised.
//!
//! The bytes come from the network. Their length is bounded before and after unpacking, and so is the window of zstd;
//! nothing is allocated from a length that they claim. An agent speaks for its own vantage, for nothing but DNS, and in
//! texts of bounded length. Late or early is what the *collector's* clock says.

use std::borrow::Cow;
use std::io::Read;
use std::time::Duration;

use netfault_model::{Arrival, Delegation, Gap, GapSource, Input, Probe, Time};
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;
/// Of one batch as it is sent.
pub const MAX_PACKED: usize = 1 << 20;
/// Of one batch unpacked: some 6,000 probes.
pub const MAX_UNPACKED: usize = 4 << 20;
pub const MAX_ITEMS: usize = 8_000;
/// 8 MB of window, zstd's own limit for untrusted data (RFC 8878 section 3.1.1.1.2).
const WINDOW_LOG: u32 = 23;
/// Fast, and within a few percent of higher levels on this data.
const ZSTD_LEVEL: i32 = 3;

/// DESIGN section 3.
const LATE: Duration = Duration::from_secs(300);
const EARLY: Duration = Duration::from_secs(60);

/// RFC 1035 section 2.3.4.
const MAX_NAME: usize = 255;
/// The longest name of a record type is shorter (`TYPE65535`).
const MAX_TYPE: usize = 16;
/// Texts of servers, cut to it. The wire parser keeps less.
const MAX_TEXT: usize = 1024;
/// Records in one answer that are kept; one of 65,535 octets has some 4,000 addresses.
const MAX_ANSWERS: usize = 4096;

/// One result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Item {
    Probe(Box<Probe>),
    Delegation(Box<Delegation>),
    Gap(Hole),
}

/// A hole in what an agent found: rounds skipped, results dropped, a wrong clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hole {
    pub at: Time,
    #[serde(default)]
    pub from: Option<Time>,
    #[serde(default)]
    pub to: Option<Time>,
    pub reason: String,
    #[serde(default)]
    pub lost: Option<u64>,
}

impl Item {
    /// What an agent has to say of `input`; nothing if it is not of DNS.
    pub fn of(input: Input) -> Option<Item> {
        match input {
            Input::Probe(probe) => Some(Item::Probe(probe)),
            Input::Delegation(delegation) => Some(Item::Delegation(delegation)),
            Input::Gap(gap) => Some(Item::Gap(Hole {
                at: gap.at,
                from: gap.from,
                to: gap.to,
                reason: gap.reason.into_owned(),
                lost: gap.lost,
            })),
            _ => None,
        }
    }

    pub fn at(&self) -> Time {
        match self {
            Item::Probe(probe) => probe.at,
            Item::Delegation(delegation) => delegation.at,
            Item::Gap(hole) => hole.at,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Document<'a> {
    version: u32,
    items: Cow<'a, [Item]>,
}

/// Why bytes are no batch of that agent. Sending them again would not help.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    #[error("the batch cannot be unpacked: {0}")]
    Zstd(std::io::Error),
    #[error("the batch has more than {MAX_UNPACKED} bytes")]
    TooLong,
    #[error("the batch is not what version {VERSION} of the format has: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the batch has version {0} of the format, and version {VERSION} is understood here")]
    Version(u32),
    #[error("the batch has {0} items, and {MAX_ITEMS} is the most")]
    TooMany(usize),
    #[error("the results are of vantage '{said}', and '{caller}' speaks only for itself")]
    Vantage { said: String, caller: String },
    #[error("'{0}' is no name of the DNS")]
    Name(String),
}

/// The bytes that are sent.
///
/// # Errors
/// If they would be more than a collector takes: send fewer items.
pub fn pack(items: &[Item]) -> Result<Vec<u8>, Malformed> {
    let document = Document {
        version: VERSION,
        items: Cow::Borrowed(items),
    };
    let json = serde_json::to_vec(&document)?;
    let packed = zstd::bulk::compress(&json, ZSTD_LEVEL).map_err(Malformed::Zstd)?;
    if items.len() > MAX_ITEMS {
        Err(Malformed::TooMany(items.len()))
    } else if json.len() > MAX_UNPACKED || packed.len() > MAX_PACKED {
        Err(Malformed::TooLong)
    } else {
        Ok(packed)
    }
}

/// The items in bytes from the network.
///
/// # Errors
/// If they are none of ours.
pub fn unpack(bytes: &[u8]) -> Result<Vec<Item>, Malformed> {
    let mut reader = zstd::stream::read::Decoder::new(bytes).map_err(Malformed::Zstd)?;
    reader.window_log_max(WINDOW_LOG).map_err(Malformed::Zstd)?;
    let mut json = Vec::new();
    reader
        .take(MAX_UNPACKED as u64 + 1)
        .read_to_end(&mut json)
        .map_err(Malformed::Zstd)?;
    if json.len() > MAX_UNPACKED {
        return Err(Malformed::TooLong);
    }
    // The version first: what follows may be unlike anything that is known here.
    #[derive(Deserialize)]
    struct Head {
        version: u32,
    }
    let Head { version } = serde_json::from_slice(&json)?;
    if version != VERSION {
        return Err(Malformed::Version(version));
    }
    let document: Document = serde_json::from_slice(&json)?;
    match document.items.len() {
        many if many > MAX_ITEMS => Err(Malformed::TooMany(many)),
        _ => Ok(document.items.into_owned()),
    }
}

/// What the pipeline is given: one input for each item. `now` is the collector's clock.
///
/// # Errors
/// If the agent says what it has no business to say.
pub fn inputs(items: Vec<Item>, agent: &str, now: Time) -> Result<Vec<Input>, Malformed> {
    items.into_iter().map(|item| input(item, agent, now)).collect()
}

fn input(item: Item, agent: &str, now: Time) -> Result<Input, Malformed> {
    match item {
        Item::Probe(mut probe) => {
            is_own(&probe.vantage, agent)?;
            for name in [&probe.name, &probe.qname] {
                is_name(name, MAX_NAME)?;
            }
            is_name(&probe.qtype, MAX_TYPE)?;
            trim(&mut probe);
            probe.arrival = arrival(probe.at, now);
            Ok(Input::Probe(probe))
        }
        Item::Delegation(delegation) => {
            is_own(&delegation.vantage, agent)?;
            is_name(&delegation.name, MAX_NAME)?;
            Ok(match arrival(delegation.at, now) {
                Arrival::InTime => Input::Delegation(delegation),
                _ => Input::Gap(Box::new(untimely(&delegation, agent, now))),
            })
        }
        Item::Gap(hole) => Ok(Input::Gap(Box::new(gap(hole, agent, now)))),
    }
}

/// A delegation has no verdict on its time stamp, so one that is old must not come in as news: there is a walk every ten minutes.
fn untimely(delegation: &Delegation, agent: &str, now: Time) -> Gap {
    let reason = format!("a delegation of {} did not come in time", delegation.name);
    let hole = Hole {
        at: delegation.at,
        from: None,
        to: None,
        reason,
        lost: Some(1),
    };
    gap(hole, agent, now)
}

fn gap(hole: Hole, agent: &str, now: Time) -> Gap {
    let mut reason = hole.reason;
    cut(&mut reason);
    Gap {
        at: hole.at.min(now), // engine time must not run ahead with a wrong clock
        source: GapSource::Dns,
        collector: None,
        peer: None,
        from: hole.from,
        to: hole.to,
        offset: None,
        reason: format!("agent {agent}: {reason}").into(),
        lost: hole.lost,
    }
}

pub(crate) fn arrival(at: Time, now: Time) -> Arrival {
    if at + LATE < now {
        Arrival::Late
    } else if at > now + EARLY {
        Arrival::Early
    } else {
        Arrival::InTime
    }
}

fn is_own(said: &str, agent: &str) -> Result<(), Malformed> {
    if said == agent {
        return Ok(());
    }
    let mut said = said.to_owned();
    cut(&mut said);
    Err(Malformed::Vantage {
        said,
        caller: agent.to_owned(),
    })
}

fn is_name(name: &str, most: usize) -> Result<(), Malformed> {
    // The root is written as an empty name or a dot; a label may have any octet, which the wire parser escapes.
    if name.len() <= 4 * most && name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    let mut name = name.to_owned();
    cut(&mut name);
    Err(Malformed::Name(name.escape_default().to_string()))
}

fn trim(probe: &mut Probe) {
    probe.answers.truncate(MAX_ANSWERS);
    let texts = probe.answers.iter_mut();
    let texts = texts.chain(&mut probe.nsid).chain(&mut probe.detail);
    texts
        .chain(probe.ede.as_mut().map(|(_, text)| text))
        .for_each(cut);
}

fn cut(text: &mut String) {
    if text.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT).rev().find(|&at| text.is_char_boundary(at));
        text.truncate(end.unwrap_or(0));
    }
}

#[cfg(test)]
mod tests;
