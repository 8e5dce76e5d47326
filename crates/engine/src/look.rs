//! Looks at one prefix: who holds it for long enough to be in its baseline, what the votes are, which edges
//! that means, and when to look again.

use std::cmp::Ordering;

use netfault_model::{Baseline, Cover, Output, State, Subject, Time, Transition};

use crate::Engine;
use crate::peers::Tally;
use crate::prefix::{self, Episode, Verdict};
use crate::settings::secs;
use crate::table::bits::{self, Slot};
use crate::table::{Entry, Interest, Row, earliest};

/// Withdrawals of routes that had never been seen, below which no baseline is inferred: at most 2 % of them are
/// spurious (FIELD-FACTS), and three at once are not.
const UNSEEN: usize = 3;
/// Losses further apart than this do not belong to one episode. The same span groups incidents (DESIGN section 7).
const EPISODE_GAP: i64 = 300_000_000;

/// A count of votes, and what it was counted over.
#[derive(Clone, Copy)]
struct Count {
    tally: Tally,
    baseline: Baseline,
}

impl Engine {
    pub(crate) fn look(&mut self, row: Row) {
        self.table.entry_mut(row).touched = false;
        if self.table.entry(row).interest == Interest::Evidence {
            return;
        }
        self.age(row);
        let mut due = self.judge(row);
        if due.settled {
            // Normal again: the baseline thaws, and the votes are counted over it anew.
            self.age(row);
            due = self.judge(row);
        }
        self.schedule(row, due.at);
    }

    /// A baseline grows and shrinks only while nothing is wrong.
    pub(crate) fn frozen(&self, row: Row) -> bool {
        !matches!(
            self.table.entry(row).state,
            State::Unknown | State::Normal | State::Gone
        )
    }

    /// Lets holds mature into the baseline and old ones expire from it.
    fn age(&mut self, row: Row) {
        let frozen = self.frozen(row);
        let now = self.now;
        let Some(mut marks) = self.table.entry_mut(row).marks.take() else {
            return;
        };
        let grown_before = now.plus_micros(-secs(self.settings.held_for_s));
        let mut grown: Vec<Slot> = Vec::new();
        marks.young.mature(grown_before, |voter| grown.push(voter));
        for voter in grown {
            marks.losses.retain(|loss| loss.voter != voter);
            if !frozen {
                self.table.enter_base(row, voter);
            }
        }
        if !frozen && !marks.losses.is_empty() {
            let expired_before = now.plus_micros(-secs(self.settings.held_within_s));
            marks.losses.retain(|loss| {
                let last = if loss.matured == Time::MIN {
                    loss.at
                } else {
                    loss.matured
                };
                let expired = last <= expired_before;
                if expired {
                    self.table.leave_base(row, loss.voter);
                } else if loss.matured != Time::MIN {
                    self.table.enter_base(row, loss.voter);
                }
                !expired
            });
        }
        if !marks.is_empty() || marks.due.is_some() {
            self.table.entry_mut(row).marks = Some(marks);
        }
    }

    /// Counts the votes. `None` without enough of them.
    fn count(&mut self, row: Row) -> Option<Count> {
        let entry = self.table.entry(row);
        let held = u32::from(entry.eligible);
        let may_infer = held < self.settings.min_peers || entry.inferred;
        let inferred = if may_infer { self.infer(row) } else { None };
        let (has, base) = (self.table.has(row), self.table.base(row));
        let covers = |heard: u32| f64::from(held) >= self.settings.inferred_min_share * f64::from(heard);
        let count = match inferred {
            Some(tally) if held < self.settings.min_peers || !covers(tally.eligible) => Count {
                tally,
                baseline: Baseline::Inferred,
            },
            _ if held >= self.settings.min_peers => Count {
                tally: self.peers.tally(row, has, base),
                baseline: Baseline::Held,
            },
            _ => return None,
        };
        self.table.entry_mut(row).inferred = count.baseline == Baseline::Inferred;
        (count.tally.known() >= self.settings.min_known).then_some(count)
    }

    /// Without a baseline: the ASes heard on this prefix, if their own withdrawals prove that they held it.
    fn infer(&mut self, row: Row) -> Option<Tally> {
        let entry = self.table.entry(row);
        let marks = entry.marks.as_deref()?;
        if !entry.inferred && marks.losses.iter().filter(|loss| loss.unseen).count() < UNSEEN {
            return None;
        }
        let family = entry.prefix.family();
        let mut heard = self.peers.voters_having(self.table.has(row));
        marks.losses.iter().for_each(|loss| {
            bits::set(&mut heard, loss.voter);
        });
        let eligible = bits::count(&heard);
        if eligible < self.settings.inferred_min_peers {
            return None;
        }
        let needed = self.settings.inferred_min_share * f64::from(self.peers.full_feeds(family, self.now));
        (f64::from(eligible) >= needed).then(|| self.peers.tally(row, self.table.has(row), &heard))
    }

    /// Takes the edges that the votes mean.
    fn judge(&mut self, row: Row) -> Due {
        let count = self.count(row);
        let first_quorum = matches!(self.table.entry(row).state, State::Unknown | State::Gone);
        if first_quorum && !self.first_quorum(row, count) {
            return Due::default();
        }
        let burst_until = count.and_then(|count| self.burst(row, count.tally));
        let verdict = count.map(|count| Verdict {
            tally: count.tally,
            burst_until,
        });
        if !self.needs_episode(row, verdict.as_ref()) {
            return Due::default();
        }
        let settled = |entry: &Entry| {
            let episode = entry.marks.as_ref().and_then(|marks| marks.episode.as_ref());
            episode.is_none_or(|episode| entry.state == State::Normal && episode.is_quiet())
        };
        let begins = settled(self.table.entry(row)).then(|| self.first_evidence(row));
        let watched = self.table.entry(row).interest == Interest::Watched;
        let entry = self.table.entry_mut(row);
        let (origin, mut state) = (entry.origin(), entry.state);
        let marks = entry.marks_mut();
        let mut episode = marks
            .episode
            .take()
            .unwrap_or_else(|| Box::new(Episode::new(self.now, origin)));
        if let Some(first_evidence) = begins {
            episode.first_evidence = first_evidence;
            episode.origin = origin;
        }
        let before = state;
        let step = prefix::step(
            &self.settings,
            &mut state,
            &mut episode,
            verdict.as_ref(),
            self.now,
        );
        let told: Vec<Output> = step
            .edges
            .iter()
            .filter_map(|&edge| self.tell(row, edge, &episode, count, watched))
            .collect();
        self.pending.extend(told);
        let over = state == State::Normal && episode.is_quiet() && !episode.hidden;
        let entry = self.table.entry_mut(row);
        entry.state = state;
        if !over || watched {
            entry.marks_mut().episode = Some(episode);
        }
        match over && !watched {
            true => self.active.remove(&row),
            false => self.active.insert(row),
        };
        if state == State::Gone && before != State::Gone {
            self.accept_loss(row);
        }
        Due {
            at: step.due,
            settled: state == State::Normal && before != State::Normal,
        }
    }

    /// Unknown (or Gone) and never judged: the first quorum that sees it makes it Normal.
    fn first_quorum(&mut self, row: Row, count: Option<Count>) -> bool {
        let Some(count) = count else {
            if u32::from(self.table.entry(row).eligible) >= self.settings.min_peers {
                self.active.insert(row);
            }
            return false;
        };
        // Withdrawals of routes never seen prove that they had been there: the fall is judged from here on.
        if count.tally.rising() < self.settings.normal_at && count.baseline == Baseline::Held {
            self.active.insert(row);
            return false;
        }
        let from = std::mem::replace(&mut self.table.entry_mut(row).state, State::Normal);
        let watched = self.table.entry(row).interest == Interest::Watched;
        let episode = Episode::new(self.now, self.table.entry(row).origin());
        let told = self.tell(row, (from, State::Normal), &episode, Some(count), watched);
        self.pending.extend(told);
        if !watched {
            self.active.remove(&row);
        }
        true
    }

    fn needs_episode(&self, row: Row, verdict: Option<&Verdict>) -> bool {
        let entry = self.table.entry(row);
        if entry.interest == Interest::Watched || entry.state != State::Normal {
            return true;
        }
        if entry.marks.as_ref().is_some_and(|marks| marks.episode.is_some()) {
            return true;
        }
        verdict.is_some_and(|v| v.tally.falling() < self.settings.degrading_below || v.burst_until.is_some())
    }

    /// Until when the losses of the last minute make a burst, if they do now.
    fn burst(&self, row: Row, tally: Tally) -> Option<Time> {
        let share = (self.settings.burst_share * f64::from(tally.eligible)).ceil() as usize;
        let needed = share.max(self.settings.burst_peers as usize).max(1);
        let marks = self.table.entry(row).marks.as_deref()?;
        if marks.losses.len() < needed {
            return None;
        }
        let window = secs(self.settings.burst_within_s);
        let (base, has) = (self.table.base(row), self.table.has(row));
        let inferred = self.table.entry(row).inferred;
        let lately = || {
            let lost = marks
                .losses
                .iter()
                .filter(|loss| loss.at != Time::MAX && self.now.since(loss.at) < window);
            lost.filter(|loss| inferred || bits::get(base, loss.voter))
                .filter(|loss| !self.peers.voter_has(loss.voter, has))
                .map(|loss| loss.at)
        };
        if lately().count() < needed {
            return None;
        }
        let mut recent: Vec<Time> = lately().collect();
        recent.sort_unstable();
        Some(recent[recent.len() - needed].plus_micros(window))
    }

    /// The first of the losses that led here: back from the newest one, as long as they are close together.
    fn first_evidence(&self, row: Row) -> Time {
        let Some(marks) = &self.table.entry(row).marks else {
            return self.now;
        };
        let mut times: Vec<Time> = marks
            .losses
            .iter()
            .map(|loss| loss.at)
            .filter(|&at| at <= self.now)
            .collect();
        times.sort_unstable_by(|a, b| b.cmp(a));
        let Some(&newest) = times.first() else {
            return self.now;
        };
        let close = times
            .windows(2)
            .take_while(|pair| pair[0].since(pair[1]) <= EPISODE_GAP);
        close.last().map_or(newest, |pair| pair[1])
    }

    /// The loss has lasted so long that it is the new normal: the baseline begins anew.
    fn accept_loss(&mut self, row: Row) {
        self.table.clear_base(row);
        let voters = self.peers.voters_having(self.table.has(row));
        let entry = self.table.entry_mut(row);
        entry.inferred = false;
        if let Some(marks) = &mut entry.marks {
            marks.losses.clear();
            marks.episode = None;
        }
        let held: Vec<Slot> = bits::slots(&voters)
            .filter(|&voter| {
                entry
                    .marks
                    .as_ref()
                    .is_none_or(|marks| !marks.young.contains(voter))
            })
            .collect();
        held.into_iter().for_each(|voter| {
            self.table.enter_base(row, voter);
        });
    }

    /// Makes sure that the row is looked at when its next hold, maturity or expiry is due.
    fn schedule(&mut self, row: Row, hold: Option<Time>) {
        let frozen = self.frozen(row);
        let (held_for, held_within) = (secs(self.settings.held_for_s), secs(self.settings.held_within_s));
        let now = self.now;
        let entry = self.table.entry_mut(row);
        let Some(marks) = &mut entry.marks else { return };
        let matures = marks.young.oldest().map(|since| since.plus_micros(held_for));
        let expires = marks.losses.iter().filter(|_| !frozen).map(|loss| {
            if loss.matured == Time::MIN {
                loss.at
            } else {
                loss.matured
            }
            .plus_micros(held_within)
        });
        let next = earliest([matures, expires.min(), hold]).filter(|&next| next > now && next != Time::MAX);
        if let Some(next) = next
            && marks.due.is_none_or(|due| next < due)
        {
            marks.due = Some(next);
            self.deadlines.add(next, row);
        } else if marks.is_empty() && marks.due.is_none() {
            entry.marks = None;
        }
    }

    /// Writes an edge down, if it is one to be written.
    fn tell(
        &self,
        row: Row,
        (from, to): (State, State),
        episode: &Episode,
        count: Option<Count>,
        watched: bool,
    ) -> Option<Output> {
        // Whether an untroubled prefix is known yet, or at the moment, is of interest only if it is watched.
        let learning = matches!(
            (from, to),
            (State::Unknown, State::Normal) | (State::Normal, State::Unknown)
        );
        if learning && !watched {
            return None;
        }
        let entry = self.table.entry(row);
        let tally = count
            .map(|count| count.tally)
            .unwrap_or_else(|| self.peers.tally(row, self.table.has(row), self.table.base(row)));
        let rises = matches!(to, State::Normal | State::Recovering);
        let share = if rises { tally.rising() } else { tally.falling() };
        let baseline = if entry.inferred {
            Baseline::Inferred
        } else {
            Baseline::Held
        };
        Some(Output::Transition(Box::new(Transition {
            subject: Subject::Prefix {
                prefix: entry.prefix,
                origin: episode.origin,
            },
            from,
            to,
            at: self.now,
            first_evidence_at: episode.first_evidence.min(self.now),
            visibility: (tally.eligible > 0).then(|| (share * 100.0).round() / 100.0),
            peers_seen: Some(tally.seen),
            peers_lost: Some(tally.lost()),
            peers_unknown: Some(tally.unknown),
            peers_eligible: Some(tally.eligible),
            baseline: (tally.eligible > 0).then_some(baseline),
            cover: Some(self.cover(row, episode)),
            finding: None,
            servers_ok: None,
            servers_eligible: None,
            resolvers_ok: None,
            resolvers_eligible: None,
            watched,
            beacon: false,
            healed: false,
            evidence: None,
        })))
    }

    /// A less-specific route that is still there.
    fn cover(&self, row: Row, episode: &Episode) -> Cover {
        let needed = self.settings.cover_peers;
        let seen = |row| {
            let has = self.table.has(row);
            self.peers.tally(row, has, &self.peers.voters_having(has)).seen >= needed
        };
        match self.table.cover(self.table.entry(row).prefix, seen) {
            None => Cover::None,
            Some(cover) if self.table.entry(cover).origin() == episode.origin => Cover::SameOrigin,
            Some(_) => Cover::OtherOrigin,
        }
    }
}

#[derive(Default)]
struct Due {
    at: Option<Time>,
    /// The prefix has become Normal by this look.
    settled: bool,
}

/// Order of outputs of one kind at one instant.
pub(crate) fn subject_order(a: &Output, b: &Output) -> Ordering {
    match (a, b) {
        // Several edges of one subject stay in their order: the sort is stable.
        (Output::Transition(a), Output::Transition(b)) => a.subject.cmp(&b.subject),
        (Output::Incident(a), Output::Incident(b)) => (a.id, a.version).cmp(&(b.id, b.version)),
        (Output::Notable(a), Output::Notable(b)) => (a.what, &a.subject, a.id).cmp(&(b.what, &b.subject, b.id)),
        (Output::Feed(a), Output::Feed(b)) => (a.collector, a.peer).cmp(&(b.collector, b.peer)),
        (Output::Gap(a), Output::Gap(b)) => {
            (a.source, a.collector, a.peer, a.offset).cmp(&(b.source, b.collector, b.peer, b.offset))
        }
        _ => Ordering::Equal,
    }
}
