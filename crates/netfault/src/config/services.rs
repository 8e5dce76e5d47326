//! `services`: names, URLs, prefixes and origins that users know as one thing; and `hints`: how often their URLs and status pages
//! are asked.
//!
//! What a service lists is watched, as if it stood in `watch`. A name may stand in several services and in `watch.names`; its
//! options stand in one place.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use netfault_model::net::{BadAsn, BadPrefix};
use netfault_model::{Service, Watch};
use netfault_sources::dns::resolver::Resolver;
use netfault_sources::dns::transport::tls::TlsRoots;
use netfault_sources::hints::{Target, summary_url};
use serde::{Deserialize, Serialize};
use serde_saphyr::{Location, Spanned};

use super::print::path;
use super::raw::{RawName, Text, text};
use super::resolve::{Context, Result, name};
use super::secrets::escape;
use super::types::Name;
use super::values;

/// Once a minute, as others who watch web sites do: a hint need not be sooner than the network layers are.
const INTERVAL: Duration = Duration::from_secs(60);
/// A page is not asked more often than a person would.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_NAME: usize = 64;

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawService {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<Spanned<RawName>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urls: Option<Vec<Text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefixes: Option<Vec<Text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origins: Option<Vec<Text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_page: Option<Text>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawHints {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<Text>,
}

pub(super) type RawServices = BTreeMap<String, Spanned<RawService>>;

/// What is asked of the web about services, and how often.
#[derive(Clone, Debug, PartialEq)]
pub struct Hints {
    /// From one request for a URL to the next.
    pub interval: Duration,
    /// For an answer.
    pub timeout: Duration,
    /// Certificates that web servers may have besides those of public authorities.
    pub ca_file: Option<PathBuf>,
    /// By service; each of the configuration is here.
    pub services: BTreeMap<String, Web>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Web {
    pub urls: Vec<Target>,
    pub status_page: Option<Target>,
}

/// A name of a service.
struct Member {
    service: String,
    place: Location,
    name: Name,
    /// It has no options of its own.
    is_bare: bool,
}

pub(super) fn resolve(
    context: &Context,
    services: Option<RawServices>,
    hints: Option<RawHints>,
    resolvers: &[Resolver],
    watch: &mut Watch,
    names: &mut Vec<(Location, Name)>,
) -> Result<Hints> {
    let hints = hints.unwrap_or_default();
    let ca_file = context.file(hints.ca_file.as_ref(), TlsRoots::with_file)?;
    let (interval, timeout) = pace(context, hints)?;
    let (mut web, mut members) = (BTreeMap::new(), Vec::new());
    for (
        service,
        Spanned {
            value: raw,
            referenced: place,
            ..
        },
    ) in services.unwrap_or_default()
    {
        service_name(&service).or_else(|message| context.wrong(place, message))?;
        let mut known = Service {
            prefixes: context.list(raw.prefixes.as_ref(), prefix)?.into_iter().collect(),
            origins: context.list(raw.origins.as_ref(), origin)?.into_iter().collect(),
            ..Service::default()
        };
        for raw in raw.names.into_iter().flatten() {
            let member = member(context, &service, raw, resolvers)?;
            if !known.names.insert(member.name.name.clone()) {
                let message = format!(
                    "the name {} stands in '{service}' a second time",
                    member.name.name
                );
                return context.wrong(member.place, message);
            }
            members.push(member);
        }
        let asks = self::web(context, raw.urls.as_ref(), raw.status_page.as_ref())?;
        if known == Service::default() {
            let message = format!(
                "the service '{service}' needs names, prefixes or origins: what of it is the network?"
            );
            return context.wrong(place, message);
        }
        watch.prefixes.extend(&known.prefixes);
        watch.origins.extend(&known.origins);
        watch.services.insert(service.clone(), known);
        web.insert(service, asks);
    }
    join(context, members, watch, names)?;
    watch.expected_origins = super::dns::answers::origins(names);
    Ok(Hints {
        interval,
        timeout,
        ca_file,
        services: web,
    })
}

/// Those with options first, so that others can refer to them.
fn join(
    context: &Context,
    mut members: Vec<Member>,
    watch: &mut Watch,
    names: &mut Vec<(Location, Name)>,
) -> Result<()> {
    members.sort_by_key(|member| member.is_bare);
    for member in members {
        let known = names.iter().find(|(_, known)| known.name == member.name.name);
        match known {
            Some((_, known)) if member.is_bare || *known == member.name => {}
            Some((_, known)) => {
                let message = format!(
                    "the name {} of '{}' has other options elsewhere: give them once, and only the name here",
                    known.name, member.service
                );
                return context.wrong(member.place, message);
            }
            None => {
                watch.names.insert(member.name.name.clone());
                names.push((member.place, member.name));
            }
        }
    }
    Ok(())
}

fn member(context: &Context, service: &str, raw: Spanned<RawName>, resolvers: &[Resolver]) -> Result<Member> {
    let place = raw.referenced;
    let bare = name(context, place, RawName::bare(&raw.value.name), resolvers)?;
    let name = name(context, place, raw.value, resolvers)?;
    Ok(Member {
        service: service.to_owned(),
        place,
        is_bare: name == bare,
        name,
    })
}

fn web(context: &Context, urls: Option<&Vec<Text>>, status_page: Option<&Text>) -> Result<Web> {
    let mut web = Web::default();
    for typed in urls.into_iter().flatten() {
        let target = context.read(typed, target)?;
        if web.urls.contains(&target) {
            let message = format!("the URL {} stands here a second time", target.url());
            return context.wrong(typed.referenced, message);
        }
        web.urls.push(target);
    }
    let page = |typed| context.read(typed, |text| target(&summary_url(text)));
    web.status_page = status_page.map(page).transpose()?;
    Ok(web)
}

fn pace(context: &Context, raw: RawHints) -> Result<(Duration, Duration)> {
    let interval = context.read_or(raw.interval.as_ref(), INTERVAL, |text| {
        match values::duration(text)? {
            interval if interval < MIN_INTERVAL => Err(format!("'{text}' is too short: give at least 1s")),
            interval => Ok(interval),
        }
    })?;
    let timeout = context.read_or(
        raw.timeout.as_ref(),
        TIMEOUT.min(interval),
        |text| match values::duration(text)? {
            timeout if timeout.is_zero() => Err("a timeout of nothing lets no server answer".to_owned()),
            timeout if timeout > interval => Err(format!(
                "'{text}' is longer than hints.interval ({})",
                values::show_duration(interval)
            )),
            timeout => Ok(timeout),
        },
    )?;
    Ok((interval, timeout))
}

/// It stands in sentences, tables and requests.
fn service_name(name: &str) -> std::result::Result<(), String> {
    let fits = (1..=MAX_NAME).contains(&name.chars().count()) && name.trim() == name;
    if fits && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(format!(
        "'{}' is no name of a service: give 1 to {MAX_NAME} characters",
        name.escape_debug()
    ))
}

fn target(text: &str) -> std::result::Result<Target, String> {
    Target::parse(text).map_err(|error| format!("'{text}' {error}"))
}

fn prefix(text: &str) -> std::result::Result<netfault_model::Prefix, String> {
    text.parse().map_err(|error: BadPrefix| error.to_string())
}

fn origin(text: &str) -> std::result::Result<netfault_model::Asn, String> {
    text.parse().map_err(|error: BadAsn| error.to_string())
}

pub(super) fn to_raw(watch: &Watch, hints: &Hints) -> (RawServices, RawHints) {
    let services = watch.services.iter().map(|(name, service)| {
        let web = hints.services.get(name).cloned().unwrap_or_default();
        let bare = |name: &String| Spanned::new(RawName::bare(name), Location::UNKNOWN, Location::UNKNOWN);
        let shown = |target: &Target| text(escape(target.url()));
        let raw = RawService {
            // Their options stand in watch.names, where all names are printed.
            names: Some(service.names.iter().map(bare).collect()),
            urls: Some(web.urls.iter().map(shown).collect()),
            prefixes: Some(
                service
                    .prefixes
                    .iter()
                    .map(|prefix| text(prefix.to_string()))
                    .collect(),
            ),
            origins: Some(
                service
                    .origins
                    .iter()
                    .map(|origin| text(origin.to_string()))
                    .collect(),
            ),
            status_page: web.status_page.as_ref().map(shown),
        };
        (
            name.clone(),
            Spanned::new(raw, Location::UNKNOWN, Location::UNKNOWN),
        )
    });
    let raw = RawHints {
        interval: Some(text(values::show_duration(hints.interval))),
        timeout: Some(text(values::show_duration(hints.timeout))),
        ca_file: hints.ca_file.as_deref().map(|file| text(path(file))),
    };
    (services.collect(), raw)
}

/// Nothing where there are no services.
pub(super) fn describe(watch: &Watch, hints: &Hints) -> Option<String> {
    let of = |n: usize, one: &str, many: &str| match n {
        0 => None,
        n => Some(super::describe::count(n, one, many)),
    };
    let told = watch.services.iter().map(|(name, service)| {
        let web = hints.services.get(name);
        let parts = [
            of(service.names.len(), "name", "names"),
            of(service.prefixes.len(), "prefix", "prefixes"),
            of(service.origins.len(), "origin AS", "origin ASes"),
            of(web.map_or(0, |web| web.urls.len()), "URL", "URLs"),
            web.and_then(|web| web.status_page.as_ref().map(|_| "a status page".to_owned())),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        format!("{name} ({})", parts.join(", "))
    });
    let told: Vec<String> = told.collect();
    let is_asked = hints
        .services
        .values()
        .any(|web| !web.urls.is_empty() || web.status_page.is_some());
    let pace = match is_asked {
        true => format!(
            "; the web is asked every {}",
            values::show_duration(hints.interval)
        ),
        false => String::new(),
    };
    (!told.is_empty()).then(|| format!("services: {}{pace}", told.join(", ")))
}

#[cfg(test)]
mod tests;
