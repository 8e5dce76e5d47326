//! Which prefixes, origins and names the user cares about.

use std::collections::{BTreeMap, BTreeSet};

use crate::net::{Asn, Prefix};

/// Only what is listed here by name is *watched*: it alerts, and its Unknown is written out.
/// `all` means that every prefix is evaluated and recorded besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    pub all: bool,
    /// A watched prefix stands for itself and its more-specifics.
    pub prefixes: BTreeSet<Prefix>,
    /// Every prefix that one of these originates.
    pub origins: BTreeSet<Asn>,
    pub names: BTreeSet<String>,
    /// What belongs together, by name of the service.
    pub services: BTreeMap<String, Service>,
    /// Origins that the addresses of a name must have; another one is a wrong answer.
    pub expected_origins: BTreeMap<String, BTreeSet<Asn>>,
}

/// Names, prefixes and origins that users know as one thing. On whom its names depend (name servers, addresses, their
/// prefixes) is found out, not listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Each is in [`Watch::names`] as well.
    pub names: BTreeSet<String>,
    pub prefixes: BTreeSet<Prefix>,
    pub origins: BTreeSet<Asn>,
}

impl Watch {
    /// True if `prefix`, as announced by `origin`, is listed by name.
    pub fn lists(&self, prefix: Prefix, origin: Option<Asn>) -> bool {
        if origin.is_some_and(|origin| self.origins.contains(&origin)) {
            return true;
        }
        if self.prefixes.is_empty() {
            return false;
        }
        let mut at = Some(prefix);
        while let Some(cover) = at {
            if self.prefixes.contains(&cover) {
                return true;
            }
            at = cover.parent();
        }
        false
    }
}
