#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""bench-boot: time to user space and CPU cost of starting guests.

Disco against QEMU with KVM (q35 and microvm) on the same host, in the same
run, with the same kernel, initramfs, disk and command line. Rounds are
interleaved so that a host that becomes slower hits all alike. A round starts
N guests at once and ends when the last has powered off.

Rows: disco with its defaults (pages of 4 KiB, kernel shared by the guests of a
node), disco-thp with huge=thp (as QEMU's memory is where the host's
transparent_hugepage is "always"), and the two peers.

The lab's emulator crashes a guest, or the lab, once in a while, whoever runs
the guests. A round in which a guest died is repeated and counted; what is done
is kept in --state, so that a run can go on in a new lab.

Figures of a round: ms from starting the first process to the marker line of
the last guest, on its console, as seen by this program; CPU seconds of all
processes together until they were gone.
"""
import argparse
import json
import os
import platform
import resource
import selectors
import statistics
import subprocess
import sys
import tempfile
import time

MARK = b"DISCO-GUEST userspace"
CMDLINE = "console=ttyS0 quiet disco.stop=early"
QEMU = "qemu-system-x86_64"


def disco_commands(a, n, mib, extra="", report=None):
    cmd = [a.disco, "run", "-n", str(n), "--memory", f"{mib}M{extra}", "--kernel",
           a.kernel, "--initrd", a.initrd, "--cmdline", CMDLINE, "--disk",
           f"path={a.disk},ro"]
    if report:
        cmd += ["--report", report]
    return [cmd]


def qemu_commands(a, n, mib, machine, device):
    cmd = [QEMU, "-M", machine, "-accel", "kvm", "-cpu", "host", "-m",
           f"{mib}M", "-nodefaults", "-display", "none", "-no-reboot",
           "-serial", "stdio", "-kernel", a.kernel, "-initrd", a.initrd,
           "-append", CMDLINE, "-drive",
           f"if=none,id=d0,file={a.disk},format=raw,readonly=on",
           "-device", f"{device},drive=d0"]
    return [cmd] * n


def peers(a):
    return {
        "disco": lambda n, mib: disco_commands(a, n, mib),
        "disco-thp": lambda n, mib: disco_commands(a, n, mib, ",huge=thp"),
        "qemu-q35": lambda n, mib: qemu_commands(
            a, n, mib, "q35", "virtio-blk-pci"),
        "qemu-microvm": lambda n, mib: qemu_commands(
            a, n, mib, "microvm", "virtio-blk-device"),
    }


def children_cpu():
    u = resource.getrusage(resource.RUSAGE_CHILDREN)
    return u.ru_utime + u.ru_stime


class RoundFailed(Exception):
    """A guest did not reach user space, or ended badly."""


def fail(text, output):
    sys.stderr.write(output.decode(errors="replace")[-2000:])
    raise RoundFailed(text)


def one_round(commands, guests, timeout):
    """Start the commands; return (ms to the last marker, CPU seconds)."""
    sel = selectors.DefaultSelector()
    cpu, start = children_cpu(), time.monotonic()
    procs = [subprocess.Popen(c, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) for c in commands]
    buffers = {p: b"" for p in procs}
    for p in procs:
        sel.register(p.stdout, selectors.EVENT_READ, p)
    last, seen = 0.0, 0
    while sel.get_map():
        if time.monotonic() - start > timeout:
            for p in procs:
                p.kill()
            fail(f"no end after {timeout} s: {commands[0]}",
                 b"".join(buffers.values()))
        for key, _ in sel.select(1):
            p = key.data
            data = os.read(key.fd, 65536)
            if not data:
                sel.unregister(key.fileobj)
                continue
            before = buffers[p].count(MARK)
            buffers[p] += data
            now_seen = buffers[p].count(MARK) - before
            if now_seen:
                seen += now_seen
                last = time.monotonic()
    status = [p.wait() for p in procs]
    if seen < guests or any(status):
        fail(f"{seen} of {guests} guests reached user space, exit "
             f"status {status}: {' '.join(commands[0])}",
             b"".join(buffers.values()))
    return (last - start) * 1000, children_cpu() - cpu


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


def repeated(state, what, measure_once):
    """The result of measure_once(), from the state when it is there."""
    if what in state["done"]:
        return state["done"][what]
    for _ in range(4):
        try:
            state["done"][what] = measure_once()
            save(state)
            return state["done"][what]
        except RoundFailed as e:
            print(f"  {what}: {e}; once more", file=sys.stderr, flush=True)
            state["repeated"].append(what)
            save(state)
    sys.exit(f"bench-boot: {what} failed four times")


def load(a):
    state = {"commit": a.commit, "done": {}, "repeated": []}
    if a.state and os.path.exists(a.state):
        with open(a.state, encoding="utf-8") as f:
            state = json.load(f)
    state["path"] = a.state
    return state


def save(state):
    if not state["path"]:
        return
    with open(state["path"] + ".new", "w", encoding="utf-8") as f:
        json.dump(state, f)
    os.replace(state["path"] + ".new", state["path"])


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
    out = {"bench": "boot", "version": 1, "commit": a.commit,
           "host": platform.node(), "kernel": platform.release(),
           "cpus": os.cpu_count(), "lab": os.environ.get("DISCO_LAB") == "1",
           "seed": None, "rounds": a.rounds, "memory_mib": a.memory,
           "cmdline": CMDLINE, "rows": [], "repeated": state["repeated"],
           "worker": {"private_mib_128": round(private, 2),
                      "cpu_ms_before_first_run": round(first, 2),
                      "ratio_to_better_qemu":
                          round(first / min(qemu_start.values()), 3),
                      "on_the_machine_itself": native_figure(a.native)},
           "qemu_cpu_ms_until_ready":
               {n: round(v, 1) for n, v in qemu_start.items()}}
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
    print(f"bench-boot: commit {out['commit']}, kernel {out['kernel']}, "
          f"{out['cpus']} CPUs, lab {out['lab']}, median of "
          f"{out['rounds']} rounds, {out['memory_mib']} MiB guests")
    print(f"{'guests':>6} {'vmm':13}{'ms':>9}{'CPU s':>9}{'ratio':>8}")
    for r in out["rows"]:
        print(f"{r['guests']:>6} {r['vmm']:13}{r['ms']:>9.0f}"
              f"{r['cpu_s']:>9.2f}{r['ratio_to_better_qemu']:>8.2f}")
    print(f"repeated because a guest died: {len(out['repeated'])} rounds")
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
    p.add_argument("--disco", default="build/release/disco")
    p.add_argument("--kernel", default="build/kernels/guest/vmlinuz")
    p.add_argument("--initrd", default="build/images/initramfs.cpio")
    p.add_argument("--disk", default="build/images/root.ext4")
    p.add_argument("--guests", default="1,4,8",
                   type=lambda s: [int(x) for x in s.split(",")])
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--memory", type=int, default=256, help="MiB a guest")
    p.add_argument("--timeout", type=int, default=180, help="s a round")
    p.add_argument("--commit", default="unknown")
    p.add_argument("--native", help="JSON of bench/worker_start.py")
    p.add_argument("--state", help="keep finished rounds here, and go on")
    p.add_argument("--out", help="write JSON here")
    a = p.parse_args()
    state = load(a)
    rows = measure(a, state)
    out = summarise(
        a, state, rows,
        repeated(state, "worker", lambda: worker_cost(a, a.rounds)),
        repeated(state, "QEMU start", lambda: qemu_start_cost(a, a.rounds)))
    print_table(out)
    if a.out:
        with open(a.out, "w", encoding="utf-8") as f:
            json.dump(out, f, indent=1)
            f.write("\n")


if __name__ == "__main__":
    main()
