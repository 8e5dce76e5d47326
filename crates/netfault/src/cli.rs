//! The command line: what can be asked for, and nothing of how it is done.

mod dns;
mod import;
mod stored;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use netfault_model::{Asn, Prefix, Time};

use crate::render::Format;

pub use dns::{CheckArgs, DnsCommand, ExpectArgs, RootArgs, RouteArgs, WatchArgs};
pub use import::{ImportCommand, ImportReportsArgs};
pub use stored::{AckArgs, DelegationArgs, DnsArgs, ExportArgs, HealthArgs, NoteArgs, ShowArgs};

/// Watches the network layer of services: withdrawn routes, failing names, and which caused which.
#[derive(Debug, Parser)]
#[command(name = "netfault", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, 64 wrong usage, 65 bad data, 69 something needed is unavailable, \
70 a bug, 78 bad configuration.\n`dns check` and its like: 0 ok, 1 degraded, 2 out, 3 unknown."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,

    /// How to print data. Data goes to standard output, everything else to standard error.
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub format: Format,

    /// Say less (-q: warnings and errors only) …
    #[arg(short, long, global = true)]
    pub quiet: bool,

    /// … or more (-v, -vv).
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the collector service.
    Run(RunArgs),
    /// Probe DNS from here and report to a collector elsewhere: one more vantage.
    Agent(RunArgs),
    /// Play MRT files, a journal or a past day of an archive through the same pipeline, and print what it says.
    Replay(ReplayArgs),
    /// Play MRT files and hold what is said against the truth: what was missed, what was cried for nothing, how late.
    Evaluate(EvaluateArgs),
    /// Ask the store what happened.
    #[command(subcommand)]
    Query(QueryCommand),
    /// Incidents: what belongs together, told once.
    #[command(subcommand)]
    Incidents(IncidentsCommand),
    /// Say why something was decided: the rule and its numbers, who lost a prefix and when, who kept it.
    Explain(ExplainArgs),
    /// Ask what the service knows of one of its services or names now: is it the network?
    Why(WhyArgs),
    /// Bring history into the store.
    #[command(subcommand)]
    Import(ImportCommand),
    /// Ask DNS servers.
    #[command(subcommand)]
    Dns(DnsCommand),
    /// Check, write or show a configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// The ClickHouse store.
    #[command(subcommand)]
    Db(DbCommand),
    /// Alert receivers.
    #[command(subcommand)]
    Alert(AlertCommand),
    /// What nobody wants to be told for a while.
    #[command(subcommand)]
    Silence(crate::commands::silence::SilenceCommand),
    /// Tools for those who work on netfault.
    #[command(subcommand)]
    Dev(DevCommand),
}

/// Which configuration to use.
#[derive(Clone, Debug, Default, Args)]
pub struct ConfigArg {
    /// Configuration file. Without it: netfault.yaml here if there is one, else the built-in default.
    #[arg(short, long, value_name = "FILE", env = "NETFAULT_CONFIG")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 no network-layer fault, 1 something is not well, 2 an incident is open, 3 not enough is known."
)]
pub struct WhyArgs {
    #[command(flatten)]
    pub config: ConfigArg,
    /// A service of the configuration, or a watched name.
    #[arg(value_name = "SERVICE|NAME")]
    pub what: String,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub config: ConfigArg,
    /// Stop by itself after this many seconds (for tests and demonstrations).
    #[arg(long, value_name = "SECONDS")]
    pub stop_after: Option<u64>,
}

#[derive(Debug, Args)]
pub struct ReplayArgs {
    #[command(flatten)]
    pub config: ConfigArg,
    /// Prefix (with its more-specifics) or AS number to watch; may be given several times. Without any:
    /// every prefix, and what the configuration lists.
    #[arg(long, value_name = "PREFIX|ASN")]
    pub watch: Vec<Watched>,
    /// Evaluate every prefix even if --watch is given.
    #[arg(long)]
    pub all: bool,
    /// Keep every update and every transition in the store of the configuration.
    #[arg(long)]
    pub store: bool,
    /// Play at N times the speed of the record (1 = as it happened). Without it: as fast as possible.
    #[arg(long, value_name = "N", value_parser = speed)]
    pub speed: Option<f64>,
    /// Let time run on to this moment after the last record.
    #[arg(long, value_name = "TIME")]
    pub until: Option<Time>,
    /// Fetch a past day from an archive: the first moment. What happened before it, from the newest table dump on,
    /// is learnt but neither printed nor stored.
    #[arg(
        long,
        value_name = "TIME",
        requires = "to",
        requires = "collector",
        conflicts_with = "paths"
    )]
    pub from: Option<Time>,
    /// The moment where it ends; not included.
    #[arg(long, value_name = "TIME", requires = "from")]
    pub to: Option<Time>,
    /// Collector to fetch, such as rrc00 or route-views2; may be given several times.
    #[arg(long, value_name = "NAME", requires = "from")]
    pub collector: Vec<String>,
    /// Where from: the root URL of a mirror of RIS or RouteViews, a folder, or broker:URL. Without it: the archive
    /// of the configuration, else the public BGPKIT broker.
    #[arg(long, value_name = "URL|DIR|broker:URL", requires = "from")]
    pub archive: Option<String>,
    /// Begin with the newest table dump at or before --from, if there is one [default: true].
    #[arg(long, value_name = "BOOL", requires = "from", default_missing_value = "true", num_args = 0..=1)]
    pub seed_rib: Option<bool>,
    /// MRT files, globs, folders, or a journal folder of the collector.
    #[arg(required_unless_present = "from", value_name = "PATH")]
    pub paths: Vec<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 everything that the truth asks for is met, 1 something is not, 64 wrong usage, \
65 bad data, 69 something needed is unavailable."
)]
pub struct EvaluateArgs {
    #[command(flatten)]
    pub config: ConfigArg,
    /// What happened, labelled, and what must be reached (YAML; see tests/truth).
    #[arg(long, value_name = "FILE")]
    pub truth: PathBuf,
    /// The independent count of the same record (CSV of scripts/independent-count.py).
    #[arg(long, value_name = "FILE")]
    pub count: Option<PathBuf>,
    /// Print at most so many disagreements of each group, on standard error.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub list: usize,
    /// MRT files, globs, folders.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<String>,
}

/// A prefix or an AS number.
#[derive(Clone, Copy, Debug)]
pub enum Watched {
    Prefix(Prefix),
    Origin(Asn),
}

impl std::str::FromStr for Watched {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains(['/', '.', ':']) {
            return text
                .parse()
                .map(Watched::Prefix)
                .map_err(|error: netfault_model::net::BadPrefix| error.to_string());
        }
        text.parse()
            .map(Watched::Origin)
            .map_err(|_| format!("'{text}' is neither a prefix (192.0.2.0/24) nor an AS number (AS64500)"))
    }
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed > 0.0 && speed.is_finite() => Ok(speed),
        _ => Err(format!(
            "'{text}' is not a speed: give a number above 0, such as 1 or 60"
        )),
    }
}

#[derive(Debug, Subcommand)]
pub enum QueryCommand {
    /// Prefixes that were withdrawn, newest first.
    Withdrawals {
        #[command(flatten)]
        config: ConfigArg,
        /// This prefix and its more-specifics.
        #[arg(long)]
        prefix: Option<Prefix>,
        #[arg(long, value_name = "ASN")]
        origin: Option<Asn>,
        #[command(flatten)]
        span: Span,
    },
    /// Incidents, oldest first; the same as `netfault incidents list`.
    Incidents(ListArgs),
    /// Names that failed, and which of their servers.
    Dns(DnsArgs),
    /// How name servers and resolvers did, by the minute.
    DnsHealth(HealthArgs),
    /// Whom names depend on: name servers, addresses, prefixes. And which names depend on a prefix.
    Delegations(DelegationArgs),
}

#[derive(Debug, Subcommand)]
pub enum IncidentsCommand {
    /// Incidents, oldest first, each in its newest version.
    List(ListArgs),
    /// One incident: its versions, its parts, and what they went through.
    Show(ShowArgs),
    /// Write something down about an incident.
    Note(NoteArgs),
    /// Take an incident on: its alerts are not repeated.
    Ack(AckArgs),
    /// A post-mortem in Markdown: cause, timeline of each layer, who saw it, notes, what is not known.
    Export(ExportArgs),
}

#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub config: ConfigArg,
    #[command(flatten)]
    pub span: Span,
    /// Only those that are not over.
    #[arg(long)]
    pub open: bool,
    /// Every one: also small ones that nobody watches, beacons, and what became part of another one.
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    #[command(flatten)]
    pub config: ConfigArg,
    /// Id of a transition or an incident, as it stands in events and alerts, or its first digits (at least 6).
    pub id: IdDigits,
    /// Read the events of a replay from this file instead of the store; - is standard input.
    #[arg(long, value_name = "FILE.ndjson|-")]
    pub from: Option<PathBuf>,
}

/// The first digits of an id, in lower case: 6 to 16.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdDigits(pub String);

impl std::fmt::Display for IdDigits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for IdDigits {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The id of an alert that opened again has a number behind it.
        let digits = match text.split_once('-') {
            Some((id, again)) if id.len() == 16 && again.parse::<u32>().is_ok() => id,
            _ => text,
        };
        match (6..=16).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            true => Ok(IdDigits(digits.to_ascii_lowercase())),
            false => Err(format!(
                "'{text}' is not an id: give its 16 hex digits, or at least the first 6"
            )),
        }
    }
}

/// A span of time.
#[derive(Clone, Copy, Debug, Args)]
pub struct Span {
    /// Not before: 2021-10-04T15:40:00Z, 2021-10-04 or Unix seconds.
    #[arg(long, value_name = "TIME")]
    pub since: Option<Time>,
    /// Before.
    #[arg(long, value_name = "TIME")]
    pub until: Option<Time>,
    /// At most so many rows.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub limit: u64,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Read a configuration and say what would run.
    Check(ConfigArg),
    /// Write a commented configuration to start from.
    Init {
        #[arg(default_value = "netfault.yaml")]
        path: PathBuf,
    },
    /// Print a configuration with every default filled in, secrets left out.
    Print(ConfigArg),
}

#[derive(Debug, Subcommand)]
pub enum DbCommand {
    /// Bring the tables of the store up to date.
    Migrate(ConfigArg),
    /// Which migrations are applied.
    Status(ConfigArg),
    /// Run one SQL statement in the store and print the answer.
    Sql {
        #[command(flatten)]
        config: ConfigArg,
        /// The statement; from standard input if it is absent.
        statement: Option<String>,
    },
    /// Serve an embedded ClickHouse over HTTP on a loopback address, for curl, Grafana and the like.
    Serve(ServeArgs),
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Folder of the database.
    #[arg(long, default_value = ".netfault/store")]
    pub dir: PathBuf,
    /// Loopback address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8123", value_name = "ADDR:PORT")]
    pub listen: SocketAddr,
    #[arg(long, default_value = "netfault")]
    pub user: String,
    /// Password; a random one is made, and printed in the ready line, if none is given.
    #[arg(long, env = "NETFAULT_DB_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
    /// libchdb.so; by default where `make libchdb` puts it.
    #[arg(long, value_name = "PATH", env = "LIBCHDB")]
    pub libchdb: Option<PathBuf>,
    /// Write the ready line to this file descriptor instead of standard output.
    #[arg(long, value_name = "N", hide = true)]
    pub ready_fd: Option<i32>,
    /// End when standard input ends: how `netfault run` starts it.
    #[arg(long, hide = true)]
    pub stop_with_stdin: bool,
}

#[derive(Debug, Subcommand)]
pub enum AlertCommand {
    /// Send a test notice and its end to one receiver, to those of a route, or to all.
    Test {
        #[command(flatten)]
        config: ConfigArg,
        #[arg(value_name = "RECEIVER|ROUTE")]
        whom: Option<String>,
    },
    /// What each receiver has not been told yet, and what it said last.
    Status(ConfigArg),
}

#[derive(Debug, Subcommand)]
pub enum DevCommand {
    /// Serve MRT files as RIS Live frames over a WebSocket, with faults on request.
    RisLiveServer(RisLiveServerArgs),
}

#[derive(Debug, Args)]
pub struct RisLiveServerArgs {
    /// MRT files, globs or folders.
    #[arg(required = true)]
    pub files: Vec<String>,
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR:PORT")]
    pub listen: SocketAddr,
    /// Times the speed of the record, so many frames a second (`20000/s`), or `max`.
    #[arg(long, default_value = "1", value_name = "N|N/s|max")]
    pub speed: String,
    /// Shift time stamps so that the first record happens now.
    #[arg(long)]
    pub now: bool,
    /// Begin again at the end.
    #[arg(long)]
    pub repeat: bool,
    /// End when the files have been served once.
    #[arg(long)]
    pub once: bool,
    /// Cut each connection after this many frames.
    #[arg(long, value_name = "FRAMES")]
    pub cut_after: Option<u64>,
    /// Stop sending after FRAMES for SECONDS: `1000:45`.
    #[arg(long, value_name = "FRAMES:SECONDS")]
    pub stall: Option<String>,
    /// Send every Nth frame twice.
    #[arg(long, value_name = "N")]
    pub duplicate_every: Option<u64>,
    /// Send a frame that is no JSON after every Nth.
    #[arg(long, value_name = "N")]
    pub garbage_every: Option<u64>,
    /// Send a session reset (STATE) after every Nth frame.
    #[arg(long, value_name = "N")]
    pub state_every: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_known_by_its_first_digits() {
        let digits = |text: &str| text.parse::<IdDigits>().map(|id| id.0).ok();
        assert_eq!(digits("0123AB"), Some("0123ab".into()));
        assert_eq!(digits("0123456789abcdef"), Some("0123456789abcdef".into()));
        assert_eq!(digits("0123456789abcdef-2"), Some("0123456789abcdef".into()));
        for bad in ["01234", "0123456789abcdef0", "01234g", "012345-2", ""] {
            assert_eq!(digits(bad), None, "{bad}");
        }
    }
}
