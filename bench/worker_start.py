#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""CPU time of a worker from exec to its first KVM_RUN, on this machine itself.

In the lab every instruction is emulated, about 20 times slower. Any KVM will
do for this figure, also one that cannot run stock guests: the guest is a tiny
one (tests/guest/serial.c) of 128 MiB. Writes JSON, for bench/boot.py.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile

from rounds import write_json


def start_once(a, report):
    env = dict(os.environ, DISCO_KVM_ANY="1")
    cmd = [a.disco, "run", "--kernel", a.guest, "--memory", "128M",
           "--cmdline", "tiny serial", "--report", report]
    r = subprocess.run(cmd, env=env, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=60, check=False)
    if r.returncode:
        sys.exit(f"worker_start: exit status {r.returncode} of "
                 f"{' '.join(cmd)}: {r.stdout.decode(errors='replace')[-300:]}")
    with open(report, encoding="utf-8") as f:
        return json.load(f)["vms"][0]["cpu_ns_before_first_run"] / 1e6


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--disco", default="build/release/disco")
    p.add_argument("--guest", default="build/release/guest/serial.elf")
    p.add_argument("--rounds", type=int, default=15)
    p.add_argument("--out", required=True, help="write JSON here")
    a = p.parse_args()
    out = {"host": platform.node(), "kernel": platform.release(),
           "rounds": a.rounds}
    if os.access("/dev/kvm", os.R_OK | os.W_OK):
        with tempfile.TemporaryDirectory() as tmp:
            ms = [start_once(a, os.path.join(tmp, "report.json"))
                  for _ in range(a.rounds)]
        out.update(cpu_ms_before_first_run=round(statistics.median(ms), 2),
                   all_ms=[round(x, 2) for x in ms])
    else:
        out["skipped"] = "no usable /dev/kvm on this machine"
    write_json(a.out, out)


if __name__ == "__main__":
    main()
