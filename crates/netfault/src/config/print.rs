//! [`Config`] → raw, with every default written out, so that a printed configuration reads back equal.

use std::path::Path;

use serde_saphyr::{Location, Spanned};

use super::raw::*;
use super::secrets::{From, SecretRef, escape};
use super::types::*;
use super::values::{show_duration, show_size};

pub(super) fn to_raw(config: &Config) -> RawConfig {
    if let Some(agent) = &config.agent {
        return RawConfig {
            data_dir: some(path(&config.data_dir)),
            checkpoint_every: some(show_duration(config.checkpoint_every)),
            watch: Some(watch(config)),
            dns: Some(dns(&config.dns)),
            agent: Some(spanned(super::agent::to_raw(agent))),
            ..RawConfig::default()
        };
    }
    let (listen, agents) = config.listen.as_ref().map(super::listen::to_raw).unzip();
    let (services, hints) = super::services::to_raw(&config.watch, &config.hints);
    RawConfig {
        data_dir: some(path(&config.data_dir)),
        checkpoint_every: some(show_duration(config.checkpoint_every)),
        watch: Some(watch(config)),
        sources: Some(sources(config)),
        dns: Some(dns(&config.dns)),
        detect: Some(spanned(config.detect.clone())),
        countries: Some(
            config
                .countries
                .files
                .iter()
                .map(|file| text(path(file)))
                .collect(),
        ),
        services: Some(services),
        hints: Some(hints),
        store: config.store.as_ref().map(|config| spanned(store(config))),
        journal: Some(journal(config.journal.as_ref())),
        alerts: Some(super::alerts::to_raw(&config.alerts)),
        listen: listen.map(spanned),
        agents,
        agent: None,
    }
}

fn spanned<T>(value: T) -> Spanned<T> {
    Spanned::new(value, Location::UNKNOWN, Location::UNKNOWN)
}

fn some(value: String) -> Option<Text> {
    Some(text(value))
}

pub(super) fn path(path: &Path) -> String {
    escape(&path.display().to_string())
}

fn servers<T: ToString>(servers: &[T]) -> Option<Vec<Text>> {
    Some(servers.iter().map(|server| text(server.to_string())).collect())
}

fn watch(config: &Config) -> RawWatch {
    let name = |name: &Name| {
        spanned(RawName {
            name: name.name.clone(),
            authorities: servers(&name.authorities),
            resolvers: servers(&name.resolvers),
            expect: super::dns::answers::to_raw(&name.expect),
            dnssec: Some(name.dnssec),
            private_ok: Some(name.private_ok),
        })
    };
    RawWatch {
        all: Some(config.watch.all),
        prefixes: Some(
            config
                .watch
                .prefixes
                .iter()
                .map(|prefix| text(prefix.to_string()))
                .collect(),
        ),
        origins: Some(
            config
                .watch
                .origins
                .iter()
                .map(|origin| text(origin.to_string()))
                .collect(),
        ),
        names: Some(config.names.iter().map(name).collect()),
    }
}

fn sources(config: &Config) -> RawSources {
    let ris_live = match &config.ris_live {
        Some(source) => RawRisLive {
            enabled: Some(true),
            url: some(escape(&source.url)),
            client: some(source.client.clone()),
            everything: Some(source.everything),
            lateness: Some(source.lateness),
        },
        None => RawRisLive {
            enabled: Some(false),
            ..RawRisLive::default()
        },
    };
    let seed = config.seed.iter().map(|seed| text(escape(seed))).collect();
    RawSources {
        ris_live: Some(ris_live),
        mrt: Some(RawMrt { seed: Some(seed) }),
        archive: config.archive.as_ref().map(super::archive::to_raw),
    }
}

fn dns(dns: &Dns) -> RawDns {
    RawDns {
        resolvers: servers(&dns.resolvers),
        interval: some(show_duration(dns.interval)),
        authority_timeout: some(show_duration(dns.authority_timeout)),
        resolver_timeout: some(show_duration(dns.resolver_timeout)),
        authority_per_second: Some(spanned(dns.authority_per_second)),
        resolver_per_second: Some(spanned(dns.resolver_per_second)),
        refresh: some(show_duration(dns.refresh)),
        trust_anchors: dns.trust_anchors.as_deref().map(|file| text(path(file))),
        ca_file: dns.ca_file.as_deref().map(|file| text(path(file))),
        root_hints: dns.root_hints.as_ref().map(|hints| text(path(&hints.path))),
        controls: Some(super::dns::controls::to_raw(&dns.controls)),
        vantage: some(escape(&dns.vantage)),
        detect: Some(spanned(dns.detect.clone())),
    }
}

fn store(store: &Store) -> RawStore {
    let mut raw = RawStore {
        database: some(store.database.clone()),
        updates: Some(store.updates),
        spool: Some(RawSpool {
            dir: some(path(&store.spool_dir)),
            max_size: some(show_size(store.spool_max)),
        }),
        retention: Some(super::retention::to_raw(&store.retention)),
        ..RawStore::default()
    };
    match &store.engine {
        Engine::Server { url, user, password } => {
            raw.url = some(escape(url));
            raw.user = some(escape(user));
            (raw.password, raw.password_file) = secret(password.as_ref());
        }
        Engine::Embedded { dir, listen, libchdb } => {
            raw.embedded = some(path(dir));
            raw.listen = some(listen.to_string());
            raw.libchdb = libchdb.as_deref().map(|file| text(path(file)));
        }
    }
    raw
}

/// For a key and its `*_file` twin.
pub(super) fn secret(secret: Option<&SecretRef>) -> (Option<Text>, Option<Text>) {
    match secret {
        None => (None, None),
        Some(secret) => match &secret.from {
            From::File(file) => (None, some(path(file))),
            From::Env(_) | From::Inline => (some(secret.shown()), None),
        },
    }
}

fn journal(journal: Option<&Journal>) -> RawJournal {
    match journal {
        None => RawJournal {
            enabled: Some(false),
            ..RawJournal::default()
        },
        Some(journal) => RawJournal {
            enabled: Some(true),
            dir: some(path(&journal.dir)),
            max_size: some(show_size(journal.max_size)),
            max_age: some(show_duration(journal.max_age)),
        },
    }
}
