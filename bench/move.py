#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""bench-move: pages/s and cost a page of `disco move`, against a bare loop.

One stock guest that has filled memory is moved round the nodes; after each
move a bare move_pages(2) loop moves the same number of pages of a stopped
process between the same nodes (bench/move_loop.c). Cost of a move: the whole
of it, as the API says (total_ns), and its part in move_pages(2) (pull_ns).
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
          a.initrd, "--memory", f"{a.memory}M,node=0", "--disk",
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


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--disco", required=True)
    p.add_argument("--loop", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--commit", default="unknown")
    p.add_argument("--kernel", default="build/kernels/guest/vmlinuz")
    p.add_argument("--initrd", default="build/images/initramfs.cpio")
    p.add_argument("--disk", default="build/images/root.ext4")
    p.add_argument("--moves", type=int, default=8)
    p.add_argument("--nodes", type=int, default=4)
    p.add_argument("--memory", type=int, default=512)
    p.add_argument("--fill", type=int, default=300)
    p.add_argument("--stall-ms", type=int, default=1000)
    a = p.parse_args()
    rounds = []
    with tempfile.TemporaryDirectory() as tmp:
        os.environ["DISCO_STATE_DIR"] = os.path.join(tmp, "state")
        start(a)
        for i in range(a.moves):
            old, new = i % a.nodes, (i + 1) % a.nodes
            m = json.loads(disco(a, "move", f"--stall-ms={a.stall_ms}",
                                 "--json", "b", str(new)))
            bare = subprocess.run(
                [a.loop, str(m["pages"]), str(old), str(new)],
                capture_output=True, text=True, check=True)
            there, ns = map(int, bare.stdout.split())
            rounds.append({"move": m, "bare_pages": there, "bare_ns": ns})
        disco(a, "kill", "b")
    # The first move also copies the boot image to each node it comes to.
    med = {
        "pages": statistics.median(r["move"]["pages"] for r in rounds),
        "move_ns_a_page": statistics.median(
            r["move"]["total_ns"] / r["move"]["pages"] for r in rounds),
        "pull_ns_a_page": statistics.median(
            r["move"]["pull_ns"] / r["move"]["pages"] for r in rounds),
        "bare_ns_a_page": statistics.median(
            r["bare_ns"] / r["bare_pages"] for r in rounds),
    }
    med["ratio"] = statistics.median(
        (r["move"]["total_ns"] / r["move"]["pages"]) /
        (r["bare_ns"] / r["bare_pages"]) for r in rounds)
    result = {"bench": "move", "host": platform.node(),
              "kernel": platform.release(), "commit": a.commit,
              "stall_bound_ms": a.stall_ms, "median": med, "rounds": rounds}
    with open(a.out, "w", encoding="utf-8") as f:
        json.dump(result, f, indent=1)
    print(f"bench-move: {result['host']}, Linux {result['kernel']}, "
          f"commit {a.commit}, bound {a.stall_ms} ms, {a.moves} moves")
    print(f"{'':12}{'pages/s':>12}{'us a page':>12}")
    for name, key in (("disco move", "move_ns_a_page"),
                      ("its pulls", "pull_ns_a_page"),
                      ("bare loop", "bare_ns_a_page")):
        print(f"{name:12}{1e9 / med[key]:12.0f}{med[key] / 1000:12.2f}")
    print(f"disco move / bare loop: {med['ratio']:.2f}x of "
          f"{med['pages']:.0f} pages (target 1.25x)")


if __name__ == "__main__":
    main()
