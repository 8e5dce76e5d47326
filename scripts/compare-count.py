#!/usr/bin/env python3
"""Holds what netfault said (ndjson) against the independent count (csv of scripts/independent-count.py).

    scripts/compare-count.py EVENTS.ndjson OUTAGES.csv [--list]

An Out of netfault and an outage of the count are the same if their spans touch (out until recovering; down until
back). Prints every disagreement of the whole table (baselines of 20 and more, held), and how far the stamps are apart.
"""

import argparse
import csv
import json
import statistics
import sys
from collections import defaultdict
from datetime import datetime, timezone

NEVER = float("inf")


def stamp(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def clock(second):
    if second in (None, "", NEVER):
        return "-"
    return datetime.fromtimestamp(float(second), timezone.utc).strftime("%dT%H:%M:%S")


def spans(path):
    """Per prefix, the times between Out and what ended it, with the Degrading before."""
    by_prefix, open_spans, degrading, unknown = defaultdict(list), {}, {}, defaultdict(list)
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            event = json.loads(line)
            if event.get("kind") != "transition" or event["subject"].get("type") != "prefix":
                continue
            prefix, at, state = event["subject"]["prefix"], stamp(event["at"]), event["to"]
            if state == "degrading":
                degrading[prefix] = (at, event["from"])
            if event["from"] == "out" and prefix in open_spans and state != "unknown":
                open_spans.pop(prefix)["until"] = at
            if state == "unknown":
                unknown[prefix].append(at)
            if state == "out" and prefix not in open_spans:
                span = {"prefix": prefix, "at": at, "until": NEVER, "held": event["baseline"] == "held",
                        "eligible": event["peers_eligible"], "event": event, "degrading": degrading.get(prefix)}
                by_prefix[prefix].append(span)
                open_spans[prefix] = span
    return by_prefix, unknown


def outages(path):
    by_prefix = defaultdict(list)
    with open(path, newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            outage = {key: int(row[key]) if row[key] else None
                      for key in ("baseline", "first_loss", "fifth_lost", "crossed_at", "down_at", "back_at")}
            outage["lowest"] = row["lowest"]
            outage["until"] = NEVER if outage["back_at"] is None else outage["back_at"]
            by_prefix[row["prefix"]].append(dict(outage, prefix=row["prefix"], origin=row["origin"]))
    return by_prefix


def touch(span, outage, slack=60):
    """A minute of slack: stamps that are a little apart are a difference of stamps, not two outages."""
    return span["at"] <= outage["until"] + slack and outage["down_at"] <= span["until"] + slack


def spread(name, values, within):
    if not values:
        print(f"{name}: none")
        return
    values = sorted(values)
    inside = sum(abs(value) <= within for value in values)
    print(f"{name}: {inside} of {len(values)} within {within:g} s; least {values[0]:g}, median "
          f"{statistics.median(values):g}, greatest {values[-1]:g}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("events")
    parser.add_argument("outages")
    parser.add_argument("--least", type=int, default=20, help="peer ASes in the baseline")
    parser.add_argument("--list", action="store_true", help="print every stamp that is more than 1 s off")
    args = parser.parse_args()
    said, unknown = spans(args.events)
    counted = outages(args.outages)
    large = [o for all_of in counted.values() for o in all_of if o["baseline"] >= args.least]

    missing, inferred, out_off, back_off, late, twice = [], [], [], [], [], []
    for outage in large:
        found = [span for span in said[outage["prefix"]] if touch(span, outage)]
        held = [span for span in found if span["held"]]
        if not held:
            (inferred if found else missing).append((outage, found))
            continue
        if len(held) > 1:
            twice.append((outage, held))
        nearest = min(held, key=lambda span: abs(span["at"] - outage["down_at"]))
        out_off.append((nearest["at"] - outage["down_at"], outage))
        if outage["back_at"] is not None or nearest["until"] != NEVER:
            ended = max(held, key=lambda span: span["until"])["until"]
            back_off.append((ended - outage["until"], outage))
        if outage["fifth_lost"] is not None and nearest["degrading"]:
            late.append((nearest["degrading"][0] - outage["fifth_lost"], outage))

    unconfirmed = []
    for prefix, all_of in said.items():
        for span in all_of:
            if span["held"] and span["eligible"] >= args.least:
                if not any(touch(span, outage) for outage in counted.get(prefix, ())):
                    unconfirmed.append(span)
    outs = sum(span["held"] and span["eligible"] >= args.least for all_of in said.values() for span in all_of)
    print(f"outages counted (baseline >= {args.least}): {len(large)}; Out of netfault (held, same size): {outs}")
    print(f"counted and not reported: {len(missing)}; only with an inferred baseline: {len(inferred)}")
    for outage, _ in missing:
        print(f"  {outage['prefix']:20} {clock(outage['down_at'])} to {clock(outage['back_at'])} baseline "
              f"{outage['baseline']} lowest {outage['lowest']}")
    for outage, found in inferred:
        print(f"  inferred {outage['prefix']:20} {clock(outage['down_at'])} to {clock(outage['back_at'])} baseline "
              f"{outage['baseline']}; Out at {[clock(span['at']) for span in found]} of {found[0]['eligible']}")
    print(f"reported and not confirmed: {len(unconfirmed)}")
    for span in unconfirmed:
        print(f"  {span['prefix']:20} {clock(span['at'])} to {clock(span['until'])} of {span['eligible']}")
    print(f"more than one Out in one outage: {len(twice)}")
    for outage, held in twice:
        print(f"  {outage['prefix']:20} {clock(outage['down_at'])} to {clock(outage['back_at'])}: Out "
              f"{[clock(span['at']) + '..' + clock(span['until']) for span in held]}")
    spread("Out against the count", [off for off, _ in out_off], 1)
    spread("Recovering against the count", [off for off, _ in back_off], 1)
    spread("Degrading after the fifth peer AS", [off for off, _ in late], 15)
    if args.list:
        for name, offs in (("Out", out_off), ("Recovering", back_off)):
            for off, outage in sorted(offs, key=lambda pair: pair[0]):
                if abs(off) > 1:
                    print(f"  {name} {off:+g} s: {outage['prefix']:20} {clock(outage['down_at'])} to "
                          f"{clock(outage['back_at'])} baseline {outage['baseline']} lowest {outage['lowest']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
