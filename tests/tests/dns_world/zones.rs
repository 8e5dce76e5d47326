//! The zones of the world, and their signatures (BIND's tools, one key each).
//!
//! ```text
//! .  (signed)
//! ├─ example  (signed)
//! │  └─ shop.example  (signed, on four servers): www is the name that is watched
//! └─ test  (unsigned)
//!    ├─ steady.test: www must never be said to fail
//!    └─ canary.test, control.test: whether resolvers and the vantage see anything
//! ```

use std::fmt::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::net::must;

/// The watched name, and one beside it whose servers nobody touches.
pub const NAME: &str = "www.shop.example";
pub const STEADY: &str = "www.steady.test";
pub const SHOP: &str = "shop.example";

/// Of names, unless a test wants another: what a resolver keeps is gone before the next round.
pub const TTL: u32 = 1;

/// How signatures of a zone are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    Valid,
    Expired,
}

/// What is in shop.example besides its servers; a fault changes it.
#[derive(Clone, Debug)]
pub struct Shop {
    /// Records of the watched name.
    pub www: String,
    pub ttl: u32,
    /// The servers that the zone names as its own, by number.
    pub servers: Vec<u8>,
    pub signed: Signed,
}

impl Default for Shop {
    fn default() -> Self {
        Shop {
            www: "www A 203.0.113.80\nwww AAAA 2001:db8::80\n".to_owned(),
            ttl: TTL,
            servers: vec![1, 2, 3, 4],
            signed: Signed::Valid,
        }
    }
}

/// What the parent says of it.
#[derive(Clone, Debug)]
pub struct Parent {
    /// The servers that it delegates to, by number.
    pub servers: Vec<u8>,
    /// Glue of one of them that is not its address: (number, IPv4 address).
    pub glue: Option<(u8, String)>,
    /// DS of a key that the zone has not.
    pub wrong_ds: bool,
}

impl Default for Parent {
    fn default() -> Self {
        Parent {
            servers: vec![1, 2, 3, 4],
            glue: None,
            wrong_ds: false,
        }
    }
}

/// Addresses of server `n` of shop.example.
pub fn server_v4(n: u8) -> String {
    format!("198.18.1.{n}")
}

pub fn server_v6(n: u8) -> String {
    format!("fd00:18:1::{n}")
}

pub struct Zones {
    dir: TempDir,
    serial: u32,
}

impl Zones {
    pub fn new() -> Zones {
        let zones = Zones {
            dir: tempfile::tempdir().expect("a folder"),
            serial: 0,
        };
        for (folder, origin) in [
            ("root", "."),
            ("example", "example"),
            ("shop", SHOP),
            ("other", SHOP),
        ] {
            std::fs::create_dir(zones.path(folder)).expect("a folder");
            let path = zones.path(folder).display().to_string();
            let key = ["-q", "-a", "ECDSAP256SHA256", "-f", "KSK", "-K", &path, origin];
            must("dnssec-keygen", &key);
        }
        zones
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// The text that `version.` of a zone has: it says which of our files a server has read.
    pub fn version(&self) -> String {
        format!("version-{};", self.serial)
    }

    fn ds(&self, folder: &str) -> String {
        must("dnssec-dsfromkey", &["-2", &key_file(&self.path(folder))])
    }

    /// The trust anchor, as Unbound wants it: a line of a zone file.
    pub fn anchor(&self) -> String {
        self.ds("root").trim().to_owned()
    }

    /// The same for `netfault`: the key of the root.
    pub fn anchor_file(&self) -> PathBuf {
        key_file(&self.path("root")).into()
    }

    /// Writes a zone, to be signed or served as it is.
    fn write(&mut self, file: &str, origin: &str, ttl: u32, records: &str) -> PathBuf {
        self.serial += 1;
        let version = self.version();
        let dot = if origin == "." { "." } else { &format!("{origin}.") };
        let soa = format!(
            "@ IN SOA ns.invalid. hostmaster.invalid. {} 3600 600 86400 1",
            self.serial
        );
        let text = format!("$ORIGIN {dot}\n$TTL {ttl}\n{soa}\nversion TXT \"{version}\"\n{records}");
        let path = self.path(file);
        std::fs::write(&path, text).expect("the zone");
        path
    }

    fn sign(&self, folder: &str, origin: &str, zone: &Path, signed: Signed) {
        let (keys, zone) = (
            self.path(folder).display().to_string(),
            zone.display().to_string(),
        );
        let mut args = vec![
            "-S", "-z", "-P", "-K", &keys, "-d", &keys, "-o", origin, "-T", "1",
        ];
        if signed == Signed::Expired {
            args.extend(["-s", "20200101000000", "-e", "20200201000000"]);
        }
        let out = format!("{zone}.new");
        args.extend(["-f", &out, &zone]);
        must("dnssec-signzone", &args);
        std::fs::rename(&out, format!("{zone}.signed")).expect("the signed zone");
    }

    /// All zones but those of the shop and its parent.
    pub fn write_world(&mut self) {
        let mut root = String::from("@ NS ns.root-servers.test.\n");
        let glue = |text: &mut String, name: &str, n: u8| {
            writeln!(text, "{name} A 198.18.0.{n}\n{name} AAAA fd00:18::{n}").expect("text");
        };
        for (tld, n) in [("example", 2), ("test", 3)] {
            writeln!(root, "{tld} NS ns.{tld}.").expect("text");
            glue(&mut root, &format!("ns.{tld}."), n);
        }
        glue(&mut root, "ns.root-servers.test.", 1);
        root.push_str(&self.ds("example"));
        let path = self.write("root.zone", ".", TTL, &root);
        self.sign("root", ".", &path, Signed::Valid);

        let mut test = String::from("@ NS ns\n");
        glue(&mut test, "ns", 3);
        glue(&mut test, "ns.root-servers", 1);
        for zone in ["steady", "canary", "control"] {
            writeln!(test, "{zone} NS ns.{zone}").expect("text");
            glue(&mut test, &format!("ns.{zone}"), 4);
        }
        self.write("test.zone", "test", TTL, &test);
        for zone in ["steady", "canary", "control"] {
            let mut text = String::from("@ NS ns\nwww A 203.0.113.1\nwww AAAA 2001:db8::1\n");
            text.push_str("@ A 203.0.113.1\n");
            glue(&mut text, "ns", 4);
            self.write(&format!("{zone}.zone"), &format!("{zone}.test"), TTL, &text);
        }
    }

    /// Writes and signs the zone of the shop.
    pub fn write_shop(&mut self, shop: &Shop) {
        let mut text = String::new();
        for n in &shop.servers {
            let (v4, v6) = (server_v4(*n), server_v6(*n));
            writeln!(text, "@ NS ns{n}\nns{n} A {v4}\nns{n} AAAA {v6}").expect("text");
        }
        // More than a datagram of 1232 bytes holds, and no more than BIND takes.
        for n in 0..90 {
            writeln!(text, "many A 203.0.113.{n}").expect("text");
        }
        text.push_str(&shop.www);
        text.push_str("other TXT \"still here\"\n");
        let path = self.write("shop.zone", SHOP, shop.ttl, &text);
        self.sign("shop", SHOP, &path, shop.signed);
    }

    /// Writes and signs the zone above it.
    pub fn write_parent(&mut self, parent: &Parent) {
        let mut text = String::from("@ NS ns\nns A 198.18.0.2\nns AAAA fd00:18::2\n");
        for n in &parent.servers {
            let lies = parent.glue.as_ref().filter(|(of, _)| of == n);
            let v4 = lies.map_or_else(|| server_v4(*n), |(_, addr)| addr.clone());
            let v6 = server_v6(*n);
            writeln!(
                text,
                "shop NS ns{n}.shop\nns{n}.shop A {v4}\nns{n}.shop AAAA {v6}"
            )
            .expect("text");
        }
        text.push_str(&self.ds(if parent.wrong_ds { "other" } else { "shop" }));
        let path = self.write("example.zone", "example", TTL, &text);
        self.sign("example", "example", &path, Signed::Valid);
    }
}

fn key_file(folder: &Path) -> String {
    let files = std::fs::read_dir(folder).expect("the keys").flatten();
    let mut keys = files.map(|entry| entry.path().display().to_string());
    keys.find(|path| path.ends_with(".key")).expect("a key")
}
