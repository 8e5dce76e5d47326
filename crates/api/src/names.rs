//! Names that agents report about: each is a state in the engine that is never forgotten, so their number is bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use netfault_model::Input;

/// Of one agent, until the collector ends. DESIGN's largest plan has 10,000.
const MAX_NAMES: usize = 20_000;

#[derive(Debug, Default)]
pub(crate) struct Names(Mutex<BTreeMap<Arc<str>, BTreeSet<Box<str>>>>);

impl Names {
    /// False if these would be more names than one agent may have.
    pub fn admit(&self, agent: &Arc<str>, inputs: &[Input]) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.entry(agent.clone()).or_default();
        let said = inputs.iter().filter_map(|input| match input {
            Input::Probe(probe) => Some(probe.name.as_str()),
            Input::Delegation(delegation) => Some(delegation.name.as_str()),
            _ => None,
        });
        let new: BTreeSet<&str> = said.filter(|name| !known.contains(*name)).collect();
        let fits = known.len() + new.len() <= MAX_NAMES;
        if fits {
            known.extend(new.into_iter().map(Box::from));
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use netfault_model::{Delegation, Time};

    use super::*;

    fn about(name: String) -> Input {
        Input::Delegation(Box::new(Delegation {
            at: Time::from_secs(0),
            vantage: "a".into(),
            name,
            complete: false,
            end: String::new(),
            zone: None,
            parent_ns: vec![],
            child_ns: vec![],
            ds: vec![],
            servers: vec![],
            aliases: vec![],
            addresses: vec![],
            findings: vec![],
            frozen: false,
        }))
    }

    #[test]
    fn an_agent_has_so_many_names_and_no_more() {
        let (names, a, b) = (Names::default(), "a".into(), "b".into());
        let all: Vec<Input> = (0..MAX_NAMES).map(|n| about(n.to_string())).collect();
        assert!(names.admit(&a, &all) && names.admit(&a, &all));
        assert!(!names.admit(&a, &[about("more".to_owned())]));
        assert!(names.admit(&b, &[about("more".to_owned())]));
        assert!(names.admit(&a, &all[..1]), "what is known goes on");
    }
}
