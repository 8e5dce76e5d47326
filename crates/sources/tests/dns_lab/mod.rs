//! Real DNS servers for tests: NSD as the authority, Unbound as the resolver, each on a free loopback port
//! with its files in a temporary folder, killed when dropped. And a small UDP responder for what no real
//! server can be made to do.

#![allow(dead_code)] // each test file uses a part of it

pub mod certs;

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket as StdUdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hickory_proto::rr::{Name, RecordType};
use netfault_model::Outcome;
use netfault_sources::dns::probe::{Question, Reply, ask};
use netfault_sources::dns::wire::parse_name;
use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// Nothing here takes longer, however slow the machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// True if the daemons are there; else says so on one line.
pub fn has(daemons: &[&str], test: &str) -> bool {
    let found = |daemon: &&str| {
        ["/usr/sbin", "/usr/bin", "/usr/local/sbin"]
            .iter()
            .any(|dir| Path::new(dir).join(daemon).exists())
    };
    match daemons.iter().find(|daemon| !found(daemon)) {
        Some(missing) => {
            println!("SKIPPED: {missing} is not installed: {test}");
            false
        }
        None => true,
    }
}

/// A port of 127.0.0.1 that is free for UDP and for TCP.
pub fn free_port() -> SocketAddr {
    for _ in 0..100 {
        let udp = StdUdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = udp.local_addr().unwrap();
        if TcpListener::bind(addr).is_ok() {
            return addr;
        }
    }
    panic!("no free port");
}

/// A server process, ended by its own pid when dropped.
pub struct Daemon {
    pub addr: SocketAddr,
    child: Child,
    dir: TempDir,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Not SIGKILL: NSD's children would live on and answer.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

impl Daemon {
    pub fn start(program: &str, args: &[&str], config: &str, dir: TempDir, addr: SocketAddr) -> Daemon {
        let conf = dir.path().join("server.conf");
        std::fs::write(&conf, config).unwrap();
        let log = File::create(dir.path().join("stderr")).unwrap();
        let child = Command::new(program)
            .args(args)
            .arg("-c")
            .arg(&conf)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Daemon { addr, child, dir }
    }

    /// Waits until it answers anything at all.
    pub async fn ready(mut self) -> Daemon {
        let start = Instant::now();
        loop {
            let question = Question {
                timeout: Duration::from_millis(500),
                ..authority(self.addr, "example.com")
            };
            let outcome = ask(&question).await.outcome;
            if !matches!(outcome, Outcome::ConnRefused | Outcome::Timeout) {
                return self;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && start.elapsed() < PATIENCE,
                "no server: {ended:?}\n{}",
                self.logs()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn logs(&self) -> String {
        ["stderr", "log"]
            .iter()
            .filter_map(|name| std::fs::read_to_string(self.dir.path().join(name)).ok())
            .collect()
    }
}

/// The zone that all tests use: a record of each kind, and one answer that fits no datagram.
pub fn zone(extra: &str) -> String {
    let many: String = (0..200).map(|n| format!("many 60 IN A 192.0.2.{n}\n")).collect();
    format!(
        "$ORIGIN example.com.\n\
         @ 3600 IN SOA ns1 hostmaster 1 3600 600 86400 60\n\
         @ 3600 IN NS ns1\n\
         @ 300 IN A 192.0.2.1\n\
         ns1 3600 IN A 127.0.0.1\n\
         www 120 IN A 192.0.2.10\n\
         www 120 IN A 192.0.2.9\n\
         www 120 IN AAAA 2001:db8::9\n\
         alias 60 IN CNAME www\n\
         inside 60 IN A 10.0.0.1\n\
         {many}{extra}"
    )
}

/// NSD with `example.com`.
pub async fn nsd(addr: SocketAddr, zone: &str) -> Daemon {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("zone"), zone).unwrap();
    let path = dir.path().display();
    let config = format!(
        "server:\n ip-address: {ip}\n port: {port}\n username: \"\"\n chroot: \"\"\n zonesdir: \"{path}\"\n \
         zonelistfile: \"{path}/zone.list\"\n pidfile: \"{path}/pid\"\n xfrdfile: \"{path}/xfrd\"\n xfrdir: \"{path}\"\n \
         logfile: \"{path}/log\"\n server-count: 1\n database: \"\"\n rrl-ratelimit: 0\n receive-buffer-size: 16777216\n \
         send-buffer-size: 16777216\n nsid: \"ascii_lab-1\"\n\
         remote-control:\n control-enable: no\n\
         zone:\n name: \"example.com\"\n zonefile: \"{path}/zone\"\n",
        ip = addr.ip(),
        port = addr.port(),
    );
    Daemon::start("/usr/sbin/nsd", &["-d"], &config, dir, addr)
        .ready()
        .await
}

/// Unbound that asks `upstream` for `example.com`. `server` are further lines of its `server:` section.
pub async fn unbound(addr: SocketAddr, upstream: SocketAddr, server: &str) -> Daemon {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().display();
    let config = format!(
        "server:\n interface: {}@{}\n do-daemonize: no\n username: \"\"\n chroot: \"\"\n directory: \"{path}\"\n \
         pidfile: \"{path}/pid\"\n use-syslog: no\n logfile: \"{path}/log\"\n do-not-query-localhost: no\n \
         num-threads: 1\n ede: yes\n private-address: 203.0.113.0/24\n\
         {server}\n\
         remote-control:\n control-enable: no\n\
         stub-zone:\n name: \"example.com\"\n stub-addr: {}@{}\n stub-first: no\n",
        addr.ip(),
        addr.port(),
        upstream.ip(),
        upstream.port(),
    );
    Daemon::start("/usr/sbin/unbound", &["-d"], &config, dir, addr)
        .ready()
        .await
}

/// Lines for [`unbound`]: everybody may ask anything, without validation.
pub const OPEN: &str = " access-control: 127.0.0.0/8 allow_snoop\n module-config: \"iterator\"";

pub fn name(text: &str) -> Name {
    parse_name(text).unwrap()
}

pub fn authority(server: SocketAddr, text: &str) -> Question {
    Question::to_authority(server, name(text), RecordType::SOA)
}

pub fn resolver(server: SocketAddr, text: &str, qtype: RecordType) -> Question {
    Question {
        timeout: Duration::from_secs(15),
        ..Question::to_resolver(server, name(text), qtype)
    }
}

/// Asks until `wanted`, for what takes a server a moment.
pub async fn until(question: &Question, wanted: Outcome) -> Reply {
    let start = Instant::now();
    loop {
        let reply = ask(question).await;
        if reply.outcome == wanted {
            return reply;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "{} and not {}",
            reply.outcome.name(),
            wanted.name()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Answers each datagram with what `answers` makes of it, in that order. Ends when dropped.
pub struct Responder {
    pub addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub async fn responder(answers: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Responder {
    let addr = free_port();
    let socket = UdpSocket::bind(addr).await.unwrap();
    let task = tokio::spawn(async move {
        let mut buffer = [0u8; 4096];
        while let Ok((len, client)) = socket.recv_from(&mut buffer).await {
            for answer in answers(&buffer[..len]) {
                let _ = socket.send_to(&answer, client).await;
            }
        }
    });
    Responder { addr, task }
}

/// Header and question of a query, without its OPT.
pub fn header_and_question(query: &[u8]) -> Vec<u8> {
    let mut end = 12;
    while query[end] != 0 {
        end += 1 + usize::from(query[end]);
    }
    let mut message = query[..end + 5].to_vec();
    message[10..12].fill(0);
    message
}

/// A response to `query`: second and third flag byte, answer and additional records with their counts.
pub fn response(query: &[u8], flags: u8, rcode: u8, answers: &[&[u8]], additional: &[&[u8]]) -> Vec<u8> {
    let mut message = header_and_question(query);
    message[2] = 0x80 | flags;
    message[3] = rcode;
    message[7] = answers.len() as u8;
    message[11] = additional.len() as u8;
    answers
        .iter()
        .chain(additional)
        .for_each(|record| message.extend_from_slice(record));
    message
}

/// AA and TC in the second header word.
pub const AA: u8 = 0x04;
pub const TC: u8 = 0x02;

/// An address record whose owner is the question (compressed).
pub fn a_record(addr: [u8; 4], ttl: u32) -> Vec<u8> {
    let mut record = vec![0xc0, 12, 0, 1, 0, 1];
    record.extend(ttl.to_be_bytes());
    record.extend([0, 4]);
    record.extend(addr);
    record
}

/// OPT with the upper bits of an RCODE and raw options.
pub fn opt(rcode_high: u8, options: &[u8]) -> Vec<u8> {
    let mut record = vec![0, 0, 41, 0x04, 0xd0, rcode_high, 0, 0, 0];
    record.extend((options.len() as u16).to_be_bytes());
    record.extend_from_slice(options);
    record
}
