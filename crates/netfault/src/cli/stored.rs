//! What can be asked of the store, and said to it: delegations, DNS health, incidents.

use std::net::IpAddr;

use clap::Args;
use netfault_model::{Prefix, Time};

use super::{ConfigArg, ExplainArgs, IdDigits, Span};

#[derive(Debug, Args)]
pub struct DnsArgs {
    #[command(flatten)]
    pub config: ConfigArg,
    /// Only this name; then with the servers that failed.
    #[arg(long)]
    pub name: Option<String>,
    /// Which servers failed, when first and last, and how.
    #[arg(long)]
    pub servers: bool,
    #[command(flatten)]
    pub span: Span,
}

#[derive(Debug, Args)]
pub struct DelegationArgs {
    #[command(flatten)]
    pub config: ConfigArg,
    /// Whom this name depends on.
    #[arg(long)]
    pub name: Option<String>,
    /// Which names depend on addresses in this prefix.
    #[arg(long)]
    pub prefix: Option<Prefix>,
    /// Every walk since then, instead of the newest of each name.
    #[arg(long, value_name = "TIME")]
    pub since: Option<Time>,
    /// As it was before this moment.
    #[arg(long, value_name = "TIME")]
    pub until: Option<Time>,
    /// At most so many walks.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub limit: u64,
}

#[derive(Debug, Args)]
pub struct HealthArgs {
    #[command(flatten)]
    pub config: ConfigArg,
    #[arg(long)]
    pub name: Option<String>,
    /// Only this name server or resolver.
    #[arg(long, value_name = "ADDR")]
    pub server: Option<IpAddr>,
    /// Time of one row: whole minutes, such as 1m, 15m or 1h.
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = step)]
    pub step: u32,
    #[command(flatten)]
    pub span: Span,
}

/// Seconds.
fn step(text: &str) -> Result<u32, String> {
    let whole = crate::config::parse_duration(text)?.as_secs();
    match u32::try_from(whole) {
        Ok(step) if step >= 60 && step.is_multiple_of(60) => Ok(step),
        _ => Err(format!(
            "'{text}' is not a number of whole minutes: give 1m, 15m, 1h or the like"
        )),
    }
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    #[command(flatten)]
    pub what: ExplainArgs,
    /// As it stood in this version.
    #[arg(long, value_name = "N", id = "incident_version", value_parser = clap::value_parser!(u32).range(1..))]
    pub version: Option<u32>,
    /// List its versions and what each said.
    #[arg(long, conflicts_with = "incident_version")]
    pub versions: bool,
}

#[derive(Debug, Args)]
pub struct NoteArgs {
    #[command(flatten)]
    pub config: ConfigArg,
    /// Id of the incident, or its first digits (at least 6).
    pub id: IdDigits,
    /// What is to be remembered about it.
    pub text: String,
    /// Who says it [default: the user of this shell].
    #[arg(long, value_name = "WHO")]
    pub by: Option<String>,
}

#[derive(Debug, Args)]
pub struct AckArgs {
    #[command(flatten)]
    pub config: ConfigArg,
    /// Id of the incident, or its first digits (at least 6).
    pub id: IdDigits,
    /// A word with it, if there is something to say.
    pub text: Option<String>,
    /// Who takes it on [default: the user of this shell].
    #[arg(long, value_name = "WHO")]
    pub by: Option<String>,
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    pub config: ConfigArg,
    /// Id of the incident, or its first digits (at least 6).
    pub id: IdDigits,
}
