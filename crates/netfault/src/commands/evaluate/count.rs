//! The independent count (`scripts/independent-count.py`) as expected outages.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use netfault_model::{Prefix, Time};
use serde::Deserialize;

use super::truth::Outage;

/// More than any day of a full table; a file that is longer is not one of ours.
const MAX_ROWS: usize = 5_000_000;

#[derive(Debug, thiserror::Error)]
pub enum CountError {
    #[error("cannot read the count {path}: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("{path}: {source}")]
    Csv { path: String, source: csv::Error },
    #[error("{path}, line {line}: the outage of {prefix} is down before it crosses the threshold")]
    Order {
        path: String,
        line: usize,
        prefix: Prefix,
    },
    #[error("{path} has more than {MAX_ROWS} rows")]
    Long { path: String },
}

/// A line of the file; times in Unix seconds.
#[derive(Debug, Deserialize)]
struct Row {
    prefix: Prefix,
    baseline: u32,
    first_loss: i64,
    fifth_lost: Option<i64>,
    crossed_at: i64,
    down_at: i64,
    back_at: Option<i64>,
}

/// In order of time.
pub fn load(path: &Path) -> Result<Vec<Outage>, CountError> {
    let shown = path.display().to_string();
    let file = File::open(path).map_err(|source| CountError::Read {
        path: shown.clone(),
        source,
    })?;
    read(file, &shown)
}

fn read(file: impl Read, path: &str) -> Result<Vec<Outage>, CountError> {
    let mut outages = Vec::new();
    for (index, row) in csv::Reader::from_reader(file).deserialize::<Row>().enumerate() {
        let row = row.map_err(|source| CountError::Csv {
            path: path.to_owned(),
            source,
        })?;
        if row.crossed_at > row.down_at || row.back_at.is_some_and(|back| back < row.down_at) {
            return Err(CountError::Order {
                path: path.to_owned(),
                line: index + 2,
                prefix: row.prefix,
            });
        }
        if index >= MAX_ROWS {
            return Err(CountError::Long {
                path: path.to_owned(),
            });
        }
        outages.push(row.into());
    }
    outages.sort_by_key(|outage: &Outage| (outage.out_at, outage.prefix));
    Ok(outages)
}

impl From<Row> for Outage {
    fn from(row: Row) -> Self {
        Outage {
            prefix: row.prefix,
            from: Time::from_secs(row.first_loss),
            until: row.back_at.map(Time::from_secs),
            fifth_lost_at: row.fifth_lost.map(Time::from_secs),
            crossed_at: Some(Time::from_secs(row.crossed_at)),
            out_at: Some(Time::from_secs(row.down_at)),
            back_at: row.back_at.map(Time::from_secs),
            comes_back: row.back_at.is_some(),
            baseline: row.baseline,
            optional: false,
        }
    }
}

/// Gives a labelled outage the moments that were counted: those of the first counted outage that begins between
/// its label and its end. What the truth says itself stays.
pub fn complete(outage: &mut Outage, counted: &[Outage]) {
    let within = |at: Time| at >= outage.from && outage.until.is_none_or(|until| at <= until);
    let found = counted
        .iter()
        .find(|other| other.prefix == outage.prefix && other.crossed_at.is_some_and(within));
    let Some(found) = found else { return };
    outage.fifth_lost_at = outage.fifth_lost_at.or(found.fifth_lost_at);
    outage.crossed_at = outage.crossed_at.or(found.crossed_at);
    outage.out_at = outage.out_at.or(found.out_at);
    outage.back_at = outage.back_at.or(found.back_at);
    outage.baseline = found.baseline;
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str =
        "prefix,origin,baseline,first_loss,fifth_lost,crossed_at,down_at,back_crossed_at,back_at,lowest\n";

    #[test]
    fn a_count_is_read_and_sorted() {
        let text = format!(
            "{HEADER}192.0.2.0/24,64500,38,200,,230,260,,,0.00\n198.51.100.0/24,64500,38,100,110,130,160,170,200,0.05\n"
        );
        let outages = read(text.as_bytes(), "c.csv").unwrap();
        assert_eq!(outages[0].prefix, "198.51.100.0/24".parse().unwrap());
        assert_eq!(outages[0].back_at, Some(Time::from_secs(200)));
        assert_eq!((outages[1].fifth_lost_at, outages[1].comes_back), (None, false));
    }

    #[test]
    fn nonsense_is_refused() {
        let order = format!("{HEADER}192.0.2.0/24,64500,38,200,,290,260,,,0.00\n");
        assert!(
            read(order.as_bytes(), "c.csv")
                .unwrap_err()
                .to_string()
                .contains("line 2")
        );
        let word = format!("{HEADER}192.0.2.0/24,64500,many,200,,290,260,,,0.00\n");
        assert!(read(word.as_bytes(), "c.csv").is_err());
        assert!(read("a,b\n1,2\n".as_bytes(), "c.csv").is_err());
    }

    #[test]
    fn a_label_takes_the_moments_of_its_own_outage() {
        let text = format!(
            "{HEADER}192.0.2.0/24,64500,38,100,110,130,160,170,200,0.05\n192.0.2.0/24,64500,38,1000,1010,1030,1060,1070,1200,0.05\n"
        );
        let counted = read(text.as_bytes(), "c.csv").unwrap();
        let mut outage = Outage {
            from: Time::from_secs(900),
            until: Some(Time::from_secs(2000)),
            crossed_at: None,
            out_at: None,
            back_at: None,
            fifth_lost_at: None,
            ..counted[0].clone()
        };
        complete(&mut outage, &counted);
        assert_eq!(outage.out_at, Some(Time::from_secs(1060)));
    }
}
