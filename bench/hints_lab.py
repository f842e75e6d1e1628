#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""bench-hints-lab: what hints are worth to stock guests, on a lab's counters.

As in bench-locality, all memory of a guest is at its home when a run begins, its
threads are on another node, and the policy (balanced) knows nothing yet. The same
work is done with a hint and without: raytrace marks its scene as read-mostly, a
database its file, and pmake its toolchain. A run without takes the hint of the last
run back (disco-hint file forget), so that both give as many hints.

Of each run: the time by the model, the share of local misses, the modelled time
until 85 % of the misses of a window were local (from counters that are read over and
over; the whole run's, if none was), pages that moved, and the memory that the guest
has then.

Then a guest makes a file of 160 MiB in its memory and removes it: how long it takes,
by this machine's clock, until the machine has FREED MiB back, by "disco-hint free
all" in a guest without a balloon, and by the balloon's free page reporting alone.

Exit status 1: not all runs of a workload have printed the same.
"""
import argparse
import json
import math
import statistics
import sys
import threading
import time

from locality import Guests, counted, counters, measured, prepare
from locality_guests import Guest, one_node
from locality_work import compiled, workloads
from rounds import (Monitor, RoundFailed, arguments, header, load, repeated,
                    write_json)

NAMES = ("raytrace", "database", "pmake")
MODES = ("plain", "hinted")
FREEING = {
    "hints": ("modprobe -r virtio_balloon\n", "; disco-hint free all"),
    "reporting": ("", ""),
}
FILL_MIB, FREED_MIB = 160, 128
LOCAL = 0.85
WINDOW_S, WINDOW_MISSES = 0.3, 1000
TOOLS = ("$(command -v tcc) $(find /usr/lib/*/tcc -type f) "
         "$(find /usr/lib -name 'libc.so.6' -o -name 'libtcc.so*')")


def raytrace(a):
    """As locality_work.py has it, but the scene is the guest's own memory."""
    side = 8 * math.isqrt(64 * a.scale)
    return workloads(a)["raytrace"]._replace(
        prepare=compiled("raytrace", "shared.h") + [
            f"/tmp/raytrace make /dev/shm/scene {a.scene} {a.seed}\n"],
        work=f"/tmp/raytrace run /dev/shm/scene {side} 0 1 1",
        share="", fill="")


def work_of(a, name):
    """(Workload, the files that it hints)."""
    if name == "raytrace":
        return raytrace(a), "/dev/shm/scene"
    if name == "database":
        return workloads(a)[name], "/dev/shm/db"
    return workloads(a)[name], TOOLS


# --- one run ------------------------------------------------------------------

class Watch:
    """Reads the counters, over and over, while the block runs."""

    def __init__(self, a):
        self.a, self.seen = a, []
        self.ends = threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)

    def look(self):
        while not self.ends.wait(WINDOW_S):
            try:
                self.seen.append(counted(counters(self.a, "show")))
            except RoundFailed:
                continue  # the run itself finds out

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *what):
        self.ends.set()
        self.thread.join()

    def placed_ms(self):
        """Modelled time of the first window that was local; None: none was."""
        return first_local(self.seen)


def first_local(seen):
    """Of counters in the order in which they were read. Windows are of
    WINDOW_MISSES or more."""
    last = {"local": 0, "remote": 0, "ms": 0}
    for c in seen:
        local, remote = c["local"] - last["local"], c["remote"] - last["remote"]
        if local < 0 or remote < 0:  # they began anew
            last = c
            continue
        if local + remote < WINDOW_MISSES:
            continue
        if local >= LOCAL * (local + remote):
            return c["ms"]
        last = c
    return None


def ram_pages(monitor, name):
    vms = json.loads(monitor.call("stats", "--exact", "--json"))["vms"]
    return next(v["ram_pages"] for v in vms if v["name"] == name)


def one_run(a, monitor, guest, name, mode):
    work, files = work_of(a, name)
    hint = "read-mostly" if mode == "hinted" else "forget"
    guest.policy("first-touch")
    guest.bring_home(a.nodes)
    guest.run_on(guest.layout.place)
    guest.do(f"disco-hint file {hint} {files}\n")
    guest.policy("balanced")
    with Watch(a) as watch:
        run = measured(a, monitor, [guest], work)
    run["reached"] = watch.placed_ms() is not None
    run["placed_ms"] = watch.placed_ms() if run["reached"] else run["ms"]
    run["memory_mib"] = ram_pages(monitor, guest.layout.name) / 256
    run["hinted_pages"] = guest.figures()["hinted_pages"]
    return run


def run_workload(a, state, name):
    todo = [(r, m) for r in range(a.rounds)
            for m in (MODES if r % 2 else MODES[::-1])
            if f"{name}/{m}/{r}" not in state["done"]]
    if not todo:
        return
    with Guests(a, one_node(a)) as g:
        prepare(g.guests, work_of(a, name)[0])
        for r, mode in todo:
            x = repeated(state, f"{name}/{mode}/{r}",
                         lambda m=mode: one_run(a, g.monitor, g.guests[0],
                                                name, m))
            print(f"  {name:9} {mode:7} {x['ms']:9.1f} ms, 85 % local after "
                  f"{x['placed_ms']:9.1f} ms, {x['moves']} moves",
                  file=sys.stderr, flush=True)


# --- memory that is freed -----------------------------------------------------

def free_once(a, how):
    """Seconds until FREED_MIB are back; RoundFailed: they do not come back."""
    before, command = FREEING[how]
    with Monitor(a.disco, "--balance=off", "--merge=off") as monitor:
        layout = one_node(a)[0]._replace(memory="384M,node=0,huge=off")
        guest = Guest(monitor, a, layout)
        try:
            guest.ready()
            guest.do(f"{before}head -c {FILL_MIB}M /dev/urandom >/dev/shm/a\n")
            full = ram_pages(monitor, layout.name)
            start = time.monotonic()
            guest.send(f"rm /dev/shm/a{command}\n")
            while full - ram_pages(monitor, layout.name) < FREED_MIB << 8:
                if time.monotonic() - start > a.timeout:
                    raise RoundFailed(f"{how}: {FREED_MIB} MiB are not back "
                                      f"after {a.timeout} s")
            seconds = time.monotonic() - start
            guest.result()
            return {"seconds": seconds}
        finally:
            guest.close()


def free_memory(a, state):
    for r in range(a.rounds):
        for how in FREEING:
            x = repeated(state, f"free/{how}/{r}",
                         lambda h=how: free_once(a, h))
            print(f"  free, {how}: {x['seconds']:.2f} s", file=sys.stderr,
                  flush=True)


# --- results ------------------------------------------------------------------

def median_of(runs, key):
    return statistics.median(r[key] for r in runs)


def row_of(a, state, name):
    runs = {m: [state["done"][f"{name}/{m}/{r}"] for r in range(a.rounds)]
            for m in MODES}
    row = {"workload": name, "all": runs}
    for m in MODES:
        for key in ("ms", "placed_ms", "local_percent", "moves", "memory_mib"):
            row[f"{m}_{key}"] = median_of(runs[m], key)
        row[f"{m}_reached"] = sum(r["reached"] for r in runs[m])
    row["times_sooner"] = row["plain_placed_ms"] / row["hinted_placed_ms"]
    row["of_plain"] = row["hinted_ms"] / row["plain_ms"]
    row["differs"] = len({json.dumps(r["said"])
                          for m in MODES for r in runs[m]}) > 1
    return row


def summarise(a, state):
    rows = [row_of(a, state, n) for n in a.workloads]
    freed = {how: median_of([state["done"][f"free/{how}/{r}"]
                             for r in range(a.rounds)], "seconds")
             for how in FREEING} if a.free else None
    return header(a, "hints-lab", seed=a.seed, scale=a.scale,
                  repeated=state["repeated"], rows=rows, freed_s=freed)


def print_rows(out):
    print(f"bench-hints-lab: commit {out['commit']}, lab {out['lab']}, median "
          f"of {out['rounds']} rounds, without and with a hint")
    print(f"{'workload':10}{'85 % local, ms':>22}{'sooner':>8}{'all, ms':>22}"
          f"{'of it':>7}{'MiB':>14}{'moves':>14}")
    for r in out["rows"]:
        print(f"{r['workload']:10}{r['plain_placed_ms']:11.1f}"
              f"{r['hinted_placed_ms']:11.1f}{r['times_sooner']:8.2f}"
              f"{r['plain_ms']:11.1f}{r['hinted_ms']:11.1f}"
              f"{r['of_plain']:7.3f}{r['plain_memory_mib']:7.0f}"
              f"{r['hinted_memory_mib']:7.0f}{r['plain_moves']:7.0f}"
              f"{r['hinted_moves']:7.0f}")
        for m in MODES:
            if r[f"{m}_reached"] < out["rounds"]:
                print(f"{r['workload']}, {m}: in {r[f'{m}_reached']} of "
                      f"{out['rounds']} rounds 85 % were local at all")
        if r["differs"]:
            print(f"{r['workload']}: not all runs have printed the same")
    for how, seconds in (out["freed_s"] or {}).items():
        print(f"{FREED_MIB} MiB are back by {how}: {seconds:.2f} s")


def parse():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    arguments(p)
    p.add_argument("--counters", default="build/release/lab/counters")
    p.add_argument("--workloads", default=list(NAMES),
                   type=lambda s: [n for n in s.split(",") if n])
    p.add_argument("--no-free", dest="free", action="store_false",
                   help="leave out the guest that frees memory")
    p.add_argument("--nodes", type=int, default=4)
    p.add_argument("--scale", type=int, default=8, help="how much work")
    p.add_argument("--scene", type=int, default=16, help="MiB: a power of two")
    p.add_argument("--seed", type=int, default=1)
    p.set_defaults(guests=1, rounds=3, timeout=300)
    a = p.parse_args()
    a.guests = 1
    for name in a.workloads:
        if name not in NAMES:
            p.error(f"--workloads: no '{name}'; there are {','.join(NAMES)}")
    return a


def main():
    a = parse()
    state = load(a)
    for name in a.workloads:
        run_workload(a, state, name)
    if a.free:
        free_memory(a, state)
    out = summarise(a, state)
    print_rows(out)
    write_json(a.out, out)
    return 1 if any(r["differs"] for r in out["rows"]) else 0


if __name__ == "__main__":
    sys.exit(main())
