//! What the DNS monitor keeps: delegations with their routes, and the rollup of probes.

use std::net::IpAddr;

use netfault_model::*;
use netfault_store::query::{
    self, DelegationFilter, DnsFailureFilter, HealthFilter, dns_failures, dns_health, failing_servers,
};
use netfault_store::{Writer, WriterConfig};

use crate::store_common::*;
use crate::{PATIENCE, store};

fn route(prefix: &str, origin: Option<u32>) -> Option<Route> {
    Some(Route {
        prefix: prefix.parse().unwrap(),
        origin: origin.map(Asn),
    })
}

fn server(name: &str, addr: &str, route: Option<Route>) -> NameServer {
    NameServer {
        zone: "facebook.com".into(),
        name: name.into(),
        addr: addr.parse().unwrap(),
        in_parent: true,
        in_child: false,
        glue: true,
        outcome: Some(Outcome::Timeout),
        route,
    }
}

fn delegation(at: &str) -> Delegation {
    Delegation {
        at: time(at),
        vantage: "v1".into(),
        name: "facebook.com".into(),
        complete: true,
        end: "an answer".into(),
        zone: Some("facebook.com".into()),
        parent_ns: vec!["a.ns.facebook.com".into(), "b.ns.facebook.com".into()],
        child_ns: vec![],
        ds: vec![1, 65535],
        servers: vec![
            server(
                "a.ns.facebook.com",
                "129.134.30.12",
                route("129.134.30.0/23", Some(32934)),
            ),
            NameServer {
                outcome: None,
                glue: false,
                ..server(
                    "b.ns.facebook.com",
                    "2a03:2880:f0fd::35",
                    route("2a03:2880::/32", None),
                )
            },
        ],
        aliases: vec!["star-mini.c10r.facebook.com".into()],
        addresses: vec![Address {
            addr: "157.240.1.35".parse().unwrap(),
            route: None,
        }],
        findings: vec![DelegationFinding {
            fault: false,
            kind: "shared_prefix".into(),
            zone: "facebook.com".into(),
            text: "all servers are in one \"prefix\"".into(),
        }],
        frozen: false,
    }
}

#[test]
fn embedded_a_delegation_comes_back_and_is_found_by_the_prefixes_it_depends_on() {
    if !engine_is_here("delegations") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(&dir.path().join("db"));
    let older = delegation("2021-10-04T15:00:00Z");
    let newest = delegation("2021-10-04T15:10:00.5Z");
    let frozen = Delegation {
        frozen: true,
        ..newest.clone()
    };
    let failed = Delegation {
        complete: false,
        zone: None,
        servers: vec![],
        addresses: vec![],
        findings: vec![],
        ..delegation("2021-10-04T15:50:00Z")
    };
    let other = Delegation {
        name: "example.org".into(),
        servers: vec![server("ns.example.org", "192.0.2.1", None)],
        addresses: vec![],
        ..older.clone()
    };
    // Nobody watches it any more.
    let forgotten = Delegation {
        name: "example.net".into(),
        ..delegation("2021-09-01T00:00:00Z")
    };
    let all = [&older, &newest, &frozen, &failed, &other, &forgotten];
    let spool = dir.path().join("spool");
    store(&db, &spool, |writer| {
        all.iter().for_each(|it| writer.delegation(it))
    });
    store(&db, &spool, |writer| {
        all.iter().rev().for_each(|it| writer.delegation(it))
    });

    let client = db.client();
    let ask = |filter: DelegationFilter| block_on(query::delegations(&client, &filter)).unwrap();
    let name = |name: &str| DelegationFilter {
        name: Some(name.into()),
        ..DelegationFilter::default()
    };
    assert_eq!(
        ask(name("Facebook.com.")),
        std::slice::from_ref(&frozen),
        "the newest whole one"
    );
    let as_of = DelegationFilter {
        until: Some(newest.at),
        ..name("facebook.com")
    };
    assert_eq!(ask(as_of), std::slice::from_ref(&older));
    let history = DelegationFilter {
        since: Some(newest.at),
        ..name("facebook.com")
    };
    assert_eq!(ask(history), [newest, frozen, failed]);
    let within = |prefix: &str| -> Vec<String> {
        let filter = DelegationFilter {
            prefix: Some(prefix.parse().unwrap()),
            ..DelegationFilter::default()
        };
        ask(filter).into_iter().map(|it| it.name).collect()
    };
    assert_eq!(within("129.134.30.0/24"), ["example.net", "facebook.com"]);
    assert_eq!(within("157.240.0.0/16"), within("129.134.0.0/17"));
    assert_eq!(within("192.0.2.0/24"), ["example.org"]);
    assert_eq!(
        within("129.134.31.0/24"),
        Vec::<String>::new(),
        "no address in it"
    );
    assert_eq!(within("2a03:2880::/32").len(), 2);
    assert_eq!(
        db.ask(
            "SELECT name, role, server, addr, prefix, origin, outcome FROM name_dependencies ORDER BY name, role DESC, server"
        ),
        "example.org\tns\tns.example.org\t192.0.2.1\t\t\\N\ttimeout\n\
         facebook.com\tns\ta.ns.facebook.com\t129.134.30.12\t129.134.30.0/23\t32934\ttimeout\n\
         facebook.com\tns\tb.ns.facebook.com\t2a03:2880:f0fd::35\t2a03:2880::/32\t\\N\t\n\
         facebook.com\taddress\t\t157.240.1.35\t\t\\N"
    );
    let addrs = ["129.134.30.12", "2a03:2880:f0fd::35", "192.0.2.1", "192.0.2.2"];
    let addrs = addrs.map(|text| text.parse().unwrap()).into();
    let routes = block_on(query::routes_of(&client, &addrs)).unwrap();
    let routes: Vec<String> = routes
        .iter()
        .map(|(addr, route)| format!("{addr} {} {:?}", route.prefix, route.origin.map(|asn| asn.0)))
        .collect();
    assert_eq!(
        routes,
        [
            "129.134.30.12 129.134.30.0/23 Some(32934)",
            "2a03:2880:f0fd::35 2a03:2880::/32 None"
        ]
    );
    assert_eq!(
        db.ask(
            "SELECT DISTINCT name FROM name_dependencies WHERE isIPAddressInRange(addr, '129.134.30.0/24')"
        ),
        "facebook.com"
    );
}

fn probe(at: Time, n: u8, outcome: Outcome) -> Probe {
    Probe {
        at,
        vantage: "v1".into(),
        name: "facebook.com".into(),
        role: Role::Authority,
        server: (IpAddr::from([129, 134, 30, n]), 53).into(),
        qname: "facebook.com".into(),
        qtype: "SOA".into(),
        outcome,
        rcode: None,
        authoritative: outcome == Outcome::Nxdomain,
        ede: None,
        nsid: None,
        latency_us: 2_000_000,
        ttl: None,
        answers: vec![],
        transport: Transport::Udp,
        packets_sent: 1,
        arrival: Arrival::InTime,
        detail: None,
    }
}

/// Three minutes of two servers, every 20 s: the first fails from 15:51:00 on, the second once.
fn probes() -> Vec<Probe> {
    let mut probes = Vec::new();
    for n in 0..9i64 {
        let at = time("2021-10-04T15:50:00Z").plus_micros(n * 20_000_000);
        let first = if n < 3 { Outcome::Ok } else { Outcome::Timeout };
        let latency_us = if n < 3 { 1000 * (n as u32 + 1) } else { 2_000_000 };
        probes.push(Probe {
            latency_us,
            ..probe(at, 12, first)
        });
        let second = if n == 4 {
            Outcome::Servfail
        } else {
            Outcome::Nxdomain
        };
        probes.push(probe(at.plus_micros(1), 13, second));
    }
    // Two types at one instant are two probes; late ones count, early ones do not.
    let base = probe(time("2021-10-04T15:51:30Z"), 14, Outcome::Nodata);
    for (qtype, arrival) in [
        ("A", Arrival::InTime),
        ("AAAA", Arrival::Late),
        ("NS", Arrival::Early),
    ] {
        probes.push(Probe {
            role: Role::Resolver,
            qtype: qtype.into(),
            arrival,
            ..base.clone()
        });
    }
    probes
}

#[test]
fn embedded_the_rollup_counts_each_probe_once_in_any_batching() {
    if !engine_is_here("rollup") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(&dir.path().join("db"));
    let fill = |max_rows| {
        let config = WriterConfig {
            max_rows,
            ..WriterConfig::archive(dir.path().join("spool"), db.target.clone())
        };
        let writer = Writer::open(config).unwrap();
        probes().iter().for_each(|it| writer.probe(it));
        assert!(writer.finish(PATIENCE).unwrap().drained);
    };
    // Merged or not, so many entries stand there.
    let entries = "SELECT sum(length(latencies)) FROM dns_health_1m_data";
    let health = "SELECT toString(minute), role, server, probes, ok, failed, outcomes, latency_p50_ms, latency_p99_ms \
                  FROM dns_health_1m ORDER BY minute, server";
    fill(7);
    assert_eq!(db.count("SELECT count() FROM dns_probes"), 21);
    assert_eq!(db.count(entries), 20);
    let told = db.ask(health);
    assert_eq!(
        told,
        "2021-10-04 15:50:00\tauthority\t129.134.30.12\t3\t3\t0\t{'ok':3}\t2\t3\n\
         2021-10-04 15:50:00\tauthority\t129.134.30.13\t3\t3\t0\t{'nxdomain':3}\t2000\t2000\n\
         2021-10-04 15:51:00\tauthority\t129.134.30.12\t3\t0\t3\t{'timeout':3}\t\\N\t\\N\n\
         2021-10-04 15:51:00\tauthority\t129.134.30.13\t3\t2\t1\t{'nxdomain':2,'servfail':1}\t2000\t2000\n\
         2021-10-04 15:51:00\tresolver\t129.134.30.14\t2\t0\t0\t{'nodata':2}\t2000\t2000\n\
         2021-10-04 15:52:00\tauthority\t129.134.30.12\t3\t0\t3\t{'timeout':3}\t\\N\t\\N\n\
         2021-10-04 15:52:00\tauthority\t129.134.30.13\t3\t3\t0\t{'nxdomain':3}\t2000\t2000"
    );
    // The same batches have the same tokens: neither the table nor the rollup is written again.
    fill(7);
    assert_eq!(
        (db.count("SELECT count() FROM dns_probes"), db.count(entries)),
        (21, 20)
    );
    // Other batches are written, and counted once all the same.
    fill(5);
    assert!(db.count("SELECT count() FROM dns_probes") > 21);
    assert_eq!(db.ask(health), told);
    assert_eq!(
        db.ask("SELECT hour, server, probes, ok, failed, outcomes FROM dns_health_1h WHERE role = 'authority' ORDER BY server"),
        "2021-10-04 15:00:00\t129.134.30.12\t9\t3\t6\t{'ok':3,'timeout':6}\n\
         2021-10-04 15:00:00\t129.134.30.13\t9\t8\t1\t{'nxdomain':8,'servfail':1}"
    );
    // What was there before the rollup is taken over, and doing it twice does no harm.
    let migration = netfault_store::migrate::ALL
        .iter()
        .find(|it| it.name == "0012_dns_rollups")
        .unwrap();
    let (_, backfill) = migration.sql.split_once("-- What was there before.\n").unwrap();
    let (backfill, _) = backfill.split_once(';').unwrap();
    db.ask("TRUNCATE TABLE dns_health_1m_data");
    for _ in 0..2 {
        db.ask(backfill);
        assert_eq!(db.ask(health), told);
    }
}

#[test]
fn embedded_a_failure_of_a_name_says_which_servers_failed_when_and_how() {
    if !engine_is_here("failing servers") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(&dir.path().join("db"));
    let say = |from, to, at: &str| Transition {
        subject: Subject::Name {
            name: "facebook.com".into(),
        },
        first_evidence_at: time("2021-10-04T15:51:00Z"),
        finding: Some(Finding::AuthorityPartial),
        ..transition("10.0.0.0/8", from, to, at)
    };
    store(&db, &dir.path().join("spool"), |writer| {
        probes().iter().for_each(|it| writer.probe(it));
        // Before the failure, after it, and of another name.
        writer.probe(&probe(time("2021-10-04T15:49:00Z"), 15, Outcome::Refused));
        writer.probe(&probe(time("2021-10-04T16:49:00Z"), 16, Outcome::Refused));
        writer.probe(&Probe {
            name: "example.org".into(),
            ..probe(time("2021-10-04T15:52:00Z"), 17, Outcome::Refused)
        });
        writer.transition(&say(State::Ok, State::Partial, "2021-10-04T15:51:22Z"));
        writer.transition(&say(State::Partial, State::Ok, "2021-10-04T15:59:00Z"));
    });
    let client = db.client();
    let failures = block_on(dns_failures(&client, &DnsFailureFilter::default())).unwrap();
    let servers = block_on(failing_servers(&client, &failures[0])).unwrap();
    let told: Vec<_> = servers
        .iter()
        .map(|it| {
            let outcomes: Vec<_> = it.outcomes.iter().collect();
            format!(
                "{} {} {} {} of {} {outcomes:?}",
                it.server, it.first_failure_at, it.last_failure_at, it.failed, it.probes
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "129.134.30.12 2021-10-04T15:51:00.000000Z 2021-10-04T15:52:40.000000Z 6 of 6 [(\"timeout\", 6)]",
            "129.134.30.13 2021-10-04T15:51:20.000000Z 2021-10-04T15:51:20.000000Z 1 of 6 [(\"nxdomain\", 5), (\"servfail\", 1)]",
        ]
    );
    assert_eq!(servers[0].vantages, ["v1"]);

    let filter = HealthFilter {
        name: Some("facebook.com".into()),
        server: Some("129.134.30.12".parse().unwrap()),
        since: Some(time("2021-10-04T15:50:00Z")),
        until: Some(time("2021-10-04T15:53:00Z")),
        step_s: 60,
        limit: 0,
    };
    let ask = |filter: HealthFilter| block_on(dns_health(&client, &filter)).unwrap();
    let told: Vec<_> = ask(filter.clone()).iter().map(|it| (it.ok, it.failed)).collect();
    assert_eq!(told, [(3, 0), (0, 3), (0, 3)]);
    let step = ask(HealthFilter {
        step_s: 600,
        ..filter.clone()
    });
    assert_eq!(step.len(), 1);
    assert_eq!(
        (step[0].at, step[0].probes, step[0].latency_p50_ms),
        (time("2021-10-04T15:50:00Z"), 9, Some(2.0))
    );
    let last = ask(HealthFilter { limit: 1, ..filter });
    assert_eq!(last[0].at, time("2021-10-04T15:52:00Z"));
}
