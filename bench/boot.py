#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""bench-boot: time to user space and CPU cost of starting guests.

Disco against QEMU with KVM (q35 and microvm) on the same host, in the same
run, with the same kernel, initramfs, disk and command line. Rounds are
interleaved so that a host that becomes slower hits all alike.

Rows: disco with its defaults (huge=auto, kernel shared by the guests of a
node), disco-thp with huge=thp (as QEMU's memory is where the host's
transparent_hugepage is "always"), and the two peers.

Figures of a round: ms from starting the first process to the marker line of
the last guest, on its console, as seen by this program; CPU seconds of all
processes together until they were gone.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from rounds import (arguments, disco_commands, fail, header, load, one_round,
                    print_heading, print_repeated, qemu_commands, repeated,
                    write_json)

CMDLINE = "console=ttyS0 quiet disco.stop=early"


def peers(a):
    return {
        "disco": lambda n, mib: disco_commands(a, n, mib),
        "disco-thp": lambda n, mib: disco_commands(a, n, mib, ",huge=thp"),
        "qemu-q35": lambda n, mib: qemu_commands(
            a, n, mib, "q35", "virtio-blk-pci"),
        "qemu-microvm": lambda n, mib: qemu_commands(
            a, n, mib, "microvm", "virtio-blk-device"),
    }


def cpu_ns_of(pid):
    """CPU time of all threads, by the scheduler's own count."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total


def qemu_start_cost(a, rounds):
    """CPU ms of QEMU until it is ready to run its vCPUs (started with -S)."""
    median = {}
    for name, make in peers(a).items():
        if name.startswith("disco"):
            continue
        ms = []
        for _ in range(rounds):
            cmd = make(1, 128)[0] + ["-S"]
            with subprocess.Popen(cmd, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL) as p:
                before, now = -1, 0
                while before != now:  # until it has come to rest
                    time.sleep(2)
                    if p.poll() is not None:
                        fail(f"QEMU ended early: {' '.join(cmd)}", b"")
                    before, now = now, cpu_ns_of(p.pid)
                p.kill()
            ms.append(now / 1e6)
        median[name] = statistics.median(ms)
    return median


def worker_cost(a, rounds):
    """Private memory with a 128 MiB guest, CPU before the first KVM_RUN."""
    private, first = [], []
    with tempfile.TemporaryDirectory() as tmp:
        for _ in range(rounds):
            path = os.path.join(tmp, "report.json")
            one_round(disco_commands(a, 1, 128, "", path), 1, a.timeout)
            with open(path, encoding="utf-8") as f:
                vm = json.load(f)["vms"][0]
            private.append(vm["private_bytes"] / 2**20)
            first.append(vm["cpu_ns_before_first_run"] / 1e6)
    return statistics.median(private), statistics.median(first)


def measure(a, state):
    rows = {}
    makers = peers(a)
    for guests in a.guests:
        for r in range(a.rounds):
            for name, make in makers.items():
                what = f"{guests} guests, round {r + 1}, {name}"
                ms, cpu = repeated(state, what, lambda: one_round(
                    make(guests, a.memory), guests, a.timeout))
                rows.setdefault((guests, name), []).append((ms, cpu))
                print(f"  {what + ':':36}{ms:9.0f} ms {cpu:7.2f} CPU s",
                      file=sys.stderr, flush=True)
    return rows


def native_figure(path):
    if not path:
        return {"skipped": "not asked for"}
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def summarise(a, state, rows, worker, qemu_start):
    private, first = worker
    out = header(a, "boot", seed=None, memory_mib=a.memory, cmdline=CMDLINE,
                 rows=[], repeated=state["repeated"])
    out["worker"] = {"private_mib_128": round(private, 2),
                     "cpu_ms_before_first_run": round(first, 2),
                     "ratio_to_better_qemu":
                         round(first / min(qemu_start.values()), 3),
                     "on_the_machine_itself": native_figure(a.native)}
    out["qemu_cpu_ms_until_ready"] = {n: round(v, 1)
                                      for n, v in qemu_start.items()}
    for guests in a.guests:
        med = {n: tuple(statistics.median(v) for v in zip(*rows[guests, n]))
               for n in peers(a)}
        best = min(med["qemu-q35"][0], med["qemu-microvm"][0])
        for name, (ms, cpu) in med.items():
            out["rows"].append({
                "guests": guests, "vmm": name, "ms": round(ms, 1),
                "cpu_s": round(cpu, 3),
                "ratio_to_better_qemu": round(ms / best, 3),
                "all_ms": [round(x[0], 1) for x in rows[guests, name]]})
    return out


def print_table(out):
    print_heading(out)
    print(f"{'guests':>6} {'vmm':13}{'ms':>9}{'CPU s':>9}{'ratio':>8}")
    for r in out["rows"]:
        print(f"{r['guests']:>6} {r['vmm']:13}{r['ms']:>9.0f}"
              f"{r['cpu_s']:>9.2f}{r['ratio_to_better_qemu']:>8.2f}")
    print_repeated(out)
    w = out["worker"]
    print(f"worker: {w['private_mib_128']} MiB private with a 128 MiB guest, "
          f"{w['cpu_ms_before_first_run']} CPU-ms from exec to the first "
          f"KVM_RUN ({w['ratio_to_better_qemu']} of the better QEMU's)")
    native = w["on_the_machine_itself"]
    print("        on the machine itself: " + (
        f"{native['cpu_ms_before_first_run']} CPU-ms (median of "
        f"{native['rounds']}, tiny guest, kernel {native['kernel']})"
        if "cpu_ms_before_first_run" in native else native["skipped"]))


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments(p)
    p.add_argument("--native", help="JSON of bench/worker_start.py")
    a = p.parse_args()
    a.cmdline = CMDLINE
    state = load(a)
    rows = measure(a, state)
    out = summarise(
        a, state, rows,
        repeated(state, "worker", lambda: worker_cost(a, a.rounds)),
        repeated(state, "QEMU start", lambda: qemu_start_cost(a, a.rounds)))
    print_table(out)
    write_json(a.out, out)


if __name__ == "__main__":
    main()
