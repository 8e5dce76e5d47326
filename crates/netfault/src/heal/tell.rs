//! What people are told when a hole was filled.

use netfault_model::{Id, Notable, NotableKind, Output, Time, Transition};
use netfault_sources::archive::heal::Hole;

use super::compare::Changes;

/// The hole itself, then verdicts that are new, then those that are withdrawn, then incidents.
pub fn outputs(holes: &[Hole], messages: u64, changes: Changes, now: Time) -> Vec<Output> {
    let (added, withdrawn) = (changes.added.len(), changes.withdrawn.len());
    let mut outputs: Vec<Output> = holes
        .iter()
        .map(|hole| filled(hole, messages, added, withdrawn, now))
        .collect();
    let boxed = |transition| Output::Transition(Box::new(transition));
    outputs.extend(changes.added.into_iter().map(boxed));
    outputs.extend(
        changes
            .withdrawn
            .iter()
            .map(|transition| was_not_so(transition, now)),
    );
    outputs.extend(
        changes
            .incidents
            .into_iter()
            .map(|it| Output::Incident(Box::new(it))),
    );
    outputs
}

fn filled(hole: &Hole, messages: u64, added: usize, withdrawn: usize, now: Time) -> Output {
    let Hole { collector, from, to } = hole;
    let at = from.micros().to_string();
    notable(Notable {
        id: Id::of(&["healed", collector.name(), &at]),
        first_evidence_at: *from,
        measured: Some(messages as f64),
        summary: format!(
            "The archive has filled the hole of {collector} from {from} to {to}: {messages} messages; verdicts added: {added}, \
             withdrawn: {withdrawn}."
        ),
        ..Notable::blank(NotableKind::Healed, now)
    })
}

fn was_not_so(transition: &Transition, now: Time) -> Output {
    let (_, subject) = transition.subject.key();
    notable(Notable {
        id: transition.id(),
        subject: Some(transition.subject.clone()),
        first_evidence_at: transition.first_evidence_at,
        over: true,
        baseline: transition.baseline,
        watched: transition.watched,
        summary: format!(
            "{subject} was said to go from {} to {} at {}; the archive shows that it did not, or not then.",
            transition.from.name(),
            transition.to.name(),
            transition.at
        ),
        ..Notable::blank(NotableKind::Healed, now)
    })
}

fn notable(notable: Notable) -> Output {
    Output::Notable(Box::new(notable))
}
