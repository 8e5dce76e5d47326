//! What the store's tests share: the real embedded engine in a process of its own, and rows to store.
//!
//! The engine runs as this very test program, called again with the name of its `child_db` test.
#![allow(dead_code)] // each test binary uses its own part

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use netfault_model::*;
use netfault_store::{Client, StoreTarget, migrate};

/// True if the engine's library is here; says in one line what is skipped otherwise.
pub fn engine_is_here(test: &str) -> bool {
    match netfault_store::embedded::find(None) {
        Ok(_) => true,
        Err(error) => {
            println!("SKIPPED: {error}: {test}");
            false
        }
    }
}

/// The body of every test binary's `child_db`.
pub fn serve_db() {
    let Ok(dir) = std::env::var("NETFAULT_TEST_DB") else {
        return;
    };
    let mut options = netfault_store::embedded::ServeOptions::new(dir);
    options.listen = std::env::var("NETFAULT_TEST_LISTEN").unwrap().parse().unwrap();
    options.password = Some("secret".to_owned());
    options.stop_with_stdin = true;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime
        .block_on(netfault_store::embedded::serve(options))
        .unwrap();
}

/// A database process that can be killed and started again at the same address.
pub struct Db {
    pub target: StoreTarget,
    dir: std::path::PathBuf,
    listen: SocketAddr,
    child: Option<Child>,
}

impl Db {
    /// A database that is not running yet, at an address that is free now.
    pub fn at_rest(dir: &Path) -> Db {
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let target = StoreTarget {
            url: format!("http://{listen}"),
            user: "netfault".to_owned(),
            password: "secret".to_owned(),
            database: "netfault".to_owned(),
        };
        Db {
            target,
            dir: dir.to_owned(),
            listen,
            child: None,
        }
    }

    /// A running one with the whole schema.
    pub fn start(dir: &Path) -> Db {
        let mut db = Db::at_rest(dir);
        db.run();
        db.migrate();
        db
    }

    pub fn migrate(&self) {
        block_on(async {
            let client = Client::connect_server(&self.target).await.unwrap();
            migrate::apply(&client).await.unwrap();
        });
    }

    /// Starts the process and waits for its ready line.
    pub fn run(&mut self) {
        let mut child = child("child_db")
            .env("NETFAULT_TEST_DB", &self.dir)
            .env("NETFAULT_TEST_LISTEN", self.listen.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let ready = out
            .lines()
            .map_while(Result::ok)
            .any(|line| line.contains("\"url\""));
        assert!(ready, "the engine did not start");
        self.child = Some(child);
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub fn client(&self) -> Client {
        Client::new(&self.target)
    }

    /// The answer to a question, as text.
    pub fn ask(&self, sql: &str) -> String {
        self.ask_as(sql, "TabSeparated")
    }

    pub fn ask_as(&self, sql: &str, format: &str) -> String {
        block_on(async {
            let mut answer = self.client().sql(sql, format).unwrap();
            let mut out = Vec::new();
            while let Some(piece) = answer
                .next()
                .await
                .unwrap_or_else(|error| panic!("{sql}: {error}"))
            {
                out.extend_from_slice(&piece);
            }
            String::from_utf8(out).unwrap().trim_end().to_owned()
        })
    }

    pub fn count(&self, sql: &str) -> u64 {
        self.ask(sql).parse().unwrap()
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        self.kill();
    }
}

/// This test program again, running one of its `child_…` tests.
pub fn child(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--ignored", "--nocapture"]);
    command
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// Waits until something is so, at most a minute.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "not within a minute: {what}"
        );
        pause(Duration::from_millis(5));
    }
}

/// Nothing for a while: between two looks at something, or until a random moment.
pub fn pause(time: Duration) {
    let (_kept, never) = std::sync::mpsc::channel::<()>();
    let _ = never.recv_timeout(time);
}

pub fn time(text: &str) -> Time {
    text.parse().unwrap()
}

pub fn peer(n: u8) -> Peer {
    Peer {
        collector: Collector::new("rrc00"),
        addr: [192, 0, 2, n].into(),
        asn: Asn(64500 + u32::from(n)),
    }
}

pub fn announce(at: Time, peer: Peer, prefixes: &[&str], path: &[u32]) -> Update {
    Update {
        at,
        peer,
        arrival: Arrival::InTime,
        nlri: prefixes
            .iter()
            .map(|text| Nlri {
                prefix: text.parse().unwrap(),
                path_id: 0,
            })
            .collect(),
        announced_from: 0,
        announcement: Some(Announcement {
            origin: path.last().copied().map(Asn),
            path: path.iter().copied().map(Asn).collect(),
        }),
    }
}

pub fn transition(prefix: &str, from: State, to: State, at: &str) -> Transition {
    Transition {
        subject: Subject::Prefix {
            prefix: prefix.parse().unwrap(),
            origin: Some(Asn(12654)),
        },
        from,
        to,
        at: time(at),
        first_evidence_at: time(at),
        visibility: Some(0.18),
        peers_seen: Some(7),
        peers_lost: Some(31),
        peers_unknown: Some(0),
        peers_eligible: Some(38),
        baseline: Some(Baseline::Held),
        cover: Some(Cover::SameOrigin),
        finding: None,
        servers_ok: None,
        servers_eligible: None,
        resolvers_ok: None,
        resolvers_eligible: None,
        watched: true,
        beacon: false,
        healed: false,
        evidence: None,
        dns: None,
    }
}

/// What the engine says about the loss of 31 of 38 peer ASes.
pub fn evidence() -> Evidence {
    let lost = |n: u8, at| Lost {
        peer_asn: peer(n).asn,
        at: time(at),
        inferred: n > 1,
    };
    Evidence {
        rule: Rule::Out,
        threshold: Some(0.2),
        since: Some(time("2021-10-04T15:53:17.5Z")),
        hold_s: 30,
        lost: vec![lost(1, "2021-10-04T15:53:01Z"), lost(2, "2021-10-04T15:53:17.5Z")],
        kept: vec![Asn(64510)],
        unknown: vec![],
        zombies: vec![Asn(64511), Asn(64512)],
        collectors: 3,
        one_collector: 0.5,
        known: 1.0,
        share: Some(Share {
            family: Family::V6,
            prefixes: 10,
            prefixes_down: 9,
            space: 70.5,
            space_down: 64.0,
            origins: None,
            origins_down: Some(2),
        }),
    }
}

/// An incident of an origin with two parts: the prefix is still lost, the name is back.
pub fn incident(id: Id, version: u32, state: IncidentState) -> Incident {
    let first = time("2021-10-04T15:53:01Z");
    let over = state == IncidentState::Resolved;
    let cleared = Some(time("2021-10-04T16:20:00Z"));
    Incident {
        id,
        version,
        state,
        subject: Subject::Origin { origin: Asn(12654) },
        cause: Cause::OriginWithdrawn,
        at: first.plus_micros(i64::from(version) * 60_000_000),
        first_evidence_at: first,
        raised_at: first.plus_micros(60_000_000),
        cleared_at: cleared.filter(|_| over),
        confidence: 0.81,
        baseline: Baseline::Held,
        children: vec![
            netfault_model::Child {
                subject: Subject::Prefix {
                    prefix: "84.205.71.0/24".parse().unwrap(),
                    origin: Some(Asn(12654)),
                },
                state: if over { State::Normal } else { State::Out },
                worst: State::Out,
                first_evidence_at: first,
                cleared_at: cleared.filter(|_| over),
            },
            netfault_model::Child {
                subject: Subject::Name {
                    name: "facebook.com".into(),
                },
                state: State::Ok,
                worst: State::Partial,
                first_evidence_at: first,
                cleared_at: cleared,
            },
        ],
        severity: 3,
        level: if over { State::Normal } else { State::Out },
        prefixes_down: u32::from(!over),
        prefixes: 1,
        watched: true,
        shown: true,
        beacon: false,
        flapping: false,
        reopened: 0,
        merged_into: None,
        summary: format!("AS12654: version {version}, \"quoted\""),
        rule: None,
        services: Vec::new(),
        layers: Vec::new(),
        facts: None,
    }
}

pub fn notable() -> Notable {
    let at = time("2008-02-24T18:47:57Z");
    let prefix = "208.65.153.0/24".parse().unwrap();
    Notable {
        id: Id(9),
        what: NotableKind::OriginChange,
        subject: Some(Subject::Prefix {
            prefix,
            origin: Some(Asn(17557)),
        }),
        at,
        first_evidence_at: at,
        over: false,
        baseline: Some(Baseline::Held),
        old_origins: vec![Asn(36561)],
        new_origins: vec![Asn(17557)],
        covered_by: Some("208.65.152.0/22".parse().unwrap()),
        peers: Some(3),
        triplet: None,
        prefixes: None,
        measured: None,
        usual: Some(1.5),
        watched: false,
        summary: "208.65.153.0/24 has a new origin".into(),
    }
}
