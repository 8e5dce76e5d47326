//! What can go wrong with the store, sorted by what the user can do about it.

use std::path::PathBuf;

/// An error of the store. `is_retryable` in [`crate::retry`] says which of these pass by themselves.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("ClickHouse at {url} cannot be reached: {reason}")]
    Unreachable { url: String, reason: String },

    #[error("ClickHouse at {url} refuses user '{user}': check store.user and store.password")]
    AuthRefused { url: String, user: String },

    #[error("ClickHouse at {url} has no database '{database}': run `netfault db migrate`")]
    DatabaseMissing { url: String, database: String },

    #[error("ClickHouse at {url} is version {found}, netfault needs {needed} or later")]
    TooOld {
        url: String,
        found: String,
        needed: String,
    },

    #[error("a table is missing, run `netfault db migrate`: {message}")]
    TableMissing { message: String },

    /// ClickHouse's own words. The codes are those of its `ErrorCodes.cpp`; 0 if it gave none.
    #[error("ClickHouse answers: {message}")]
    Server { code: u32, message: String },

    #[error("ClickHouse did not answer in time")]
    TimedOut,

    /// Ours or a proxy's: an answer that is not what ClickHouse sends.
    #[error("an answer that cannot be read: {0}")]
    Unreadable(String),

    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
}

impl StoreError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> StoreError {
        let path = path.into();
        move |source| StoreError::Io { path, source }
    }

    /// ClickHouse's error code, if this is its answer.
    pub fn code(&self) -> Option<u32> {
        match self {
            StoreError::Server { code, .. } if *code != 0 => Some(*code),
            _ => None,
        }
    }
}

/// The number in `Code: 516. DB::Exception: …`; 0 if there is none.
pub(crate) fn code_in(text: &str) -> u32 {
    let Some(start) = text.find("Code: ") else {
        return 0;
    };
    let digits = &text[start + 6..];
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().unwrap_or(0)
}

/// The message without the stack of prefixes and without the version at its end.
fn brief(text: &str) -> String {
    let text = text.split("DB::Exception: ").last().unwrap_or(text);
    let text = text.rsplit_once(" (version ").map_or(text, |(before, _)| before);
    text.trim().to_owned()
}

/// Where an error came from, so that it can name the place.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub url: String,
    pub user: String,
    pub database: String,
}

impl Place {
    /// Sorts an error of the `clickhouse` crate. Server errors reach us only as text.
    pub fn sort(&self, error: clickhouse::error::Error) -> StoreError {
        use clickhouse::error::Error;
        match error {
            Error::Network(cause) => StoreError::Unreachable {
                url: self.url.clone(),
                reason: innermost(cause.as_ref()),
            },
            Error::TimedOut => StoreError::TimedOut,
            Error::BadResponse(text) => self.sort_answer(&text),
            Error::Unsupported(text) => StoreError::Unreachable {
                url: self.url.clone(),
                reason: text,
            },
            Error::InvalidParams(cause) => StoreError::Unreachable {
                url: self.url.clone(),
                reason: format!("bad URL: {cause}"),
            },
            other => StoreError::Unreadable(other.to_string()),
        }
    }

    fn sort_answer(&self, text: &str) -> StoreError {
        let message = brief(text);
        match code_in(text) {
            // UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, AUTHENTICATION_FAILED
            192..=194 | 516 => StoreError::AuthRefused {
                url: self.url.clone(),
                user: self.user.clone(),
            },
            // UNKNOWN_DATABASE
            81 => StoreError::DatabaseMissing {
                url: self.url.clone(),
                database: self.database.clone(),
            },
            // UNKNOWN_TABLE
            60 => StoreError::TableMissing { message },
            code => StoreError::Server { code, message },
        }
    }
}

/// "connection refused" rather than "client error (Connect)".
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut at = error;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_in_clickhouses_text() {
        let text = "Code: 516. DB::Exception: default: Authentication failed: password is incorrect. (AUTHENTICATION_FAILED) (version 26.7.3.1 (official build))";
        assert_eq!(code_in(text), 516);
        assert_eq!(
            brief(text),
            "default: Authentication failed: password is incorrect. (AUTHENTICATION_FAILED)"
        );
        assert_eq!(code_in("502 Bad Gateway"), 0);
        assert_eq!(code_in("Code: "), 0);
    }
}
