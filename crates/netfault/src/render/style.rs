//! Colour, only where a person reads.

use std::io::IsTerminal;

use netfault_model::{State, Time};

/// Whether text may carry colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    pub colour: bool,
}

impl Style {
    /// For standard output: a terminal, and `NO_COLOR` unset or empty (no-color.org).
    pub fn stdout() -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Style {
            colour: std::io::stdout().is_terminal() && !no_color,
        }
    }

    /// A state in its colour: red for lost, yellow for in between, green for fine, grey for not known.
    pub fn state(self, state: State, text: &str) -> String {
        let code = match state {
            State::Out | State::Gone => "1;31",
            State::Partial | State::Degrading | State::Degraded => "33",
            State::Recovering => "36",
            State::Normal | State::Ok => "32",
            State::Unknown => "2",
        };
        self.paint(code, text)
    }

    /// Worth reading, and no outage.
    pub fn note(self, text: &str) -> String {
        self.paint("36", text)
    }

    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// `2008-02-24 02:03:42Z`: to the second.
pub fn moment(at: Time) -> String {
    let text = at.to_string();
    match (text.get(..10), text.get(11..19)) {
        (Some(day), Some(clock)) => format!("{day} {clock}Z"),
        _ => text,
    }
}

/// `02:01:13` if it is the day of `beside`, else with its date.
pub fn moment_beside(at: Time, beside: Time) -> String {
    let (text, other) = (moment(at), moment(beside));
    match (text.get(..10), text.get(11..19)) {
        (day, Some(clock)) if day == other.get(..10) => clock.to_owned(),
        _ => text,
    }
}
