//! Authorities that fail, each in its way.

use std::collections::BTreeSet;
use std::net::UdpSocket;

use serde_json::Value;

use super::{ALL, only, world};
use crate::net::Side;
use crate::program::{Check, check, check_name};
use crate::servers::{EDNS_FORMERR, EDNS_NOTIMP};
use crate::world::{Fault, Layout, World};
use crate::zones::{Parent, server_v4, server_v6};

/// One server of four has this fault and its two addresses this outcome; the name is degraded, the others are fine.
#[track_caller]
fn one_server(test: &str, fault: Fault, n: u8, outcome: &str) {
    let Some(mut world) = world(test) else { return };
    world.break_(fault);
    let check = check(&world);
    check.is("degraded", "authority_partial");
    for addr in [format!("198.18.1.{n}:"), format!("[fd00:18:1::{n}]")] {
        assert_eq!(check.of(&addr)["outcome"], outcome, "{addr}: {}", check.table());
    }
    let of_others = check.probes().filter(|probe| {
        let server = probe["server"].as_str().unwrap_or_default();
        let is_other = !server.contains(&format!("1.{n}:")) && !server.contains(&format!("1::{n}]"));
        is_other && probe["role"] == "authority" // a resolver may wait for the one that is dead
    });
    of_others.for_each(|probe| assert_eq!(probe["outcome"], "ok", "{probe}"));
    world.mend();
    crate::program::check(&world).is("ok", "none");
}

#[test]
fn a_healthy_world_takes_one_packet_a_question() {
    let Some(world) = world("a_healthy_world_takes_one_packet_a_question") else {
        return;
    };
    let check = check(&world);
    check.is("ok", "none");
    for (role, qtype) in [
        ("authority", "SOA"),
        ("authority", "A"),
        ("resolver", "A"),
        ("resolver", "AAAA"),
        ("application", "A"),
        ("application", "AAAA"),
    ] {
        assert_eq!(check.outcomes(role, qtype), only("ok"), "{role} {qtype}");
    }
    let (stub, own): (Vec<&Value>, _) = check.probes().partition(|probe| probe["role"] == "application");
    assert_eq!((own.len(), stub.len()), (8 * 3 + 3 * 2, 3 * 2));
    assert!(
        own.iter().all(|probe| probe["packets_sent"] == 1),
        "{}",
        check.table()
    );
    for probe in stub.iter().filter(|probe| probe["qtype"] == "A") {
        assert_eq!(probe["answers"], Value::from(vec!["203.0.113.80"]));
    }
    for n in ALL {
        assert_eq!(check.of(&format!("198.18.1.{n}:"))["nsid"], format!("ns{n}"));
    }
    assert_eq!(check.faults(), BTreeSet::new());
}

#[test]
fn a_server_that_hangs_is_a_timeout() {
    one_server(
        "a_server_that_hangs_is_a_timeout",
        Fault::Frozen(vec![1]),
        1,
        "timeout",
    );
}

#[test]
fn a_closed_port_is_a_refused_connection() {
    one_server(
        "a_closed_port_is_a_refused_connection",
        Fault::Stopped(vec![2]),
        2,
        "conn_refused",
    );
}

#[test]
fn a_firewall_that_drops_is_a_timeout() {
    one_server(
        "a_firewall_that_drops_is_a_timeout",
        Fault::Firewalled(vec![3]),
        3,
        "timeout",
    );
}

#[test]
fn a_router_that_knows_no_way_is_net_unreachable() {
    one_server(
        "a_router_that_knows_no_way_is_net_unreachable",
        Fault::Unreachable(vec![4]),
        4,
        "net_unreachable",
    );
}

#[test]
fn an_access_list_is_refused() {
    one_server("an_access_list_is_refused", Fault::Refusing, 3, "refused");
}

#[test]
fn a_server_that_dislikes_edns_is_formerr_or_notimp() {
    for (args, outcome) in [(EDNS_FORMERR, "formerr"), (EDNS_NOTIMP, "notimp")] {
        let test = "a_server_that_dislikes_edns_is_formerr_or_notimp";
        one_server(test, Fault::Started(args), 3, outcome);
    }
}

/// No server of the world can be made to do this, so a few lines of our own do: the question comes back, with half a record.
#[test]
fn an_answer_that_breaks_off_is_malformed() {
    let Some(mut world) = world("an_answer_that_breaks_off_is_malformed") else {
        return;
    };
    world.break_(Fault::Stopped(vec![1]));
    for addr in [server_v4(1), server_v6(1)] {
        let socket = world.net.socket(Side::Net, addr.parse().expect("an address"), 53);
        std::thread::spawn(move || break_off(&socket)); // until this process ends
    }
    let check = check(&world);
    check.is("degraded", "authority_partial");
    for addr in ["198.18.1.1:", "[fd00:18:1::1]"] {
        assert_eq!(
            check.of(addr)["outcome"],
            "malformed",
            "{addr}: {}",
            check.table()
        );
    }
}

fn break_off(socket: &UdpSocket) {
    let mut buffer = [0; 1500];
    while let Ok((len, client)) = socket.recv_from(&mut buffer) {
        let message = &mut buffer[..len];
        message[2] |= 0x84; // QR, AA
        message[7] = 1; // one answer
        message[10..12].fill(0); // EDNS ends what is left of it
        let name = message[12..].iter().position(|byte| *byte == 0);
        let question = 12 + name.expect("a name") + 5;
        message[question..].fill(0xff);
        let _ = socket.send_to(&buffer[..question + 4], client);
    }
}

#[test]
fn a_server_that_knows_only_the_zone_above_is_lame() {
    for n in [1, 2, 3] {
        let test = "a_server_that_knows_only_the_zone_above_is_lame";
        one_server(test, Fault::Lame(vec![n]), n, "lame");
    }
}

#[test]
fn all_servers_lame_is_a_broken_delegation() {
    let Some(mut world) = world("all_servers_lame_is_a_broken_delegation") else {
        return;
    };
    world.break_(Fault::Lame(ALL.to_vec()));
    let check = check(&world);
    check.is("out", "delegation_broken");
    assert_eq!(check.outcomes("authority", "A"), only("lame"));
}

#[test]
fn a_large_answer_comes_over_tcp_and_without_tcp_it_is_truncated() {
    let test = "a_large_answer_comes_over_tcp_and_without_tcp_it_is_truncated";
    let Some(mut world) = world(test) else { return };
    let name = "many.shop.example";
    let whole = check_name(&world, name, &[]);
    whole.is("ok", "none");
    let of_a = |check: &Check, field: &str| -> Vec<Value> {
        let probes = check.probes().filter(|probe| probe["qtype"] == "A");
        probes.map(|probe| probe[field].clone()).collect()
    };
    assert_eq!(of_a(&whole, "transport"), vec!["tcp"; 8]);
    assert_eq!(
        of_a(&whole, "packets_sent"),
        vec![2; 8],
        "one datagram, one connection"
    );
    assert!(
        of_a(&whole, "answers")
            .iter()
            .all(|answers| answers.as_array().map(Vec::len) == Some(90))
    );
    world.break_(Fault::NoTcp);
    let cut = check_name(&world, name, &[]);
    assert_eq!(of_a(&cut, "outcome"), vec!["truncated"; 8]);
    assert_eq!(of_a(&cut, "packets_sent"), vec![2; 8]);
}

#[test]
fn glue_that_is_not_the_childs_is_named() {
    let glue = Some((2, "198.18.1.99".to_owned()));
    let layout = Layout {
        parent: Parent {
            glue,
            ..Parent::default()
        },
        ..Layout::default()
    };
    let Some(world) = World::new("glue_that_is_not_the_childs_is_named", layout) else {
        return;
    };
    let check = check(&world);
    check.is("degraded", "authority_partial");
    assert_eq!(check.faults(), BTreeSet::from(["glue_differs", "unreachable"]));
    assert_eq!(check.of("198.18.1.99")["outcome"], "timeout");
}

#[test]
fn one_family_dead_is_partial() {
    for v6 in [false, true] {
        let Some(mut world) = world("one_family_dead_is_partial") else {
            return;
        };
        world.break_(Fault::FamilyDead { v6 });
        let check = check(&world);
        check.is("degraded", "authority_partial");
        let (dead, alive) = if v6 {
            ("[fd00:18:1::1]", "198.18.1.1:")
        } else {
            ("198.18.1.1:", "[fd00:18:1::1]")
        };
        assert_eq!(check.of(dead)["outcome"], "timeout");
        assert_eq!(check.of(alive)["outcome"], "ok");
    }
}

#[test]
fn behind_a_cut_uplink_nothing_is_said_of_the_name() {
    let Some(mut world) = world("behind_a_cut_uplink_nothing_is_said_of_the_name") else {
        return;
    };
    world.break_(Fault::Uplink);
    check(&world).is("unknown", "vantage_offline");
    world.mend();
    check(&world).is("ok", "none");
}
