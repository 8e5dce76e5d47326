//! Raw → [`Config`]: defaults, `${ENV}`, secrets, and every check that needs no network. The first thing
//! that is wrong is reported, with its place.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use netfault_model::Watch;
use netfault_sources::dns::resolver::Resolver;
use serde_saphyr::Location;

use super::dns;
use super::error::ConfigError;
use super::raw::*;
use super::secrets::{SecretRef, expand};
use super::types::*;
use super::values;

pub(super) use super::secrets::Env;

const RIS_LIVE: &str = "wss://ris-live.ripe.net/v1/ws/";
/// A day of watched prefixes is far below this, an hour of the full feed about 1 GB.
const SPOOL_MAX: u64 = 2_000_000_000;
const JOURNAL_MAX: u64 = 8_000_000_000;
const JOURNAL_AGE: Duration = Duration::from_secs(7 * 86_400);
/// One journal segment; less could hold nothing.
const MIN_SPACE: u64 = 64_000_000;

pub(super) type Result<T> = std::result::Result<T, ConfigError>;

/// Where we are: for messages, relative paths and the environment.
pub(super) struct Context<'a> {
    path: &'a Path,
    base: PathBuf,
    pub(super) env: Env<'a>,
}

impl Context<'_> {
    pub(super) fn wrong<T>(&self, place: Location, message: impl Into<String>) -> Result<T> {
        Err(ConfigError::at(self.path, place, message))
    }

    pub(super) fn text(&self, text: &Text) -> Result<String> {
        self.read(text, |text| Ok(text.to_owned()))
    }

    /// Expands a text and gives it a meaning.
    pub(super) fn read<T>(
        &self,
        text: &Text,
        meaning: impl FnOnce(&str) -> std::result::Result<T, String>,
    ) -> Result<T> {
        let read = expand(&text.value, self.env).and_then(|expanded| meaning(&expanded));
        read.or_else(|message| self.wrong(text.referenced, message))
    }

    pub(super) fn read_or<T>(
        &self,
        text: Option<&Text>,
        default: T,
        meaning: impl FnOnce(&str) -> std::result::Result<T, String>,
    ) -> Result<T> {
        text.map_or(Ok(default), |text| self.read(text, meaning))
    }

    pub(super) fn list<T>(
        &self,
        texts: Option<&Vec<Text>>,
        meaning: fn(&str) -> std::result::Result<T, String>,
    ) -> Result<Vec<T>> {
        texts
            .into_iter()
            .flatten()
            .map(|text| self.read(text, meaning))
            .collect()
    }

    /// A path, relative to the folder of the configuration.
    pub(super) fn folder(&self, text: &Text) -> Result<PathBuf> {
        self.read(text, |text| {
            if text.is_empty() {
                Err("a path is missing here".to_owned())
            } else {
                Ok(self.base.join(text))
            }
        })
    }

    /// A file that must be good when the service starts.
    pub(super) fn file<T, E: std::fmt::Display>(
        &self,
        typed: Option<&Text>,
        read: impl Fn(&Path) -> std::result::Result<T, E>,
    ) -> Result<Option<PathBuf>> {
        let Some(text) = typed else {
            return Ok(None);
        };
        let path = self.folder(text)?;
        match read(&path) {
            Ok(_) => Ok(Some(path)),
            Err(error) => self.wrong(text.referenced, error.to_string()),
        }
    }

    pub(super) fn folder_or(&self, text: Option<&Text>, default: PathBuf) -> Result<PathBuf> {
        text.map_or(Ok(default), |text| self.folder(text))
    }

    /// `key` or `key_file`, but not both.
    pub(super) fn secret(&self, typed: Option<&Text>, file: Option<&Text>) -> Result<Option<SecretRef>> {
        match (typed, file) {
            (Some(_), Some(file)) => self.wrong(
                file.referenced,
                "the secret stands here twice: as a text and as a file; keep one",
            ),
            (Some(text), None) => {
                let secret = SecretRef::typed(&text.value, self.env);
                secret
                    .map(Some)
                    .or_else(|message| self.wrong(text.referenced, message))
            }
            (None, Some(file)) => {
                let path = self.folder(file)?;
                SecretRef::file(&path)
                    .map(Some)
                    .or_else(|message| self.wrong(file.referenced, message))
            }
            (None, None) => Ok(None),
        }
    }
}

pub(super) fn resolve(raw: RawConfig, path: &Path, env: Env<'_>) -> Result<Config> {
    let context = Context {
        path,
        base: base(path),
        env,
    };
    super::agent::check(&context, &raw)?;
    let checkpoint_every = context.read_or(
        raw.checkpoint_every.as_ref(),
        crate::checkpoint::EVERY,
        checkpoint_every,
    )?;
    let data_dir = context.folder_or(raw.data_dir.as_ref(), context.base.join(".netfault"))?;
    let resolvers = raw.dns.as_ref().and_then(|dns| dns.resolvers.as_ref());
    let resolvers = dns::answers::resolvers(&context, resolvers)?;
    let (mut watch, mut names) = watch(&context, raw.watch.unwrap_or_default(), &resolvers)?;
    let hints = super::services::resolve(
        &context,
        raw.services,
        raw.hints,
        &resolvers,
        &mut watch,
        &mut names,
    )?;
    let raw_sources = raw.sources.unwrap_or_default();
    let detect = match raw.detect {
        Some(detect) => match detect.value.check() {
            Ok(()) => detect.value,
            Err(message) => return context.wrong(detect.referenced, message),
        },
        None => Default::default(),
    };
    let countries = super::countries::resolve(&context, raw.countries.as_ref())?;
    let vantage = raw.dns.as_ref().and_then(|dns| dns.vantage.clone());
    let mut dns = dns::resolve(&context, raw.dns.unwrap_or_default(), resolvers, &watch.names)?;
    let agent = super::agent::resolve(&context, raw.agent, &data_dir)?;
    if let Some(agent) = &agent {
        super::agent::name_vantage(&context, agent, vantage.as_ref(), &mut dns)?;
    }
    dns::check_plan(&context, &names, &dns)?;
    Ok(Config {
        names: names.into_iter().map(|(_, name)| name).collect(),
        ris_live: ris_live(&context, raw_sources.ris_live.unwrap_or_default(), &watch)?,
        seed: seed(&context, raw_sources.mrt.unwrap_or_default())?,
        archive: super::archive::resolve(&context, raw_sources.archive, &data_dir)?,
        detect,
        store: raw
            .store
            .map(|raw| store(&context, raw.referenced, raw.value, &data_dir))
            .transpose()?
            .flatten(),
        journal: journal(&context, raw.journal.unwrap_or_default(), &data_dir)?,
        alerts: super::alerts::resolve(&context, raw.alerts.unwrap_or_default(), &data_dir)?,
        listen: super::listen::resolve(&context, raw.listen, raw.agents, &dns.vantage)?,
        agent,
        dns,
        watch,
        hints,
        countries,
        data_dir,
        checkpoint_every,
    })
}

/// The folder of the configuration. A file in the working directory leaves paths as they were typed.
fn base(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => {
            std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
        }
        _ => PathBuf::new(),
    }
}

pub(super) fn dns_server(text: &str) -> std::result::Result<SocketAddr, String> {
    values::server(text, 53)
}

fn watch(context: &Context, raw: RawWatch, resolvers: &[Resolver]) -> Result<(Watch, Vec<(Location, Name)>)> {
    let mut watch = Watch {
        all: raw.all.unwrap_or(false),
        ..Watch::default()
    };
    for text in raw.prefixes.iter().flatten() {
        let prefix = context.read(text, |text| {
            text.parse()
                .map_err(|error: netfault_model::net::BadPrefix| error.to_string())
        })?;
        if !watch.prefixes.insert(prefix) {
            return context.wrong(
                text.referenced,
                format!("the prefix {prefix} stands here a second time"),
            );
        }
    }
    for text in raw.origins.iter().flatten() {
        let origin = context.read(text, |text| {
            text.parse()
                .map_err(|error: netfault_model::net::BadAsn| error.to_string())
        })?;
        if !watch.origins.insert(origin) {
            return context.wrong(
                text.referenced,
                format!("the origin {origin} stands here a second time"),
            );
        }
    }
    let mut names = Vec::new();
    for raw in raw.names.unwrap_or_default() {
        let place = raw.referenced;
        let name = self::name(context, place, raw.value, resolvers)?;
        if !watch.names.insert(name.name.clone()) {
            return context.wrong(place, format!("the name {} stands here a second time", name.name));
        }
        names.push((place, name));
    }
    dns::answers::settle(context, &names, resolvers)?;
    watch.expected_origins = dns::answers::origins(&names);
    Ok((watch, names))
}

pub(super) fn name(context: &Context, place: Location, raw: RawName, resolvers: &[Resolver]) -> Result<Name> {
    let typed = Text::new(raw.name, place, place);
    let name = Name {
        name: context.read(&typed, values::name)?,
        authorities: context.list(raw.authorities.as_ref(), dns_server)?,
        resolvers: dns::answers::resolvers(context, raw.resolvers.as_ref())?,
        expect: dns::answers::expect(context, raw.expect)?,
        dnssec: raw.dnssec.unwrap_or_default(),
        private_ok: raw.private_ok.unwrap_or(false),
    };
    if name.authorities.is_empty() && name.resolvers.is_empty() && resolvers.is_empty() {
        let message = format!(
            "nobody can be asked about {}: give it authorities or resolvers, or give dns.resolvers for all names",
            name.name
        );
        return context.wrong(place, message);
    }
    Ok(name)
}

fn ris_live(context: &Context, raw: RawRisLive, watch: &Watch) -> Result<Option<RisLive>> {
    let url = context.read_or(raw.url.as_ref(), RIS_LIVE.to_owned(), |text| {
        values::url(text, &["ws", "wss"])
    })?;
    let client = context.read_or(raw.client.as_ref(), "netfault".to_owned(), |text| {
        let fits = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte));
        if fits {
            Ok(text.to_owned())
        } else {
            Err("give 1 to 64 letters, digits, '-', '_', '.' or '@'".to_owned())
        }
    })?;
    let source = RisLive {
        url,
        client,
        everything: raw.everything.unwrap_or(watch.all),
        lateness: raw.lateness.unwrap_or_default(),
    };
    Ok(raw.enabled.unwrap_or(true).then_some(source))
}

fn seed(context: &Context, raw: RawMrt) -> Result<Vec<String>> {
    let path = |text: &Text| Ok(context.folder(text)?.display().to_string());
    raw.seed.iter().flatten().map(path).collect()
}

fn store(context: &Context, place: Location, raw: RawStore, data_dir: &Path) -> Result<Option<Store>> {
    let spool = raw.spool.as_ref();
    let store = Store {
        engine: match (&raw.url, &raw.embedded) {
            (Some(url), None) => server(context, &raw, url)?,
            (None, Some(dir)) => embedded(context, &raw, dir)?,
            (Some(_), Some(embedded)) => {
                let message = "store.url and store.embedded exclude each other: keep one";
                return context.wrong(embedded.referenced, message);
            }
            (None, None) => {
                let message = "a store needs url (a ClickHouse server) or embedded (a folder); \
                               without the section nothing is stored";
                return context.wrong(place, message);
            }
        },
        database: context.read_or(raw.database.as_ref(), "netfault".to_owned(), database)?,
        updates: raw.updates.unwrap_or_default(),
        spool_dir: context.folder_or(spool.and_then(|spool| spool.dir.as_ref()), data_dir.join("spool"))?,
        spool_max: context.read_or(spool.and_then(|spool| spool.max_size.as_ref()), SPOOL_MAX, space)?,
        retention: super::retention::resolve(context, raw.retention.as_ref())?,
    };
    Ok(Some(store))
}

fn server(context: &Context, raw: &RawStore, url: &Text) -> Result<Engine> {
    for (key, text) in [("listen", &raw.listen), ("libchdb", &raw.libchdb)] {
        if let Some(text) = text {
            return context.wrong(
                text.referenced,
                format!("store.{key} belongs to store.embedded, not to store.url"),
            );
        }
    }
    Ok(Engine::Server {
        url: context.read(url, |text| values::url(text, &["http", "https"]))?,
        user: context.read_or(
            raw.user.as_ref(),
            "default".to_owned(),
            |text| Ok(text.to_owned()),
        )?,
        password: context.secret(raw.password.as_ref(), raw.password_file.as_ref())?,
    })
}

fn embedded(context: &Context, raw: &RawStore, dir: &Text) -> Result<Engine> {
    for (key, text) in [
        ("user", &raw.user),
        ("password", &raw.password),
        ("password_file", &raw.password_file),
    ] {
        if let Some(text) = text {
            let message =
                format!("store.{key} belongs to store.url; the embedded store makes its own password");
            return context.wrong(text.referenced, message);
        }
    }
    Ok(Engine::Embedded {
        dir: context.folder(dir)?,
        listen: context.read_or(
            raw.listen.as_ref(),
            SocketAddr::from(([127, 0, 0, 1], 0)),
            loopback,
        )?,
        libchdb: raw
            .libchdb
            .as_ref()
            .map(|text| context.folder(text))
            .transpose()?,
    })
}

fn loopback(text: &str) -> std::result::Result<SocketAddr, String> {
    match text.trim().parse::<SocketAddr>() {
        Ok(addr) if addr.ip().is_loopback() => Ok(addr),
        Ok(addr) => Err(format!(
            "the embedded store listens on loopback only, and {} is not",
            addr.ip()
        )),
        Err(_) => Err(format!(
            "'{text}' is not an address with a port, such as 127.0.0.1:8123"
        )),
    }
}

/// Goes into SQL as an identifier.
fn database(text: &str) -> std::result::Result<String, String> {
    let first = text
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if first
        && text.len() <= 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    {
        return Ok(text.to_owned());
    }
    Err(format!(
        "'{text}' is not a database name: give letters, digits and '_'"
    ))
}

pub(super) fn space(text: &str) -> std::result::Result<u64, String> {
    match values::size(text)? {
        bytes if bytes < MIN_SPACE => Err(format!("'{text}' is too small: give at least 64MB")),
        bytes => Ok(bytes),
    }
}

fn checkpoint_every(text: &str) -> std::result::Result<Duration, String> {
    match values::duration(text)? {
        every if every < Duration::from_secs(1) => Err(format!("'{text}' is too short: give at least 1s")),
        every => Ok(every),
    }
}

fn journal(context: &Context, raw: RawJournal, data_dir: &Path) -> Result<Option<Journal>> {
    let journal = Journal {
        dir: context.folder_or(raw.dir.as_ref(), data_dir.join("journal"))?,
        max_size: context.read_or(raw.max_size.as_ref(), JOURNAL_MAX, space)?,
        max_age: context.read_or(
            raw.max_age.as_ref(),
            JOURNAL_AGE,
            |text| match values::duration(text)? {
                age if age < Duration::from_secs(60) => {
                    Err(format!("'{text}' is too short: give at least 1m"))
                }
                age => Ok(age),
            },
        )?,
    };
    Ok(raw.enabled.unwrap_or(true).then_some(journal))
}
