//! Configuration: one YAML file in, one [`Config`] out that is valid by construction.
//!
//! * [`raw`] what the user typed: every key optional, unknown keys refused
//! * [`resolve`] raw → [`Config`]: defaults, `${ENV}`, secrets, and every check that needs no network
//! * [`dns`] the `dns` section: intervals, and whether the plan fits the servers' limits
//! * [`alerts`] the `alerts` section
//! * [`listen`] the collector's door and who may report; [`agent`] the file of a vantage elsewhere
//! * [`archive`] the `sources.archive` section; [`retention`] how long the store keeps what
//! * [`services`] the `services` and `hints` sections
//! * [`values`] durations, sizes, addresses, names, URLs
//! * [`types`] what it means
//! * [`print`] [`Config`] → raw, so that a printed configuration reads back equal
//! * [`describe`] what would run, for `config check`
//! * [`error`] the one sentence with file, line and column
//!
//! Nothing here opens a socket. The only files read are the configuration itself and the `*_file` secrets.

mod agent;
mod alerts;
mod archive;
mod countries;
mod describe;
mod dns;
mod error;
mod listen;
mod print;
mod raw;
mod resolve;
mod retention;
mod secrets;
mod services;
mod types;
mod values;

#[cfg(test)]
mod schema_tests;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::Write;
use std::path::Path;

pub use agent::Agent;
pub use error::ConfigError;
pub use listen::{Caller, Listen};
pub use secrets::SecretRef;
pub use types::*;

/// What `config init` writes, and what runs without a file: they are the same text.
pub const TEMPLATE: &str = include_str!("template.yaml");

/// Larger than any sensible file: 100,000 prefixes are 2 MB.
const MAX_FILE: u64 = 64 << 20;

impl Config {
    /// Reads, resolves and checks a file. Relative paths in it are relative to its folder.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let unreadable = |source| ConfigError::Read {
            path: path.to_owned(),
            source,
        };
        let length = fs::metadata(path).map_err(unreadable)?.len();
        if length > MAX_FILE {
            return Err(unreadable(std::io::Error::other(format!(
                "{length} bytes are more than {MAX_FILE}"
            ))));
        }
        let text = fs::read_to_string(path).map_err(unreadable)?;
        Config::read(&text, path, &|name| std::env::var(name).ok())
    }

    /// What runs when there is no file: the RIS beacons, from RIS Live, into the embedded store.
    pub fn builtin() -> Result<Config, ConfigError> {
        Config::read(TEMPLATE, Path::new("(built-in)"), &|name| {
            std::env::var(name).ok()
        })
    }

    fn read(text: &str, path: &Path, env: resolve::Env<'_>) -> Result<Config, ConfigError> {
        let raw = raw::parse(text, path)?;
        resolve::resolve(raw, path, env)
    }

    /// As YAML, with every default written out. Secrets appear as their `${ENV}` or `*_file` reference;
    /// one that was typed into the file itself appears as `***`.
    pub fn to_yaml(&self) -> Result<String, ConfigError> {
        serde_saphyr::to_string(&print::to_raw(self)).map_err(|error| ConfigError::Print(error.to_string()))
    }

    /// What would run, a line each.
    pub fn describe(&self) -> Vec<String> {
        describe::describe(self)
    }
}

/// A duration as people write it: `5s`, `1m30s`, `2 h`.
pub fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    values::duration(text)
}

/// The address of a DNS server as it may stand in a configuration or on the command line; port 53 if none is
/// given.
pub fn parse_server(text: &str) -> Result<std::net::SocketAddr, String> {
    values::server(text, 53)
}

/// Writes the commented default. Refuses to overwrite.
pub fn init(path: &Path) -> Result<(), ConfigError> {
    let write = || -> std::io::Result<()> {
        let mut file = fs::File::create_new(path)?;
        file.write_all(TEMPLATE.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|source| ConfigError::Init {
        path: path.to_owned(),
        source,
    })
}
