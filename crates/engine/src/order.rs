//! Puts inputs into the order of their own time (DESIGN section 3).
//!
//! Inputs wait until the newest time seen is more than the window ahead of them. All inputs of one
//! microsecond form an [`Instant`]; inside it they are ordered by (collector, peer, arrival), so that the
//! interleaving of peers within the window cannot change an answer.

use std::cmp::Ordering;
use std::collections::VecDeque;

use netfault_model::{Collector, Input, Peer, Time};

/// All inputs of one moment, in their final order.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct Instant {
    pub at: Time,
    pub inputs: Vec<Input>,
}

#[derive(serde::Serialize, serde::Deserialize)]
pub struct Order {
    window: i64,
    newest: Time,
    /// By time, oldest first.
    held: VecDeque<Instant>,
    /// Emptied vectors, kept for their memory.
    #[serde(skip)]
    spare: Vec<Vec<Input>>,
}

impl Order {
    /// `window` in microseconds.
    pub fn new(window: i64) -> Self {
        Order {
            window,
            newest: Time::MIN,
            held: VecDeque::new(),
            spare: Vec::new(),
        }
    }

    /// The window of today, for an order that was loaded.
    pub fn set_window(&mut self, window: i64) {
        self.window = window;
    }

    /// Everything strictly before this moment is settled.
    pub fn watermark(&self) -> Time {
        if self.newest == Time::MIN {
            Time::MIN
        } else {
            self.newest.plus_micros(-self.window)
        }
    }

    /// Time has reached `at`.
    pub fn observe(&mut self, at: Time) {
        self.newest = self.newest.max(at);
    }

    /// The newest time seen.
    pub fn newest(&self) -> Time {
        self.newest
    }

    /// The time of the oldest instant that is held.
    pub fn next(&self) -> Option<Time> {
        self.held.front().map(|instant| instant.at)
    }

    /// Takes one input, to be applied at `at`: its own time, or the watermark if it is late.
    pub fn hold(&mut self, input: Input, at: Time) {
        let place = match self.held.back() {
            Some(last) if last.at == at => self.held.len() - 1,
            Some(last) if last.at > at => match self.held.binary_search_by(|instant| instant.at.cmp(&at)) {
                Ok(found) => found,
                Err(gap) => self.open(gap, at),
            },
            _ => self.open(self.held.len(), at),
        };
        self.held[place].inputs.push(input);
    }

    fn open(&mut self, place: usize, at: Time) -> usize {
        let inputs = self.spare.pop().unwrap_or_default();
        self.held.insert(place, Instant { at, inputs });
        place
    }

    /// The oldest instant before `before`, its inputs in order.
    pub fn release(&mut self, before: Time) -> Option<Instant> {
        if self.held.front()?.at >= before {
            return None;
        }
        let mut instant = self.held.pop_front()?;
        if instant.inputs.len() > 1 {
            instant.inputs.sort_by(tie); // stable: arrival order stays within a peer
        }
        Some(instant)
    }

    /// Gives a released vector back.
    pub fn recycle(&mut self, mut inputs: Vec<Input>) {
        inputs.clear();
        if self.spare.len() < 64 && inputs.capacity() <= 4096 {
            self.spare.push(inputs);
        }
    }
}

fn tie(a: &Input, b: &Input) -> Ordering {
    let (a_collector, a_peer) = place(a);
    let (b_collector, b_peer) = place(b);
    a_collector
        .cmp(&b_collector)
        .then_with(|| a_peer.cmp(&b_peer))
        .then_with(|| match (a, b) {
            (Input::Probe(a), Input::Probe(b)) => (&a.name, &a.vantage, a.role, a.server, &a.qtype)
                .cmp(&(&b.name, &b.vantage, b.role, b.server, &b.qtype)),
            (Input::Delegation(a), Input::Delegation(b)) => (&a.name, &a.vantage).cmp(&(&b.name, &b.vantage)),
            (Input::Hint(a), Input::Hint(b)) => (&a.service, &a.source).cmp(&(&b.service, &b.source)),
            _ => rank(a).cmp(&rank(b)),
        })
}

/// Kinds that are ordered among themselves stand together: a gap that is equal to two probes, which are not, is no order.
fn rank(input: &Input) -> u8 {
    match input {
        Input::Probe(_) => 1,
        Input::Delegation(_) => 2,
        Input::Hint(_) => 3,
        _ => 0, // as they arrived
    }
}

fn place(input: &Input) -> (Option<Collector>, Option<&Peer>) {
    match input {
        Input::Update(update) => (Some(update.peer.collector), Some(&update.peer)),
        Input::Rib(route) => (Some(route.peer.collector), Some(&route.peer)),
        Input::Peer(state) => (Some(state.peer.collector), Some(&state.peer)),
        Input::EndOfRib { peer, .. } => (Some(peer.collector), Some(peer)),
        Input::Gap(gap) => (gap.collector, gap.peer.as_ref()),
        Input::Probe(_) | Input::Delegation(_) | Input::Hint(_) | Input::Tick(_) => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use netfault_model::{Arrival, Outcome, Probe, Role, Transport};

    use super::*;

    fn drain(order: &mut Order, before: i64) -> Vec<i64> {
        let mut times = Vec::new();
        while let Some(instant) = order.release(Time::from_micros(before)) {
            times.push(instant.at.micros());
            order.recycle(instant.inputs);
        }
        times
    }

    /// What comes late is applied at one moment, whatever it is: an agent's spool is full of that.
    #[test]
    fn any_mixture_of_kinds_at_one_moment_has_an_order() {
        let probe = |n: u64| {
            Input::Probe(Box::new(Probe {
                at: Time::from_micros(0),
                vantage: "a".into(),
                name: format!("{}.example", n % 31),
                role: Role::Authority,
                server: ([192, 0, 2, (n % 7) as u8], 53).into(),
                qname: String::new(),
                qtype: "SOA".into(),
                outcome: Outcome::Ok,
                rcode: None,
                authoritative: true,
                ede: None,
                nsid: None,
                latency_us: 0,
                ttl: None,
                answers: Vec::new(),
                transport: Transport::Udp,
                packets_sent: 1,
                arrival: Arrival::InTime,
                detail: None,
            }))
        };
        let mut order = Order::new(0);
        let mut state = 1u64;
        for _ in 0..2000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let input = match (state >> 33) % 4 {
                0 => Input::Tick(Time::from_micros(0)),
                _ => probe(state >> 35),
            };
            order.hold(input, Time::from_micros(0));
        }
        let inputs = order.release(Time::from_micros(1)).map(|instant| instant.inputs);
        let names: Vec<String> = inputs
            .into_iter()
            .flatten()
            .filter_map(|input| match input {
                Input::Probe(probe) => Some(probe.name),
                _ => None,
            })
            .collect();
        assert!(names.len() > 1000 && names.is_sorted());
    }

    #[test]
    fn releases_by_time_and_holds_the_window() {
        let mut order = Order::new(500);
        for at in [1000, 1400, 900, 1000, 1500] {
            order.hold(Input::Tick(Time::from_micros(at)), Time::from_micros(at));
            order.observe(Time::from_micros(at));
        }
        assert_eq!(order.watermark(), Time::from_micros(1000));
        assert_eq!(drain(&mut order, 1000), [900]);
        assert_eq!(drain(&mut order, i64::MAX), [1000, 1400, 1500]);
    }
}
