//! How a command ends: a code that scripts can use, and one sentence for people.

use std::fmt;
use std::process::ExitCode;

/// The codes of sysexits(3) that netfault uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    Usage = 64,
    Data = 65,
    Unavailable = 69,
    Bug = 70,
    Config = 78,
}

/// Why a command failed, sorted by what the user can do about it.
#[derive(Debug)]
pub struct Failure {
    pub code: Code,
    message: String,
}

pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub fn usage(message: impl fmt::Display) -> Self {
        Failure {
            code: Code::Usage,
            message: message.to_string(),
        }
    }

    pub fn data(message: impl fmt::Display) -> Self {
        Failure {
            code: Code::Data,
            message: message.to_string(),
        }
    }

    pub fn unavailable(message: impl fmt::Display) -> Self {
        Failure {
            code: Code::Unavailable,
            message: message.to_string(),
        }
    }

    pub fn bug(message: impl fmt::Display) -> Self {
        Failure {
            code: Code::Bug,
            message: message.to_string(),
        }
    }

    pub fn config(message: impl fmt::Display) -> Self {
        Failure {
            code: Code::Config,
            message: message.to_string(),
        }
    }

    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// An error and its causes as one sentence, without saying the same thing twice.
pub fn sentence(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    text
}
