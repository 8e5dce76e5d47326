//! Times, tables and words of a report.

use netfault_model::Time;

/// `2021-10-04 15:42:03 UTC`
pub fn moment(at: Time) -> String {
    crate::render::moment(at).replace('Z', " UTC")
}

/// `15:42:03`, with its date if that is another one than that of `beside`.
pub fn clock(at: Time, beside: Time) -> String {
    crate::render::moment_beside(at, beside).replace('Z', "")
}

/// `12 s`, `11 min 44 s`, `5 h 46 min`, `3 d 2 h`; a minus for what came before.
pub fn lasted(micros: i64) -> String {
    // Begun seconds do not count, as in the sentences of the engine.
    let seconds = micros.unsigned_abs() / 1_000_000;
    let sign = if micros < 0 && seconds > 0 { "-" } else { "" };
    let pair = |large: u64, one: &str, small: u64, other: &str| match small {
        0 => format!("{sign}{large} {one}"),
        _ => format!("{sign}{large} {one} {small} {other}"),
    };
    match seconds {
        0..60 => format!("{sign}{seconds} s"),
        60..3600 => pair(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => pair(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => pair(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// `1 prefix`, `3 prefixes`
pub fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// Text of others as plain text in Markdown, on one line.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '~' => {
                out.push('\\');
                out.push(letter);
            }
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}

/// A table of Markdown. Cells are taken as they are.
pub struct Table {
    text: String,
    rows: usize,
}

impl Table {
    pub fn new<const N: usize>(titles: &[&str; N]) -> Table {
        let text = format!("| {} |\n|{}\n", titles.join(" | "), "---|".repeat(N));
        Table { text, rows: 0 }
    }

    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows += 1;
        self.text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    pub fn finish(self) -> String {
        self.text
    }
}
