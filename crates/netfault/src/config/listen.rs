//! The collector's door: `listen`, and the `agents` that may report through it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_saphyr::{Location, Spanned};

use super::SecretRef;
use super::raw::{Text, text};
use super::resolve::{Context, Result};
use super::secrets::escape;
use super::values;

/// A token is guessed as long as it is short: 16 characters of hexadecimal digits are 64 bits.
const MIN_TOKEN: usize = 16;

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawListen {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<RawTls>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients: Option<Vec<RawCaller>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    pub cert: Text,
    pub key: Text,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCaller {
    pub name: Text,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<Text>,
}

/// Where others reach the collector, and who may.
#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    pub address: SocketAddr,
    /// `None` on loopback only.
    pub tls: Option<Tls>,
    /// Vantages that report.
    pub agents: Vec<Caller>,
    /// Programs that push other things.
    pub clients: Vec<Caller>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Tls {
    /// PEM, with the certificates between it and its authority.
    pub cert: PathBuf,
    pub key: PathBuf,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    pub name: String,
    pub token: SecretRef,
}

pub(super) fn resolve(
    context: &Context,
    raw: Option<Spanned<RawListen>>,
    agents: Option<Vec<RawCaller>>,
    vantage: &str,
) -> Result<Option<Listen>> {
    let Some(Spanned {
        value: raw,
        referenced: place,
        ..
    }) = raw
    else {
        return match agents.iter().flatten().next() {
            Some(agent) => {
                let message = "agents report to a collector that listens: give listen.address";
                context.wrong(agent.name.referenced, message)
            }
            None => Ok(None),
        };
    };
    let tls = raw.tls.map(|raw| self::tls(context, &raw)).transpose()?;
    let address = match &raw.address {
        Some(typed) => context.read(typed, |text| address(text, tls.is_some()))?,
        None => return context.wrong(place, "listen needs an address, such as 127.0.0.1:8480"),
    };
    let agents = callers(context, agents, Some(vantage))?;
    let clients = callers(context, raw.clients, None)?;
    Ok(Some(Listen {
        address,
        tls,
        agents,
        clients,
    }))
}

fn tls(context: &Context, raw: &RawTls) -> Result<Tls> {
    Ok(Tls {
        cert: context.folder(&raw.cert)?,
        key: context.folder(&raw.key)?,
    })
}

fn address(text: &str, has_tls: bool) -> std::result::Result<SocketAddr, String> {
    let Ok(address) = text.trim().parse::<SocketAddr>() else {
        return Err(format!(
            "'{text}' is not an address with a port, such as 127.0.0.1:8480 or [::]:8480"
        ));
    };
    if has_tls || address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(format!(
            "{} is not loopback: give listen.tls (cert and key), or let a proxy with TLS on this host reach 127.0.0.1",
            address.ip()
        ))
    }
}

/// Names and tokens are each other's only once: who has a token speaks for one name.
fn callers(context: &Context, raw: Option<Vec<RawCaller>>, own: Option<&str>) -> Result<Vec<Caller>> {
    let (mut callers, mut tokens): (Vec<Caller>, BTreeMap<String, String>) = Default::default();
    for raw in raw.unwrap_or_default() {
        let place = raw.name.referenced;
        let name = context.read(&raw.name, name)?;
        if own == Some(name.as_str()) {
            let message =
                format!("'{name}' is this collector's own dns.vantage: an agent needs another name");
            return context.wrong(place, message);
        }
        if callers.iter().any(|other| other.name == name) {
            return context.wrong(place, format!("'{name}' stands here a second time"));
        }
        let token = token(context, place, raw.token.as_ref(), raw.token_file.as_ref())?;
        if let Some(other) = tokens.insert(token.reveal().to_owned(), name.clone()) {
            let message = format!(
                "'{name}' has the token of '{other}': each needs its own, or it could speak for the other"
            );
            return context.wrong(place, message);
        }
        callers.push(Caller { name, token });
    }
    Ok(callers)
}

pub(super) fn token(
    context: &Context,
    place: Location,
    typed: Option<&Text>,
    file: Option<&Text>,
) -> Result<SecretRef> {
    let stands = typed.or(file).map_or(place, |text| text.referenced);
    match context.secret(typed, file)? {
        None => context.wrong(
            place,
            "a token or token_file is missing here (openssl rand -hex 32 makes one)",
        ),
        Some(token) if token.reveal().len() < MIN_TOKEN => {
            let message = format!(
                "the token is too short: give at least {MIN_TOKEN} characters (openssl rand -hex 32)"
            );
            context.wrong(stands, message)
        }
        Some(token) => Ok(token),
    }
}

/// It is a vantage, and stands in headers, tables and file names.
pub(super) fn name(text: &str) -> std::result::Result<String, String> {
    let fits = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if fits {
        Ok(text.to_owned())
    } else {
        Err("give 1 to 64 letters, digits, '-', '_' or '.'".to_owned())
    }
}

/// `url`: a collector's, as an agent has it.
pub(super) fn collector(text: &str) -> std::result::Result<String, String> {
    let url = values::url(text, &["http", "https"])?;
    let url = url.trim_end_matches('/').to_owned();
    let host = url.split_once("://").map_or("", |(_, host)| host);
    if host.contains(['/', '?', '#']) {
        return Err(format!(
            "'{text}' has a path: give the collector's https://HOST:PORT only"
        ));
    }
    let is_local = ["127.", "[::1]", "localhost"]
        .iter()
        .any(|local| host.starts_with(local));
    if url.starts_with("https://") || is_local {
        Ok(url)
    } else {
        Err(format!(
            "'{text}' has no TLS: beyond loopback a collector is reached over https://"
        ))
    }
}

pub(super) fn to_raw(listen: &Listen) -> (RawListen, Vec<RawCaller>) {
    let some = |shown: String| Some(text(escape(&shown)));
    let path = |path: &PathBuf| text(escape(&path.display().to_string()));
    let callers = |callers: &[Caller]| -> Vec<RawCaller> {
        let raw = |caller: &Caller| {
            let (token, token_file) = super::print::secret(Some(&caller.token));
            RawCaller {
                name: text(caller.name.clone()),
                token,
                token_file,
            }
        };
        callers.iter().map(raw).collect()
    };
    let raw = RawListen {
        address: some(listen.address.to_string()),
        tls: listen.tls.as_ref().map(|tls| RawTls {
            cert: path(&tls.cert),
            key: path(&tls.key),
        }),
        clients: Some(callers(&listen.clients)),
    };
    (raw, callers(&listen.agents))
}

pub(super) fn describe(listen: &Listen) -> String {
    let scheme = if listen.tls.is_some() { "https" } else { "http" };
    let agents: Vec<&str> = listen.agents.iter().map(|agent| agent.name.as_str()).collect();
    let whom = match agents.as_slice() {
        [] => "no agents report (agents is empty)".to_owned(),
        agents => format!("vantages that report: {}", agents.join(", ")),
    };
    format!("listen:  {scheme}://{}, {whom}", listen.address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_collectors() {
        for (given, url) in [
            (
                "https://collector.example.com:8480/",
                "https://collector.example.com:8480",
            ),
            ("http://127.0.0.1:8480", "http://127.0.0.1:8480"),
            ("http://[::1]:8480", "http://[::1]:8480"),
        ] {
            assert_eq!(collector(given).as_deref(), Ok(url));
        }
        for given in [
            "http://192.0.2.1:8480",
            "https://host/api",
            "ftp://host",
            "host:8480",
            "",
        ] {
            assert!(collector(given).is_err(), "{given}");
        }
    }

    #[test]
    fn only_loopback_goes_without_tls() {
        for (given, tls, fits) in [
            ("127.0.0.1:8480", false, true),
            ("[::1]:0", false, true),
            ("0.0.0.0:8480", false, false),
            ("0.0.0.0:8480", true, true),
            ("localhost:8480", true, false),
        ] {
            assert_eq!(address(given, tls).is_ok(), fits, "{given}");
        }
    }
}
