#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""bench-locality: how local guests' misses are, by policy, on a lab's counters.

Stock guests whose threads run on another node than their memory is on, as after
a decision of the balancer. Each run begins so: all memory of a guest is at its
home, its threads on the CPUs of another node, and the policy knows nothing yet.
Then all guests do the same fixed work at once. Runs of all policies take turns,
in an order drawn by --seed.

Of each run, from the lab's counters (lab/flash.c) of all CPUs, with whatever
the monitor, its agents and the lab's kernel do: the share of local misses, and
the time by the model (300 ns for a local, 900 ns for a remote miss), which is
the CPUs' time added up. The UMA bound is the time of the same workload under
first-touch if all of its misses were local: what no policy can do better than.
Moves and their cost are those that the engines have counted.

Guests that share memory (raytrace, radix; locality_work.py) run on the nodes
where their own memory is, and what they share is on the first guest's.

raytrace-wide and engineering-wide (locality_wide.py) are of one guest with CPUs on
all nodes. In place of policies it is run in several ways (--ways): "no-views" by
first-touch; "views", with copies of pages for these, by balanced; and, if it is
asked for, "no-views-balanced". The UMA bound is that of no-views.

Each run of a workload has to print the same. Exit status 1: one did not.
"""
import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile

import locality_wide
from locality_guests import LAYOUTS, Guest
from locality_plot import write_plot
from locality_work import SHARES, workloads
from rounds import (FAILURES, Monitor, RoundFailed, arguments, header, load,
                    repeated, write_json)

POLICIES = ("first-touch", "interleave", "migrate", "disco", "carrefour",
            "autonuma", "balanced")
WIDE = ("raytrace-wide", "engineering-wide")
NAMES = ("engineering,database,pmake,stream,raytrace,raytrace-disk,radix,"
         + ",".join(WIDE))
LOCAL_NS, REMOTE_NS = 300, 900


# --- one run ------------------------------------------------------------------

def counters(a, *args):
    p = subprocess.run([a.counters, *args], capture_output=True, text=True,
                       timeout=100, check=False)
    if p.returncode:
        raise RoundFailed(f"counters {' '.join(args)}: {p.stderr}")
    return p.stdout


def counted(text):
    """Of `counters show`: the line of all CPUs."""
    for line in text.splitlines():
        word = line.split()
        if word and word[0] == "all":
            return {"instructions": int(word[2]), "local": int(word[4]),
                    "remote": int(word[5]), "ms": float(word[10])}
    raise RoundFailed(f"no counts in: {text}")


def sums(monitor, guests):
    """Of the guests' engines, and of the segment that they share, if any."""
    engines = [g.figures() for g in guests]
    segments = [x["replicas"] or {} for x in
                json.loads(monitor.call("shm", "ls", "--json"))["shms"]]
    figures = {k: sum(f[k] for f in engines)
               for k in ("moves", "failed", "bounced", "spent_ns", "records",
                         "lost", "replicas_refused", "replicas", "collapsed")}
    for key in ("replicated", "collapsed", "late"):
        figures[key] = (figures.get(key, 0)
                        + sum(s.get(key, 0) for s in segments))
    figures["replicated"] += figures["replicas"]
    return figures


def scripted(guests, script):
    """The script for each guest, which all run at once; what they print last."""
    for i, g in enumerate(guests):
        g.send(f"part={i}\nparts={len(guests)}\n{script}")
    return [g.result()[-1:] for g in guests]


def prepare(guests, work):
    for script in work.prepare:
        scripted(guests, script)


def measured(a, monitor, guests, work):
    before = sums(monitor, guests)
    counters(a, "reset")
    counters(a, "on")
    try:
        said = scripted(guests, work.work)
    finally:
        counters(a, "off")
    counts = counted(counters(a, "show"))
    after = sums(monitor, guests)
    run = {**counts, **{k: after[k] - before[k] for k in before}, "said": said}
    acts = run["moves"] + run["replicas"]
    run["cost_us"] = run["spent_ns"] / acts / 1000 if acts else None
    run["uma_ms"] = (counts["ms"]
                     - counts["remote"] * (REMOTE_NS - LOCAL_NS) / 1e6)
    run["local_percent"] = (100 * counts["local"]
                            / max(counts["local"] + counts["remote"], 1))
    return run


def one_run(a, monitor, guests, work, policy):
    for g in guests:
        g.policy("first-touch")
    for g in guests:
        g.bring_home(a.nodes)
        g.run_on(g.layout.place)
        g.policy(policy)
    return measured(a, monitor, guests, work)


def run_of_new(a, work, policy, directory):
    """A run by guests that are started for it, and share memory."""
    share = SHARES[work.share]
    with Guests(a, LAYOUTS["at-home"](a), policy,
                share.options(a, directory)) as g:
        prepare(g.guests, work)
        first = f"parts={len(g.guests)}\n{share.make}{work.fill}"
        g.guests[0].do(first + "sync\n")
        scripted(g.guests[1:], share.join)
        for x in g.guests:
            x.run_on(x.layout.place)
        return measured(a, g.monitor, g.guests, work)


def run_wide(a, work, way):
    """A run by one wide guest, started for it; it stays on all of its nodes."""
    with Guests(a, [locality_wide.layout(a, way)],
                locality_wide.WAYS[way].policy) as g:
        prepare(g.guests, work)
        return measured(a, g.monitor, g.guests, work)


# --- all of them --------------------------------------------------------------

def ways(a, name):
    """Policies, or what takes their place: the rows of a workload."""
    return a.ways if name in WIDE else a.policies


def base(name):
    """What the other rows are compared with."""
    return "no-views" if name in WIDE else "first-touch"


def wanted(a, state, name):
    """Runs of a workload that are not done: (round, policy), in their order."""
    order = random.Random(f"{a.seed} {name}")
    runs, all_of = [], ways(a, name)
    for r in range(a.rounds):
        runs += [(r, p) for p in order.sample(all_of, len(all_of))]
    return [x for x in runs if f"{name}/{x[1]}/{x[0]}" not in state["done"]]


class Guests:
    """A monitor and its guests, ready, for as long as the block runs."""

    def __init__(self, a, layouts, policy="first-touch", options=()):
        self.a, self.layouts, self.guests = a, layouts, []
        self.policy, self.options = policy, options
        self.monitor = Monitor(a.disco, "--balance=off")

    def __enter__(self):
        self.monitor.__enter__()
        try:
            for x in self.layouts:
                self.guests.append(Guest(self.monitor, self.a, x, self.policy,
                                         self.options))
            for g in self.guests:
                g.ready()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, *what):
        for g in self.guests:
            g.close()
        self.monitor.__exit__(*what)


class Standing:
    """Guests that stay for all runs of a workload; new ones if one has died."""

    def __init__(self, a, work):
        self.a, self.work, self.guests = a, work, None

    def run(self, policy):
        try:
            if not self.guests:
                layouts = LAYOUTS[self.a.layout](self.a)
                self.guests = Guests(self.a, layouts).__enter__()
                prepare(self.guests.guests, self.work)
            return one_run(self.a, self.guests.monitor, self.guests.guests,
                           self.work, policy)
        except FAILURES:
            self.end()
            raise

    def end(self):
        guests, self.guests = self.guests, None
        if guests:
            guests.__exit__(None, None, None)

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.end()


def kept(state, name, todo, run):
    """Do the runs, and keep what they measure."""
    for r, policy in todo:
        print(f"{name}, round {r + 1}", file=sys.stderr, flush=True)
        x = repeated(state, f"{name}/{policy}/{r}", lambda p=policy: run(p))
        print(f"  {policy:12} {x['local_percent']:5.1f} % local, "
              f"{x['ms']:8.1f} ms, {x['moves']} moves, {x['failed']} failed, "
              f"{x['replicated']} replicas", file=sys.stderr, flush=True)


def run_workload(a, state, name):
    todo = wanted(a, state, name)
    if not todo:
        return
    if name in WIDE:
        work = locality_wide.workloads(a)[name]
        kept(state, name, todo, lambda way: run_wide(a, work, way))
        return
    work = workloads(a)[name]
    if work.share:
        with tempfile.TemporaryDirectory() as directory:
            kept(state, name, todo,
                 lambda p: run_of_new(a, work, p, directory))
        return
    with Standing(a, work) as s:
        kept(state, name, todo, s.run)


def median_of(runs, key):
    values = [r[key] for r in runs if r.get(key) is not None]
    return statistics.median(values) if values else None


def differing(a, state):
    """Workloads of which not all runs have printed the same."""
    said = {name: {json.dumps(state["done"][f"{name}/{p}/{r}"].get("said"))
                   for p in ways(a, name) for r in range(a.rounds)}
            for name in a.workloads}
    return [name for name, texts in said.items() if len(texts) > 1]


def rows_of(a, state, name):
    """A row per policy or way; ratios are to the medians of the base."""
    runs = {p: [state["done"][f"{name}/{p}/{r}"] for r in range(a.rounds)]
            for p in ways(a, name)}
    whole = median_of(runs[base(name)], "ms")
    bound = median_of(runs[base(name)], "uma_ms")
    rows = [{"workload": name, "policy": "uma", "local_percent": 100,
             "ms": bound, "of_first_touch": bound / whole, "of_uma": 1}]
    for p in ways(a, name):
        row = {k: median_of(runs[p], k)
               for k in ("local_percent", "ms", "moves", "failed", "bounced",
                         "lost", "cost_us", "replicated", "collapsed")}
        rows.append({"workload": name, "policy": p, **row,
                     "of_first_touch": row["ms"] / whole,
                     "of_uma": row["ms"] / bound, "all": runs[p]})
    return rows


def summarise(a, state):
    rows = [r for name in a.workloads for r in rows_of(a, state, name)]
    return header(a, "locality", seed=a.seed, guests=a.guests,
                  layout=a.layout, scale=a.scale, memory_mib=a.memory,
                  wide={"vcpus": a.vcpus, "memory_mib": a.wide_memory,
                        "copies_mib": a.copies},
                  repeated=state["repeated"], differing=differing(a, state),
                  rows=rows)


def print_rows(out):
    print(f"bench-locality: commit {out['commit']}, {out['host']}, kernel "
          f"{out['kernel']}, lab {out['lab']}, seed {out['seed']}, "
          f"{out['guests']} guests, median of {out['rounds']} rounds")
    print(f"{'workload':17}{'policy':18}{'local %':>8}{'ms':>10}"
          f"{'of first-t.':>12}{'of UMA':>8}{'moves':>8}{'us each':>9}"
          f"{'replicas':>9}")
    for r in out["rows"]:
        cost = r.get("cost_us")
        print(f"{r['workload']:17}{r['policy']:18}{r['local_percent']:8.1f}"
              f"{r['ms']:10.1f}{r['of_first_touch']:12.3f}{r['of_uma']:8.3f}"
              f"{r.get('moves') or 0:8.0f}"
              f"{f'{cost:.1f}' if cost is not None else '-':>9}"
              f"{r.get('replicated') or 0:9.0f}")
    for name in out["differing"]:
        print(f"{name}: not all runs have printed the same")


def parse():
    p = argparse.ArgumentParser(
        description=__doc__.split("\n", maxsplit=1)[0],
        epilog=f"Workloads: {NAMES.replace(',', ', ')}. Policies: "
               f"{', '.join(POLICIES)}.")
    arguments(p)
    p.add_argument("--counters", default="build/release/lab/counters")
    p.add_argument("--programs", default="build/release/bench",
                   help="where raytrace is, to make a disk with a scene")
    p.add_argument("--workloads", default=NAMES, type=lambda s: s.split(","))
    p.add_argument("--policies", default=",".join(POLICIES),
                   type=lambda s: s.split(","))
    p.add_argument("--layout", default="one-node", choices=LAYOUTS,
                   help="of guests that share nothing")
    p.add_argument("--ways", default=locality_wide.DEFAULT,
                   type=lambda s: s.split(","),
                   help="of wide guests: " + ", ".join(locality_wide.WAYS))
    p.add_argument("--vcpus", type=int, default=8, help="of a wide guest")
    p.add_argument("--wide-memory", type=int, default=256,
                   help="MiB of a wide guest")
    p.add_argument("--copies", type=int, default=64,
                   help="MiB of copies for each of its views")
    p.add_argument("--nodes", type=int, default=4)
    p.add_argument("--scale", type=int, default=8, help="how much work")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--plot", help="write PLOT.dat, .gp and .svg")
    p.set_defaults(guests=4, rounds=3, memory=128, timeout=300)
    a = p.parse_args()
    a.guests = a.guests[0] if isinstance(a.guests, list) else a.guests
    for name in a.workloads:
        if name not in NAMES.split(","):
            p.error(f"--workloads: no '{name}'; there are {NAMES}")
    if "first-touch" not in a.policies:
        p.error("--policies: first-touch is what others are compared with")
    for way in a.ways:
        if way not in locality_wide.WAYS:
            p.error(f"--ways: no '{way}'; there are "
                    f"{', '.join(locality_wide.WAYS)}")
    if base(WIDE[0]) not in a.ways:
        p.error("--ways: no-views is what others are compared with")
    return a


def main():
    a = parse()
    state = load(a)
    for name in a.workloads:
        run_workload(a, state, name)
    out = summarise(a, state)
    print_rows(out)
    write_json(a.out, out)
    if a.plot:
        write_plot(a.plot, out)
    return 1 if out["differing"] else 0


if __name__ == "__main__":
    sys.exit(main())
