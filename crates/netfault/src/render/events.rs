//! Writes the engine's outputs as they come.

use std::io::{self, Write};

use netfault_model::Output;
use serde_json::Value;

use super::event::event_line;
use super::human::human_line;
use super::style::Style;
use super::{Format, rows};

/// The columns of the CSV form: all kinds in one table, empty where a field does not apply.
const COLUMNS: [&str; 85] = [
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
    "id",
    "beacon",
    "healed",
    "rule",
    "threshold",
    "since",
    "hold_s",
    "lost_by",
    "kept_by",
    "unknown_at",
    "zombies",
    "collectors",
    "one_collector",
    "known",
    "share",
    "version",
    "cause",
    "raised_at",
    "cleared_at",
    "confidence",
    "children",
    "severity",
    "level",
    "prefixes_down",
    "prefixes",
    "shown",
    "flapping",
    "reopened",
    "merged_into",
    "what",
    "over",
    "old_origins",
    "new_origins",
    "covered_by",
    "peers",
    "triplet",
    "measured",
    "usual",
    "summary",
    "services",
    "layers",
    "facts",
    "masked_until",
    "vantages",
    "caches",
    "vantage",
    "complete",
    "end",
    "zone",
    "parent_ns",
    "child_ns",
    "ds",
    "servers",
    "aliases",
    "addresses",
    "findings",
    "frozen",
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
    let (peer, evidence) = (&json["peer"], &json["evidence"]);
    let subject = subject_of(output);
    Ok(COLUMNS.map(|column| match column {
        "subject" => subject.clone(),
        "origin" => rows::plain(&json["subject"]["origin"]),
        "peer_addr" => rows::plain(&peer["addr"]),
        "peer_asn" => rows::plain(&peer["asn"]),
        "lost_by" => each(&evidence["lost"], |lost| {
            format!("{}@{}", rows::plain(&lost["peer_asn"]), rows::plain(&lost["at"]))
        }),
        "kept_by" => rows::plain(&evidence["kept"]),
        "unknown_at" => rows::plain(&evidence["unknown"]),
        "children" => each(&json["children"], child),
        "layers" => each(&json["layers"], layer),
        "vantages" => each(&json["dns"]["vantages"], vantage),
        "caches" => each(&json["dns"]["caches"], cache),
        "masked_until" => rows::plain(&json["dns"]["masked_until"]),
        "servers" => each(&json["servers"], server),
        "addresses" => each(&json["addresses"], |it| rows::plain(&it["addr"])),
        "findings" => each(&json["findings"], |it| rows::plain(&it["kind"])),
        // Incidents have a rule of their own.
        column if EVIDENCE.contains(&column) && evidence.is_object() => rows::plain(&evidence[column]),
        column => rows::plain(&json[column]),
    }))
}

/// Fields of the evidence that have a column of their own.
const EVIDENCE: [&str; 9] = [
    "rule",
    "threshold",
    "since",
    "hold_s",
    "zombies",
    "collectors",
    "one_collector",
    "known",
    "share",
];

fn subject_of(output: &Output) -> String {
    let subject = match output {
        Output::Transition(transition) => Some(&transition.subject),
        Output::Incident(incident) => Some(&incident.subject),
        Output::Notable(notable) => notable.subject.as_ref(),
        Output::Delegation(delegation) => return delegation.name.clone(),
        Output::Feed(_) | Output::Gap(_) => None,
    };
    subject.map_or(String::new(), |subject| subject.key().1)
}

/// `bgp@2021-10-04T15:42:00.000000Z/2021-10-04T21:05:00.000000Z`, the second time only if it has recovered.
fn layer(layer: &Value) -> String {
    let recovered = rows::plain(&layer["recovered_at"]);
    let end = if recovered.is_empty() { "" } else { "/" };
    let (name, since) = (rows::plain(&layer["layer"]), rows::plain(&layer["since"]));
    format!("{name}@{since}{end}{recovered}")
}

/// `fra1=0/4`: servers that answer, of those that should.
fn vantage(view: &Value) -> String {
    let name = rows::plain(&view["vantage"]);
    format!("{name}={}/{}", view["servers_ok"], view["servers_eligible"])
}

/// `fra1/192.0.2.53:53=good`
fn cache(view: &Value) -> String {
    let verdict = match (view["good"].as_bool(), view["stale"].as_bool()) {
        (Some(true), Some(true)) => "stale",
        (Some(true), _) => "good",
        _ => "bad",
    };
    let (vantage, resolver) = (rows::plain(&view["vantage"]), rows::plain(&view["resolver"]));
    format!("{vantage}/{resolver}={verdict}")
}

/// `ns1.example.com/192.0.2.1=ok`
fn server(server: &Value) -> String {
    let (name, addr) = (rows::plain(&server["name"]), rows::plain(&server["addr"]));
    format!("{name}/{addr}={}", rows::plain(&server["outcome"]))
}

/// `84.205.71.0/24=out`
fn child(child: &Value) -> String {
    let subject = &child["subject"];
    let kind = rows::plain(&subject["type"]);
    format!(
        "{}={}",
        rows::plain(&subject[kind.as_str()]),
        rows::plain(&child["state"])
    )
}

fn each(list: &Value, show: impl Fn(&Value) -> String) -> String {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().map(show).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::event::samples;
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

    #[test]
    fn csv_flattens_evidence_and_children() {
        let text = written(Format::Csv, &samples::outputs());
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows: Vec<std::collections::HashMap<String, String>> =
            reader.deserialize().map(Result::unwrap).collect();
        assert_eq!(rows[2]["rule"], "out");
        assert_eq!(
            rows[2]["lost_by"],
            "64501@2008-02-24T02:01:13.000000Z 64502@2008-02-24T02:03:12.000000Z"
        );
        assert_eq!(
            (&rows[2]["kept_by"], &rows[2]["lost"]),
            (&"64510 64511".into(), &String::new())
        );
        let incident = rows.iter().find(|row| row["kind"] == "incident").unwrap();
        assert_eq!(incident["subject"], "12654");
        assert_eq!(incident["children"], "84.205.71.0/24=out www.example.com=ok");
        let delegation = rows.iter().find(|row| row["kind"] == "delegation").unwrap();
        assert_eq!(delegation["subject"], "www.example.com");
        assert_eq!(
            delegation["servers"],
            "ns1.example.com/192.0.2.1=ok ns2.example.com/2001:db8::1="
        );
        assert_eq!(
            (&delegation["addresses"], &delegation["findings"]),
            (&"192.0.2.80".into(), &"lame".into())
        );
        let name = rows.iter().rfind(|row| row["kind"] == "transition").unwrap();
        assert_eq!(name["vantages"], "fra1=0/4 tyo1=1/4");
        assert_eq!(
            name["caches"],
            "fra1/192.0.2.53:53=good fra1/[2001:db8::53]:53=bad"
        );
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
                // The name of a delegation is its subject.
                .filter(|key| !["v", "peer", "evidence", "dns", "name"].contains(&key.as_str()))
            {
                assert!(COLUMNS.contains(&key.as_str()), "{key}");
            }
        }
    }
}
