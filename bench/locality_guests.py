# SPDX-License-Identifier: BSD-2-Clause
"""Guests of bench-locality: they run scripts, and their threads change node.

A guest has a home, on which its memory is when a run begins, and a place, the
node on whose CPUs its threads run. Scripts go over the console, by the protocol
of lab/guest/disco/runner.
"""
import base64
import glob
import json
import os
import queue
import re
import subprocess
import threading
import time
from typing import NamedTuple

from rounds import RoundFailed

CMDLINE = "console=ttyS0 quiet disco.run=runner"


class Layout(NamedTuple):
    """One guest: where its memory is at first, and where it runs."""
    name: str
    home: int
    place: int
    memory: str  # as --memory has it
    cpus: int


def one_node(a):
    """Guests with one processor and one home each; the next node's CPUs."""
    return [Layout(f"g{i}", i % a.nodes, (i + 1) % a.nodes,
                   f"{a.memory}M,node={i % a.nodes}", 1)
            for i in range(a.guests)]


LAYOUTS = {"one-node": one_node}


def cpus_of(node):
    """Of a node, as far as this process may use them."""
    with open(f"/sys/devices/system/node/node{node}/cpulist",
              encoding="ascii") as f:
        words = f.read().strip().split(",")
    cpus = set()
    for word in words:
        first, _, last = word.partition("-")
        cpus |= set(range(int(first), int(last or first) + 1))
    return cpus & os.sched_getaffinity(0)


class Guest:
    """A guest of the monitor, from its start to its end."""

    def __init__(self, monitor, a, layout):
        self.monitor, self.layout, self.nr = monitor, layout, 0
        self.timeout = a.timeout
        monitor.call("run", "-d", "--name", layout.name, "--kernel", a.kernel,
                     "--initrd", a.initrd, "--memory", layout.memory,
                     "--cpus", str(layout.cpus), "--disk",
                     f"path={a.disk},ro", "--policy", "first-touch",
                     "--cmdline", CMDLINE)
        vms = json.loads(monitor.call("ls", "--json"))["vms"]
        self.pid = next(v["pid"] for v in vms if v["name"] == layout.name)
        # pylint: disable=consider-using-with # until close()
        self.console = subprocess.Popen(
            [a.disco, "console", layout.name], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.lines, self.said = queue.Queue(), []
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.console.stdout:
            self.lines.put(line.decode(errors="replace").rstrip("\r\n"))
        self.lines.put(None)

    def wait_for(self, pattern):
        """Lines until one matches; the match, and the lines before it."""
        end, before = time.monotonic() + self.timeout, []
        while True:
            try:
                line = self.lines.get(timeout=max(end - time.monotonic(), 0))
            except queue.Empty:
                line = None
            if line is None:
                raise RoundFailed(f"{self.layout.name}: no '{pattern}' within "
                                  f"{self.timeout} s; last: {before[-5:]}")
            match = re.search(pattern, line)
            if match:
                return match, before
            before.append(line)

    def ready(self):
        self.wait_for("RUNNER ready")

    def send(self, script):
        self.nr += 1
        text = base64.b64encode(script.encode()).decode()
        parts = [f"+{text[i:i + 900]}" for i in range(0, len(text), 900)]
        self.console.stdin.write(
            "".join(f"{p}\n" for p in [*parts, f"run {self.nr}"]).encode())
        self.console.stdin.flush()

    def result(self):
        """What the script that was sent last has printed."""
        match, said = self.wait_for(rf"RUNNER end {self.nr} (\d+)")
        if match[1] != "0":
            raise RoundFailed(f"{self.layout.name}: its script failed: {said}")
        return said

    def do(self, script):
        self.send(script)
        return self.result()

    def run_on(self, node):
        """All of its threads."""
        cpus = cpus_of(node)
        for task in glob.glob(f"/proc/{self.pid}/task/*"):
            os.sched_setaffinity(int(task.rsplit("/", 1)[1]), cpus)

    def bring_home(self, nodes):
        """All of its memory to its home, wherever it is."""
        others = [str(n) for n in range(nodes) if n != self.layout.home]
        subprocess.run(["migratepages", str(self.pid), ",".join(others),
                        str(self.layout.home)], check=True, timeout=300)

    def policy(self, text):
        self.monitor.call("policy", self.layout.name, text)

    def figures(self):
        return json.loads(self.monitor.call("policy", "--json",
                                            self.layout.name))

    def close(self):
        self.console.kill()
        self.console.wait()
