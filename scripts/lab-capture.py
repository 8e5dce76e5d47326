#!/usr/bin/env python3
"""Makes examples/lab-capture: real routing daemons lose and regain a name-server site, a collector writes it down.

    scripts/lab-capture.py [OUTPUT_DIR]      (root; about 13 minutes; needs frr bird2 gobgpd iproute2)

Each router is one daemon (FRR, BIRD or GoBGP) in its own network namespace; lab/topology.py says who talks to whom.
The collector is FRR, as at RouteViews: it dumps its table once the lab is quiet, then every message of its peers.
What was done, and when, is logged to timeline.jsonl beside the dumps, so that a test can hold answers against it.
Everything that is started is stopped, and every namespace removed, whatever way the script ends.
"""

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lab"))
import configs
import topology

LAN = "nflab-lan"
QUIET_BEFORE_DUMP = 75
CUT_PEER = 64524  # a BIRD

# Seconds after the table dump, and what happens then.
STORY = sorted(
    [
        (45, "withdraw_name_servers"),
        (225, "announce_name_servers"),
        (290, "flap_withdraw"),
        (310, "flap_announce"),
        (340, "flap_withdraw"),
        (360, "flap_announce"),
        (400, "session_cut"),
        (440, "session_back"),
        (640, "end"),
    ]
    + [(t, "heartbeat") for t in range(20, 640, 30)]
)


def utc(seconds=None):
    moment = datetime.fromtimestamp(time.time() if seconds is None else seconds, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def run(*command):
    """Runs one short command; its output, or the end of the script with what it said."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise SystemExit("lab-capture: %s: %s" % (" ".join(command), (done.stderr or done.stdout).strip()))
    return done.stdout


class Lab:
    """The running lab: owns every process and namespace, and gives them up in `close`."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.routers = topology.build()
        self.processes = []
        self.namespaces = []
        self.timeline = []
        self.beats = 0

    def log(self, event, **facts):
        entry = {"at": utc(), "event": event, **facts}
        self.timeline.append(entry)
        print(json.dumps(entry), flush=True)

    def ns(self, asn):
        return "nflab-%d" % asn

    def add_namespace(self, name):
        run("ip", "netns", "add", name)
        self.namespaces.append(name)
        run("ip", "-n", name, "link", "set", "lo", "up")

    def wire(self):
        """One switch, one cable to each router."""
        self.add_namespace(LAN)
        run("ip", "-n", LAN, "link", "add", "switch", "type", "bridge")
        run("ip", "-n", LAN, "link", "set", "switch", "up")
        for asn, router in self.routers.items():
            name, port = self.ns(asn), "port%d" % router.number
            self.add_namespace(name)
            run("ip", "-n", LAN, "link", "add", port, "type", "veth", "peer", "name", "lan", "netns", name)
            run("ip", "-n", LAN, "link", "set", port, "master", "switch", "up")
            run("ip", "-n", name, "addr", "add", router.addr4 + "/24", "dev", "lan")
            run("ip", "-n", name, "addr", "add", router.addr6 + "/64", "dev", "lan", "nodad")
            run("ip", "-n", name, "link", "set", "lan", "up")

    def start(self):
        for asn, router in self.routers.items():
            (self.folder / (router.name + ".conf")).write_text(configs.config_text(router))
            (self.folder / (router.name + ".vty")).mkdir()
            out = open(self.folder / (router.name + ".log"), "w")
            line = ["ip", "netns", "exec", self.ns(asn), *configs.command(router, self.folder)]
            self.processes.append(subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=out, stderr=out))

    def tell(self, asn, *words):
        return run("ip", "netns", "exec", self.ns(asn), *configs.control(self.routers[asn], self.folder, *words))

    def announce_first(self):
        """GoBGP has no static routes in its configuration: they are put in through its API."""
        for asn, router in self.routers.items():
            if router.daemon == "gobgp":
                for prefix in router.v4 + router.v6:
                    self.announce(asn, prefix)

    def announce(self, asn, prefix, *attributes):
        """Has a GoBGP router announce a prefix, or announce it again with other attributes."""
        router = self.routers[asn]
        family, nexthop = ("ipv6", router.addr6) if ":" in prefix else ("ipv4", router.addr4)
        self.tell(asn, "global", "rib", "add", prefix, "-a", family, "nexthop", nexthop, *attributes)

    def paths_at_collector(self):
        """How many (peer, prefix) paths the collector holds."""
        total = 0
        for family in ("ipv4", "ipv6"):
            table = json.loads(self.tell(topology.COLLECTOR_ASN, "show bgp %s unicast json" % family))
            total += sum(len(paths) for paths in table["routes"].values())
        return total

    def wait_until_full(self, limit):
        peers = sum(1 for r in self.routers.values() if r.role == "peer")
        prefixes = sum(len(r.v4) + len(r.v6) for r in self.routers.values())
        deadline = time.monotonic() + limit
        while (have := self.paths_at_collector()) < peers * prefixes:
            if time.monotonic() > deadline:
                raise SystemExit("lab-capture: after %d s only %d of %d paths are there" % (limit, have, peers * prefixes))
            time.sleep(2)
        self.log("converged", peers=peers, prefixes=prefixes, paths=have)

    def close(self):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for name in reversed(self.namespaces):
            subprocess.run(["ip", "netns", "del", name], check=False)


def dump(lab):
    """The table as it stands, and from now on every message: FRR's own MRT writer, as RouteViews uses it."""
    collector = topology.COLLECTOR_ASN
    lab.tell(collector, "configure terminal", "dump bgp all-et %s/updates.mrt" % lab.folder)
    lab.tell(collector, "configure terminal", "dump bgp routes-mrt %s/rib.mrt" % lab.folder)
    lab.log("table_dumped")


def change_name_servers(lab, no):
    words = ["configure terminal", "router bgp %d" % topology.ORIGIN_ASN]
    for family, prefixes in (("ipv4", topology.NAME_SERVER_V4), ("ipv6", topology.NAME_SERVER_V6)):
        words.append("address-family %s unicast" % family)
        words += [no + "network " + p for p in prefixes]
        words.append("exit-address-family")
    lab.tell(topology.ORIGIN_ASN, *words)


def collector_session(lab, verb):
    name = lab.routers[topology.COLLECTOR_ASN].name
    for family in ("ipv4", "ipv6"):
        lab.tell(CUT_PEER, verb, "%s_%s" % (name, family))


def act(lab, event):
    """One step of the story, logged just before it is done."""
    name_servers = topology.NAME_SERVER_V4 + topology.NAME_SERVER_V6
    if event == "withdraw_name_servers":
        lab.log(event, origin=topology.ORIGIN_ASN, prefixes=name_servers)
        change_name_servers(lab, "no ")
    elif event == "announce_name_servers":
        lab.log(event, origin=topology.ORIGIN_ASN, prefixes=name_servers)
        change_name_servers(lab, "")
    elif event in ("flap_withdraw", "flap_announce"):
        lab.log(event, origin=topology.FLAPPER_ASN, prefixes=[topology.FLAPPING])
        if event == "flap_announce":
            lab.announce(topology.FLAPPER_ASN, topology.FLAPPING)
        else:
            lab.tell(topology.FLAPPER_ASN, "global", "rib", "del", topology.FLAPPING)
    elif event in ("session_cut", "session_back"):
        router = lab.routers[CUT_PEER]
        lab.log(event, peer_asn=CUT_PEER, peers=[router.addr4, router.addr6])
        collector_session(lab, "disable" if event == "session_cut" else "enable")
    elif event == "heartbeat":
        lab.beats += 1
        community = "%d:%d" % (topology.HEARTBEAT_ASN, lab.beats)
        prefixes = [topology.HEARTBEAT_V4, topology.HEARTBEAT_V6]
        lab.log(event, origin=topology.HEARTBEAT_ASN, prefixes=prefixes, community=community)
        for prefix in prefixes:
            lab.announce(topology.HEARTBEAT_ASN, prefix, "community", community)
    else:
        lab.log(event)


def tell_the_story(lab):
    start = time.monotonic()
    for at, event in STORY:
        time.sleep(max(0.0, start + at - time.monotonic()))
        act(lab, event)


def versions(lab):
    def first_line(*command):
        done = subprocess.run(command, capture_output=True, text=True)
        return (done.stdout + done.stderr).strip().splitlines()[0]

    return {
        "frr": re.sub(r".*version ", "", first_line(configs.FRR_BGPD, "--version")),
        "bird": first_line("bird", "--version").split()[-1],
        "gobgp": first_line("gobgpd", "--version").split()[-1],
    }


def keep(lab, out):
    """Packs the dumps under the archives' file names, gz without a name or time inside, and the timeline."""
    dumped = next(entry["at"] for entry in lab.timeline if entry["event"] == "table_dumped")
    moment = datetime.strptime(dumped, "%Y-%m-%dT%H:%M:%S.%fZ").strftime("%Y%m%d.%H%M")
    for old in [*out.glob("rib.*.gz"), *out.glob("updates.*.gz")]:
        old.unlink()
    for kind in ("rib", "updates"):
        with open(out / ("%s.%s.gz" % (kind, moment)), "wb") as raw:
            with gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
                packed.write((lab.folder / (kind + ".mrt")).read_bytes())
    lines = [json.dumps(entry) for entry in lab.timeline]
    (out / "timeline.jsonl").write_text("\n".join(lines) + "\n")


def main():
    out = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent / "examples" / "lab-capture")
    if os.geteuid() != 0:
        raise SystemExit("lab-capture: network namespaces need root")
    missing = [p for p in (configs.FRR_BGPD, "vtysh", "bird", "gobgpd", "gobgp", "ip") if not shutil.which(p)]
    if missing:
        raise SystemExit("lab-capture: missing: %s (apt install frr bird2 gobgpd iproute2)" % " ".join(missing))
    out.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = tempfile.mkdtemp(prefix="nflab-")
    lab = Lab(folder)
    done = False
    try:
        lab.log("lab", script="scripts/lab-capture.py", versions=versions(lab))
        lab.wire()
        lab.start()
        time.sleep(3)
        lab.announce_first()
        lab.wait_until_full(120)
        time.sleep(QUIET_BEFORE_DUMP)
        dump(lab)
        tell_the_story(lab)
        keep(lab, out)  # before the daemons stop, which is not part of the story
        done = True
    finally:
        lab.close()
        if not done:
            print("lab-capture: failed; configurations and logs are in " + folder, file=sys.stderr)
    shutil.rmtree(folder)
    print("lab-capture: written to %s" % out)


if __name__ == "__main__":
    main()
