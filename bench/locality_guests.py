# SPDX-License-Identifier: BSD-2-Clause
"""Guests of bench-locality: they run scripts, and their threads change node.

A guest has a home, on which its memory is when a run begins, and a place, the
node on whose CPUs its threads run.
"""
import glob
import json
import os
import subprocess
from typing import NamedTuple

from consoles import CMDLINE, Console


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
                   f"{a.memory}M,node={i % a.nodes},huge=off", 1)
            for i in range(a.guests)]


def at_home(a):
    """The same, but on their home's CPUs: what is remote is what they share."""
    return [x._replace(place=x.home) for x in one_node(a)]


LAYOUTS = {"one-node": one_node, "at-home": at_home}


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


class Guest(Console):
    """A guest of the monitor, from its start to its end."""

    def __init__(self, monitor, a, layout, policy="first-touch", options=()):
        self.monitor, self.layout = monitor, layout
        monitor.call("run", "-d", "--name", layout.name, "--kernel", a.kernel,
                     "--initrd", a.initrd, "--memory", layout.memory,
                     "--cpus", str(layout.cpus), "--disk",
                     f"path={a.disk},ro", "--policy", policy,
                     "--cmdline", CMDLINE, *options)
        vms = json.loads(monitor.call("ls", "--json"))["vms"]
        self.pid = {v["name"]: v["pid"] for v in vms}[layout.name]
        super().__init__(layout.name, [a.disco, "console", layout.name],
                         a.timeout)

    def run_on(self, node):
        """All of its threads."""
        cpus = cpus_of(node)
        for task in glob.glob(f"/proc/{self.pid}/task/*"):
            try:
                os.sched_setaffinity(int(task.rsplit("/", 1)[1]), cpus)
            except ProcessLookupError:
                pass  # a thread that has ended

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
