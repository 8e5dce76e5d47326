//! Writes the engine's outputs as they come.

use std::io::{self, Write};

use netfault_model::Output;
use serde_json::Value;

use super::event::event_line;
use super::human::human_line;
use super::style::Style;
use super::{Format, rows};

/// The columns of the CSV form: all kinds in one table, empty where a field does not apply.
const COLUMNS: [&str; 28] = [
    "kind",
    "at",
    "subject",
    "origin",
    "from",
    "to",
    "first_evidence_at",
    "visibility",
    "peers_seen",
    "peers_lost",
    "peers_unknown",
    "peers_eligible",
    "baseline",
    "cover",
    "finding",
    "servers_ok",
    "servers_eligible",
    "resolvers_ok",
    "resolvers_eligible",
    "watched",
    "source",
    "collector",
    "peer_addr",
    "peer_asn",
    "state",
    "offset",
    "reason",
    "lost",
];

/// Buffering is the caller's choice: it hands in a `BufWriter` for a replay, standard output for a service.
pub struct EventWriter<W: Write> {
    out: W,
    format: Format,
    style: Style,
    /// Something has been written.
    begun: bool,
}

impl<W: Write> EventWriter<W> {
    pub fn new(out: W, format: Format, style: Style) -> Self {
        EventWriter {
            out,
            format,
            style,
            begun: false,
        }
    }

    pub fn write(&mut self, output: &Output) -> io::Result<()> {
        let first = !std::mem::replace(&mut self.begun, true);
        match self.format {
            Format::Table => writeln!(self.out, "{}", human_line(output, self.style)),
            Format::Ndjson => writeln!(self.out, "{}", event_line(output)?),
            Format::Json => write!(
                self.out,
                "{}{}",
                if first { "[\n" } else { ",\n" },
                event_line(output)?
            ),
            Format::Csv => {
                if first {
                    self.header()?;
                }
                self.out.write_all(&rows::csv_record(record(output)?)?)
            }
        }
    }

    fn header(&mut self) -> io::Result<()> {
        self.out.write_all(&rows::csv_record(COLUMNS.map(str::to_owned))?)
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Closes what the format needs closed. Without any output JSON is `[]`, and CSV its header.
    pub fn finish(mut self) -> io::Result<()> {
        match (self.format, self.begun) {
            (Format::Json, true) => self.out.write_all(b"\n]\n")?,
            (Format::Json, false) => self.out.write_all(b"[]\n")?,
            (Format::Csv, false) => self.header()?,
            _ => {}
        }
        self.out.flush()
    }
}

/// The fields of the JSON, flattened.
fn record(output: &Output) -> io::Result<[String; COLUMNS.len()]> {
    let json: Value = serde_json::from_str(&event_line(output)?)?;
    Ok(COLUMNS.map(|column| match (column, output) {
        ("subject", Output::Transition(transition)) => transition.subject.key().1,
        ("origin", _) => rows::plain(&json["subject"]["origin"]),
        ("peer_addr", _) => rows::plain(&json["peer"]["addr"]),
        ("peer_asn", _) => rows::plain(&json["peer"]["asn"]),
        (column, _) => rows::plain(&json[column]),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::event::tests as samples;
    use super::*;

    fn written(format: Format, outputs: &[Output]) -> String {
        let mut bytes = Vec::new();
        let mut writer = EventWriter::new(&mut bytes, format, Style::default());
        for output in outputs {
            writer.write(output).unwrap();
        }
        writer.finish().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_is_the_ndjson_in_one_array() {
        let lines: Vec<Value> = written(Format::Ndjson, &samples::outputs())
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), samples::outputs().len());
        let array: Vec<Value> = serde_json::from_str(&written(Format::Json, &samples::outputs())).unwrap();
        assert_eq!(array, lines);
        assert_eq!(written(Format::Json, &[]), "[]\n");
        assert_eq!(written(Format::Ndjson, &[]), "");
    }

    #[test]
    fn csv_has_one_header_and_every_value() {
        let text = written(Format::Csv, &samples::outputs());
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>(), COLUMNS);
        let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(records.len(), samples::outputs().len());
        let cell = |row: usize, name: &str| {
            records[row]
                .get(COLUMNS.iter().position(|column| *column == name).unwrap())
                .unwrap()
                .to_owned()
        };
        assert_eq!(
            (cell(2, "subject"), cell(2, "origin")),
            ("84.205.71.0/24".into(), "12654".into())
        );
        assert_eq!(
            (cell(2, "visibility"), cell(2, "finding")),
            ("0.18".into(), String::new())
        );
        assert_eq!(
            (cell(5, "peer_asn"), cell(5, "state")),
            ("64500".into(), "suspect".into())
        );
        assert_eq!(cell(1, "lost"), "7");
        assert_eq!(written(Format::Csv, &[]), format!("{}\n", COLUMNS.join(",")));
    }

    /// Every field of the JSON has a column, so that a field that is added later is not forgotten here.
    #[test]
    fn no_field_is_left_out_of_csv() {
        for output in samples::outputs() {
            let json: Value = serde_json::from_str(&event_line(&output).unwrap()).unwrap();
            for key in json
                .as_object()
                .unwrap()
                .keys()
                .filter(|key| !["v", "peer"].contains(&key.as_str()))
            {
                assert!(COLUMNS.contains(&key.as_str()), "{key}");
            }
        }
    }
}
