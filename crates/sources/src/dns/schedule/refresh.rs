//! The delegation of every name, again and again: by a walk, or from the servers that the user named.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};
use netfault_model::{Address, Delegation, Input, NameServer, Outcome};
use tokio::time::Instant;

use super::jobs::Job;
use super::scheduler::{Done, Scheduler};
use super::subject::Watched;
use crate::dns::check::Verdict;
use crate::dns::limit::Limiter;
use crate::dns::probe::{Question, ask};
use crate::dns::walk::{self, Shared, Walk};
use crate::dns::wire::plain_name;

/// After a walk that found nothing at all.
const RETRY: Duration = Duration::from_secs(30);
/// Walks at the same time. Each sends a few packets at a time, takes seconds in an outage, and waits for the limits of the
/// servers that all walks need.
const MAX_WALKS: usize = 64;
/// The addresses of a name with configured servers are asked for at so many of them, until one answers.
const TRIES: usize = 3;

/// The walks under way, and who waits for one.
pub(super) struct Refreshes {
    shared: Arc<Shared>,
    walking: usize,
    waiting: VecDeque<usize>,
}

/// What the configured servers of a name say of its addresses.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// Somebody answered.
    heard: bool,
    answers: Vec<IpAddr>,
    asked: Vec<(SocketAddr, Outcome)>,
}

impl Refreshes {
    pub fn new(shared: Shared) -> Self {
        Refreshes {
            shared: Arc::new(shared),
            walking: 0,
            waiting: VecDeque::new(),
        }
    }
}

impl Scheduler {
    pub fn refresh(&mut self, n: usize) {
        if self.refreshes.walking >= MAX_WALKS {
            return self.refreshes.waiting.push_back(n);
        }
        let Some(watched) = self.subjects[n].as_watched() else {
            return;
        };
        self.refreshes.walking += 1;
        let name = watched.plan.name.clone();
        if !watched.is_automatic() {
            let servers: Vec<SocketAddr> = watched.authorities().iter().copied().collect();
            let (limiter, rate) = (self.limiter.clone(), self.plan.authority_per_second);
            let timeout = self.plan.authority_timeout;
            self.working.push(Box::pin(async move {
                let looked = look(&name, &servers, timeout, &limiter, rate).await;
                Done::Looked { subject: n, looked }
            }));
            return;
        }
        let (hints, limits) = (self.plan.hints.clone(), self.plan.limits);
        let shared = self.refreshes.shared.clone();
        self.working.push(Box::pin(async move {
            let walk = Box::new(walk::run_with(&name, &hints, &limits, &shared).await);
            Done::Walked { subject: n, walk }
        }));
    }

    /// What was known before an outage is kept through it; what is found in the middle of one is better than nothing.
    pub fn walked(&mut self, n: usize, walk: &Walk) {
        let is_whole = matches!(walk.verdict, Verdict::Ok | Verdict::Degraded);
        let kept = self.has_authorities(n);
        if let Some(found) = walk.authorities().filter(|_| is_whole || !kept) {
            self.count_load(n, false);
            self.subjects[n].adopt(found, self.plan.interval);
            self.count_load(n, true);
        }
        if is_whole {
            self.counters.refreshed += 1;
        } else {
            self.counters.refresh_failed += 1;
            let name = &self.subjects[n].label;
            tracing::warn!(name, end = walk.end.words(), kept, "the walk to the name failed");
        }
        let delegation = walk.delegation((self.clock)(), &self.plan.vantage);
        self.hand_on(Input::Delegation(Box::new(delegation)));
        let wait = if self.has_authorities(n) {
            self.plan.refresh
        } else {
            RETRY.min(self.plan.refresh)
        };
        self.refreshed(n, wait);
    }

    pub fn looked(&mut self, n: usize, looked: &Looked) {
        let at = (self.clock)();
        if let Some(watched) = self.subjects[n].as_watched() {
            let delegation = looked.delegation(watched, &self.plan.vantage);
            self.hand_on(Input::Delegation(Box::new(Delegation { at, ..delegation })));
        }
        self.refreshed(n, self.plan.refresh);
    }

    fn refreshed(&mut self, n: usize, wait: Duration) {
        self.refreshes.walking -= 1;
        let now = self.pace.at(Instant::now());
        self.jobs.add(now + wait, Job::Refresh(n));
        if let Some(next) = self.refreshes.waiting.pop_front() {
            self.refresh(next);
        }
    }

    fn has_authorities(&self, n: usize) -> bool {
        let watched = self.subjects[n].as_watched();
        watched.is_some_and(|watched| !watched.authorities().is_empty())
    }
}

/// A and AAAA at the first server that answers, within the servers' limits.
async fn look(
    name: &Name,
    servers: &[SocketAddr],
    timeout: Duration,
    limiter: &Limiter,
    rate: f64,
) -> Looked {
    let mut looked = Looked::default();
    let deadline = Instant::now() + RETRY;
    let mut answers: BTreeSet<IpAddr> = BTreeSet::new();
    for server in servers.iter().take(TRIES) {
        for qtype in [RecordType::A, RecordType::AAAA] {
            if !limiter.wait(*server, rate, deadline).await {
                return looked;
            }
            let question = Question {
                timeout,
                private_ok: true,
                ..Question::to_authority(*server, name.clone(), qtype)
            };
            let reply = ask(&question).await;
            let extra = u32::from(reply.packets_sent.saturating_sub(1));
            limiter.charge(*server, rate, extra, Instant::now());
            looked.asked.push((*server, reply.outcome));
            looked.heard |= matches!(reply.outcome, Outcome::Ok | Outcome::Nodata);
            let texts = reply.details.answers.iter();
            answers.extend(texts.filter_map(|text| text.parse::<IpAddr>().ok()));
            if !looked.heard {
                break;
            }
        }
        if looked.heard {
            break;
        }
    }
    looked.answers = answers.into_iter().collect();
    looked
}

impl Looked {
    /// Without a walk nothing is known of the parent, of names of servers, or of aliases.
    fn delegation(&self, watched: &Watched, vantage: &str) -> Delegation {
        let zone = watched.zone.as_ref().unwrap_or(&watched.plan.name);
        let outcome = |server: &SocketAddr| {
            let asked = self.asked.iter().find(|(asked, _)| asked == server);
            asked.map(|(_, outcome)| *outcome)
        };
        let server = |server: &SocketAddr| NameServer {
            zone: plain_name(zone),
            name: server.ip().to_string(),
            addr: server.ip(),
            in_parent: false,
            in_child: false,
            glue: false,
            outcome: outcome(server),
            route: None,
        };
        let end = match (self.heard, self.answers.is_empty()) {
            (true, false) => "the configured servers give its addresses",
            (true, true) => "the configured servers give it no address",
            (false, _) => "none of the configured servers that were asked answers",
        };
        Delegation {
            at: netfault_model::Time::MIN,
            vantage: vantage.to_owned(),
            name: plain_name(&watched.plan.name),
            // The servers are known, whether they answer or not.
            complete: true,
            end: end.to_owned(),
            zone: watched.zone.as_ref().map(plain_name),
            parent_ns: Vec::new(),
            child_ns: Vec::new(),
            ds: Vec::new(),
            servers: watched.authorities().iter().map(server).collect(),
            aliases: Vec::new(),
            addresses: self
                .answers
                .iter()
                .map(|addr| Address {
                    addr: *addr,
                    route: None,
                })
                .collect(),
            findings: Vec::new(),
            frozen: false,
        }
    }
}
