//! AS numbers, prefixes, collectors and peers.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Mutex;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An AS number (RFC 6793: four octets). Read from `64500` or `AS64500`, written as the number in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Asn(pub u32);

impl fmt::Display for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AS{}", self.0)
    }
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is not an AS number: give 64500 or AS64500, at most 4294967295")]
pub struct BadAsn(pub String);

impl FromStr for Asn {
    type Err = BadAsn;
    fn from_str(text: &str) -> Result<Self, BadAsn> {
        let digits = text
            .strip_prefix("AS")
            .or_else(|| text.strip_prefix("as"))
            .unwrap_or(text);
        digits.parse().map(Asn).map_err(|_| BadAsn(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Asn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return u32::deserialize(deserializer).map(Asn);
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(u32),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Number(n) => Ok(Asn(n)),
            Form::Text(text) => text.parse().map_err(de::Error::custom),
        }
    }
}

/// An ISO 3166-1 alpha-2 code (`PK`); `ZZ` and other reserved codes of the registries pass too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is not a country code: give two letters, as in ISO 3166")]
pub struct BadCountry(pub String);

impl FromStr for Country {
    type Err = BadCountry;

    fn from_str(text: &str) -> Result<Self, BadCountry> {
        match *text.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Ok(Country([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => Err(BadCountry(text.to_owned())),
        }
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b] = self.0.map(char::from);
        write!(f, "{a}{b}")
    }
}

impl Serialize for Country {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// Address family. IPv4 and IPv6 are never mixed in one count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    V4,
    V6,
}

impl Family {
    pub const ALL: [Family; 2] = [Family::V4, Family::V6];
}

/// An IP prefix whose host bits are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(IpNet);

impl Prefix {
    /// `None` if `len` is over 32. Host bits are cleared.
    pub fn v4(addr: Ipv4Addr, len: u8) -> Option<Self> {
        Ipv4Net::new(addr, len)
            .ok()
            .map(|net| Prefix(IpNet::V4(net.trunc())))
    }

    /// `None` if `len` is over 128. Host bits are cleared.
    pub fn v6(addr: Ipv6Addr, len: u8) -> Option<Self> {
        Ipv6Net::new(addr, len)
            .ok()
            .map(|net| Prefix(IpNet::V6(net.trunc())))
    }

    pub fn net(self) -> IpNet {
        self.0
    }

    pub fn addr(self) -> IpAddr {
        self.0.addr()
    }

    #[allow(clippy::len_without_is_empty)] // a prefix length, not a count
    pub fn len(self) -> u8 {
        self.0.prefix_len()
    }

    pub fn family(self) -> Family {
        match self.0 {
            IpNet::V4(_) => Family::V4,
            IpNet::V6(_) => Family::V6,
        }
    }

    /// True if `other` is this prefix or a more-specific of it.
    pub fn covers(self, other: Prefix) -> bool {
        self.0.contains(&other.0)
    }

    pub fn contains(self, addr: IpAddr) -> bool {
        self.0.contains(&addr)
    }

    /// The next shorter prefix that covers this one; `None` for a default route.
    pub fn parent(self) -> Option<Prefix> {
        self.0.supernet().map(Prefix)
    }
}

impl From<IpNet> for Prefix {
    fn from(net: IpNet) -> Self {
        Prefix(net.trunc())
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is not a prefix: give an address and a length, such as 192.0.2.0/24 or 2001:db8::/32")]
pub struct BadPrefix(pub String);

impl FromStr for Prefix {
    type Err = BadPrefix;
    fn from_str(text: &str) -> Result<Self, BadPrefix> {
        text.trim()
            .parse::<IpNet>()
            .map(Prefix::from)
            .map_err(|_| BadPrefix(text.to_owned()))
    }
}

impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?
                .parse()
                .map_err(de::Error::custom)
        } else {
            IpNet::deserialize(deserializer).map(Prefix::from)
        }
    }
}

/// The name of a route collector (`rrc00`, `route-views2`, …), interned: copying it is free.
///
/// Names come from file names and from feeds, so what may be interned is bounded: 64 bytes a name and
/// 4,096 names a process; later ones share the name `other`.
#[derive(Clone, Copy, Debug)]
pub struct Collector(&'static str);

impl Collector {
    const MAX_LEN: usize = 64;
    const MAX_NAMES: usize = 4096;
    const OTHER: &str = "other";

    pub fn new(name: &str) -> Self {
        static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        let mut end = name.len().min(Self::MAX_LEN);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        let name = &name[..end];
        let mut names = NAMES.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(known) = names.get(name) {
            return Collector(known);
        }
        // The last place is kept for the name that stands for all further ones.
        let name = if names.len() < Self::MAX_NAMES || name == Self::OTHER {
            name
        } else {
            Self::OTHER
        };
        if let Some(known) = names.get(name) {
            return Collector(known);
        }
        let kept: &'static str = Box::leak(name.to_owned().into_boxed_str());
        names.insert(kept);
        Collector(kept)
    }

    pub fn name(self) -> &'static str {
        self.0
    }
}

// Interned: equal names are one piece of memory, which is quicker to see than equal bytes.
impl PartialEq for Collector {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Collector {}

impl Hash for Collector {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state); // by name: an address would differ from run to run
    }
}

impl Ord for Collector {
    fn cmp(&self, other: &Self) -> Ordering {
        if self == other {
            Ordering::Equal
        } else {
            self.0.cmp(other.0)
        }
    }
}

impl PartialOrd for Collector {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Serialize for Collector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for Collector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|name| Collector::new(&name))
    }
}

/// One BGP session that a collector holds: the unit that can be up, down or silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Peer {
    pub collector: Collector,
    pub addr: IpAddr,
    pub asn: Asn,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} at {}", self.asn, self.addr, self.collector)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_bits_are_cleared() {
        assert_eq!(
            "192.0.2.9/24".parse::<Prefix>().unwrap().to_string(),
            "192.0.2.0/24"
        );
        assert_eq!(Prefix::v4(Ipv4Addr::new(10, 1, 2, 3), 33), None);
    }

    #[test]
    fn an_asn_has_two_spellings() {
        assert_eq!("AS64500".parse(), Ok(Asn(64500)));
        assert_eq!("64500".parse(), Ok(Asn(64500)));
        assert!("AS".parse::<Asn>().is_err());
        assert!("4294967296".parse::<Asn>().is_err());
    }

    #[test]
    fn a_collector_is_its_name() {
        assert_eq!(Collector::new("rrc00"), Collector::new("rrc00"));
        assert_eq!(Collector::new(&"é".repeat(60)).name().len(), 64);
    }
}
