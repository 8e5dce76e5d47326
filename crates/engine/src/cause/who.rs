//! Whom a sentence is about, and the words that follow from how many they are.

use std::fmt;

use netfault_model::{Child, Facts, Incident, IncidentState, Subject};

use crate::incidents::severity::is_settled;

/// `shop and 3 more services`
pub struct Who {
    text: String,
    many: bool,
}

impl Who {
    fn new(first: &str, others: usize, what: &str) -> Who {
        let text = match others {
            0 => first.to_owned(),
            1 => format!("{first} and 1 more {what}"),
            many => format!("{first} and {many} more {what}s"),
        };
        Who {
            text,
            many: others > 0,
        }
    }

    /// Of a cause: the service, or the name that decided.
    pub fn concerned(incident: &Incident, facts: &Facts) -> Who {
        match &incident.subject {
            Subject::Service { service } => {
                let others = incident.services.iter().filter(|other| *other != service);
                Who::new(service, others.count(), "service")
            }
            _ => {
                let name = facts.name.as_deref().unwrap_or_default();
                Who::new(name, other_names(incident, name), "name")
            }
        }
    }

    /// Of an incident without a cause: its subject, which is called `what`.
    pub fn subject(incident: &Incident, what: &str) -> Who {
        let others = match &incident.subject {
            Subject::Name { name } => other_names(incident, name),
            _ => 0,
        };
        Who::new(what, others, "name")
    }

    pub fn is(&self) -> &'static str {
        if self.many { "are" } else { "is" }
    }

    pub fn fails(&self) -> &'static str {
        if self.many { "fail" } else { "fails" }
    }

    pub fn its(&self) -> &'static str {
        if self.many { "their" } else { "its" }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Names that fail in it besides this one, or failed once all of it is over.
fn other_names(incident: &Incident, but: &str) -> usize {
    let is_over = incident.state == IncidentState::Resolved;
    let counts = |child: &&Child| is_over || !is_settled(child.state);
    let failing = incident.children.iter().filter(counts);
    failing
        .filter(|child| matches!(&child.subject, Subject::Name { name } if name != but))
        .count()
}
