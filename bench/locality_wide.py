# SPDX-License-Identifier: BSD-2-Clause
"""Workloads of bench-locality in one wide guest, which has CPUs on all nodes.

The guest believes that it has one node, and knows nothing of views. It is new for
each run, as copies and pages that moved cannot be brought back to where they were.
"""
import math
from typing import NamedTuple

from locality_guests import Layout
from locality_work import SCENE_MIB, Workload, compiled, database

NETLIST_MIB = 4  # of each CPU


class Way(NamedTuple):
    """A way to run the guest: a row of its own, as a policy has for other guests."""
    memory: str  # behind the size and the nodes, as --memory has it
    policy: str


# The first one is what others are compared with: its UMA bound is the workload's.
WAYS = {
    "no-views": Way("", "first-touch"),
    "no-views-balanced": Way("", "balanced"),
    "views": Way(",views=on,copies={copies}M", "balanced"),
}
DEFAULT = "no-views,views"


def layout(a, way):
    nodes = f"nodes=0-{a.nodes - 1}"
    return Layout("wide", 0, None, f"{a.wide_memory}M,{nodes},huge=off"
                  + WAYS[way].memory.format(copies=a.copies), a.vcpus)


def on_each(command):
    """A script that runs the command once per CPU, $i of $n, all at the same time;
    it prints a sum of what they all print, and fails if one of them does."""
    return f"""
n=$(nproc) pids=
rm -rf /tmp/each && mkdir /tmp/each || exit
for i in $(seq 0 $((n - 1))); do
	{command} >/tmp/each/$i 2>&1 &
	pids+=" $!"
done
for pid in $pids; do
	wait $pid || {{ tail -n 2 /tmp/each/*; exit 1; }}
done
echo $(cat /tmp/each/* | sort | md5sum) of $n
"""


def workloads(a):
    """As locality_work.workloads(): there are no other guests, so no $part."""
    side = 8 * math.isqrt(64 * a.scale)
    scene = "/dev/shm/scene"
    return {
        # One process makes the scene, on one node; those of all CPUs read it.
        "raytrace-wide": Workload(
            compiled("raytrace", "shared.h") + [
                f"taskset -c 0 /tmp/raytrace make {scene} {SCENE_MIB} "
                f"{a.seed}\n"],
            on_each(f"taskset -c $i /tmp/raytrace run {scene} {side} $i $n 1")),
        # Each process is given a CPU of another node once it has its memory.
        "engineering-wide": Workload(
            compiled("netlist"),
            on_each(f"/tmp/netlist {NETLIST_MIB} {250000 * a.scale} "
                    "$(((i + n / 2) % n)) $i")),
    }


def traced(a):
    """The five workloads whose runs are recorded (fixture_traces.py), all of them in
    one wide guest."""
    wide = workloads(a)
    made, queries = database(a)
    return {
        "engineering": wide["engineering-wide"],
        # One process has made the database; those of all CPUs have it mapped.
        "database": Workload(
            [made, f"cat >/tmp/queries <<'EOF'{queries}EOF\n"],
            on_each("taskset -c $i bash /tmp/queries")),
        "pmake": Workload([], "make -s -C /usr/src/pmake -j$(nproc) "
                              "OUT=/tmp/pmake CC=tcc lua"),
        "stream": Workload(
            compiled("stream"),
            on_each(f"taskset -c $i /tmp/stream 2 {2 * a.scale}")),
        "raytrace": wide["raytrace-wide"],
    }
