# SPDX-License-Identifier: BSD-2-Clause
"""Clusters of stock guests for benches: disco up, exec in its guests, down."""
import json
import os
import subprocess
import tempfile

from rounds import RoundFailed

CMDLINE = "console=ttyS0 quiet disco.run=cluster"


def role(a, name, memory, disk, *disks, **more):
    """A role of the file of a cluster; disk: members beside its path; disks:
    more of them."""
    cmdline = CMDLINE if disk.get("ro") else f"{CMDLINE} disco.rw"
    return {"name": name, "memory": f"{memory}M", "cmdline": cmdline,
            "kernel": os.path.abspath(a.kernel),
            "initrd": os.path.abspath(a.initrd), "deadline": a.timeout,
            "disks": [{"path": os.path.abspath(a.disk), **disk}, *disks],
            **more}


class Cluster:
    """A cluster of the monitor, for as long as the block runs."""

    def __init__(self, a, monitor, what):
        self.a, self.monitor, self.what = a, monitor, what

    def __enter__(self):
        with tempfile.TemporaryDirectory() as tmp:
            path = os.path.join(tmp, "cluster.json")
            with open(path, "w", encoding="utf-8") as f:
                json.dump(self.what, f)
            self.run(2 * self.a.timeout, "up", path)
        return self

    def run(self, timeout, *words):
        try:
            p = subprocess.run([self.a.disco, *words], capture_output=True,
                               text=True, stdin=subprocess.DEVNULL,
                               timeout=timeout, check=False)
        except subprocess.TimeoutExpired as e:
            raise RoundFailed(f"{words[0]}: no end after {timeout} s") from e
        if p.returncode:
            raise RoundFailed(f"{words[0]}: {p.stderr[-1000:]}"
                              f"{p.stdout[-1000:]}")
        return p.stdout

    def exec(self, of, script):
        """Run by bash in a role; lines that were printed, of each guest."""
        said = {}
        for line in self.run(self.a.timeout, "exec",
                             f"{self.what['cluster']}/{of}", "--", "bash",
                             "-c", script).splitlines():
            guest, bar, text = line.partition("| ")
            if bar:
                said.setdefault(guest.strip(), []).append(text)
        return said

    def __exit__(self, *what):
        if not what[0]:  # else the monitor ends them
            self.monitor.call("down", "--timeout", "30", self.what["cluster"])
