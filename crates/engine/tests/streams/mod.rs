//! Random streams of BGP messages: twelve peers at two collectors, four prefixes, with outages in them.
#![allow(dead_code)] // each test file uses some of it

pub mod dull;
pub mod script;

use netfault_engine::{Engine, Settings, dns::DnsSettings};
use netfault_model::{
    Announcement, Arrival, Asn, Collector, Input, Nlri, Output, Peer, PeerState, Prefix, SessionState,
    Subject, Time, Transition, Update, Watch,
};
use proptest::prelude::*;

pub const PEERS: usize = 12;

/// One thing that happens, some time after the one before.
#[derive(Clone, Debug)]
pub enum Said {
    /// One peer announces or withdraws one prefix.
    One {
        after: i64,
        peer: usize,
        prefix: usize,
        announce: bool,
    },
    /// Peers `from..` (as many as `peers`) do, a little apart.
    Many {
        after: i64,
        from: usize,
        peers: usize,
        prefix: usize,
        announce: bool,
        apart: i64,
    },
    Session {
        after: i64,
        peer: usize,
        up: bool,
    },
    /// Nothing.
    Pause {
        after: i64,
    },
}

impl Said {
    pub fn withdraws(&self) -> bool {
        matches!(
            self,
            Said::One { announce: false, .. } | Said::Many { announce: false, .. } | Said::Session { .. }
        )
    }
}

pub fn said() -> impl Strategy<Value = Vec<Said>> {
    let after = || prop_oneof![3 => 0i64..2_000_000, 2 => 0i64..40_000_000, 1 => 0i64..200_000_000];
    let one =
        (after(), 0..PEERS, 0usize..4, any::<bool>()).prop_map(|(after, peer, prefix, announce)| Said::One {
            after,
            peer,
            prefix,
            announce,
        });
    let many = (
        after(),
        0..PEERS,
        3..=PEERS,
        0usize..4,
        any::<bool>(),
        0i64..4_000_000,
    )
        .prop_map(|(after, from, peers, prefix, announce, apart)| Said::Many {
            after,
            from,
            peers,
            prefix,
            announce,
            apart,
        });
    let session =
        (after(), 0..PEERS, any::<bool>()).prop_map(|(after, peer, up)| Said::Session { after, peer, up });
    let pause = (60_000_000i64..400_000_000).prop_map(|after| Said::Pause { after });
    let anything = prop_oneof![4 => one, 4 => many, 1 => session, 1 => pause];
    // Everybody announces everything first, and there is time to learn it.
    prop::collection::vec(anything, 0..60).prop_map(|rest| {
        let learn = (0..4).map(|prefix| Said::Many {
            after: 1000,
            from: 0,
            peers: PEERS,
            prefix,
            announce: true,
            apart: 7000,
        });
        learn
            .chain([Said::Pause { after: 90_000_000 }])
            .chain(rest)
            .collect()
    })
}

pub fn settings() -> Settings {
    Settings {
        held_for_s: 60,
        min_peers: 5,
        inferred_min_peers: 6,
        ..Settings::default()
    }
}

pub fn peer(index: usize) -> Peer {
    Peer {
        collector: Collector::new(if index.is_multiple_of(2) { "one" } else { "two" }),
        addr: std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, index as u8)),
        // The last two sessions are of one AS.
        asn: Asn(64500 + index.min(PEERS - 2) as u32),
    }
}

pub fn prefix(index: usize) -> Prefix {
    [
        "198.51.100.0/24",
        "198.51.0.0/16",
        "203.0.113.0/24",
        "2001:db8::/48",
    ][index]
        .parse()
        .unwrap()
}

pub fn update(at: i64, who: usize, what: usize, announce: bool) -> Input {
    let peer = peer(who);
    let path: Box<[Asn]> = [peer.asn, Asn(64999)].into();
    Input::Update(Update {
        at: Time::from_micros(at),
        peer,
        arrival: Arrival::InTime,
        nlri: [Nlri {
            prefix: prefix(what),
            path_id: 0,
        }]
        .into(),
        announced_from: u32::from(!announce),
        announcement: announce.then_some(Announcement {
            origin: Some(Asn(64999)),
            path,
        }),
    })
}

/// The stream in order of time, beginning `shift` microseconds after 10^9 s.
pub fn stream(said: &[Said], shift: i64) -> Vec<Input> {
    let mut at = 1_000_000_000_000_000 + shift;
    let mut inputs = Vec::new();
    for it in said {
        match *it {
            Said::One {
                after,
                peer,
                prefix,
                announce,
            } => {
                at += after;
                inputs.push(update(at, peer, prefix, announce));
            }
            Said::Many {
                after,
                from,
                peers,
                prefix,
                announce,
                apart,
            } => {
                at += after;
                for peer in 0..peers {
                    inputs.push(update(at, (from + peer) % PEERS, prefix, announce));
                    at += apart;
                }
            }
            Said::Session { after, peer: who, up } => {
                at += after;
                let state = if up { SessionState::Up } else { SessionState::Down };
                inputs.push(Input::Peer(PeerState {
                    at: Time::from_micros(at),
                    peer: peer(who),
                    state,
                }));
            }
            Said::Pause { after } => at += after,
        }
    }
    inputs.push(Input::Tick(Time::from_micros(at + 400_000_000)));
    inputs
}

pub fn peer_of(input: &Input) -> Option<Peer> {
    match input {
        Input::Update(update) => Some(update.peer),
        Input::Peer(state) => Some(state.peer),
        _ => None,
    }
}

pub fn watch() -> Watch {
    Watch {
        all: true,
        prefixes: [prefix(0), prefix(3)].into(),
        ..Watch::default()
    }
}

pub fn engine() -> Engine {
    Engine::new(settings(), DnsSettings::default(), watch())
}

pub fn play(inputs: &[Input]) -> Vec<Output> {
    let (mut engine, mut out) = (engine(), Vec::new());
    inputs
        .iter()
        .for_each(|input| engine.push(input.clone(), &mut out));
    engine.finish(None, &mut out);
    out
}

/// What was said of prefixes; what others make of it is left out.
pub fn transitions(outputs: Vec<Output>) -> Vec<Transition> {
    let prefixes = outputs.into_iter().filter_map(|output| match output {
        Output::Transition(t) => matches!(t.subject, Subject::Prefix { .. }).then_some(*t),
        _ => None,
    });
    prefixes.collect()
}

pub fn prefix_of(transition: &Transition) -> Prefix {
    match transition.subject {
        Subject::Prefix { prefix, .. } => prefix,
        _ => unreachable!("transitions() takes prefixes only"),
    }
}
