//! Just enough of ClickHouse's lexer to route a statement: is it an INSERT that brings data and where does the data
//! begin, which output format does it name, does it reach for files on the client's side. It judges nothing else;
//! the engine's own parser does.

/// How a statement is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Nothing but blanks and comments.
    Empty,
    /// An INSERT with data behind it: `sql[..query_end]` is the statement without its FORMAT clause, the data begin
    /// at `data_at`. `format` is absent when the statement names none.
    Insert {
        query_end: usize,
        format: Option<String>,
        data_at: usize,
    },
    /// Worth trying to stream (SELECT and its like).
    Read,
    /// Everything else, run to its end in one go.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a [u8]),
    /// A quoted identifier.
    Name,
    Text,
    Mark(u8),
}

impl Token<'_> {
    fn is(self, keyword: &str) -> bool {
        matches!(self, Self::Word(word) if word.eq_ignore_ascii_case(keyword.as_bytes()))
    }

    fn is_name(self) -> bool {
        matches!(self, Self::Word(_) | Self::Name)
    }
}

/// Tokens with the offset where each begins and ends. Unfinished strings and comments run to the end of the text.
struct Tokens<'a> {
    sql: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = (usize, Token<'a>, usize);

    fn next(&mut self) -> Option<Self::Item> {
        self.at = skip_blank(self.sql, self.at);
        let start = self.at;
        let (token, end) = match *self.sql.get(start)? {
            b'\'' => (Token::Text, quoted_end(self.sql, start)),
            b'"' | b'`' => (Token::Name, quoted_end(self.sql, start)),
            byte if byte == b'_' || byte.is_ascii_alphanumeric() => {
                let rest = &self.sql[start..];
                let length = rest.iter().position(|&b| b != b'_' && !b.is_ascii_alphanumeric());
                let length = length.unwrap_or(rest.len());
                (Token::Word(&rest[..length]), start + length)
            }
            byte => (Token::Mark(byte), start + 1),
        };
        self.at = end;
        Some((start, token, end))
    }
}

fn quoted_end(sql: &[u8], start: usize) -> usize {
    let quote = sql[start];
    let mut at = start + 1;
    while let Some(&byte) = sql.get(at) {
        match byte {
            b'\\' => at += 2,
            _ if byte == quote && sql.get(at + 1) == Some(&quote) => at += 2,
            _ if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    sql.len()
}

fn skip_blank(sql: &[u8], mut at: usize) -> usize {
    let until = |from: usize, stop: &[u8]| {
        let rest = sql.get(from..).unwrap_or_default();
        rest.windows(stop.len())
            .position(|window| window == stop)
            .map_or(sql.len(), |p| from + p + stop.len())
    };
    loop {
        at = match (sql.get(at), sql.get(at + 1)) {
            (Some(byte), _) if byte.is_ascii_whitespace() || *byte == 0x0b => at + 1,
            (Some(b'-'), Some(b'-')) | (Some(b'#'), Some(b' ' | b'!')) => until(at, b"\n"),
            (Some(b'/'), Some(b'*')) => until(at + 2, b"*/"),
            _ => return at.min(sql.len()),
        }
    }
}

fn tokens(sql: &[u8]) -> Tokens<'_> {
    Tokens { sql, at: 0 }
}

/// Decides how `sql`, a statement or the first part of one, is to be run.
#[must_use]
pub fn route(sql: &[u8]) -> Route {
    let Some((_, first, _)) = tokens(sql).find(|(_, token, _)| *token != Token::Mark(b';')) else {
        return Route::Empty;
    };
    match first {
        word if word.is("INSERT") => insert(sql),
        word if ["SELECT", "WITH", "FROM", "VALUES", "TABLE"]
            .iter()
            .any(|key| word.is(key)) =>
        {
            Route::Read
        }
        Token::Mark(b'(') => Route::Read,
        _ => Route::Other,
    }
}

/// `INSERT INTO [TABLE] [FUNCTION] name [(columns)] [SETTINGS …] (FORMAT f data | VALUES data | SELECT …)`.
fn insert(sql: &[u8]) -> Route {
    let mut tokens = tokens(sql).peekable();
    tokens.next();
    tokens.next_if(|(_, token, _)| token.is("INTO"));
    for keyword in ["TABLE", "FUNCTION"] {
        tokens.next_if(|(_, token, _)| token.is(keyword));
    }
    // The name comes first, so that a table called `format` or `values` is not taken for a clause.
    while tokens.next_if(|(_, token, _)| token.is_name()).is_some() {
        if tokens
            .next_if(|(_, token, _)| *token == Token::Mark(b'.'))
            .is_none()
        {
            break;
        }
    }
    let (mut depth, mut end) = (0_u32, sql.len());
    while let Some((start, token, stop)) = tokens.next() {
        match token {
            Token::Mark(b'(') => {
                let next = tokens.peek().map(|(_, token, _)| *token);
                if depth == 0 && next.is_some_and(|token| token.is("SELECT") || token.is("WITH")) {
                    return Route::Other;
                }
                depth += 1;
            }
            Token::Mark(b')') => depth = depth.saturating_sub(1),
            Token::Mark(b';') if depth == 0 => {
                end = start;
                break;
            }
            _ if depth > 0 => {}
            word if word.is("SELECT") || word.is("WITH") || word.is("FROM") || word.is("WATCH") => {
                return Route::Other;
            }
            word if word.is("VALUES") => {
                return Route::Insert {
                    query_end: start,
                    format: Some("Values".to_owned()),
                    data_at: stop,
                };
            }
            word if word.is("FORMAT") => {
                if let Some((_, Token::Word(name), after)) = tokens.peek().copied() {
                    let format = Some(String::from_utf8_lossy(name).into_owned());
                    return Route::Insert {
                        query_end: start,
                        format,
                        data_at: data_start(sql, after),
                    };
                }
            }
            _ => {}
        }
    }
    Route::Insert {
        query_end: end,
        format: None,
        data_at: sql.len(),
    }
}

/// Data begin after the first line break behind the format, or after the blanks when there is none
/// (`ParserInsertQuery.cpp`).
fn data_start(sql: &[u8], after: usize) -> usize {
    let mut at = after;
    while matches!(sql.get(at), Some(b' ' | b'\t' | 0x0c)) {
        at += 1;
    }
    at += usize::from(sql.get(at) == Some(&b'\r'));
    at + usize::from(sql.get(at) == Some(&b'\n'))
}

/// The output format that a whole statement names at its end, outside brackets.
#[must_use]
pub fn output_format(sql: &[u8]) -> Option<String> {
    let (mut depth, mut found, mut armed) = (0_i32, None, false);
    for (_, token, _) in tokens(sql) {
        match token {
            Token::Mark(b'(') => depth += 1,
            Token::Mark(b')') => depth -= 1,
            Token::Word(name) if armed => found = Some(String::from_utf8_lossy(name).into_owned()),
            _ => {}
        }
        armed = depth == 0 && token.is("FORMAT");
    }
    found
}

/// The clause with which a statement would read or write files in the server's name, which clickhouse-client does on
/// its own machine and ClickHouse refuses over HTTP.
#[must_use]
pub fn client_side_file(sql: &[u8]) -> Option<&'static str> {
    let words: Vec<_> = tokens(sql).map(|(_, token, _)| token).collect();
    words.windows(2).find_map(|pair| match (pair[0], pair[1]) {
        (a, b) if a.is("INTO") && b.is("OUTFILE") => Some("INTO OUTFILE"),
        (a, b) if a.is("FROM") && b.is("INFILE") => Some("FROM INFILE"),
        _ => None,
    })
}

/// The unquoted words of a text.
pub fn words(sql: &[u8]) -> impl Iterator<Item = &[u8]> {
    tokens(sql).filter_map(|(_, token, _)| match token {
        Token::Word(word) => Some(word),
        _ => None,
    })
}

/// `text` as a string literal.
#[must_use]
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// `name` as a quoted identifier.
#[must_use]
pub fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(sql: &str) -> Option<(&str, Option<String>, &str)> {
        match route(sql.as_bytes()) {
            Route::Insert {
                query_end,
                format,
                data_at,
            } => Some((&sql[..query_end], format, &sql[data_at..])),
            _ => None,
        }
    }

    #[test]
    fn inserts_are_split_where_clickhouse_splits_them() {
        let some = |format: &str| Some(format.to_owned());
        let table = [
            (
                "INSERT INTO t FORMAT CSV\n1,2\n",
                "INSERT INTO t ",
                some("CSV"),
                "1,2\n",
            ),
            (
                "insert into t(a, b) format  Native \r\n\n\n",
                "insert into t(a, b) ",
                some("Native"),
                "\n\n",
            ),
            (
                "INSERT INTO t FORMAT JSONEachRow {\"a\":1}",
                "INSERT INTO t ",
                some("JSONEachRow"),
                "{\"a\":1}",
            ),
            (
                "INSERT INTO t VALUES (1, 'FORMAT CSV')",
                "INSERT INTO t ",
                some("Values"),
                " (1, 'FORMAT CSV')",
            ),
            (
                "INSERT INTO `values` (`format`) VALUES (1)",
                "INSERT INTO `values` (`format`) ",
                some("Values"),
                " (1)",
            ),
            (
                "INSERT INTO db.format FORMAT TSV\nx",
                "INSERT INTO db.format ",
                some("TSV"),
                "x",
            ),
            (
                "INSERT INTO t SETTINGS a='FORMAT X' FORMAT TSV\n",
                "INSERT INTO t SETTINGS a='FORMAT X' ",
                some("TSV"),
                "",
            ),
            (
                "/* FORMAT A */ INSERT INTO t -- FORMAT B\n(a)",
                "/* FORMAT A */ INSERT INTO t -- FORMAT B\n(a)",
                None,
                "",
            ),
            (
                "INSERT INTO FUNCTION remote('h', d, t) VALUES (1)",
                "INSERT INTO FUNCTION remote('h', d, t) ",
                some("Values"),
                " (1)",
            ),
            ("INSERT INTO t;", "INSERT INTO t", None, ""),
        ];
        for (sql, query, format, data) in table {
            assert_eq!(split(sql), Some((query, format, data)), "{sql}");
        }
    }

    #[test]
    fn other_statements_are_routed_by_their_first_word() {
        let table = [
            ("INSERT INTO t SELECT 1 FORMAT CSV", Route::Other),
            ("INSERT INTO t (a) (SELECT 1)", Route::Other),
            ("INSERT INTO t FROM INFILE 'x' FORMAT CSV", Route::Other),
            (" -- x\n SELECT 1", Route::Read),
            ("(SELECT 1)", Route::Read),
            ("WITH 1 AS x SELECT x", Route::Read),
            ("SHOW TABLES", Route::Other),
            ("", Route::Empty),
            (" ; -- nothing", Route::Empty),
            ("/* never closed", Route::Empty),
        ];
        for (sql, want) in table {
            assert_eq!(route(sql.as_bytes()), want, "{sql}");
        }
    }

    #[test]
    fn formats_and_file_clauses_are_seen_outside_strings_only() {
        assert_eq!(output_format(b"SELECT 1 FORMAT JSON").as_deref(), Some("JSON"));
        assert_eq!(
            output_format(b"SELECT 1 format Null SETTINGS x=1;").as_deref(),
            Some("Null")
        );
        assert_eq!(output_format(b"SELECT 'FORMAT JSON'"), None);
        assert_eq!(output_format(b"SELECT format(JSONEachRow, 'x')"), None);
        assert_eq!(
            client_side_file(b"SELECT 1 INTO /* x */ OUTFILE 'a'"),
            Some("INTO OUTFILE")
        );
        assert_eq!(client_side_file(b"SELECT 'INTO OUTFILE'"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic_or_point_outside(sql: Vec<u8>) {
            if let Route::Insert { query_end, data_at, .. } = route(&sql) {
                assert!(query_end <= sql.len() && data_at <= sql.len());
            }
            let _ = (output_format(&sql), client_side_file(&sql));
        }
    }
}
