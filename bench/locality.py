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
"""
import argparse
import os
import random
import statistics
import subprocess
import sys
from typing import NamedTuple

from locality_guests import LAYOUTS, Guest
from locality_plot import write_plot
from rounds import (Monitor, RoundFailed, arguments, header, load, repeated,
                    write_json)

POLICIES = ("first-touch", "interleave", "migrate", "disco", "carrefour",
            "autonuma", "balanced")
LOCAL_NS, REMOTE_NS = 300, 900
GUEST_SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                             "guest")


class Workload(NamedTuple):
    """Scripts of a guest: once before all runs, and the work of a run."""
    prepare: str
    work: str


def compiled(name):
    """A script that makes /tmp/NAME of guest/NAME.c."""
    with open(os.path.join(GUEST_SOURCES, f"{name}.c"),
              encoding="utf-8") as f:
        return (f"cat >/tmp/{name}.c <<'EOF'\n{f.read()}EOF\n"
                f"tcc -o /tmp/{name} /tmp/{name}.c\n")


DATABASE = """
sqlite3 /dev/shm/db <<'SQL'
CREATE TABLE part(id INTEGER PRIMARY KEY, kind INT, price INT);
CREATE TABLE line(id INTEGER PRIMARY KEY, part INT, amount INT, day INT,
	note TEXT);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {parts})
INSERT INTO part SELECT i, i % 25, (i * 7919) % 10007 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {lines})
INSERT INTO line SELECT i, 1 + (i * 104729) % {parts}, (i * 31337) % 50,
	i % 365, 'a remark of some length, as orders have them ' || i FROM n;
COMMIT;
SQL
"""
QUERIES = """
for i in $(seq {queries}); do
sqlite3 /dev/shm/db <<'SQL'
PRAGMA mmap_size=67108864;
PRAGMA temp_store=MEMORY;
SELECT kind, sum(amount * price), count(*) FROM line JOIN part ON
	part.id = line.part WHERE day BETWEEN 30 AND 300 GROUP BY kind
	ORDER BY 2 DESC LIMIT 3;
SELECT day / 30, avg(amount), max(length(note)) FROM line GROUP BY 1;
SQL
done | md5sum
"""


def workloads(a):
    size = {"parts": 500 * a.scale, "lines": 5000 * a.scale,
            "queries": max(a.scale // 4, 1)}
    return {
        "engineering": Workload(compiled("netlist"),
                                f"/tmp/netlist 8 {250000 * a.scale}"),
        "database": Workload(DATABASE.format(**size), QUERIES.format(**size)),
        "pmake": Workload("", "rm -rf /tmp/pmake; make -s -C /usr/src/pmake "
                              "-j1 OUT=/tmp/pmake CC=tcc lua"),
        "stream": Workload(compiled("stream"), f"/tmp/stream 2 {2 * a.scale}"),
    }


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


def sums(guests):
    all_of = [g.figures() for g in guests]
    return {k: sum(f[k] for f in all_of)
            for k in ("moves", "failed", "bounced", "spent_ns", "records",
                      "lost", "replicas_refused")}


def one_run(a, guests, work, policy):
    for g in guests:
        g.policy("first-touch")
    for g in guests:
        g.bring_home(a.nodes)
        g.run_on(g.layout.place)
        g.policy(policy)
    before = sums(guests)
    counters(a, "reset")
    counters(a, "on")
    try:
        for g in guests:
            g.send(work)
        for g in guests:
            g.result()
    finally:
        counters(a, "off")
    counts = counted(counters(a, "show"))
    after = sums(guests)
    run = {**counts, **{k: after[k] - before[k] for k in before}}
    run["cost_us"] = (run["spent_ns"] / run["moves"] / 1000 if run["moves"]
                      else None)
    run["uma_ms"] = (counts["ms"]
                     - counts["remote"] * (REMOTE_NS - LOCAL_NS) / 1e6)
    run["local_percent"] = (100 * counts["local"]
                            / max(counts["local"] + counts["remote"], 1))
    print(f"  {policy:12} {run['local_percent']:5.1f} % local, "
          f"{run['ms']:8.1f} ms, {run['moves']} moves, {run['failed']} failed",
          file=sys.stderr, flush=True)
    return run


# --- all of them --------------------------------------------------------------

def wanted(a, state, name):
    """Runs of a workload that are not done: (round, policy), in their order."""
    order = random.Random(f"{a.seed} {name}")
    runs = []
    for r in range(a.rounds):
        runs += [(r, p) for p in order.sample(a.policies, len(a.policies))]
    return [x for x in runs if f"{name}/{x[1]}/{x[0]}" not in state["done"]]


def run_workload(a, state, name):
    todo = wanted(a, state, name)
    if not todo:
        return
    work = workloads(a)[name]
    with Monitor(a.disco, "--balance=off") as m:
        guests = [Guest(m, a, x) for x in LAYOUTS[a.layout](a)]
        try:
            for g in guests:
                g.ready()
            for g in guests:
                g.send(work.prepare or "true")
            for g in guests:
                g.result()
            for r, policy in todo:
                print(f"{name}, round {r + 1}", file=sys.stderr, flush=True)
                repeated(state, f"{name}/{policy}/{r}",
                         lambda p=policy: one_run(a, guests, work.work, p))
        finally:
            for g in guests:
                g.close()


def median_of(runs, key):
    values = [r[key] for r in runs if r[key] is not None]
    return statistics.median(values) if values else None


def rows_of(a, state, name):
    """A row per policy; ratios are to the medians of first-touch."""
    runs = {p: [state["done"][f"{name}/{p}/{r}"] for r in range(a.rounds)]
            for p in a.policies}
    base = median_of(runs["first-touch"], "ms")
    bound = median_of(runs["first-touch"], "uma_ms")
    rows = [{"workload": name, "policy": "uma", "local_percent": 100,
             "ms": bound, "of_first_touch": bound / base, "of_uma": 1}]
    for p in a.policies:
        row = {k: median_of(runs[p], k)
               for k in ("local_percent", "ms", "moves", "failed", "bounced",
                         "lost", "cost_us")}
        rows.append({"workload": name, "policy": p, **row,
                     "of_first_touch": row["ms"] / base,
                     "of_uma": row["ms"] / bound, "all": runs[p]})
    return rows


def summarise(a, state):
    rows = [r for name in a.workloads for r in rows_of(a, state, name)]
    return header(a, "locality", seed=a.seed, guests=a.guests,
                  layout=a.layout, scale=a.scale, memory_mib=a.memory,
                  repeated=state["repeated"], rows=rows)


def print_rows(out):
    print(f"bench-locality: commit {out['commit']}, {out['host']}, kernel "
          f"{out['kernel']}, lab {out['lab']}, seed {out['seed']}, "
          f"{out['guests']} guests, median of {out['rounds']} rounds")
    print(f"{'workload':12}{'policy':13}{'local %':>8}{'ms':>10}"
          f"{'of first-t.':>12}{'of UMA':>8}{'moves':>8}{'us each':>9}")
    for r in out["rows"]:
        cost = r.get("cost_us")
        print(f"{r['workload']:12}{r['policy']:13}{r['local_percent']:8.1f}"
              f"{r['ms']:10.1f}{r['of_first_touch']:12.3f}{r['of_uma']:8.3f}"
              f"{r.get('moves') or 0:8.0f}"
              f"{f'{cost:.1f}' if cost is not None else '-':>9}")


def parse():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments(p)
    names = "engineering,database,pmake,stream"
    p.add_argument("--counters", default="build/release/lab/counters")
    p.add_argument("--workloads", default=names, type=lambda s: s.split(","))
    p.add_argument("--policies", default=",".join(POLICIES),
                   type=lambda s: s.split(","))
    p.add_argument("--layout", default="one-node", choices=LAYOUTS)
    p.add_argument("--nodes", type=int, default=4)
    p.add_argument("--scale", type=int, default=8, help="how much work")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--plot", help="write PLOT.dat, .gp and .svg")
    p.set_defaults(guests=4, rounds=3, memory=128, timeout=300)
    a = p.parse_args()
    a.guests = a.guests[0] if isinstance(a.guests, list) else a.guests
    if "first-touch" not in a.policies:
        p.error("--policies: first-touch is what others are compared with")
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
    return 0


if __name__ == "__main__":
    sys.exit(main())
