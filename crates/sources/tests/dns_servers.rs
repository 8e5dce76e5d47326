//! One test per outcome that a real server can be made to give: NSD as the authority, Unbound as the resolver.

mod dns_lab;

use std::sync::Arc;
use std::time::{Duration, Instant};

use dns_lab::*;
use hickory_proto::rr::RecordType;
use netfault_model::{Finding, Outcome, Transport};
use netfault_sources::dns::check::{CheckOptions, CheckRole, Verdict, check};
use netfault_sources::dns::expect::Expectation;
use netfault_sources::dns::probe::{Question, ask};
use netfault_sources::dns::resolver::Resolver;
use tokio::net::UdpSocket;

#[tokio::test]
async fn an_authority_answers_for_its_zone() {
    if !has(&["nsd"], "an_authority_answers_for_its_zone") {
        return;
    }
    let server = nsd(free_port(), &zone("")).await;
    let reply = ask(&authority(server.addr, "EXAMPLE.com.")).await;
    assert_eq!(reply.outcome, Outcome::Ok);
    assert_eq!(
        (reply.details.rcode, reply.details.authoritative),
        (Some(0), true)
    );
    assert_eq!(
        (reply.details.ttl, reply.packets_sent, reply.transport),
        (Some(3600), 1, Transport::Udp)
    );
    assert_eq!(reply.details.nsid.as_deref(), Some("lab-1"));
    let soa = &reply.details.answers[0].to_lowercase();
    assert!(
        soa.starts_with("ns1.example.com. hostmaster.example.com. 1 3600 600 86400 60"),
        "{soa}"
    );

    let nodata = ask(&authority(server.addr, "www.example.com")).await;
    assert_eq!(
        (nodata.outcome, nodata.details.authoritative),
        (Outcome::Nodata, true)
    );
    assert_eq!(nodata.details.zone, Some(name("example.com")));

    let nxdomain = ask(&authority(server.addr, "gone.example.com")).await;
    assert_eq!(
        (nxdomain.outcome, nxdomain.details.rcode),
        (Outcome::Nxdomain, Some(3))
    );

    let other_zone = ask(&authority(server.addr, "example.net")).await;
    assert_eq!(
        (other_zone.outcome, other_zone.details.rcode),
        (Outcome::Refused, Some(5))
    );

    let alias = Question {
        qtype: RecordType::A,
        ..authority(server.addr, "alias.example.com")
    };
    assert_eq!(
        ask(&alias).await.details.answers,
        ["192.0.2.10", "192.0.2.9", "CNAME www.example.com."]
    );
}

#[tokio::test]
async fn a_resolver_answers_from_the_authority() {
    if !has(&["nsd", "unbound"], "a_resolver_answers_from_the_authority") {
        return;
    }
    let upstream = nsd(free_port(), &zone("")).await;
    let server = unbound(free_port(), upstream.addr, OPEN).await;
    let reply = ask(&resolver(server.addr, "www.example.com", RecordType::A)).await;
    assert_eq!(reply.outcome, Outcome::Ok);
    assert_eq!(reply.details.answers, ["192.0.2.10", "192.0.2.9"]);
    assert!(
        reply.details.ttl.is_some_and(|ttl| (100..=120).contains(&ttl)),
        "{:?}",
        reply.details.ttl
    );
    assert_eq!((reply.packets_sent, reply.details.authoritative), (1, false));

    let v6 = ask(&resolver(server.addr, "www.example.com", RecordType::AAAA)).await;
    assert_eq!(
        (v6.outcome, v6.details.answers),
        (Outcome::Ok, vec!["2001:db8::9".to_owned()])
    );
    let nodata = ask(&resolver(server.addr, "inside.example.com", RecordType::AAAA)).await;
    assert_eq!(nodata.outcome, Outcome::Nodata);
    let nxdomain = ask(&resolver(server.addr, "gone.example.com", RecordType::A)).await;
    assert_eq!(nxdomain.outcome, Outcome::Nxdomain);

    let private = resolver(server.addr, "inside.example.com", RecordType::A);
    assert_eq!(ask(&private).await.outcome, Outcome::Bogon);
    assert_eq!(
        ask(&Question {
            private_ok: true,
            ..private
        })
        .await
        .outcome,
        Outcome::Ok
    );

    // A resolver asked as if it were an authority answers from its cache, without authority.
    ask(&resolver(server.addr, "example.com", RecordType::SOA)).await;
    let lame = ask(&authority(server.addr, "example.com")).await;
    assert_eq!((lame.outcome, lame.details.rcode), (Outcome::Lame, Some(0)));
}

#[tokio::test]
async fn dead_authorities_make_servfail_and_a_wrong_trust_anchor_makes_bogus() {
    if !has(&["nsd", "unbound"], "dead_authorities_make_servfail") {
        return;
    }
    // Unbound is told not to be patient: it would try a dead upstream for half a minute.
    let hasty = format!("{OPEN}\n outbound-msg-retry: 1\n unknown-server-time-limit: 50");
    let dead = unbound(free_port(), free_port(), &hasty).await;
    let reply = ask(&resolver(dead.addr, "www.example.com", RecordType::A)).await;
    assert_eq!((reply.outcome, reply.details.rcode), (Outcome::Servfail, Some(2)));
    assert_eq!(reply.packets_sent, 2, "once more with CD=1");

    let upstream = nsd(free_port(), &zone("")).await;
    // The zone is not signed, and this anchor says that it is.
    let anchored = " access-control: 127.0.0.0/8 allow\n module-config: \"validator iterator\"\n \
                    trust-anchor: \"example.com. DS 12345 13 2 \
                    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"";
    let validating = unbound(free_port(), upstream.addr, anchored).await;
    let reply = ask(&resolver(validating.addr, "www.example.com", RecordType::A)).await;
    assert_eq!((reply.outcome, reply.details.rcode), (Outcome::Bogus, Some(2)));
    assert!(reply.details.ede.is_some(), "Unbound says why (RFC 8914)");
}

#[tokio::test]
async fn an_access_list_makes_refused() {
    if !has(&["unbound"], "an_access_list_makes_refused") {
        return;
    }
    let closed = " access-control: 127.0.0.0/8 refuse\n module-config: \"iterator\"";
    let server = unbound(free_port(), free_port(), closed).await;
    let reply = ask(&resolver(server.addr, "www.example.com", RecordType::A)).await;
    assert_eq!((reply.outcome, reply.details.rcode), (Outcome::Refused, Some(5)));
}

#[tokio::test]
async fn a_large_answer_comes_over_tcp_and_is_truncated_without() {
    if !has(&["nsd"], "a_large_answer_comes_over_tcp") {
        return;
    }
    let server = nsd(free_port(), &zone("")).await;
    let large = Question {
        qtype: RecordType::A,
        ..authority(server.addr, "many.example.com")
    };
    let whole = ask(&large).await;
    assert_eq!(
        (whole.outcome, whole.transport, whole.packets_sent),
        (Outcome::Ok, Transport::Tcp, 2)
    );
    assert_eq!(whole.details.answers.len(), 200);

    // A relay for UDP only stands for the firewall that forgets TCP.
    let (relay, upstream) = (UdpSocket::bind(free_port()).await.unwrap(), server.addr);
    let addr = relay.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut buffer = [0u8; 4096];
        while let Ok((len, client)) = relay.recv_from(&mut buffer).await {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            socket.send_to(&buffer[..len], upstream).await.unwrap();
            let len = socket.recv(&mut buffer).await.unwrap();
            relay.send_to(&buffer[..len], client).await.unwrap();
        }
    });
    let cut = ask(&Question {
        server: addr,
        ..large
    })
    .await;
    task.abort();
    assert_eq!(
        (cut.outcome, cut.transport, cut.packets_sent),
        (Outcome::Truncated, Transport::Tcp, 2)
    );
    assert_eq!(cut.details.rcode, Some(0));
}

#[tokio::test]
async fn a_server_that_stops_is_refused_and_comes_back() {
    if !has(&["nsd"], "a_server_that_stops_is_refused_and_comes_back") {
        return;
    }
    let addr = free_port();
    let server = nsd(addr, &zone("")).await;
    let question = authority(addr, "example.com");
    assert_eq!(ask(&question).await.outcome, Outcome::Ok);
    drop(server);
    let gone = until(&question, Outcome::ConnRefused).await;
    assert_eq!(
        (gone.packets_sent, gone.details.rcode),
        (1, None),
        "a refusal is not asked again"
    );
    let _server = nsd(addr, &zone("")).await;
    assert_eq!(ask(&question).await.outcome, Outcome::Ok);
}

#[tokio::test]
async fn the_check_of_a_name() {
    if !has(&["nsd", "unbound"], "the_check_of_a_name") {
        return;
    }
    let first = nsd(free_port(), &zone("")).await;
    let second = nsd(free_port(), &zone("")).await;
    let recursive = unbound(free_port(), first.addr, OPEN).await;
    let options = CheckOptions {
        authorities: vec![first.addr, second.addr],
        resolvers: vec![recursive.addr.into()],
        authority_timeout: Duration::from_millis(500),
        ..CheckOptions::default()
    };

    let report = check("www.example.com", &options).await.unwrap();
    assert_eq!(report.verdict, Verdict::Ok);
    assert_eq!(report.zone.as_deref(), Some("example.com"));
    assert!(
        report
            .probes
            .iter()
            .all(|probe| probe.outcome == Outcome::Ok && probe.rcode.as_deref() == Some("NOERROR"))
    );
    assert_eq!(
        report
            .probes
            .iter()
            .filter(|probe| probe.role == CheckRole::Authority)
            .count(),
        6
    );

    // An application gets the same, and what it gets is no vote.
    let as_application = CheckOptions {
        as_application: true,
        ..options.clone()
    };
    let report = check("www.example.com", &as_application).await.unwrap();
    let stub = report.application.iter();
    let seen: Vec<_> = stub
        .map(|probe| {
            (
                probe.role,
                probe.qtype.as_str(),
                probe.outcome,
                probe.answers.clone(),
            )
        })
        .collect();
    let answered = |qtype, answers: &[&str]| {
        let answers = answers.iter().map(|text| (*text).to_owned()).collect();
        (CheckRole::Application, qtype, Outcome::Ok, answers)
    };
    assert_eq!(
        seen,
        [
            answered("A", &["192.0.2.10", "192.0.2.9"]),
            answered("AAAA", &["2001:db8::9"])
        ]
    );

    // What the owner expects is asked of everybody; the resolver goes by TCP this time.
    let tcp: Resolver = format!("tcp://{}", recursive.addr).parse().unwrap();
    let expecting = |wanted: &str| CheckOptions {
        resolvers: vec![tcp.clone()],
        expect: Some(Arc::new(Expectation {
            all_of: vec![wanted.parse().unwrap()],
            ..Expectation::default()
        })),
        ..options.clone()
    };
    let report = check("www.example.com", &expecting("192.0.2.9")).await.unwrap();
    assert_eq!((report.verdict, report.finding), (Verdict::Ok, Finding::None));
    let by_tcp = report
        .probes
        .iter()
        .find(|probe| probe.role == CheckRole::Resolver)
        .unwrap();
    assert_eq!(
        (by_tcp.transport, by_tcp.via.as_ref()),
        (Transport::Tcp, Some(&tcp))
    );
    let report = check("www.example.com", &expecting("192.0.2.99")).await.unwrap();
    assert_eq!(
        (report.verdict, report.finding),
        (Verdict::Out, Finding::AnswerChanged)
    );
    // The zone itself is not what an address is expected of.
    let soa = report.probes.iter().find(|probe| probe.qtype == "SOA").unwrap();
    assert_eq!((soa.outcome, soa.detail.as_deref()), (Outcome::Ok, None));

    // A private address is fine where the authority says so itself.
    assert_eq!(
        check("inside.example.com", &options).await.unwrap().verdict,
        Verdict::Ok
    );
    let gone = check("gone.example.com", &options).await.unwrap();
    assert_eq!((gone.verdict, gone.verdict.exit_code()), (Verdict::Out, 2));

    let dead = first.addr;
    drop(first);
    until(&authority(dead, "example.com"), Outcome::ConnRefused).await;
    assert_eq!(
        check("www.example.com", &options).await.unwrap().verdict,
        Verdict::Degraded
    );
    drop(second);
    let start = Instant::now();
    loop {
        let report = check("www.example.com", &options).await.unwrap();
        if report.verdict == Verdict::Out {
            break; // though the resolver still answers from its cache
        }
        assert!(start.elapsed() < PATIENCE, "{:?}", report.verdict);
    }
}
