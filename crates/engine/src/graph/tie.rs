//! What makes two losses one story.

use std::collections::BTreeSet;
use std::sync::Arc;

use netfault_model::{Asn, Prefix, Subject};
use serde::{Deserialize, Serialize};

use super::Graph;

/// Somebody who depends on what was lost. Losses with a tie in common may belong to one incident.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Tie {
    Name(Arc<str>),
    Service(Arc<str>),
}

impl Graph {
    /// Everybody who depends on the subject: names that a prefix carries, the services of a name, and services that list the
    /// prefix (or one that covers it) or the origin themselves.
    pub fn ties(&self, subject: &Subject) -> BTreeSet<Tie> {
        let mut ties = BTreeSet::new();
        match subject {
            Subject::Prefix { prefix, origin } => {
                for (name, _) in self.on(*prefix) {
                    self.tie_name(name, &mut ties);
                }
                self.tie_listed(Some(*prefix), *origin, &mut ties);
            }
            Subject::Name { name } => self.tie_name(&name.as_str().into(), &mut ties),
            Subject::Origin { origin } => self.tie_listed(None, Some(*origin), &mut ties),
            Subject::Service { service } => drop(ties.insert(Tie::Service(service.as_str().into()))),
            Subject::Country { .. } => {}
        }
        ties
    }

    fn tie_name(&self, name: &Arc<str>, ties: &mut BTreeSet<Tie>) {
        ties.insert(Tie::Name(name.clone()));
        ties.extend(self.services_of(name).cloned().map(Tie::Service));
    }

    fn tie_listed(&self, prefix: Option<Prefix>, origin: Option<Asn>, ties: &mut BTreeSet<Tie>) {
        for (name, service) in self.services() {
            let by_origin = origin.is_some_and(|origin| service.origins.contains(&origin));
            let by_prefix = prefix.is_some_and(|prefix| {
                let mut covers = std::iter::successors(Some(prefix), |prefix| prefix.parent());
                covers.any(|cover| service.prefixes.contains(&cover))
            });
            if by_origin || by_prefix {
                ties.insert(Tie::Service(name.clone()));
            }
        }
    }
}
