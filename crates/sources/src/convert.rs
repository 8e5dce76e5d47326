//! From a decoded UPDATE to [`Input`], once for every source that carries BGP messages.
//!
//! One UPDATE becomes one `Input::Update` with two allocations: its prefixes and its path. Default
//! routes and odd lengths pass: what counts is for the engine to decide.

use netfault_model::{Announcement, Arrival, Asn, Input, Nlri, Peer, Time, Update};

use crate::bgp::{self, Encoding, Malformed};

/// On which session a message came, and when.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    pub at: Time,
    pub peer: Peer,
    pub arrival: Arrival,
}

/// What was made of one message, besides the inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Converted {
    /// What could not be read; the caller makes a `Gap` of it. At most one is kept, the first.
    pub error: Option<Malformed>,
    /// Routes that were there and could not be used, as far as they could be counted.
    pub lost: u64,
    /// Multiprotocol attributes with routes that are not unicast IPv4 or IPv6.
    pub other_families: u32,
}

impl Converted {
    fn fault(&mut self, error: Malformed, lost: usize) {
        self.error.get_or_insert(error);
        self.lost += lost as u64;
    }
}

/// Turns messages into inputs; keeps its buffers between them.
#[derive(Debug, Default)]
pub struct Converter {
    nlri: Vec<Nlri>,
    path: Vec<Asn>,
}

impl Converter {
    /// One whole BGP message from its marker on. Messages that are no UPDATE give nothing.
    pub fn message(
        &mut self,
        session: Session,
        bytes: &[u8],
        encoding: Encoding,
        emit: &mut impl FnMut(Input),
    ) -> Converted {
        match bgp::Message::parse(bytes) {
            Ok(bgp::Message {
                kind: bgp::Kind::Update,
                body,
            }) => self.update(session, body, encoding, emit),
            Ok(_) => Converted::default(),
            Err(error) => Converted {
                error: Some(error),
                ..Converted::default()
            },
        }
    }

    /// The body of one UPDATE, its 19 octets of header taken off.
    pub fn update(
        &mut self,
        session: Session,
        body: &[u8],
        encoding: Encoding,
        emit: &mut impl FnMut(Input),
    ) -> Converted {
        match bgp::Update::parse(body, encoding) {
            Ok(update) => self.parsed(session, &update, emit),
            Err(error) => Converted {
                error: Some(error),
                ..Converted::default()
            },
        }
    }

    /// An UPDATE that has been parsed, whole or cut.
    pub fn parsed(
        &mut self,
        session: Session,
        update: &bgp::Update<'_>,
        emit: &mut impl FnMut(Input),
    ) -> Converted {
        let mut done = Converted {
            other_families: update.other_families(),
            ..Converted::default()
        };
        self.nlri.clear();
        self.take_withdrawn(update, &mut done);
        let announced_from = self.nlri.len();
        let announcement = self.take_announced(update, &mut done);
        if !self.nlri.is_empty() {
            emit(Input::Update(Update {
                at: session.at,
                peer: session.peer,
                arrival: session.arrival,
                nlri: Box::from(self.nlri.as_slice()),
                announced_from: announced_from as u32,
                announcement,
            }));
        } else if let Some(family) = update.end_of_rib()
            && session.arrival == Arrival::InTime
        {
            emit(Input::EndOfRib {
                at: session.at,
                peer: session.peer,
                family,
            });
        }
        done
    }

    /// Appends the withdrawn prefixes, or none if their encoding breaks off: its beginning may be
    /// misread too, and a withdrawal that nobody sent is worse than one that is missed.
    fn take_withdrawn(&mut self, update: &bgp::Update<'_>, done: &mut Converted) {
        if let Some(error) = update.withdrawal_error() {
            done.fault(error, 0);
        }
        match update.withdrawn().each(|nlri| self.nlri.push(nlri)) {
            Err(error) if !update.is_cut() => {
                done.fault(error, self.nlri.len());
                self.nlri.clear();
            }
            _ => {}
        }
    }

    /// Appends the announced prefixes if all that belongs to them can be read, else none of them.
    fn take_announced(&mut self, update: &bgp::Update<'_>, done: &mut Converted) -> Option<Announcement> {
        let from = self.nlri.len();
        let read = update.announced().each(|nlri| self.nlri.push(nlri)).err();
        let error = update.announcement_error().or(read.filter(|_| !update.is_cut()));
        let count = self.nlri.len() - from;
        if error.is_none() && count == 0 {
            return None;
        }
        let announcement = match (error, update.path()) {
            (Some(error), _) => Err(error),
            (None, None) => Err(Malformed::NoAsPath),
            (None, Some(path)) => self.announcement(&path, done),
        };
        announcement
            .inspect_err(|&error| {
                self.nlri.truncate(from);
                done.fault(error, count);
            })
            .ok()
    }

    pub(crate) fn announcement(
        &mut self,
        path: &bgp::AsPath<'_>,
        done: &mut Converted,
    ) -> Result<Announcement, Malformed> {
        let origin = path.origin()?;
        self.path.clear();
        path.append_to(&mut self.path)?;
        if path.as4_path_is_malformed() {
            done.fault(Malformed::As4Path, 0);
        }
        Ok(Announcement {
            origin,
            path: Box::from(self.path.as_slice()),
        })
    }
}
