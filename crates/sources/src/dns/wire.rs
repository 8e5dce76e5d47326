//! DNS messages: a question to bytes, bytes to an [`Answer`].
//!
//! Records are decoded by hickory-proto. The frame around them (header, question, additional section) is
//! read here, because an answer is evidence: a bad EDNS option must not cost us its RCODE.

use std::borrow::Cow;

use hickory_proto::rr::Name;

mod answer;
mod present;
mod query;

pub use answer::{Answer, BadMessage, decode, id_of};
pub(super) use answer::{Known, decode_into, stands_without_question};
pub use present::presentation;
pub use query::{Flags, Query0x20, query};

pub(super) const HEADER_LEN: usize = 12;

/// A name that cannot be asked for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{name}' is not a domain name: {why}")]
pub struct BadName {
    pub name: String,
    pub why: String,
}

/// A name as people type it: lower case, absolute. Underscores are fine, international names are given as A-labels or not.
pub fn parse_name(text: &str) -> Result<Name, BadName> {
    let bad = |why: String| BadName {
        name: text.to_owned(),
        why,
    };
    if text.trim_end_matches('.').is_empty() && text != "." {
        return Err(bad("it is empty".into()));
    }
    let mut name = Name::from_str_relaxed(text).map_err(|error| bad(error.to_string()))?;
    name.set_fqdn(true);
    Ok(name.to_lowercase())
}

/// A name as it stands in probes: lower case, without the last dot (`.` for the root).
pub fn plain_name(name: &Name) -> String {
    let text = name.to_lowercase().to_ascii();
    match text.strip_suffix('.') {
        Some(stem) if !stem.is_empty() => stem.to_owned(),
        _ => text,
    }
}

/// The mnemonic of an RCODE (IANA, RFC 6895 §2.3).
pub fn rcode_name(rcode: u16) -> Cow<'static, str> {
    Cow::Borrowed(match rcode {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        16 => "BADVERS",
        23 => "BADCOOKIE",
        other => return Cow::Owned(format!("RCODE{other}")),
    })
}

#[cfg(test)]
mod tests;
