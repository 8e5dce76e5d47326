//! `netfault dns`: what can be asked for.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use netfault_model::{Asn, Prefix};
use netfault_sources::dns::expect::Wanted;
use netfault_sources::dns::resolver::Resolver;

use super::ConfigArg;

#[derive(Debug, Subcommand)]
pub enum DnsCommand {
    /// Ask every authoritative server and every resolver for a name, once.
    #[command(after_help = EXIT_CODES)]
    Check(CheckArgs),
    /// Walk from the root to a name and show the tree: zones, name servers, what is wrong with them.
    Walk {
        name: String,
        /// Ask every server of the root and of the top-level domain, too.
        #[arg(long)]
        every_server: bool,
        #[command(flatten)]
        root: RootArgs,
    },
    /// Check a name again and again: one line a round, and what has changed. Ctrl-C ends it with a summary.
    #[command(after_help = EXIT_CODES)]
    Watch(WatchArgs),
}

const EXIT_CODES: &str = "Exit codes: 0 ok, 1 degraded, 2 out, 3 unknown; 64 wrong usage, 65 bad data.";

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The name whose addresses are asked for.
    pub name: String,
    /// Resolver to ask, instead of those of this host; may be given several times. An address is asked over UDP; or
    /// tcp://ADDR, tls://NAME@ADDR, https://NAME/dns-query@ADDR.
    #[arg(long, value_name = "ADDR[:PORT]|URL")]
    pub resolver: Vec<Resolver>,
    /// Authoritative server to ask, instead of those that a walk from the root finds; may be given several times.
    #[arg(long, value_name = "ADDR[:PORT]")]
    pub authority: Vec<String>,
    #[command(flatten)]
    pub root: RootArgs,
    #[command(flatten)]
    pub expect: ExpectArgs,
    /// Validate DNSSEC ourselves, and say which link of the chain fails.
    #[arg(long)]
    pub validate: bool,
    /// Trust anchors for that, DNSKEY records, instead of the keys of the Internet's root.
    #[arg(long, value_name = "FILE", requires = "validate")]
    pub trust_anchor: Option<PathBuf>,
    /// Certificate authorities (PEM) that are believed besides the public ones, for tls:// and https://.
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    #[command(flatten)]
    pub routes: RouteArgs,
}

/// Where prefix and origin AS of addresses are known from.
#[derive(Debug, Args)]
pub struct RouteArgs {
    /// Table dumps (MRT) to look up prefix and origin in. Without any: the running store of the configuration, if there is one, which
    /// knows the addresses that watched names depend on.
    #[arg(long, value_name = "PATH")]
    pub rib: Vec<String>,
    #[command(flatten)]
    pub config: ConfigArg,
}

/// What the name should answer. IPv4 addresses say nothing of AAAA, and IPv6 addresses nothing of A.
#[derive(Debug, Args)]
pub struct ExpectArgs {
    /// At least one of these addresses is in the answer; may be given several times.
    #[arg(long = "expect-any", value_name = "ADDR")]
    pub any_of: Vec<Wanted>,
    /// All of these addresses are in the answer; may be given several times.
    #[arg(long = "expect-all", value_name = "ADDR")]
    pub all_of: Vec<Wanted>,
    /// Every address is within one of these prefixes; may be given several times.
    #[arg(long = "expect-within", value_name = "PREFIX")]
    pub within: Vec<Prefix>,
    /// Every address is originated by one of these ASes, as far as its route is known; may be given several times.
    #[arg(long = "expect-origin", value_name = "AS")]
    pub origins: Vec<Asn>,
    /// At least so many addresses, of A and of AAAA each.
    #[arg(long = "expect-count", value_name = "N")]
    pub min_count: Option<u32>,
    /// No private, loopback or reserved address, not even from an authority.
    #[arg(long = "expect-public")]
    pub not_bogon: bool,
}

#[derive(Debug, Args)]
pub struct WatchArgs {
    #[command(flatten)]
    pub check: CheckArgs,
    /// From the beginning of one round to that of the next: 5s, 1m.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = interval)]
    pub interval: Duration,
    /// Stop after so many rounds.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
}

/// Where a walk begins.
#[derive(Debug, Args)]
pub struct RootArgs {
    /// Root servers in the format of IANA's named.root, instead of those of the Internet. Addresses may name a port: 127.0.0.1#5301.
    #[arg(long, value_name = "FILE")]
    pub root_hints: Option<PathBuf>,
    /// Port of all servers that the walk asks; for laboratories.
    #[arg(long, value_name = "PORT", hide = true)]
    pub port: Option<u16>,
}

/// An authority is asked at most once a second (DESIGN section 6), and a round may put three questions to it.
fn interval(text: &str) -> Result<Duration, String> {
    match crate::config::parse_duration(text)? {
        interval if interval < Duration::from_secs(1) => Err(format!(
            "'{text}' is too short: a server is asked at most once a second"
        )),
        interval => Ok(interval),
    }
}
