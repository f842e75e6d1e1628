#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Results of the benches that need the lab or qemu-img, of made-up figures.

	tests/cli/bench-results.py DIRECTORY

Each is summarised by its bench, so that it has the shape of a measured one;
all of them meet their targets. Writes DIRECTORY/NAME.json.
"""
import os
import sys
from types import SimpleNamespace

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../bench"))

# pylint: disable=wrong-import-position # from there
import boot
import cow
import exec as bench_exec
import figures
import sim
import footprint
import ipis
import locality
import move
import net
import nfs
import rounds
import scale

STATE = {"repeated": []}


def arguments(**more):
    return SimpleNamespace(commit="test", memory=256, rounds=2, **more)


def boot_result():
    a = arguments(guests=[1, 4, 8], native=None)
    took = {"disco": 4000, "disco-thp": 3000, "qemu-q35": 5600,
            "qemu-microvm": 7000}
    rows = {(n, vmm): [(n * ms, 1.5), (n * ms + 1, 1.5)]
            for n in a.guests for vmm, ms in took.items()}
    out = boot.summarise(a, STATE, rows, (1.03, 46.0),
                         {"qemu-q35": 600.0, "qemu-microvm": 575.0})
    out["worker"]["on_the_machine_itself"] = {"cpu_ms_before_first_run": 1.64}
    return out


def move_result():
    a = arguments(stall_ms=1000)
    moved = {"pages": 80000, "longest_batch_ns": 371000000,
             "ram_pages": 80000, "ram_pages_local": 80000,
             "text_pages": 90, "text_pages_local": 90}
    one = {"move": moved, "bare": [], "move_ns_a_page": 30400.0,
           "pull_ns_a_page": 27000.0, "bare_ns_a_page": 25000.0,
           "ratio": 1.22}
    return move.summarise(a, [one, {**one, "move": dict(moved)}])


def locality_result():
    a = arguments(guests=4, seed=1, layout="one-node", scale=4,
                  workloads=locality.NAMES.split(","),
                  policies=["first-touch", "balanced"],
                  ways=["no-views", "views"], vcpus=8, wide_memory=256,
                  copies=64)
    far = {"local_percent": 2.0, "ms": 1000.0, "uma_ms": 480.0, "moves": 0,
           "failed": 0, "bounced": 0, "lost": 0, "cost_us": None}
    near = {**far, "local_percent": 90.0, "ms": 550.0, "moves": 9000,
            "cost_us": 25.0}
    done = {f"{w}/{p}/{r}": near if p in ("balanced", "views") else far
            for w in a.workloads for p in locality.ways(a, w)
            for r in range(a.rounds)}
    return locality.summarise(a, {**STATE, "done": done})


def scale_result():
    a = arguments(guests=[1, 8], times=40,
                  vmms=["disco", "disco-thp", "qemu-q35"])
    share = {"own_percent": 1.43, "control_percent": 0.5,
             "agents_percent": 0.5, "io_percent": 0.43, "cpu_s": 100.0}
    rows = {(n, vmm): [(n * ms, dict(share) if vmm != "qemu-q35" else None)]
            for n in a.guests
            for vmm, ms in (("disco", 950), ("disco-thp", 730),
                            ("qemu-q35", 1000))}
    return scale.summarise(a, STATE, rows)


def cow_result():
    a = arguments(seed=1, size=512, reads=1, writes=1, rows=cow.ROWS)
    cow.run = lambda cmd: "qemu-img of no version\n"
    times = {(title, name): [s, s + 0.01, s + 0.02]
             for title, _, _ in cow.ROWS
             for name, s in (("disco", 1), ("qemu-threads", 4),
                             ("qemu-io_uring", 3.5))}
    return cow.summarise(a, times, 4097)


def footprint_result():
    a = arguments(cc="tcc")
    used = {"unshared": 810, "blk": 510, "pmem": 616, "blk-merge": 284,
            "pmem-merge": 274, "qcow2": 1300, "qcow2-ksm": 1155}
    rows = {(n, mode): [{"total": n * mib / 8, "image": 25.0}]
            for n in (1, 8) for mode, mib in used.items()}
    return footprint.summarise(a, STATE, rows)


def exec_result():
    return bench_exec.summarise(arguments(), STATE, {
        "disco": [90.0, 100.0, 95.0], "qemu": [50.0, 48.0, 60.0]})


def figures_result():
    a = arguments(gib=[1, 16, 256])
    rows = [{"gib": gib, "stall_ms": 12.0 + n, "end_ms": 10.0 * (n + 1),
             "asked_ms": 0.5, "exact_ms": 6.0}
            for n, gib in enumerate(a.gib) for _ in range(a.rounds)]
    return figures.summarise(a, rows)


def ipis_result():
    return rounds.header(arguments(), "ipis", rows=ipis.rows_of(
        "ok started (12 ms)\n"
        "# halting: 900.0 us within a view, 1999.9 us between two: 2.22 times\n"
        "# spinning: 650.5 us within a view, 1500.0 us between two: 2.31 times\n"))


def net_result():
    a = arguments(megabytes=32, trips=500)
    mb_s = {"disco": 60, "vhost": 40, "tap": 15, "stream": 10}
    return net.summarise(a, STATE, {"loopback": [90.0], "rounds": {
        p: [{"flow": v, "flows": v, "packets": 1000.0 * v, "p50_us": 9000 / v - 50,
             "p99_us": 20000 / v - 200, "cpu_per_gb": 2000 / v}]
        for p, v in mb_s.items()}})


def nfs_result():
    a = arguments(megabytes=64, random_megabytes=4, seed=1, memory_rounds=1,
                  clients=4, modes=["plain", "hints", "refs"])
    reads = {p: [{"sequential": 10.0 * v, "random": 0.1 * v,
                  "cpu_per_gb": 90.0 / v}] * a.rounds
             for p, v in (("disco", 1.6), ("vhost", 1))}
    mib = {(1, "plain"): 66.0, (4, "plain"): 263.5, (4, "hints"): 81.0,
           (4, "refs"): 79.0}
    return nfs.summarise(a, STATE, reads, {run: [
        {"mib": mib[run], "merged_mib": 0.0, "guests_see_mib": 500.0,
         "at_rest": True}] for run in nfs.memory_runs(a)})


def sim_result():
    times = {"first-touch": 1.0, "interleave": 1.1, "migrate": 0.94,
             "replicate": 0.95, "disco": 0.93, "balanced": 0.92}
    rows = [{"kind": kind, "millions_per_s": 21.0 + n, "regret_percent": 2.0,
             "of_first_touch": dict(times)} for n, kind in enumerate(sim.KINDS)]
    more = [{"kind": kind, "regret_percent": 6.0, "of_first_touch": times}
            for kind in sim.MORE]
    recorded = [{**more[0], "kind": "x.trc", "regret_percent": 2.5}]
    return sim.summarise(arguments(), rows, more, recorded)


def main():
    os.environ["DISCO_LAB"] = "1"
    for make in (boot_result, move_result, locality_result, scale_result,
                 cow_result, footprint_result, figures_result, exec_result,
                 ipis_result, sim_result, net_result, nfs_result):
        out = make()
        rounds.write_json(f"{sys.argv[1]}/{out['bench']}.json", out)


if __name__ == "__main__":
    main()
