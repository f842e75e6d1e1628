#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""bench-footprint: machine memory that 1, 2, 4 and 8 guests use.

Each guest runs the pmake workload from one image, says so, and stays. Then,
when nothing changes any more, by the kernel's own accounts (/proc/meminfo,
against what they were before the guests): memfd and anonymous pages, page
tables (the host's and KVM's); and what is in the page cache of the image. What
the guests were started from, and consoles, are files in a tmpfs: not counted.

	unshared   disco, cache=off, a copy of kernel and initramfs for each guest
	blk        disco, disks through the buffer cache
	pmem       disco, the image as a virtio-pmem device (DAX)
	blk-merge, pmem-merge  the same, with equal pages merged (memory=...,merge)
	           until no more are found
	blk-huge   blk with huge=auto, the default; all others have huge=off
	blk-nodes, pmem-nodes  without, with guests on all nodes: what copies on
	           each node cost; disco's others are on one
	qcow2      QEMU q35 with KVM, a qcow2 overlay each over the image
	qcow2-ksm  the same with mem-merge, KSM at full speed until it rests, no
	           huge pages; and what that would be if KSM had merged all
	           pages of theirs that are equal: Linux 6.1's does not get there

"image" is what the buffer caches of all nodes hold of the image; for QEMU
what the page cache has of it, beside what each guest has read.
"""
import argparse
import base64
import hashlib
import json
import os
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

from rounds import (ACCOUNTS, QEMU, Monitor, RoundFailed, arguments, header,
                    load, meminfo, print_heading, repeated, write_json)

SCRIPT = """
/usr/lib/disco/pmake | tail -1
sync
echo FOOT-READY
sleep 100000
"""
READY = b"FOOT-READY"
KSM = "/sys/kernel/mm/ksm/"


def in_page_cache(path):
    out = subprocess.run(["fincore", "--bytes", "--noheadings", "--output",
                          "RES", path], capture_output=True, text=True,
                         check=True)
    return int(out.stdout) / (1 << 20)


def forget(path):
    fd = os.open(path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def in_tmpfs(path):
    """What the files below it take, if it is memory that they take: in the
    lab all that is written is."""
    kind = subprocess.run(["stat", "-f", "-c", "%T", path], check=True,
                          capture_output=True, text=True).stdout.strip()
    if kind != "tmpfs" and os.environ.get("DISCO_LAB") != "1":
        return 0
    out = subprocess.run(["du", "-s", "--block-size=1", path], check=True,
                         capture_output=True, text=True)
    return int(out.stdout.split()[0]) / (1 << 20)


def ksm(name, value=None):
    with open(KSM + name, "r" if value is None else "w",
              encoding="ascii") as f:
        if value is None:
            return int(f.read())
        f.write(str(value))
    return value


def huge_pages(value):
    """Set; returns what it was."""
    path = "/sys/kernel/mm/transparent_hugepage/enabled"
    with open(path, "r+", encoding="ascii") as f:
        was = re.search(r"\[(\w+)\]", f.read())[1]
        f.write(value)
    return was


def mergeable(pid):
    """Where a process has memory that KSM looks at: (address, pages)."""
    at = None
    with open(f"/proc/{pid}/smaps", encoding="ascii") as f:
        for line in f:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
            if m:
                at = int(m[1], 16), (int(m[2], 16) - int(m[1], 16)) // 4096
            elif line.startswith("VmFlags:") and " mg" in line:
                yield at


def equal_pages(pids):
    """MiB of their mergeable memory that is not needed: equal pages."""
    frames, contents = set(), set()
    for pid in pids:
        with open(f"/proc/{pid}/pagemap", "rb", 0) as pagemap, \
                open(f"/proc/{pid}/mem", "rb", 0) as mem:
            for at, pages in mergeable(pid):
                pagemap.seek(at // 4096 * 8)
                entries = struct.unpack(f"<{pages}Q", pagemap.read(pages * 8))
                for i, e in enumerate(entries):
                    if not e >> 63:
                        continue
                    frames.add(e & ((1 << 55) - 1))
                    mem.seek(at + i * 4096)
                    contents.add(hashlib.md5(mem.read(4096)).digest())
    return (len(frames) - len(contents)) / 256


def wait_ready(logs, timeout):
    """Until each of these files has the marker."""
    end = time.monotonic() + timeout
    while True:
        missing = []
        for path in logs:
            with open(path, "rb") as f:
                if READY not in f.read():
                    missing.append(path)
        if not missing:
            return
        if time.monotonic() > end:
            with open(missing[0], "rb") as f:
                sys.stderr.write(f.read()[-1500:].decode(errors="replace"))
            raise RoundFailed(f"{len(missing)} guests not ready after "
                              f"{timeout} s: {missing}")
        time.sleep(0.5)


class Disco:
    def __init__(self, a, mode, work):
        self.a, self.mode, self.work = a, mode, work
        self.consoles = []
        self.merge = mode.endswith("-merge")
        self.monitor = Monitor(a.disco, "--merge=2")

    def start_one(self, i):
        a, kernel, initrd = self.a, self.a.kernel, self.a.initrd
        where = "" if self.mode.endswith("-nodes") else ",node=0"
        if self.merge:
            where += ",merge"
        if self.mode != "blk-huge":
            where += ",huge=off"
        disk = f"path={a.disk},ro"
        if self.mode == "unshared":
            disk += ",cache=off"
            kernel = shutil.copy(kernel, f"{self.work}/kernel-{i}")
            initrd = shutil.copy(initrd, f"{self.work}/initrd-{i}")
        if self.mode.startswith("pmem"):
            disk += ",pmem"
        self.monitor.call("run", "-d", "--name", f"f{i}", "--kernel", kernel,
                          "--initrd", initrd, "--memory", f"{a.memory}M{where}",
                          "--disk", disk, "--cmdline", a.cmdline)
        log = f"{self.work}/console-{i}"
        with open(log, "wb") as out:
            self.consoles.append(subprocess.Popen(
                [a.disco, "console", "--no-input", f"f{i}"], stdout=out,
                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL))
        return log

    def start(self, guests):
        # What a copied kernel is unpacked to is counted as the copy is: not.
        os.environ["DISCO_CACHE_DIR"] = f"{self.work}/cache"
        # pylint: disable=unnecessary-dunder-call # stop() is its end
        self.monitor.__enter__()
        return [self.start_one(i) for i in range(guests)]

    def settle(self):
        """Merging: until nothing is gained for 45 s, some five looks."""
        time.sleep(self.a.settle)
        pages, settled = self.monitor.merging_rests(
            45, self.a.ksm_seconds) if self.merge else (0, True)
        self.end_consoles()
        return {"merged": pages / 256, "settled": settled} \
            if self.merge else {}

    def end_consoles(self):
        """Who only looks on is no guest's memory."""
        for p in self.consoles:
            p.terminate()
            p.wait(60)

    def explain(self):
        subprocess.run(["tests/lab/standstill"], stdout=sys.stderr,
                       check=False)

    def figures(self):
        s = json.loads(self.monitor.call("stats", "--exact", "--json"))
        cached = [x["cache"]["present_blocks"] / 256 for x in s["agents"]
                  if x["cache"]]
        return {"image": sum(cached),
                "guests_see": sum(v["ram_pages"] for v in s["vms"]) / 256,
                "shown": sum(v["cache"]["shown_pages"]
                             for v in s["vms"]) / 256}

    def stop(self):
        self.monitor.__exit__(None)
        self.end_consoles()
        time.sleep(1)


class Qemu:
    def __init__(self, a, mode, work):
        self.a, self.mode, self.work = a, mode, work
        self.procs, self.huge = [], None

    def start_one(self, i):
        a, log = self.a, f"{self.work}/console-{i}"
        overlay = f"{self.work}/{i}.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b",
                        os.path.abspath(a.disk), "-F", "raw", overlay],
                       check=True)
        merge = "on" if self.mode == "qcow2-ksm" else "off"
        cmd = [QEMU, "-M", f"q35,mem-merge={merge}", "-accel", "kvm", "-cpu",
               "host", "-m", f"{a.memory}M", "-nodefaults", "-display",
               "none", "-no-reboot", "-serial", "stdio", "-kernel", a.kernel,
               "-initrd", a.initrd, "-append", a.cmdline, "-drive",
               f"if=none,id=d0,file={overlay},format=qcow2", "-device",
               "virtio-blk-pci,drive=d0"]
        with open(log, "wb") as out:
            self.procs.append(subprocess.Popen(
                cmd, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT))
        return log

    def start(self, guests):
        if self.mode == "qcow2-ksm":
            ksm("pages_to_scan", 20000)
            ksm("sleep_millisecs", 20)
            ksm("run", 1)
            self.huge = huge_pages("never")
        return [self.start_one(i) for i in range(guests)]

    def settle(self):
        """KSM: at least two full scans, and no more than 1 % gained in one."""
        time.sleep(self.a.settle)
        if self.mode != "qcow2-ksm":
            return {}
        begun, end = ksm("full_scans"), time.monotonic() + self.a.ksm_seconds
        last = -1
        while time.monotonic() < end:
            scan, now = ksm("full_scans"), ksm("pages_sharing")
            if scan >= begun + 2 and now <= last * 1.01:
                return {"settled": True, "ksm_sharing": now / 256}
            last = now
            while ksm("full_scans") == scan and time.monotonic() < end:
                time.sleep(0.5)
        return {"settled": False,
                "ksm_sharing": ksm("pages_sharing") / 256}

    def explain(self):
        pass

    def figures(self):
        return {"equal": equal_pages(p.pid for p in self.procs)} \
            if self.mode == "qcow2-ksm" else {}

    def stop(self):
        for p in self.procs:
            p.kill()
            p.wait()
        if self.huge:
            huge_pages(self.huge)
        if self.mode == "qcow2-ksm":
            ksm("run", 2)
            ksm("run", 0)
        time.sleep(1)


MODES = {"unshared": Disco, "blk": Disco, "pmem": Disco,
         "blk-huge": Disco, "blk-merge": Disco, "pmem-merge": Disco,
         "blk-nodes": Disco,
         "pmem-nodes": Disco, "qcow2": Qemu, "qcow2-ksm": Qemu}


def one(a, mode, guests):
    with tempfile.TemporaryDirectory() as work:
        run = MODES[mode](a, mode, work)
        forget(a.disk)
        before = meminfo()
        try:
            logs = run.start(guests)
            try:
                wait_ready(logs, a.timeout)
            except RoundFailed:
                run.explain()
                raise
            more = run.settle()
            after = meminfo()
            row = {k: after[k] - before[k] for k in ACCOUNTS}
            row["Shmem"] -= in_tmpfs(work)
            row["files"] = in_page_cache(a.disk)
            row["total"] = sum(row.values())
            row.update(run.figures())
            row.update(more)
        finally:
            run.stop()
        if "image" not in row:
            row["image"] = in_page_cache(a.disk)
        return {k: round(v, 1) if isinstance(v, float) else v
                for k, v in row.items()}


def measure(a, state):
    rows = {}
    for guests in a.guests:
        for mode in a.modes:
            for r in range(a.rounds):
                what = f"{guests} guests, {mode}, round {r + 1}"
                row = repeated(state, what, lambda: one(a, mode, guests))
                rows.setdefault((guests, mode), []).append(row)
                print(f"  {what + ':':36}{row['total']:9.1f} MiB",
                      file=sys.stderr, flush=True)
    return rows


def median(rows):
    keys = set.intersection(*(set(r) for r in rows))
    return {k: statistics.median(r[k] for r in rows) for k in sorted(keys)}


def summarise(a, state, rows):
    out = header(a, "footprint", seed=None, memory_mib=a.memory, cc=a.cc,
                 repeated=state["repeated"], rows=[])
    for (guests, mode), done in rows.items():
        m = median(done)
        row = {"guests": guests, "mode": mode, **m}
        if "settled" in m:
            row["settled"] = all(r["settled"] for r in done)
        alone = rows.get((1, mode))
        if alone and m["image"]:
            row["image_to_one_guest"] = round(
                m["image"] / median(alone)["image"], 3)
        peer = rows.get((guests, "unshared"))
        if peer:
            row["of_unshared"] = round(m["total"] / median(peer)["total"], 3)
        out["rows"].append(row)
    return out


def print_table(out):
    print_heading(out, f", pmake by {out['cc']}; MiB")
    print(f"{'guests':>6} {'mode':11}{'total':>8}{'memfd':>8}{'anon':>8}"
          f"{'tables':>8}{'files':>8}{'image':>8}{'to 1':>7}"
          f"{'of unshared':>13}")
    for r in out["rows"]:
        to_one = r.get("image_to_one_guest")
        part = r.get("of_unshared")
        print(f"{r['guests']:>6} {r['mode']:11}{r['total']:>8.1f}"
              f"{r['Shmem']:>8.1f}{r['AnonPages']:>8.1f}"
              f"{r['PageTables'] + r['SecPageTables']:>8.1f}"
              f"{r['files']:>8.1f}{r['image']:>8.1f}"
              f"{f'{to_one:.2f}x' if to_one else '-':>7}"
              f"{f'{100 * part:.0f} %' if part else '-':>13}"
              + ("" if r.get("settled", True) else "  not at rest yet")
              + (f"  KSM shares {r['ksm_sharing']:.0f} MiB; with all equal "
                 f"pages merged {r['total'] - r['equal']:.1f} MiB"
                 if "equal" in r else ""))


PLOT = """
set terminal svg size 900,420
set output '{out}.svg'
set multiplot layout 1,2
set key left top
set xlabel 'guests'
set ylabel 'MiB of machine memory'
set title 'Disco here: pmake from one image'
plot {series}
set ylabel 'MB of machine memory'
set title 'Disco 1997 (figure 6 of the paper, end points)'
plot '-' using 1:2 with linespoints title 'sum of what VMs see', \\
     '-' using 1:2 with linespoints title 'machine memory used'
1 23
8 77
e
1 23
8 38
e
"""


def plot(out, path):
    """gnuplot, beside Disco's own curve (SOSP'97: 23..77 and 23..38 MB)."""
    base = os.path.splitext(path)[0]
    modes = list(dict.fromkeys(r["mode"] for r in out["rows"]))
    for mode in modes:
        with open(f"{base}-{mode}.dat", "w", encoding="ascii") as f:
            for r in out["rows"]:
                if r["mode"] == mode:
                    f.write(f"{r['guests']} {r['total']}\n")
    series = ", ".join(f"'{base}-{m}.dat' with linespoints title '{m}'"
                       for m in modes)
    if subprocess.run(["gnuplot"], input=PLOT.format(out=base, series=series),
                      text=True, check=False).returncode == 0:
        print(f"plot: {base}.svg")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    arguments(p)
    p.add_argument("--modes", default=list(MODES),
                   type=lambda s: s.split(","))
    p.add_argument("--cc", default="tcc", choices=["gcc", "tcc"],
                   help="compiler of the pmake workload; gcc takes minutes "
                        "longer (--timeout), and uses more of the image")
    p.add_argument("--settle", type=float, default=10, help="s")
    p.add_argument("--ksm-seconds", type=float, default=240, help="at most")
    p.set_defaults(guests=[1, 2, 4, 8], rounds=1, timeout=300)
    a = p.parse_args()
    script = base64.b64encode(SCRIPT.encode()).decode()
    a.cmdline = f"console=ttyS0 quiet disco.cc={a.cc} disco.sh={script}"
    state = load(a)
    out = summarise(a, state, measure(a, state))
    print_table(out)
    write_json(a.out, out)
    if a.out:
        plot(out, a.out)


if __name__ == "__main__":
    main()
