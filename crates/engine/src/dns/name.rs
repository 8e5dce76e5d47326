//! The states of one name.

use std::sync::Arc;

use netfault_model::{Finding, Outcome, Probe, Role, State, Subject, Time, Transition};

use super::Sight;
use super::health::{Authorities, Level, Resolvers, Servers, level};
use super::round::Round;
use super::server::Server;
use super::settings::DnsSettings;

/// The servers of one role, and the round that is open.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
struct Side {
    servers: Servers,
    round: Option<Round>,
    /// Start of the first of the rounds, up to now, in which nobody was heard.
    silent_since: Option<Time>,
    silent_rounds: u32,
    /// The first failing probe of this episode.
    evidence: Option<Time>,
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Name {
    name: Arc<str>,
    state: State,
    authorities: Side,
    resolvers: Side,
    /// Some resolver has given an address before.
    had_record: bool,
    /// The rise that is waiting for its hold to end, and since when.
    rise: Option<(State, Time)>,
    /// Until then SERVFAIL is a resolver's failure cache.
    quiet_until: Option<Time>,
    /// When it was last asked about; `None` before the first probe, and while it is Unknown for that reason.
    asked: Option<Time>,
}

impl Name {
    pub fn new(name: Arc<str>) -> Self {
        Name {
            name,
            state: State::Unknown,
            authorities: Side::default(),
            resolvers: Side::default(),
            had_record: false,
            rise: None,
            quiet_until: None,
            asked: None,
        }
    }

    pub fn next_deadline(&self, settings: &DnsSettings) -> Option<Time> {
        let rounds =
            [&self.authorities, &self.resolvers].map(|side| side.round.as_ref().map(|round| round.due));
        let rise = self.rise.map(|(_, since)| since + settings.ok_hold());
        let stale = self.asked.map(|asked| asked + settings.stale());
        rounds.into_iter().chain([rise, stale]).flatten().min()
    }

    pub fn probe(
        &mut self,
        now: Time,
        probe: &Probe,
        settings: &DnsSettings,
        sight: Sight,
        out: &mut Vec<Transition>,
    ) {
        let side = self.side(probe.role);
        let last = side
            .servers
            .get(&probe.server)
            .and_then(|server| server.questions.get(&probe.qtype));
        if last.is_some_and(|last| probe.at <= *last) {
            return; // a duplicate, or older than what is known
        }
        if side.round.as_ref().is_some_and(|round| round.has(probe)) {
            self.close(probe.role, now, settings, sight, out);
        }
        self.asked = Some(now);
        self.had_record |= probe.role == Role::Resolver && probe.outcome == Outcome::Ok;
        let side = self.side(probe.role);
        let server = side
            .servers
            .entry(probe.server)
            .or_insert_with(|| Server::new(now));
        server.asked = now;
        let is_new = server.questions.insert(probe.qtype.clone(), probe.at).is_none();
        let round = side.round.get_or_insert_with(|| Round::open(now, settings));
        round.take(probe, is_new);
        if round.is_complete(&side.servers) {
            self.close(probe.role, now, settings, sight, out);
        }
    }

    /// Fires what is due at `at`: rounds first, then holds, so that a hold that ends with its own round sees it.
    pub fn fire(&mut self, at: Time, settings: &DnsSettings, sight: Sight, out: &mut Vec<Transition>) {
        for role in [Role::Authority, Role::Resolver] {
            if self
                .side(role)
                .round
                .as_ref()
                .is_some_and(|round| round.due <= at)
            {
                self.close(role, at, settings, sight, out);
            }
        }
        if let Some((to, _)) = self.rise.filter(|(_, since)| *since + settings.ok_hold() <= at) {
            let finding = self.finding(at, settings);
            self.go(to, finding, at, settings, out);
        }
        if self.asked.is_some_and(|asked| asked + settings.stale() <= at) {
            self.asked = None;
            self.rise = None;
            self.go(State::Unknown, Finding::VantageOffline, at, settings, out);
            self.authorities = Side::default();
            self.resolvers = Side::default();
        }
    }

    fn side(&mut self, role: Role) -> &mut Side {
        match role {
            Role::Authority => &mut self.authorities,
            _ => &mut self.resolvers,
        }
    }

    /// Counts a finished round and compares the state with what the counts mean.
    fn close(
        &mut self,
        role: Role,
        now: Time,
        settings: &DnsSettings,
        sight: Sight,
        out: &mut Vec<Transition>,
    ) {
        let side = self.side(role);
        let Some(round) = side.round.take() else { return };
        round.close(role, &mut side.servers, settings);
        let silent = round.is_silent(role);
        side.silent_since = if silent {
            side.silent_since.or(Some(round.opened))
        } else {
            None
        };
        side.silent_rounds = if silent {
            side.silent_rounds.saturating_add(1)
        } else {
            0
        };
        side.evidence = side.evidence.or(round.first_failure);

        let was_unknown = self.state == State::Unknown;
        let (authorities, _, level) = self.judge(now, settings, sight);
        self.fall(level, authorities, now, settings, out);
        let (authorities, resolvers, level) = self.judge(now, settings, sight);
        if !was_unknown || self.state == State::Unknown {
            self.rise(level, authorities, resolvers, now, settings, out);
        }
        if self.state == State::Ok && round.first_failure.is_none() {
            self.side(role).evidence = None;
        }
    }

    fn judge(&self, now: Time, settings: &DnsSettings, sight: Sight) -> (Authorities, Resolvers, Level) {
        let (authorities, resolvers) = self.counts(now, settings);
        let level = match level(authorities, resolvers, settings) {
            // A round in which no server answers says nothing about some of them, and one such round
            // does not tell whose fault it is.
            level if self.authorities.silent_rounds > 0 => match level {
                Level::Out(_) if self.authorities.silent_rounds < settings.rounds() => Level::Undecided,
                Level::Out(_) if self.is_blind(authorities, sight) => Level::Blind,
                Level::Out(finding) => Level::Out(finding),
                _ => Level::Undecided,
            },
            level => level,
        };
        (authorities, resolvers, level)
    }

    fn counts(&self, now: Time, settings: &DnsSettings) -> (Authorities, Resolvers) {
        let quiet = self.quiet_until.is_some_and(|until| now < until);
        (
            Authorities::count(&self.authorities.servers, now, settings),
            Resolvers::count(&self.resolvers.servers, quiet, self.had_record, settings),
        )
    }

    /// True if all authorities are silent, and so has been everything else since they fell silent: then the
    /// fault is as well our own. With nothing to compare (one name, no resolver) the silence counts as theirs.
    fn is_blind(&self, authorities: Authorities, sight: Sight) -> bool {
        let all_silent = authorities.eligible > 0 && authorities.silent == authorities.eligible;
        let comparable = sight.others || !self.resolvers.servers.is_empty();
        let heard = match (sight.heard, self.authorities.silent_since) {
            (Some(heard), Some(since)) => heard >= since,
            (heard, None) => heard.is_some(),
            (None, Some(_)) => false,
        };
        all_silent && comparable && !heard
    }

    fn fall(
        &mut self,
        level: Level,
        counts: Authorities,
        now: Time,
        settings: &DnsSettings,
        out: &mut Vec<Transition>,
    ) {
        use State::{Degraded, Ok, Out, Partial, Recovering, Unknown};
        let to = match (self.state, level) {
            (_, Level::Blind) => Some((Unknown, Finding::VantageOffline)),
            (Unknown | Ok | Partial | Degraded | Recovering, Level::Out(finding)) => Some((Out, finding)),
            (Unknown | Ok | Partial, Level::Degraded(finding)) => Some((Degraded, finding)),
            (Unknown | Ok, Level::Partial(finding)) => Some((Partial, finding)),
            (Out, Level::Fine | Level::Partial(_) | Level::Degraded(_))
                if counts.h_up() >= settings.recovering_from =>
            {
                self.quiet_until = Some(now + settings.servfail_quiet());
                let whole = counts.up == counts.eligible;
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
            self.go(to, finding, now, settings, out);
        }
        if level == Level::Blind {
            self.start_anew();
        }
    }

    /// Starts, keeps or drops the hold of a rise. From Unknown there is none.
    fn rise(
        &mut self,
        level: Level,
        authorities: Authorities,
        resolvers: Resolvers,
        now: Time,
        settings: &DnsSettings,
        out: &mut Vec<Transition>,
    ) {
        use State::{Degraded, Ok, Partial, Recovering, Unknown};
        let needed = if self.state == Partial {
            1.0
        } else {
            settings.ok_from
        };
        let known = authorities.eligible > 0 || resolvers.up > 0;
        let fine = level == Level::Fine && authorities.h_up() >= needed && resolvers.agree() && known;
        let to = match (self.state, level) {
            (Unknown | Partial | Degraded | Recovering, _) if fine => Some(Ok),
            (Degraded | Recovering, Level::Partial(_)) if authorities.h_up() >= settings.degraded_below => {
                Some(Partial)
            }
            (Recovering, Level::Degraded(_)) => Some(Degraded),
            _ => None,
        };
        match to {
            Some(to) if self.state == Unknown => self.go(to, Finding::None, now, settings, out),
            Some(to) if self.rise.is_some_and(|(waiting, _)| waiting == to) => {}
            to => self.rise = to.map(|to| (to, now)),
        }
    }

    /// What was seen while blind counts for nothing afterwards; who was healthy before still does.
    fn start_anew(&mut self) {
        for side in [&mut self.authorities, &mut self.resolvers] {
            side.servers.values_mut().for_each(Server::start_anew);
            side.evidence = None;
        }
    }

    fn evidence(&self) -> Option<Time> {
        [self.authorities.evidence, self.resolvers.evidence]
            .into_iter()
            .flatten()
            .min()
    }

    /// What is still wrong, for a rise that ends in between.
    fn finding(&self, now: Time, settings: &DnsSettings) -> Finding {
        let (authorities, resolvers) = self.counts(now, settings);
        match level(authorities, resolvers, settings) {
            Level::Partial(finding) | Level::Degraded(finding) | Level::Out(finding) => finding,
            Level::Fine | Level::Blind | Level::Undecided => Finding::None,
        }
    }

    fn go(
        &mut self,
        to: State,
        finding: Finding,
        at: Time,
        settings: &DnsSettings,
        out: &mut Vec<Transition>,
    ) {
        if to == self.state {
            return;
        }
        self.rise = None;
        let (authorities, resolvers) = self.counts(at, settings);
        out.push(Transition {
            subject: Subject::Name {
                name: self.name.to_string(),
            },
            from: self.state,
            to,
            at,
            first_evidence_at: self.evidence().unwrap_or(at).min(at),
            visibility: None,
            peers_seen: None,
            peers_lost: None,
            peers_unknown: None,
            peers_eligible: None,
            baseline: None,
            cover: None,
            finding: Some(finding),
            servers_ok: Some(authorities.not_down),
            servers_eligible: Some(authorities.eligible),
            resolvers_ok: Some(resolvers.good),
            resolvers_eligible: Some(resolvers.voting),
            watched: true,
            beacon: false,
            healed: false,
            evidence: None,
            dns: None,
        });
        self.state = to;
    }
}
