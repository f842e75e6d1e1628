#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""bench-move: pages/s and cost a page of `disco move`, against a bare loop.

One stock guest that has filled memory is moved round the nodes. After each
move a bare move_pages(2) loop takes the same pages of the same worker back,
and there again (bench/move_loop.c), on the CPUs that the agents use. Cost of a
move: the whole of it, as the API says (total_ns), and its part in
move_pages(2) (pull_ns); of the bare loop: the mean of both ways. Once round
before that is not counted: the lab's host has yet to give each node its memory.
"""
import argparse
import base64
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

from rounds import write_json
from targets import target

SCRIPT = """
head -c {mib}M /dev/zero | tr '\\0' x >/dev/shm/a
echo FILLED
sleep 100000
"""


def disco(a, *args):
    p = subprocess.run([a.disco, *args], capture_output=True, text=True,
                       timeout=600, check=False)
    if p.returncode:
        sys.exit(f"bench-move: disco {' '.join(args)}: {p.stderr}")
    return p.stdout


def start(a):
    sh = base64.b64encode(SCRIPT.format(mib=a.fill).encode()).decode()
    disco(a, "run", "-d", "--name", "b", "--kernel", a.kernel, "--initrd",
          a.initrd, "--memory", f"{a.memory}M,node=0,huge=off", "--disk",
          f"path={a.disk},ro", "--cmdline",
          f"console=ttyS0 quiet disco.sh={sh}")
    with subprocess.Popen([a.disco, "console", "--no-input", "b"],
                          stdout=subprocess.PIPE,
                          stdin=subprocess.DEVNULL) as p:
        end = time.monotonic() + 200
        for line in p.stdout:
            if b"FILLED" in line:
                break
            if time.monotonic() > end:
                sys.exit("bench-move: the guest does not fill its memory")
        p.kill()


def bare(a, pid, old, new):
    """The loop, on the CPUs of the node that gets the pages."""
    with open(f"/sys/devices/system/node/node{new}/cpulist",
              encoding="ascii") as f:
        cpus = f.read().strip()
    p = subprocess.run(["taskset", "-c", cpus, a.loop, str(pid), str(old),
                        str(new)], capture_output=True, text=True, check=False)
    if p.returncode:
        sys.exit(f"bench-move: {p.stderr}")
    pages, ns = map(int, p.stdout.split())
    return {"pages": pages, "ns": ns, "ns_a_page": ns / pages}


def one_round(a, pid, old, new):
    m = json.loads(disco(a, "move", f"--stall-ms={a.stall_ms}", "--json", "b",
                         str(new)))
    loops = [bare(a, pid, new, old), bare(a, pid, old, new)]
    mean = statistics.mean(x["ns_a_page"] for x in loops)
    each = m["total_ns"] / m["pages"]
    print(f"  node {old} to {new}: {m['pages']} pages, {each / 1000:.1f} us "
          f"each; bare: {loops[0]['pages']}, {mean / 1000:.1f} us",
          file=sys.stderr, flush=True)
    return {"move": m, "bare": loops, "move_ns_a_page": each,
            "pull_ns_a_page": m["pull_ns"] / m["pages"],
            "bare_ns_a_page": mean, "ratio": each / mean}


def summarise(a, rounds):
    med = {k: statistics.median(r[k] for r in rounds)
           for k in ("move_ns_a_page", "pull_ns_a_page", "bare_ns_a_page",
                     "ratio")}
    med["pages"] = statistics.median(r["move"]["pages"] for r in rounds)
    return {"bench": "move", "host": platform.node(),
            "kernel": platform.release(), "commit": a.commit,
            "lab": os.environ.get("DISCO_LAB") == "1",
            "stall_bound_ms": a.stall_ms, "median": med, "rounds": rounds}


def print_table(out):
    med = out["median"]
    print(f"bench-move: {out['host']}, Linux {out['kernel']}, commit "
          f"{out['commit']}, bound {out['stall_bound_ms']} ms, "
          f"{len(out['rounds'])} moves")
    print(f"{'':12}{'pages/s':>12}{'us a page':>12}")
    for name, key in (("disco move", "move_ns_a_page"),
                      ("its pulls", "pull_ns_a_page"),
                      ("bare loop", "bare_ns_a_page")):
        print(f"{name:12}{1e9 / med[key]:12.0f}{med[key] / 1000:12.2f}")
    print(f"disco move / bare loop: {med['ratio']:.2f}x of "
          f"{med['pages']:.0f} pages (target {target('move-time').value}x)")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--disco", required=True)
    p.add_argument("--loop", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--commit", default="unknown")
    p.add_argument("--kernel", default="build/kernels/guest/vmlinuz")
    p.add_argument("--initrd", default="build/images/initramfs.cpio")
    p.add_argument("--disk", default="build/images/root.ext4")
    p.add_argument("--moves", type=int, default=12)
    p.add_argument("--nodes", type=int, default=4)
    p.add_argument("--memory", type=int, default=512)
    p.add_argument("--fill", type=int, default=300)
    p.add_argument("--stall-ms", type=int, default=1000)
    a = p.parse_args()
    rounds = []
    with tempfile.TemporaryDirectory() as tmp:
        os.environ["DISCO_STATE_DIR"] = os.path.join(tmp, "state")
        start(a)
        vm = json.loads(disco(a, "ls", "--json"))["vms"][0]
        for i in range(a.nodes + a.moves):
            rounds.append(one_round(a, vm["pid"], i % a.nodes,
                                    (i + 1) % a.nodes))
        disco(a, "kill", "b")
    out = summarise(a, rounds[a.nodes:])
    write_json(a.out, out)
    print_table(out)


if __name__ == "__main__":
    main()
