//! One name as one vantage sees it: its servers, the open rounds, and what may be said from there.

use netfault_model::{Probe, Role, Time};
use serde::{Deserialize, Serialize};

use super::health::{Authorities, Resolvers, Servers};
use super::round::Round;
use super::server::{Report, Server};
use super::settings::DnsSettings;
use super::vantage::{Vantage, family};

/// The servers of one role, and the round that is open.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Side {
    pub servers: Servers,
    pub round: Option<Round>,
}

/// Rounds in a row, up to now, in which no authority of one family was heard.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Silence {
    since: Option<Time>,
    rounds: u32,
}

/// The last word of a view, from when it was sighted.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Word {
    pub at: Time,
    pub authorities: Authorities,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct View {
    pub authorities: Side,
    pub resolvers: Side,
    silence: [Silence; 2],
    /// When anything was last asked from there.
    pub asked: Time,
    pub word: Option<Word>,
}

/// The time after a recovery in which a resolver may still answer from its failure cache (RFC 9520).
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Quiet {
    pub recovered: Time,
    pub until: Time,
    /// The servers themselves had failed, so what could not be validated failed with them.
    pub servers_failed: bool,
}

impl Quiet {
    /// SERVFAIL is old news; failed validation (kept as well, RFC 9520 §3.3) only if it has not ended since the outage.
    fn hides(self, server: &Server) -> bool {
        match server.last {
            Report::Fault { servfail } => servfail,
            Report::Bogus => {
                self.servers_failed && server.bad_since.is_some_and(|since| since <= self.recovered)
            }
            _ => false,
        }
    }
}

/// What it takes to read a view: the vantage it is from, and the moment.
#[derive(Clone, Copy)]
pub(super) struct Sight<'a> {
    pub vantage: &'a Vantage,
    pub now: Time,
    pub settings: &'a DnsSettings,
    /// After a recovery, while it lasts.
    pub quiet: Option<Quiet>,
    /// The name has had an address before, so NODATA means that it is gone.
    pub had_record: bool,
}

/// What a server's place in the count is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Down,
    Counts,
    /// Its family cannot be seen from there.
    Dark,
}

impl View {
    pub fn new(now: Time) -> Self {
        View {
            authorities: Side::default(),
            resolvers: Side::default(),
            silence: [Silence::default(); 2],
            asked: now,
            word: None,
        }
    }

    pub fn side(&mut self, role: Role) -> &mut Side {
        if role.is_authority() {
            &mut self.authorities
        } else {
            &mut self.resolvers
        }
    }

    /// Takes one answer; true if it completes its round.
    pub fn take(&mut self, probe: &Probe, now: Time, settings: &DnsSettings) -> bool {
        self.asked = now;
        let side = self.side(probe.role);
        let server = side.servers.entry(probe.server);
        let is_new = server.or_insert_with(|| Server::new(now)).note(probe, now);
        let round = side.round.get_or_insert_with(|| Round::open(now, settings));
        round.take(probe, is_new);
        round.is_complete(&side.servers)
    }

    /// Counts the open round of one side. False if there is none.
    pub fn close(&mut self, role: Role, sight: Sight) -> bool {
        let Some(round) = self.side(role).round.take() else {
            return false;
        };
        let forget = sight.settings.forget();
        let side = self.side(role);
        side.servers
            .retain(|_, server| round.opened <= server.asked + forget);
        if role == Role::Authority {
            self.close_authorities(&round, sight);
            if let Some(authorities) = self.authorities(sight) {
                let at = sight.now;
                self.word = Some(Word { at, authorities });
            }
            return true;
        }
        for (addr, answers) in round.answers() {
            if sight.vantage.is_void(addr, sight.now, sight.settings) {
                continue; // as if nobody had asked
            }
            if let Some(server) = self.resolvers.servers.get_mut(addr) {
                server.book(round.opened, role, answers, sight.settings);
            }
        }
        true
    }

    fn close_authorities(&mut self, round: &Round, sight: Sight) {
        for of in [0, 1] {
            let silence = &mut self.silence[of];
            match round.silence(of) {
                Some(true) => {
                    silence.since = silence.since.or(Some(round.opened));
                    silence.rounds = silence.rounds.saturating_add(1);
                }
                Some(false) => *silence = Silence::default(),
                None => {}
            }
        }
        let dark = [0, 1].map(|of| self.is_dark(of, sight));
        for (addr, answers) in round.answers() {
            if let Some(server) = self.authorities.servers.get_mut(addr)
                && !dark[family(addr)]
            {
                server.book(round.opened, Role::Authority, answers, sight.settings);
            }
        }
        // What was seen while blind counts for nothing afterwards; who was healthy before still does.
        for (addr, server) in &mut self.authorities.servers {
            if dark[family(addr)] {
                server.start_anew();
            }
        }
    }

    /// This vantage cannot see the family: by its control authorities, or where it has none, because nobody else
    /// is heard either. With nothing to compare (one name, no resolver) the silence counts as the servers' own.
    fn is_dark(&self, of: usize, sight: Sight) -> bool {
        let Sight {
            vantage,
            now,
            settings,
            ..
        } = sight;
        if vantage.has_controls(of, now, settings) {
            return vantage.is_dark(of, now, settings);
        }
        let Silence {
            since: Some(since),
            rounds,
        } = self.silence[of]
        else {
            return false;
        };
        let foreign = vantage.heard_in(of).is_none() && vantage.heard().is_some();
        rounds >= settings.rounds() && (foreign || self.others_heard(of, since, vantage) == Some(false))
    }

    /// Whether anybody else has been heard since, where somebody else is asked: of that family, else of the other.
    fn others_heard(&self, of: usize, since: Time, vantage: &Vantage) -> Option<bool> {
        let compares = |of: usize| {
            vantage.compares(of) || self.resolvers.servers.keys().any(|server| family(server) == of)
        };
        let heard = if compares(of) {
            vantage.heard_in(of)
        } else if compares(1 - of) {
            vantage.heard()
        } else {
            return None;
        };
        Some(heard.is_some_and(|heard| heard >= since))
    }

    /// How many of the last rounds of silence may have been our own.
    fn unproven(&self, of: usize, sight: Sight) -> u32 {
        let Silence {
            since: Some(since),
            rounds,
        } = self.silence[of]
        else {
            return 0;
        };
        let Sight {
            vantage,
            now,
            settings,
            ..
        } = sight;
        let proven = if vantage.has_controls(of, now, settings) {
            vantage.sees_since(of, since, now, settings)
        } else {
            let heard = self.others_heard(of, since, vantage);
            heard.unwrap_or(rounds >= settings.rounds())
        };
        if proven { 0 } else { rounds }
    }

    fn is_stale(&self, sight: Sight) -> bool {
        self.asked + sight.settings.stale() <= sight.now
    }

    /// H of this view. `None`: it has no authorities, or sees none of them, or has not been asked for long.
    pub fn authorities(&self, sight: Sight) -> Option<Authorities> {
        if self.is_stale(sight) {
            return None;
        }
        let standing = self.standings(sight);
        let down_since = self.down_since(sight);
        let servers = || self.authorities.servers.values().zip(&standing);
        if servers().all(|(_, standing)| *standing == Standing::Dark) {
            return None;
        }
        let has_history = |server: &Server| server.has_history(sight.now, sight.settings);
        let any_history =
            servers().any(|(server, standing)| *standing != Standing::Dark && has_history(server));
        let mut counts = Authorities::default();
        for (server, standing) in servers() {
            match standing {
                // Heard after the others fell silent: their silence is not the whole of it.
                Standing::Dark if down_since.is_some() && server.good_at >= down_since => {
                    counts.eligible += 1;
                    counts.not_down += 1;
                }
                Standing::Dark => {}
                _ if any_history && !has_history(server) && !server.is_up(sight.settings) => {}
                Standing::Down => counts.add_down(server),
                Standing::Counts => counts.add(server, sight.settings),
            }
        }
        Some(counts)
    }

    /// Since when those that are down have all been down.
    pub fn down_since(&self, sight: Sight) -> Option<Time> {
        let servers = self.authorities.servers.values().zip(self.standings(sight));
        let down = servers.filter(|(_, standing)| *standing == Standing::Down);
        down.filter_map(|(server, _)| server.bad_since).max()
    }

    /// When an authority was last found healthy from there.
    pub fn good_at(&self) -> Option<Time> {
        let servers = self.authorities.servers.values();
        servers.filter_map(|server| server.good_at).max()
    }

    fn standings(&self, sight: Sight) -> Vec<Standing> {
        let dark = [0, 1].map(|of| self.is_dark(of, sight));
        let unproven = [0, 1].map(|of| self.unproven(of, sight));
        let controls = [0, 1].map(|of| sight.vantage.has_controls(of, sight.now, sight.settings));
        let servers = self.authorities.servers.iter();
        servers
            .map(|(addr, server)| {
                let of = family(addr);
                let sees = |since| sight.vantage.sees_since(of, since, sight.now, sight.settings);
                let proven =
                    server.last != Report::Silent || !controls[of] || server.bad_since.is_some_and(sees);
                if dark[of] {
                    Standing::Dark
                } else if proven && server.is_down(unproven[of], sight.settings) {
                    Standing::Down
                } else {
                    Standing::Counts
                }
            })
            .collect()
    }

    /// Adds the votes of its resolvers. A resolver whose vote is void, or of a view that is lost, speaks only for
    /// what it has seen good after the others failed (`failed_since`): losing a voice never makes an outage.
    pub fn add_resolvers(&self, sight: Sight, failed_since: Option<Time>, counts: &mut Resolvers) {
        for (addr, server) in &self.resolvers.servers {
            if self.has_vote(addr, server, sight) {
                let confirmed = self.is_confirmed(addr, server, sight);
                counts.add(server, confirmed, sight);
            } else if failed_since.is_some() && server.good_at >= failed_since {
                counts.voting += 1;
                counts.good += 1;
            } else if failed_since.is_some_and(|since| server.asked >= since) {
                counts.add_last_word(server, sight.settings);
            }
        }
    }

    /// Since when all resolvers that fail have failed.
    pub fn resolvers_failed_since(&self, sight: Sight) -> Option<Time> {
        let servers = self.resolvers.servers.iter();
        servers
            .filter(|(addr, server)| self.fails(addr, server, sight))
            .filter_map(|(_, server)| server.bad_since)
            .max()
    }

    /// This resolver has failed for two rounds, and that is its own word.
    pub fn fails(&self, addr: &std::net::SocketAddr, server: &Server, sight: Sight) -> bool {
        self.has_vote(addr, server, sight)
            && server.is_down(0, sight.settings)
            && self.is_confirmed(addr, server, sight) != Some(false)
    }

    fn has_vote(&self, addr: &std::net::SocketAddr, server: &Server, sight: Sight) -> bool {
        let Sight {
            vantage,
            now,
            settings,
            ..
        } = sight;
        if self.is_stale(sight) || vantage.has_no_vote(addr, now, settings) {
            return false;
        }
        if server.bad_rounds == 0 {
            return true;
        }
        let cached = sight.quiet.is_some_and(|quiet| quiet.hides(server));
        let deaf = server.last == Report::Silent
            && server.is_down(0, settings)
            && vantage.heard() < server.down_since // the cut may have come in the middle of the first bad round
            && vantage.vouches_since(addr, Time::MIN, now, settings).is_none();
        !cached && !deaf && !vantage.is_offline()
    }

    /// A canary of the resolver was fine after it began to fail for this name; `None` where it has none. Never if the
    /// vantage has lost the sight of its control authorities.
    fn is_confirmed(&self, addr: &std::net::SocketAddr, server: &Server, sight: Sight) -> Option<bool> {
        let since = server.bad_since.unwrap_or(Time::MIN);
        let Sight {
            vantage,
            now,
            settings,
            ..
        } = sight;
        if !vantage.has_sight_since(since, now, settings) {
            return Some(false); // a resolver beside the probe fails with the uplink that they share
        }
        vantage.vouches_since(addr, since, now, settings)
    }

    /// Since when nobody at all is heard, if that is so in every family that is asked.
    pub fn deaf_since(&self, sight: Sight) -> Option<Time> {
        let asked = |of: &usize| {
            self.authorities
                .servers
                .keys()
                .any(|server| family(server) == *of)
        };
        let asked: Vec<usize> = [0, 1].into_iter().filter(asked).collect();
        let dark = asked.iter().all(|of| self.is_dark(*of, sight));
        let silences = asked.iter().filter_map(|of| self.silence[*of].since);
        let silent = self.resolvers.servers.values().all(|server| {
            server.last == Report::Silent && (!asked.is_empty() || server.is_down(0, sight.settings))
        });
        let resolvers = self
            .resolvers
            .servers
            .values()
            .filter_map(|server| server.bad_since);
        (dark && silent)
            .then(|| silences.chain(resolvers).max())
            .flatten()
    }

    /// What was seen while blind counts for nothing afterwards.
    pub fn start_anew(&mut self) {
        let servers = self.authorities.servers.values_mut();
        servers
            .chain(self.resolvers.servers.values_mut())
            .for_each(Server::start_anew);
    }
}
