//! What is wrong with a configuration, in one sentence that says where.

use std::io;
use std::path::{Path, PathBuf};

use serde_saphyr::{Location, MessageFormatter, UserMessageFormatter};

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}{}: {message}", path.display(), Position(*line, *column))]
    Invalid {
        path: PathBuf,
        line: u64,
        column: u64,
        message: String,
    },
    #[error("cannot write the configuration {}: {source}{}", path.display(), if source.kind() == io::ErrorKind::AlreadyExists { "; netfault does not overwrite it" } else { "" })]
    Init { path: PathBuf, source: io::Error },
    #[error("cannot print the configuration: {0}")]
    Print(String),
}

struct Position(u64, u64);

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Line 0: the parser knew no place.
        if self.0 == 0 {
            Ok(())
        } else {
            write!(f, ":{}:{}", self.0, self.1)
        }
    }
}

impl ConfigError {
    pub(super) fn at(path: &Path, place: Location, message: impl Into<String>) -> Self {
        ConfigError::Invalid {
            path: path.to_owned(),
            line: place.line(),
            column: place.column(),
            message: message.into(),
        }
    }

    /// From the parser's error: its place, and its message in words of a user.
    pub(super) fn from_yaml(path: &Path, error: &serde_saphyr::Error) -> Self {
        let error = error.without_snippet();
        ConfigError::at(
            path,
            error.location().unwrap_or(Location::UNKNOWN),
            message(error),
        )
    }
}

fn message(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error;
    match error {
        Error::SerdeUnknownField { field, expected, .. } => unknown("key", field, expected),
        Error::SerdeUnknownVariant {
            variant, expected, ..
        } => unknown("value", variant, expected),
        Error::SerdeInvalidType {
            unexpected, expected, ..
        } => format!("{expected} belongs here, not {unexpected}"),
        Error::SerdeInvalidValue {
            unexpected, expected, ..
        } => format!("{expected} belongs here, not {unexpected}"),
        Error::InvalidScalar { ty, .. } => format!("{} belongs here", kind(ty)),
        Error::SerdeMissingField { field, .. } => format!("'{field}' is missing"),
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the key '{key}' stands here a second time")
        }
        Error::NullIntoString { .. } => "a value is missing here".to_owned(),
        Error::MultipleDocuments { .. } => {
            "a second YAML document begins here, but one file has one".to_owned()
        }
        other => UserMessageFormatter.format_message(other).into_owned(),
    }
}

fn kind(ty: &str) -> &str {
    match ty {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number",
        "f32" | "f64" | "floating point" => "a number",
        "bool" | "boolean" => "true or false",
        other => other,
    }
}

fn unknown(what: &str, given: &str, known: &[&str]) -> String {
    match nearest(given, known) {
        Some(near) => format!("unknown {what} '{given}', did you mean '{near}'?"),
        None => format!("unknown {what} '{given}'; known here: {}", known.join(", ")),
    }
}

/// The known word that is at most a third of its letters away.
pub(super) fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let given = given.to_lowercase();
    known
        .iter()
        .map(|&word| (distance(&given, word), word))
        .min()
        .filter(|&(distance, word)| distance <= (word.len() / 3).max(1))
        .map(|(_, word)| word)
}

/// Edits (insert, delete, replace, swap of neighbours) from one word to the other: optimal string alignment.
fn distance(a: &str, b: &str) -> usize {
    // A key of a megabyte is no typo, and the table is quadratic.
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_named_only_if_it_is_near() {
        let known = ["prefixes", "origins", "names", "all"];
        for (given, near) in [
            ("prefix", Some("prefixes")),
            ("perfixes", Some("prefixes")),
            ("Names", Some("names")),
            ("orgins", Some("origins")),
            ("zzz", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, &known), near, "{given}");
        }
    }
}
