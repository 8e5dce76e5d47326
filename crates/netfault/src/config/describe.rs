//! What would run, in words: the answer of `config check`.

use super::types::*;
use super::values::{show_duration, show_size};

pub(super) fn describe(config: &Config) -> Vec<String> {
    if let Some(agent) = &config.agent {
        let own = std::iter::once(super::agent::describe(agent));
        return own.chain(super::dns::describe(config)).collect();
    }
    let mut lines = vec![watch(config)];
    lines.extend(super::services::describe(&config.watch, &config.hints));
    lines.push(ris_live(config));
    if !config.seed.is_empty() {
        lines.push(format!(
            "seed:    the route table from {}",
            config.seed.join(", ")
        ));
    }
    lines.extend(config.archive.as_ref().map(super::archive::describe));
    lines.extend(super::dns::describe(config));
    lines.push(store(config));
    let kept = config
        .store
        .as_ref()
        .map(|store| super::retention::describe(&store.retention));
    lines.extend(kept);
    lines.push(match &config.journal {
        Some(journal) => format!(
            "journal: {}, at most {} and {}",
            journal.dir.display(),
            show_size(journal.max_size),
            show_duration(journal.max_age)
        ),
        None => "journal: none; what was received cannot be replayed".to_owned(),
    });
    lines.extend(super::alerts::describe(&config.alerts));
    lines.extend(config.listen.as_ref().map(super::listen::describe));
    lines
}

pub(super) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

fn watch(config: &Config) -> String {
    let watch = &config.watch;
    let listed = format!(
        "{}, {} and {} listed by name",
        count(watch.prefixes.len(), "prefix", "prefixes"),
        count(watch.origins.len(), "origin AS", "origin ASes"),
        count(watch.names.len(), "DNS name", "DNS names"),
    );
    if watch.all {
        format!("watch:   every prefix is evaluated and recorded; {listed} may alert")
    } else {
        format!("watch:   {listed}")
    }
}

fn ris_live(config: &Config) -> String {
    let Some(source) = &config.ris_live else {
        return "bgp:     no live feed (sources.ris_live.enabled is false)".to_owned();
    };
    let what = if source.everything {
        "everything"
    } else {
        "the watched prefixes and the RIS beacons"
    };
    let mut line = format!(
        "bgp:     {what} from {} as client '{}'",
        source.url, source.client
    );
    if !source.everything && !config.watch.origins.is_empty() {
        line.push_str(
            "; prefixes of watched origins that are not listed are not in it (list them, or set \
             sources.ris_live.everything)",
        );
    }
    line
}

fn store(config: &Config) -> String {
    let Some(store) = &config.store else {
        return "store:   none; transitions are printed and alerted, not kept".to_owned();
    };
    let engine = match &store.engine {
        Engine::Server { url, user, .. } => format!("{url} as user '{user}'"),
        Engine::Embedded { dir, .. } => format!("embedded in {}", dir.display()),
    };
    let updates = match store.updates {
        Updates::Watched => "updates of watched prefixes",
        Updates::All => "all updates",
        Updates::None => "no single updates",
    };
    format!(
        "store:   {engine}, database {}, {updates}; up to {} wait in {}",
        store.database,
        show_size(store.spool_max),
        store.spool_dir.display()
    )
}
