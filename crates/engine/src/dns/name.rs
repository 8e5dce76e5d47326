//! The states of one name, over all vantages that ask about it, by what those see together ([`counts`]).

mod counts;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use netfault_model::{Finding, Outcome, Probe, Role, State, Subject, Time, Transition};
use serde::{Deserialize, Serialize};

use super::health::Level;
use super::server::{Answer, Report};
use super::settings::DnsSettings;
use super::vantage::Vantages;
use super::view::{Quiet, Sight, View};
use counts::Counts;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Name {
    name: Arc<str>,
    state: State,
    /// By vantage.
    views: BTreeMap<Arc<str>, View>,
    /// Some server has given an address before.
    had_record: bool,
    /// The rise that is waiting for its hold to end, and since when.
    rise: Option<(State, Time)>,
    /// After a recovery.
    quiet: Option<Quiet>,
    /// It is, or last was, Out because its servers failed.
    servers_failed: bool,
    /// The first failing answer since the name was Ok.
    episode: Option<Time>,
    /// When it was last asked about; `None` before the first probe, and while it is Unknown for that reason.
    asked: Option<Time>,
}

/// What a step may look at.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub settings: &'a DnsSettings,
    pub vantages: &'a Vantages,
}

/// What a step has to say.
#[derive(Default)]
pub(super) struct Told {
    pub steps: Vec<Transition>,
    /// A resolver fails for this name where others do not (since then), or does no more.
    pub resolvers: Vec<(Arc<str>, SocketAddr, Option<Time>)>,
    /// From this vantage nobody at all is heard, since then.
    pub deaf: Vec<(Arc<str>, Time)>,
}

impl Name {
    pub fn new(name: Arc<str>) -> Self {
        Name {
            name,
            state: State::Unknown,
            views: BTreeMap::new(),
            had_record: false,
            rise: None,
            quiet: None,
            servers_failed: false,
            episode: None,
            asked: None,
        }
    }

    pub fn next_deadline(&self, settings: &DnsSettings) -> Option<Time> {
        let sides = self
            .views
            .values()
            .flat_map(|view| [&view.authorities, &view.resolvers]);
        let rounds = sides.filter_map(|side| side.round.as_ref().map(|round| round.due));
        let rise = self.rise.map(|(_, since)| since + settings.ok_hold());
        let stale = self.asked.map(|asked| asked + settings.stale());
        rounds.chain(rise).chain(stale).min()
    }

    pub fn probe(&mut self, now: Time, vantage: &Arc<str>, probe: &Probe, cx: Context, told: &mut Told) {
        let view = self
            .views
            .entry(vantage.clone())
            .or_insert_with(|| View::new(now));
        let side = view.side(probe.role);
        let server = side.servers.get(&probe.server);
        let last = server.and_then(|server| server.questions.get(&probe.qtype));
        if last.is_some_and(|last| probe.at <= last.newest) {
            return; // a duplicate, or older than what is known
        }
        if side.round.as_ref().is_some_and(|round| round.has(probe)) {
            self.close(now, vantage, probe.role, cx, told);
        }
        self.asked = Some(now);
        let of_record = probe.role == Role::Resolver || Answer::from(probe).of_record;
        self.had_record |= of_record && probe.outcome == Outcome::Ok;
        let Some(view) = self.views.get_mut(vantage) else {
            return;
        };
        if view.take(probe, now, cx.settings) {
            self.close(now, vantage, probe.role, cx, told);
        }
    }

    /// Fires what is due at `at`: rounds first, then holds, so that a hold that ends with its own round sees it.
    pub fn fire(&mut self, at: Time, cx: Context, told: &mut Told) {
        let vantages: Vec<Arc<str>> = self.views.keys().cloned().collect();
        for vantage in &vantages {
            for role in [Role::Authority, Role::Resolver] {
                let side = self.views.get_mut(vantage).map(|view| view.side(role));
                let due = side.and_then(|side| side.round.as_ref().map(|round| round.due));
                if due.is_some_and(|due| due <= at) {
                    self.close(at, vantage, role, cx, told);
                }
            }
        }
        if let Some((to, _)) = self
            .rise
            .filter(|(_, since)| *since + cx.settings.ok_hold() <= at)
        {
            let counts = self.counts(at, cx);
            let finding = match counts.level {
                Level::Partial(finding) | Level::Degraded(finding) | Level::Out(finding) => finding,
                Level::Fine | Level::Blind => Finding::None,
            };
            self.go(to, finding, at, counts, cx, told);
        }
        if self.asked.is_some_and(|asked| asked + cx.settings.stale() <= at) {
            self.asked = None;
            let counts = self.counts(at, cx);
            self.go(State::Unknown, Finding::VantageOffline, at, counts, cx, told);
            self.rise = None;
            self.forget_views(|_| true, told);
        }
    }

    /// Drops views, and with them what they say of their resolvers.
    fn forget_views(&mut self, lost: impl Fn(&View) -> bool, told: &mut Told) {
        self.views.retain(|vantage, view| {
            let lost = lost(view);
            if lost {
                let resolvers = view.resolvers.servers.keys();
                told.resolvers
                    .extend(resolvers.map(|resolver| (vantage.clone(), *resolver, None)));
            }
            !lost
        });
    }

    /// Counts a finished round and compares the state with what the counts mean.
    fn close(&mut self, now: Time, vantage: &Arc<str>, role: Role, cx: Context, told: &mut Told) {
        let keep = cx.settings.held_within();
        self.forget_views(|view| view.asked + keep < now, told);
        let Some(sight) = self.sight(now, vantage, cx) else {
            return;
        };
        let Some(view) = self.views.get_mut(vantage) else {
            return;
        };
        if !view.close(role, sight) {
            return;
        }
        if let Some(since) = view.deaf_since(sight) {
            told.deaf.push((vantage.clone(), since));
        }
        let was_unknown = self.state == State::Unknown;
        let counts = self.counts(now, cx);
        self.fall(counts, now, cx, told);
        let counts = self.counts(now, cx);
        if !was_unknown || self.state == State::Unknown {
            self.rise(counts, now, cx, told);
        }
        if role == Role::Resolver {
            self.single_out(now, vantage, counts, cx, told);
        }
    }

    /// Resolvers that fail for this name though its servers and most other resolvers do not. Twice as patient as a
    /// verdict, because some resolver is always the first to notice that a name dies. It is over when it answers.
    fn single_out(&self, now: Time, vantage: &Arc<str>, counts: Counts, cx: Context, told: &mut Told) {
        let (Some(view), Some(sight)) = (self.views.get(vantage), self.sight(now, vantage, cx)) else {
            return;
        };
        let serves = matches!(self.state, State::Ok | State::Partial);
        let alone = serves && counts.resolvers.agree() && counts.resolvers.good > 0;
        for (addr, server) in &view.resolvers.servers {
            let never_had = server.last == Report::Missing { nxdomain: false } && !self.had_record;
            let patient = server.bad_rounds >= 2 * cx.settings.rounds();
            if server.last == Report::Good || never_had {
                told.resolvers.push((vantage.clone(), *addr, None));
            } else if alone && patient && view.fails(addr, server, sight) {
                told.resolvers.push((vantage.clone(), *addr, server.bad_since));
            }
        }
    }

    fn sight<'a>(&self, now: Time, vantage: &str, cx: Context<'a>) -> Option<Sight<'a>> {
        Some(Sight {
            vantage: cx.vantages.get(vantage)?,
            now,
            settings: cx.settings,
            quiet: self.quiet.filter(|quiet| now < quiet.until),
            had_record: self.had_record,
        })
    }

    /// Every view, with what it takes to read it.
    fn sights<'a>(&'a self, now: Time, cx: Context<'a>) -> impl Iterator<Item = (&'a View, Sight<'a>)> {
        let views = self.views.iter();
        views.filter_map(move |(vantage, view)| Some((view, self.sight(now, vantage, cx)?)))
    }

    fn fall(&mut self, counts: Counts, now: Time, cx: Context, told: &mut Told) {
        use State::{Degraded, Ok, Out, Partial, Recovering, Unknown};
        let settings = cx.settings;
        let to = match (self.state, counts.level) {
            (_, Level::Blind) => Some((Unknown, Finding::VantageOffline)),
            (Unknown | Ok | Partial | Degraded | Recovering, Level::Out(finding)) => Some((Out, finding)),
            (Unknown | Ok | Partial, Level::Degraded(finding)) => Some((Degraded, finding)),
            (Unknown | Ok, Level::Partial(finding)) => Some((Partial, finding)),
            (Out, Level::Fine | Level::Partial(_) | Level::Degraded(_)) if self.is_back(counts, settings) => {
                self.quiet = Some(Quiet {
                    recovered: now,
                    until: now + settings.servfail_quiet(),
                    servers_failed: self.servers_failed,
                });
                let whole = counts.rises.is_none_or(|servers| servers.up == servers.eligible);
                Some((
                    Recovering,
                    if whole {
                        Finding::None
                    } else {
                        Finding::AuthorityPartial
                    },
                ))
            }
            _ => None,
        };
        if let Some((to, finding)) = to {
            self.go(to, finding, now, counts, cx, told);
        }
        if counts.level == Level::Blind {
            self.views.values_mut().for_each(View::start_anew);
        }
    }

    /// Half of the servers answer again; where none is known, a resolver does.
    fn is_back(&self, counts: Counts, settings: &DnsSettings) -> bool {
        match counts.falls {
            Some(_) => counts.h_up() >= settings.recovering_from,
            None => counts.resolvers.up > 0,
        }
    }

    /// Starts, keeps or drops the hold of a rise. From Unknown there is none.
    fn rise(&mut self, counts: Counts, now: Time, cx: Context, told: &mut Told) {
        use State::{Degraded, Ok, Partial, Recovering, Unknown};
        let settings = cx.settings;
        let needed = if self.state == Partial {
            1.0
        } else {
            settings.ok_from
        };
        let up = match counts.falls {
            Some(_) => counts.h_up() >= needed,
            None => counts.resolvers.up > 0,
        };
        let fine = counts.level == Level::Fine && up && counts.resolvers.agree();
        let to = match (self.state, counts.level) {
            (Unknown | Partial | Degraded | Recovering, _) if fine => Some(Ok),
            (Degraded | Recovering, Level::Partial(_)) if counts.h_up() >= settings.degraded_below => {
                Some(Partial)
            }
            (Recovering, Level::Degraded(_)) => Some(Degraded),
            _ => None,
        };
        match to {
            Some(to) if self.state == Unknown => self.go(to, Finding::None, now, counts, cx, told),
            Some(to) if self.rise.is_some_and(|(waiting, _)| waiting == to) => {}
            to => self.rise = to.map(|to| (to, now)),
        }
    }

    /// The first failing answer behind a finding. It stays what it is until the name is Ok again.
    fn evidence(&mut self, to: State, finding: Finding, counts: Counts) -> Option<Time> {
        let authorities = counts.falls.and_then(|servers| servers.failing_at);
        let resolvers = counts.resolvers.failing_at;
        let failing = match finding {
            Finding::AuthorityUnreachable | Finding::AuthorityPartial | Finding::DelegationBroken => {
                authorities.or(resolvers)
            }
            Finding::None => authorities,
            _ => resolvers.or(authorities),
        };
        let first = self.episode.or(failing);
        self.episode = first.filter(|_| !matches!(to, State::Ok | State::Unknown));
        first
    }

    fn go(&mut self, to: State, finding: Finding, at: Time, counts: Counts, cx: Context, told: &mut Told) {
        if to == self.state {
            return;
        }
        self.rise = None;
        if to == State::Out {
            let by_servers = [Finding::AuthorityUnreachable, Finding::DelegationBroken];
            self.servers_failed = by_servers.contains(&finding);
        }
        let first_evidence = self.evidence(to, finding, counts);
        let servers = counts.falls.unwrap_or_default();
        let subject = Subject::Name {
            name: self.name.to_string(),
        };
        told.steps.push(Transition {
            first_evidence_at: first_evidence.unwrap_or(at).min(at),
            finding: Some(finding),
            servers_ok: Some(servers.not_down),
            servers_eligible: Some(servers.eligible),
            resolvers_ok: Some(counts.resolvers.good),
            resolvers_eligible: Some(counts.resolvers.voting),
            watched: true,
            dns: Some(Box::new(self.seen(to, at, cx))),
            ..Transition::plain(subject, self.state, to, at)
        });
        self.state = to;
    }
}
