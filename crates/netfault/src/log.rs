//! Logs on standard error, for people.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// `RUST_LOG` overrides the flags.
pub fn start(quiet: bool, verbose: u8) {
    let level = match (quiet, verbose) {
        (true, _) => "warn",
        (false, 0) => "info",
        (false, 1) => "debug",
        (false, _) => "trace",
    };
    let others = if verbose > 2 { "debug" } else { "warn" };
    let ours = [
        "netfault",
        "netfault_sources",
        "netfault_store",
        "netfault_alerts",
        "netfault_api",
        "netfault_engine",
    ];
    let directives: Vec<String> = ours.iter().map(|name| format!("{name}={level}")).collect();
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("{others},{}", directives.join(","))));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_writer(std::io::stderr)
        .init();
}
