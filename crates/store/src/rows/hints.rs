//! `reports` and `hints`: how users of a service fare.

use netfault_model::{Hint, HintKind, HttpPhase};

use super::{ARRIVAL, Names, arrival, serde_name};
use crate::native::Block;

pub(super) const REPORT_COLUMNS: &[&str] = &[
    "service",
    "source",
    "at",
    "interval_s",
    "count",
    "usual",
    "arrival",
];

pub(super) const HINT_COLUMNS: &[&str] = &[
    "service",
    "kind",
    "source",
    "at",
    "arrival",
    "ok",
    "vantage",
    "reached",
    "status",
    "error",
    "addr",
    "latency_us",
    "interval_s",
    "of",
    "unit",
    "value",
    "usual",
    "indicator",
    "description",
];

pub(crate) fn is_report(hint: &Hint) -> bool {
    matches!(hint.what, HintKind::Reports { .. })
}

/// Rows that are no reports are left to [`encode_hints`].
pub(super) fn encode_reports(rows: &[Hint]) -> Vec<u8> {
    let reports: Vec<(&Hint, u32, f64, Option<f64>)> = rows
        .iter()
        .filter_map(|hint| match hint.what {
            HintKind::Reports {
                interval_s,
                count,
                usual,
            } => Some((hint, interval_s, count, usual)),
            _ => None,
        })
        .collect();
    let mut block = Block::new(REPORT_COLUMNS, reports.len());
    Names::column(
        &mut block,
        "service",
        reports.iter().map(|it| it.0.service.as_str()),
    );
    Names::column(
        &mut block,
        "source",
        reports.iter().map(|it| it.0.source.as_str()),
    );
    block.times("at", reports.iter().map(|it| it.0.at.micros()));
    block.u32s("interval_s", reports.iter().map(|it| it.1));
    block.f64s("count", reports.iter().map(|it| it.2));
    let usual: Vec<_> = reports.iter().map(|it| it.3).collect();
    block.nullable("usual", "Float64", &usual, |value| value.to_le_bytes());
    let arrivals: Vec<u8> = reports.iter().map(|it| arrival(it.0.arrival)).collect();
    block.bytes("arrival", ARRIVAL, &arrivals);
    block.finish()
}

/// A hint, as the columns have it.
#[derive(Default)]
struct Row<'a> {
    kind: &'static str,
    ok: Option<bool>,
    vantage: &'a str,
    reached: String,
    status: Option<u16>,
    error: &'a str,
    addr: String,
    latency_us: Option<u32>,
    interval_s: Option<u32>,
    of: &'a str,
    unit: &'a str,
    value: Option<f64>,
    usual: Option<f64>,
    indicator: &'a str,
    description: &'a str,
}

impl<'a> Row<'a> {
    fn of(what: &'a HintKind) -> Row<'a> {
        match what {
            HintKind::Http {
                vantage,
                reached,
                status,
                error,
                addr,
                latency_us,
            } => Row {
                kind: "http",
                ok: Some(*reached == HttpPhase::Done && status.is_some_and(|status| status < 500)),
                vantage,
                reached: serde_name(reached),
                status: *status,
                error: error.as_deref().unwrap_or_default(),
                addr: addr.map(|addr| addr.to_string()).unwrap_or_default(),
                latency_us: Some(*latency_us),
                ..Row::default()
            },
            HintKind::Traffic {
                interval_s,
                of,
                unit,
                value,
                usual,
            } => Row {
                kind: "traffic",
                interval_s: Some(*interval_s),
                of,
                unit,
                value: Some(*value),
                usual: *usual,
                ..Row::default()
            },
            HintKind::Status {
                indicator,
                description,
            } => Row {
                kind: "status",
                ok: Some(indicator == "none"),
                indicator,
                description,
                ..Row::default()
            },
            HintKind::Reports {
                interval_s,
                count,
                usual,
            } => Row {
                kind: "reports",
                interval_s: Some(*interval_s),
                value: Some(*count),
                usual: *usual,
                ..Row::default()
            },
        }
    }
}

pub(super) fn encode_hints(rows: &[Hint]) -> Vec<u8> {
    let all: Vec<Row> = rows.iter().map(|hint| Row::of(&hint.what)).collect();
    let mut block = Block::new(HINT_COLUMNS, rows.len());
    Names::column(&mut block, "service", rows.iter().map(|it| it.service.as_str()));
    Names::column(&mut block, "kind", all.iter().map(|it| it.kind));
    Names::column(&mut block, "source", rows.iter().map(|it| it.source.as_str()));
    block.times("at", rows.iter().map(|it| it.at.micros()));
    let arrivals: Vec<u8> = rows.iter().map(|it| arrival(it.arrival)).collect();
    block.bytes("arrival", ARRIVAL, &arrivals);
    let ok: Vec<_> = all.iter().map(|it| it.ok).collect();
    block.nullable("ok", "Bool", &ok, |ok| [u8::from(*ok)]);
    Names::column(&mut block, "vantage", all.iter().map(|it| it.vantage));
    Names::column(&mut block, "reached", all.iter().map(|it| it.reached.as_str()));
    let status: Vec<_> = all.iter().map(|it| it.status).collect();
    block.nullable("status", "UInt16", &status, |status| status.to_le_bytes());
    block.strings("error", all.iter().map(|it| it.error));
    block.strings("addr", all.iter().map(|it| it.addr.as_str()));
    let latency: Vec<_> = all.iter().map(|it| it.latency_us).collect();
    block.nullable("latency_us", "UInt32", &latency, |us| us.to_le_bytes());
    let intervals: Vec<_> = all.iter().map(|it| it.interval_s).collect();
    block.nullable("interval_s", "UInt32", &intervals, |s| s.to_le_bytes());
    Names::column(&mut block, "of", all.iter().map(|it| it.of));
    Names::column(&mut block, "unit", all.iter().map(|it| it.unit));
    let mut number = |name: &str, value: fn(&Row) -> Option<f64>| {
        let values: Vec<_> = all.iter().map(value).collect();
        block.nullable(name, "Float64", &values, |value| value.to_le_bytes());
    };
    number("value", |it| it.value);
    number("usual", |it| it.usual);
    Names::column(&mut block, "indicator", all.iter().map(|it| it.indicator));
    block.strings("description", all.iter().map(|it| it.description));
    block.finish()
}
