#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""bench-figures: what a guest notices of figures, by the size of its memory.

A tiny guest (tests/guest/echo.c) has touched 64 MiB of its memory; the rest is
sparse, so that 256 GiB need no machine that has them. One connection to the
monitor asks for the figures of all VMs again and again, as `disco top` does,
and once in a while for exact ones. Meanwhile bytes go to the guest's console
and come back, one at a time: through the monitor, the worker's I/O thread and
the guest. Then the guest is killed while exact figures are under way.

Of each size and round: the longest time from a byte to its echo, and the time
from the request to stop to the answer that the guest has ended, its process
included. Longer ones are also caused by whatever else the machine does, so the
best round of each size counts. Rounds of all sizes take turns.

The ratio is that of the worst size to the smallest. What is below FLOOR_MS
counts as that much. To an echo, a CPU's scheduler may add some ms at any time.
To the end, a kernel that has no TDP MMU adds some for the tables that KVM has
per page of guest memory, touched or not: it frees 600 MiB of them for 256 GiB.

Any KVM will do, also one that cannot run stock guests.
"""
import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

from rounds import header, write_json
from targets import target

FLOOR_MS = {"stall": 20, "end": 50}
ECHO_S = 60  # an echo that takes longer is no echo


class Failed(Exception):
    """A guest that does not do what it should."""


class Api:
    """Calls of the monitor's API, each on a connection of its own."""

    def __init__(self, state):
        self.path = f"{state}/api.sock"

    def connect(self, method, path, more=""):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(ECHO_S)
        s.connect(self.path)
        s.sendall(f"{method} {path} HTTP/1.1\r\nHost: disco\r\n{more}"
                  "Content-Length: 0\r\n\r\n".encode())
        return s

    def call(self, method, path):
        with self.connect(method, path, "Connection: close\r\n") as s:
            head, _, body = b"".join(iter(lambda: s.recv(65536), b"")) \
                .partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise Failed(f"{path}: {head.splitlines()[:1]} {body!r}")
        return json.loads(body)

    def console(self, name):
        s = self.connect("GET", f"/v1/vms/{name}/console",
                         "Connection: Upgrade\r\nUpgrade: disco-console\r\n")
        read_until(s, b"\r\n\r\n")
        return s


def read_until(s, what):
    """One byte at a time, nothing after it."""
    got = b""
    while not got.endswith(what):
        one = s.recv(1)
        if not one:
            raise Failed(f"the end, after {got[-80:]!r}")
        got += one


class Asker(threading.Thread):
    """Asks for figures until it is told to end."""

    def __init__(self, api, path, pause):
        super().__init__()
        self.api, self.path, self.pause = api, path, pause
        self.end, self.times, self.last = threading.Event(), [], None

    def run(self):
        while not self.end.wait(self.pause):
            start = time.monotonic()
            try:
                self.last = self.api.call("GET", self.path)
            except (OSError, Failed):
                return  # the guest or the monitor is gone
            self.times.append((time.monotonic() - start) * 1000)


def echoes(console, seconds):
    """The longest echo, in ms, and how many there were."""
    longest, nr, end = 0, 0, time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.monotonic()
        console.sendall(b"x")
        read_until(console, b"x")
        longest = max(longest, time.monotonic() - start)
        nr += 1
        time.sleep(0.001)
    return longest * 1000, nr


def measure(a, api):
    askers = [Asker(api, "/v1/stats", 0.02),
              Asker(api, "/v1/stats?exact=1", 0.2)]
    with api.console("b") as console:
        read_until(console, b"ON\n")
        for t in askers:
            t.start()
        stall, nr = echoes(console, a.seconds)
    start = time.monotonic()
    api.call("POST", "/v1/vms/b/kill")
    end = (time.monotonic() - start) * 1000
    for t in askers:
        t.end.set()
        t.join()
    if not all(t.times for t in askers):
        raise Failed("no figures came")
    vm = askers[1].last["vms"][0]
    return {"stall_ms": stall, "end_ms": end, "echoes": nr,
            "asked": len(askers[0].times),
            "asked_ms": sorted(askers[0].times)[len(askers[0].times) // 2],
            "exact": len(askers[1].times),
            "exact_ms": sorted(askers[1].times)[len(askers[1].times) // 2],
            "ram_pages": vm["ram_pages"]}


def one_round(a, gib):
    with tempfile.TemporaryDirectory() as state:
        env = dict(os.environ, DISCO_KVM_ANY="1", DISCO_STATE_DIR=state)
        with subprocess.Popen([a.disco, "monitor"], env=env,
                              stderr=subprocess.DEVNULL) as monitor:
            try:
                # Else "run -d" starts another one, which would stay.
                while not os.path.exists(f"{state}/api.sock"):
                    if monitor.poll() is not None:
                        raise Failed("the monitor has ended")
                    time.sleep(0.01)
                p = subprocess.run(
                    [a.disco, "run", "-d", "--name", "b", "--kernel", a.guest,
                     "--memory", f"{gib}G"], env=env, capture_output=True,
                    text=True, timeout=300, check=False)
                if p.returncode:
                    raise Failed(p.stderr.strip())
                return measure(a, Api(state))
            finally:
                subprocess.run([a.disco, "kill", "b"], env=env, check=False,
                               stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
                monitor.terminate()


def summarise(a, rounds):
    rows = []
    for gib in a.gib:
        of_size = [r for r in rounds if r["gib"] == gib]
        rows.append({"gib": gib} | {
            k: round(min(r[k] for r in of_size), 2)
            for k in ("stall_ms", "end_ms", "asked_ms", "exact_ms")})

    def ratio(what):
        ms = [max(r[what + "_ms"], FLOOR_MS[what]) for r in rows]
        return round(max(ms) / ms[0], 3)

    return header(a, "figures", floor_ms=FLOOR_MS, rows=rows, all=rounds,
                  ratio={"stall": ratio("stall"), "end": ratio("end")})


def print_table(out):
    print(f"bench-figures: {out['host']}, Linux {out['kernel']}, commit "
          f"{out['commit']}, best of {out['rounds']} rounds")
    print(f"{'memory':>10}{'longest echo':>15}{'time to end':>15}"
          f"{'figures':>12}{'exact':>12}")
    for r in out["rows"]:
        print(f"{r['gib']:6} GiB{r['stall_ms']:12.1f} ms{r['end_ms']:12.1f} ms"
              f"{r['asked_ms']:9.1f} ms{r['exact_ms']:9.1f} ms")
    for what in ("stall", "end"):
        print(f"worst {what} to that of the smallest: "
              f"{out['ratio'][what]:.2f}x, below {FLOOR_MS[what]} ms as that "
              f"(target {target('figures-' + what).value}x)")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("--disco", required=True)
    p.add_argument("--guest", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--commit", default="unknown")
    p.add_argument("--rounds", type=int, default=8)
    p.add_argument("--seconds", type=float, default=1.5)
    p.add_argument("--gib", type=int, nargs="+", default=[1, 4, 16, 64, 256])
    a = p.parse_args()
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        sys.exit("bench-figures: no usable /dev/kvm")
    rounds = []
    for _ in range(a.rounds):
        for gib in a.gib:
            try:
                rounds.append({"gib": gib} | one_round(a, gib))
            except (Failed, OSError) as e:
                sys.exit(f"bench-figures: {gib} GiB: {e}")
            r = rounds[-1]
            print(f"  {gib} GiB: echo {r['stall_ms']:.1f} ms, end "
                  f"{r['end_ms']:.1f} ms", file=sys.stderr, flush=True)
    out = summarise(a, rounds)
    print_table(out)
    write_json(a.out, out)


if __name__ == "__main__":
    main()
