#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""bench-scale: the same work in 1, 2, 4 and 8 guests at once.

Each guest boots, checks the sha256 sums of the file tree on its root disk
--times times, and powers off. Disco against QEMU with KVM (q35), interleaved,
same kernel, initramfs, disk, command line and number of CPUs.

Figures of a round: ms from starting the first process to the last guest's
result; trees checked a minute by all guests together; for Disco what the
monitor, its agents and the workers' I/O threads took of the CPU time of all of
them. Disco's guests are the monitor's (disco run -d), so their disks come
through the buffer cache; it and its agents run before the round begins. What
vCPU threads do between exits is not in it: the kernel scales utime of proc(5)
to the exact run time but not guest_time, so that their difference says nothing
where ticks are lost, as in the lab.
"""
import argparse
import base64
import os
import shlex
import statistics
import sys

from rounds import (Monitor, arguments, header, load, one_round,
                    print_heading, print_repeated, qemu_commands, repeated,
                    write_json)

SCRIPT = """
for i in $(seq {times}); do
	/usr/lib/disco/checksum | grep -q 'checksum ok' || exit 1
done
echo SCALE-DONE
"""
MARK = b"SCALE-DONE"
TICKS = os.sysconf("SC_CLK_TCK")
OWN = ("control", "agents", "io")
WHAT = {"disco-agent": "agents", "disco-vm": "io"} # else: control


def peers(a):
    """QEMU's commands of a round; None: Disco, with these memory options."""
    all_of_them = {
        "disco": (None, ""),
        "disco-small": (None, ",huge=off"),
        "disco-thp": (None, ",huge=thp"),
        "qemu-q35": (lambda n: qemu_commands(a, n, a.memory, "q35",
                                             "virtio-blk-pci"), ""),
    }
    return {name: all_of_them[name] for name in a.vmms}


def disco_commands(a, n, extra):
    """One a guest: its console; the first one starts them all."""
    name = ["-n", str(n), "--name", "s"] if n > 1 else ["--name", "s-0"]
    run = [a.disco, "run", "-d", *name, "--kernel", a.kernel, "--initrd",
           a.initrd, "--memory", f"{a.memory}M{extra}", "--cmdline",
           a.cmdline, "--disk", f"path={a.disk},ro"]
    names = [f"s-{i}" for i in range(n)]
    console = f"{shlex.quote(a.disco)} console --no-input"
    return [["sh", "-c", f"{shlex.join(run)} >/dev/null && exec {console} "
             f"{names[0]}"]] + [
            ["sh", "-c", f"until {console} {name} 2>/dev/null; do sleep 0.1; "
             "done"] for name in names[1:]]


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            return [int(x) for x in f.read().split()]
    except OSError:
        return []


def note_threads(seen, pid):
    """Last known (what it is, time) of each thread, in ticks."""
    try:
        with open(f"/proc/{pid}/comm", encoding="ascii") as f:
            what = WHAT.get(f.read().strip(), "control")
        tids = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return
    for tid in tids:
        try:
            with open(f"/proc/{pid}/task/{tid}/stat", encoding="ascii") as f:
                # After the name: state is field 3 of proc(5).
                field = f.read().rpartition(")")[2].split()
        except OSError:
            continue
        vcpu = what == "io" and int(tid) != pid
        seen[tid] = ("vcpu" if vcpu else what,
                     int(field[14 - 3]) + int(field[15 - 3]))


def shares(seen):
    """Parts of all CPU time of Disco's processes, in percent."""
    total = max(sum(ticks for _, ticks in seen.values()), 1)
    parts = {f"{what}_percent": 100 / total * sum(
        ticks for kind, ticks in seen.values() if kind == what)
             for what in OWN}
    return {"own_percent": sum(parts.values()), "cpu_s": total / TICKS,
            **parts}


def disco_round(a, extra, guests):
    seen, before = {}, {}

    with Monitor(a.disco) as monitor:
        def look(at):
            note_threads(at, monitor.process.pid)
            for child in children(monitor.process.pid):
                note_threads(at, child)

        look(before)
        ms, _ = one_round(disco_commands(a, guests, extra), guests, a.timeout,
                          MARK, lambda procs: look(seen))
    for tid, (what, ticks) in before.items():
        if tid in seen:
            seen[tid] = (what, seen[tid][1] - ticks)
    return ms, shares(seen)


def measure(a, state):
    rows = {}
    for guests in a.guests:
        for r in range(a.rounds):
            for name, (make, extra) in peers(a).items():
                what = f"{guests} guests, round {r + 1}, {name}"
                if not make:
                    ms, share = repeated(
                        state, what, lambda: disco_round(a, extra, guests))
                    note = " ".join(
                        f"{what} {share[what + '_percent']:.2f} %"
                        for what in OWN)
                else:
                    ms, share = repeated(state, what, lambda: (one_round(
                        make(guests), guests, a.timeout, MARK)[0], None))
                    note = ""
                rows.setdefault((guests, name), []).append((ms, share))
                print(f"  {what + ':':36}{ms:9.0f} ms  {note}",
                      file=sys.stderr, flush=True)
    return rows


def summarise(a, state, rows):
    out = header(a, "scale", seed=None, memory_mib=a.memory, times=a.times,
                 rows=[], repeated=state["repeated"])
    for guests in a.guests:
        peer = rows.get((guests, "qemu-q35"))
        peer = peer and statistics.median(ms for ms, _ in peer)
        for name in peers(a):
            done = rows[guests, name]
            ms = statistics.median(x for x, _ in done)
            row = {"guests": guests, "vmm": name, "ms": round(ms, 1),
                   "trees_a_minute": round(guests * a.times * 60000 / ms, 1),
                   "ratio_to_q35": round(ms / peer, 3) if peer else None,
                   "all_ms": [round(x, 1) for x, _ in done]}
            if done[0][1]:
                for key in done[0][1]:
                    row[key] = round(statistics.median(
                        s[key] for _, s in done), 2)
            out["rows"].append(row)
    return out


def print_table(out):
    print_heading(out)
    print(f"{'guests':>6} {'vmm':10}{'ms':>9}{'trees/min':>11}{'to q35':>8}"
          f"{'own CPU':>10}: control  agents  I/O threads")
    for r in out["rows"]:
        ratio = r["ratio_to_q35"]
        own = ("{own_percent:8.2f} %: {control_percent:5.2f} %"
               "{agents_percent:6.2f} %{io_percent:6.2f} %".format(**r)
               if "own_percent" in r else "")
        print(f"{r['guests']:>6} {r['vmm']:10}{r['ms']:>9.0f}"
              f"{r['trees_a_minute']:>11.1f}"
              f"{'-' if ratio is None else f'{ratio:.2f}':>8}{own}")
    print_repeated(out)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    arguments(p)
    p.add_argument("--times", type=int, default=40, help="trees a guest checks")
    p.add_argument("--vmms", default=["disco", "disco-thp", "qemu-q35"],
                   type=lambda s: s.split(","))
    p.set_defaults(guests=[1, 2, 4, 8], rounds=1, timeout=700)
    a = p.parse_args()
    script = base64.b64encode(SCRIPT.format(times=a.times).encode()).decode()
    a.cmdline = f"console=ttyS0 quiet disco.sh={script}"
    state = load(a)
    out = summarise(a, state, measure(a, state))
    print_table(out)
    write_json(a.out, out)


if __name__ == "__main__":
    main()
