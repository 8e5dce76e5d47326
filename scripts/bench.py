#!/usr/bin/env python3
"""Measures what the issues ask for, each figure as a ratio against a peer in the same run where there is one, and prints one table.

Walls are taken in turns (peer, ours, peer, ours, ...), since the machine is shared and its speed drifts; the ratio is
that of the medians. Memory is the peak of the child process as the kernel counts it.
"""

import glob
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 3
NETFAULT = "target/release/netfault"
EXAMPLES = "target/release/examples"
rows = []


def row(what, must, measured, met):
    rows.append((what, must, measured, "met" if met else "NOT MET"))
    print(f"  {what}: {measured}  (must: {must})  {rows[-1][3]}", flush=True)


def timed(argv, stdout=subprocess.DEVNULL):
    """Wall in seconds and peak memory in MB of one command."""
    begun = time.monotonic()
    child = subprocess.Popen(argv, stdout=stdout, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - begun
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"bench: {' '.join(argv)} ended with {child.returncode}")
    return wall, usage.ru_maxrss * 1024 / 1e6


def bunzip(files):
    begun = time.monotonic()
    for name in files:
        subprocess.run(["bzip2", "-dc", name], stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - begun


def replay(day):
    files = sorted(glob.glob(f"{day}/updates.*.bz2"))
    peer, ours, peak = [], [], 0
    for _ in range(ROUNDS):
        peer.append(bunzip(files))
        wall, rss = timed([NETFAULT, "replay", "-q", "--format", "ndjson", day])
        ours.append(wall)
        peak = max(peak, rss)
    ratio = statistics.median(ours) / statistics.median(peer)
    walls = f"{statistics.median(ours):.1f} s / {statistics.median(peer):.1f} s"
    row("replay of the day, every prefix, ndjson", "≤ 0.8 × bzip2 -dc", f"{ratio:.2f} × ({walls})", ratio <= 0.8)
    row("  its peak memory", "≤ 400 MB", f"{peak:.0f} MB", peak <= 400)


def store(day):
    files = sorted(glob.glob(f"{day}/updates.*.bz2"))
    folder = tempfile.mkdtemp(prefix="netfault-bench-")
    config = f"{folder}/netfault.yaml"
    with open(config, "w", encoding="utf-8") as out:
        out.write("data_dir: .\nwatch: all\nstore: { embedded: clickhouse, updates: all }\n")
    peer, ours = [], []
    try:
        for _ in range(2):
            shutil.rmtree(f"{folder}/clickhouse", ignore_errors=True)
            peer.append(bunzip(files))
            wall, _ = timed([NETFAULT, "replay", "-q", "--format", "ndjson", "-c", config, "--store", day])
            ours.append(wall)
        sql = (
            "SELECT sum(rows) AS rows, sum(bytes_on_disk) AS bytes FROM system.parts "
            "WHERE active AND database = 'netfault' AND table = 'bgp_updates'"
        )
        answer = subprocess.run(
            [NETFAULT, "db", "sql", "-q", "-c", config, "--format", "ndjson", sql], check=True, capture_output=True
        )
        stored = json.loads(answer.stdout)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    ratio = statistics.median(ours) / statistics.median(peer)
    walls = f"{statistics.median(ours):.1f} s / {statistics.median(peer):.1f} s"
    row("the same with --store", "≤ 2.5 × bzip2 -dc", f"{ratio:.2f} × ({walls})", ratio <= 2.5)
    count, size = int(stored["rows"]), int(stored["bytes"])
    row("disk per stored update", "≤ 14 bytes", f"{size / count:.1f} bytes, {count} rows", size / count <= 14)


def decode(day):
    text = subprocess.run([f"{EXAMPLES}/decode_bench", day], check=True, capture_output=True, text=True).stdout
    ratio = float(re.search(r"lean / bgpkit\s+([\d.]+)", text).group(1))
    row("lean decoding, elements per second", "≥ 10 × bgpkit elements", f"{ratio:.1f} ×", ratio >= 10)


def gz(day):
    packed = f"{tempfile.gettempdir()}/netfault-decode-bench/updates.mrt.gz"
    if not os.path.exists(packed):
        subprocess.run([f"{EXAMPLES}/decode_bench", day], check=True, stdout=subprocess.DEVNULL)
    got = json.loads(subprocess.run([f"{EXAMPLES}/table_bench", "gz", packed], check=True, capture_output=True).stdout)
    size = f"{got['bytes'] / 1e6:.0f} MB"
    ratio = got["ratio_inflate"]
    row(f"{size} of gz: inflate, decode, table", "≤ 1.3 × inflating", f"{ratio:.2f} ×", ratio <= 1.3)
    ratio = got["ratio_bgpkit"]
    row("  the same", "≥ 8 × bgpkit into a HashMap", f"{ratio:.1f} ×", ratio >= 8)


def table(_):
    for what, most in [("full", 600), ("watch", 100)]:
        run = subprocess.run([f"{EXAMPLES}/table_bench", what], check=True, capture_output=True)
        got = json.loads(run.stdout)
        peak = got["peak_mb"]
        name = "1.2 M prefixes × 300 peers" if what == "full" else "  watch list of 10,000 prefixes"
        row(f"{name}, memory", f"≤ {most} MB", f"{peak} MB", peak <= most)
        if what == "full":
            rate = got["churn_per_s"]
            row("  updates per second, one core", "≥ 5 M", f"{rate / 1e6:.1f} M", rate >= 5e6)
            print(f"    (table dump: {got['seed_per_s'] / 1e6:.1f} M routes/s)")


def ris_live(day):
    files = sorted(glob.glob(f"{day}/updates.*.bz2"))[:2]
    run = subprocess.run([f"{EXAMPLES}/ris_live_bench", "20000", "10", *files], capture_output=True, text=True)
    got = json.loads(run.stdout.strip().splitlines()[-1])
    cpu = next(value for key, value in got.items() if "core" in key or "cpu" in key)
    row("RIS Live at 20,000 frames/s", "no gap, ≤ 0.5 core", f"{cpu:.2f} core, exit {run.returncode}, {got}",
        run.returncode == 0 and cpu <= 0.5)


def dns(_):
    run = subprocess.run([f"{EXAMPLES}/dns_bench"], stdout=subprocess.PIPE, text=True)
    if run.returncode != 0:
        sys.exit("bench: dns_bench needs nsd and dnsperf: scripts/setup.sh bench")
    got = json.loads(run.stdout.strip().splitlines()[-1])
    for load in got["loads"]:
        figures = (f"{load['ratio']:.2f} × (best {load['best_ratio']:.2f}; {load['ours_per_cpu_s'] / 1e3:.0f} k beside "
                   f"{load['dnsperf_per_cpu_s'] / 1e3:.0f} k)")
        row(f"DNS questions per CPU second, {load['in_flight']} in flight", "≥ 1.2 × dnsperf", figures, load["ratio"] >= 1.2)
    peak = got["loads"][-1]["peak_mb"]
    row("  peak memory at 10,000 in flight", "≤ 50 MB", f"{peak:.0f} MB", peak <= 50)
    steady = got["steady"]
    row("  added latency at 20,000/s, p99", "≤ 3 ms", f"{steady['added_p99_ms']:.1f} ms ({steady['p99_ms']:.1f} ms, a bare socket "
        f"{steady['bare_p99_ms']:.1f} ms; {steady['cores']:.2f} core)", steady["added_p99_ms"] <= 3 and steady["wrong"] == 0)


def dns_scale(_):
    """Five minutes: 10,000 names with eight servers each at 60 s, servers well, then silent."""
    run = subprocess.run([f"{EXAMPLES}/dns_scale_bench"], check=True, stdout=subprocess.PIPE, text=True)
    got = json.loads(run.stdout.strip().splitlines()[-1])
    what = f"{got['names']} names × {got['servers']} servers at {got['interval_s']} s"
    for state in ["healthy", "silent"]:
        part = got[state]
        row(f"{what}, {state} servers", "≤ 1 core", f"{part['cores']:.2f} core, {part['probes_per_s']:.0f} probes/s",
            part["cores"] <= 1 and part["probes_per_s"] >= 0.97 * got["expected_per_s"])
        row("  rounds skipped", "0", f"{part['lost']} {' '.join(part['why'])}".strip(), part["lost"] == 0)
        row("  most packets in a second over the mean", "≤ 1.5", f"{part['jitter']:.2f}", part["jitter"] <= 1.5)
    row("  peak memory", "≤ 500 MB", f"{got['peak_mb']:.0f} MB", got["peak_mb"] <= 500)


def alerts(_):
    """A minute and a half, mostly waiting."""
    run = subprocess.run([f"{EXAMPLES}/alert_bench", NETFAULT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    if run.returncode != 0:
        sys.exit(f"bench: alert_bench ended with {run.returncode}")
    got = json.loads(run.stdout.strip().splitlines()[-1])
    names, beside = got["names"], got["names_beside_feed"]
    for what, part in [
        ("a withdrawal decides, full feed", got["busy_feed"]),
        ("a withdrawal decides, nothing else is said", got["quiet_feed"]),
        ("the end of a hold decides", got["hold"]),
        ("a name server refuses", names["refused"]),
        ("a name server is silent", names["silent"]),
        ("a name server refuses, beside a feed", beside["refused"]),
        ("a name server is silent, beside a feed", beside["silent"]),
    ]:
        figures = f"{part['p99_ms']:.0f} ms (median {part['median_ms']:.0f}, {part['alerts']} alerts)"
        row(f"alert until it is taken, p99: {what}", "≤ 2 s", figures, part["p99_ms"] <= 2000)
    many = got["many"]
    told = many["notifications"]
    row(f"notifications for {many['prefixes']} prefixes of {many['ases']} ASes", "≤ 55", f"{told}", 0 < told <= 55)
    dead = got["busy_feed"]["dead_receiver"]
    size, count = dead["outbox_bytes"] / dead["alerts"], dead["alerts"]
    figures = f"{size:.0f} bytes an alert; {count} in {dead['drained_ms']} ms, in order: {dead['in_order']}"
    row("outbox of a dead receiver, and how it drains", "in order", figures, dead["in_order"])


def main():
    parts = {
        "replay": replay,
        "store": store,
        "decode": decode,
        "gz": gz,
        "table": table,
        "ris-live": ris_live,
        "dns": dns,
        "dns-scale": dns_scale,
        "alerts": alerts,
    }
    wanted = sys.argv[2:] or list(parts)
    unknown = [name for name in wanted if name not in parts]
    if unknown:
        sys.exit(f"bench: there is no part '{unknown[0]}'; there are: {' '.join(parts)}")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for name in wanted:
        parts[name](sys.argv[1])
    widths = [max(len(line[i]) for line in rows) for i in range(4)]
    print()
    for line in [("what", "must", "measured", ""), *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


main()
