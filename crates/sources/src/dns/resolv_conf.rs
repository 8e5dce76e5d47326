//! The resolvers of this host: `nameserver` lines of `resolv.conf(5)`.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// The resolvers in the file at `path`, on port 53, in its order. Empty where there is none.
pub fn read(path: &Path) -> Vec<SocketAddr> {
    std::fs::read_to_string(path)
        .map(|text| parse(&text))
        .unwrap_or_default()
}

/// The resolvers in `/etc/resolv.conf`.
pub fn of_this_host() -> Vec<SocketAddr> {
    read(Path::new("/etc/resolv.conf"))
}

fn parse(text: &str) -> Vec<SocketAddr> {
    let mut resolvers: Vec<SocketAddr> = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let addr = match (words.next(), words.next()) {
            (Some("nameserver"), Some(addr)) => addr,
            _ => continue,
        };
        // A link-local address may name its interface; without a socket address for it, it is left out.
        let Ok(addr) = addr.parse::<IpAddr>() else {
            continue;
        };
        let resolver = SocketAddr::new(addr, 53);
        if !resolvers.contains(&resolver) {
            resolvers.push(resolver);
        }
    }
    resolvers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nameserver_lines_count() {
        let text = "# nameserver 192.0.2.9\nsearch example.com\nnameserver 192.0.2.1\n\
                    nameserver\t2001:db8::53 # second\nnameserver fe80::1%eth0\nnameserver 192.0.2.1\nnameserver\n";
        let expected: Vec<SocketAddr> = vec![
            "192.0.2.1:53".parse().unwrap(),
            "[2001:db8::53]:53".parse().unwrap(),
        ];
        assert_eq!(parse(text), expected);
    }
}
