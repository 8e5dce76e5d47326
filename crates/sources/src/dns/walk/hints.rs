//! Where the root is: root hints in the format of IANA's `named.root`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use hickory_proto::rr::Name;

use crate::dns::wire::{parse_name, plain_name};

/// IANA's public list (`named.root`, version 2024041801), as it stands in our own repository.
const BUILT_IN: &str = include_str!("root.hints");
/// The root has 13 names; a list that is longer than this is no list of root servers.
const MAX_ROOTS: usize = 64;

/// The servers of the root, and in laboratories their port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hints {
    pub(super) servers: BTreeMap<Name, BTreeSet<IpAddr>>,
    /// The port that the addresses name (`127.0.0.1#5301`): a laboratory's, where all servers use it.
    pub port: Option<u16>,
}

/// A line that is not understood.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line}: {why}")]
pub struct BadHints {
    /// From 1; the last line if something is missing from the whole.
    pub line: usize,
    pub why: String,
}

impl Hints {
    /// The roots of the public Internet.
    pub fn built_in() -> Self {
        // A test reads the same bytes; should they be damaged all the same, there is no root to ask, which a walk says.
        Hints::parse(BUILT_IN).unwrap_or(Hints {
            servers: BTreeMap::new(),
            port: None,
        })
    }

    /// Reads `OWNER [TTL] [IN] NS|A|AAAA DATA` lines; `;` begins a comment. Other zone file syntax is refused.
    /// An address may have a port, `127.0.0.1#5301`; all must have the same one.
    ///
    /// # Errors
    /// With the number of the line: a line of another form, an address for a name that is no root server, a root server
    /// without address, no root server at all.
    pub fn parse(text: &str) -> Result<Self, BadHints> {
        let mut roots: BTreeMap<Name, (usize, BTreeSet<IpAddr>)> = BTreeMap::new();
        let mut addresses = Vec::new();
        let mut port = None;
        let mut last = 0;
        for (n, line) in text.lines().enumerate() {
            last = n + 1;
            let bad = |why: String| BadHints { line: n + 1, why };
            match entry(line).map_err(bad)? {
                None => {}
                Some(Entry::Root(name)) => {
                    roots.entry(name).or_insert((n + 1, BTreeSet::new()));
                    if roots.len() > MAX_ROOTS {
                        return Err(bad(format!("more than {MAX_ROOTS} root servers")));
                    }
                }
                Some(Entry::Address(owner, addr, its)) => {
                    if port.is_some_and(|port| port != its) {
                        return Err(bad("all addresses must name the same port, or none".into()));
                    }
                    port = Some(its);
                    addresses.push((n + 1, owner, addr));
                }
            }
        }
        for (line, owner, addr) in addresses {
            let Some((_, addrs)) = roots.get_mut(&owner) else {
                let why = format!(
                    "{} is no root server: no NS record of the root names it",
                    plain_name(&owner)
                );
                return Err(BadHints { line, why });
            };
            addrs.insert(addr);
        }
        if roots.is_empty() {
            let why = "no NS record of the root".to_owned();
            return Err(BadHints { line: last, why });
        }
        if let Some((name, (line, _))) = roots.iter().find(|(_, (_, addrs))| addrs.is_empty()) {
            let why = format!("no address of {}", plain_name(name));
            return Err(BadHints { line: *line, why });
        }
        let servers = roots
            .into_iter()
            .map(|(name, (_, addrs))| (name, addrs))
            .collect();
        Ok(Hints {
            servers,
            port: port.flatten(),
        })
    }

    /// A root at these addresses, in laboratories.
    pub fn at(servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        let mut hints = Hints {
            servers: BTreeMap::new(),
            port: None,
        };
        for server in servers {
            let name = parse_name("root.invalid").unwrap_or_default();
            hints.servers.entry(name).or_default().insert(server.ip());
            hints.port = Some(server.port());
        }
        hints
    }

    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.servers.values().flatten().copied()
    }
}

enum Entry {
    Root(Name),
    Address(Name, IpAddr, Option<u16>),
}

fn entry(line: &str) -> Result<Option<Entry>, String> {
    let line = line.split(';').next().unwrap_or_default();
    if line.starts_with([' ', '\t']) && !line.trim().is_empty() {
        return Err("a record without an owner".into());
    }
    let mut words: Vec<&str> = line.split_ascii_whitespace().collect();
    let Some(&owner) = words.first() else {
        return Ok(None);
    };
    if owner.starts_with('$') {
        return Err(format!("{owner} is not understood in root hints"));
    }
    words.remove(0);
    // TTL and class, in either order (RFC 1035 §5.1); neither is of use here.
    while words
        .first()
        .is_some_and(|word| is_ttl(word) || word.eq_ignore_ascii_case("IN"))
    {
        words.remove(0);
    }
    let [rtype, data] = words[..] else {
        return Err("not of the form OWNER [TTL] [IN] NS|A|AAAA DATA".into());
    };
    let owner = parse_name(owner).map_err(|error| error.to_string())?;
    match rtype.to_ascii_uppercase().as_str() {
        "NS" if owner.is_root() => {
            let name = parse_name(data).map_err(|error| error.to_string())?;
            Ok(Some(Entry::Root(name)))
        }
        "NS" => Err(format!(
            "an NS record of {}, and not of the root",
            plain_name(&owner)
        )),
        family @ ("A" | "AAAA") => {
            let (addr, port) = address(data)?;
            if addr.is_ipv4() != (family == "A") {
                return Err(format!("{addr} is no data of an {family} record"));
            }
            Ok(Some(Entry::Address(owner, addr, port)))
        }
        other => Err(format!("'{other}' is none of NS, A, AAAA")),
    }
}

fn is_ttl(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
}

fn address(text: &str) -> Result<(IpAddr, Option<u16>), String> {
    let (addr, port) = match text.split_once('#') {
        Some((addr, port)) => {
            let number = port.parse().ok().filter(|port| *port > 0);
            (addr, Some(number.ok_or(format!("'{port}' is no port"))?))
        }
        None => (text, None),
    };
    let addr = addr.parse().map_err(|_| format!("'{addr}' is no address"))?;
    Ok((addr, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_list_has_thirteen_names_in_both_families() {
        let hints = Hints::parse(BUILT_IN).unwrap();
        assert_eq!(hints, Hints::built_in());
        assert_eq!((hints.servers.len(), hints.port), (13, None));
        for (name, addrs) in &hints.servers {
            assert!(parse_name("root-servers.net").unwrap().zone_of(name), "{name}");
            assert_eq!(addrs.iter().filter(|addr| addr.is_ipv4()).count(), 1, "{name}");
            assert_eq!(addrs.len(), 2, "{name}");
        }
        let a = parse_name("a.root-servers.net").unwrap();
        assert!(hints.servers[&a].contains(&"198.41.0.4".parse().unwrap()));
    }

    #[test]
    fn a_laboratory_names_its_port() {
        let text = "; a comment\n. 60 IN NS ns.lab.\n.\tNS\tns.lab\nNS.lab. IN 60 A 127.0.0.1#5301 ; here\nns.lab AAAA ::1#5301\n";
        let hints = Hints::parse(text).unwrap();
        assert_eq!(hints.port, Some(5301));
        assert_eq!(hints.addresses().count(), 2);
    }

    #[test]
    fn a_bad_line_is_named_by_its_number() {
        for (text, line, why) in [
            ("", 0, "no NS record of the root"),
            ("; nothing\n\n", 2, "no NS record of the root"),
            (". NS a.\n", 1, "no address of a"),
            (
                ". NS a.\na. A 192.0.2.1\nb. A 192.0.2.2\n",
                3,
                "b is no root server",
            ),
            (". NS a.\na. A 192.0.2.256\n", 2, "'192.0.2.256' is no address"),
            (". NS a.\na. AAAA 192.0.2.1\n", 2, "no data of an AAAA record"),
            (". NS a.\na. A 192.0.2.1#99999\n", 2, "'99999' is no port"),
            (". NS a.\na. A 192.0.2.1#0\n", 2, "'0' is no port"),
            (". NS a.\na. A 192.0.2.1#53\na. A 192.0.2.2\n", 3, "the same port"),
            ("\n$ORIGIN .\n", 2, "$ORIGIN is not understood"),
            (". NS a.\n  A 192.0.2.1\n", 2, "without an owner"),
            ("com. NS a.\n", 1, "and not of the root"),
            (". NS\n", 1, "not of the form"),
            (". MX a.\n", 1, "'MX' is none of"),
            (". NS a..b\n", 1, "is not a domain name"),
        ] {
            let bad = Hints::parse(text).unwrap_err();
            assert_eq!(bad.line, line, "{text:?}: {bad}");
            assert!(bad.why.contains(why), "{text:?}: {bad}");
        }
    }
}
