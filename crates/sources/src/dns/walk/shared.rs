//! What walks to many names have in common: the limits of the servers, and what the walks before have found.
//!
//! Without it 10,000 names would ask the root 10,000 times; with it a walk begins at the lowest zone that another came through
//! a short time ago. Only zones that answered are kept: in an outage each walk looks for itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_proto::rr::Name;
use tokio::time::Instant;

use super::record::Zone;
use crate::dns::limit::Limiter;

/// Zones, and addresses of name servers, that are kept at the same time: some tens of megabytes.
const MAX_KEPT: usize = 10_000;

/// A zone as a walk found it, and where to ask about it.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub zone: Zone,
    pub servers: Vec<SocketAddr>,
}

#[derive(Debug, Default)]
struct Kept {
    zones: BTreeMap<Name, (Instant, Known)>,
    hosts: BTreeMap<Name, (Instant, BTreeSet<IpAddr>)>,
}

/// One for all walks of a schedule.
#[derive(Debug)]
pub(in crate::dns) struct Shared {
    limiter: Arc<Limiter>,
    per_second: f64,
    /// For how long what was found is good enough for others.
    keep: Duration,
    kept: Mutex<Kept>,
}

impl Shared {
    pub fn new(limiter: Arc<Limiter>, per_second: f64, keep: Duration) -> Self {
        Shared {
            limiter,
            per_second,
            keep,
            kept: Mutex::default(),
        }
    }

    /// Waits until this server may be asked. False: not before `deadline`.
    pub(super) async fn wait(&self, server: SocketAddr, deadline: Instant) -> bool {
        self.limiter.wait(server, self.per_second, deadline).await
    }

    /// It may be asked at once.
    pub(super) fn is_free(&self, server: SocketAddr) -> bool {
        self.limiter.is_free(server, Instant::now())
    }

    pub(super) fn zone(&self, apex: &Name) -> Option<Known> {
        let kept = self.kept();
        let (until, known) = kept.zones.get(apex)?;
        (*until > Instant::now()).then(|| known.clone())
    }

    pub(super) fn host(&self, name: &Name) -> Option<BTreeSet<IpAddr>> {
        let kept = self.kept();
        let (until, addrs) = kept.hosts.get(name)?;
        (*until > Instant::now()).then(|| addrs.clone())
    }

    pub(super) fn keep_zone(&self, apex: Name, known: Known) {
        keep(&mut self.kept().zones, apex, known, self.keep);
    }

    pub(super) fn keep_host(&self, name: Name, addrs: BTreeSet<IpAddr>) {
        keep(&mut self.kept().hosts, name, addrs, self.keep);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing that happens under this lock leaves it half done.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is fresh stays: its time runs from when it was found, however often it is used.
fn keep<T>(map: &mut BTreeMap<Name, (Instant, T)>, name: Name, value: T, keep: Duration) {
    let now = Instant::now();
    if map.get(&name).is_some_and(|(until, _)| *until > now) {
        return;
    }
    if map.len() >= MAX_KEPT && !map.contains_key(&name) {
        map.retain(|_, (until, _)| *until > now);
        if map.len() >= MAX_KEPT {
            return;
        }
    }
    map.insert(name, (now + keep, value));
}
