//! A small Internet: twelve peer ASes (1001 to 1012) at two collectors, who say what a test wants.

use std::net::{IpAddr, Ipv4Addr};

use netfault_engine::{Engine, Settings, dns::DnsSettings};
use netfault_model::{
    Announcement, Arrival, Asn, Collector, Input, Nlri, Notable, NotableKind, Output, Peer, RibRoute, Time,
    Transition, Update, Watch,
};

pub const PEERS: usize = 12;
/// 2026-01-01T00:00:00Z, in seconds.
pub const MIDNIGHT: i64 = 1_767_225_600;

pub struct World {
    pub engine: Engine,
    out: Vec<Output>,
    /// Seconds since midnight.
    pub clock: f64,
}

/// A minute does for an hour, five peer ASes for a baseline.
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
        addr: IpAddr::V4(Ipv4Addr::new(192, 0, 2, index as u8)),
        asn: Asn(1001 + index as u32),
    }
}

impl World {
    pub fn new(settings: Settings) -> Self {
        World::watching(settings, Watch::default())
    }

    /// Everything is evaluated, and `watch` is watched.
    pub fn watching(settings: Settings, watch: Watch) -> Self {
        World::of(settings, Watch { all: true, ..watch })
    }

    pub fn of(settings: Settings, watch: Watch) -> Self {
        World {
            engine: Engine::new(settings, DnsSettings::default(), watch),
            out: Vec::new(),
            clock: 0.0,
        }
    }

    fn now(&self) -> Time {
        Time::from_micros(MIDNIGHT * 1_000_000 + (self.clock * 1e6).round() as i64)
    }

    pub fn push(&mut self, input: Input) {
        self.engine.push(input, &mut self.out);
    }

    /// Nothing but the peers' usual talk (about a prefix of no interest), for `seconds`.
    pub fn pass(&mut self, seconds: f64) {
        let end = self.clock + seconds;
        while self.clock + 50.0 < end {
            self.clock += 50.0;
            for index in 0..PEERS {
                self.route(index, "192.88.99.0/24", Some(&[200, 99]));
            }
        }
        self.clock = end;
        self.push(Input::Tick(self.now()));
    }

    /// One peer announces (its own AS comes before `path`) or withdraws.
    pub fn route(&mut self, index: usize, prefix: &str, path: Option<&[u32]>) {
        let whole = path.map(|path| [&[1001 + index as u32], path].concat());
        self.update(
            index,
            prefix,
            whole.map(|path| (path.last().map(|&asn| Asn(asn)), path)),
        );
    }

    /// The same, with the origin apart from the path (AS_SETs have none).
    pub fn update(&mut self, index: usize, prefix: &str, route: Option<(Option<Asn>, Vec<u32>)>) {
        self.push(Input::Update(Update {
            at: self.now(),
            peer: peer(index),
            arrival: Arrival::InTime,
            nlri: [nlri(prefix)].into(),
            announced_from: u32::from(route.is_none()),
            announcement: route.map(|(origin, path)| Announcement {
                origin,
                path: path.into_iter().map(Asn).collect(),
            }),
        }));
    }

    /// The first `peers` of them, a tenth of a second apart.
    pub fn routes(&mut self, peers: usize, prefix: &str, path: Option<&[u32]>) {
        for index in 0..peers {
            self.route(index, prefix, path);
            self.clock += 0.1;
        }
    }

    /// A table dump says that all peers have had the route for a day.
    pub fn dump(&mut self, prefix: &str, path: &[u32]) {
        for index in 0..PEERS {
            let path: Box<[Asn]> = [&[1001 + index as u32], path]
                .concat()
                .into_iter()
                .map(Asn)
                .collect();
            self.push(Input::Rib(RibRoute {
                at: self.now(),
                peer: peer(index),
                nlri: nlri(prefix),
                originated: self.now().plus_micros(-86_400_000_000),
                announcement: Announcement {
                    origin: path.last().copied(),
                    path,
                },
            }));
        }
    }

    pub fn outputs(mut self) -> Vec<Output> {
        self.engine.finish(None, &mut self.out);
        self.out
    }

    pub fn notables(self, what: NotableKind) -> Vec<Notable> {
        let notable = |output| match output {
            Output::Notable(it) if it.what == what => Some(*it),
            _ => None,
        };
        self.outputs().into_iter().filter_map(notable).collect()
    }

    pub fn transitions(self) -> Vec<Transition> {
        let transition = |output| match output {
            Output::Transition(it) => Some(*it),
            _ => None,
        };
        self.outputs().into_iter().filter_map(transition).collect()
    }
}

fn nlri(prefix: &str) -> Nlri {
    Nlri {
        prefix: prefix.parse().unwrap(),
        path_id: 0,
    }
}

/// Seconds since midnight.
pub fn seconds(at: Time) -> f64 {
    (at.micros() - MIDNIGHT * 1_000_000) as f64 / 1e6
}
