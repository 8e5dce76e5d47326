//! Inputs for stories: peers of several collectors, name servers asked from three vantages, hints; each with its own time, sorted
//! before they are played.

use std::net::SocketAddr;
use std::time::Duration;

use netfault_engine::dns::DnsSettings;
use netfault_engine::{Engine, Settings};
use netfault_model::*;

/// Peer ASes, over eight collectors.
pub const PEERS: usize = 43;
pub const VANTAGES: [&str; 3] = ["ams", "nyc", "sin"];
const COLLECTORS: [&str; 8] = [
    "rrc00", "rrc01", "rrc03", "rrc04", "rrc10", "rrc11", "rrc12", "rrc21",
];
/// A prefix of no interest, by which peers show that they are there.
const CHATTER: &str = "192.88.99.0/24";

pub struct Story {
    day: Time,
    inputs: Vec<Input>,
    pub watch: Watch,
    pub settings: Settings,
}

/// Seconds of the day.
pub const fn at(hour: i64, minute: i64, second: i64) -> i64 {
    (hour * 60 + minute) * 60 + second
}

pub fn peer(index: usize) -> Peer {
    Peer {
        collector: Collector::new(COLLECTORS[index % COLLECTORS.len()]),
        addr: std::net::Ipv4Addr::new(192, 0, 2, index as u8).into(),
        asn: Asn(1001 + index as u32),
    }
}

impl Story {
    pub fn new(day: &str) -> Self {
        Story {
            day: format!("{day}T00:00:00Z").parse().unwrap(),
            inputs: Vec::new(),
            watch: Watch {
                all: true,
                ..Watch::default()
            },
            settings: Settings::default(),
        }
    }

    pub fn time(&self, second: f64) -> Time {
        self.day.plus_micros((second * 1e6).round() as i64)
    }

    pub fn push(&mut self, input: Input) {
        self.inputs.push(input);
    }

    /// Everybody has had the route for a day. Peers go over `path`, the transit ASes and the origin.
    pub fn table(&mut self, second: f64, prefix: &str, path: &[u32]) {
        self.table_of(PEERS, second, prefix, path);
    }

    /// The first `peers` have.
    pub fn table_of(&mut self, peers: usize, second: f64, prefix: &str, path: &[u32]) {
        for index in 0..peers {
            self.table_one(second, index, prefix, path);
        }
    }

    pub fn table_one(&mut self, second: f64, index: usize, prefix: &str, path: &[u32]) {
        let path = whole(index, path);
        let at = self.time(second);
        self.push(Input::Rib(RibRoute {
            at,
            peer: peer(index),
            nlri: nlri(prefix),
            originated: at.plus_micros(-86_400_000_000),
            announcement: Announcement {
                origin: path.last().copied(),
                path,
            },
        }));
    }

    /// One peer announces, or withdraws.
    pub fn route(&mut self, second: f64, index: usize, prefix: &str, path: Option<&[u32]>) {
        let announcement = path.map(|path| {
            let path = whole(index, path);
            Announcement {
                origin: path.last().copied(),
                path,
            }
        });
        let at = self.time(second);
        self.push(Input::Update(Update {
            at,
            peer: peer(index),
            arrival: Arrival::InTime,
            nlri: [nlri(prefix)].into(),
            announced_from: u32::from(announcement.is_none()),
            announcement,
        }));
    }

    /// Peers show that they are there, every 40 s; `alive` says which collectors do.
    pub fn chatter(&mut self, from: i64, to: i64, alive: impl Fn(&str, i64) -> bool) {
        for second in (from..to).step_by(40) {
            for index in 0..PEERS {
                if alive(COLLECTORS[index % COLLECTORS.len()], second) {
                    self.route(
                        second as f64 + index as f64 / 50.0,
                        index,
                        CHATTER,
                        Some(&[200, 99]),
                    );
                }
            }
            let at = self.time(second as f64 + 20.0);
            self.push(Input::Tick(at));
        }
    }

    /// A service that lists prefixes only; they are watched.
    pub fn service_of_prefixes(&mut self, name: &str, prefixes: &[&str]) {
        let prefixes = prefixes.iter().map(|prefix| prefix.parse::<Prefix>().unwrap());
        let service = self.watch.services.entry(name.to_owned()).or_default();
        service.prefixes.extend(prefixes);
        self.watch.prefixes.extend(&service.prefixes);
    }

    pub fn service(&mut self, name: &str, names: &[&str]) {
        let names: std::collections::BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.watch.names.extend(names.clone());
        let service = self.watch.services.entry(name.to_owned()).or_default();
        service.names.extend(names);
    }

    /// A walk to `name` came back: its servers and its own addresses.
    pub fn delegation(
        &mut self,
        second: f64,
        name: &str,
        servers: &[&str],
        addresses: &[&str],
        complete: bool,
    ) {
        let ns: Vec<String> = (0..servers.len()).map(|n| format!("ns{n}.{name}")).collect();
        let server = |(n, addr): (usize, &&str)| NameServer {
            zone: name.to_owned(),
            name: ns[n].clone(),
            addr: addr.parse().unwrap(),
            in_parent: true,
            in_child: complete,
            glue: true,
            outcome: Some(if complete { Outcome::Ok } else { Outcome::Timeout }),
            route: None,
        };
        let address = |addr: &&str| Address {
            addr: addr.parse().unwrap(),
            route: None,
        };
        let delegation = Delegation {
            at: self.time(second),
            vantage: VANTAGES[0].to_owned(),
            name: name.to_owned(),
            complete,
            end: if complete { "answer" } else { "no server answers" }.to_owned(),
            zone: Some(name.to_owned()),
            parent_ns: ns.clone(),
            child_ns: if complete { ns.clone() } else { Vec::new() },
            ds: Vec::new(),
            servers: servers.iter().enumerate().map(server).collect(),
            aliases: Vec::new(),
            addresses: addresses.iter().map(address).collect(),
            findings: Vec::new(),
            frozen: false,
        };
        self.push(Input::Delegation(Box::new(delegation)));
    }

    pub fn probe(
        &mut self,
        vantage: &str,
        name: &str,
        role: Role,
        server: &str,
        second: f64,
        outcome: Outcome,
    ) {
        self.probe_ttl(vantage, name, role, server, second, outcome, 300);
    }

    #[allow(clippy::too_many_arguments)] // a record has as many columns
    pub fn probe_ttl(
        &mut self,
        vantage: &str,
        name: &str,
        role: Role,
        server: &str,
        second: f64,
        outcome: Outcome,
        ttl: u32,
    ) {
        let took = match outcome {
            Outcome::Timeout if role.is_authority() => 4_000_000,
            Outcome::Timeout => 5_000_000,
            _ => 20_000,
        };
        let server: SocketAddr = match server.parse::<std::net::IpAddr>() {
            Ok(addr) => (addr, 53).into(),
            Err(_) => server.parse().unwrap(),
        };
        let qtypes: &[&str] = if role.is_authority() {
            &["SOA"]
        } else {
            &["A", "AAAA"]
        };
        for qtype in qtypes {
            let at = self.time(second).plus_micros(took);
            self.push(Input::Probe(Box::new(Probe {
                at,
                vantage: vantage.to_owned(),
                name: name.to_owned(),
                role,
                server,
                qname: name.to_owned(),
                qtype: (*qtype).to_owned(),
                outcome,
                rcode: None,
                authoritative: role.is_authority() && outcome != Outcome::Timeout,
                ede: None,
                nsid: None,
                latency_us: took as u32,
                ttl: (outcome == Outcome::Ok).then_some(ttl),
                answers: Vec::new(),
                transport: Transport::Udp,
                packets_sent: 1,
                arrival: Arrival::InTime,
                detail: None,
            })));
        }
    }

    /// Rounds of 30 s from each vantage: control authorities (fine), canaries of the resolvers, the name's servers and resolvers.
    pub fn rounds(
        &mut self,
        name: &str,
        (from, to): (i64, i64),
        servers: &[&str],
        resolvers: &[&str],
        outcome: impl Fn(Role, usize, usize, i64) -> Outcome,
    ) {
        for (v, vantage) in VANTAGES.into_iter().enumerate() {
            for round in 0..(to - from) / 30 {
                let now = from + round * 30 + (round * 7919 + v as i64 * 104_729) % 7 - 3 + 9 * v as i64;
                for (n, control) in ["192.5.6.30", "2001:503:a83e::2:30"].into_iter().enumerate() {
                    let outcome = outcome(Role::ControlAuthority, n, v, now);
                    self.probe(
                        vantage,
                        "com",
                        Role::ControlAuthority,
                        control,
                        now as f64,
                        outcome,
                    );
                }
                for (n, server) in servers.iter().enumerate() {
                    let outcome = outcome(Role::Authority, n, v, now);
                    self.probe(vantage, name, Role::Authority, server, now as f64 + 0.1, outcome);
                }
                for (n, resolver) in resolvers.iter().enumerate() {
                    for canary in ["canary.example", "canary.test"] {
                        let outcome = outcome(Role::ControlResolver, n, v, now);
                        self.probe(
                            vantage,
                            canary,
                            Role::ControlResolver,
                            resolver,
                            now as f64 + 0.2,
                            outcome,
                        );
                    }
                    let outcome = outcome(Role::Resolver, n, v, now);
                    self.probe(vantage, name, Role::Resolver, resolver, now as f64 + 0.3, outcome);
                }
            }
        }
    }

    pub fn hint(&mut self, second: f64, service: &str, source: &str, what: HintKind) {
        let at = self.time(second);
        self.push(Input::Hint(Box::new(Hint {
            at,
            arrival: Arrival::InTime,
            service: service.to_owned(),
            source: source.to_owned(),
            what,
        })));
    }

    pub fn reports(&mut self, second: f64, service: &str, count: f64, usual: f64) {
        let what = HintKind::Reports {
            interval_s: 60,
            count,
            usual: Some(usual),
        };
        self.hint(second, service, "reports", what);
    }

    pub fn http(&mut self, second: f64, service: &str, status: Option<u16>) {
        let what = HintKind::Http {
            vantage: VANTAGES[0].to_owned(),
            reached: if status.is_some() {
                HttpPhase::Done
            } else {
                HttpPhase::Nothing
            },
            status,
            error: status.is_none().then(|| "has no address".to_owned()),
            addr: None,
            latency_us: 100_000,
        };
        self.hint(second, service, "https://www.example.com/", what);
    }

    /// Changes probes, or takes them out.
    pub fn retain_probes(&mut self, mut keep: impl FnMut(&mut Probe) -> bool) {
        self.inputs.retain_mut(|input| match input {
            Input::Probe(probe) => keep(probe),
            _ => true,
        });
    }

    /// Plays it until `end`.
    pub fn play(mut self, end: i64) -> Told {
        self.inputs
            .sort_by_key(|input| (!matches!(input, Input::Rib(_)), input.at()));
        let end = self.time(end as f64);
        let mut engine = Engine::new(self.settings.clone(), DnsSettings::default(), self.watch.clone());
        let mut outputs = Vec::new();
        for input in self.inputs {
            engine.push(input, &mut outputs);
        }
        engine.finish(Some(end + Duration::from_secs(1)), &mut outputs);
        Told {
            outputs,
            engine,
            day: self.day,
        }
    }
}

fn whole(index: usize, path: &[u32]) -> Box<[Asn]> {
    [&[1001 + index as u32], path]
        .concat()
        .into_iter()
        .map(Asn)
        .collect()
}

fn nlri(prefix: &str) -> Nlri {
    Nlri {
        prefix: prefix.parse().unwrap(),
        path_id: 0,
    }
}

/// What the engine said.
pub struct Told {
    pub outputs: Vec<Output>,
    pub engine: Engine,
    day: Time,
}

impl Told {
    pub fn second(&self, at: Time) -> i64 {
        at.since(self.day) / 1_000_000
    }

    pub fn transitions(&self) -> impl Iterator<Item = &Transition> {
        self.outputs.iter().filter_map(|output| match output {
            Output::Transition(it) => Some(it.as_ref()),
            _ => None,
        })
    }

    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.outputs.iter().filter_map(|output| match output {
            Output::Incident(it) => Some(it.as_ref()),
            _ => None,
        })
    }

    /// The last version of each incident that is shown, and was not merged.
    pub fn last(&self) -> Vec<&Incident> {
        let mut last: std::collections::BTreeMap<Id, &Incident> = Default::default();
        for it in self.incidents() {
            last.insert(it.id, it);
        }
        let mut last: Vec<&Incident> = last.into_values().collect();
        last.retain(|it| it.shown && it.state != IncidentState::Merged);
        last.sort_by_key(|it| it.first_evidence_at);
        last
    }

    pub fn notables(&self, what: NotableKind) -> Vec<&Notable> {
        let notables = self.outputs.iter().filter_map(|output| match output {
            Output::Notable(it) if it.what == what => Some(it.as_ref()),
            _ => None,
        });
        notables.collect()
    }

    /// When a subject first went to a state, in seconds of the day.
    pub fn first(&self, subject: &str, to: State) -> Option<i64> {
        let found = self
            .transitions()
            .find(|it| it.subject.key().1 == subject && it.to == to);
        found.map(|it| self.second(it.at))
    }

    /// One line for each thing said that a person would read, to be compared with a file.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for output in &self.outputs {
            let line = match output {
                Output::Transition(it) if it.watched => {
                    format!("{} {} → {}", it.subject.key().1, it.from.name(), it.to.name())
                }
                Output::Incident(it) if it.shown => format!(
                    "INCIDENT {} v{} {} {} severity {} {:.0} %: {}{}",
                    it.id,
                    it.version,
                    it.state.name(),
                    it.cause.name(),
                    it.severity,
                    it.confidence * 100.0,
                    it.summary,
                    layers(it)
                ),
                Output::Notable(it) if it.watched => {
                    format!(
                        "note {}{}: {}",
                        it.what.name(),
                        if it.over { " over" } else { "" },
                        it.summary
                    )
                }
                _ => continue,
            };
            let moment = output.at().to_string();
            text.push_str(&format!("{} {line}\n", &moment[11..19]));
        }
        text
    }

    /// Compares with a golden file; `UPDATE_GOLDEN=1` writes it anew.
    pub fn golden(&self, name: &str) {
        let text = self.text();
        let file =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cause/golden/{name}.txt"));
        if std::env::var_os("UPDATE_GOLDEN").is_some_and(|set| set == "1") && std::env::var_os("CI").is_none()
        {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(text == expected, "said:\n{text}\nexpected:\n{expected}");
    }
}

fn layers(incident: &Incident) -> String {
    let clock = |at: Time| at.to_string()[11..19].to_owned();
    let layer = |layer: &Layer| {
        let until = layer.recovered_at.map_or("…".to_owned(), clock);
        format!(" [{} {}–{until}]", layer.layer.name(), clock(layer.since))
    };
    incident.layers.iter().map(layer).collect()
}
