//! Walks among servers that lie: whatever they say, a walk ends within its limits, believes nothing that a server has no say in,
//! and names what is wrong.

mod dns_lab;

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use dns_lab::{AA, Responder, header_and_question, name, responder};
use netfault_model::Outcome;
use netfault_sources::dns::check::Verdict;
use netfault_sources::dns::walk::record::Lame;
use netfault_sources::dns::walk::{End, FindingKind, Hints, Limits, Walk, run};

const A: u16 = 1;
const NS: u16 = 2;
const CNAME: u16 = 5;
const SOA: u16 = 6;

/// A name on the wire.
fn wire(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

fn record(owner: &str, rtype: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = wire(owner);
    bytes.extend(rtype.to_be_bytes());
    bytes.extend([0, 1, 0, 0, 0, 60]);
    bytes.extend((data.len() as u16).to_be_bytes());
    bytes.extend_from_slice(data);
    bytes
}

fn ns(owner: &str, host: &str) -> Vec<u8> {
    record(owner, NS, &wire(host))
}

fn a(owner: &str, addr: [u8; 4]) -> Vec<u8> {
    record(owner, A, &addr)
}

/// Answer, authority and additional section.
fn reply(query: &[u8], flags: u8, sections: [&[Vec<u8>]; 3]) -> Vec<Vec<u8>> {
    let mut message = header_and_question(query);
    message[2] = 0x80 | flags;
    for (n, section) in sections.into_iter().enumerate() {
        message[6 + 2 * n..8 + 2 * n].copy_from_slice(&(section.len() as u16).to_be_bytes());
        section
            .iter()
            .for_each(|record| message.extend_from_slice(record));
    }
    vec![message]
}

/// The question's name, in lower case without the last dot, and its type.
fn question(query: &[u8]) -> (String, u16) {
    let mut labels = Vec::new();
    let mut at = 12;
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    (
        labels.join("."),
        u16::from_be_bytes([query[at + 1], query[at + 2]]),
    )
}

const HERE: [u8; 4] = [127, 0, 0, 1];

/// A referral to `zone` with one server, which is this one.
fn refer(query: &[u8], zone: &str) -> Vec<Vec<u8>> {
    let host = format!("ns.{zone}");
    reply(query, 0, [&[], &[ns(zone, &host)], &[a(&host, HERE)]])
}

fn limits() -> Limits {
    Limits {
        queries: 60,
        time: Duration::from_secs(10),
        timeout: Duration::from_millis(300),
        ..Limits::default()
    }
}

async fn walk(server: &Responder, to: &str) -> Walk {
    let start = Instant::now();
    let walk = run(&name(to), &Hints::at([server.addr]), &limits()).await;
    assert!(
        start.elapsed() < limits().time + Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    // A question that was within the limit may take two packets more: TCP, or plain letter case.
    assert!(walk.queries <= limits().queries + 4, "{} questions", walk.queries);
    walk
}

fn lame(walk: &Walk) -> Option<Lame> {
    walk.zones
        .iter()
        .flat_map(|zone| &zone.servers)
        .find_map(|server| server.lame)
}

#[tokio::test]
async fn a_server_that_refers_to_itself() {
    let server = responder(|query| refer(query, "evil.example")).await;
    let walk = walk(&server, "www.evil.example").await;
    assert_eq!(
        walk.end,
        End::NoServer {
            zone: "evil.example".into()
        }
    );
    assert_eq!(
        (walk.verdict, lame(&walk)),
        (Verdict::Out, Some(Lame::SelfReferral))
    );
    assert!(
        walk.findings
            .iter()
            .any(|finding| finding.kind == FindingKind::Lame)
    );
}

#[tokio::test]
async fn a_server_that_refers_upwards() {
    let n = AtomicU32::new(0);
    let server = responder(move |query| {
        let zone = if n.fetch_add(1, Relaxed) == 0 {
            "evil.example"
        } else {
            "example"
        };
        refer(query, zone)
    })
    .await;
    let walk = walk(&server, "www.evil.example").await;
    assert_eq!(
        walk.end,
        End::NoServer {
            zone: "evil.example".into()
        }
    );
    assert_eq!(lame(&walk), Some(Lame::UpwardReferral));
}

#[tokio::test]
async fn a_proxy_in_the_place_of_the_root() {
    let server = responder(|query| {
        let (asked, _) = question(query);
        reply(query, 0, [&[a(&asked, [192, 0, 2, 1])], &[], &[]])
    })
    .await;
    let walk = walk(&server, "www.evil.example").await;
    assert_eq!((walk.end, walk.verdict), (End::Intercepted, Verdict::Unknown));
    assert_eq!(walk.findings, []);
}

#[tokio::test]
async fn hearsay_is_not_believed() {
    // A server of `example` gives addresses of names elsewhere, and the answer of another zone beside its own.
    let server = responder(|query| {
        let (asked, qtype) = question(query);
        match (asked.as_str(), qtype) {
            ("www.victim.example", A) => {
                let list = [ns("example", "ns.example")];
                static SEEN: AtomicU32 = AtomicU32::new(0);
                if SEEN.fetch_add(1, Relaxed) == 0 {
                    return reply(query, 0, [&[], &list, &[a("ns.example", HERE)]]);
                }
                let list = [ns("victim.example", "ns.bank.test")];
                reply(query, 0, [&[], &list, &[a("ns.bank.test", [127, 0, 0, 9])]])
            }
            ("ns.bank.test", A) => reply(
                query,
                AA,
                [&[a("ns.other.test", HERE), a("ns.bank.test", HERE)], &[], &[]],
            ),
            ("victim.example", NS) => reply(
                query,
                AA,
                [
                    &[
                        ns("victim.example", "ns.bank.test"),
                        ns("bank.test", "ns.evil.test"),
                    ],
                    &[],
                    &[],
                ],
            ),
            _ => reply(query, AA, [&[], &[], &[]]),
        }
    })
    .await;
    let walk = walk(&server, "www.victim.example").await;
    let zone = walk
        .zones
        .iter()
        .find(|zone| zone.zone == "victim.example")
        .unwrap();
    assert_eq!(zone.glue, [], "example has no say in bank.test");
    assert_eq!(zone.child_ns.as_deref(), Some(&["ns.bank.test".to_owned()][..]));
    let asked: Vec<_> = zone.servers.iter().map(|server| server.server.ip()).collect();
    assert_eq!(asked, [Ipv4Addr::from(HERE)]);
}

#[tokio::test]
async fn a_name_that_needs_ever_more_names() {
    // Every name is in a zone whose server is in yet another zone.
    let n = AtomicU32::new(0);
    let server = responder(move |query| {
        let (asked, _) = question(query);
        let zone = asked.rsplit('.').take(2).collect::<Vec<_>>();
        let zone = zone.into_iter().rev().collect::<Vec<_>>().join(".");
        let n = n.fetch_add(1, Relaxed);
        let list: Vec<_> = (0..6)
            .map(|k| ns(&zone, &format!("ns{k}.zone{n}-{k}.test")))
            .collect();
        reply(query, 0, [&[], &list, &[]])
    })
    .await;
    let walk = walk(&server, "www.evil.example").await;
    assert!(matches!(walk.end, End::Limit { .. }), "{:?}", walk.end);
    assert_eq!(walk.verdict, Verdict::Unknown);
}

#[tokio::test]
async fn a_crowd_of_name_servers_and_of_addresses() {
    let server = responder(|query| {
        let (asked, qtype) = question(query);
        if asked == "www.evil.example" && qtype == A {
            // 70 names in 1,190 bytes: of each the owner is the question's second label.
            let records: Vec<Vec<u8>> = (0..70u8)
                .map(|k| {
                    let mut bytes = vec![0xc0, 16, 0, 2, 0, 1, 0, 0, 0, 60, 0, 5, 2];
                    bytes.extend([b'a' + k / 10, b'a' + k % 10, 0xc0, 16]);
                    bytes
                })
                .collect();
            return reply(query, 0, [&[], &records, &[]]);
        }
        reply(query, AA, [&[], &[], &[]])
    })
    .await;
    let walk = walk(&server, "www.evil.example").await;
    let zone = walk.zones.last().unwrap();
    assert_eq!((zone.parent_ns.as_ref().unwrap().len(), zone.left_out), (32, 38));
    assert_eq!(
        walk.end,
        End::NoAddress {
            zone: "evil.example".into()
        }
    );
    let kinds: Vec<_> = walk.findings.iter().map(|finding| finding.kind).collect();
    assert!(
        kinds.contains(&FindingKind::TooManyNs) && kinds.contains(&FindingKind::NoGlue),
        "{kinds:?}"
    );
}

#[tokio::test]
async fn names_that_point_at_themselves_and_other_garbage() {
    let server = responder(|query| {
        let mut message = header_and_question(query);
        message[2] = 0x84;
        message[7] = 1;
        let end = message.len();
        // The owner is a pointer to itself (RFC 1035 §4.1.4 allows only earlier ones).
        message.extend([0xc0, end as u8, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
        vec![message]
    })
    .await;
    let walk = walk(&server, "www.evil.example").await;
    assert_eq!(walk.end, End::NoServer { zone: ".".into() });
    assert_eq!(walk.zones[0].servers[0].outcome, Some(Outcome::Malformed));
    assert_eq!(
        walk.verdict,
        Verdict::Unknown,
        "that is the root's fault, not the name's"
    );
}

#[tokio::test]
async fn an_alias_chain_without_end() {
    let server = responder(|query| {
        let (asked, qtype) = question(query);
        match qtype {
            A => reply(
                query,
                AA,
                [
                    &[record(&asked, CNAME, &wire(&format!("x{}", asked.len())))],
                    &[],
                    &[],
                ],
            ),
            _ => reply(query, AA, [&[], &[record("", SOA, &[[0; 22]].concat())], &[]]),
        }
    })
    .await;
    let walk = walk(&server, "www.evil.example").await;
    assert!(
        matches!(walk.end, End::Loop { .. } | End::TooManyAliases),
        "{:?}",
        walk.end
    );
    assert_eq!(walk.verdict, Verdict::Out);
    assert!(
        walk.findings
            .iter()
            .any(|finding| finding.kind == FindingKind::AliasLoop)
    );
}

/// A server that says anything at all: records of a few names that fit together in all sorts of ways.
#[tokio::test]
async fn walks_among_random_answers_always_end() {
    for seed in 0..150u64 {
        let random = std::sync::Mutex::new(fastrand::Rng::with_seed(seed));
        let server = responder(move |query| {
            let mut random = random.lock().unwrap();
            let (asked, _) = question(query);
            let names = [
                "",
                "example",
                "evil.example",
                "ns.evil.example",
                "ns.other.test",
                "other.test",
                "test",
                "www.evil.example",
                asked.as_str(),
            ];
            let mut section = |most: usize| -> Vec<Vec<u8>> {
                (0..random.usize(..=most))
                    .map(|_| {
                        let owner = names[random.usize(..names.len())];
                        let target = wire(names[random.usize(..names.len())]);
                        match random.u8(..8) {
                            0 => record(owner, CNAME, &target),
                            1 => record(owner, 39, &target),
                            2 => record(owner, SOA, &[target.clone(), target, vec![0; 20]].concat()),
                            3 => record(owner, 43, &[0, 1, 13, 2, 7]),
                            4 => record(owner, 48, &[1, 1, 3, 13, 7]),
                            5 => a(owner, HERE),
                            _ => ns(owner, names[random.usize(..names.len())]),
                        }
                    })
                    .collect()
            };
            let (first, second, third) = (section(1), section(3), section(3));
            let flags = if random.bool() { AA } else { 0 };
            let mut replies = reply(query, flags, [&first, &second, &third]);
            replies[0][3] = [0, 0, 0, 0, 0, 2, 3, 5][random.usize(..8)];
            replies
        })
        .await;
        let walk = walk(&server, "www.evil.example").await;
        let text = serde_json::to_string(&walk).unwrap();
        assert_eq!(serde_json::from_str::<Walk>(&text).unwrap(), walk, "seed {seed}");
    }
}
