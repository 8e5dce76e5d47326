//! What a row is about, in the five columns that several tables share.

use netfault_model::{Asn, Subject};

use super::{Names, mapped};
use crate::native::Block;

/// `subject_type`, `subject`, `prefix_addr`, `prefix_len`, `origin`. `None`: empty, and `::/0`.
pub(super) fn columns<'a>(block: &mut Block, subjects: impl Iterator<Item = Option<&'a Subject>>) {
    let (mut kinds, mut texts, mut addrs, mut lens, mut origins) = (vec![], vec![], vec![], vec![], vec![]);
    for subject in subjects {
        let (kind, text) = subject.map(Subject::key).unwrap_or_default();
        let (addr, len) = match subject {
            Some(Subject::Prefix { prefix, .. }) => (mapped(prefix.addr()), prefix.len()),
            _ => ([0; 16], 0),
        };
        kinds.push(kind);
        texts.push(text);
        addrs.push(addr);
        lens.push(len);
        origins.push(subject.and_then(origin).map(|asn| asn.0));
    }
    Names::column(block, "subject_type", kinds.into_iter());
    block.strings("subject", texts.iter().map(String::as_str));
    block.addrs("prefix_addr", addrs.into_iter());
    block.bytes("prefix_len", "UInt8", &lens);
    block.nullable("origin", "UInt32", &origins, |value| value.to_le_bytes());
}

pub(super) fn origin(subject: &Subject) -> Option<Asn> {
    match subject {
        Subject::Prefix { origin, .. } => *origin,
        Subject::Origin { origin } => Some(*origin),
        Subject::Name { .. } | Subject::Country { .. } | Subject::Service { .. } => None,
    }
}
