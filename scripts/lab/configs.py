"""The configuration text of each routing daemon, and how it is started and told to change."""

import json

from topology import ADVERTISEMENT_INTERVAL

FRR_BGPD = "/usr/lib/frr/bgpd"


def frr(router):
    """FRR bgpd without zebra: it holds routes and speaks BGP, the kernel hears nothing of them."""
    both = [(n, n.addr4, "ipv4") for n in router.neighbours] + [(n, n.addr6, "ipv6") for n in router.neighbours]
    lines = [
        "hostname " + router.name,
        "router bgp %d" % router.asn,
        " bgp router-id " + router.router_id,
        " no bgp ebgp-requires-policy",
        " no bgp network import-check",
        " no bgp default ipv4-unicast",
        " no bgp suppress-duplicates",
    ]
    for n, address, _ in both:
        lines.append(" neighbor %s remote-as %d" % (address, n.asn))
        lines.append(" neighbor %s timers connect 5" % address)
        if router.role in ("transit", "peer"):
            lines.append(" neighbor %s advertisement-interval %d" % (address, ADVERTISEMENT_INTERVAL))
    for family, prefixes in (("ipv4", router.v4), ("ipv6", router.v6)):
        lines.append(" address-family %s unicast" % family)
        lines += ["  network " + p for p in prefixes]
        for n, address, of in both:
            if of == family:
                lines.append("  neighbor %s activate" % address)
                if router.role == "collector":
                    lines.append("  neighbor %s route-map NOTHING out" % address)
        lines.append(" exit-address-family")
    lines.append("exit")
    if router.role == "collector":
        lines.append("route-map NOTHING deny 10")
    return "\n".join(lines) + "\n"


def bird(router):
    """BIRD 2: every route it accepts goes to every neighbour, none to the kernel."""
    text = "router id %s;\nlog stderr all;\nprotocol device {}\nprotocol direct { ipv4; ipv6; interface \"-*\"; }\n" % router.router_id
    for n in router.neighbours:
        for family, local, remote in (("ipv4", router.addr4, n.addr4), ("ipv6", router.addr6, n.addr6)):
            text += (
                "protocol bgp %s_%s {\n  local %s as %d;\n  neighbor %s as %d;\n  strict bind yes;\n  direct;\n"
                "  connect retry time 5;\n  error wait time 5,20;\n"
                "  %s { import all; export where source = RTS_BGP; };\n}\n"
            ) % (n.name, family, local, router.asn, remote, n.asn, family)
    return text


def gobgp(router):
    """GoBGP, in its JSON configuration: an edge network, which announces its own prefixes, and to the collector all.

    Not in transit: where its next best path holds the neighbour's AS number, GoBGP 3.10 sends that neighbour neither the
    path nor a withdrawal of the one before (RFC 4271 3.1), and the withdrawn prefixes then circle in the lab for ever.
    """
    neighbours = []
    for n in router.neighbours:
        for family, address in (("ipv4-unicast", n.addr4), ("ipv6-unicast", n.addr6)):
            neighbours.append(
                {
                    "config": {"neighbor-address": address, "peer-as": n.asn},
                    "timers": {"config": {"connect-retry": 5, "idle-hold-time-after-reset": 10}},
                    "afi-safis": [{"config": {"afi-safi-name": family}}],
                }
            )
    accept = {"route-disposition": "accept-route"}
    own = {"bgp-conditions": {"route-type": "local"}}
    to_collector = {"match-neighbor-set": {"neighbor-set": "collector", "match-set-options": "any"}}
    statements = [{"name": "own", "conditions": own, "actions": accept}]
    collectors = [a for n in router.neighbours if n.role == "collector" for a in (n.addr4 + "/32", n.addr6 + "/128")]
    if collectors:  # an empty neighbour set would match every neighbour
        statements.append({"name": "collector", "conditions": to_collector, "actions": accept})
    config = {
        "defined-sets": {"neighbor-sets": [{"neighbor-set-name": "collector", "neighbor-info-list": collectors}]},
        "policy-definitions": [{"name": "out", "statements": statements}],
        "global": {
            "config": {
                "as": router.asn,
                "router-id": router.router_id,
                "local-address-list": [router.addr4, router.addr6],
            },
            "apply-policy": {"config": {"export-policy-list": ["out"], "default-export-policy": "reject-route"}},
        },
        "neighbors": neighbours,
    }
    return json.dumps(config, indent=1)


def config_text(router):
    return {"frr": frr, "bird": bird, "gobgp": gobgp}[router.daemon](router)


def command(router, folder):
    """The daemon's command line, in the foreground, with every socket and file in `folder`."""
    conf = "%s/%s.conf" % (folder, router.name)
    if router.daemon == "frr":
        return [FRR_BGPD, "-f", conf, "-S", "-Z", "-A", "127.0.0.1", "-P", "0", "--log", "stdout",
                "-i", "%s/%s.pid" % (folder, router.name), "--vty_socket", "%s/%s.vty" % (folder, router.name)]
    if router.daemon == "bird":
        return ["bird", "-f", "-c", conf, "-s", "%s/%s.ctl" % (folder, router.name)]
    return ["gobgpd", "-f", conf, "-t", "json", "--api-hosts", "127.0.0.1:50051", "--log-plain"]


def control(router, folder, *words):
    """A command line that asks or tells the running daemon something."""
    if router.daemon == "frr":
        line = ["vtysh", "--vty_socket", "%s/%s.vty" % (folder, router.name)]
        for word in words:
            line += ["-c", word]
        return line
    if router.daemon == "bird":
        return ["birdc", "-s", "%s/%s.ctl" % (folder, router.name), *words]
    return ["gobgp", "-p", "50051", *words]
