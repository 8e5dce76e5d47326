//! A CSV file of reports: a header, then a line for each interval.

use std::fs::File;
use std::path::Path;

use csv::StringRecord;
use netfault_model::{Arrival, Hint, HintKind};

use crate::config::Config;
use crate::exit::{Failure, Result};

const COLUMNS: [&str; 5] = ["at", "service", "count", "interval_s", "source"];
/// As in the API.
const MAX_INTERVAL: u32 = 86_400;
const MAX_SOURCE: usize = 64;
/// A quarter of an hour: what most who count reports count by.
const INTERVAL: u32 = 900;

/// What stands on the command line, for the whole file.
pub struct Given {
    pub service: Option<String>,
    pub source: Option<String>,
    pub interval_s: Option<u32>,
}

/// The reports of a file, line by line. The first bad line is the last item.
pub struct Reports<'a> {
    reader: csv::Reader<File>,
    config: &'a Config,
    given: &'a Given,
    path: String,
    /// Where each of [`COLUMNS`] is.
    places: [Option<usize>; 5],
    record: StringRecord,
    has_failed: bool,
}

/// The service must be one of the configuration: under another name nobody would find it.
pub fn check_service(service: &str, config: &Config) -> std::result::Result<(), String> {
    let services = &config.watch.services;
    if services.contains_key(service) {
        return Ok(());
    }
    let known: Vec<&str> = services.keys().take(20).map(String::as_str).collect();
    let known = match known.as_slice() {
        [] => "no services".to_owned(),
        known => known.join(", "),
    };
    Err(format!(
        "the service '{service}' is not in the configuration, which has {known}"
    ))
}

impl<'a> Reports<'a> {
    pub fn open(path: &Path, config: &'a Config, given: &'a Given) -> Result<Self> {
        let shown = path.display().to_string();
        let file = File::open(path)
            .map_err(|error| Failure::unavailable(format_args!("{shown} cannot be read: {error}")))?;
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
        let header = reader
            .headers()
            .map_err(|error| bad(&shown, 1, &error.to_string()))?;
        let places = columns(header, given).map_err(|why| bad(&shown, 1, &why))?;
        Ok(Reports {
            reader,
            config,
            given,
            path: shown,
            places,
            record: StringRecord::new(),
            has_failed: false,
        })
    }

    fn hint(&self) -> std::result::Result<Hint, String> {
        let cell = |column: usize| self.places[column].and_then(|place| self.record.get(place));
        let [at, service, count, interval_s, source] = [0, 1, 2, 3, 4].map(cell);
        let service = service.or(self.given.service.as_deref()).unwrap_or_default();
        check_service(service, self.config)?;
        let source = source.or(self.given.source.as_deref()).unwrap_or_default();
        if source.is_empty() || source.chars().count() > MAX_SOURCE || source.chars().any(char::is_control) {
            return Err(format!("a source is a text of 1 to {MAX_SOURCE} characters"));
        }
        let count = count.unwrap_or_default();
        let interval_s = match interval_s.filter(|text| !text.is_empty()) {
            None => self.given.interval_s.unwrap_or(INTERVAL),
            Some(text) => text
                .parse()
                .map_err(|_| format!("'{text}' is no number of seconds"))?,
        };
        if !(1..=MAX_INTERVAL).contains(&interval_s) {
            return Err(format!("an interval has 1 to {MAX_INTERVAL} seconds"));
        }
        let amount = count
            .parse()
            .ok()
            .filter(|amount: &f64| amount.is_finite() && *amount >= 0.0);
        Ok(Hint {
            at: at
                .unwrap_or_default()
                .parse()
                .map_err(|error: netfault_model::time::BadTime| error.to_string())?,
            arrival: Arrival::InTime,
            service: service.to_owned(),
            source: source.to_owned(),
            what: HintKind::Reports {
                interval_s,
                count: amount.ok_or_else(|| format!("'{count}' is no count"))?,
                usual: None,
            },
        })
    }

    fn line(&self) -> u64 {
        self.record.position().map_or(0, csv::Position::line)
    }
}

impl Iterator for Reports<'_> {
    type Item = Result<Hint>;

    fn next(&mut self) -> Option<Result<Hint>> {
        if self.has_failed {
            return None;
        }
        let read = match self.reader.read_record(&mut self.record) {
            Ok(false) => return None,
            Ok(true) => self.hint().map_err(|why| bad(&self.path, self.line(), &why)),
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                Err(bad(&self.path, line, &error.to_string()))
            }
        };
        self.has_failed = read.is_err();
        Some(read)
    }
}

fn columns(header: &StringRecord, given: &Given) -> std::result::Result<[Option<usize>; 5], String> {
    let names: Vec<&str> = header.iter().collect();
    if let Some(unknown) = names.iter().find(|name| !COLUMNS.contains(name)) {
        let unknown: String = unknown.chars().filter(|c| !c.is_control()).take(40).collect();
        return Err(format!(
            "the column '{unknown}' is not one of {}",
            COLUMNS.join(", ")
        ));
    }
    let places = COLUMNS.map(|column| names.iter().position(|name| *name == column));
    let options = [
        ("--service", given.service.is_some()),
        ("", false),
        ("--interval-s", given.interval_s.is_some()),
        ("--source", given.source.is_some()),
    ];
    for ((column, place), (option, is_given)) in COLUMNS.iter().zip(places).skip(1).zip(options) {
        if place.is_some() && is_given {
            return Err(format!(
                "there is a column '{column}', and {option} is given too: keep one"
            ));
        }
    }
    let is_missing = [
        places[0].is_none(),
        places[1].is_none() && given.service.is_none(),
        places[2].is_none(),
        false,
        places[4].is_none() && given.source.is_none(),
    ];
    let Some(missing) = is_missing.iter().position(|missing| *missing) else {
        return Ok(places);
    };
    Err(match missing {
        1 => "there is no column 'service': give one, or --service".to_owned(),
        4 => "there is no column 'source': give one, or --source (what is usual is known per source: use the name under \
              which live reports come, that of the client in listen.clients)"
            .to_owned(),
        other => format!("there is no column '{}'; the first line names the columns", COLUMNS[other]),
    })
}

fn bad(path: &str, line: u64, why: &str) -> Failure {
    Failure::data(format_args!("{path}:{line}: {why}"))
}
