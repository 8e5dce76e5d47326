//! A small world of name servers on loopback addresses, all on one port: a root, two top-level domains, and two servers with
//! many zones below them, each delegation wrong in its own way. All NSD.
//!
//! | address | serves |
//! |---|---|
//! | 127.0.0.11 | the root |
//! | 127.0.0.12 | example |
//! | 127.0.0.13 | test, and nothing else: lame for whatever is delegated to it besides |
//! | 127.0.1.1, 127.0.2.1, ::1 | everything below |
//! | 127.0.5.1 | nobody is there |

#![allow(dead_code)] // each test file uses a part of it

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use netfault_sources::dns::walk::{Hints, Limits, Walk, run};

use crate::dns_lab::{Daemon, name};

pub struct World {
    pub port: u16,
    pub has_v6: bool,
    pub daemons: Vec<Daemon>,
}

/// The key of RFC 4034 §5.4, whose tag is 60485.
const KEY: &str = "256 3 5 AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMmmAphXdvxegXd/M5+X7OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw==";
const DIGEST: &str = "2BB183AF5F22588179A53B0A98631FAD1A292118";

/// A port that is free on all of the world's addresses.
fn free_port(has_v6: bool) -> u16 {
    let mut addrs: Vec<IpAddr> = [
        "127.0.0.11",
        "127.0.0.12",
        "127.0.0.13",
        "127.0.1.1",
        "127.0.2.1",
        "127.0.5.1",
    ]
    .map(|addr| addr.parse().unwrap())
    .to_vec();
    if has_v6 {
        addrs.push("::1".parse().unwrap());
    }
    for _ in 0..100 {
        let first = UdpSocket::bind((addrs[0], 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        drop(first);
        let free = |addr: &IpAddr| {
            UdpSocket::bind((*addr, port)).is_ok() && TcpListener::bind((*addr, port)).is_ok()
        };
        if addrs.iter().all(free) {
            return port;
        }
    }
    panic!("no free port");
}

/// A zone file: SOA, and records relative to the origin.
pub fn zone(origin: &str, records: &str) -> (String, String) {
    let dot = if origin == "." { "" } else { "." };
    let text = format!(
        "$ORIGIN {origin}{dot}\n$TTL 300\n@ IN SOA ns.invalid. hostmaster.invalid. 1 3600 600 86400 60\n{records}"
    );
    (origin.to_owned(), text)
}

/// NSD on some addresses with some zones.
pub async fn nsd(port: u16, addrs: &[&str], zones: &[(String, String)]) -> Daemon {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().display().to_string();
    let mut config = String::from("server:\n");
    for addr in addrs {
        writeln!(config, " ip-address: {addr}").unwrap();
    }
    write!(
        config,
        " port: {port}\n username: \"\"\n chroot: \"\"\n zonesdir: \"{path}\"\n zonelistfile: \"{path}/zone.list\"\n \
         pidfile: \"{path}/pid\"\n xfrdfile: \"{path}/xfrd\"\n xfrdir: \"{path}\"\n logfile: \"{path}/log\"\n server-count: 1\n \
         database: \"\"\n rrl-ratelimit: 0\nremote-control:\n control-enable: no\n"
    )
    .unwrap();
    for (n, (origin, text)) in zones.iter().enumerate() {
        let file = dir.path().join(format!("zone.{n}"));
        std::fs::write(&file, text).unwrap();
        writeln!(
            config,
            "zone:\n name: \"{origin}\"\n zonefile: \"{}\"",
            file.display()
        )
        .unwrap();
    }
    let addr = SocketAddr::new(addrs[0].parse().unwrap(), port);
    Daemon::start("/usr/sbin/nsd", &["-d"], &config, dir, addr)
        .ready()
        .await
}

impl World {
    pub async fn new() -> World {
        let has_v6 = UdpSocket::bind("[::1]:0").is_ok();
        let port = free_port(has_v6);
        let mut addrs = vec!["127.0.1.1", "127.0.2.1"];
        if has_v6 {
            addrs.push("::1");
        }
        let daemons = vec![
            nsd(port, &["127.0.0.11"], &[root()]).await,
            nsd(port, &["127.0.0.12"], &[example(has_v6)]).await,
            nsd(port, &["127.0.0.13"], &[test()]).await,
            nsd(port, &addrs, &children(has_v6)).await,
        ];
        World {
            port,
            has_v6,
            daemons,
        }
    }

    pub fn hints(&self) -> Hints {
        Hints::at([self.at("127.0.0.11")])
    }

    pub fn at(&self, addr: &str) -> SocketAddr {
        SocketAddr::new(addr.parse().unwrap(), self.port)
    }

    pub async fn walk(&self, to: &str) -> Walk {
        run(&name(to), &self.hints(), &Limits::default()).await
    }
}

pub fn root() -> (String, String) {
    zone(
        ".",
        "@ NS ns.root.\nns.root. A 127.0.0.11\n\
         example. NS ns1.example.\nns1.example. A 127.0.0.12\n\
         test. NS ns1.test.\nns1.test. A 127.0.0.13\n",
    )
}

fn example(has_v6: bool) -> (String, String) {
    let v6 = if has_v6 { "ns1.healthy AAAA ::1\n" } else { "" };
    zone(
        "example",
        &format!(
            "@ NS ns1\nns1 A 127.0.0.12\n\
             healthy NS ns1.healthy\nhealthy NS ns2.healthy\nns1.healthy A 127.0.1.1\nns2.healthy A 127.0.2.1\n{v6}\
             lame NS ns1.lame\nlame NS ns2.lame\nns1.lame A 127.0.1.1\nns2.lame A 127.0.0.13\n\
             differs NS ns1.differs\ndiffers NS old.differs\nns1.differs A 127.0.1.1\nold.differs A 127.0.2.1\n\
             glue NS ns1.glue\nglue NS ns2.glue\nns1.glue A 127.0.1.1\nns2.glue A 127.0.5.1\n\
             outside NS ns1.hosting.test.\noutside NS ns2.hosting.test.\n\
             noglue NS ns1.noglue\nnoglue NS ns2.noglue\n\
             halfglue NS ns1.halfglue\nhalfglue NS ns2.halfglue\nns1.halfglue A 127.0.1.1\n\
             roundabout NS ns.crossing\ncrossing NS ns.roundabout\n\
             dead NS ns1.dead\ndead NS ns2.dead\nns1.dead A 127.0.5.1\nns2.dead A 127.0.5.1\n\
             alias NS ns.alias.test.\n\
             single NS ns1.single\nns1.single A 127.0.1.1\n\
             signed NS ns1.signed\nsigned NS ns2.signed\nns1.signed A 127.0.1.1\nns2.signed A 127.0.2.1\n\
             signed DS 60485 5 1 {DIGEST}\n\
             keyless NS ns1.signed\nkeyless NS ns2.signed\nkeyless DS 60485 5 1 {DIGEST}\n\
             otherkey NS ns1.signed\notherkey NS ns2.signed\notherkey DS 11111 5 1 {DIGEST}\n"
        ),
    )
}

fn test() -> (String, String) {
    zone(
        "test",
        "@ NS ns1\nns1 A 127.0.0.13\nhosting NS ns1.hosting\nhosting NS ns2.hosting\n\
         ns1.hosting A 127.0.1.1\nns2.hosting A 127.0.2.1\nns.alias CNAME ns1.hosting\n",
    )
}

fn children(has_v6: bool) -> Vec<(String, String)> {
    let v6 = if has_v6 { "ns1 AAAA ::1\n" } else { "" };
    let two = "@ NS ns1\n@ NS ns2\nns1 A 127.0.1.1\nns2 A 127.0.2.1\nwww A 192.0.2.1\n";
    let of_signed = "@ NS ns1.signed.example.\n@ NS ns2.signed.example.\nwww A 192.0.2.1\n";
    vec![
        zone(
            "healthy.example",
            &format!(
                "{two}{v6}six AAAA 2001:db8::1\nfar CNAME www.hosting.test.\nround CNAME about.hosting.test.\n\
                 moved DNAME hosting.test.\n"
            ),
        ),
        zone("below.healthy.example", two),
        zone(
            "lame.example",
            "@ NS ns1\n@ NS ns2\nns1 A 127.0.1.1\nns2 A 127.0.0.13\nwww A 192.0.2.1\n",
        ),
        zone(
            "differs.example",
            "@ NS ns1\n@ NS new\nns1 A 127.0.1.1\nnew A 127.0.2.1\nwww A 192.0.2.1\n",
        ),
        zone("glue.example", two),
        zone(
            "outside.example",
            "@ NS ns1.hosting.test.\n@ NS ns2.hosting.test.\nwww A 192.0.2.1\n",
        ),
        zone("noglue.example", two),
        zone("halfglue.example", two),
        zone("alias.example", "@ NS ns.alias.test.\nwww A 192.0.2.1\n"),
        zone("single.example", "@ NS ns1\nns1 A 127.0.1.1\nwww A 192.0.2.1\n"),
        zone("signed.example", &format!("{two}@ DNSKEY {KEY}\n")),
        zone("keyless.example", of_signed),
        zone("otherkey.example", &format!("{of_signed}@ DNSKEY {KEY}\n")),
        zone(
            "hosting.test",
            &format!("{two}about CNAME round.healthy.example.\n"),
        ),
    ]
}
