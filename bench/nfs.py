#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""bench-nfs: a file that one guest exports by NFS and others read.

Two things are measured. bench-pmake has the third: compiling over NFS.

Reads. A client reads a file that is in the page cache of the server, but not in
its own, first in order and then pages of 4 KiB at random places (--seed), with
fio. What the client says it has got from the server is compared with what it
has read. The pairs of guests have the same kernel, images, exports and mount
options; both run all the time, and rounds take turns:

	disco	a cluster (disco up), the virtual shared-memory network
	vhost	QEMU, tap devices at a bridge, vhost-net

CPU is that of the whole machine, per 10^9 bytes that are read in order.

Memory. N clients read one file of --megabytes, of random bytes. Figures are
what the memory of the machine has grown by since before they read it, by the
kernel's own accounts (rounds.ACCOUNTS): memory of the pages that are shared is
no guest's, so it is not among what `disco stats` shows for each guest. The
server has had the file in its memory before. With merging, memory is at rest
before and after.

	plain	nothing is merged
	merge	memory=...,merge, and no hint: scans alone find the equal pages
	hints	memory=...,merge, and each client hints that its pages of the
		file are to be merged (disco-hint file merge FILE)
	refs	memory=...,merge, and no scan and no hint: the file is on a disk
		of the server that the buffer cache has, and frames refer to its
		blocks. In the other modes the server has written the file, so
		that no frame refers to anything
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

from bridge import Bridge, nic
from clusters import Cluster, role
from consoles import CMDLINE, QEMU_CONSOLE, Console, word_of
from rounds import (ACCOUNTS, Monitor, RoundFailed, arguments, busy_s, header,
                    load, meminfo, print_heading, print_repeated, qemu_guest,
                    repeated, write_json)

DIR = "/srv/share"
FILE = f"{DIR}/file"
PEERS = ("disco", "vhost")
MODES = ("plain", "merge", "hints", "refs")
# Of the monitor; 80000 s: no scan before the end.
MERGE = {"plain": "off", "merge": "0.5", "hints": "0.5", "refs": "80000"}
DATA = "/tmp/data"  # where the server's second disk is, there and at clients
MOUNT = "vers=4.2,hard"
SERVER = "10.98.0.1"  # of QEMU's guests
# What disco up has written in its server, for QEMU's.
EXPORTS = "/etc/exports.d/disco.exports"
START = "/run/disco-nfs"
SERVE = f"""set -e
mkdir -p {DATA}
mount -o ro /dev/vdb {DATA}
touch /etc/exports
exportfs -o ro,no_subtree_check,fsid=2,insecure '*:{DATA}'
cat {DATA}/file >/dev/null"""
MOUNT_DATA = f"""mkdir -p {DATA} &&
mount -t nfs -o vers=4.1,ro nfs-server:{DATA} {DATA}"""
MAKE = "head -c {mib}M /dev/urandom >{file} && sync && cat {file} >/dev/null"
# Bytes that this client has got from its server so far.
RECEIVED = "awk '$1 == \"bytes:\" { n += $6 } END { printf \"%.0f\\n\", n }' " \
           "/proc/self/mountstats"
READ = """
before=$({received})
echo 3 >/proc/sys/vm/drop_caches
fio --name=r --filename={file} --readonly --rw={rw} --bs={bs} --size={mib}M \
    --io_size={io}M --invalidate=1 --randrepeat=1 --randseed={seed} \
    --output-format=json >/tmp/j || {{ tail -n 3 /tmp/j; exit 1; }}
awk '/"bw_bytes"/ {{ printf "rate %.0f\\n", $3; exit }}' /tmp/j
echo received $(($({received}) - before))
"""


# --- reads --------------------------------------------------------------------

class DiscoPair:
    """A server and a client of the cluster that is up."""

    def __init__(self, cluster):
        self.cluster = cluster

    def client(self, script):
        return self.one("client", script)

    def server(self, script):
        return self.one("server", script)

    def one(self, of, script):
        said = list(self.cluster.exec(of, script).values())
        return said[0] if said else []


class QemuPair:
    """Two guests at a bridge, with consoles."""

    def __init__(self, a, bridge):
        self.consoles = []
        try:
            for i, (name, disk, more) in enumerate((
                    ("server", "snapshot=on", " disco.rw"),
                    ("client", "readonly=on", ""))):
                netdev = bridge.tap(f"bnfs{i}", vhost=True)
                self.consoles.append(Console(f"vhost-{name}", qemu_guest(
                    a, CMDLINE + more, *nic(netdev, f"52:54:00:01:00:{i:02x}"),
                    *QEMU_CONSOLE, disk=disk), a.timeout))
            for i, c in enumerate(self.consoles):
                c.ready()
                c.do("ip link set lo up; ip link set eth0 up; ip addr add "
                     f"{SERVER[:-1]}{i + 1}/24 dev eth0")
        except RoundFailed:
            self.close()
            raise

    def client(self, script):
        return self.consoles[1].do(script)

    def server(self, script):
        return self.consoles[0].do(script)

    def serve_as(self, disco):
        """Export and mount as the guests of disco up do."""
        script = f"mkdir -p {DIR} /etc/exports.d\n"
        for path in (EXPORTS, START):
            text = "\n".join(disco.server(f"cat {path}"))
            script += f"cat >{path} <<'EOF-OF-FILE'\n{text}\nEOF-OF-FILE\n"
        self.server(f"{script}chmod 755 {START}; {START}")
        self.client(f"mkdir -p {DIR}; modprobe -q nfsv4; until "
                    f"busybox ping -c 1 -W 1 {SERVER}; do sleep 0.2; done; "
                    f"mount -t nfs -o {MOUNT} {SERVER}:{DIR} {DIR}")

    def close(self):
        for c in self.consoles:
            c.close()


def read(a, pair, rw, bs, mib):
    """MB/s of the client's reads of so many MiB."""
    said = pair.client(READ.format(received=RECEIVED, file=FILE, rw=rw, bs=bs,
                                   mib=a.megabytes, io=mib, seed=a.seed))
    rate, received = (float(word_of(said, key)[0])
                      for key in ("rate", "received"))
    if not rate or received < 0.95 * mib * 2**20:
        raise RoundFailed(f"{rw}: {rate} bytes/s, {received} from the server, "
                          f"not {mib} MiB")
    return rate / 1e6


def read_round(a, pair):
    # All that is read comes from the server's memory.
    pair.server(f"cat {FILE} >/dev/null")
    cpu = busy_s()
    sequential = read(a, pair, "read", "1M", a.megabytes)
    cpu = busy_s() - cpu
    return {"sequential": sequential,
            "random": read(a, pair, "randread", "4k", a.random_megabytes),
            "cpu_per_gb": cpu / (a.megabytes * 2**20 / 1e9)}


def cluster(a, clients, client, data=None):
    """The file of a cluster; client: more members of that role; data: an image,
    and the server is as the clients."""
    server = {"huge": "thp"}
    disks = []
    if data:
        server = client
        disks = [{"path": data, "ro": True}]
    return {
        "cluster": "nfs",
        "nfs": {"role": "server", "export": DIR, "options": MOUNT},
        "roles": [
            role(a, "server", a.memory, {"snapshot": True}, *disks, **server),
            role(a, "client", a.memory, {"ro": True}, count=clients,
                 health=[f"mountpoint -q {DIR}"], **client)]}


def measure_reads(a):
    """Rounds of each peer."""
    rounds = {p: [] for p in PEERS}
    with Monitor(a.disco, "--balance=off", "--merge=off") as m, \
            Cluster(a, m, cluster(a, 1, {"huge": "thp"})) as c, \
            Bridge() as bridge:
        pairs = {"disco": DiscoPair(c), "vhost": QemuPair(a, bridge)}
        try:
            pairs["vhost"].serve_as(pairs["disco"])
            for pair in pairs.values():
                pair.server(MAKE.format(mib=a.megabytes, file=FILE))
            for r in range(a.rounds):
                for p, pair in pairs.items():
                    rounds[p].append(read_round(a, pair))
                    print(f"  round {r + 1}, {p}: {rounds[p][-1]}",
                          file=sys.stderr, flush=True)
        finally:
            pairs["vhost"].close()
    return rounds


# --- memory -------------------------------------------------------------------

def growth(before):
    now = meminfo()
    return {k: now[k] - before[k] for k in ACCOUNTS}


def data_image(a, work):
    """An image with the file, in blocks of a page."""
    tree, image = f"{work}/tree", f"{work}/data.ext4"
    os.mkdir(tree)
    with open(f"{tree}/file", "wb") as f:
        for _ in range(a.megabytes):
            f.write(os.urandom(1 << 20))
    with open(f"{tree}/small", "w", encoding="ascii") as f:
        f.write("small\n")
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-O",
                    "^has_journal", "-d", tree, image,
                    f"{a.megabytes + a.megabytes // 8 + 16}M"], check=True)
    return image


def measure_memory(a, clients, mode):
    """measure_mode(), with what it needs on the disk."""
    with tempfile.TemporaryDirectory() as work:
        return measure_mode(a, clients, mode, data_image(a, work)
                            if mode == "refs" else None)


def serve(a, c, data):
    """The server has the file in memory, the clients its directory: where."""
    where = DATA if data else DIR
    if data:
        c.exec("server", SERVE)
        c.exec("client", MOUNT_DATA)
    else:
        c.exec("server", MAKE.format(mib=a.megabytes, file=FILE) +
               f" && echo small >{DIR}/small && sync")
    c.exec("client", f"cat {where}/small && disco-hint show >/dev/null")
    return where


def measure_mode(a, clients, mode, data):
    """MiB that the machine's memory has grown by when all have read the file."""
    def rest():
        return m.merging_rests(a.window, a.merge_seconds) if merging \
            else (0, True)

    merging = mode != "plain"
    # Pages are counted: none that comes with 511 others.
    how = {"huge": "off", **({"merge": True} if merging else {})}
    with Monitor(a.disco, "--balance=off", f"--merge={MERGE[mode]}") as m, \
            Cluster(a, m, cluster(a, clients, how, data)) as c:
        file = f"{serve(a, c, data)}/file"
        merged, _ = rest()
        before = meminfo()
        said = c.exec("client", f"cat {file} | wc -c; {RECEIVED}" + (
            f"; disco-hint file merge {file}" if mode == "hints" else ""))
        want = a.megabytes << 20
        if len(said) != clients or any(
                int(x[0]) != want or int(x[1]) < want for x in said.values()):
            raise RoundFailed(f"not all have read the file: {said}")
        merged_now, rests = rest()
        parts = growth(before)
        stats = json.loads(m.call("stats", "--exact", "--json"))
    vms = [v for v in stats["vms"] if "client" in v["name"]]
    return {"mib": sum(parts.values()), **parts, "at_rest": rests,
            "merged_mib": (merged_now - merged) / 256,
            "guests_see_mib": sum(v["ram_pages"] for v in vms) / 256}


# --- results ------------------------------------------------------------------

def memory_runs(a):
    """The runs of a round: (clients, mode); that of one client is the first."""
    return [(1, "plain"), *((a.clients, mode) for mode in a.modes)]


def medians(done, keys):
    return {k: statistics.median(d[k] for d in done) for k in keys}


def summarise(a, state, reads, memory):
    rows = [{"peer": p, **medians(done, ("sequential", "random",
                                         "cpu_per_gb")), "all": done}
            for p, done in reads.items()]
    one = statistics.median(d["mib"] for d in memory[1, "plain"])

    def to_one(mib):
        """None: something else gave memory back meanwhile."""
        return mib / one if one > 0 and mib > 0 else None

    for (clients, mode), done in memory.items():
        m = medians(done, ("mib", "merged_mib", "guests_see_mib"))
        rows.append({"clients": clients, "mode": mode, **m,
                     "to_one_client": to_one(m["mib"]),
                     "at_rest": all(d["at_rest"] for d in done), "all": done})
    return header(a, "nfs", seed=a.seed, memory_mib=a.memory,
                  megabytes=a.megabytes, random_megabytes=a.random_megabytes,
                  memory_rounds=a.memory_rounds, repeated=state["repeated"],
                  rows=rows)


def print_rows(out):
    print(f"{'':8}{'sequential MB/s':>16}{'random MB/s':>13}{'CPU s/GB':>10}")
    for r in out["rows"]:
        if "peer" in r:
            print(f"{r['peer']:8}{r['sequential']:16.1f}{r['random']:13.2f}"
                  f"{r['cpu_per_gb']:10.1f}")
    print(f"{'clients':8}{'':8}{'MiB more':>10}{'to one':>8}{'merged':>8}")
    for r in out["rows"]:
        if "clients" in r:
            to_one = r["to_one_client"]
            print(f"{r['clients']:<8}{r['mode']:8}{r['mib']:10.1f}"
                  f"{'-' if to_one is None else f'{to_one:.2f}x':>8}"
                  f"{r['merged_mib']:8.1f}"
                  + ("" if r["at_rest"] else "  not at rest yet"))


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    arguments(p)
    p.add_argument("--megabytes", type=int, default=64, help="of the file")
    p.add_argument("--random-megabytes", type=int, default=4,
                   help="that are read at random places")
    p.add_argument("--seed", type=int, default=1, help="of those places")
    p.add_argument("--clients", type=int, default=4, choices=range(2, 9),
                   help="that read one file, 2 to 8")
    p.add_argument("--modes", default=["plain", "hints", "refs"],
                   type=lambda s: s.split(","), help=",".join(MODES))
    p.add_argument("--memory-rounds", type=int, default=1)
    # Scans are at most 32 s apart (--merge=0.5, doubled six times).
    p.add_argument("--window", type=float, default=60,
                   help="s without a merged page: at rest")
    p.add_argument("--merge-seconds", type=float, default=400, help="at most")
    p.set_defaults(memory=320, timeout=400)
    a = p.parse_args()
    if not set(a.modes) <= set(MODES):
        p.error(f"--modes {','.join(a.modes)}: of {','.join(MODES)}")
    state = load(a)
    reads = repeated(state, "reads", lambda: measure_reads(a))
    memory = {run: [] for run in memory_runs(a)}
    for r in range(a.memory_rounds):
        for clients, mode in memory:
            memory[clients, mode].append(repeated(
                state, f"round {r}, {clients} clients, {mode}",
                lambda n=clients, mode=mode: measure_memory(a, n, mode)))
    out = summarise(a, state, reads, memory)
    print_heading(out, f", file of {a.megabytes} MiB, seed {a.seed}, host "
                  f"{out['host']}")
    print_rows(out)
    print_repeated(out)
    write_json(a.out, out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
