//! What a truth file asks of the figures, and whether they reach it.

use serde::{Deserialize, Serialize};

use super::figures::Figures;

/// Limits; what is absent is not asked for. Shares from 0 to 1, times in seconds.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Musts {
    /// At least this share of the events is found …
    pub recall: Option<f64>,
    /// … or at most so many are not.
    pub missed: Option<f64>,
    /// At most so many events are told more than once.
    pub repeated: Option<f64>,
    /// At most so many are told that were not.
    pub unconfirmed: Option<f64>,
    pub precision: Option<f64>,
    /// The greatest distance of an Out, or of a Recovering, from where it belongs.
    pub out_error_s: Option<f64>,
    pub back_error_s: Option<f64>,
    /// Share of the events that came back and are told to.
    pub recovered: Option<f64>,
    /// Median from the fifth peer AS that lost it to Degrading.
    pub degrading_delay_s: Option<f64>,
    /// Median from the crossing of the threshold to Out (of an origin change: from its label).
    pub delay_s: Option<f64>,
    pub worst_delay_s: Option<f64>,
    pub incidents_per_event: Option<f64>,
    /// At most so many events are in no incident.
    pub untold: Option<f64>,
    pub flaps: Option<f64>,
    pub unknown_s: Option<f64>,
}

/// One figure, as it is printed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    pub group: String,
    pub figure: &'static str,
    /// `None`: there was nothing to measure.
    pub value: Option<f64>,
    /// What it must be, with its sense.
    pub must: Option<String>,
    pub met: Option<bool>,
}

enum Sense {
    AtLeast,
    AtMost,
}

/// The figures of one group, each beside what it must be. A must on what could not be measured is not met.
pub fn lines(group: &str, figures: &Figures, musts: &Musts) -> Vec<Line> {
    use Sense::{AtLeast, AtMost};
    let count = |n: u64| Some(n as f64);
    let rows = [
        ("events", count(figures.events), AtLeast, None),
        ("found", count(figures.found), AtLeast, None),
        ("found_held", figures.found_held.map(|n| n as f64), AtLeast, None),
        ("recall", figures.recall(), AtLeast, musts.recall),
        ("missed", count(figures.missed()), AtMost, musts.missed),
        ("repeated", count(figures.repeated), AtMost, musts.repeated),
        ("judged", figures.judged.map(|n| n as f64), AtLeast, None),
        (
            "unconfirmed",
            figures.judged.map(|_| figures.unconfirmed as f64),
            AtMost,
            musts.unconfirmed,
        ),
        ("precision", figures.precision(), AtLeast, musts.precision),
        ("out_error_median_s", figures.out_error.median(), AtMost, None),
        (
            "out_error_s",
            figures.out_error.worst(),
            AtMost,
            musts.out_error_s,
        ),
        ("out_within_1s", figures.out_error.within(1.0), AtLeast, None),
        ("back_error_median_s", figures.back_error.median(), AtMost, None),
        (
            "back_error_s",
            figures.back_error.worst(),
            AtMost,
            musts.back_error_s,
        ),
        ("recovered", figures.recovered(), AtLeast, musts.recovered),
        (
            "degrading_delay_s",
            figures.degrading_delay.median(),
            AtMost,
            musts.degrading_delay_s,
        ),
        ("delay_s", figures.delay.median(), AtMost, musts.delay_s),
        (
            "worst_delay_s",
            figures.delay.greatest(),
            AtMost,
            musts.worst_delay_s,
        ),
        (
            "incidents_per_event",
            figures.incidents_per_event(),
            AtMost,
            musts.incidents_per_event,
        ),
        ("untold", figures.untold.map(|n| n as f64), AtMost, musts.untold),
        ("flaps", count(figures.flaps), AtMost, musts.flaps),
        ("unknown_s", Some(figures.unknown_s), AtMost, musts.unknown_s),
    ];
    rows.into_iter()
        .filter(|(_, value, _, must)| value.is_some() || must.is_some())
        .map(|(figure, value, sense, must)| line(group, figure, value, sense, must))
        .collect()
}

/// A must on something that could not be measured is not met.
fn line(group: &str, figure: &'static str, value: Option<f64>, sense: Sense, must: Option<f64>) -> Line {
    Line {
        group: group.to_owned(),
        figure,
        value: value.map(|value| (value * 1000.0).round() / 1000.0),
        must: must.map(|limit| match sense {
            Sense::AtLeast => format!("≥ {limit}"),
            Sense::AtMost => format!("≤ {limit}"),
        }),
        met: must.map(|limit| {
            value.is_some_and(|value| match sense {
                Sense::AtLeast => value >= limit,
                Sense::AtMost => value <= limit,
            })
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_must_on_what_was_not_measured_is_not_met() {
        let figures = Figures {
            events: 4,
            found: 3,
            ..Figures::default()
        };
        let musts = Musts {
            recall: Some(1.0),
            missed: Some(1.0),
            out_error_s: Some(1.0),
            incidents_per_event: Some(1.1),
            ..Musts::default()
        };
        let met: Vec<_> = lines("g", &figures, &musts)
            .into_iter()
            .filter_map(|line| Some((line.figure, line.value, line.met?)))
            .collect();
        assert_eq!(
            met,
            [
                ("recall", Some(0.75), false),
                ("missed", Some(1.0), true),
                ("out_error_s", None, false),
                ("incidents_per_event", None, false),
            ]
        );
    }
}
