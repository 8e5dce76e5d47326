//! DNSSEC of our own against a signed world of real servers: every way in which a chain breaks is bogus and named, what is not signed is
//! insecure, and what cannot be fetched is neither.

#[path = "../dns_lab/mod.rs"]
mod dns_lab;
mod signed;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dns_lab::{free_port, has, name, unbound};
use hickory_proto::rr::RecordType;
use netfault_model::Outcome;
use netfault_sources::dns::probe::{Question, Reply, ask};
use netfault_sources::dns::validate::{Security, Validation};
use signed::World;

const TOOLS: &[&str] = &["nsd", "dnssec-signzone", "dnssec-keygen"];

fn question(server: SocketAddr, text: &str, qtype: RecordType, validation: &Validation) -> Question {
    Question {
        validate: Some(Arc::new(validation.clone())),
        timeout: Duration::from_secs(10),
        ..Question::to_resolver(server, name(text), qtype)
    }
}

fn found(reply: &Reply) -> (Outcome, Option<Security>, String) {
    let security = reply.validated.as_ref().map(|validated| validated.security);
    (
        reply.outcome,
        security,
        reply.details.detail.clone().unwrap_or_default(),
    )
}

/// One row for each: what is asked, the outcome, what validation says, and words of the sentence.
const ROWS: &[(&str, RecordType, Outcome, Security, &str)] = {
    use Outcome::{Bogus, Nodata, Nxdomain, Ok};
    use RecordType::{A, AAAA};
    use Security::{Bogus as Wrong, Insecure, Secure};
    &[
        ("www.test", A, Ok, Secure, ""),
        ("www.test", AAAA, Ok, Secure, ""),
        ("alias.test", A, Ok, Secure, ""),
        ("any.wild.test", A, Ok, Secure, ""),
        ("a.b.wild.test", A, Ok, Secure, ""),
        ("any.wild.test", AAAA, Nodata, Secure, ""),
        ("any.wild.good.test", A, Ok, Secure, ""),
        ("any.wild.denial.test", A, Ok, Secure, ""),
        ("any.wild.denial.test", AAAA, Nodata, Secure, ""),
        ("www.good.test", A, Ok, Secure, ""),
        ("www.good.test", AAAA, Nodata, Secure, ""),
        ("gone.good.test", A, Nxdomain, Secure, ""),
        ("www.denial.test", A, Ok, Secure, ""),
        ("www.denial.test", AAAA, Nodata, Secure, ""),
        ("gone.denial.test", A, Nxdomain, Secure, ""),
        (
            "www.plain.test",
            A,
            Ok,
            Insecure,
            "insecure: plain.test is not signed (no DS)",
        ),
        (
            "gone.plain.test",
            A,
            Nxdomain,
            Insecure,
            "insecure: plain.test is not signed (no DS)",
        ),
        (
            "www.expired.test",
            A,
            Bogus,
            Wrong,
            "the keys of expired.test: the signature (key ",
        ),
        (
            "www.expired.test",
            A,
            Bogus,
            Wrong,
            ") expired at 2020-02-01T00:00:00Z",
        ),
        (
            "www.early.test",
            A,
            Bogus,
            Wrong,
            ") is not valid before 2050-01-01T00:00:00Z",
        ),
        (
            "www.tampered.test",
            A,
            Bogus,
            Wrong,
            "A of www.tampered.test: the signature (key ",
        ),
        ("www.tampered.test", A, Bogus, Wrong, ") is wrong"),
        ("www.wrongds.test", A, Bogus, Wrong, "no key of wrongds.test ("),
        (
            "www.wrongds.test",
            A,
            Bogus,
            Wrong,
            ") is in the DS of its parent (",
        ),
        ("www.nokey.test", A, Bogus, Wrong, "nokey.test has a DS ("),
        (
            "www.nokey.test",
            A,
            Bogus,
            Wrong,
            "), but A of www.nokey.test is not signed",
        ),
        (
            "gone.unproven.test",
            A,
            Bogus,
            Wrong,
            "it is not proven that gone.unproven.test has no A (NSEC, NSEC3)",
        ),
        ("www.unproven.test", A, Ok, Secure, ""),
    ]
};

#[tokio::test]
async fn every_link_of_a_chain_is_checked_and_named() {
    if !has(TOOLS, "every_link_of_a_chain_is_checked_and_named") {
        return;
    }
    let world = World::new().await;
    let validation = Validation::from_file(&world.anchors).unwrap();
    for (text, qtype, outcome, security, words) in ROWS {
        let reply = ask(&question(world.server.addr, text, *qtype, &validation)).await;
        let (found_outcome, found_security, said) = found(&reply);
        assert_eq!(
            (found_outcome, found_security),
            (*outcome, Some(*security)),
            "{text} {qtype}: {said}"
        );
        assert!(said.contains(words), "{text}: {said}");
        assert_eq!(said.is_empty(), words.is_empty(), "{text}: {said}");
        let questions = reply.validated.unwrap().questions;
        assert!((3..40).contains(&questions), "{text}: {questions} questions");
    }

    // The keys of another root: nothing is believed, and that is what is said.
    let strange = Validation::public();
    let reply = ask(&question(world.server.addr, "www.test", RecordType::A, &strange)).await;
    let (outcome, security, said) = found(&reply);
    assert_eq!((outcome, security), (Outcome::Bogus, Some(Security::Bogus)));
    assert!(
        said.starts_with("no key of the root (") && said.ends_with(") is in the trust anchors"),
        "{said}"
    );
}

/// An authority is judged with the help of the servers above it; without them it is not judged at all.
#[tokio::test]
async fn an_authority_needs_the_zones_above_it() {
    if !has(TOOLS, "an_authority_needs_the_zones_above_it") {
        return;
    }
    let world = World::new().await;
    let anchors = Validation::from_file(&world.anchors).unwrap();
    let server = world.server.addr;
    let ask_with = |text: &str, validation: &Validation| {
        let question = Question {
            validate: Some(Arc::new(validation.clone())),
            timeout: Duration::from_secs(10),
            ..Question::to_authority(server, name(text), RecordType::A)
        };
        async move { ask(&question).await }
    };
    let alone = ask_with("www.good.test", &anchors).await;
    assert_eq!((alone.outcome, alone.validated), (Outcome::Ok, None));
    let zones = [".", "test", "good.test", "expired.test"].map(|zone| (name(zone), vec![server]));
    let along = anchors.along(zones.to_vec());
    let good = ask_with("www.good.test", &along).await;
    assert_eq!(found(&good), (Outcome::Ok, Some(Security::Secure), String::new()));
    let expired = ask_with("www.expired.test", &along).await;
    assert_eq!(expired.outcome, Outcome::Bogus);
    assert!(found(&expired).2.contains("expired at"), "{expired:?}");
    // The servers of the parent are not there: that is nobody's forgery.
    let nobody = free_port();
    let zones =
        [(".", server), ("test", nobody), ("good.test", server)].map(|(zone, at)| (name(zone), vec![at]));
    let unknown = ask_with("www.good.test", &anchors.along(zones.to_vec())).await;
    let (outcome, security, said) = found(&unknown);
    assert_eq!(
        (outcome, security),
        (Outcome::Ok, Some(Security::Indeterminate)),
        "{said}"
    );
    assert!(said.starts_with("indeterminate: no answer for "), "{said}");
    assert!(said.contains("connection refused"), "{said}");
}

/// A validating resolver says SERVFAIL, with CD=1 it answers, and our own validation says why.
#[tokio::test]
async fn a_resolver_that_validates_is_told_why() {
    if !has(TOOLS, "a_resolver_that_validates_is_told_why")
        || !has(&["unbound"], "a_resolver_that_validates_is_told_why")
    {
        return;
    }
    let world = World::new().await;
    let upstream = world.server.addr;
    let stubs: String = world
        .zones
        .iter()
        .map(|zone| {
            format!(
                "stub-zone:\n name: \"{zone}\"\n stub-addr: {}@{}\n stub-first: no\n",
                upstream.ip(),
                upstream.port()
            )
        })
        .collect();
    let lines = format!(
        " access-control: 127.0.0.0/8 allow\n module-config: \"validator iterator\"\n local-zone: \"test.\" nodefault\n trust-anchor-file: \"{}\"\n{stubs}",
        world.anchors.display()
    );
    let resolver = unbound(free_port(), upstream, &lines).await;
    let validation = Validation::from_file(&world.anchors).unwrap();
    let expired = ask(&question(
        resolver.addr,
        "www.expired.test",
        RecordType::A,
        &validation,
    ))
    .await;
    let (outcome, security, said) = found(&expired);
    assert_eq!(
        (outcome, security),
        (Outcome::Bogus, Some(Security::Bogus)),
        "{said}"
    );
    assert_eq!(expired.details.rcode, Some(2));
    assert!(said.contains("expired at 2020-02-01T00:00:00Z"), "{said}");
    let good = ask(&question(
        resolver.addr,
        "www.good.test",
        RecordType::A,
        &validation,
    ))
    .await;
    assert_eq!(found(&good), (Outcome::Ok, Some(Security::Secure), String::new()));
    // Without a wish for validation it is told from CD=1 alone, and nothing more is asked.
    let plain = Question {
        validate: None,
        ..question(resolver.addr, "www.expired.test", RecordType::A, &validation)
    };
    let reply = ask(&plain).await;
    assert_eq!(
        (reply.outcome, reply.packets_sent, reply.validated),
        (Outcome::Bogus, 2, None)
    );
}
