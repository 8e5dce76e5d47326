//! Names of statements. An id is derived from what is said, never drawn: the same statement has the same id
//! live, replayed, or said again after a crash.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// 64 bits, written as 16 hex digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u64);

impl Id {
    /// FNV-1a over the parts, each ended by a byte that no text contains, and mixed at the end (the finalizer
    /// of SplitMix64), since the low bits of FNV differ little between texts that differ little.
    pub fn of(parts: &[&str]) -> Id {
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        let mut take = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        for part in parts {
            part.bytes().for_each(&mut take);
            take(0xff);
        }
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Id(hash ^ (hash >> 31))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is not an id: give its 16 hex digits, as they stand in the event")]
pub struct BadId(pub String);

impl FromStr for Id {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId(text.to_owned());
        match text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            true => u64::from_str_radix(text, 16).map(Id).map_err(|_| bad()),
            false => Err(bad()),
        }
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.collect_str(self),
            false => self.0.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.is_human_readable() {
            true => String::deserialize(deserializer)?
                .parse()
                .map_err(de::Error::custom),
            false => u64::deserialize(deserializer).map(Id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_what_its_parts_make_it() {
        // Pinned: ids are kept in stores and by receivers of alerts.
        assert_eq!(Id::of(&["incident", "AS64500"]).to_string(), "2f7d66d024fb216f");
        assert_ne!(Id::of(&["ab", "c"]), Id::of(&["a", "bc"]));
        let id = Id::of(&["x"]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("12".parse::<Id>().is_err() && "+123456789abcdef".parse::<Id>().is_err());
    }
}
