//! UPDATE messages in every encoding, whole and cut: no panic.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use libfuzzer_sys::fuzz_target;
use netfault_model::{Arrival, Asn, Collector, Peer, Time};
use netfault_sources::bgp::{Encoding, Update};
use netfault_sources::convert::{Converter, Session};

fuzz_target!(|data: &[u8]| {
    let Some((&flags, body)) = data.split_first() else {
        return;
    };
    let encoding = Encoding {
        as4: flags & 1 != 0,
        add_path: flags & 2 != 0,
    };
    let peer = Peer {
        collector: Collector::new("fuzz"),
        addr: IpAddr::V4(Ipv4Addr::LOCALHOST),
        asn: Asn(1),
    };
    let session = Session {
        at: Time::from_secs(0),
        peer,
        arrival: Arrival::InTime,
    };
    let mut converter = Converter::default();
    converter.update(session, body, encoding, &mut |_| ());
    converter.message(session, body, encoding, &mut |_| ());
    converter.parsed(session, &Update::parse_cut(body, encoding), &mut |_| ());
});
