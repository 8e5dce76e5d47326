//! Runs one query on a thread that may block: reads the statement, sets up a session, routes, moves the data.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::answer::{Answer, Gone};
use super::codec::BodyReader;
use super::engine::Engine;
use super::error::Exception;
use super::ffi::{Analysis, Connection, Select};
use super::framing::{Framing, Joiner};
use super::request::{Ask, form_fields};
use super::sql::{self, Route, quote};

/// Data are handed to the engine in pieces of this size: each costs a copy and a hand-over to its thread.
const PIECE: usize = 1 << 20;

/// A statement longer than this is refused (the engine's own `max_query_size` is 256 KiB unless it is raised).
const MAX_STATEMENT: usize = 64 << 20;

/// The part of a body in which an INSERT has to reach its data (`max_query_size`).
const MAX_INSERT_HEAD: usize = 256 << 10;

/// The limit of `max_result_bytes` for formats that cannot be streamed, unless the client sets its own.
const MAX_WHOLE: u64 = 1 << 30;

/// One query and what it needs.
pub struct Job {
    pub engine: Arc<Engine>,
    pub ask: Ask,
    /// The Content-Type of a form that brings the parameters.
    pub form: Option<String>,
    pub body: BodyReader,
    /// How [`Engine::kill`] finds it.
    pub mark: String,
    pub tag: String,
    /// Set when the client has gone.
    pub cancelled: Arc<AtomicBool>,
}

impl Job {
    /// Runs it and answers.
    pub fn run(self, mut answer: Answer) {
        let engine = Arc::clone(&self.engine);
        match self.execute(&mut answer) {
            Ok(()) => answer.finish(),
            Err(exception) => answer.fail(exception, &engine.version),
        }
    }

    fn execute(mut self, answer: &mut Answer) -> Result<(), Exception> {
        let body = std::mem::replace(&mut self.body, BodyReader::new(tokio::sync::mpsc::channel(1).1));
        let mut body = self.ask.inflate.reader(body).map_err(from_io)?;
        if let Some(content_type) = &self.form {
            let mut form = Vec::new();
            read_up_to(&mut body, &mut form, MAX_STATEMENT)?;
            for (name, value) in form_fields(content_type, &form)? {
                self.ask.parameter(&name, value)?;
            }
        }
        let statement = self.read_statement(&mut body)?;
        let mut connection = self.engine.connect()?;
        self.prepare(&mut connection)?;
        match sql::route(&statement) {
            Route::Empty => Err(Exception::new(62, "SYNTAX_ERROR", "Empty query")),
            Route::Insert {
                query_end,
                format,
                data_at,
            } => {
                let format = format.or_else(|| self.ask.default_format.clone());
                let data = io::Cursor::new(&statement[data_at..]).chain(body);
                let query = &statement[..query_end];
                self.insert(
                    &mut connection,
                    answer,
                    query,
                    format.as_deref().unwrap_or("Values"),
                    data,
                )
            }
            Route::Read => self.select(&mut connection, answer, &statement),
            Route::Other => self.other(&mut connection, answer, &statement),
        }
    }

    /// The statement: the URL's part, and of the body as much as belongs to it (of an INSERT, data may follow).
    fn read_statement(&self, body: &mut dyn Read) -> Result<Vec<u8>, Exception> {
        let mut text = self.ask.query.clone().into_bytes();
        if let Route::Insert { format, data_at, .. } = sql::route(&text)
            && (format.is_some() || self.ask.default_format.is_some())
        {
            if data_at < text.len() {
                text.push(b'\n');
            }
            return Ok(text);
        }
        if !text.is_empty() {
            text.push(b'\n');
        }
        while text.len() < MAX_INSERT_HEAD {
            let had = text.len();
            read_up_to(body, &mut text, had + (64 << 10))?;
            match sql::route(&text) {
                _ if text.len() == had => return Ok(text),
                // Some bytes behind the format prove that its name is whole.
                Route::Insert {
                    format: Some(_),
                    data_at,
                    ..
                } if data_at + 16 < text.len() => return Ok(text),
                _ => {}
            }
        }
        read_up_to(body, &mut text, MAX_STATEMENT)?;
        if text.len() >= MAX_STATEMENT {
            return Err(Exception::new(62, "SYNTAX_ERROR", "Max query size exceeded"));
        }
        Ok(text)
    }

    /// Database, settings and parameters of the session. One SET for all, so that `readonly` comes last in force.
    fn prepare(&self, connection: &mut Connection) -> Result<(), Exception> {
        if let Some(database) = self.ask.database.as_deref().filter(|name| *name != "default") {
            connection.query(format!("USE {}", sql::identifier(database)).as_bytes(), "Null")?;
        }
        for (name, value) in &self.ask.params {
            connection.query(format!("SET param_{name}={}", quote(value)).as_bytes(), "Null")?;
        }
        let mut settings = Vec::new();
        if !self.ask.settings.iter().any(|(name, _)| name == "log_comment") {
            settings.push(format!("log_comment={}", quote(&self.mark)));
        }
        settings.extend(
            self.ask
                .settings
                .iter()
                .map(|(name, value)| format!("{name}={}", quote(value))),
        );
        if self.ask.read_only
            && !self
                .ask
                .settings
                .iter()
                .any(|(name, value)| name == "readonly" && value != "0")
        {
            settings.push("readonly='2'".to_owned());
        }
        connection
            .query(format!("SET {}", settings.join(", ")).as_bytes(), "Null")
            .map(drop)
    }

    fn check_cancelled(&self) -> Result<(), Exception> {
        if self.cancelled.load(Ordering::Relaxed) {
            Err(Exception::cancelled())
        } else {
            Ok(())
        }
    }

    fn insert(
        &self,
        connection: &mut Connection,
        answer: &mut Answer,
        query: &[u8],
        format: &str,
        mut data: impl Read,
    ) -> Result<(), Exception> {
        if self.ask.read_only {
            let message = "default: Cannot execute query in readonly mode. For queries over HTTP, method GET implies \
                           readonly. You should use method POST for modifying queries";
            return Err(Exception::new(164, "READONLY", message));
        }
        let mut insert = connection.insert(query, format)?;
        let mut piece = Vec::with_capacity(PIECE);
        loop {
            piece.clear();
            read_up_to(&mut data, &mut piece, PIECE)?;
            self.check_cancelled()?;
            if piece.is_empty() {
                break;
            }
            insert.append(&piece)?;
        }
        answer.stats += insert.finish()?;
        Ok(())
    }

    fn describe(&self, answer: &mut Answer, statement: &[u8]) -> Result<String, Exception> {
        if let Some(clause) = sql::client_side_file(statement) {
            return Err(Exception::new(
                344,
                "SUPPORT_IS_DISABLED",
                format!("{clause} is not allowed over HTTP"),
            ));
        }
        let default = self
            .ask
            .default_format
            .clone()
            .unwrap_or_else(|| "TabSeparated".to_owned());
        let format = sql::output_format(statement).unwrap_or_else(|| default.clone());
        answer.describe(&format, &self.tag);
        Ok(default)
    }

    fn select(&self, connection: &mut Connection, answer: &mut Answer, sql: &[u8]) -> Result<(), Exception> {
        let format = self.describe(answer, sql)?;
        let framing = self.framing(sql, &format);
        if framing == Framing::Whole {
            self.limit_result(connection)?;
            return self.other(connection, answer, sql);
        }
        let refused = match connection.select(sql, &format) {
            Ok(select) => return self.stream(select, Joiner::new(framing), answer),
            Err(error) => error,
        };
        match refused.code == 36 && refused.text.contains("Streaming query is not supported") {
            true => self.other(connection, answer, sql),
            false => Err(refused),
        }
    }

    /// How the answer's pieces join. Totals, extremes and enclosing brackets stand outside the rows.
    fn framing(&self, sql: &[u8], default: &str) -> Framing {
        let outside = ["TOTALS", "extremes", "output_format_json_array_of_rows"];
        let named = |word: &[u8]| {
            outside
                .iter()
                .any(|name| word.eq_ignore_ascii_case(name.as_bytes()))
        };
        if sql::words(sql).any(named) || self.ask.settings.iter().any(|(name, _)| named(name.as_bytes())) {
            return Framing::Whole;
        }
        Framing::of(sql::output_format(sql).as_deref().unwrap_or(default))
    }

    /// An answer that is made in memory may only be so large.
    fn limit_result(&self, connection: &mut Connection) -> Result<(), Exception> {
        if self
            .ask
            .settings
            .iter()
            .any(|(name, _)| name == "max_result_bytes")
        {
            return Ok(());
        }
        connection
            .query(format!("SET max_result_bytes={MAX_WHOLE}").as_bytes(), "Null")
            .map(drop)
    }

    fn stream(
        &self,
        mut select: Select<'_>,
        mut joiner: Joiner,
        answer: &mut Answer,
    ) -> Result<(), Exception> {
        while let Some(piece) = select.fetch()? {
            self.check_cancelled()?;
            answer.stats += piece.stats();
            answer
                .push(joiner.next(piece))
                .map_err(|Gone| Exception::cancelled())?;
        }
        Ok(())
    }

    fn other(&self, connection: &mut Connection, answer: &mut Answer, sql: &[u8]) -> Result<(), Exception> {
        let format = self.describe(answer, sql)?;
        let Analysis { statements, .. } = connection.classify(sql);
        if statements > 1 && !sql::words(sql).any(|word| word.eq_ignore_ascii_case(b"PARALLEL")) {
            return Err(Exception::new(
                62,
                "SYNTAX_ERROR",
                "Syntax error (Multi-statements are not allowed)",
            ));
        }
        self.check_cancelled()?;
        let output = connection.query(sql, &format)?;
        if statements == 0 {
            // A NUL byte ends a text for the engine, so that it finds nothing to run and says so to nobody.
            return Err(Exception::new(62, "SYNTAX_ERROR", "Empty query"));
        }
        answer.stats += output.stats();
        if output.as_ref().is_empty() {
            return Ok(());
        }
        answer.push(output).map_err(|Gone| Exception::cancelled())
    }
}

/// Reads until `buffer` has `limit` bytes or the input ends.
fn read_up_to(
    reader: &mut (impl Read + ?Sized),
    buffer: &mut Vec<u8>,
    limit: usize,
) -> Result<(), Exception> {
    let room = limit.saturating_sub(buffer.len()) as u64;
    (&mut *reader)
        .take(room)
        .read_to_end(buffer)
        .map(drop)
        .map_err(from_io)
}

/// What went wrong with the body, in ClickHouse's words.
fn from_io(error: io::Error) -> Exception {
    match error.kind() {
        io::ErrorKind::InvalidData if error.to_string().contains("checksum") => {
            Exception::new(40, "CHECKSUM_DOESNT_MATCH", error)
        }
        io::ErrorKind::ConnectionAborted => Exception::new(210, "NETWORK_ERROR", error),
        io::ErrorKind::UnexpectedEof => Exception::new(33, "CANNOT_READ_ALL_DATA", error),
        _ => Exception::new(271, "CANNOT_DECOMPRESS", error),
    }
}
