#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""bench-cow: Disco's copy-on-write disk against qcow2, back-end to back-end.

The same requests through struct disk (bench/cow_io.c) and `qemu-img bench` on
a qcow2 overlay, over the same base, in the same run; rounds are interleaved
so that a host that becomes slower hits both. No guest, no virtio.

"Random" is the sequence of `qemu-img bench -S`: each request is one step, odd
in blocks and near the golden section of the disk, after the one before. qemu
runs with its threads and with io_uring; the better of both counts. Half of
the disk (every other 64 KiB; its first half, where a row says "one piece") is
in the overlay before reads are measured. Each block is read several times, so
that what is measured is hits, and not a process's first touch of a page.

Hits are from the buffer cache, all of the base in it: copied, into buffers of
the bench and into what is a guest's memory to the cache (where runs of
CACHE_RUN_MIN pages and more would be shown instead, which these are not); in
the row "without cache" from the kernel's. Cold reads are of the files, as qemu's.
--all adds those of an overlay in one piece, which both sides leave to the
kernel's read-ahead, and of guests of the monitor, for whom disco-agent reads
the base into its cache.
"""
import argparse
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile

from rounds import header, write_json

KIB = 1024
MIB = 1024 * KIB


def run(cmd):
    p = subprocess.run(cmd, capture_output=True, text=True, check=False)
    if p.returncode:
        sys.exit(f"bench-cow: {' '.join(cmd)}: exit status {p.returncode}: "
                 f"{(p.stderr or p.stdout)[-500:]}")
    return p.stdout


class Disco:
    def __init__(self, a, directory):
        self.a, self.base = a, f"{directory}/base"
        self.file = f"{directory}/disco.cow"

    def create(self):
        if os.path.exists(self.file):
            os.unlink(self.file)
        run([self.a.disco, "image", "create", self.base, self.file])

    def bench(self, op, count, size, step, offset, depth, flush=0,
              cache=None):
        return float(run([self.a.io, self.base, self.file, op, str(count),
                          str(size), str(step), str(offset), str(depth),
                          str(flush)] + ([cache] if cache else [])))


class Qemu:
    def __init__(self, aio, directory):
        self.aio, self.base = aio, f"{directory}/base"
        self.file = f"{directory}/{aio}.qcow2"

    def create(self):
        run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", self.base,
             "-F", "raw", self.file])

    def bench(self, op, count, size, step, offset, depth, flush=0,
              cache=None):
        del cache  # it has none
        cmd = ["qemu-img", "bench", "-f", "qcow2", "-t", "writeback",
               "-i", self.aio, "-c", str(count), "-s", str(size), "-S",
               str(step), "-o", str(offset), "-d", str(depth)]
        if op == "write":
            cmd.append("-w")
        if flush:
            cmd.append(f"--flush-interval={flush}")
        out = run(cmd + [self.file])
        return float(re.search(r"completed in ([0-9.]+) sec", out).group(1))


def forget(*paths):
    """Out of the page cache, once it is on disk."""
    for path in paths:
        fd = os.open(path, os.O_RDONLY)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def warm(path):
    with open(path, "rb", buffering=0) as f:
        while f.read(4 * MIB):
            pass


def half_filled(backend, size, step):
    backend.create()
    backend.bench("write", size // (128 * KIB), 64 * KIB, step, 0, 8)


def row_hit(a, backend, step, start, cache="copy"):
    warm(backend.base)
    warm(backend.file)
    return backend.bench("read", a.reads, 4096, step, start, 32, cache=cache)


def row_hit_guest(a, backend, step, start):
    return row_hit(a, backend, step, start, "show")


def row_hit_no_cache(a, backend, step, start):
    return row_hit(a, backend, step, start, None)


def row_cold(a, backend, _step, _start, cache=None):
    forget(backend.base, backend.file)
    n = a.size * MIB // (64 * KIB)
    return backend.bench("read", n, 64 * KIB, 64 * KIB, 0, 8, cache=cache)


def row_cold_agent(a, backend, step, start):
    return row_cold(a, backend, step, start, a.agent)


def row_write(a, backend, step, start):
    backend.create()
    forget(backend.file)
    warm(backend.base)
    return backend.bench("write", a.writes, 4096, step, start, 32, 32)


# Title, what is timed, and how far apart the overlay's 64 KiB are (0: the row
# makes its own).
ROWS = [("4 KiB random reads, hits", row_hit, 128 * KIB),
        ("the same, without cache", row_hit_no_cache, 128 * KIB),
        ("the same, to a guest's memory", row_hit_guest, 128 * KIB),
        ("64 KiB sequential reads, cold", row_cold, 128 * KIB),
        ("4 KiB random writes, flush every 32", row_write, 0)]
MORE = [("one piece, cold", row_cold, 64 * KIB),
        ("cold, by an agent", row_cold_agent, 128 * KIB),
        ("one piece, cold, by an agent", row_cold_agent, 64 * KIB)]


def measure(a, directory, step, start):
    backends = {"disco": Disco(a, directory),
                "qemu-threads": Qemu("threads", directory),
                "qemu-io_uring": Qemu("io_uring", directory)}
    times = {}
    for title, row, apart in a.rows:
        for b in backends.values():
            if apart:
                half_filled(b, a.size * MIB, apart)
        for r in range(a.rounds):
            for name, b in backends.items():
                s = row(a, b, step, start)
                times.setdefault((title, name), []).append(s)
                print(f"  {title}, round {r + 1}: {name:14}{s:9.3f} s",
                      file=sys.stderr, flush=True)
    return times


def summarise(a, times, step):
    out = header(a, "cow", seed=a.seed, disk_mib=a.size, reads=a.reads,
                 writes=a.writes, step=step, rows=[],
                 qemu=run(["qemu-img", "--version"]).split("\n")[0])
    for title, _, _ in a.rows:
        med = {n: statistics.median(v) for (t, n), v in times.items()
               if t == title}
        best = min(s for n, s in med.items() if n != "disco")
        out["rows"].append({
            "row": title, "seconds": {n: round(s, 4) for n, s in med.items()},
            "times_as_fast_as_better_qemu": round(best / med["disco"], 2),
            "all_seconds": {n: v for (t, n), v in times.items()
                            if t == title}})
    return out


def print_table(out):
    print(f"bench-cow: commit {out['commit']}, host {out['host']}, kernel "
          f"{out['kernel']}, {out['cpus']} CPUs, seed {out['seed']}, median "
          f"of {out['rounds']} rounds, {out['disk_mib']} MiB disk, "
          f"{out['qemu']}")
    print(f"{'':36}{'disco':>9}{'threads':>9}{'io_uring':>9}{'ratio':>8}")
    for r in out["rows"]:
        s = r["seconds"]
        print(f"{r['row']:36}{s['disco']:>8.3f}s{s['qemu-threads']:>8.3f}s"
              f"{s['qemu-io_uring']:>8.3f}s"
              f"{r['times_as_fast_as_better_qemu']:>7.2f}x")


def make_base(path, mib, seed):
    rand = random.Random(seed)
    with open(path, "wb") as f:
        for _ in range(mib):
            f.write(rand.randbytes(MIB))


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--disco", default="build/release/disco")
    p.add_argument("--io", default="build/release/bench/cow_io")
    p.add_argument("--agent", default="build/release/disco-agent")
    p.add_argument("--size", type=int, default=512, help="MiB of the disk")
    p.add_argument("--reads", type=int, default=600000)
    p.add_argument("--writes", type=int, default=4096)
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--all", action="store_const", dest="rows",
                   const=ROWS + MORE, default=ROWS)
    p.add_argument("--rows", help="only those with this word",
                   type=lambda s: [r for r in ROWS + MORE if s in r[0]])
    p.add_argument("--dir", help="where the disks are (a real file system)")
    p.add_argument("--commit", default="unknown")
    p.add_argument("--out", help="write JSON here")
    a = p.parse_args()
    a.agent = os.path.abspath(a.agent)  # a path to the other side, not a word
    rand = random.Random(a.seed)
    blocks = a.size * MIB // 4096
    step = (int(blocks * 0.618) + rand.randrange(1000) * 2 | 1) * 4096
    start = rand.randrange(blocks) * 4096
    with tempfile.TemporaryDirectory(dir=a.dir) as d:
        d = os.path.abspath(d)
        make_base(f"{d}/base", a.size, a.seed)
        forget(f"{d}/base")
        out = summarise(a, measure(a, d, step, start), step)
    print_table(out)
    write_json(a.out, out)


if __name__ == "__main__":
    main()
