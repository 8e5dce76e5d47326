#!/usr/bin/env python3
"""Counts prefix outages in MRT update files, from `bgpdump -m` text. Shares nothing with the engine.

    scripts/independent-count.py [--jobs N] PATH... > outages.csv

PATH is a file or a folder (its updates.* files). Files are taken in the order of their names' time, which is the
order of their names. The whole record is read, put apart by prefix, and each prefix is then swept alone, so there
is no deadline wheel, no incremental state and no streaming here that could be wrong in the engine's way.

What is counted (DESIGN section 5, as sets)
  baseline  the peer ASes that held the prefix for an unbroken hour in the last 24 h
  lost      at most 20 % of the baseline hold it, for 30 s
  back      at least 65 % of the baseline hold it, for 30 s

Decisions of detail, all of them
  * A peer AS holds a prefix if any session of it does: one vote per peer AS. A session is (address, AS).
  * No seed: a route is held from its first announcement. A withdrawal of a route never seen changes nothing.
  * `bgpdump -m` prints routes of IPv4 multicast (MP_REACH_NLRI with SAFI 2, RFC 4760) as if they were unicast. They
    are found in bgpdump's long form, which names the SAFI, and taken out again: a multicast route carries no traffic
    of anybody who uses the prefix. (route-views2-20080224 has 34,363 of them; with them 129.97.0.0/16 never fell.)
  * No session resets: the record has no state changes. A hole in it (two minutes, every two hours) is no loss.
  * Clocks are whole seconds. All messages of one second are applied before anything is counted, in file order.
  * Messages are sorted by time, stably. (In route-views2-20080224 they come sorted.)
  * An hour is unbroken if at the end of no second in it the route was gone: withdrawn and announced again within
    one second is no break (--break message: it is). It is complete 3600 s after the second it began in. It counts
    for 24 h from its end.
  * A share that is exactly 20 % is lost, exactly 65 % is back.
  * A condition that became true with the messages of second t has held for 30 s at t + 30, before the messages of
    that second. `down_at` and `back_at` are these ends; `crossed_at` and `back_crossed_at` the beginnings.
  * The baseline is frozen from `down_at` until `back_at` (--freeze crossing: from the crossing on). Before and after
    it lives: a peer AS whose hour is complete enters it at that second, and may so move the share.
  * What matures while the baseline is frozen enters it at `back_at`.
  * A verdict needs at least 10 peer ASes in the baseline when the condition begins; the size is in the output, and
    the figures for the whole table use those of 20 and more.
  * Default routes are left out, and so is what is longer than /24 (IPv6: /48).
  * `first_loss` is the first of the losses that still stand at the crossing, going back from the newest as long as
    they are not more than 300 s apart. `fifth_lost` is when, at or after `first_loss`, five peer ASes of the
    baseline that held it just before lacked it at once for the first time.
  * `origin` is the last AS of the path that most peer ASes of the baseline announced last before the crossing.
  * An outage that has not ended at the end of the record has no back_crossed_at and back_at. A crossing less than
    30 s before the end is no outage.

Times are Unix seconds.
"""

import argparse
import calendar
import csv
import os
import subprocess
import sys
import time
from array import array
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor

HOUR, DAY = 3600, 86_400
LOST, LOST_FOR = (20, 100), 30
BACK, BACK_FOR = (65, 100), 30
QUORUM = 10
EPISODE_GAP = 300
COLUMNS = [
    "prefix", "origin", "baseline", "first_loss", "fifth_lost", "crossed_at", "down_at",
    "back_crossed_at", "back_at", "lowest",
]


class Record:
    """The whole record, by prefix. An event is packed: second | session (10 bits) | place of its
    origin in `origins` (22 bits; 0 is a withdrawal, 1 an AS_SET)."""

    def __init__(self):
        self.events = {}
        self.sessions = {}
        self.voter_of = []
        self.voters = {}
        self.origins = {b"withdrawn": 0, b"set": 1}
        self.lines = self.unread = self.multicast = 0
        self.last = 0

    def session(self, address, asn):
        key = (address, asn)
        if key not in self.sessions:
            if len(self.sessions) == 1024:
                sys.exit("independent-count: more than 1024 sessions")
            self.sessions[key] = len(self.sessions)
            self.voter_of.append(self.voters.setdefault(asn, len(self.voters)))
        return self.sessions[key]

    def read(self, text, multicast):
        """`multicast`: lines to leave out, and how often."""
        events, sessions, origins = self.events, self.sessions, self.origins
        for line in text.splitlines():
            field = line.split(b"|")
            if multicast:
                key = tuple(field[1:7])
                if multicast[key] > 0:
                    multicast[key] -= 1
                    self.multicast += 1
                    continue
            try:
                kind = field[2]
                session = sessions.get((field[3], field[4]))
                if session is None:
                    session = self.session(field[3], field[4])
                if kind == b"A":
                    last = field[6].rsplit(None, 1)[-1]
                    if not last.isdigit():
                        last = b"set"
                    origin = origins.setdefault(last, len(origins))
                elif kind == b"W":
                    origin = 0
                else:
                    raise ValueError(kind)
                second = int(field[1].split(b".")[0])
                packed = second << 32 | session << 22 | origin
                prefix = field[5]
            except (IndexError, ValueError):
                self.unread += 1
                continue
            known = events.get(prefix)
            if known is None:
                known = events[prefix] = array("Q")
            known.append(packed)
            self.lines += 1
            if second > self.last:
                self.last = second


def bgpdump(*args):
    try:
        return subprocess.run(["bgpdump", *args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"independent-count: {error}")


def dump(path):
    """The lines of a file, and those of them that are multicast: (second, address, AS, kind, ...) -> how often."""
    multicast = Counter()
    for block in bgpdump(path).split(b"\n\n"):
        if b" Multicast)" not in block:
            continue
        lines = block.split(b"\n")
        value = dict(line.split(b": ", 1) for line in lines if b": " in line)
        second = calendar.timegm(time.strptime(value[b"TIME"].decode(), "%m/%d/%y %H:%M:%S"))
        address, asn = value[b"FROM"].split(b" AS")
        path_of = value.get(b"ASPATH", b"")
        headings = [line for line in lines if line in (b"ANNOUNCE", b"WITHDRAW")]
        if len(headings) != block.count(b" Multicast)"):
            sys.exit(f"independent-count: unicast and multicast in one message in {path}: not thought of\n{block.decode()}")
        kind = b""
        for line in lines:
            if line in headings:
                kind = line[:1]
            elif line.startswith(b"  ") and kind:
                fields = (b"%d" % second, kind, address, asn, line.strip())
                multicast[fields + (path_of,) if kind == b"A" else fields] += 1
    return bgpdump("-m", path), multicast


def read(files, jobs):
    record = Record()
    with ThreadPoolExecutor(jobs) as pool:
        waiting = deque()
        for path in files + [None] * jobs:
            if path is not None:
                waiting.append(pool.submit(dump, path))
            if len(waiting) > jobs or path is None:
                if waiting:
                    record.read(*waiting.popleft().result())
    return record


def counts(prefix):
    """Whether a prefix is one that is counted."""
    address, _, length = prefix.partition(b"/")
    try:
        length = int(length)
    except ValueError:
        return False
    return 0 < length <= (48 if b":" in address else 24)


class Sweep:
    """One prefix from the first message to the last. Voters (peer ASes) are bits."""

    def __init__(self, voter_of, options, trace=None):
        self.voter_of, self.trace = voter_of, trace
        self.freeze_at_crossing = options.freeze == "crossing"
        self.any_break = getattr(options, "break") == "message"
        self.flickered = 0         # voters that were without it within this second
        self.sessions = 0          # sessions that hold it
        self.mask = {}             # voter -> its sessions
        self.having = 0            # voters that hold it
        self.since = {}            # voter -> since when
        self.young = deque()       # (since, voter), by time; may be stale
        self.grown = 0             # voters whose present hold is an hour old
        self.hour_ended = {}       # voter -> end of its last unbroken hour
        self.lost_at = {}          # voter -> when it lost it last
        self.regained = {}         # voter -> losses that were made good: [(lost, regained)]
        self.origin = {}           # voter -> origin it announced last
        self.base = 0
        self.lost_since = self.back_since = None
        self.outage = None
        self.outages = []
        for session, voter in enumerate(voter_of):
            self.mask[voter] = self.mask.get(voter, 0) | 1 << session

    def run(self, events, end):
        events = list(events)
        if any(events[i] >> 32 > events[i + 1] >> 32 for i in range(len(events) - 1)):
            events.sort(key=lambda event: event >> 32)
        index, total = 0, len(events)
        while index < total:
            second = events[index] >> 32
            self.until(second)
            before = self.having
            while index < total and events[index] >> 32 == second:
                self.apply(events[index])
                index += 1
            if self.having != before:
                self.changed(before, second)
            if self.any_break:
                self.begin_again(before & self.flickered & self.having, second)
            self.flickered = 0
            self.evaluate(second)
        self.until(end)
        if self.outage is not None:
            self.outages.append(self.outage)
        return self.outages

    def apply(self, event):
        session, origin = event >> 22 & 1023, event & 0x3F_FFFF
        voter = self.voter_of[session]
        if origin:
            self.sessions |= 1 << session
            self.having |= 1 << voter
            self.origin[voter] = origin
        else:
            self.sessions &= ~(1 << session)
            if not self.sessions & self.mask[voter]:
                self.having &= ~(1 << voter)
                self.flickered |= 1 << voter

    def changed(self, before, now):
        """Voters that hold it now and did not a second ago, and the other way round."""
        for voter in bits(self.having & ~before):
            self.since[voter] = now
            self.young.append((now, voter))
            if voter in self.lost_at:
                self.regained.setdefault(voter, deque(maxlen=64)).append((self.lost_at[voter], now))
        for voter in bits(before & ~self.having):
            if self.grown >> voter & 1:
                self.grown &= ~(1 << voter)
                self.hour_ended[voter] = now
            del self.since[voter]
            self.lost_at[voter] = now

    def begin_again(self, voters, now):
        """Withdrawn and announced again within one second: the hour begins anew."""
        for voter in bits(voters):
            if self.grown >> voter & 1:
                self.grown &= ~(1 << voter)
                self.hour_ended[voter] = now
            self.since[voter] = now
            self.young.append((now, voter))

    def until(self, now):
        """What happens between the messages, up to and including `now`: ends of holds and complete hours."""
        while True:
            while self.young and self.since.get(self.young[0][1]) != self.young[0][0]:
                self.young.popleft()
            grows = self.young[0][0] + HOUR if self.young else None
            if self.outage is None:
                hold = None if self.lost_since is None else self.lost_since + LOST_FOR
            else:
                hold = None if self.back_since is None else self.back_since + BACK_FOR
            at = min((due for due in (grows, hold) if due is not None), default=None)
            if at is None or at > now:
                return
            if at == hold:
                self.settle(at)
            else:
                self.grown |= 1 << self.young.popleft()[1]
            self.evaluate(at)

    def frozen(self):
        return self.outage is not None or (self.freeze_at_crossing and self.lost_since is not None)

    def evaluate(self, now):
        if not self.frozen():
            for voter in [voter for voter, ended in self.hour_ended.items() if ended <= now - DAY]:
                del self.hour_ended[voter]
            self.base = self.grown
            for voter in self.hour_ended:
                self.base |= 1 << voter
        size = self.base.bit_count()
        seen = (self.base & self.having).bit_count()
        if self.trace:
            self.trace(now, seen, size, self)
        if self.outage is not None:
            self.outage["lowest"] = min(self.outage["lowest"], seen / size)
            if seen * BACK[1] < size * BACK[0]:
                self.back_since = None
            elif self.back_since is None:
                self.back_since = now
            return
        if size < QUORUM or seen * LOST[1] > size * LOST[0]:
            self.lost_since = None
        elif self.lost_since is None:
            self.lost_since = now
            self.crossing = self.evidence(now)
            self.lowest = seen / size
        else:
            self.lowest = min(self.lowest, seen / size)

    def settle(self, now):
        """The end of a hold."""
        if self.outage is None:
            self.outage = dict(self.crossing, crossed_at=self.lost_since, down_at=now, lowest=self.lowest,
                               baseline=self.base.bit_count())
            self.lost_since = self.back_since = None
            return
        self.outage.update(back_crossed_at=self.back_since, back_at=now)
        self.outages.append(self.outage)
        self.outage = self.lost_since = self.back_since = None

    def evidence(self, now):
        lacking = self.base & ~self.having
        losses = sorted(self.lost_at[voter] for voter in bits(lacking))
        first = losses[-1]
        for earlier in reversed(losses[:-1]):
            if first - earlier > EPISODE_GAP:
                break
            first = earlier
        origins = Counter(self.origin[voter] for voter in bits(self.base) if self.origin.get(voter, 1) > 1)
        return {"first_loss": first, "fifth_lost": self.fifth(first, now),
                "origin": min(origins, key=lambda o: (-origins[o], o)) if origins else None}

    def fifth(self, first, now):
        """When five voters of the baseline that lost it from `first` on lacked it at once."""
        steps = []
        for voter in bits(self.base):
            for lost, regained in self.regained.get(voter, ()):
                if lost >= first:
                    steps += [(lost, 1), (regained, -1)]
            if not self.having >> voter & 1 and self.lost_at[voter] >= first:
                steps.append((self.lost_at[voter], 1))
        lacking = 0
        # Within one second what was regained goes first.
        for at, step in sorted(steps):
            lacking += step
            if lacking == 5:
                return at
        return None


def bits(mask):
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def find(paths):
    files = []
    for path in paths:
        if os.path.isdir(path):
            files += [os.path.join(path, name) for name in os.listdir(path) if name.startswith("updates.")]
        elif os.path.exists(path):
            files.append(path)
        else:
            sys.exit(f"independent-count: there is no {path}")
    if not files:
        sys.exit("independent-count: no updates.* files there")
    return sorted(files, key=os.path.basename)


def clock(second):
    return time.strftime("%dT%H:%M:%S", time.gmtime(second))


def timelines(record, wanted, options):
    """For a person: what each of these prefixes went through."""
    names = {voter: asn.decode() for asn, voter in record.voters.items()}
    for prefix in wanted:
        last = [None]

        def trace(now, seen, size, sweep):
            state = (seen, size, sweep.having, sweep.outage is not None, sweep.lost_since, sweep.back_since)
            if state == last[0]:
                return
            before = last[0][2] if last[0] else 0
            last[0] = state
            turned = [f"+{names[v]}" for v in bits(sweep.having & ~before)]
            turned += [f"-{names[v]}" for v in bits(before & ~sweep.having)]
            mood = "DOWN" if state[3] else "lost?" if state[4] is not None else ""
            mood += " back?" if state[5] is not None else ""
            print(f"{prefix} {clock(now)} {seen:3}/{size:<3} having {sweep.having.bit_count():3} {mood:10} "
                  f"{' '.join(turned)}")

        events = record.events.get(prefix.encode(), ())
        for outage in Sweep(record.voter_of, options, trace).run(events, record.last):
            print(f"{prefix} outage", {key: value for key, value in outage.items()})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="+", metavar="PATH")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="bgpdump processes at a time")
    parser.add_argument("--freeze", choices=["down", "crossing"], default="down")
    parser.add_argument("--break", choices=["second", "message"], default="second")
    parser.add_argument("--timeline", action="append", default=[], metavar="PREFIX",
                        help="print what this prefix went through, instead of the count")
    args = parser.parse_args()
    record = read(find(args.paths), args.jobs)
    if args.timeline:
        return timelines(record, args.timeline, args)
    origins = {place: origin.decode() for origin, place in record.origins.items()}
    rows = []
    for prefix, events in record.events.items():
        # Every AS of a baseline has announced it.
        if counts(prefix) and len(events) >= QUORUM:
            for outage in Sweep(record.voter_of, args).run(events, record.last):
                rows.append(dict(outage, prefix=prefix.decode(), origin=origins.get(outage["origin"], ""),
                                 lowest=f"{outage['lowest']:.2f}"))
    rows.sort(key=lambda row: (row["down_at"], row["prefix"]))
    writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
    large = sum(row["baseline"] >= 20 for row in rows)
    print(f"{record.lines} routes and withdrawals of {len(record.events)} prefixes, {len(record.sessions)} sessions, "
          f"{len(record.voters)} peer ASes, {record.multicast} lines of multicast and {record.unread} others left out; {len(rows)} outages, "
          f"{large} with a baseline of 20 or more", file=sys.stderr)


if __name__ == "__main__":
    main()
