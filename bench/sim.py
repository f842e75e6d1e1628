#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""bench-sim: how fast `disco sim` plays a trace, and how small a trace is.

Each kind of synthetic run, with the policy `disco`, by one thread: accesses per
second of CPU time, reading and unpacking the file included. Other work of the
machine makes it slower, so the best of all rounds counts. Also: bytes per access
of the file, against records of 32 bytes as they are in memory, and these packed
by zstd at the same level; and the regret of `balanced` against the offline
optimum.

On the machine itself: no guest, no KVM.
"""
import argparse
import json
import math
import os
import subprocess
import tempfile

from rounds import header, write_json
from targets import target

KINDS = ("engineering", "raytrace", "splash", "database", "pmake")


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


def summarise(a, rows):
    """The result, with geometric means over all kinds."""
    def mean(values):
        return math.prod(values) ** (1 / len(values))
    return header(a, "sim", rows=rows, mean={
        "millions_per_s": mean([r["millions_per_s"] for r in rows]),
        "regret_percent":
            (mean([1 + r["regret_percent"] / 100 for r in rows]) - 1) * 100})


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
            path = f"{work}/{kind}.trc"
            subprocess.run([a.disco, "trace", "make",
                            f"{kind},ms={a.ms}", "-o", path], check=True)
            runs = [sim(a, [path], "disco")[0] for _ in range(a.rounds)]
            best = min(runs, key=lambda r: r["cpu_ns"])
            balanced = sim(a, [path], "balanced")[0]
            raw, packed = raw_bytes(a, path, work)
            accesses = best["accesses"]
            rows.append({"kind": kind, "accesses": accesses,
                         "millions_per_s":
                         accesses / best["cpu_ns"] * 1000,
                         "bytes_per_access": os.path.getsize(path) / accesses,
                         "raw_bytes_per_access": raw / accesses,
                         "raw_zstd_bytes_per_access": packed / accesses,
                         "regret_percent": balanced["regret"] * 100})
            print(f"{kind}: {rows[-1]['millions_per_s']:.1f} M accesses/s, "
                  f"{rows[-1]['bytes_per_access']:.2f} bytes each (records "
                  f"packed as they are: "
                  f"{rows[-1]['raw_zstd_bytes_per_access']:.2f}); balanced "
                  f"{rows[-1]['regret_percent']:.1f} % over the optimum")
    out = summarise(a, rows)
    write_json(a.out, out)
    mean = out["mean"]
    print(f"bench-sim: {mean['millions_per_s']:.1f} M accesses per second and "
          f"core with 'disco', target {target('sim-speed')}; balanced "
          f"{mean['regret_percent']:.1f} % over the optimum, target "
          f"{target('sim-regret')}")


if __name__ == "__main__":
    main()
