//! DS and DNSKEY, as far as a delegation can be wrong without any signature being checked.

use hickory_proto::rr::Record;
use hickory_proto::serialize::binary::BinEncodable;

use super::record::{Ds, Key};

/// More than any zone has in the middle of a key roll-over.
const MAX_KEYS: usize = 64;

/// RFC 4034 §5.1: key tag, algorithm, digest type, digest.
pub(super) fn ds(records: &[Record]) -> Vec<Ds> {
    let mut all: Vec<Ds> = records
        .iter()
        .filter_map(|record| match record.data.to_bytes().ok()?[..] {
            [high, low, algorithm, digest_type, _, ..] => Some(Ds {
                key_tag: u16::from_be_bytes([high, low]),
                algorithm,
                digest_type,
            }),
            _ => None,
        })
        .take(MAX_KEYS)
        .collect();
    all.sort_unstable();
    all
}

/// RFC 4034 §2.1: flags, protocol, algorithm, key.
pub(super) fn keys(records: &[Record]) -> Vec<Key> {
    let mut all: Vec<Key> = records
        .iter()
        .filter_map(|record| {
            let data = record.data.to_bytes().ok()?;
            let &[high, low, _, algorithm, _, ..] = &data[..] else {
                return None;
            };
            Some(Key {
                key_tag: key_tag(&data),
                algorithm,
                flags: u16::from_be_bytes([high, low]),
            })
        })
        .take(MAX_KEYS)
        .collect();
    all.sort_unstable();
    all
}

/// RFC 4034 appendix B. (Algorithm 1, which counts otherwise, is dead: RFC 6725.)
fn key_tag(data: &[u8]) -> u16 {
    let sum: u32 = data
        .iter()
        .take(usize::from(u16::MAX))
        .enumerate()
        .map(|(n, byte)| {
            if n % 2 == 0 {
                u32::from(*byte) << 8
            } else {
                (*byte).into()
            }
        })
        .sum();
    ((sum + (sum >> 16)) & 0xffff) as u16
}

/// True if some DS is for one of the keys.
pub(super) fn matches(ds: &[Ds], keys: &[Key]) -> bool {
    ds.iter().any(|ds| {
        keys.iter()
            .any(|key| key.key_tag == ds.key_tag && key.algorithm == ds.algorithm)
    })
}
