//! `netfault import`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ConfigArg;

#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Past reports of users, so that it is known what is usual at each time of day.
    Reports(ImportReportsArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "The first line names the columns: at, service, count, and if need be interval_s and source. \
`at` is the end of the interval: RFC 3339, '2026-03-29 12:00' (UTC) or Unix seconds. A file with a bad line is not \
imported at all; importing a file again changes nothing."
)]
pub struct ImportReportsArgs {
    #[command(flatten)]
    pub config: ConfigArg,
    /// CSV file.
    #[arg(value_name = "FILE.csv")]
    pub file: PathBuf,
    /// The service of all reports, for a file without that column.
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// Who counted them, for a file without that column. What is usual is known per source: give the name under which live
    /// reports come.
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Length of an interval, for a file without that column [default: 900].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub interval_s: Option<u32>,
}
