#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Recorded runs of stock guests, for tests/fixtures/traces (make fixture-traces).

	bench/fixture_traces.py record DIRECTORY	in a lab that counts
	bench/fixture_traces.py install DIRECTORY	on the machine itself

record: one wide guest per workload, with CPUs on all nodes, without views, whose
pages nobody moves (first-touch). From the moment its work begins `disco trace record`
records what its engine is given, until the work is done, the trace is as large as it
may be, or --seconds are over. What is in DIRECTORY already is not recorded again, so
that a lab may die.

install: all five are there, are whole, can be played by `disco sim`, have lost next to
nothing, and take --limit bytes at most; then they and a README.md that tells how they
were made replace what is in --to.

Exit status: 0; 1 why it was not done is said.
"""
import argparse
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import locality_wide
from locality import Guests, counters, prepare
from rounds import RoundFailed, arguments, header, load, repeated, write_json

NAMES = ("engineering", "database", "pmake", "stream", "raytrace")
LIMIT = 4 << 20  # bytes, of all together
# What the recorder has not written yet: a block of accesses, and one of events.
UNWRITTEN = 320 << 10
LEAST = 2000  # accesses of a trace: fewer say nothing
LOST = 0.01   # of the accesses
TABLE = "| trace | accesses | stand for | seconds | nodes | bytes | lost |"
README = """# Recorded runs

Runs of stock guests, as `disco trace record` wrote them in a lab with FLASH
counters: what `make bench-sim` takes for `sim-recorded`, besides made-up runs.
`make fixture-traces` records them all anew, and writes this file.
{made}{table}
In each of them one guest has CPUs on all four nodes, small pages and no views, and
its pages stay where they were touched first:

- engineering: a network of gates per CPU, made on a CPU of another node
  (`bench/guest/netlist.c`);
- database: SQLite's queries by a process on each CPU, of one database in memory;
- pmake: `make -j` of Lua by tcc;
- stream: sums of arrays, a process on each CPU (`bench/guest/stream.c`);
- raytrace: rays through one scene in memory, by a process on each CPU
  (`bench/guest/raytrace.c`).

A record stands for as many misses as make a page hot. A trace ends when the work was
done, or where it would have become larger than a fifth of 4 MiB, the limit of all.
"""


class Refused(RoundFailed):
    """What was recorded is no fixture."""


# --- in a lab -----------------------------------------------------------------

def written(pid, path):
    """Bytes of the file that a recorder has open beside the path: it gets its name
    when it is complete."""
    sizes = [0]
    for fd in glob.glob(f"/proc/{pid}/fd/*"):
        try:
            if os.readlink(fd).startswith(f"{os.path.dirname(path)}/"):
                sizes.append(os.stat(fd).st_size)
        except OSError:
            continue
    return max(sizes)


class Work(threading.Thread):
    """Waits for the end of a guest's script."""

    def __init__(self, guest):
        super().__init__(daemon=True)
        self.guest, self.failed = guest, None

    def run(self):
        try:
            self.guest.result()
        except RoundFailed as e:
            self.failed = e


def recorder(a, guest, path):
    """A recording that has begun: the head of the file is there."""
    # pylint: disable=consider-using-with # until it has ended
    p = subprocess.Popen([a.disco, "trace", "record", "-o", path, "--seconds",
                          str(a.seconds), guest.name],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True)
    end = time.monotonic() + 60
    while not written(p.pid, path):
        if p.poll() is not None or time.monotonic() > end:
            p.kill()
            raise RoundFailed(f"trace record: {p.communicate()[0]}")
        time.sleep(0.02)
    return p


def record_work(a, guest, script, path, most):
    """What the recorder says at last; a trace of about that many bytes, at most."""
    p = recorder(a, guest, path)
    guest.send(script)
    work = Work(guest)
    work.start()
    while (p.poll() is None and work.is_alive()
           and written(p.pid, path) < most):
        time.sleep(0.05)
    if p.poll() is None:
        p.send_signal(signal.SIGINT)
    try:
        said = p.communicate(timeout=60)[0].strip()
    except subprocess.TimeoutExpired as e:
        p.kill()
        raise RoundFailed("trace record does not end") from e
    if work.failed:
        raise work.failed
    if p.returncode:
        raise RoundFailed(f"trace record: {said}")
    return said


def record_one(a, name, failed):
    """A guest, its trace, and that trace in the directory, whole.

    failed: how often it was not; the trace may have been too large.
    """
    work, most = locality_wide.traced(a)[name], a.limit // len(NAMES)
    to = f"{a.directory}/{name}.trc"
    with Guests(a, [locality_wide.layout(a, "no-views")]) as g, \
            tempfile.TemporaryDirectory() as directory:
        prepare(g.guests, work)
        path = f"{directory}/{name}.trc"
        counters(a, "reset")
        counters(a, "on")
        try:
            said = record_work(a, g.guests[0], work.work, path,
                               most - (failed + 1) * UNWRITTEN)
        finally:
            counters(a, "off")
        if os.path.getsize(path) > most:
            raise RoundFailed(f"{said}: more than {most}")
        checked(a, path)
        shutil.copyfile(path, f"{to}.new")
    os.replace(f"{to}.new", to)
    print(f"{name}: {said}", flush=True)
    return said


def record(a):
    os.makedirs(a.directory, exist_ok=True)
    state = load(a)
    for name in NAMES:
        if not os.path.exists(f"{a.directory}/{name}.trc"):
            state["done"].pop(name, None)
            repeated(state, name, lambda n=name: record_one(
                a, n, state["repeated"].count(n)))
    write_json(f"{a.directory}/made.json", header(
        a, "fixture-traces", vcpus=a.vcpus, memory_mib=a.wide_memory,
        scale=a.scale, seed=a.seed))


# --- on the machine itself ----------------------------------------------------

def call(a, *args):
    p = subprocess.run([a.disco, *args], capture_output=True, text=True,
                       check=False)
    if p.returncode:
        raise Refused(f"disco {' '.join(args)}: {p.stderr.strip()}")
    return p.stdout


def checked(a, path):
    """What `disco trace info` says of a trace that will do."""
    info = json.loads(call(a, "trace", "info", "--json", path))
    if info["cut"] or info["accesses"] < LEAST:
        raise Refused(f"{path}: {info['accesses']} accesses"
                      + (", and cut" if info["cut"] else ""))
    if info["lost"] > LOST * info["accesses"]:
        raise Refused(f"{path}: {info['lost']} accesses are lost, of "
                      f"{info['accesses']}")
    return info


def rows_of(a):
    rows = []
    for name in NAMES:
        path = f"{a.directory}/{name}.trc"
        if not os.path.exists(path):
            raise Refused(f"{path}: it was not recorded")
        rows.append((name, checked(a, path)))
        call(a, "sim", "--policy", "first-touch", "--policy", "balanced", path)
    size = sum(info["file_bytes"] for _, info in rows)
    if size > a.limit:
        raise Refused(f"{size} bytes in all, at most {a.limit}")
    return rows


def readme(rows, made):
    """Of no rows: none is recorded yet."""
    if not rows:
        return README.format(made="\nNone is recorded yet.\n", table="")
    lines = [TABLE, re.sub("[^|]+", " --- ", TABLE)]
    for name, i in rows:
        lines.append(f"| {name} | {i['accesses']} | {i['weight']} | "
                     f"{i['duration_ns'] / 1e9:.1f} | {i['nodes']} | "
                     f"{i['file_bytes']} | {i['lost']} |")
    how = (f"\nThese are of commit {made['commit']}, by {made['vcpus']} virtual "
           f"CPUs with {made['memory_mib']} MiB\non Linux {made['kernel']}, seed "
           f"{made['seed']}, scale {made['scale']}.\n")
    return README.format(made=how, table="\n" + "\n".join(lines) + "\n")


def install(a):
    rows = rows_of(a)
    with open(f"{a.directory}/made.json", encoding="utf-8") as f:
        made = json.load(f)
    text = readme(rows, made)
    os.makedirs(a.to, exist_ok=True)
    for path in glob.glob(f"{a.to}/*.trc"):
        os.unlink(path)
    for name in NAMES:
        shutil.copyfile(f"{a.directory}/{name}.trc", f"{a.to}/{name}.trc")
    with open(f"{a.to}/README.md", "w", encoding="utf-8") as f:
        f.write(text)
    print("\n".join(s for s in text.splitlines() if s.startswith("|")))
    print(f"fixture-traces: {len(rows)} traces, "
          f"{sum(i['file_bytes'] for _, i in rows)} bytes, in {a.to}")


def parse():
    p = argparse.ArgumentParser(
        description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("what", choices=("record", "install"))
    p.add_argument("directory")
    arguments(p)
    p.add_argument("--counters", default="build/release/lab/counters")
    p.add_argument("--to", default="tests/fixtures/traces")
    p.add_argument("--limit", type=int, default=LIMIT, help="bytes of all")
    p.add_argument("--seconds", type=int, default=120,
                   help="of a recording, at most")
    p.add_argument("--nodes", type=int, default=4)
    p.add_argument("--vcpus", type=int, default=8)
    p.add_argument("--wide-memory", type=int, default=256, help="MiB")
    p.add_argument("--scale", type=int, default=32, help="how much work")
    p.add_argument("--seed", type=int, default=1)
    p.set_defaults(guests=1, rounds=1, timeout=300, copies=0)
    return p.parse_args()


def main():
    a = parse()
    try:
        if a.what == "record":
            record(a)
        else:
            install(a)
    except (RoundFailed, OSError, ValueError, LookupError) as e:
        sys.exit(f"fixture-traces: {e}")


if __name__ == "__main__":
    main()
