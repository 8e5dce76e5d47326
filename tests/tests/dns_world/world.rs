//! The world: who serves what, and how each of it is broken.
//!
//! | address (IPv6 beside it) | who |
//! |---|---|
//! | 198.18.0.1, 198.18.0.3 | NSD: the root; test |
//! | 198.18.0.2 | Knot: example |
//! | 198.18.0.4 | NSD: steady.test, canary.test, control.test |
//! | 198.18.1.1 … 4 | Knot, NSD, BIND, NSD: shop.example. 5 and 6 are another operator's, where a test wants them |
//! | 198.18.2.1 … 3 | Unbound, BIND, Unbound: resolvers (IPv4 only) |

use std::net::IpAddr;
use std::path::PathBuf;

use crate::daemon::{Daemon, Plan};
use crate::net::{Net, Side};
use crate::servers::{self, Access, Product, Serves};
use crate::wire;
use crate::zones::{NAME, Parent, SHOP, Shop, Signed, Zones, server_v4, server_v6};

const PROGRAMS: [&str; 5] = ["knotd", "nsd", "named", "unbound", "dnssec-signzone"];
/// Servers of the shop, from 1 on.
const PRODUCTS: [Product; 6] = [
    Product::Knot,
    Product::Nsd,
    Product::Bind,
    Product::Nsd,
    Product::Knot,
    Product::Nsd,
];

/// How the world differs from the usual one.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    pub shop: Shop,
    pub parent: Parent,
    /// Further lines for Unbound, the first resolver.
    pub unbound: String,
    /// Resolvers validate nothing, and hand on signatures as they are.
    pub trusting: bool,
    /// The first resolver stands beside netfault, behind the same uplink, and not out in the network.
    pub beside: bool,
    /// How many servers the shop has running; 6 with those of the other operator.
    pub servers: Option<u8>,
}

/// What is done to the world. Each is mended by [`World::mend`].
#[derive(Clone, Debug)]
pub enum Fault {
    /// These servers of the shop are there, and answer nothing: the processes are stopped.
    Frozen(Vec<u8>),
    /// They have ended: their ports are closed.
    Stopped(Vec<u8>),
    /// A firewall before them drops what comes in.
    Firewalled(Vec<u8>),
    /// A firewall before them says at once that they cannot be reached (ICMP).
    Unreachable(Vec<u8>),
    /// Server 3 (BIND) lets nobody in.
    Refusing,
    /// Server 3 (BIND) is started with these arguments.
    Started(&'static [&'static str]),
    /// They serve the zone above instead.
    Lame(Vec<u8>),
    /// Nobody out there answers over this family, on addresses of the shop.
    FamilyDead {
        v6: bool,
    },
    /// DNS over TCP is dropped.
    NoTcp,
    /// The zone has something else in it.
    Shop(Shop),
    Parent(Parent),
    /// The cable of the vantage is pulled.
    Uplink,
    /// The vantage alone has no IPv6 any more.
    UplinkV6,
    /// Resolver `n` (from 1) has ended, or hangs.
    ResolverStopped(usize),
    ResolverFrozen(usize),
}

impl Fault {
    /// The shop's signatures ran out in 2020.
    pub fn expired_signatures() -> Fault {
        Fault::Shop(Shop {
            signed: Signed::Expired,
            ..Shop::default()
        })
    }

    /// The parent has the DS of a key that the shop does not have.
    pub fn wrong_ds() -> Fault {
        Fault::Parent(Parent {
            wrong_ds: true,
            ..Parent::default()
        })
    }
}

pub struct World {
    // Dropped in this order: processes first, then the namespaces that they are in.
    servers: Vec<Daemon>,
    others: Vec<Daemon>,
    pub resolvers: Vec<Daemon>,
    pub net: Net,
    pub zones: Zones,
    layout: Layout,
    broken: Vec<Fault>,
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn both(v4: &str, v6: &str) -> Vec<IpAddr> {
    vec![ip(v4), ip(v6)]
}

impl World {
    /// `None`, with one visible line, where it cannot be built.
    pub fn new(test: &str, layout: Layout) -> Option<World> {
        let net = Net::new(test, &PROGRAMS)?;
        let mut zones = Zones::new();
        zones.write_shop(&layout.shop);
        zones.write_parent(&layout.parent);
        zones.write_world();
        let mut world = World {
            servers: Vec::new(),
            others: Vec::new(),
            resolvers: Vec::new(),
            net,
            zones,
            layout,
            broken: Vec::new(),
        };
        world.start();
        Some(world)
    }

    fn start(&mut self) {
        std::fs::write(
            self.hints(),
            ". NS ns.root.\nns.root. A 198.18.0.1\nns.root. AAAA fd00:18::1\n",
        )
        .expect("the root hints");
        let count = self.layout.servers.unwrap_or(4);
        let plans: Vec<Plan> = (1..=count)
            .map(|n| self.shop_plan(n, Access::Everybody))
            .collect();
        let others = self.other_plans();
        let resolvers = self.resolver_plans();
        let out = plans.iter().chain(&others).chain(&resolvers);
        let addrs = out
            .filter(|plan| plan.side == Side::Net)
            .flat_map(|plan| plan.addrs.clone());
        self.net.add_addresses(addrs);
        let start = |plan| Daemon::start(&self.net, plan);
        self.servers = plans.into_iter().map(start).collect();
        self.others = others.into_iter().map(start).collect();
        self.resolvers = resolvers.into_iter().map(start).collect();
        let ready = |zone: &str| wire::query(&format!("version.{zone}"), wire::TXT, false);
        for daemon in &mut self.servers {
            daemon.until(&self.net, &ready(SHOP), wire::has_answer);
        }
        for (daemon, zone) in self
            .others
            .iter_mut()
            .zip(["", "example", "test", "control.test"])
        {
            daemon.until(&self.net, &ready(zone), wire::has_answer);
        }
        for daemon in &mut self.resolvers {
            daemon.until(
                &self.net,
                &wire::query("www.steady.test", wire::A, true),
                wire::has_answer,
            );
        }
    }

    /// Root hints, as resolvers and `netfault` read them.
    pub fn hints(&self) -> PathBuf {
        self.zones.path("root.hints")
    }

    fn file(&self, zone: &str) -> String {
        self.zones.path(zone).display().to_string()
    }

    fn shop_zone(&self) -> Serves {
        (SHOP.to_owned(), self.file("shop.zone.signed"))
    }

    fn parent_zone(&self) -> Serves {
        ("example".to_owned(), self.file("example.zone.signed"))
    }

    fn shop_plan(&self, n: u8, access: Access) -> Plan {
        let addrs = both(&server_v4(n), &server_v6(n));
        let product = PRODUCTS[usize::from(n) - 1];
        servers::authority(product, &format!("ns{n}"), &addrs, &[self.shop_zone()], access)
    }

    fn other_plans(&self) -> Vec<Plan> {
        let zone = |zone: &str| (format!("{zone}.test"), self.file(&format!("{zone}.zone")));
        let root = vec![(".".to_owned(), self.file("root.zone.signed"))];
        let test = vec![("test".to_owned(), self.file("test.zone"))];
        let rest = ["steady", "canary", "control"].map(zone).to_vec();
        let plan = |product, name: &str, n: u8, zones: Vec<Serves>| {
            let addrs = both(&format!("198.18.0.{n}"), &format!("fd00:18::{n}"));
            servers::authority(product, name, &addrs, &zones, Access::Everybody)
        };
        vec![
            plan(Product::Nsd, "root", 1, root),
            plan(Product::Knot, "example", 2, vec![self.parent_zone()]),
            plan(Product::Nsd, "test", 3, test),
            plan(Product::Nsd, "steady", 4, rest),
        ]
    }

    fn resolver_plans(&self) -> Vec<Plan> {
        let (hints, anchor) = (self.hints(), self.zones.anchor());
        let [first, second, third] = self.resolver_addrs();
        let side = if self.layout.beside { Side::Here } else { Side::Net };
        let trusting = self.layout.trusting;
        let unvalidated = if trusting {
            " module-config: \"iterator\""
        } else {
            ""
        };
        let more = format!("{unvalidated}\n{}", self.layout.unbound);
        vec![
            servers::unbound("r1", side, first, &hints, &anchor, &more),
            servers::bind_resolver("r2", second, &hints, &anchor, !trusting),
            servers::unbound("r3", Side::Net, third, &hints, &anchor, unvalidated),
        ]
    }

    pub fn resolver_addrs(&self) -> [IpAddr; 3] {
        let first = if self.layout.beside {
            "127.0.0.53"
        } else {
            "198.18.2.1"
        };
        [ip(first), ip("198.18.2.2"), ip("198.18.2.3")]
    }

    /// Addresses of the shop's servers that are delegated to at the start.
    pub fn authorities(&self) -> Vec<IpAddr> {
        let servers = self.layout.shop.servers.iter();
        servers
            .flat_map(|n| both(&server_v4(*n), &server_v6(*n)))
            .collect()
    }

    fn server(&mut self, n: u8) -> &mut Daemon {
        &mut self.servers[usize::from(n) - 1]
    }

    pub fn break_(&mut self, fault: Fault) {
        match &fault {
            Fault::Frozen(servers) => servers.iter().for_each(|n| self.server(*n).freeze()),
            Fault::Stopped(servers) => servers.iter().for_each(|n| self.server(*n).stop()),
            Fault::Firewalled(servers) => self.firewall(servers, "drop"),
            Fault::Unreachable(servers) => self.firewall(servers, "reject with icmpx type no-route"),
            Fault::Refusing => {
                self.replace(3, self.shop_plan(3, Access::Nobody));
            }
            Fault::Started(args) => {
                let usual = self.shop_plan(3, Access::Everybody);
                self.replace(3, Plan { args, ..usual });
            }
            Fault::Lame(servers) => servers.iter().for_each(|n| self.make_lame(*n)),
            Fault::FamilyDead { v6 } => {
                let rule = if *v6 {
                    "ip6 daddr fd00:18:1::/48 drop"
                } else {
                    "ip daddr 198.18.1.0/24 drop"
                };
                self.net.firewall(rule);
            }
            Fault::NoTcp => self.net.firewall("tcp dport 53 drop"),
            Fault::Shop(shop) => self.publish_shop(shop),
            Fault::Parent(parent) => self.publish_parent(parent),
            Fault::Uplink => self.net.uplink(false),
            // As seen from here: nothing over IPv6 comes to anybody.
            Fault::UplinkV6 => self.net.firewall("ip6 saddr fd00:ffff::2 drop"),
            Fault::ResolverStopped(n) => self.resolvers[n - 1].stop(),
            Fault::ResolverFrozen(n) => self.resolvers[n - 1].freeze(),
        }
        self.broken.push(fault);
    }

    /// Everything is as it was in the beginning.
    pub fn mend(&mut self) {
        for fault in std::mem::take(&mut self.broken) {
            match fault {
                Fault::Frozen(servers) => servers.iter().for_each(|n| self.server(*n).thaw()),
                Fault::Stopped(servers) | Fault::Lame(servers) => {
                    servers
                        .iter()
                        .for_each(|n| self.replace(*n, self.shop_plan(*n, Access::Everybody)));
                }
                Fault::Refusing | Fault::Started(_) => self.replace(3, self.shop_plan(3, Access::Everybody)),
                Fault::Firewalled(_)
                | Fault::Unreachable(_)
                | Fault::FamilyDead { .. }
                | Fault::NoTcp
                | Fault::UplinkV6 => self.net.firewall_off(),
                Fault::Shop(_) => self.publish_shop(&self.layout.shop.clone()),
                Fault::Parent(_) => self.publish_parent(&self.layout.parent.clone()),
                Fault::Uplink => self.net.uplink(true),
                Fault::ResolverStopped(n) => self.resolvers[n - 1].start_again(&self.net),
                Fault::ResolverFrozen(n) => self.resolvers[n - 1].thaw(),
            }
        }
    }

    fn firewall(&self, servers: &[u8], verdict: &str) {
        let of = |addr: fn(u8) -> String| servers.iter().map(|n| addr(*n)).collect::<Vec<_>>().join(", ");
        self.net
            .firewall(&format!("ip daddr {{ {} }} {verdict}", of(server_v4)));
        self.net
            .firewall(&format!("ip6 daddr {{ {} }} {verdict}", of(server_v6)));
    }

    /// Another configuration of a server of the shop, from a new start.
    fn replace(&mut self, n: u8, plan: Plan) {
        let (net, daemon) = (&self.net, &mut self.servers[usize::from(n) - 1]);
        daemon.stop();
        daemon.plan = plan;
        daemon.start_again(net);
        // It answers with SERVFAIL while it reads its zones.
        let is_ready = |answer: &[u8]| wire::rcode(answer) != wire::SERVFAIL;
        daemon.until(net, &wire::query(SHOP, wire::SOA, false), is_ready);
    }

    fn make_lame(&mut self, n: u8) {
        let product = PRODUCTS[usize::from(n) - 1];
        let addrs = both(&server_v4(n), &server_v6(n));
        let zones = [self.parent_zone()];
        let plan = servers::authority(product, &format!("ns{n}"), &addrs, &zones, Access::Everybody);
        self.replace(n, plan);
    }

    /// All servers of the shop that run serve this from now on.
    fn publish_shop(&mut self, shop: &Shop) {
        self.zones.write_shop(shop);
        let (version, query) = (
            self.zones.version(),
            wire::query(&format!("version.{SHOP}"), wire::TXT, false),
        );
        for daemon in self.servers.iter_mut().filter(|daemon| daemon.is_running()) {
            daemon.reload();
            daemon.until(&self.net, &query, |answer| wire::contains(answer, &version));
        }
    }

    fn publish_parent(&mut self, parent: &Parent) {
        self.zones.write_parent(parent);
        let (version, query) = (
            self.zones.version(),
            wire::query("version.example", wire::TXT, false),
        );
        let daemon = &mut self.others[1];
        daemon.reload();
        daemon.until(&self.net, &query, |answer| wire::contains(answer, &version));
    }

    /// Resolver `n` (from 1) begins anew, and knows nothing of how it was.
    pub fn forget(&mut self, n: usize) {
        self.resolvers[n - 1].stop();
        self.resolvers[n - 1].start_again(&self.net);
        let steady = wire::query("www.steady.test", wire::A, true);
        self.resolvers[n - 1].until(&self.net, &steady, wire::has_answer);
    }

    /// Waits until resolver `n` (from 1) says of the watched name what is wanted.
    #[track_caller]
    pub fn until_resolver(&mut self, n: usize, wanted: impl Fn(&[u8]) -> bool) {
        self.resolvers[n - 1].until(&self.net, &wire::query(NAME, wire::A, true), wanted);
    }
}
