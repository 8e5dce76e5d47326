//! The space that an origin announces against its median of 7 days: a note, never an outage.
//!
//! One sample each six hours, 28 of them, so the memory of it is bounded by origins. Until there are 28 the rule is
//! off; that is said once, when the first sample is taken.

use netfault_model::{Asn, Baseline, Family, Id, Notable, NotableKind, Output, Subject, Time};
use serde::{Deserialize, Serialize};

use super::group::{Group, blocks};
use crate::Settings;

/// 28 samples are 7 days.
const SAMPLES: usize = 28;
pub const SAMPLE_EVERY: i64 = 6 * 3600 * 1_000_000;

/// Of one origin, by family; in /24s or /48s.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Space {
    samples: [Vec<u32>; 2],
    /// Of 28 samples; 0 until there are so many.
    median: [u32; 2],
    /// Since when it is below.
    low: [Option<Time>; 2],
}

impl Space {
    pub fn sample(&mut self, group: &Group) {
        for family in Family::ALL {
            let samples = &mut self.samples[family as usize];
            let announced = announced(group, family as usize);
            if announced == 0 && samples.is_empty() {
                continue;
            }
            if samples.len() >= SAMPLES {
                samples.remove(0);
            }
            samples.push(announced);
            if samples.len() == SAMPLES {
                let mut sorted = samples.clone();
                sorted.sort_unstable();
                self.median[family as usize] = sorted[SAMPLES / 2];
            }
        }
    }

    /// Says when the origin falls below its median, and when it is back.
    pub fn judge(
        &mut self,
        settings: &Settings,
        (origin, watched): (Asn, bool),
        group: &Group,
        now: Time,
        out: &mut Vec<Output>,
    ) {
        for family in Family::ALL {
            let index = family as usize;
            let (announced, median) = (announced(group, index), self.median[index]);
            let is_low = f64::from(announced) < settings.space_note * f64::from(median);
            let since = match (is_low, self.low[index]) {
                (true, None) => now,
                (false, Some(since)) => since,
                _ => continue,
            };
            self.low[index] = is_low.then_some(since);
            let unit = ["/24s", "/48s"][index];
            let summary = match is_low {
                true => format!("{origin} announces {announced} {unit}; its median of 7 days is {median}"),
                false => {
                    format!("{origin} announces {announced} {unit} again; its median of 7 days is {median}")
                }
            };
            let at = since.micros().to_string();
            let asn = origin.0.to_string();
            out.push(Output::Notable(Box::new(Notable {
                id: Id::of(&["notable", "space", &asn, unit, &at]),
                subject: Some(Subject::Origin { origin }),
                first_evidence_at: since,
                over: !is_low,
                baseline: Some(Baseline::Held),
                prefixes: Some(group.sides[index].stable.prefixes),
                measured: Some(f64::from(announced)),
                usual: Some(f64::from(median)),
                watched,
                summary,
                ..Notable::blank(NotableKind::Space, now)
            })));
        }
    }
}

/// Space of the stable prefixes that are not down.
fn announced(group: &Group, family: usize) -> u32 {
    let side = &group.sides[family];
    let space = side.stable.space.saturating_sub(side.down.space);
    blocks(Family::ALL[family], space).round() as u32
}

/// The rule is off, and from when on it will be on.
pub fn not_yet(first: Time) -> Output {
    let from = first.plus_micros((SAMPLES as i64 - 1) * SAMPLE_EVERY);
    let at = first.micros().to_string();
    let summary =
        format!("The space of origins has no median of 7 days before {from}; until then it is not compared");
    Output::Notable(Box::new(Notable {
        id: Id::of(&["notable", "space", &at]),
        summary,
        ..Notable::blank(NotableKind::Space, first)
    }))
}
