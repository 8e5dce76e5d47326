//! Retry, or not, because …: the one place that decides.

use crate::error::StoreError;

/// What to do with a batch whose insert failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes by itself, or a person will put it right without touching the batch: keep it, back off.
    Retry,
    /// The server understands the batch and will never take it: set it aside, say so, go on.
    Reject,
}

/// Codes of ClickHouse that speak about the bytes of the batch itself. Everything else is the server's
/// state (memory, parts, disk, read-only, shutdown, rights, a table not migrated yet) and can change.
const ABOUT_THE_DATA: &[u32] = &[
    6,   // CANNOT_PARSE_TEXT
    27,  // CANNOT_PARSE_INPUT_ASSERTION_FAILED
    33,  // CANNOT_READ_ALL_DATA
    44,  // ILLEGAL_COLUMN
    49,  // LOGICAL_ERROR: a bug of the server set off by this batch
    53,  // TYPE_MISMATCH
    62,  // SYNTAX_ERROR
    69,  // ARGUMENT_OUT_OF_BOUND
    70,  // CANNOT_CONVERT_TYPE
    72,  // CANNOT_PARSE_NUMBER
    117, // INCORRECT_DATA
    128, // TOO_LARGE_ARRAY_SIZE
    131, // TOO_LARGE_STRING_SIZE
    190, // SIZES_OF_ARRAYS_DONT_MATCH
    321, // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
    349, // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
    469, // VIOLATED_CONSTRAINT
    432, // UNKNOWN_CODEC: the frame of the body
    271, // CANNOT_DECOMPRESS
    40,  // CHECKSUM_DOESNT_MATCH
];

/// Decides what becomes of a batch after `error`.
pub fn verdict(error: &StoreError) -> Verdict {
    match error {
        StoreError::Server { code, .. } if ABOUT_THE_DATA.contains(code) => Verdict::Reject,
        _ => Verdict::Retry,
    }
}

/// True if the same batch may be sent again.
pub fn is_retryable(error: &StoreError) -> bool {
    verdict(error) == Verdict::Retry
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(code: u32) -> StoreError {
        StoreError::Server {
            code,
            message: String::new(),
        }
    }

    #[test]
    fn what_is_wrong_with_the_server_passes_and_what_is_wrong_with_the_batch_does_not() {
        let passes = [
            StoreError::Unreachable {
                url: String::new(),
                reason: String::new(),
            },
            StoreError::AuthRefused {
                url: String::new(),
                user: String::new(),
            },
            StoreError::DatabaseMissing {
                url: String::new(),
                database: String::new(),
            },
            StoreError::TableMissing {
                message: String::new(),
            },
            StoreError::TimedOut,
            StoreError::Unreadable(String::new()),
            server(0),   // a proxy: 502, 503
            server(159), // TIMEOUT_EXCEEDED
            server(202), // TOO_MANY_SIMULTANEOUS_QUERIES
            server(241), // MEMORY_LIMIT_EXCEEDED
            server(242), // TABLE_IS_READ_ONLY
            server(243), // NOT_ENOUGH_SPACE
            server(252), // TOO_MANY_PARTS
            server(497), // ACCESS_DENIED
            server(16),  // NO_SUCH_COLUMN_IN_TABLE: an older schema, migrated later
        ];
        for error in passes {
            assert!(is_retryable(&error), "{error:?}");
        }
        for code in [6, 33, 53, 62, 117] {
            assert_eq!(verdict(&server(code)), Verdict::Reject, "{code}");
        }
    }
}
