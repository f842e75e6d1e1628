#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""bench-sim: how fast `disco sim` plays a trace, and how small a trace is.

Each kind of synthetic run, with the policy `disco`, by one thread: accesses per
second of CPU time, reading and unpacking the file included. Other work of the
machine makes it slower, so the best of all rounds counts. Also: bytes per access
of the file, against records of 32 bytes as they are in memory, and these packed
by zstd at the same level; and the regret of `balanced` against the offline
optimum.

Of these runs, of two more, and of recorded ones (tests/fixtures/traces, if there
are any): the modelled time of each policy, to that of first touch. It has to be in
the order of Verghese and others (ASPLOS'96): see ORDER.

On the machine itself: no guest, no KVM.
"""
import argparse
import glob
import json
import math
import os
import subprocess
import tempfile

from rounds import header, write_json
from targets import target

KINDS = ("engineering", "raytrace", "splash", "database", "pmake")
MORE = ("radix", "phases")  # not of that paper
RECORDED = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                        "../tests/fixtures/traces/*.trc")
POLICIES = ("first-touch", "interleave", "migrate", "replicate", "disco",
            "balanced")
# What the paper found, of times to that of first touch: of these kinds.
ORDER = (
    ("round robin is no better than first touch", KINDS,
     lambda t: t["interleave"] >= 0.99),
    ("neither migration nor replication is worse", KINDS,
     lambda t: max(t["migrate"], t["replicate"]) <= 1.01),
    ("both are as good as the better one", KINDS,
     lambda t: t["disco"] <= 1.02 * min(t["migrate"], t["replicate"])),
    ("migration helps where processes move, or one has initialised all",
     ("engineering", "splash"), lambda t: t["migrate"] < 0.95),
    ("replication helps where all read", ("engineering", "raytrace"),
     lambda t: t["replicate"] < 0.96),
    ("a pool that all write gains little by any", ("database",),
     lambda t: min(t["migrate"], t["replicate"], t["disco"]) > 0.9),
)


def sim(a, traces, *policies):
    words = [w for p in policies for w in ("--policy", p)]
    out = subprocess.run([a.disco, "sim", "--json", "--jobs", "1", *words,
                          *traces], check=True, stdout=subprocess.PIPE)
    return json.loads(out.stdout)


def raw_bytes(a, path, work):
    """All records as they are in memory, and these packed by zstd."""
    raw = f"{work}/raw"
    with subprocess.Popen([a.disco, "trace", "export", path],
                          stdout=subprocess.PIPE, text=True) as p, \
            open(raw, "wb") as f:
        next(p.stdout)
        for line in p.stdout:
            w = line.split(",")
            f.write(int(w[0]).to_bytes(8, "little") +
                    int(w[5]).to_bytes(8, "little") +
                    int(w[1]).to_bytes(4, "little") +
                    int(w[7]).to_bytes(4, "little") +
                    int(w[2]).to_bytes(2, "little") +
                    bytes((int(w[3]), 255, w[6] == "w", 0, 0, 0)))
    subprocess.run(["zstd", "-q", "-9", "-f", raw], check=True)
    return os.path.getsize(raw), os.path.getsize(f"{raw}.zst")


def placed(a, name, path):
    """What policies make of a trace: times to that of first touch, and regret."""
    runs = {r["policy"]: r for r in sim(a, [path], *POLICIES)}
    first = runs["first-touch"]["time_ns"]
    return {"kind": name,
            "of_first_touch": {p: r["time_ns"] / first
                               for p, r in runs.items()},
            "regret_percent": runs["balanced"]["regret"] * 100}


def broken(rows):
    """What the paper found and these rows do not show."""
    times = {r["kind"]: r["of_first_touch"] for r in rows}
    return [f"{kind}: not so: {what}" for what, kinds, holds in ORDER
            for kind in kinds if not holds(times[kind])]


def mean(values):
    return math.prod(values) ** (1 / len(values))


def mean_regret(rows):
    return (mean([1 + r["regret_percent"] / 100 for r in rows]) - 1) * 100


def summarise(a, rows, more, recorded):
    """The result, with geometric means; rows: those of KINDS, in this order."""
    return header(
        a, "sim", rows=rows, more=more, recorded=recorded, broken=broken(rows),
        worst=max(r["of_first_touch"]["balanced"]
                  for r in rows + more + recorded),
        mean={"millions_per_s": mean([r["millions_per_s"] for r in rows]),
              "regret_percent": mean_regret(rows),
              "recorded_percent": mean_regret(recorded) if recorded else None})


def measure(a, kind, work):
    """Of one kind of runs: how fast, how large, and what policies make of it."""
    path = made(a, kind, work)
    runs = [sim(a, [path], "disco")[0] for _ in range(a.rounds)]
    best = min(runs, key=lambda r: r["cpu_ns"])
    raw, packed = raw_bytes(a, path, work)
    accesses = best["accesses"]
    return {**placed(a, kind, path), "accesses": accesses,
            "millions_per_s": accesses / best["cpu_ns"] * 1000,
            "bytes_per_access": os.path.getsize(path) / accesses,
            "raw_bytes_per_access": raw / accesses,
            "raw_zstd_bytes_per_access": packed / accesses}


def made(a, kind, work):
    path = f"{work}/{kind}.trc"
    subprocess.run([a.disco, "trace", "make", f"{kind},ms={a.ms}", "-o", path],
                   check=True)
    return path


def print_placed(row):
    print(f"{row['kind']}, time to first-touch's: "
          + ", ".join(f"{p} {t:.3f}" for p, t in row["of_first_touch"].items()
                      if p != "first-touch")
          + f"; balanced {row['regret_percent']:.1f} % over the optimum")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--disco", required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--ms", type=int, default=4000)
    parser.add_argument("--commit", default="unknown")
    parser.add_argument("--out", required=True)
    a = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as work:
        for kind in KINDS:
            rows.append(measure(a, kind, work))
            print(f"{kind}: {rows[-1]['millions_per_s']:.1f} M accesses/s, "
                  f"{rows[-1]['bytes_per_access']:.2f} bytes each (records "
                  f"packed as they are: "
                  f"{rows[-1]['raw_zstd_bytes_per_access']:.2f})")
            print_placed(rows[-1])
        more = [placed(a, kind, made(a, kind, work)) for kind in MORE]
    recorded = [placed(a, os.path.basename(path), path)
                for path in sorted(glob.glob(RECORDED))]
    for row in more + recorded:
        print_placed(row)
    out = summarise(a, rows, more, recorded)
    for line in out["broken"]:
        print(line)
    write_json(a.out, out)
    print(f"bench-sim: {out['mean']['millions_per_s']:.1f} M accesses per second and "
          f"core with 'disco', target {target('sim-speed')}; balanced "
          f"{out['mean']['regret_percent']:.1f} % over the optimum, target "
          f"{target('sim-regret')}")


if __name__ == "__main__":
    main()
