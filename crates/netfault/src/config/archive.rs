//! `sources.archive`: where past days are, which seed the table and fill holes of the live feed.

use std::path::Path;
use std::time::Duration;

use netfault_model::Collector;
use netfault_sources::archive::Source;
use netfault_sources::archive::entry::is_plain;

use super::raw::{RawArchive, Text, text};
use super::resolve::{Context, Result, space};
use super::secrets::escape;
use super::types::Archive;
use super::values;

/// A day of ten collectors, with their table dumps.
const MAX_SIZE: u64 = 20_000_000_000;
const MAX_AGE: Duration = Duration::from_secs(30 * 86_400);
const MIN_AGE: Duration = Duration::from_secs(3600);

pub(super) fn resolve(
    context: &Context,
    raw: Option<RawArchive>,
    data_dir: &Path,
) -> Result<Option<Archive>> {
    let Some(raw) = raw else { return Ok(None) };
    let place = (&raw.broker, &raw.url, &raw.dir);
    let source = match place {
        (Some(broker), None, None) => context.read(broker, |text| said(Source::broker(text)))?,
        (None, Some(url), None) => context.read(url, |text| said(Source::base(text)))?,
        (None, None, Some(dir)) => Source::Folder(context.folder(dir)?),
        _ => {
            let places = [&raw.broker, &raw.url, &raw.dir];
            let stands = places.into_iter().flatten().next_back();
            let at = stands
                .or(raw.collectors.iter().flatten().next())
                .or(raw.cache.as_ref());
            let at = at.map_or(serde_saphyr::Location::UNKNOWN, |text| text.referenced);
            let message = "sources.archive needs one of broker (the URL of a BGPKIT broker), url (a mirror of RIS or \
                           RouteViews) and dir (a folder)";
            return context.wrong(at, message);
        }
    };
    let mut collectors: Vec<Collector> = Vec::new();
    for typed in raw.collectors.iter().flatten() {
        let collector = context.read(typed, collector)?;
        if collectors.contains(&collector) {
            let message = format!("the collector {collector} stands here a second time");
            return context.wrong(typed.referenced, message);
        }
        collectors.push(collector);
    }
    let default = Archive::at(source, data_dir);
    Ok(Some(Archive {
        collectors,
        cache: context.folder_or(raw.cache.as_ref(), default.cache)?,
        max_size: context.read_or(raw.max_size.as_ref(), default.max_size, space)?,
        max_age: context.read_or(raw.max_age.as_ref(), default.max_age, age)?,
        source: default.source,
    }))
}

fn said(source: std::result::Result<Source, impl std::fmt::Display>) -> std::result::Result<Source, String> {
    source.map_err(|error| error.to_string())
}

fn collector(name: &str) -> std::result::Result<Collector, String> {
    if is_plain(name) {
        return Ok(Collector::new(name));
    }
    Err(format!(
        "'{name}' is not the name of a collector: give one such as rrc00 or route-views2"
    ))
}

fn age(text: &str) -> std::result::Result<Duration, String> {
    match values::duration(text)? {
        age if age < MIN_AGE => Err(format!("'{text}' is too short: give at least 1h")),
        age => Ok(age),
    }
}

impl Archive {
    /// With every default, and no collectors.
    pub fn at(source: Source, data_dir: &Path) -> Archive {
        Archive {
            source,
            collectors: Vec::new(),
            cache: data_dir.join("archive"),
            max_size: MAX_SIZE,
            max_age: MAX_AGE,
        }
    }
}

pub(super) fn to_raw(archive: &Archive) -> RawArchive {
    let some = |shown: String| Some(text(escape(&shown)));
    let mut raw = RawArchive {
        collectors: Some(
            archive
                .collectors
                .iter()
                .map(|one| text(one.name()))
                .collect::<Vec<Text>>(),
        ),
        cache: some(archive.cache.display().to_string()),
        max_size: some(values::show_size(archive.max_size)),
        max_age: some(values::show_duration(archive.max_age)),
        ..RawArchive::default()
    };
    match &archive.source {
        Source::Broker(url) => raw.broker = some(url.to_string()),
        Source::Base(url) => raw.url = some(url.to_string()),
        Source::Folder(dir) => raw.dir = some(dir.display().to_string()),
    }
    raw
}

pub(super) fn describe(archive: &Archive) -> String {
    let whom = match archive.collectors.as_slice() {
        [] => "for replay only; no collectors are listed that it could seed".to_owned(),
        collectors => {
            let names: Vec<&str> = collectors.iter().map(|collector| collector.name()).collect();
            format!("seeds the table and fills holes of {}", names.join(", "))
        }
    };
    format!(
        "archive: {}, {whom}; cache {}",
        archive.source,
        archive.cache.display()
    )
}
