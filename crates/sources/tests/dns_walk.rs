//! The walk through a small world of real servers, each delegation wrong in its own way.

mod dns_lab;
mod dns_walk_world;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use dns_lab::{has, name};
use dns_walk_world::World;
use netfault_model::Outcome;
use netfault_sources::dns::check::{CheckOptions, Verdict, check};
use netfault_sources::dns::walk::FindingKind::{self, *};
use netfault_sources::dns::walk::findings::Level;
use netfault_sources::dns::walk::record::{AliasKind, Lame, Unresolvable};
use netfault_sources::dns::walk::{End, Limits, Walk, run};

fn kinds(walk: &Walk, level: Level) -> Vec<FindingKind> {
    let of_level = walk.findings.iter().filter(|finding| finding.level == level);
    of_level.map(|finding| finding.kind).collect()
}

fn servers(world: &World, addrs: &[&str]) -> BTreeSet<SocketAddr> {
    addrs.iter().map(|addr| world.at(addr)).collect()
}

#[tokio::test]
async fn a_healthy_name() {
    if !has(&["nsd"], "a_healthy_name") {
        return;
    }
    let world = World::new().await;
    let walk = world.walk("WWW.healthy.example.").await;
    assert_eq!(
        (walk.verdict, walk.name.as_str()),
        (Verdict::Ok, "www.healthy.example")
    );
    assert_eq!(kinds(&walk, Level::Fault), [], "{:#?}", walk.findings);
    let zone = "healthy.example".to_owned();
    assert_eq!(walk.end, End::Answer { zone: zone.clone() });
    assert_eq!(
        (walk.answers.as_slice(), walk.ttl),
        (&["192.0.2.1".to_owned()][..], Some(300))
    );
    let names: Vec<_> = walk.zones.iter().map(|zone| zone.zone.as_str()).collect();
    assert_eq!(names, [".", "example", "healthy.example"]);

    let last = &walk.zones[2];
    assert_eq!(last.parent_ns, last.child_ns);
    assert_eq!(last.glue, last.addresses);
    assert_eq!(last.ds.as_deref(), Some(&[][..]));
    assert!(last.examined && last.servers.iter().all(|server| server.is_healthy()));
    let mut addrs = vec!["127.0.1.1", "127.0.2.1"];
    addrs.extend(world.has_v6.then_some("::1"));
    let found = walk.authorities().unwrap();
    assert_eq!(
        (found.zone, found.servers),
        (name(&zone), servers(&world, &addrs))
    );
    // Root and top-level domain: one good answer each, and one for DS.
    assert!(walk.queries <= 20, "{} questions", walk.queries);

    // A walk reads back as it was written.
    let text = serde_json::to_string(&walk).unwrap();
    assert_eq!(serde_json::from_str::<Walk>(&text).unwrap(), walk);

    for (to, end) in [
        ("six.healthy.example", End::Answer { zone: zone.clone() }),
        ("healthy.example", End::Nodata { zone: zone.clone() }),
        ("gone.healthy.example", End::Nxdomain { zone }),
        (
            "gone.example",
            End::Nxdomain {
                zone: "example".into(),
            },
        ),
        ("gone", End::Nxdomain { zone: ".".into() }),
        // Its servers serve the parent as well, and give no referral.
        (
            "www.below.healthy.example",
            End::Answer {
                zone: "below.healthy.example".into(),
            },
        ),
    ] {
        let walk = world.walk(to).await;
        let expected = if matches!(end, End::Nxdomain { .. }) {
            Verdict::Out
        } else {
            Verdict::Ok
        };
        assert_eq!(
            (&walk.end, walk.verdict),
            (&end, expected),
            "{to}: {:#?}",
            walk.findings
        );
    }
    let hidden = world.walk("www.below.healthy.example").await;
    let zone = hidden.zones.last().unwrap();
    assert_eq!(
        (zone.zone.as_str(), &zone.parent_ns),
        ("below.healthy.example", &None)
    );
    assert!(zone.child_ns.as_ref().is_some_and(|names| names.len() == 2));
    assert_eq!(hidden.authorities().unwrap().zone, name("below.healthy.example"));
}

#[tokio::test]
async fn each_broken_delegation_by_its_name() {
    if !has(&["nsd"], "each_broken_delegation_by_its_name") {
        return;
    }
    let world = World::new().await;
    let table: [(&str, Verdict, &[FindingKind]); 10] = [
        ("www.lame.example", Verdict::Degraded, &[Lame]),
        (
            "www.differs.example",
            Verdict::Degraded,
            &[NsDiffers, Unresolvable],
        ),
        ("www.glue.example", Verdict::Degraded, &[GlueDiffers, Unreachable]),
        ("www.outside.example", Verdict::Ok, &[]),
        ("www.noglue.example", Verdict::Out, &[NoGlue, NoGlue]),
        ("www.alias.example", Verdict::Out, &[NsIsAlias]),
        ("www.dead.example", Verdict::Out, &[Unreachable]),
        ("www.signed.example", Verdict::Ok, &[]),
        ("www.keyless.example", Verdict::Degraded, &[DsWithoutDnskey]),
        ("www.otherkey.example", Verdict::Degraded, &[DsMatchesNoDnskey]),
    ];
    for (to, verdict, findings) in table {
        let walk = world.walk(to).await;
        assert_eq!(
            kinds(&walk, Level::Fault),
            findings,
            "{to}: {:?} {:#?}",
            walk.end,
            walk.findings
        );
        assert_eq!(walk.verdict, verdict, "{to}: {:?}", walk.end);
    }

    let lame = world.walk("www.lame.example").await;
    let server = lame.zones[2]
        .servers
        .iter()
        .find(|server| server.lame.is_some())
        .unwrap();
    assert_eq!(
        (server.server, server.lame),
        (world.at("127.0.0.13"), Some(self::Lame::Refused))
    );
    assert_eq!(server.rcode.as_deref(), Some("REFUSED"));

    let glue = world.walk("www.glue.example").await;
    let text = &glue.findings[0].text;
    assert_eq!(
        text,
        "ns2.glue.example: the parent still says 127.0.5.1, its own zone says 127.0.2.1"
    );
    let expected = servers(&world, &["127.0.1.1", "127.0.2.1", "127.0.5.1"]);
    assert_eq!(glue.authorities().unwrap().servers, expected);

    let outside = world.walk("www.outside.example").await;
    let names: Vec<_> = outside.zones.iter().map(|zone| zone.zone.as_str()).collect();
    assert_eq!(
        names,
        [".", "example", "outside.example"],
        "side ways are not written down"
    );
    assert_eq!(
        outside.authorities().unwrap().servers,
        servers(&world, &["127.0.1.1", "127.0.2.1"])
    );

    // The zone tells the address that the parent does not: nothing is wrong but for the resolver that meets the other first.
    let half = world.walk("www.halfglue.example").await;
    assert_eq!(
        (half.verdict, &half.zones[2].unresolved[..]),
        (Verdict::Ok, &[][..])
    );
    assert_eq!(
        half.authorities().unwrap().servers,
        servers(&world, &["127.0.1.1", "127.0.2.1"])
    );

    let single = world.walk("www.single.example").await;
    assert_eq!(single.verdict, Verdict::Ok);
    assert_eq!(kinds(&single, Level::Risk), [SingleServer, NoIpv6]);

    let dead = world.walk("www.dead.example").await;
    assert_eq!(
        dead.end,
        End::NoServer {
            zone: "dead.example".into()
        }
    );
    assert_eq!(
        dead.authorities().unwrap().servers,
        servers(&world, &["127.0.5.1"]),
        "who should be watched is known"
    );
}

#[tokio::test]
async fn aliases_and_loops() {
    if !has(&["nsd"], "aliases_and_loops") {
        return;
    }
    let world = World::new().await;
    for (from, kind) in [
        ("far.healthy.example", AliasKind::Cname),
        ("www.moved.healthy.example", AliasKind::Dname),
    ] {
        let walk = world.walk(from).await;
        assert_eq!(
            walk.end,
            End::Answer {
                zone: "hosting.test".into()
            },
            "{from}"
        );
        assert_eq!(walk.verdict, Verdict::Ok, "{:#?}", walk.findings);
        let alias = &walk.aliases[0];
        assert_eq!(
            (alias.kind, alias.to.as_str(), alias.zone.as_str()),
            (kind, "www.hosting.test", "healthy.example")
        );
        let names: Vec<_> = walk.zones.iter().map(|zone| zone.zone.as_str()).collect();
        assert_eq!(names, [".", "example", "healthy.example", "test", "hosting.test"]);
        assert_eq!(
            walk.authorities().unwrap().zone,
            name("healthy.example"),
            "that of the name, not of its alias"
        );
    }

    let walk = world.walk("round.healthy.example").await;
    let path = [
        "round.healthy.example",
        "about.hosting.test",
        "round.healthy.example",
    ];
    assert_eq!(
        walk.end,
        End::Loop {
            path: path.map(String::from).to_vec()
        }
    );
    assert_eq!(
        (walk.verdict, kinds(&walk, Level::Fault)),
        (Verdict::Out, vec![AliasLoop])
    );

    let walk = world.walk("www.roundabout.example").await;
    let path = [
        "ns.crossing.example",
        "ns.roundabout.example",
        "ns.crossing.example",
    ];
    let path = path.map(String::from).to_vec();
    assert_eq!(walk.end, End::Loop { path: path.clone() });
    assert_eq!(
        (walk.verdict, kinds(&walk, Level::Fault)),
        (Verdict::Out, vec![NsLoop])
    );
    assert_eq!(walk.zones[2].unresolved[0].why, Unresolvable::Loop { path });
    assert!(walk.queries < 20, "{}", walk.queries);
}

#[tokio::test]
async fn dead_roots_and_small_limits_say_nothing_about_the_name() {
    if !has(&["nsd"], "dead_roots_and_small_limits") {
        return;
    }
    let mut world = World::new().await;
    let limits = Limits {
        queries: 4,
        ..Limits::default()
    };
    let walk = run(&name("www.outside.example"), &world.hints(), &limits).await;
    assert!(matches!(walk.end, End::Limit { .. }), "{:?}", walk.end);
    assert_eq!((walk.verdict, walk.queries), (Verdict::Unknown, 4));
    assert_eq!(kinds(&walk, Level::Fault).last(), Some(&Limit));

    world.daemons.remove(0); // ended by its drop
    let walk = world.walk("www.healthy.example").await;
    assert_eq!((&walk.end, walk.verdict), (&End::Offline, Verdict::Unknown));
    assert_eq!(walk.zones[0].servers[0].outcome, Some(Outcome::ConnRefused));
    assert_eq!(walk.authorities(), None);
}

#[tokio::test]
async fn the_check_of_a_name_walks_to_its_servers() {
    if !has(&["nsd"], "the_check_of_a_name_walks_to_its_servers") {
        return;
    }
    let world = World::new().await;
    let options = CheckOptions {
        hints: Some(world.hints()),
        ..CheckOptions::default()
    };
    for (to, verdict) in [
        ("www.healthy.example", Verdict::Ok),
        ("far.healthy.example", Verdict::Ok),
        ("www.outside.example", Verdict::Ok),
        ("www.lame.example", Verdict::Degraded),
        ("www.glue.example", Verdict::Degraded),
        ("www.dead.example", Verdict::Out),
        ("www.noglue.example", Verdict::Out),
        ("round.healthy.example", Verdict::Out),
        ("gone.healthy.example", Verdict::Out),
    ] {
        let report = check(to, &options).await.unwrap();
        assert_eq!(
            report.verdict, verdict,
            "{to}: {:?} {:#?}",
            report.walk, report.probes
        );
    }
    let report = check("www.healthy.example", &options).await.unwrap();
    assert_eq!(report.zone.as_deref(), Some("healthy.example"));
    assert!(
        report
            .probes
            .iter()
            .any(|probe| probe.server == world.at("127.0.2.1") && probe.qtype == "SOA")
    );
}
