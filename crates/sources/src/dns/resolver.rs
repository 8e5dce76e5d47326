//! A resolver as people write it: an address, and how to get there.
//!
//! | text | means |
//! |---|---|
//! | `9.9.9.9`, `9.9.9.9:5353`, `2620:fe::fe`, `[2620:fe::fe]:5353` | UDP, and TCP where an answer is cut; port 53 |
//! | `udp://9.9.9.9` | the same |
//! | `tcp://9.9.9.9` | TCP from the first byte (RFC 7766); port 53 |
//! | `tls://dns.quad9.net@9.9.9.9` | DNS over TLS (RFC 7858); port 853 |
//! | `https://dns.quad9.net/dns-query@9.9.9.9` | DNS over HTTPS (RFC 8484); port 443, path `/dns-query` if there is none |
//!
//! The name before `@` is the one that the server's certificate must have; without it, the address itself. An address is always
//! needed: to look a name up would ask another resolver, and then two would be judged as one.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use netfault_model::Transport;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tokio_rustls::rustls::pki_types::ServerName;

/// RFC 8484 names no path; this is the one of its examples and of everybody.
const DOH_PATH: &str = "/dns-query";
/// Longer is no path but a mistake.
const MAX_PATH: usize = 255;

/// How a question gets to a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Via {
    /// And TCP where the answer is truncated.
    #[default]
    Udp,
    Tcp,
    /// `name`: what the certificate must be for, a host name or an address.
    Tls {
        name: Arc<str>,
    },
    /// `path` begins with a slash.
    Https {
        name: Arc<str>,
        path: Arc<str>,
    },
}

impl Via {
    pub fn default_port(&self) -> u16 {
        match self {
            Via::Udp | Via::Tcp => 53,
            Via::Tls { .. } => 853,
            Via::Https { .. } => 443,
        }
    }

    /// What a probe that goes this way is recorded as.
    pub fn transport(&self) -> Transport {
        match self {
            Via::Udp => Transport::Udp,
            Via::Tcp => Transport::Tcp,
            Via::Tls { .. } => Transport::Tls,
            Via::Https { .. } => Transport::Https,
        }
    }
}

/// Whom to ask, and how.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resolver {
    pub addr: SocketAddr,
    pub via: Via,
}

impl Resolver {
    pub fn udp(addr: SocketAddr) -> Self {
        Resolver { addr, via: Via::Udp }
    }
}

impl From<SocketAddr> for Resolver {
    fn from(addr: SocketAddr) -> Self {
        Resolver::udp(addr)
    }
}

/// One clear sentence about a text that is no resolver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a resolver: {why}")]
pub struct BadResolver {
    pub text: String,
    pub why: String,
}

impl FromStr for Resolver {
    type Err = BadResolver;

    fn from_str(text: &str) -> Result<Self, BadResolver> {
        parse(text).map_err(|why| BadResolver {
            text: text.to_owned(),
            why,
        })
    }
}

fn parse(text: &str) -> Result<Resolver, String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("udp", text));
    if matches!(scheme, "udp" | "tcp") && rest.contains('@') {
        return Err(format!(
            "over {scheme} there is no certificate, and so no name before the address"
        ));
    }
    let (name, addr) = match rest.rsplit_once('@') {
        Some((name, addr)) => (Some(name), addr),
        None => (None, rest),
    };
    let via = match scheme {
        "udp" => Via::Udp,
        "tcp" => Via::Tcp,
        "tls" => Via::Tls {
            name: certificate_name(name.unwrap_or(bare(addr)), "tls://dns.example@192.0.2.1")?,
        },
        "https" => return https(name, addr),
        other => return Err(format!("there is no '{other}://': give udp, tcp, tls or https")),
    };
    let addr = address(addr, via.default_port())?;
    Ok(Resolver { addr, via })
}

/// `name/path@addr`, or, where the certificate is for the address, `addr/path`.
fn https(named: Option<&str>, addr: &str) -> Result<Resolver, String> {
    let (whole, addr) = match named {
        Some(named) => (named, addr),
        None => (addr, addr.split('/').next().unwrap_or(addr)),
    };
    let (name, path) = match whole.find('/') {
        Some(slash) => whole.split_at(slash),
        None => (whole, DOH_PATH),
    };
    // The template of RFC 8484 §4.1.1, as vendors print it: questions are posted, so it is only the path.
    let path = path.strip_suffix("{?dns}").unwrap_or(path);
    let is_path = path.len() <= MAX_PATH
        && path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"{}?#\"<>\\^`|".contains(&byte));
    if !is_path {
        return Err(format!("'{path}' is not the path of a URL"));
    }
    let name = match named {
        Some(_) => name,
        None => bare(name),
    };
    let via = Via::Https {
        name: certificate_name(name, "https://dns.example/dns-query@192.0.2.1")?,
        path: path.into(),
    };
    let addr = address(addr, via.default_port())?;
    Ok(Resolver { addr, via })
}

/// The address without its port and brackets: what a certificate for an address is for.
fn bare(addr: &str) -> &str {
    match addr.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inside, _)) => inside,
        None if addr.matches(':').count() == 1 => addr.split(':').next().unwrap_or(addr),
        None => addr,
    }
}

fn certificate_name(name: &str, example: &str) -> Result<Arc<str>, String> {
    match ServerName::try_from(name) {
        Ok(_) => Ok(name.to_ascii_lowercase().into()),
        Err(_) => Err(format!(
            "'{name}' is neither a host name nor an address that a certificate can be for: write it like {example}"
        )),
    }
}

/// `ADDR`, `ADDR:PORT`, `[ADDR]`, `[ADDR]:PORT`.
fn address(text: &str, port: u16) -> Result<SocketAddr, String> {
    let unbracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Ok(ip) = unbracketed.unwrap_or(text).parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    match text.parse::<SocketAddr>() {
        Ok(addr) if addr.port() > 0 => Ok(addr),
        Ok(_) => Err("port 0 is nobody's".to_owned()),
        Err(_) if is_host(text) => Err(format!(
            "'{text}' is a name: give its address, or name@address (to look it up would ask another resolver)"
        )),
        Err(_) => Err(format!(
            "'{text}' is not an address: give 192.0.2.1, 192.0.2.1:5353 or [2001:db8::1]:5353"
        )),
    }
}

/// It has letters no address has.
fn is_host(text: &str) -> bool {
    let host = text.split([':', '/']).next().unwrap_or(text);
    host.bytes().any(|byte| byte.is_ascii_alphabetic())
        && matches!(ServerName::try_from(host), Ok(ServerName::DnsName(_)))
}

impl fmt::Display for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Resolver { addr, via } = self;
        let shown = match (addr.port() == via.default_port(), addr) {
            (false, addr) => addr.to_string(),
            (true, SocketAddr::V4(addr)) => addr.ip().to_string(),
            (true, SocketAddr::V6(addr)) => format!("[{}]", addr.ip()),
        };
        let is_own = |name: &str| name.parse::<IpAddr>().is_ok_and(|ip| ip == addr.ip());
        match via {
            // On port 53 as it has always been printed.
            Via::Udp => addr.fmt(f),
            Via::Tcp => write!(f, "tcp://{shown}"),
            Via::Tls { name } if is_own(name) => write!(f, "tls://{shown}"),
            Via::Tls { name } => write!(f, "tls://{name}@{shown}"),
            Via::Https { name, path } if is_own(name) => write!(f, "https://{shown}{path}"),
            Via::Https { name, path } => write!(f, "https://{name}{path}@{shown}"),
        }
    }
}

impl Serialize for Resolver {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Resolver {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_printed() {
        for (text, addr, transport, shown) in [
            ("9.9.9.9", "9.9.9.9:53", Transport::Udp, "9.9.9.9:53"),
            ("9.9.9.9:5353", "9.9.9.9:5353", Transport::Udp, "9.9.9.9:5353"),
            ("udp://9.9.9.9", "9.9.9.9:53", Transport::Udp, "9.9.9.9:53"),
            (
                "2620:fe::fe",
                "[2620:fe::fe]:53",
                Transport::Udp,
                "[2620:fe::fe]:53",
            ),
            (
                "[2620:fe::fe]",
                "[2620:fe::fe]:53",
                Transport::Udp,
                "[2620:fe::fe]:53",
            ),
            ("tcp://9.9.9.9", "9.9.9.9:53", Transport::Tcp, "tcp://9.9.9.9"),
            (
                "tcp://[2620:fe::fe]:99",
                "[2620:fe::fe]:99",
                Transport::Tcp,
                "tcp://[2620:fe::fe]:99",
            ),
            (
                "tls://dns.quad9.net@9.9.9.9",
                "9.9.9.9:853",
                Transport::Tls,
                "tls://dns.quad9.net@9.9.9.9",
            ),
            ("tls://9.9.9.9", "9.9.9.9:853", Transport::Tls, "tls://9.9.9.9"),
            (
                "tls://9.9.9.9:99",
                "9.9.9.9:99",
                Transport::Tls,
                "tls://9.9.9.9:99",
            ),
            (
                "tls://[2620:fe::fe]:99",
                "[2620:fe::fe]:99",
                Transport::Tls,
                "tls://[2620:fe::fe]:99",
            ),
            (
                "https://dns.quad9.net/dns-query@9.9.9.9",
                "9.9.9.9:443",
                Transport::Https,
                "https://dns.quad9.net/dns-query@9.9.9.9",
            ),
            (
                "https://DNS.example@[2001:db8::1]:8443",
                "[2001:db8::1]:8443",
                Transport::Https,
                "https://dns.example/dns-query@[2001:db8::1]:8443",
            ),
            (
                "https://9.9.9.9/q{?dns}",
                "9.9.9.9:443",
                Transport::Https,
                "https://9.9.9.9/q",
            ),
        ] {
            let resolver: Resolver = text.parse().unwrap();
            assert_eq!(resolver.addr.to_string(), addr, "{text}");
            assert_eq!(resolver.via.transport(), transport, "{text}");
            assert_eq!(resolver.to_string(), shown, "{text}");
            assert_eq!(shown.parse::<Resolver>().unwrap(), resolver, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_one_sentence() {
        let why = |text: &str| text.parse::<Resolver>().unwrap_err().why;
        for (text, part) in [
            ("", "'' is not an address"),
            ("quic://9.9.9.9", "there is no 'quic://'"),
            ("dns.quad9.net", "'dns.quad9.net' is a name: give its address"),
            (
                "https://dns.quad9.net/dns-query",
                "'dns.quad9.net' is a name: give its address",
            ),
            ("tls://dns.quad9.net", "'dns.quad9.net' is a name"),
            ("9.9.9.9:0", "port 0"),
            ("9.9.9.9:99999", "is not an address"),
            ("tcp://dns.quad9.net@9.9.9.9", "no name before the address"),
            ("tls://bad name@9.9.9.9", "'bad name' is neither"),
            ("tls://@9.9.9.9", "'' is neither"),
            ("https://dns.example/a b@9.9.9.9", "'/a b' is not the path"),
        ] {
            assert!(why(text).contains(part), "{text}: {}", why(text));
            assert!(!why(text).contains('\n'));
        }
    }
}
