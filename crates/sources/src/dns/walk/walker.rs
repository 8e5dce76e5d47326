//! Down from zone to zone, and on through aliases.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use futures_util::stream;
use hickory_proto::rr::{Name, RecordType};
use netfault_model::{Outcome, Time};
use tokio::time::Instant;

use super::put::{Heard, Packet, put};
use super::record::{Alias, AliasKind, End, Lame, Unresolvable, Walk, Zone};
use super::said::{self, Said};
use super::shared::{Known, Shared};
use super::{Hints, Limits, findings};
use crate::dns::check::Verdict;
use crate::dns::wire::{plain_name, rcode_name};

/// Zone cuts on one way down: a name has at most 127 labels, and nobody has more cuts than this.
const MAX_CUTS: usize = 32;
/// Aliases in a row. Resolvers give up at 8 to 16.
const MAX_ALIASES: usize = 16;
/// Questions at the same time, each to another address.
const AT_A_TIME: usize = 16;

/// Why there is no way on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stuck {
    NoServer(Name),
    NoAddress(Name),
    /// Names, each needed for the one before.
    Loop(Vec<String>),
    Limit(String),
}

/// How one address behaved when it was asked about one zone.
#[derive(Clone, Debug)]
pub(super) struct Behaviour {
    pub outcome: Outcome,
    pub lame: Option<Lame>,
    pub rcode: Option<String>,
    pub latency_ms: f64,
}

pub(super) struct Walker<'a> {
    pub limits: &'a Limits,
    /// Of a walk beside others.
    pub shared: Option<&'a Shared>,
    pub port: u16,
    deadline: Instant,
    pub queries: u32,
    /// Where to ask about a zone and what is below it, as far as is known.
    pub known: BTreeMap<Name, Vec<SocketAddr>>,
    /// The last thing that each address did about each zone.
    pub behaviour: BTreeMap<(Name, SocketAddr), Behaviour>,
    /// Not there, and not asked again.
    pub gone: BTreeSet<SocketAddr>,
    answered: BTreeSet<SocketAddr>,
    plain_case: BTreeSet<SocketAddr>,
    /// Addresses of name servers.
    pub hosts: BTreeMap<Name, Result<BTreeSet<IpAddr>, Unresolvable>>,
    /// Name servers whose addresses are being looked for, each needed for the one before.
    pub needed: Vec<Name>,
    pub zones: Vec<Zone>,
}

/// Which zones are looked at from all sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To the name itself, and its aliases: every zone is written down.
    Main,
    /// To the address of a name server: only as far as needed.
    Aside,
}

pub(super) async fn walk(name: &Name, hints: &Hints, limits: &Limits, shared: Option<&Shared>) -> Walk {
    let began = Instant::now();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let port = limits.port.or(hints.port).unwrap_or(53);
    let mut walker = Walker {
        limits,
        shared,
        port,
        deadline: began + limits.time,
        queries: 0,
        known: BTreeMap::new(),
        behaviour: BTreeMap::new(),
        gone: BTreeSet::new(),
        answered: BTreeSet::new(),
        plain_case: BTreeSet::new(),
        hosts: BTreeMap::new(),
        needed: Vec::new(),
        zones: Vec::new(),
    };
    let mut walk = Walk {
        name: plain_name(name),
        at: Time::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)),
        took_ms: 0.0,
        queries: 0,
        verdict: Verdict::Unknown,
        end: End::Offline,
        aliases: Vec::new(),
        zones: Vec::new(),
        zone: None,
        answers: Vec::new(),
        ttl: None,
        findings: Vec::new(),
        sighted_v4: false,
        sighted_v6: false,
    };
    walker.root(hints).await;
    walk.end = walker.follow(&name.to_lowercase(), &mut walk).await;
    walker.finish(&mut walk, began);
    walk
}

impl Walker<'_> {
    async fn follow(&mut self, name: &Name, walk: &mut Walk) -> End {
        let mut at = name.clone();
        let mut seen = vec![at.clone()];
        loop {
            self.recall(&at, Way::Main);
            let (zone, said) = match self.descend(&at, RecordType::A, Way::Main).await {
                Ok(found) => found,
                Err(stuck) => return self.stuck(stuck, walk),
            };
            // The zone of the name is the one where the first of the aliases stands, or their end.
            walk.zone.get_or_insert_with(|| plain_name(&zone));
            let (kind, to, ttl) = match said {
                Said::Alias { kind, to, ttl } => (kind, to, ttl),
                Said::Nxdomain { .. } => {
                    return End::Nxdomain {
                        zone: plain_name(&zone),
                    };
                }
                said => return self.addresses(&zone, &at, said, walk).await,
            };
            walk.aliases.push(alias(kind, &at, &to, &zone, ttl));
            let again = seen.contains(&to);
            seen.push(to.clone());
            if again {
                return End::Loop {
                    path: seen.iter().map(plain_name).collect(),
                };
            }
            if seen.len() > MAX_ALIASES {
                return End::TooManyAliases;
            }
            at = to;
        }
    }

    /// The end of the way: the name's addresses in both families. `said` is what there is of IPv4.
    async fn addresses(&mut self, zone: &Name, at: &Name, said: Said, walk: &mut Walk) -> End {
        let found = |said| match said {
            Said::Found { records } => records,
            _ => Vec::new(),
        };
        let v4 = found(said);
        let v6 = self.ask_zone(zone, at, RecordType::AAAA).await;
        let v6 = v6.map(|(_, said)| found(said)).unwrap_or_default();
        for (records, qtype) in [(v4, RecordType::A), (v6, RecordType::AAAA)] {
            let (answers, ttl) = said::shown(&records, qtype);
            walk.answers.extend(answers);
            walk.ttl = [walk.ttl, ttl].into_iter().flatten().min();
        }
        let zone = plain_name(zone);
        match walk.answers.is_empty() {
            true => End::Nodata { zone },
            false => End::Answer { zone },
        }
    }

    /// Takes over what walks before this one found on the way to `name`.
    pub fn recall(&mut self, name: &Name, way: Way) {
        let Some(shared) = self.shared else {
            return;
        };
        for labels in 1..=name.num_labels() {
            let apex = name.trim_to(labels.into());
            if self.known.contains_key(&apex) {
                continue;
            }
            let Some(Known { zone, servers }) = shared.zone(&apex) else {
                continue;
            };
            if way == Way::Main {
                let is_parent = |entry: &Zone| Some(&entry.zone) == zone.parent.as_ref();
                if !self.zones.iter().any(is_parent) {
                    continue;
                }
                let healthy = zone.servers.iter().filter(|server| server.is_healthy());
                self.answered.extend(healthy.map(|server| server.server));
                self.zones.push(zone);
            }
            self.known.insert(apex, servers);
        }
    }

    /// Keeps for other walks what answered.
    fn share(&self) {
        let Some(shared) = self.shared else {
            return;
        };
        for zone in self.zones.iter().filter(|zone| zone.parent.is_some()) {
            let Ok(apex) = crate::dns::wire::parse_name(&zone.zone) else {
                continue;
            };
            let answers = zone.servers.iter().any(|server| server.is_healthy());
            if let (true, Some(servers)) = (answers, self.known.get(&apex)) {
                let (zone, servers) = (zone.clone(), servers.clone());
                shared.keep_zone(apex, Known { zone, servers });
            }
        }
        for (name, found) in &self.hosts {
            if let Ok(addrs) = found {
                shared.keep_host(name.clone(), addrs.clone());
            }
        }
    }

    /// The zone in which the walk got stuck is, if it has come this far, the zone of the name.
    fn stuck(&self, stuck: Stuck, walk: &mut Walk) -> End {
        let deepest = self.zones.last().filter(|zone| zone.parent.is_some());
        if walk.aliases.is_empty() {
            walk.zone = deepest.map(|zone| zone.zone.clone());
        }
        match stuck {
            Stuck::NoServer(zone) if zone.is_root() && self.answered.is_empty() => End::Offline,
            Stuck::NoServer(zone) if zone.is_root() && self.is_intercepted() => End::Intercepted,
            Stuck::NoServer(zone) => End::NoServer {
                zone: plain_name(&zone),
            },
            Stuck::NoAddress(zone) => End::NoAddress {
                zone: plain_name(&zone),
            },
            Stuck::Loop(path) => End::Loop { path },
            Stuck::Limit(what) => End::Limit { what },
        }
    }

    /// A proxy for port 53 answers out of a cache, whoever was asked; a root server would never do so.
    fn is_intercepted(&self) -> bool {
        let answers = self
            .behaviour
            .iter()
            .filter(|((zone, _), it)| zone.is_root() && it.rcode.is_some());
        let mut answers = answers.map(|(_, behaviour)| behaviour.lame).peekable();
        answers.peek().is_some() && answers.all(|lame| lame == Some(Lame::NotAuthoritative))
    }

    fn finish(mut self, walk: &mut Walk, began: Instant) {
        walk.sighted_v4 = self.answered.iter().any(SocketAddr::is_ipv4);
        walk.sighted_v6 = self.answered.iter().any(SocketAddr::is_ipv6);
        self.fill_in();
        self.share();
        walk.zones = std::mem::take(&mut self.zones);
        walk.queries = self.queries;
        walk.took_ms = (began.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        walk.findings = findings::of(walk);
        walk.verdict = findings::verdict(walk);
    }

    /// What became of each server is known best at the end: some are asked late, or several times.
    fn fill_in(&mut self) {
        for zone in &mut self.zones {
            for server in &mut zone.servers {
                let Ok(apex) = crate::dns::wire::parse_name(&zone.zone) else {
                    continue;
                };
                if let Some(behaviour) = self.behaviour.get(&(apex, server.server)) {
                    server.outcome = Some(behaviour.outcome);
                    server.lame = behaviour.lame;
                    server.rcode.clone_from(&behaviour.rcode);
                    server.latency_ms = Some(behaviour.latency_ms);
                }
            }
        }
    }

    /// Down to the zone that holds `name`, and what it says. Never a referral, never lame.
    pub async fn descend(&mut self, name: &Name, qtype: RecordType, way: Way) -> Result<(Name, Said), Stuck> {
        let mut zone = self.deepest(name, way);
        for _ in 0..MAX_CUTS {
            let (server, said) = self.ask_zone(&zone, name, qtype).await?;
            match said {
                Said::Referral(referral) => {
                    let below = referral.zone.clone();
                    match way {
                        Way::Main => Box::pin(self.examine(&zone, referral)).await?,
                        Way::Aside => Box::pin(self.enter(&referral)).await?,
                    }
                    zone = below;
                }
                said if way == Way::Main => match self.hidden_cut(&zone, server, name, &said).await? {
                    Some(apex) => {
                        Box::pin(self.examine_hidden(&zone, &apex, server)).await?;
                        zone = apex;
                    }
                    None => return Ok((zone, said)),
                },
                said => return Ok((zone, said)),
            }
        }
        Err(Stuck::Limit("zone cuts on the way to one name".to_owned()))
    }

    /// The lowest zone above `name` that can be asked; on the main way, of those that are written down.
    fn deepest(&self, name: &Name, way: Way) -> Name {
        let is_written = |zone: &Name| {
            let zone = plain_name(zone);
            self.zones.iter().any(|entry| entry.zone == zone)
        };
        self.known
            .keys()
            .filter(|zone| zone.zone_of(name) && (way == Way::Aside || is_written(zone)))
            .max_by_key(|zone| zone.num_labels())
            .cloned()
            .unwrap_or_else(Name::root)
    }

    /// Asks servers of a zone, few at first, until one says something useful.
    pub async fn ask_zone(
        &mut self,
        zone: &Name,
        name: &Name,
        qtype: RecordType,
    ) -> Result<(SocketAddr, Said), Stuck> {
        let servers: Vec<SocketAddr> = self.known.get(zone).cloned().unwrap_or_default();
        let mut waiting: Vec<SocketAddr> = servers
            .into_iter()
            .filter(|server| !self.gone.contains(server))
            .collect();
        fastrand::shuffle(&mut waiting);
        // Those that may be asked at once come first, of these those that have answered for this zone before.
        let busy = |server| self.shared.is_some_and(|shared| !shared.is_free(server));
        waiting.sort_by_cached_key(|server| (busy(*server), !self.speaks_for(zone, *server)));
        let mut batch = 1;
        while !waiting.is_empty() {
            let rest = waiting.split_off(batch.min(waiting.len()));
            let retries = u8::from(rest.is_empty());
            let heard = self.ask_all(zone, &waiting, name, qtype, retries).await?;
            for (server, said) in heard {
                if !matches!(said, Said::Lame(_)) {
                    return Ok((server, said));
                }
            }
            waiting = rest;
            batch *= 2;
        }
        Err(Stuck::NoServer(zone.clone()))
    }

    fn speaks_for(&self, zone: &Name, server: SocketAddr) -> bool {
        self.behaviour
            .get(&(zone.clone(), server))
            .is_some_and(|behaviour| behaviour.outcome == Outcome::Ok && behaviour.lame.is_none())
    }

    /// Asks all of `servers` at the same time; those that answered, with what it means.
    pub async fn ask_all(
        &mut self,
        zone: &Name,
        servers: &[SocketAddr],
        name: &Name,
        qtype: RecordType,
        retries: u8,
    ) -> Result<Vec<(SocketAddr, Said)>, Stuck> {
        if Instant::now() >= self.deadline {
            return Err(Stuck::Limit("time".to_owned()));
        }
        let left = self.limits.queries.saturating_sub(self.queries) as usize;
        if left == 0 && !servers.is_empty() {
            return Err(Stuck::Limit("questions".to_owned()));
        }
        let dnssec_ok = self.is_signed(zone);
        // A question may take up to three more packets: what is over the limit by that is counted all the same.
        let asked = servers.iter().take(left).map(|server| {
            let (server, name) = (*server, name.clone());
            let random_case = !self.plain_case.contains(&server);
            let (wait, deadline, shared) = (self.limits.timeout, self.deadline, self.shared);
            let packet = Packet {
                server,
                name,
                qtype,
                random_case,
                dnssec_ok,
                retries,
                wait,
                deadline,
            };
            async move { (server, put(packet, shared).await) }
        });
        let asked: Vec<_> = asked.collect();
        let heard: Vec<(SocketAddr, Heard)> = stream::iter(asked).buffer_unordered(AT_A_TIME).collect().await;
        let mut said = Vec::new();
        for (server, heard) in heard {
            said.extend(
                self.learn(zone, server, name, qtype, heard)
                    .map(|said| (server, said)),
            );
        }
        // In an order that does not depend on who was quicker.
        said.sort_by_key(|(server, _)| *server);
        Ok(said)
    }

    /// Keeps how the server behaved.
    fn learn(
        &mut self,
        zone: &Name,
        server: SocketAddr,
        name: &Name,
        qtype: RecordType,
        heard: Heard,
    ) -> Option<Said> {
        self.queries += heard.packets;
        if heard.mangles_case {
            self.plain_case.insert(server);
        }
        if heard.is_gone() {
            self.gone.insert(server);
        } else {
            self.answered.insert(server);
        }
        let mut behaviour = Behaviour {
            outcome: heard.outcome,
            lame: None,
            rcode: None,
            latency_ms: (heard.latency.as_secs_f64() * 1e6).round() / 1e3,
        };
        let said = heard.answer.ok().map(|answer| {
            behaviour.rcode = Some(rcode_name(answer.rcode).into_owned());
            said::read(zone, name, qtype, &answer)
        });
        match &said {
            Some(Said::Lame(lame)) => behaviour.lame = Some(*lame),
            Some(_) => behaviour.outcome = Outcome::Ok,
            None => {}
        }
        // What it said of the zone itself counts more than what it says of a name in it later.
        let of_the_zone = name == zone && qtype == RecordType::NS;
        let key = (zone.clone(), server);
        if of_the_zone || behaviour.lame.is_some() || !self.behaviour.contains_key(&key) {
            self.behaviour.insert(key, behaviour);
        }
        said
    }

    /// A zone below `zone` that the same server serves, so that it gave no referral to it.
    async fn hidden_cut(
        &mut self,
        zone: &Name,
        server: SocketAddr,
        name: &Name,
        said: &Said,
    ) -> Result<Option<Name>, Stuck> {
        if let Said::Nodata { apex: Some(apex) } | Said::Nxdomain { apex: Some(apex) } = said {
            return Ok((apex != zone).then(|| apex.clone()));
        }
        let mut at = name.clone();
        while at != *zone && zone.zone_of(&at) {
            let heard = self.ask_all(zone, &[server], &at, RecordType::SOA, 0).await?;
            match heard.into_iter().next() {
                Some((_, Said::Found { .. })) => return Ok(Some(at)),
                Some((_, Said::Nodata { apex } | Said::Nxdomain { apex })) => {
                    return Ok(apex.filter(|apex| apex != zone));
                }
                Some((_, Said::Alias { .. })) => at = at.base_name(),
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    pub fn socket(&self, addr: IpAddr) -> SocketAddr {
        SocketAddr::new(addr, self.port)
    }

    pub fn sockets<'b>(&self, addrs: impl IntoIterator<Item = &'b IpAddr>) -> BTreeSet<SocketAddr> {
        addrs.into_iter().map(|addr| self.socket(*addr)).collect()
    }
}

fn alias(kind: AliasKind, from: &Name, to: &Name, zone: &Name, ttl: u32) -> Alias {
    Alias {
        kind,
        from: plain_name(from),
        to: plain_name(to),
        zone: plain_name(zone),
        ttl,
    }
}

impl Stuck {
    /// As the reason why a name server has no address.
    pub fn unresolvable(self) -> Unresolvable {
        match self {
            Stuck::NoServer(zone) => Unresolvable::NoServer {
                zone: plain_name(&zone),
            },
            Stuck::NoAddress(_) => Unresolvable::NoAddress,
            Stuck::Loop(path) => Unresolvable::Loop { path },
            Stuck::Limit(what) => Unresolvable::Limit { what },
        }
    }
}
