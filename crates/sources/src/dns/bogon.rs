//! Addresses that cannot be right for a public name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// True for private, loopback, link-local, multicast and reserved addresses (RFC 6890 and its registries).
///
/// Documentation and benchmark ranges (192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, 198.18.0.0/15,
/// 2001:db8::/32) are left out: no liar uses them, and laboratories do.
pub fn is_bogon(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => is_bogon_v4(addr),
        IpAddr::V6(addr) => is_bogon_v6(addr),
    }
}

fn is_bogon_v4(addr: Ipv4Addr) -> bool {
    let [a, b, ..] = addr.octets();
    a == 0
        || addr.is_loopback()
        || addr.is_private()
        || addr.is_link_local()
        || (a == 100 && b & 0xc0 == 64) // shared by carrier NAT, RFC 6598
        || a >= 224 // multicast, reserved, broadcast
}

fn is_bogon_v6(addr: Ipv6Addr) -> bool {
    if let Some(v4) = addr.to_ipv4_mapped() {
        return is_bogon_v4(v4);
    }
    addr.is_unspecified()
        || addr.is_loopback()
        || addr.is_unique_local()
        || addr.is_unicast_link_local()
        || addr.is_multicast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_is_bogon_and_public_is_not() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "192.168.1.1",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            assert!(is_bogon(text.parse().unwrap()), "{text}");
        }
        for text in ["::", "::1", "fe80::1", "fd00::1", "ff02::1", "::ffff:10.0.0.1"] {
            assert!(is_bogon(text.parse().unwrap()), "{text}");
        }
        for text in [
            "8.8.8.8",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.2.1",
            "2001:db8::1",
            "2a03:2880::1",
        ] {
            assert!(!is_bogon(text.parse().unwrap()), "{text}");
        }
    }
}
