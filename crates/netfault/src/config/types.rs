//! What a configuration means: resolved, every default filled in, valid by construction.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use netfault_engine::Settings;
use netfault_engine::dns::DnsSettings;
use netfault_model::{Asn, Collector, Watch};
use netfault_sources::archive::Source;
use netfault_sources::dns::expect::Expectation;
use netfault_sources::dns::resolver::Resolver;
use netfault_sources::dns::walk::Hints;
use serde::{Deserialize, Serialize};

use super::SecretRef;
use super::alerts::Alerts;
use super::countries::Countries;

#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where everything lives that has no folder of its own in the file.
    pub data_dir: PathBuf,
    /// How often the state of detection is saved while the service runs; at its end it always is.
    pub checkpoint_every: Duration,
    pub watch: Watch,
    /// The names of `watch`, with whom to ask about them; in the order of the file.
    pub names: Vec<Name>,
    /// What the web is asked about the services of `watch`.
    pub hints: super::services::Hints,
    pub ris_live: Option<RisLive>,
    /// MRT files, globs and folders that seed the route table before the live feed.
    pub seed: Vec<String>,
    /// Past days: they seed the table of their collectors, and fill holes of the live feed.
    pub archive: Option<Archive>,
    pub dns: Dns,
    pub detect: Settings,
    /// Which country a prefix is of. No files: countries are no subjects.
    pub countries: Countries,
    /// `None`: nothing is stored.
    pub store: Option<Store>,
    /// `None`: inputs are not journalled.
    pub journal: Option<Journal>,
    pub alerts: Alerts,
    /// `None`: nobody can reach the collector.
    pub listen: Option<super::Listen>,
    /// The file is of an agent: of the rest only `watch.names` and `dns` count.
    pub agent: Option<super::Agent>,
}

/// A watched name.
#[derive(Clone, Debug, PartialEq)]
pub struct Name {
    /// Lower case, without the last dot.
    pub name: String,
    /// Its authoritative servers; empty: those of its delegation.
    pub authorities: Vec<SocketAddr>,
    /// Empty: those of [`Dns`].
    pub resolvers: Vec<Resolver>,
    pub expect: Expect,
    pub dnssec: Dnssec,
    /// It is meant to have private addresses; else they are `bogon`.
    pub private_ok: bool,
}

/// Who says whether a name's signatures hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dnssec {
    /// The resolvers, each for itself; CD=1 tells a bogus answer from a failure.
    #[default]
    Resolver,
    /// We do, for the answer of each resolver.
    Validate,
}

/// What resolvers must say of a name. The default expects nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expect {
    /// Judged by who asks.
    pub answers: Expectation,
    /// Origins that its addresses must have: judged by the engine, which knows the routes.
    pub origins: BTreeSet<Asn>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RisLive {
    /// `ws` or `wss`, without the `client` parameter.
    pub url: String,
    /// How we introduce ourselves to the operator of the service.
    pub client: String,
    /// Every message of every collector, not only the watched prefixes.
    pub everything: bool,
    pub lateness: Lateness,
}

/// An archive of MRT files.
#[derive(Clone, Debug, PartialEq)]
pub struct Archive {
    pub source: Source,
    /// Those that `run` seeds and heals. Empty: the archive is there for replays only.
    pub collectors: Vec<Collector>,
    /// Folder of what was fetched.
    pub cache: PathBuf,
    /// Bytes; the longest unused goes first.
    pub max_size: u64,
    /// Since a file was used last.
    pub max_age: Duration,
}

/// What to do with a message whose time stamp is far from the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lateness {
    /// Quarantine it (DESIGN section 3).
    #[default]
    Judge,
    /// Take it as it is: for playing an old capture through the live service.
    Trust,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Dns {
    pub resolvers: Vec<Resolver>,
    /// From one round of questions to the next.
    pub interval: Duration,
    pub authority_timeout: Duration,
    pub resolver_timeout: Duration,
    /// Questions a second that one authority is asked at most, and one resolver.
    pub authority_per_second: f64,
    pub resolver_per_second: f64,
    /// From one walk to a name to the next.
    pub refresh: Duration,
    /// `None`: the root of the Internet.
    pub root_hints: Option<RootHints>,
    /// Keys that own validation believes. `None`: those of the root of the Internet.
    pub trust_anchors: Option<PathBuf>,
    /// Certificates that resolvers over TLS and HTTPS may have besides those of public authorities.
    pub ca_file: Option<PathBuf>,
    pub controls: Controls,
    /// What this probe host is called in the data.
    pub vantage: String,
    pub detect: DnsSettings,
}

/// Where the root is.
#[derive(Clone, Debug, PartialEq)]
pub struct RootHints {
    pub path: PathBuf,
    pub hints: Hints,
}

/// Whom this vantage asks to learn about itself and its resolvers. Nobody: it is switched off.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Controls {
    /// Lower case, without the last dot.
    pub names: Vec<String>,
    /// By zone; `.` is the root.
    pub authorities: BTreeMap<String, Vec<SocketAddr>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    pub engine: Engine,
    pub database: String,
    pub updates: Updates,
    pub spool_dir: PathBuf,
    /// Bytes that may wait for the store.
    pub spool_max: u64,
    /// How long each table is kept.
    pub retention: netfault_store::Retention,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Engine {
    /// A ClickHouse server or cluster over HTTP.
    Server {
        url: String,
        user: String,
        password: Option<SecretRef>,
    },
    /// ClickHouse itself as a supervised child process.
    Embedded {
        dir: PathBuf,
        /// Loopback; port 0 takes a free one.
        listen: SocketAddr,
        /// `None`: where `make` puts it, or `LIBCHDB`.
        libchdb: Option<PathBuf>,
    },
}

/// Which BGP updates are stored one by one. Transitions always are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Updates {
    /// Those of watched prefixes.
    #[default]
    Watched,
    All,
    None,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Journal {
    pub dir: PathBuf,
    /// Bytes; the oldest segments go first.
    pub max_size: u64,
    pub max_age: Duration,
}

impl Config {
    /// Whom to ask about `name`.
    pub fn resolvers_of<'a>(&'a self, name: &'a Name) -> &'a [Resolver] {
        if name.resolvers.is_empty() {
            &self.dns.resolvers
        } else {
            &name.resolvers
        }
    }
}
