#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""bench-exec: time of a command that a guest agent runs in a guest.

`disco exec VM -- true` against the same guest agent through QEMU with KVM (q35,
virtio-serial, its port as a socket), in the same run: the same kernel, images
and command line, one idle guest of each. The peer's client is bench/qga_exec.c,
a process per command as well, that does the least a client has to: connect,
synchronise, guest-exec, guest-exec-status until it has exited. Rounds are
interleaved.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

from consoles import CMDLINE
from rounds import (Monitor, RoundFailed, arguments, header, load,
                    print_heading, print_repeated, qemu_guest, repeated,
                    write_json)

VM = "bench-exec"


def qemu_command(a, socket):
    return qemu_guest(
        a, CMDLINE,
        "-chardev", "null,id=c0", "-device", "virtconsole,chardev=c0",
        "-chardev", f"socket,id=c1,path={socket},server=on,wait=off",
        "-device", "virtserialport,chardev=c1,name=org.qemu.guest_agent.0")


def run_once(cmd, timeout):
    """ms of a command that has to exit with 0."""
    start = time.monotonic()
    p = subprocess.run(cmd, stdin=subprocess.DEVNULL, capture_output=True,
                       timeout=timeout, check=False)
    ms = (time.monotonic() - start) * 1000
    if p.returncode:
        raise RoundFailed(f"{' '.join(cmd)}: {p.returncode} {p.stderr!r}")
    return ms


def wait_for(cmd, timeout):
    end = time.monotonic() + timeout
    while True:
        try:
            run_once(cmd, timeout)
            return
        except (RoundFailed, subprocess.TimeoutExpired) as e:
            if time.monotonic() > end:
                raise RoundFailed(f"no agent: {e}") from e
            time.sleep(1)


def measure(a):
    rows = {"disco": [], "qemu": []}
    with tempfile.TemporaryDirectory() as tmp, Monitor(a.disco) as m:
        socket = os.path.join(tmp, "agent")
        m.call("run", "-d", "--name", VM, "--memory", f"{a.memory}M,huge=thp",
               "--kernel", a.kernel, "--initrd", a.initrd, "--cmdline",
               CMDLINE, "--disk", f"path={a.disk},ro")
        with subprocess.Popen(qemu_command(a, socket),
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL) as qemu:
            commands = {"disco": [a.disco, "exec", VM, "--", "true"],
                        "qemu": [a.client, socket, "true"]}
            try:
                wait_for([a.disco, "exec", "--wait", str(a.timeout), VM, "--",
                          "true"], a.timeout)
                wait_for(commands["qemu"], a.timeout)
                for _ in range(a.rounds):
                    for name, cmd in commands.items():
                        rows[name].append(run_once(cmd, a.timeout))
            finally:
                qemu.kill()
    return rows


def summarise(a, state, rows):
    median = {n: statistics.median(v) for n, v in rows.items()}
    return header(a, "exec", seed=None, memory_mib=a.memory, cmdline=CMDLINE,
                  repeated=state["repeated"],
                  rows=[{"vmm": n, "ms": round(median[n], 2),
                         "all_ms": [round(x, 2) for x in v]}
                        for n, v in rows.items()],
                  median={"ratio": round(median["disco"] / median["qemu"],
                                         3)})


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments(p)
    p.add_argument("--client", default="build/release/bench/qga_exec")
    p.set_defaults(rounds=31)
    a = p.parse_args()
    state = load(a)
    rows = repeated(state, "exec", lambda: measure(a))
    out = summarise(a, state, rows)
    print_heading(out)
    for r in out["rows"]:
        print(f"{r['vmm']:8}{r['ms']:9.1f} ms ({min(r['all_ms']):.1f} to "
              f"{max(r['all_ms']):.1f})")
    print(f"ratio {out['median']['ratio']}")
    print_repeated(out)
    write_json(a.out, out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
