//! A signed world in one NSD, made by BIND's tools: the root, `test` below it, and a child for each way in which a chain can break.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::dns_lab::{Daemon, free_port};

/// When the signatures of a zone hold.
#[derive(Clone, Copy)]
pub enum Span {
    Now,
    Past,
    Future,
}

pub struct Signer {
    dir: TempDir,
}

/// A zone as it is served, and what its parent has to know.
pub struct Signed {
    pub origin: String,
    pub text: String,
    pub ds: String,
    /// Its public key, as a record.
    pub key: String,
}

impl Signer {
    pub fn new() -> Signer {
        Signer {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    fn run(&self, program: &str, args: &[&str]) -> String {
        let output = Command::new(program)
            .args(args)
            .current_dir(self.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {args:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Name of the files of a new key.
    pub fn key(&self, origin: &str) -> String {
        let args = ["-q", "-a", "ECDSAP256SHA256", "-f", "KSK", origin];
        self.run("dnssec-keygen", &args).trim().to_owned()
    }

    pub fn ds_of(&self, key: &str) -> String {
        self.run("dnssec-dsfromkey", &["-2", &format!("{key}.key")])
    }

    /// Signs `text` with one key for everything.
    pub fn sign(&self, origin: &str, text: &str, span: Span, more: &[&str]) -> Signed {
        let key = self.key(origin);
        let public = std::fs::read_to_string(self.path().join(format!("{key}.key"))).unwrap();
        let public: String = public.lines().filter(|line| !line.starts_with(';')).collect();
        let file = format!("zone.{key}");
        std::fs::write(self.path().join(&file), format!("{text}{public}\n")).unwrap();
        let (from, until) = match span {
            Span::Now => ("20200101000000", "20600101000000"),
            Span::Past => ("20200101000000", "20200201000000"),
            Span::Future => ("20500101000000", "20500201000000"),
        };
        let args = ["-q", "-P", "-z", "-o", origin, "-s", from, "-e", until, "-f", "-"];
        let args = [&args[..], more, &[&file, &key]].concat();
        Signed {
            origin: origin.to_owned(),
            text: self.run("dnssec-signzone", &args),
            ds: self.ds_of(&key),
            key: public,
        }
    }
}

/// SOA and NS, and whatever comes with it.
pub fn zone(origin: &str, records: &str) -> String {
    let dot = if origin == "." { "." } else { &format!("{origin}.") };
    format!(
        "$ORIGIN {dot}\n$TTL 300\n@ SOA ns.test. hostmaster.test. 1 3600 600 86400 60\n@ NS ns.test.\n{records}"
    )
}

pub struct World {
    pub server: Daemon,
    /// Keeps the folder.
    _signer: Signer,
    pub zones: Vec<String>,
    /// File with the root's key.
    pub anchors: std::path::PathBuf,
}

impl World {
    pub async fn new() -> World {
        let signer = Signer::new();
        let www = "www A 192.0.2.1\n*.wild A 192.0.2.7\nzzz A 192.0.2.8\n";
        let nsec3 = ["-3", "-"];
        let child = |origin: &str, span, more: &[&str]| signer.sign(origin, &zone(origin, www), span, more);
        let mut children = vec![
            child("good.test", Span::Now, &[]),
            child("denial.test", Span::Now, &nsec3),
            child("expired.test", Span::Past, &[]),
            child("early.test", Span::Future, &[]),
            child("tampered.test", Span::Now, &[]),
            child("wrongds.test", Span::Now, &[]),
            child("unproven.test", Span::Now, &[]),
        ];
        let other = signer.key("wrongds.test");
        for child in &mut children {
            match child.origin.as_str() {
                "tampered.test" => child.text = child.text.replace("192.0.2.1", "192.0.2.66"),
                "wrongds.test" => child.ds = signer.ds_of(&other),
                // Its NSEC records are lost: it denies without proof.
                "unproven.test" => child.text = without_nsec(&child.text),
                _ => {}
            }
        }
        // A DS for a zone that is not signed.
        let nokey = signer.ds_of(&signer.key("nokey.test"));
        let delegations: String = children
            .iter()
            .map(|child| format!("{}. NS ns.test.\n{}", child.origin, child.ds))
            .collect();
        let test = signer.sign(
            "test",
            &zone(
                "test",
                &format!(
                    "ns A 127.0.0.1\nwww A 192.0.2.1\nwww AAAA 2001:db8::1\nalias CNAME www\n*.wild A 192.0.2.7\n{delegations}\
                     nokey NS ns.test.\n{nokey}plain NS ns.test.\n"
                ),
            ),
            Span::Now,
            &[],
        );
        let root = signer.sign(
            ".",
            &zone(
                ".",
                &format!("test. NS ns.test.\nns.test. A 127.0.0.1\n{}", test.ds),
            ),
            Span::Now,
            &[],
        );
        let anchors = signer.path().join("anchors");
        std::fs::write(&anchors, format!("{}\n", root.key)).unwrap();
        let plain = |origin: &str| (origin.to_owned(), zone(origin, www));
        let mut served: Vec<(String, String)> = vec![plain("plain.test"), plain("nokey.test")];
        let signed = children.into_iter().chain([test, root]);
        served.extend(signed.map(|zone| (zone.origin, zone.text)));
        let zones = served.iter().map(|(origin, _)| origin.clone()).collect();
        World {
            server: serve(&served).await,
            _signer: signer,
            zones,
            anchors,
        }
    }
}

fn without_nsec(text: &str) -> String {
    // dnssec-signzone writes a record and its signature over several lines, in brackets.
    let mut kept = String::new();
    let mut inside = false;
    let mut drop = false;
    for line in text.lines() {
        if !inside {
            let words: Vec<&str> = line.split_whitespace().collect();
            let is = |n: usize, what: &str| words.get(n) == Some(&what);
            let at = words.iter().position(|word| *word == "NSEC" || *word == "RRSIG");
            drop = at.is_some_and(|at| is(at, "NSEC") || is(at + 1, "NSEC"));
        }
        inside = (inside || line.contains('(')) && !line.contains(')');
        if !drop {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// One NSD for all zones.
async fn serve(zones: &[(String, String)]) -> Daemon {
    let addr = free_port();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().display().to_string();
    let mut config = format!(
        "server:\n ip-address: {}\n port: {}\n username: \"\"\n chroot: \"\"\n zonesdir: \"{path}\"\n zonelistfile: \"{path}/list\"\n \
         pidfile: \"{path}/pid\"\n xfrdfile: \"{path}/xfrd\"\n xfrdir: \"{path}\"\n logfile: \"{path}/log\"\n server-count: 1\n \
         database: \"\"\n rrl-ratelimit: 0\nremote-control:\n control-enable: no\n",
        addr.ip(),
        addr.port()
    );
    for (n, (origin, text)) in zones.iter().enumerate() {
        std::fs::write(dir.path().join(format!("zone.{n}")), text).unwrap();
        config.push_str(&format!(
            "zone:\n name: \"{origin}\"\n zonefile: \"{path}/zone.{n}\"\n"
        ));
    }
    Daemon::start("/usr/sbin/nsd", &["-d"], &config, dir, addr)
        .ready()
        .await
}
