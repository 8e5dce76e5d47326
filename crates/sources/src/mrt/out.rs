//! Inputs on their way out of a decoder.

use netfault_model::{Input, Peer, RibRoute, Time};

use super::origin::Origin;
use super::rib;
use crate::bgp;
use crate::convert::{Converted, Converter};

/// Collects inputs to batches.
pub(super) struct Batches {
    open: Vec<Input>,
    full: Vec<Vec<Input>>,
    size: usize,
}

impl Batches {
    pub(super) fn new(size: usize) -> Self {
        Batches {
            open: Vec::new(),
            full: Vec::new(),
            size: size.max(1),
        }
    }

    pub(super) fn take_full(&mut self) -> Vec<Vec<Input>> {
        std::mem::take(&mut self.full)
    }

    pub(super) fn push(&mut self, input: Input) {
        if self.open.capacity() == 0 {
            self.open.reserve_exact(self.size);
        }
        self.open.push(input);
        if self.open.len() == self.size {
            self.close();
        }
    }

    pub(super) fn close(&mut self) {
        if !self.open.is_empty() {
            self.full.push(std::mem::take(&mut self.open));
        }
    }
}

/// The routes of one RIB record. Of several with broken attributes the first is told, all are counted.
pub(super) struct Routes<'d> {
    origin: &'d Origin,
    converter: &'d mut Converter,
    out: &'d mut Batches,
    at: Time,
    pub(super) count: u64,
    pub(super) fault: Option<(Peer, bgp::Malformed, u64)>,
}

impl<'d> Routes<'d> {
    pub(super) fn new(
        origin: &'d Origin,
        converter: &'d mut Converter,
        out: &'d mut Batches,
        at: Time,
    ) -> Self {
        Routes {
            origin,
            converter,
            out,
            at,
            count: 0,
            fault: None,
        }
    }

    pub(super) fn push(&mut self, entry: &rib::Entry<'_>) {
        let peer = Peer {
            collector: self.origin.collector,
            addr: entry.from.addr,
            asn: entry.from.asn,
        };
        let mut done = Converted::default();
        match rib::path(entry).and_then(|path| self.converter.announcement(&path, &mut done)) {
            Ok(announcement) => {
                self.count += 1;
                let originated = Time::from_secs(i64::from(entry.originated));
                self.out.push(Input::Rib(RibRoute {
                    at: self.at,
                    peer,
                    nlri: entry.nlri,
                    originated,
                    announcement,
                }));
            }
            Err(error) => done.error = Some(error),
        }
        if let Some(error) = done.error {
            let lost = u64::from(error.effect() != bgp::Effect::Attribute);
            self.fault.get_or_insert((peer, error, 0)).2 += lost;
        }
    }
}
