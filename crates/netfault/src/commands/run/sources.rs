//! The live sources: each a task that sends batches into one bounded channel until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use netfault_alerts::Health;
use netfault_alerts::health::Alive;
use netfault_model::{Gap, GapSource, Input, Time};
use netfault_sources::archive::Archive;
use netfault_sources::archive::heal::{self, Hole};
use netfault_sources::dns::schedule;
use netfault_sources::dns::transport::tls::TlsRoots;
use netfault_sources::dns::validate::Validation;
use netfault_sources::ris_live::{self, ClientConfig, Subscription, system_clock};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::lag;
use crate::config::{Config, Controls, Dnssec, Lateness, RisLive};
use crate::exit::{Failure, Result, sentence};
use crate::heal::Healer;
use crate::notifier;

/// The sources by name, as [`Health`] knows them.
pub const RIS_LIVE: &str = "ris_live";
pub const DNS: &str = "dns";
pub const HINTS: &str = "hints";
/// The full feed is never silent for half a minute (FIELD-FACTS); a reconnect with its pauses takes longer.
const FULL_FEED: Duration = Duration::from_secs(120);
/// Without a connection for so long, outages are missed.
const CONNECTION: Duration = Duration::from_secs(180);
/// Holes on their way to the archive, and answers on their way back: one break of the feed is a hole of each collector.
const HOLES: usize = 128;

/// Starts them. `last` is the time of the last thing that the table knows of (seed, journal): what has happened
/// since is a hole.
pub fn start(
    config: &Config,
    last: Option<Time>,
    out: mpsc::Sender<Vec<Input>>,
    stop: &watch::Receiver<bool>,
    health: &Health,
) -> Result<JoinSet<()>> {
    let mut sources = JoinSet::new();
    // A clock of today beside an old capture would make all of it late.
    let live = is_live(config);
    let lag = lag::of(config);
    if let Some(section) = &config.ris_live {
        let client = ris_live_client(config, section);
        let stats = Arc::new(ris_live::Stats::default());
        expect_ris_live(health, &client.subscription, live, &stats);
        let hole = last.map(|last| hole(last, live.then(|| system_clock()())));
        let (out, stop) = (out.clone(), stop.clone());
        sources.spawn(async move {
            if let Some(hole) = hole
                && out.send(vec![Input::Gap(Box::new(hole))]).await.is_err()
            {
                return;
            }
            ris_live::run(client, out, system_clock(), stop, stats).await;
        });
    }
    if !config.names.is_empty() {
        let plan = dns_plan(config)?;
        // Two rounds with everything that may go wrong in them.
        let limit = (plan.interval + plan.resolver_timeout) * 3 + Duration::from_secs(30);
        health.expect(DNS, limit, None, notifier::now());
        let out = lag::behind(lag, out.clone(), stop.clone(), &mut sources);
        let stop = stop.clone();
        sources.spawn(async move {
            let counters = schedule::run(plan, out, stop, system_clock()).await;
            tracing::debug!(?counters, "dns schedule ended");
        });
    }
    if let Some(plan) = super::web::plan(config)?.filter(|_| live) {
        health.expect(HINTS, super::web::patience(&plan), None, notifier::now());
        let out = lag::behind(lag, out.clone(), stop.clone(), &mut sources);
        let stop = stop.clone();
        sources.spawn(async move {
            let counters = netfault_sources::hints::run(plan, out, stop, system_clock()).await;
            tracing::debug!(?counters, "no more hints are fetched");
        });
    }
    if live {
        sources.spawn(lag::tick(lag, out, stop.clone()));
    }
    Ok(sources)
}

/// From an old capture nothing is expected at any time. A narrow subscription may be quiet for long: then the connection
/// counts, which the client itself watches.
fn expect_ris_live(health: &Health, subscription: &Subscription, live: bool, stats: &Arc<ris_live::Stats>) {
    if !live {
        return;
    }
    let connected = || {
        let stats = Arc::clone(stats);
        Alive::new(move || stats.connected.get() > 0)
    };
    let (limit, alive) = match subscription {
        Subscription::Everything => (FULL_FEED, None),
        Subscription::Prefixes { .. } => (CONNECTION, Some(connected())),
    };
    health.expect(RIS_LIVE, limit, alive, notifier::now());
}

/// The task that waits for the files of holes.
pub struct Healing {
    archive: Arc<Archive>,
    holes: mpsc::Receiver<Hole>,
    answers: mpsc::Sender<heal::Healing>,
}

impl Healing {
    pub async fn run(self, stop: watch::Receiver<bool>) {
        let clock = system_clock();
        heal::run(
            self.archive,
            heal::Pace::default(),
            move || clock(),
            self.holes,
            self.answers,
            stop,
        )
        .await;
    }
}

/// Both ends of healing: the pipeline's, and the task. None without an archive or a live feed: files have no holes
/// that anybody could fill.
pub fn healer(config: &Config, archive: Option<&Arc<Archive>>) -> (Option<Healer>, Option<Healing>) {
    let (Some(archive), Some(section), true) = (archive, &config.archive, config.ris_live.is_some()) else {
        return (None, None);
    };
    let (send, holes) = mpsc::channel(HOLES);
    let (answers, answered) = mpsc::channel(HOLES);
    let healer = Healer::new(section.collectors.clone(), send, answered);
    let healing = Healing {
        archive: Arc::clone(archive),
        holes,
        answers,
    };
    (Some(healer), Some(healing))
}

/// Whether what comes in is of now. An old capture brings its own time.
pub fn is_live(config: &Config) -> bool {
    let section = config.ris_live.as_ref();
    section.is_none_or(|section| section.lateness == Lateness::Judge)
}

/// What happened while the collector was not running is not known.
fn hole(last: Time, now: Option<Time>) -> Gap {
    Gap {
        at: last,
        source: GapSource::RisLive,
        collector: None,
        peer: None,
        from: Some(last),
        to: now.map(|now| now.max(last)),
        offset: None,
        reason: "the collector was not running".into(),
        lost: None,
    }
}

fn ris_live_client(config: &Config, section: &RisLive) -> ClientConfig {
    // An AS cannot be subscribed to: the path of a withdrawal is empty. So origins need the whole feed, and so do names: which
    // prefixes carry their servers is found out, and changes.
    let found_out = !config.watch.origins.is_empty() || !config.names.is_empty();
    let everything = section.everything || config.watch.all || found_out;
    let subscription = match everything {
        true => Subscription::Everything,
        false => Subscription::Prefixes {
            prefixes: config.watch.prefixes.iter().copied().collect(),
            less_specific: true,
        },
    };
    let mut client = ClientConfig::new(&section.url, subscription);
    client.client_id = section.client.clone();
    client.lateness = match section.lateness {
        Lateness::Judge => ris_live::Lateness::Judge,
        Lateness::Trust => ris_live::Lateness::Trust,
    };
    client
}

pub fn dns_plan(config: &Config) -> Result<schedule::Plan> {
    let dns = &config.dns;
    let names = config.names.iter().map(|name| {
        Ok(schedule::NamePlan {
            name: dns_name(&name.name)?,
            authorities: name.authorities.iter().copied().collect(),
            resolvers: config.resolvers_of(name).to_vec(),
            expect: Some(&name.expect.answers)
                .filter(|expect| !expect.is_empty())
                .map(|expect| Arc::new(expect.clone())),
            validate: name.dnssec == Dnssec::Validate,
            private_ok: name.private_ok,
        })
    });
    let mut plan = schedule::Plan::new(&dns.vantage, names.collect::<Result<_>>()?);
    plan.interval = dns.interval;
    plan.authority_timeout = dns.authority_timeout;
    plan.resolver_timeout = dns.resolver_timeout;
    plan.authority_per_second = dns.authority_per_second;
    plan.resolver_per_second = dns.resolver_per_second;
    plan.refresh = dns.refresh;
    if let Some(root) = &dns.root_hints {
        plan.hints = Arc::new(root.hints.clone());
    }
    if let Some(file) = &dns.trust_anchors {
        let keys = Validation::from_file(file).map_err(|error| Failure::config(error.to_string()))?;
        plan.validation = Arc::new(keys);
    }
    if let Some(file) = &dns.ca_file {
        let roots = TlsRoots::with_file(file).map_err(|error| Failure::config(error.to_string()))?;
        plan.tls = Some(Arc::new(roots));
    }
    plan.controls = controls(&dns.controls)?;
    Ok(plan)
}

fn controls(section: &Controls) -> Result<schedule::Controls> {
    let zones = section.authorities.iter();
    Ok(schedule::Controls {
        names: section
            .names
            .iter()
            .map(|name| dns_name(name))
            .collect::<Result<_>>()?,
        authorities: zones
            .map(|(zone, servers)| Ok((dns_name(zone)?, servers.iter().copied().collect())))
            .collect::<Result<_>>()?,
    })
}

fn dns_name(text: &str) -> Result<netfault_sources::dns::Name> {
    netfault_sources::dns::wire::parse_name(text).map_err(|error| Failure::config(sentence(&error)))
}
