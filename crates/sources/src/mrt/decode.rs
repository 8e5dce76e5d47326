//! One file's bytes, in pieces of any size, to inputs.
//!
//! Damage never stops a file: what cannot be read becomes a `Gap` in its place, and reading goes on at
//! the next boundary that three sound records in a row confirm. Memory grows only with bytes that are
//! really there: a record is collected until it is whole, and none may be longer than its type allows.

use std::borrow::Cow;

use netfault_model::{Arrival, Gap, GapSource, Input, Peer, PeerState, SessionState, Time};

use super::bgp4mp::{self, Envelope, FarEnd};
use super::frame::{self, Frame, HEADER_LEN, Record, Search};
use super::origin::Origin;
use super::out::{Batches, Routes};
use super::progress::Counts;
use super::rib::{self, V2};
use super::sound::is_sound;
use crate::bgp;
use crate::convert::{Converted, Converter, Session};

/// State of the session in which routes are exchanged (RFC 4271 §8.2.2).
const ESTABLISHED: u16 = 6;

/// Damage that no good record has ended yet.
#[derive(Debug)]
struct Damage {
    offset: u64,
    reason: Cow<'static, str>,
    /// Bad records, where each was seen to end; `None` if bytes had to be searched.
    lost: Option<u64>,
}

/// A record that could not be read whole, until its end is known to be a boundary.
#[derive(Debug)]
struct Suspect {
    reason: Cow<'static, str>,
    /// Whose record it is, and when, if its envelope tells.
    of: Option<(Peer, Time)>,
    lost: u64,
}

impl Suspect {
    fn new(error: impl ToString, lost: u64) -> Self {
        Suspect {
            reason: Cow::Owned(error.to_string()),
            of: None,
            lost,
        }
    }
}

pub struct Decoder {
    origin: Origin,
    /// The beginning of what is not decoded yet.
    window: Vec<u8>,
    /// Offset of the window in the decompressed file.
    offset: u64,
    /// How long the window must be for decoding to go on.
    need: usize,
    /// Where in the window to look for the next record, after damage.
    searching: Option<usize>,
    suspect: Option<Suspect>,
    /// Time of the last good record.
    last: Option<Time>,
    damage: Option<Damage>,
    /// What an unfinished record at the end means.
    end: Cow<'static, str>,
    /// The peers of the dump.
    peers: Vec<FarEnd>,
    converter: Converter,
    out: Batches,
    counts: Counts,
}

impl Decoder {
    /// Inputs come in batches of `batch`.
    pub fn new(origin: Origin, batch: usize) -> Self {
        Decoder {
            origin,
            window: Vec::new(),
            offset: 0,
            need: 0,
            searching: None,
            suspect: None,
            last: None,
            damage: None,
            end: Cow::Borrowed("stream ends inside a record"),
            peers: Vec::new(),
            converter: Converter::default(),
            out: Batches::new(batch),
            counts: Counts::default(),
        }
    }

    /// Decodes the next bytes of the file.
    pub fn feed(&mut self, mut chunk: &[u8]) {
        while !self.window.is_empty() {
            if chunk.is_empty() {
                return;
            }
            let missing = self.need.saturating_sub(self.window.len()).max(1);
            let wanted = if self.searching.is_some() {
                chunk.len()
            } else {
                missing.min(chunk.len())
            };
            let (now, later) = chunk.split_at(wanted);
            self.window.extend_from_slice(now);
            chunk = later;
            if self.window.len() >= self.need {
                self.run_window(false);
            }
        }
        if !chunk.is_empty() {
            let used = self.run(chunk, false);
            self.window.extend_from_slice(&chunk[used..]);
        }
    }

    /// The file ends here; `cut` says why, if it should have been longer.
    pub fn finish(&mut self, cut: Option<String>) {
        let is_cut = cut.is_some();
        if let Some(reason) = cut {
            self.end = Cow::Owned(reason);
        }
        let was_whole = self.window.is_empty() && self.damage.is_none();
        self.run_window(true);
        if is_cut && was_whole {
            self.note_damage(self.offset, self.end.clone(), None);
        }
        self.end_damage(None);
        self.out.close();
    }

    /// Gives the file up after a bug; what has been decoded so far is kept.
    pub(super) fn abandon(&mut self) {
        self.window.clear();
        self.gap(
            None,
            (self.last, None),
            self.offset,
            "decoder failed (a bug, see stderr)",
            None,
        );
        self.out.close();
    }

    /// The batches that are full; after [`Decoder::finish`], all there is.
    pub fn take_batches(&mut self) -> Vec<Vec<Input>> {
        self.out.take_full()
    }

    /// What has been counted since the last call.
    pub fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }

    fn run_window(&mut self, at_eof: bool) {
        let mut window = std::mem::take(&mut self.window);
        let used = self.run(&window, at_eof);
        window.drain(..used);
        self.window = window;
    }

    /// Decodes all records that are whole; says how many bytes are done with. At the end of the file
    /// these are all.
    fn run(&mut self, data: &[u8], at_eof: bool) -> usize {
        let mut at = 0;
        let base = self.offset;
        loop {
            let rest = &data[at..];
            if let Some(from) = self.searching {
                match frame::search(rest, from, at_eof, self.last, is_sound) {
                    Search::Found(start) => {
                        self.searching = None;
                        at += start;
                    }
                    Search::Need { .. } if at_eof => {
                        self.searching = None;
                        at = data.len();
                        break;
                    }
                    Search::Need { from, bytes } => {
                        self.searching = Some(0);
                        self.need = bytes - from;
                        at += from;
                        break;
                    }
                }
                continue;
            }
            self.offset = base + at as u64;
            match frame::frame(rest) {
                Frame::Record(record) => match self.take_record(&record, rest, at_eof) {
                    Taken::Next => at += record.size,
                    Taken::Search => self.searching = Some(1),
                    Taken::Need(bytes) => {
                        self.need = bytes;
                        break;
                    }
                },
                Frame::Need(_) if at_eof && rest.is_empty() => break,
                Frame::Need(_) if at_eof => {
                    self.note_damage(self.offset, self.end.clone(), None);
                    self.searching = Some(1);
                }
                Frame::Need(bytes) => {
                    self.need = bytes;
                    break;
                }
                Frame::Damaged(reason) => {
                    self.note_damage(self.offset, Cow::Borrowed(reason), None);
                    self.searching = Some(1);
                }
            }
        }
        self.offset = base + at as u64;
        at
    }

    /// One record whose bytes are all there.
    fn take_record(&mut self, record: &Record<'_>, rest: &[u8], at_eof: bool) -> Taken {
        if self.suspect.is_none() {
            match self.record(record) {
                Ok(()) => return Taken::Next,
                Err(suspect) => self.suspect = Some(suspect),
            }
        }
        let Some(is_followed) = frame::is_followed(rest, record.size, at_eof, self.last.or(Some(record.at)))
        else {
            return Taken::Need(record.size + HEADER_LEN);
        };
        match self.suspect.take() {
            Some(Suspect {
                reason,
                of: Some((peer, at)),
                ..
            }) if is_followed => {
                self.good_record(at);
                self.salvage(record);
                self.gap(Some(peer), (Some(at), Some(at)), self.offset, &reason, None);
            }
            Some(suspect) => {
                self.note_damage(self.offset, suspect.reason, is_followed.then_some(suspect.lost))
            }
            None => {}
        }
        if is_followed { Taken::Next } else { Taken::Search }
    }

    fn record(&mut self, record: &Record<'_>) -> Result<(), Suspect> {
        match record.header.kind {
            frame::TYPE_BGP | frame::TYPE_BGP4MP | frame::TYPE_BGP4MP_ET => self.message(record),
            frame::TYPE_TABLE_DUMP => self.table_dump(record),
            frame::TYPE_TABLE_DUMP_V2 => self.table_dump_v2(record),
            kind => Err(Suspect::new(format_args!("unsupported record type {kind}"), 1)),
        }
    }

    fn message(&mut self, record: &Record<'_>) -> Result<(), Suspect> {
        let envelope = bgp4mp::envelope(record).map_err(|error| Suspect::new(error, 1))?;
        let suspect = |from, error: bgp::Malformed| Suspect {
            of: Some(from),
            ..Suspect::new(error, 1)
        };
        match envelope {
            Envelope::Bad { from, error } => return Err(suspect((self.peer(from), record.at), error)),
            Envelope::Cut { from, .. } => {
                return Err(suspect((self.peer(from), record.at), bgp::Malformed::Length));
            }
            _ => {}
        }
        self.good_record(record.at);
        match envelope {
            Envelope::Update { from, encoding, body } => {
                self.counts.updates += 1;
                let session = self.session(from, record.at);
                let out = &mut self.out;
                let converted = self
                    .converter
                    .update(session, body, encoding, &mut |input| out.push(input));
                self.account(session, &converted);
            }
            Envelope::StateChange { from, new, .. } => {
                self.counts.state_changes += 1;
                if self.arrival(record.at) != Arrival::InTime {
                    self.counts.state_changes_mistimed += 1;
                    return Ok(());
                }
                let state = if new == ESTABLISHED {
                    SessionState::Up
                } else {
                    SessionState::Down
                };
                let peer = self.peer(from);
                self.out.push(Input::Peer(PeerState {
                    at: record.at,
                    peer,
                    state,
                }));
            }
            Envelope::Bad { .. } | Envelope::Cut { .. } => {} // returned above
            Envelope::Other => self.counts.other_messages += 1,
            Envelope::Local => self.counts.local_messages += 1,
        }
        Ok(())
    }

    /// What is left of an UPDATE whose end is missing.
    fn salvage(&mut self, record: &Record<'_>) {
        if let Ok(Envelope::Cut { from, encoding, body }) = bgp4mp::envelope(record) {
            let session = self.session(from, record.at);
            let update = bgp::Update::parse_cut(body, encoding);
            let out = &mut self.out;
            // Its faults are those of the cut, which is told.
            self.converter
                .parsed(session, &update, &mut |input| out.push(input));
        }
    }

    fn session(&self, from: FarEnd, at: Time) -> Session {
        Session {
            at,
            peer: self.peer(from),
            arrival: self.arrival(at),
        }
    }

    fn arrival(&self, at: Time) -> Arrival {
        let interval = self.origin.interval;
        interval.map_or(Arrival::InTime, |interval| interval.judge(at))
    }

    fn table_dump(&mut self, record: &Record<'_>) -> Result<(), Suspect> {
        let mut routes = Routes::new(&self.origin, &mut self.converter, &mut self.out, record.at);
        let result = rib::v1_entries(record.header.subtype, record.body, |entry| routes.push(&entry));
        let fault = routes.fault;
        self.counts.rib_routes += routes.count;
        self.end_rib_record(record, fault);
        result.map_err(|error| Suspect::new(error, 1))
    }

    fn table_dump_v2(&mut self, record: &Record<'_>) -> Result<(), Suspect> {
        let unknown = || Suspect::new("unsupported record subtype", 1);
        match V2::of(record.header.subtype).ok_or_else(unknown)? {
            V2::PeerIndex => {
                self.peers = rib::peer_index(record.body).map_err(|error| Suspect::new(error, 1))?;
                self.good_record(record.at);
                Ok(())
            }
            V2::Unicast { family, add_path } => {
                let mut routes = Routes::new(&self.origin, &mut self.converter, &mut self.out, record.at);
                let result = rib::v2_entries(record.body, family, add_path, &self.peers, |entry| {
                    routes.push(&entry)
                });
                let fault = routes.fault;
                self.counts.rib_routes += routes.count;
                self.end_rib_record(record, fault);
                result.map_err(|(error, lost)| Suspect::new(error, lost))
            }
            V2::Other => {
                self.counts.other_families += 1;
                self.good_record(record.at);
                Ok(())
            }
        }
    }

    /// Damage before a RIB record ends with it; a fault in its attributes is a `Gap` of its own.
    fn end_rib_record(&mut self, record: &Record<'_>, fault: Option<(Peer, bgp::Malformed, u64)>) {
        self.good_record(record.at);
        if let Some((peer, error, lost)) = fault {
            self.gap_of(peer, record.at, error, lost);
        }
    }

    fn account(&mut self, session: Session, converted: &Converted) {
        self.counts.other_families += u64::from(converted.other_families);
        if let Some(error) = converted.error {
            self.gap_of(session.peer, session.at, error, converted.lost);
        }
    }

    fn gap_of(&mut self, peer: Peer, at: Time, error: bgp::Malformed, lost: u64) {
        let lost = if error.effect() == bgp::Effect::Attribute {
            Some(0)
        } else {
            Some(lost).filter(|&n| n > 0)
        };
        self.gap(
            Some(peer),
            (Some(at), Some(at)),
            self.offset,
            &error.to_string(),
            lost,
        );
    }

    /// A hole, in its place in the stream.
    fn gap(
        &mut self,
        peer: Option<Peer>,
        (from, to): (Option<Time>, Option<Time>),
        offset: u64,
        reason: &str,
        lost: Option<u64>,
    ) {
        self.counts.gaps += 1;
        self.out.push(Input::Gap(Box::new(Gap {
            at: from.or(self.origin.starts).or(to).unwrap_or_default(),
            source: GapSource::Mrt,
            collector: Some(self.origin.collector),
            peer,
            from,
            to,
            offset: Some(offset),
            reason: Cow::Owned(format!("{reason} in {}", self.origin.file)),
            lost,
        })));
    }

    fn peer(&self, from: FarEnd) -> Peer {
        Peer {
            collector: self.origin.collector,
            addr: from.addr,
            asn: from.asn,
        }
    }

    fn good_record(&mut self, at: Time) {
        self.counts.records += 1;
        if self.damage.is_some() {
            self.end_damage(Some(at));
        }
        self.last = Some(at);
    }

    fn note_damage(&mut self, offset: u64, reason: Cow<'static, str>, lost: Option<u64>) {
        match &mut self.damage {
            Some(damage) => damage.lost = damage.lost.zip(lost).map(|(a, b)| a + b),
            None => self.damage = Some(Damage { offset, reason, lost }),
        }
    }

    fn end_damage(&mut self, next: Option<Time>) {
        if let Some(damage) = self.damage.take() {
            self.gap(
                None,
                (self.last, next),
                damage.offset,
                &damage.reason,
                damage.lost,
            );
        }
    }
}

enum Taken {
    Next,
    Search,
    Need(usize),
}
