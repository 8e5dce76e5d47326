//! Configurations of the real servers: Knot, NSD, BIND as authorities; Unbound and BIND as resolvers.

use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;

use crate::daemon::Plan;
use crate::net::Side;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    Knot,
    Nsd,
    Bind,
}

/// A zone that an authority serves: origin and file.
pub type Serves = (String, String);

/// Whom an authority answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Everybody,
    /// Its access list lets nobody in. Only BIND is asked to do this.
    Nobody,
}

/// What makes BIND as old as some firewalls: it gives this RCODE to whoever speaks EDNS (RFC 6891 §7).
pub const EDNS_FORMERR: &[&str] = &["-g", "-n", "1", "-T", "ednsformerr"];
pub const EDNS_NOTIMP: &[&str] = &["-g", "-n", "1", "-T", "ednsnotimp"];

pub fn authority(product: Product, name: &str, addrs: &[IpAddr], zones: &[Serves], access: Access) -> Plan {
    let (program, args, config): (_, &[&str], _) = match product {
        Product::Knot => ("knotd", &[], knot(name, addrs, zones)),
        Product::Nsd => ("nsd", &["-d"], nsd(name, addrs, zones)),
        Product::Bind => ("named", &["-g", "-n", "1"], bind(name, addrs, zones, access)),
    };
    Plan {
        name: name.to_owned(),
        program,
        args,
        side: Side::Net,
        addrs: addrs.to_vec(),
        config,
    }
}

fn knot(name: &str, addrs: &[IpAddr], zones: &[Serves]) -> String {
    let listen: Vec<String> = addrs.iter().map(|addr| format!("{addr}@53")).collect();
    let mut config = format!(
        "server:\n  rundir: \"{{dir}}\"\n  listen: [{}]\n  nsid: \"{name}\"\n  udp-workers: 1\n  tcp-workers: 1\n  \
         background-workers: 1\n\
         log:\n  - target: \"{{dir}}/log\"\n    any: info\n\
         database:\n  storage: \"{{dir}}/db\"\n\
         template:\n  - id: default\n    zonefile-sync: -1\n    zonefile-load: whole\n    journal-content: none\n\
         zone:\n",
        listen.join(", ")
    );
    for (origin, file) in zones {
        writeln!(config, "  - domain: \"{origin}\"\n    file: \"{file}\"").expect("text");
    }
    config
}

fn nsd(name: &str, addrs: &[IpAddr], zones: &[Serves]) -> String {
    let mut config = String::from("server:\n");
    for addr in addrs {
        writeln!(config, " ip-address: {addr}").expect("text");
    }
    write!(
        config,
        " port: 53\n username: \"\"\n chroot: \"\"\n zonesdir: \"{{dir}}\"\n zonelistfile: \"{{dir}}/zone.list\"\n \
         pidfile: \"{{dir}}/pid\"\n xfrdfile: \"{{dir}}/xfrd\"\n xfrdir: \"{{dir}}\"\n logfile: \"{{dir}}/log\"\n \
         server-count: 1\n database: \"\"\n rrl-ratelimit: 0\n nsid: \"ascii_{name}\"\n zonefiles-check: yes\n\
         remote-control:\n control-enable: no\n"
    )
    .expect("text");
    for (origin, file) in zones {
        writeln!(config, "zone:\n name: \"{origin}\"\n zonefile: \"{file}\"").expect("text");
    }
    config
}

fn named_addrs(addrs: &[IpAddr]) -> String {
    let of = |v6: bool| -> String {
        let its = addrs.iter().filter(|addr| addr.is_ipv6() == v6);
        its.map(|addr| format!("{addr}; ")).collect()
    };
    let listen = |list: String| {
        if list.is_empty() {
            "none; ".to_owned()
        } else {
            list
        }
    };
    format!(
        " listen-on {{ {}}};\n listen-on-v6 {{ {}}};\n",
        listen(of(false)),
        listen(of(true))
    )
}

fn named_options(addrs: &[IpAddr]) -> String {
    format!(
        "controls {{ }};\nlogging {{ channel file {{ file \"{{dir}}/log\"; severity info; }}; category default {{ file; }}; }};\n\
         options {{\n directory \"{{dir}}\";\n pid-file \"{{dir}}/pid\";\n session-keyfile none;\n lock-file none;\n \
         managed-keys-directory \"{{dir}}\";\n notify no;\n allow-transfer {{ none; }};\n{}",
        named_addrs(addrs)
    )
}

fn bind(name: &str, addrs: &[IpAddr], zones: &[Serves], access: Access) -> String {
    let who = match access {
        Access::Everybody => "any",
        Access::Nobody => "none",
    };
    let mut config = format!(
        "{} recursion no;\n dnssec-validation no;\n allow-query {{ {who}; }};\n server-id \"{name}\";\n}};\n",
        named_options(addrs)
    );
    for (origin, file) in zones {
        writeln!(config, "zone \"{origin}\" {{ type primary; file \"{file}\"; }};").expect("text");
    }
    config
}

/// A validating resolver that starts at the world's root and forgets failures soon.
pub fn unbound(name: &str, side: Side, addr: IpAddr, hints: &Path, anchor: &str, more: &str) -> Plan {
    let config = format!(
        "server:\n interface: {addr}@53\n do-daemonize: no\n username: \"\"\n chroot: \"\"\n directory: \"{{dir}}\"\n \
         pidfile: \"{{dir}}/pid\"\n use-syslog: no\n logfile: \"{{dir}}/log\"\n num-threads: 1\n ede: yes\n \
         access-control: 0.0.0.0/0 allow\n access-control: ::/0 allow\n root-hints: \"{}\"\n trust-anchor: \"{anchor}\"\n \
        local-zone: \"test.\" nodefault\n infra-host-ttl: 5\n infra-cache-max-rtt: 1000\n infra-keep-probing: yes\n val-bogus-ttl: 1\n{more}\n\
         remote-control:\n control-enable: no\n",
        hints.display()
    );
    Plan {
        name: name.to_owned(),
        program: "unbound",
        args: &["-d"],
        side,
        addrs: vec![addr],
        config,
    }
}

/// The same from BIND. `anchor` is a DS record in a line.
pub fn bind_resolver(name: &str, addr: IpAddr, hints: &Path, anchor: &str, validates: bool) -> Plan {
    let validation = if validates { "yes" } else { "no" };
    let words: Vec<&str> = anchor.split_whitespace().collect();
    let [.., tag, algorithm, digest_type, digest] = words[..] else {
        panic!("no DS record: {anchor}");
    };
    let config = format!(
        "{} recursion yes;\n allow-query {{ any; }};\n allow-recursion {{ any; }};\n dnssec-validation {validation};\n empty-zones-enable no;\n}};\n\
         trust-anchors {{ \".\" static-ds {tag} {algorithm} {digest_type} \"{digest}\"; }};\n\
         zone \".\" {{ type hint; file \"{}\"; }};\n",
        named_options(&[addr]),
        hints.display()
    );
    Plan {
        name: name.to_owned(),
        program: "named",
        args: &["-g", "-n", "1"],
        side: Side::Net,
        addrs: vec![addr],
        config,
    }
}
