//! Writes the answer of a query: rows of named columns.

use std::io::{self, Write};

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::Value;

use super::Format;

/// One column of a table or of CSV. JSON has all the fields of a row, whatever the columns are.
#[derive(Clone, Debug)]
pub struct Column {
    /// Field of the row, and header in CSV.
    pub key: String,
    /// Header in a table.
    pub title: String,
    /// Numbers stand right.
    pub right: bool,
}

impl Column {
    pub fn left(key: &str, title: &str) -> Self {
        Column {
            key: key.to_owned(),
            title: title.to_owned(),
            right: false,
        }
    }

    pub fn right(key: &str, title: &str) -> Self {
        Column {
            key: key.to_owned(),
            title: title.to_owned(),
            right: true,
        }
    }
}

/// Rows whose widths are settled together. More than a screen, and little memory.
const BLOCK: usize = 1_000;

/// Writes rows as they come; a table is written in blocks, since its widths depend on the rows.
pub struct RowWriter<W: Write> {
    out: W,
    format: Format,
    columns: Vec<Column>,
    block: Vec<Vec<String>>,
    rows: u64,
}

impl<W: Write> RowWriter<W> {
    pub fn new(out: W, format: Format, columns: Vec<Column>) -> Self {
        RowWriter {
            out,
            format,
            columns,
            block: Vec::new(),
            rows: 0,
        }
    }

    pub fn row(&mut self, row: &impl Serialize) -> io::Result<()> {
        let first = self.rows == 0;
        self.rows += 1;
        match self.format {
            Format::Ndjson => writeln!(self.out, "{}", serde_json::to_string(row)?),
            Format::Json => {
                write!(
                    self.out,
                    "{}{}",
                    if first { "[\n" } else { ",\n" },
                    serde_json::to_string(row)?
                )
            }
            Format::Csv => {
                if first {
                    self.csv_header()?;
                }
                let cells = self.cells(row)?;
                self.out.write_all(&csv_record(cells)?)
            }
            Format::Table => {
                let cells = self.cells(row)?;
                self.block.push(cells);
                if self.block.len() >= BLOCK {
                    self.flush_block()
                } else {
                    Ok(())
                }
            }
        }
    }

    /// Ends the output; returns the number of rows. Without rows JSON is `[]`, CSV its header, and a table
    /// says that there are none.
    pub fn finish(mut self) -> io::Result<u64> {
        match (self.format, self.rows) {
            (Format::Json, 0) => self.out.write_all(b"[]\n")?,
            (Format::Json, _) => self.out.write_all(b"\n]\n")?,
            (Format::Csv, 0) => self.csv_header()?,
            (Format::Table, 0) => self.out.write_all(b"no rows\n")?,
            (Format::Table, _) => self.flush_block()?,
            _ => {}
        }
        self.out.flush()?;
        Ok(self.rows)
    }

    fn cells(&self, row: &impl Serialize) -> io::Result<Vec<String>> {
        let value = serde_json::to_value(row)?;
        Ok(self
            .columns
            .iter()
            .map(|column| plain(&value[column.key.as_str()]))
            .collect())
    }

    fn csv_header(&mut self) -> io::Result<()> {
        self.out
            .write_all(&csv_record(self.columns.iter().map(|column| column.key.clone()))?)
    }

    fn flush_block(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic);
        // Later blocks of one answer go on below the same header.
        if self.rows <= BLOCK as u64 {
            table.set_header(
                self.columns
                    .iter()
                    .map(|column| aligned(&column.title.to_uppercase(), column)),
            );
        }
        for row in self.block.drain(..) {
            table.add_row(
                row.iter()
                    .zip(&self.columns)
                    .map(|(cell, column)| aligned(cell, column)),
            );
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        for line in table.lines() {
            writeln!(self.out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn aligned(text: &str, column: &Column) -> Cell {
    Cell::new(text).set_alignment(if column.right {
        CellAlignment::Right
    } else {
        CellAlignment::Left
    })
}

/// A value as one cell: text without quotes, nothing for null, lists with blanks.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// One line of CSV (RFC 4180, but with a bare line feed, as command line tools expect it).
pub(super) fn csv_record(cells: impl IntoIterator<Item = String>) -> io::Result<Vec<u8>> {
    let mut line = csv::Writer::from_writer(Vec::new());
    line.write_record(cells)?;
    line.into_inner().map_err(csv::IntoInnerError::into_error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn columns() -> Vec<Column> {
        vec![
            Column::left("prefix", "prefix"),
            Column::right("peers", "peers"),
            Column::left("note", "note"),
        ]
    }

    fn written(format: Format, rows: &[Value]) -> String {
        let mut bytes = Vec::new();
        let mut writer = RowWriter::new(&mut bytes, format, columns());
        rows.iter().for_each(|row| writer.row(row).unwrap());
        assert_eq!(writer.finish().unwrap(), rows.len() as u64);
        String::from_utf8(bytes).unwrap()
    }

    fn rows() -> Vec<Value> {
        vec![
            json!({"prefix": "192.0.2.0/24", "peers": 7, "note": null, "extra": [1, 2]}),
            json!({"prefix": "2001:db8::/32", "peers": 38, "note": "a, \"b\""}),
        ]
    }

    #[test]
    fn a_table_is_aligned_and_has_no_box() {
        assert_eq!(
            written(Format::Table, &rows()),
            "PREFIX         PEERS  NOTE\n\
             192.0.2.0/24       7\n\
             2001:db8::/32     38  a, \"b\"\n"
        );
    }

    #[test]
    fn csv_quotes_what_must_be_quoted() {
        assert_eq!(
            written(Format::Csv, &rows()),
            "prefix,peers,note\n192.0.2.0/24,7,\n2001:db8::/32,38,\"a, \"\"b\"\"\"\n"
        );
    }

    #[test]
    fn json_has_all_fields() {
        let lines: Vec<Value> = written(Format::Ndjson, &rows())
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines, rows());
        assert_eq!(
            serde_json::from_str::<Vec<Value>>(&written(Format::Json, &rows())).unwrap(),
            rows()
        );
    }

    #[test]
    fn no_rows_are_said_in_every_format() {
        let empty = |format| written(format, &[]);
        assert_eq!(empty(Format::Table), "no rows\n");
        assert_eq!(empty(Format::Json), "[]\n");
        assert_eq!(empty(Format::Ndjson), "");
        assert_eq!(empty(Format::Csv), "prefix,peers,note\n");
    }

    #[test]
    fn a_long_table_has_one_header_and_every_row() {
        let rows: Vec<Value> = (0..2 * BLOCK + 1)
            .map(|n| json!({"prefix": n.to_string(), "peers": n}))
            .collect();
        let text = written(Format::Table, &rows);
        assert_eq!(text.lines().count(), rows.len() + 1);
        assert_eq!(text.matches("PREFIX").count(), 1);
    }
}
