//! The `agent` section: this file is of a vantage elsewhere, which reports to a collector.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

use super::raw::{RawConfig, Text, text};
use super::resolve::{Context, Result};
use super::secrets::escape;
use super::types::Dns;
use super::{SecretRef, listen, values};

/// A day of ten names at eight servers every 30 s, some ten times over.
const SPOOL_MAX: u64 = 256_000_000;
const MIN_SPOOL: u64 = 4_000_000;
/// What is older decides nothing and is worth little.
const SPOOL_AGE: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawAgent {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collector: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spool: Option<RawAgentSpool>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawAgentSpool {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Text>,
}

/// One vantage: who it is, to whom it reports, and what it keeps meanwhile.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// Its vantage.
    pub name: String,
    /// `https://HOST[:PORT]`.
    pub collector: String,
    pub token: SecretRef,
    /// The only authorities that are believed; `None`: those of Mozilla's list.
    pub ca: Option<PathBuf>,
    pub spool_dir: PathBuf,
    pub spool_max: u64,
    pub spool_age: Duration,
}

/// Refuses what an agent has no use for: it would be ignored in silence.
pub(super) fn check(context: &Context, raw: &RawConfig) -> Result<()> {
    let Some(agent) = &raw.agent else { return Ok(()) };
    let place = agent.referenced;
    let sections = [
        ("sources", raw.sources.is_some()),
        ("services", raw.services.is_some()),
        ("hints", raw.hints.is_some()),
        ("detect", raw.detect.is_some()),
        ("countries", raw.countries.is_some()),
        ("store", raw.store.is_some()),
        ("journal", raw.journal.is_some()),
        ("alerts", raw.alerts.is_some()),
        ("listen", raw.listen.is_some()),
        ("agents", raw.agents.is_some()),
    ];
    if let Some((section, _)) = sections.iter().find(|(_, there)| *there) {
        let message = format!(
            "with 'agent' this file is of an agent, and '{section}' belongs into that of its collector"
        );
        return context.wrong(place, message);
    }
    let watch = raw.watch.as_ref();
    let routes = watch.is_some_and(|watch| {
        watch.all == Some(true)
            || watch.prefixes.as_ref().is_some_and(|list| !list.is_empty())
            || watch.origins.as_ref().is_some_and(|list| !list.is_empty())
    });
    if routes {
        return context.wrong(
            place,
            "an agent asks DNS servers and sees no routes: it watches names only",
        );
    }
    let names = watch.and_then(|watch| watch.names.as_ref());
    if names.is_none_or(Vec::is_empty) {
        return context.wrong(place, "an agent without watch.names has nothing to ask");
    }
    Ok(())
}

pub(super) fn resolve(
    context: &Context,
    raw: Option<Spanned<RawAgent>>,
    data_dir: &Path,
) -> Result<Option<Agent>> {
    let Some(raw) = raw else { return Ok(None) };
    let (place, raw) = (raw.referenced, raw.value);
    let needed = |key: &str, text: &Option<Text>| match text {
        Some(text) => Ok(text.clone()),
        None => context.wrong(place, format!("agent.{key} is missing")),
    };
    let spool = raw.spool.unwrap_or_default();
    let age = |text: &str| match values::duration(text)? {
        age if age < Duration::from_secs(60) => Err(format!("'{text}' is too short: give at least 1m")),
        age => Ok(age),
    };
    let size = |text: &str| match values::size(text)? {
        bytes if bytes < MIN_SPOOL => Err(format!("'{text}' is too small: give at least 4MB")),
        bytes => Ok(bytes),
    };
    Ok(Some(Agent {
        name: context.read(&needed("name", &raw.name)?, listen::name)?,
        collector: context.read(&needed("collector", &raw.collector)?, listen::collector)?,
        token: listen::token(context, place, raw.token.as_ref(), raw.token_file.as_ref())?,
        ca: raw.ca.as_ref().map(|ca| context.folder(ca)).transpose()?,
        spool_dir: context.folder_or(spool.dir.as_ref(), data_dir.join("agent"))?,
        spool_max: context.read_or(spool.max_size.as_ref(), SPOOL_MAX, size)?,
        spool_age: context.read_or(spool.max_age.as_ref(), SPOOL_AGE, age)?,
    }))
}

/// An agent is its vantage.
pub(super) fn name_vantage(
    context: &Context,
    agent: &Agent,
    typed: Option<&Text>,
    dns: &mut Dns,
) -> Result<()> {
    if let Some(typed) = typed.filter(|_| dns.vantage != agent.name) {
        let message = format!(
            "an agent's vantage is its name ('{}'): leave dns.vantage out",
            agent.name
        );
        return context.wrong(typed.referenced, message);
    }
    dns.vantage = agent.name.clone();
    Ok(())
}

/// What an agent's file has.
pub(super) fn to_raw(agent: &Agent) -> RawAgent {
    let some = |shown: String| Some(text(escape(&shown)));
    let (token, token_file) = super::print::secret(Some(&agent.token));
    RawAgent {
        name: some(agent.name.clone()),
        collector: some(agent.collector.clone()),
        token,
        token_file,
        ca: agent.ca.as_ref().and_then(|ca| some(ca.display().to_string())),
        spool: Some(RawAgentSpool {
            dir: some(agent.spool_dir.display().to_string()),
            max_size: some(values::show_size(agent.spool_max)),
            max_age: some(values::show_duration(agent.spool_age)),
        }),
    }
}

pub(super) fn describe(agent: &Agent) -> String {
    let authorities = match &agent.ca {
        Some(ca) => format!(" (authorities: {})", ca.display()),
        None => String::new(),
    };
    format!(
        "agent:   '{}' reports to {}{authorities}; up to {} and {} wait in {}",
        agent.name,
        agent.collector,
        values::show_size(agent.spool_max),
        values::show_duration(agent.spool_age),
        agent.spool_dir.display()
    )
}
