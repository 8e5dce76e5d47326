//! What is usual at this time of day, from the history of a series of hints; and hints as they were told.

use netfault_model::{Arrival, Hint, HintKind, HttpPhase, Time};
use serde::Deserialize;

use super::explain::word;
use crate::client::Client;
use crate::error::StoreError;

/// A day has 96 slots. Short enough for the morning rise, long enough to hold several intervals.
const SLOT_S: i64 = 900;
const DAY_US: i64 = 86_400_000_000;
/// Four of each day of the week.
const HISTORY_DAYS: i64 = 28;
/// With fewer days in the slot, nothing is called usual.
const MIN_DAYS: u64 = 7;

/// A series whose usual value can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Series {
    Reports {
        service: String,
        source: String,
    },
    Traffic {
        service: String,
        source: String,
        of: String,
        unit: String,
    },
}

impl Series {
    /// The series that a hint belongs to, with the interval that ended at its time; `None`: it is of no series.
    pub fn of(hint: &Hint) -> Option<(Series, u32)> {
        let (service, source) = (hint.service.clone(), hint.source.clone());
        match &hint.what {
            HintKind::Reports { interval_s, .. } => Some((Series::Reports { service, source }, *interval_s)),
            HintKind::Traffic {
                interval_s, of, unit, ..
            } => {
                let (of, unit) = (of.clone(), unit.clone());
                let series = Series::Traffic {
                    service,
                    source,
                    of,
                    unit,
                };
                Some((series, *interval_s))
            }
            HintKind::Http { .. } | HintKind::Status { .. } => None,
        }
    }
}

/// The mean of the same quarter of an hour of the day over the 28 days before, per interval of `interval_s` that ends at
/// `at`. An interval is of the slot in which its middle lies. `None`: fewer than 7 days have that slot.
///
/// Counts are weighed by the length of their intervals, so a series that came by the minute and comes by the hour has one
/// mean. Slots are of UTC. The day of `at` itself is no history.
pub async fn usual(
    client: &Client,
    series: &Series,
    at: Time,
    interval_s: u32,
) -> Result<Option<f64>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        /// Per second.
        rate: Option<f64>,
        days: u64,
    }
    let (table, value, narrow) = match series {
        Series::Reports { .. } => ("reports", "count", ""),
        Series::Traffic { .. } => (
            "hints",
            "value",
            " AND kind = 'traffic' AND of = {of:String} AND unit = {unit:String}",
        ),
    };
    let middle = at.micros() - i64::from(interval_s) * 500_000;
    let sql = format!(
        "SELECT sum(assumeNotNull({value})) / nullIf(sum(assumeNotNull(interval_s)), 0) AS rate, \
         uniqExact(intDiv(middle, {DAY_US})) AS days FROM (\
           SELECT {value}, interval_s, toUnixTimestamp64Micro(at) - toInt64(assumeNotNull(interval_s)) * 500000 AS middle \
           FROM {table} FINAL WHERE service = {{service:String}} AND source = {{source:String}}{narrow} \
           AND arrival != 'early' AND at BETWEEN fromUnixTimestamp64Micro({{from:Int64}}, 'UTC') \
           AND fromUnixTimestamp64Micro({{at:Int64}}, 'UTC')) \
         WHERE intDiv(positiveModulo(middle, {DAY_US}), {slot}) = {{slot:Int64}} \
         AND middle BETWEEN {{from:Int64}} AND {{to:Int64}}",
        slot = SLOT_S * 1_000_000,
    );
    let slot = middle.rem_euclid(DAY_US) / (SLOT_S * 1_000_000);
    let (Series::Reports { service, source } | Series::Traffic { service, source, .. }) = series;
    let mut query = client
        .query(&sql)
        .param("service", service)
        .param("source", source)
        .param("slot", slot.to_string())
        .param("at", at.micros().to_string())
        .param("from", (middle - HISTORY_DAYS * DAY_US - DAY_US / 2).to_string())
        .param("to", (middle - DAY_US / 2).to_string());
    if let Series::Traffic { of, unit, .. } = series {
        query = query.param("of", of).param("unit", unit);
    }
    let rows: Vec<Row> = client.fetch(query).await?;
    let row = rows.into_iter().next().filter(|row| row.days >= MIN_DAYS);
    Ok(row
        .and_then(|row| row.rate)
        .map(|rate| rate * f64::from(interval_s)))
}

/// Every hint of `since..until`, in order of time.
pub async fn hints(client: &Client, since: Time, until: Time) -> Result<Vec<Hint>, StoreError> {
    let columns = "service, source, at, arrival, kind, vantage, reached, status, error, addr, latency_us, interval_s, \
                   of, unit, value, usual, indicator, description";
    let span = "at >= fromUnixTimestamp64Micro({since:Int64}, 'UTC') AND at < fromUnixTimestamp64Micro({until:Int64}, 'UTC')";
    let sql = format!(
        "SELECT {columns} FROM hints FINAL WHERE {span} UNION ALL \
         SELECT service, source, at, arrival, 'reports' AS kind, '' AS vantage, '' AS reached, \
         CAST(NULL, 'Nullable(UInt16)') AS status, '' AS error, '' AS addr, CAST(NULL, 'Nullable(UInt32)') AS latency_us, \
         toNullable(interval_s) AS interval_s, '' AS of, '' AS unit, toNullable(count) AS value, usual, \
         '' AS indicator, '' AS description FROM reports FINAL WHERE {span}"
    );
    let query = client
        .query(&format!(
            "SELECT * FROM ({sql}) ORDER BY at, service, source, kind, vantage"
        ))
        .param("since", since.micros().to_string())
        .param("until", until.micros().to_string());
    let rows: Vec<Row> = client.fetch(query).await?;
    rows.into_iter().map(Row::hint).collect()
}

#[derive(Deserialize)]
struct Row {
    service: String,
    source: String,
    at: Time,
    arrival: String,
    kind: String,
    vantage: String,
    reached: String,
    status: Option<u16>,
    error: String,
    addr: String,
    latency_us: Option<u32>,
    interval_s: Option<u32>,
    of: String,
    unit: String,
    value: Option<f64>,
    usual: Option<f64>,
    indicator: String,
    description: String,
}

impl Row {
    fn hint(self) -> Result<Hint, StoreError> {
        let (interval_s, value) = (
            self.interval_s.unwrap_or_default(),
            self.value.unwrap_or_default(),
        );
        let what = match self.kind.as_str() {
            "http" => HintKind::Http {
                vantage: self.vantage,
                reached: word(&self.reached)?.unwrap_or(HttpPhase::Nothing),
                status: self.status,
                error: Some(self.error).filter(|error| !error.is_empty()),
                addr: self.addr.parse().ok(),
                latency_us: self.latency_us.unwrap_or_default(),
            },
            "status" => HintKind::Status {
                indicator: self.indicator,
                description: self.description,
            },
            "traffic" => HintKind::Traffic {
                interval_s,
                of: self.of,
                unit: self.unit,
                value,
                usual: self.usual,
            },
            "reports" => HintKind::Reports {
                interval_s,
                count: value,
                usual: self.usual,
            },
            other => return Err(StoreError::Unreadable(format!("a hint of kind '{other}'"))),
        };
        Ok(Hint {
            at: self.at,
            arrival: match self.arrival.as_str() {
                "late" => Arrival::Late,
                "early" => Arrival::Early,
                _ => Arrival::InTime,
            },
            service: self.service,
            source: self.source,
            what,
        })
    }
}
