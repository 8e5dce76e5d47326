//! What makes two losses one story.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use netfault_model::{Asn, Delegation, Finding, Prefix, Subject, Transition};
use serde::{Deserialize, Serialize};

use super::Graph;

/// What losses may have in common, so that they may belong to one incident: somebody who depends on all of them, or what they
/// depend on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Tie {
    Name(Arc<str>),
    Service(Arc<str>),
    /// All name servers of a name, sorted: names that have the same ones fail with them.
    Servers(Arc<[IpAddr]>),
}

impl Graph {
    /// Those of the subject, and the name's servers if it is they who fail.
    pub fn ties_of(&self, loss: &Transition) -> BTreeSet<Tie> {
        let mut ties = self.ties(&loss.subject);
        let servers_fail = matches!(
            loss.finding,
            Some(Finding::AuthorityUnreachable | Finding::AuthorityPartial | Finding::DelegationBroken)
        );
        if let Subject::Name { name } = &loss.subject
            && servers_fail
            && let Some(delegation) = self.node(name).and_then(|node| node.delegation.as_ref())
        {
            ties.extend(servers(delegation));
        }
        ties
    }

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

fn servers(delegation: &Delegation) -> Option<Tie> {
    let addrs: BTreeSet<IpAddr> = delegation.servers.iter().map(|server| server.addr).collect();
    (!addrs.is_empty()).then(|| Tie::Servers(addrs.into_iter().collect()))
}
