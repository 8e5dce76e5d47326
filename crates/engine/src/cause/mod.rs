//! Why: the rules of DESIGN section 7, each a pure function of what an incident holds and of who depends on whom.
//!
//! | rule | says | where |
//! |---|---|---|
//! | R0 | most feeds or vantages are lost: monitor fault | [`monitor`] |
//! | R1 | half of the name servers' addresses sit in prefixes that fell, and the name fails | [`names`] |
//! | R2 | … at V↓ ≤ 0.5 for 30 s, and the name still resolves: predicted | [`names`] |
//! | R3 | half of its own addresses sit in prefixes that are Out, and its name servers are fine | [`names`] |
//! |    | … half of the prefixes that a service lists are Out, and it lists no names | [`services`] |
//! | R4 | prefixes of three origins fell that had one transit AS in common | [`transit`] |
//! | R5 | another origin announced it before it fell: hijack; after: exposed, an effect | [`foreign`] |
//! | R6 | the name fails, and the prefixes of its servers are there | [`names`] |
//! | R7 | only resolvers fail it | [`names`] |
//! | R8 | users have trouble, and neither routes nor names do: no network-layer fault | [`hints`]; on request: [`Engine::answer`](crate::Engine::answer) |
//!
//! The first rule that matches is the cause. What a rule is judged by only grows while an incident is open (what has fallen in it
//! stays fallen), so a cause is not taken back while routes return.

mod answer;
pub mod foreign;
pub mod hints;
pub mod monitor;
mod names;
pub mod sentence;
mod services;
pub mod transit;
pub mod who;

use std::collections::{BTreeMap, BTreeSet};

use netfault_model::{Asn, Cause, CauseRule, Facts, Prefix, Route, State, Subject, Time};
use serde::{Deserialize, Serialize};

use crate::dns::Names;
use crate::graph::{Graph, Standing, Tie};
use crate::incidents::part::{Key, Part};
use crate::incidents::severity::is_down;
pub use answer::{Answer, NameNow, OpenIncident, PrefixNow, Word};
pub use foreign::{Foreign, Others};
pub use hints::Hints;
pub use monitor::Monitor;
pub use transit::{Behind, Transit};

/// What is known beside the incidents.
#[derive(Clone, Copy)]
pub struct World<'a> {
    pub graph: &'a Graph,
    pub names: &'a Names,
    pub hints: &'a Hints,
}

/// What an incident holds.
pub struct Case<'a> {
    pub parts: &'a BTreeMap<Key, Part>,
    pub ties: &'a BTreeSet<Tie>,
    /// Prefixes that have been at V↓ ≤ 0.5 for long enough, at some time in it.
    pub low: &'a BTreeSet<Prefix>,
    pub transit: Option<Transit>,
    pub others: &'a Others,
    pub now: Time,
}

impl Case<'_> {
    /// The prefix was Partial or Out in it.
    fn fell(&self, prefix: Prefix) -> bool {
        self.prefix(prefix).is_some_and(|part| is_down(part.worst))
    }

    fn prefix(&self, prefix: Prefix) -> Option<&Part> {
        self.parts.get(&Key::Prefix(prefix))
    }

    /// Peer ASes that lost one of these routes, and that had it: of the one that most have lost.
    fn most_lost(&self, routes: &[Route]) -> (u32, u32) {
        let parts = routes.iter().filter_map(|route| self.prefix(route.prefix));
        parts.map(|part| part.lost).max().unwrap_or_default()
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.ties.iter().filter_map(|tie| match tie {
            Tie::Name(name) => Some(&**name),
            Tie::Service(_) | Tie::Servers(_) => None,
        })
    }
}

/// What the rules say of an incident.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    pub rule: Option<CauseRule>,
    pub cause: Option<Cause>,
    /// Whom it is about, if a rule says so.
    pub subject: Option<Subject>,
    pub facts: Option<Box<Facts>>,
    /// Services of the configuration that it concerns.
    pub services: Vec<String>,
    /// It is at least so severe.
    pub floor: u8,
}

/// The first rule that matches.
pub fn judge(case: &Case, world: World) -> Verdict {
    let mut verdict = names::judge(case, world)
        .filter(|verdict| verdict.rule.is_some_and(|rule| rule <= CauseRule::R3))
        .or_else(|| services::judge(case, world))
        .or_else(|| transit::judge(case))
        .or_else(|| foreign::judge(case))
        .or_else(|| names::judge(case, world))
        .unwrap_or_default();
    foreign::expose(case, &mut verdict);
    verdict.services = concerned(case, world.graph, &verdict);
    verdict
}

/// Services of the names that fail or are about to, and those that list what fell.
fn concerned(case: &Case, graph: &Graph, verdict: &Verdict) -> Vec<String> {
    let listed = case.ties.iter().filter_map(|tie| match tie {
        Tie::Service(service) => Some(service.to_string()),
        Tie::Name(_) | Tie::Servers(_) => None,
    });
    let mut services: BTreeSet<String> = listed.collect();
    if let Some(Subject::Service { service }) = &verdict.subject {
        services.insert(service.clone());
    }
    services.retain(|service| graph.services().any(|(name, _)| **name == **service));
    services.into_iter().collect()
}

/// Severity 4: a watched service is about to fail, or is in part out of reach; 5: it is out.
fn floor(rule: CauseRule, standing: &Standing) -> u8 {
    match rule {
        CauseRule::R2 => 4,
        CauseRule::R3 if standing.addresses_lost == standing.addresses => 5,
        CauseRule::R3 => 4,
        _ => 0,
    }
}

/// Origins of lost routes, sorted.
fn origins_of(facts: &Facts) -> Vec<Asn> {
    let origins: BTreeSet<Asn> = facts.carriers.iter().filter_map(|route| route.origin).collect();
    origins.into_iter().collect()
}

/// In trouble, as far as a name's rule is concerned: more than one server of several.
fn fails(state: State) -> bool {
    matches!(state, State::Degraded | State::Out)
}
