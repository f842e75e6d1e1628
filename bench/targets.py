# SPDX-License-Identifier: BSD-2-Clause
"""Targets of the benches: what SPECIFICATION.md promises and a bench measures.

TARGETS has those of each bench. SPECIFICATION.md names each of them in front
of its promise, as "`boot-one`: at most 0.8"; `bench/check.py --specification`
compares both, and bench/check.py compares a bench's result with them.

A target's figures are read from the JSON that the bench writes (--out). Its
functions raise Skipped when the bench says why there is no such figure, and
KeyError, TypeError or NotMeasured when the figure is missing.

A new bench has its name in BENCHES of bench/sources.mk, its targets here and in
SPECIFICATION.md, and a result in tests/cli/bench-check.
"""
from typing import Callable, NamedTuple


class NotMeasured(Exception):
    """The result lacks this figure, and does not say why."""


class Skipped(Exception):
    """The bench could not measure this, or it is not promised here."""


COMPARISONS = {
    "at most": lambda figure, value: figure <= value,
    "at least": lambda figure, value: figure >= value,
    "below": lambda figure, value: figure < value,
    "exactly": lambda figure, value: figure == value,
}


class Target(NamedTuple):
    name: str
    comparison: str  # one of COMPARISONS
    value: float
    unit: str  # as it stands behind the value; "": a ratio
    figures: dict[str, Callable]  # of each row that has to meet it

    def met_by(self, figure):
        return COMPARISONS[self.comparison](figure, self.value)

    def __str__(self):
        return f"{self.comparison} {with_unit(self.value, self.unit)}"


def with_unit(figure, unit):
    return f"{figure:.5g} {unit}".rstrip()


# --- where a figure stands ----------------------------------------------------

def member(*path, scale=1):
    """The number at out[path[0]][path[1]]..., multiplied by scale."""
    def figure(out):
        for key in path:
            out = out[key]
        return out * scale
    return figure


def count(key):
    """Members of the list at out[key]."""
    def figure(out):
        return len(out[key])
    return figure


def row(field, scale=1, **where):
    """A field of the one row that has these members."""
    def figure(out):
        rows = [r for r in out["rows"]
                if all(r.get(k) == v for k, v in where.items())]
        if len(rows) != 1:
            raise NotMeasured(f"{len(rows)} such rows")
        return rows[0][field] * scale
    return figure


def quotient(dividend, divisor):
    def figure(out):
        by = divisor(out)
        if not by > 0:
            raise NotMeasured(f"divided by {by}")
        return dividend(out) / by
    return figure


def in_lab(measured):
    """What is promised of the lab only."""
    def figure(out):
        if not out["lab"]:
            raise Skipped("promised in the lab only")
        return measured(out)
    return figure


def native_start(out):
    native = out["worker"]["on_the_machine_itself"]
    if "skipped" in native:
        raise Skipped(native["skipped"])
    return native["cpu_ms_before_first_run"]


def system_calls(out):
    if out["system_calls_per_million"] is None:
        raise Skipped("strace is not installed, or may not trace")
    return out["system_calls_per_million"]


def recorded_regret(out):
    if not out["recorded"]:
        raise Skipped("no recorded trace is in the tree")
    return out["mean"]["recorded_percent"]


def longest_batch(out):
    return max(r["move"]["longest_batch_ns"] for r in out["rounds"]) / 1e9


def local_after_moves(kind):
    """Percent of these pages on the new node, after the worst move."""
    def figure(out):
        return min(100 * r["move"][kind + "_pages_local"]
                   / r["move"][kind + "_pages"] for r in out["rounds"])
    return figure


def ratio_of_sizes(what):
    """Of 1 to 256 GiB; NotMeasured: of fewer."""
    def figure(out):
        sizes = [r["gib"] for r in out["rows"]]
        if min(sizes) > 1 or max(sizes) < 256:
            raise NotMeasured(f"{min(sizes)} to {max(sizes)} GiB")
        return out["ratio"][what]
    return figure


def boot(guests, vmm):
    noun = "guest" if guests == 1 else "guests"
    return {f"{guests} {noun}, {vmm}": row("ratio_to_better_qemu",
                                           guests=guests, vmm=vmm)}


def channel(peer):
    return {peer: quotient(row("ns", peer="seqpacket"), row("ns", peer=peer))}


def cow(title):
    return {title: row("times_as_fast_as_better_qemu", row=title)}


def footprint(field, *modes, scale=1):
    return {f"8 guests, {m}": row(field, scale, guests=8, mode=m)
            for m in modes}


def footprint_to_ksm(*modes):
    return {f"8 guests, {m}": quotient(
        row("total", guests=8, mode=m),
        row("total", guests=8, mode="qcow2-ksm")) for m in modes}


def net(field, peer):
    """Disco's figure to that of a peer."""
    return {f"disco to {peer}": quotient(row(field, peer="disco"),
                                         row(field, peer=peer))}


# --- the targets --------------------------------------------------------------

TARGETS = {
    "boot": (
        Target("boot-one-thp", "at most", 0.8, "", boot(1, "disco-thp")),
        Target("boot-one", "at most", 0.8, "", boot(1, "disco")),
        Target("boot-eight", "at most", 0.9, "", boot(8, "disco")),
        Target("boot-private", "at most", 5, "MiB", {
            "worker": member("worker", "private_mib_128")}),
        Target("boot-start", "at most", 8, "ms", {
            "worker on the machine itself": native_start}),
        Target("boot-start-lab", "at most", 0.1, "", {
            "worker in the lab": in_lab(member(
                "worker", "ratio_to_better_qemu"))}),
    ),
    "move": (
        Target("move-time", "at most", 1.25, "", {
            "median": member("median", "ratio")}),
        Target("move-batch", "at most", 8, "s", {
            "longest batch": in_lab(longest_batch)}),
        Target("move-local", "exactly", 100, "%", {
            "memory": local_after_moves("ram"),
            "text": local_after_moves("text")}),
    ),
    "exec": (
        Target("exec-time", "at most", 3, "times", {
            "true, median": member("median", "ratio")}),
    ),
    "hints": (
        Target("hints-sooner", "at least", 3, "times", {
            f"{w}, balanced": row("times_sooner", workload=w,
                                  policy="balanced")
            for w in ("raytrace", "pieces", "database", "pmake")}),
        Target("hints-time", "at most", 1.01, "times", {
            f"{w}, {policy}": quotient(
                row("hinted_work_ms", workload=w, policy=policy),
                row("plain_work_ms", workload=w, policy=policy))
            for w in ("raytrace", "pieces", "database", "pmake", "unused",
                      "shared", "wrong")
            for policy in ("balanced", "migrate", "disco")}),
        Target("hints-cost", "at most", 1, "%", {
            "1 GiB": member("percent_of_a_cpu")}),
    ),
    "figures": (
        Target("figures-stall", "at most", 2, "times", {
            "256 GiB to 1 GiB": ratio_of_sizes("stall")}),
        Target("figures-end", "at most", 2, "times", {
            "256 GiB to 1 GiB": ratio_of_sizes("end")}),
    ),
    "ipis": (
        Target("ipis-ratio", "at most", 4, "times", {
            vcpus: quotient(row("between_us", vcpus=vcpus),
                            row("within_us", vcpus=vcpus))
            for vcpus in ("halting", "spinning")}),
    ),
    "sim": (
        Target("sim-speed", "at least", 20, "M accesses/s", {
            "policy disco, one core": member("mean", "millions_per_s")}),
        Target("sim-regret", "at most", 3, "%", {
            "balanced, geometric mean": member("mean", "regret_percent")}),
        Target("sim-recorded", "at most", 3, "%", {
            "balanced, geometric mean of recorded runs": recorded_regret}),
        Target("sim-worse", "at most", 1.02, "", {
            "balanced to first-touch, worst run": member("worst")}),
        Target("sim-order", "exactly", 0, "findings", {
            "of the paper that do not hold": count("broken")}),
    ),
    "scale": (
        Target("scale-eight", "at most", 1.1, "times", {
            "8 guests, disco": row("ratio_to_q35", guests=8, vmm="disco")}),
        Target("scale-own-cpu", "below", 2, "%", {
            "8 guests, disco": row("own_percent", guests=8, vmm="disco")}),
    ),
    "channel": (
        Target("channel-time", "at least", 10, "times",
               channel("channel") | channel("channel one way")),
        Target("channel-calls", "exactly", 0, "system calls", {
            "a million messages": system_calls}),
    ),
    "ring": (
        Target("ring-rate", "at least", 20, "million frames", {
            "64 bytes": row("per_second", 1e-6, peer="vnet", bytes=64)}),
        Target("ring-socket", "at least", 3, "times", {
            "64 bytes": quotient(row("ns", peer="socket", bytes=64),
                                 row("ns", peer="vnet", bytes=64))}),
    ),
    "cow": (
        Target("cow-hits", "at least", 3, "times",
               cow("4 KiB random reads, hits")),
        Target("cow-writes", "at least", 1, "times",
               cow("4 KiB random writes, flush every 32")),
        Target("cow-cold", "at least", 1, "times",
               cow("64 KiB sequential reads, cold")),
    ),
    "cache": (
        Target("cache-lookup", "at most", 60, "ns", {
            "home node": member("lookup_ns", "home node")}),
    ),
    "locality": (
        Target("locality-local", "at least", 85, "%", {
            "engineering, balanced": row(
                "local_percent", workload="engineering", policy="balanced")}),
        Target("locality-time", "at most", 1.2, "", {
            "engineering, balanced": row(
                "of_uma", workload="engineering", policy="balanced")}),
        Target("locality-worse", "at most", 1.02, "", {
            f"{w}, balanced": row("of_first_touch", workload=w,
                                  policy="balanced")
            for w in ("database", "pmake", "stream")}),
        Target("locality-read", "at least", 85, "%", {
            f"{w}, balanced": row("local_percent", workload=w,
                                  policy="balanced")
            for w in ("raytrace", "raytrace-disk")}),
        Target("locality-read-time", "at most", 1.2, "", {
            f"{w}, balanced": row("of_uma", workload=w, policy="balanced")
            for w in ("raytrace", "raytrace-disk")}),
        Target("locality-written", "at most", 1.02, "", {
            "radix, balanced": row("of_first_touch", workload="radix",
                                   policy="balanced")}),
        Target("locality-wide", "at least", 85, "%", {
            f"{w}, views": row("local_percent", workload=w, policy="views")
            for w in ("raytrace-wide", "engineering-wide")}),
        Target("locality-wide-time", "at most", 1.2, "", {
            f"{w}, views": row("of_uma", workload=w, policy="views")
            for w in ("raytrace-wide", "engineering-wide")}),
        Target("locality-wide-without", "below", 40, "%", {
            "raytrace-wide, no views": row(
                "local_percent", workload="raytrace-wide",
                policy="no-views")}),
        Target("locality-same", "exactly", 0, "workloads", {
            "runs with other results": count("differing")}),
    ),
    "footprint": (
        Target("footprint-image", "at most", 1.15, "",
               footprint("image_to_one_guest", "blk", "pmem")),
        Target("footprint-blk", "at most", 45, "%",
               footprint("of_unshared", "blk-merge", scale=100)),
        Target("footprint-pmem", "at most", 35, "%",
               footprint("of_unshared", "pmem-merge", scale=100)),
        Target("footprint-ksm", "below", 1, "",
               footprint_to_ksm("blk-merge", "pmem-merge")),
    ),
    "net": (
        Target("net-flow", "at least", 1.2, "times", net("flow", "vhost")),
        Target("net-flow-tap", "at least", 3, "times", net("flow", "tap")),
        Target("net-p50", "at most", 0.6, "", net("p50_us", "vhost")),
        Target("net-p99", "at most", 0.5, "", net("p99_us", "vhost")),
        Target("net-cpu", "at most", 0.7, "", net("cpu_per_gb", "vhost")),
    ),
    "nfs": (
        Target("nfs-sequential", "at least", 1.5, "times",
               net("sequential", "vhost")),
        Target("nfs-memory", "at most", 1.5, "", {
            "clients that hint, to one client": row("to_one_client",
                                                    mode="hints")}),
        Target("nfs-refs", "at most", 1.5, "", {
            "clients of a cached disk, to one client": row("to_one_client",
                                                           mode="refs")}),
    ),
    "pmake": (),  # measured beside the paper's; no bound
}


def target(name):
    return next(t for of_bench in TARGETS.values() for t in of_bench
                if t.name == name)
