//! Frames to inputs. Pure: no socket, no clock; `now` is an argument.
//!
//! Every message that is lost here, or that cannot be read, ends up in a `Gap`; see [`Decoder`] for which.

use std::borrow::Cow;
use std::sync::Arc;

use netfault_model::{
    Arrival, Collector, Gap, GapSource, Input, Peer, PeerState, SessionState, Time, Update,
};

use super::config::Lateness;
use super::frame::{self, Frame, Message};
use super::gaps::Gaps;
use super::seen::{self, Seen};
use super::stamp;
use super::stats::Stats;
use super::update::{self, Routes};

/// Behind the clock by more than this is late (DESIGN section 3).
const LATE: i64 = 300 * 1_000_000;
/// Ahead of the clock by more than this is early (DESIGN section 3).
const EARLY: i64 = 60 * 1_000_000;
/// A drop is told after this, if no message comes that could say until when it lasted.
const PATIENCE: i64 = 1_000_000;
/// Bytes of foreign text that are quoted in a gap.
const QUOTED: usize = 200;

/// The state between frames: time of the last message, recent ids, gaps that are still open.
///
/// | what | gap |
/// |---|---|
/// | the connection broke | one at the break (`from` = last message), one with the first message after it (`to`) |
/// | frames dropped because we were slow | one, `lost` = how many, between the messages around them |
/// | frame or field that cannot be read, binary or too long frame, `ris_error` | one per second and cause, `lost` = how many |
/// | time stamp late or early | the same; the update itself is delivered with its verdict, a STATE or End-of-RIB is not |
#[derive(Debug)]
pub struct Decoder {
    lateness: Lateness,
    seen: Seen,
    gaps: Gaps,
    /// Stamp of the last message in time.
    last: Option<Time>,
    broken: Option<String>,
    /// Frames dropped that no gap has told yet, and since when.
    dropped: Option<(u64, Time)>,
    stats: Arc<Stats>,
}

impl Decoder {
    /// `window`: how many messages back a duplicate is recognised.
    pub fn new(lateness: Lateness, window: usize, stats: Arc<Stats>) -> Self {
        Decoder {
            lateness,
            seen: Seen::new(window),
            gaps: Gaps::default(),
            last: None,
            broken: None,
            dropped: None,
            stats,
        }
    }

    /// One text frame.
    pub fn text(&mut self, text: &str, now: Time, out: &mut Vec<Input>) {
        match frame::parse(text) {
            Ok(Frame::Message(message)) => {
                if let Err(reason) = self.message(&message, text, now, out) {
                    self.unreadable(reason, collector(&message), now, out);
                }
            }
            Ok(Frame::Error(message)) => {
                self.stats.errors.add(1);
                tracing::warn!(%message, "RIS Live says there is an error");
                let reason = format!("RIS Live error: {}", quoted(&message));
                self.count(reason.into(), None, now, out);
            }
            Ok(Frame::Subscribed) => self.stats.acknowledged.add(1),
            Ok(Frame::Pong) => self.stats.pongs.add(1),
            Ok(Frame::Other) => self.stats.ignored.add(1),
            Err(_) => self.unreadable("frame that is no RIS Live JSON", None, now, out),
        }
    }

    /// A binary frame: RIS Live has none.
    pub fn binary(&mut self, now: Time, out: &mut Vec<Input>) {
        self.stats.binary.add(1);
        self.count("binary frame".into(), None, now, out);
    }

    /// A frame above the limit.
    pub fn too_long(&mut self, now: Time, out: &mut Vec<Input>) {
        self.stats.oversize.add(1);
        self.count("frame too long".into(), None, now, out);
    }

    /// `lost` frames were dropped before the next one.
    pub fn dropped(&mut self, lost: u64, now: Time) {
        let (before, since) = self.dropped.unwrap_or((0, now));
        self.dropped = Some((before + lost, since));
    }

    /// The connection broke.
    pub fn broken(&mut self, reason: &str, now: Time, out: &mut Vec<Input>) {
        self.tell_dropped(None, now, out);
        self.tell_counted(now, out);
        let reason = format!("connection lost: {}", quoted(reason));
        if let Some(at) = self.place(now) {
            let gap = Gap {
                from: self.last,
                ..blank(at, reason.clone().into())
            };
            self.emit(gap, out);
        }
        self.broken = Some(reason);
    }

    /// Tells gaps that have waited for long enough.
    pub fn tick(&mut self, now: Time, out: &mut Vec<Input>) {
        if self
            .dropped
            .is_some_and(|(_, since)| now.since(since) >= PATIENCE)
        {
            self.tell_dropped(None, now, out);
        }
        if let Some(last) = self.place(now) {
            let due = self.gaps.due(last, now);
            due.into_iter().for_each(|gap| self.emit(gap, out));
        }
    }

    /// Tells every open gap: nothing more will come.
    pub fn finish(&mut self, now: Time, out: &mut Vec<Input>) {
        self.tell_dropped(None, now, out);
        self.tell_counted(now, out);
    }

    /// True if [`tick`](Self::tick) has something to wait for.
    pub fn is_waiting(&self) -> bool {
        self.dropped.is_some() || !self.gaps.is_empty()
    }

    fn message(
        &mut self,
        message: &Message,
        text: &str,
        now: Time,
        out: &mut Vec<Input>,
    ) -> Result<(), &'static str> {
        let kind = message.kind.as_ref().ok_or("message without type")?.as_str();
        let at = message
            .timestamp
            .and_then(|raw| stamp::parse(raw.get()))
            .ok_or("message without time")?;
        let is_state = match kind {
            "UPDATE" => false,
            // The documents say one, the service sends the other.
            "STATE" | "RIS_PEER_STATE" => true,
            _ => {
                self.stats.ignored.add(1);
                if self.judge(at, now) == Arrival::InTime {
                    self.in_time(at, now, out);
                }
                return Ok(());
            }
        };
        let peer = peer(message)?;
        if !self
            .seen
            .is_new(seen::key(message.id.as_ref().map(|id| id.as_str()), text))
        {
            self.stats.duplicates.add(1);
            return Ok(());
        }
        let arrival = self.judge(at, now);
        match arrival {
            Arrival::InTime => self.in_time(at, now, out),
            Arrival::Late => self.untimely("late time stamp", peer.collector, now, out),
            Arrival::Early => self.untimely("early time stamp", peer.collector, now, out),
        }
        if is_state {
            self.state(
                PeerState {
                    at,
                    peer,
                    state: session(message)?,
                },
                arrival,
                out,
            );
            return Ok(());
        }
        let routes = update::read(message, peer.addr)?;
        self.update(routes, at, peer, arrival, now, out);
        Ok(())
    }

    fn state(&self, state: PeerState, arrival: Arrival, out: &mut Vec<Input>) {
        self.stats.states.add(1);
        // A session state of another day says nothing about the session now.
        if arrival == Arrival::InTime {
            out.push(Input::Peer(state));
        }
    }

    fn update(
        &mut self,
        routes: Routes,
        at: Time,
        peer: Peer,
        arrival: Arrival,
        now: Time,
        out: &mut Vec<Input>,
    ) {
        for _ in 0..routes.unreadable {
            self.unreadable("prefix that cannot be read", Some(peer.collector), now, out);
        }
        if let Some(family) = routes.end_of_rib {
            self.stats.end_of_rib.add(1);
            if arrival == Arrival::InTime {
                out.push(Input::EndOfRib { at, peer, family });
            }
        }
        if routes.nlri.is_empty() {
            if routes.end_of_rib.is_none() && routes.unreadable == 0 {
                self.stats.empty.add(1);
            }
            return;
        }
        self.stats.updates.add(1);
        out.push(Input::Update(Update {
            at,
            peer,
            arrival,
            nlri: routes.nlri,
            announced_from: routes.announced_from,
            announcement: routes.announcement,
        }));
    }

    fn judge(&self, at: Time, now: Time) -> Arrival {
        match self.lateness {
            Lateness::Trust => Arrival::InTime,
            Lateness::Judge if now.since(at) > LATE => Arrival::Late,
            Lateness::Judge if at.since(now) > EARLY => Arrival::Early,
            Lateness::Judge => Arrival::InTime,
        }
    }

    /// A message in time: what was open before it ends with it.
    fn in_time(&mut self, at: Time, now: Time, out: &mut Vec<Input>) {
        if let Some(reason) = self.broken.take() {
            let reason = Cow::Owned(format!("connected again; {reason}"));
            let to = Some(self.last.map_or(at, |last| last.max(at)));
            let gap = Gap {
                from: self.last,
                to,
                ..blank(at, reason)
            };
            self.emit(gap, out);
        }
        self.tell_dropped(Some(at), now, out);
        let last = self.last.map_or(at, |last| last.max(at));
        self.last = Some(last);
        self.stats.last_message_at.set(last.micros().max(0) as u64);
        self.tick(now, out);
    }

    fn untimely(&mut self, reason: &'static str, collector: Collector, now: Time, out: &mut Vec<Input>) {
        let counter = if reason.starts_with("late") {
            &self.stats.late
        } else {
            &self.stats.early
        };
        counter.add(1);
        self.count(reason.into(), Some(collector), now, out);
    }

    fn unreadable(
        &mut self,
        reason: &'static str,
        collector: Option<Collector>,
        now: Time,
        out: &mut Vec<Input>,
    ) {
        self.stats.garbage.add(1);
        self.count(reason.into(), collector, now, out);
    }

    fn count(
        &mut self,
        reason: Cow<'static, str>,
        collector: Option<Collector>,
        now: Time,
        out: &mut Vec<Input>,
    ) {
        let at = self.place(now).unwrap_or(now);
        if let Some(gap) = self.gaps.count(reason, collector, at, now) {
            self.emit(gap, out);
        }
        self.tick(now, out);
    }

    fn tell_dropped(&mut self, to: Option<Time>, now: Time, out: &mut Vec<Input>) {
        let Some(at) = self.place(now).or(to) else { return };
        let Some((lost, _)) = self.dropped.take() else {
            return;
        };
        let to = to.map(|to| to.max(at));
        let reason = Cow::Borrowed("reader too slow, queue full");
        self.emit(
            Gap {
                from: self.last,
                to,
                lost: Some(lost),
                ..blank(at, reason)
            },
            out,
        );
    }

    fn tell_counted(&mut self, now: Time, out: &mut Vec<Input>) {
        if let Some(last) = self.place(now) {
            let all = self.gaps.all(last);
            all.into_iter().for_each(|gap| self.emit(gap, out));
        }
    }

    /// Where in the stream a gap stands: at the last message; before the first one, now. When stamps are
    /// trusted the clock has nothing to do with the stream, so then a gap waits for the first message.
    fn place(&self, now: Time) -> Option<Time> {
        self.last.or((self.lateness == Lateness::Judge).then_some(now))
    }

    fn emit(&self, gap: Gap, out: &mut Vec<Input>) {
        self.stats.gaps.add(1);
        tracing::debug!(reason = %gap.reason, lost = gap.lost, "RIS Live gap");
        out.push(Input::Gap(Box::new(gap)));
    }
}

fn blank(at: Time, reason: Cow<'static, str>) -> Gap {
    Gap {
        at,
        source: GapSource::RisLive,
        collector: None,
        peer: None,
        from: None,
        to: None,
        offset: None,
        reason,
        lost: None,
    }
}

/// `rrc21.ripe.net` is the collector `rrc21`.
fn collector(message: &Message) -> Option<Collector> {
    let host = message.host.as_ref()?.as_str();
    let name = host.strip_suffix(".ripe.net").unwrap_or(host);
    (!name.is_empty()).then(|| Collector::new(name))
}

fn peer(message: &Message) -> Result<Peer, &'static str> {
    let collector = collector(message).ok_or("message without host")?;
    let addr = message.peer.as_ref().and_then(|peer| peer.as_str().parse().ok());
    let asn = message.peer_asn.ok_or("message without peer_asn")?;
    Ok(Peer {
        collector,
        addr: addr.ok_or("peer address that cannot be read")?,
        asn: netfault_model::Asn(asn.0),
    })
}

/// `connected` and `up` both mean that the old session is over and a new table comes.
fn session(message: &Message) -> Result<SessionState, &'static str> {
    match message.state.as_ref().map(|state| state.as_str()) {
        Some("connected" | "up") => Ok(SessionState::Up),
        Some("down") => Ok(SessionState::Down),
        _ => Err("session state that is not known"),
    }
}

fn quoted(text: &str) -> &str {
    let mut end = text.len().min(QUOTED);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
