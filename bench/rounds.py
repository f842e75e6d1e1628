# SPDX-License-Identifier: BSD-2-Clause
"""Rounds of guests, Disco's and QEMU's: shared by benches of whole guests.

A round starts N guests at once and ends when the last has powered off. The
lab's emulator crashes a guest, or the lab, once in a while, whoever runs the
guests (lab/keeper.c). A round in which a guest died is repeated and counted;
what is done is kept in --state, so that a run can go on in a new lab.

header() and write_json() are for benches of other things as well.
"""
import json
import os
import platform
import re
import resource
import selectors
import subprocess
import sys
import tempfile
import time

MARK = b"DISCO-GUEST userspace"
QEMU = "qemu-system-x86_64"
# What guests take of the machine, by the names of /proc/meminfo.
ACCOUNTS = ("Shmem", "AnonPages", "PageTables", "SecPageTables")


def header(a, bench, **more):
    """The first fields of a bench's JSON: which, of what, where; then more."""
    return {"bench": bench, "version": 1, "commit": a.commit,
            "host": platform.node(), "kernel": platform.release(),
            "cpus": os.cpu_count(), "lab": os.environ.get("DISCO_LAB") == "1",
            "rounds": a.rounds, **more}


def disco_commands(a, n, mib, extra="", report=None):
    cmd = [a.disco, "run", "-n", str(n), "--memory", f"{mib}M{extra}", "--kernel",
           a.kernel, "--initrd", a.initrd, "--cmdline", a.cmdline, "--disk",
           f"path={a.disk},ro"]
    if report:
        cmd += ["--report", report]
    return [cmd]


def qemu_commands(a, n, mib, machine, device):
    cmd = [QEMU, "-M", machine, "-accel", "kvm", "-cpu", "host", "-m",
           f"{mib}M", "-nodefaults", "-display", "none", "-no-reboot",
           "-serial", "stdio", "-kernel", a.kernel, "-initrd", a.initrd,
           "-append", a.cmdline, "-drive",
           f"if=none,id=d0,file={a.disk},format=raw,readonly=on",
           "-device", f"{device},drive=d0"]
    return [cmd] * n


def qemu_guest(a, cmdline, *devices, disk="readonly=on"):
    """One guest with the root image and a virtio-serial bus, and devices."""
    return [QEMU, "-M", "q35", "-accel", "kvm", "-cpu", "host", "-m",
            f"{a.memory}M", "-nodefaults", "-display", "none", "-no-reboot",
            "-serial", "null", "-kernel", a.kernel, "-initrd", a.initrd,
            "-append", cmdline, "-drive",
            f"if=none,id=d0,file={a.disk},format=raw,{disk},"
            "file.locking=off",  # Disco has it, too
            "-device", "virtio-blk-pci,drive=d0",
            "-device", "virtio-serial-pci", *devices]


class Monitor:
    """A monitor of its own, for as long as the block runs."""

    def __init__(self, disco, *options):
        self.disco, self.options = disco, options

    def __enter__(self):
        # pylint: disable=consider-using-with # until __exit__
        self.dir = tempfile.TemporaryDirectory()
        os.environ["DISCO_STATE_DIR"] = f"{self.dir.name}/state"
        # A file: nobody reads what it says meanwhile, and a pipe would fill.
        with open(f"{self.dir.name}/said", "wb") as said:
            self.process = subprocess.Popen(
                [self.disco, "monitor", *self.options], stderr=said)
        end = time.monotonic() + 60
        while b"is ready" not in self.said():
            if self.process.poll() is not None or time.monotonic() > end:
                text = self.said().decode(errors="replace")[-1000:]
                self.end()
                raise RoundFailed(f"the monitor did not start: {text}")
            time.sleep(0.05)
        return self

    def said(self):
        with open(f"{self.dir.name}/said", "rb") as f:
            return f.read()

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.dir.cleanup()

    def call(self, *args):
        try:
            p = subprocess.run([self.disco, *args], capture_output=True,
                               text=True, timeout=300, check=False)
        except subprocess.TimeoutExpired as e:
            raise RoundFailed(f"disco {' '.join(args)}: {e}") from e
        if p.returncode:
            raise RoundFailed(f"disco {' '.join(args)}: {p.stderr}")
        return p.stdout

    def merged_pages(self):
        s = json.loads(self.call("stats", "--json"))
        return sum(v["cache"]["merged_pages"] +
                   v["cache"]["refs_merged_pages"] for v in s["vms"])

    def merging_rests(self, window, most):
        """Wait until nothing was merged for window s; at most so many s.

        The pages merged so far, and whether it rests.
        """
        last, now = -1, self.merged_pages()
        end = time.monotonic() + most
        while now != last and time.monotonic() < end:
            time.sleep(window)
            last, now = now, self.merged_pages()
        return now, now == last

    def __exit__(self, *what):
        try:
            names = self.call("ls", "--names").split()
            if names:
                self.call("kill", *names)
        finally:
            if what[0]:
                sys.stderr.write(self.said().decode(errors="replace")[-1000:])
            self.end()


def children_cpu():
    u = resource.getrusage(resource.RUSAGE_CHILDREN)
    return u.ru_utime + u.ru_stime


def busy_s():
    """CPU time of the machine so far that was not idle."""
    with open("/proc/stat", encoding="ascii") as f:
        t = [int(x) for x in f.readline().split()[1:9]]
    return (sum(t) - t[3] - t[4]) / os.sysconf("SC_CLK_TCK")


def meminfo():
    """MiB of each account now."""
    with open("/proc/meminfo", encoding="ascii") as f:
        kib = {m[1]: int(m[2]) for m in
               (re.match(r"(\w+):\s+(\d+)", line) for line in f) if m}
    return {k: kib.get(k, 0) / 1024 for k in ACCOUNTS}


class RoundFailed(Exception):
    """A guest did not reach user space, or ended badly."""


# What else comes of a guest that has died: its console, its process and its
# directories are gone, a command takes for ever, or an answer is cut short.
FAILURES = (RoundFailed, OSError, subprocess.SubprocessError, ValueError,
            LookupError)


def fail(text, output):
    sys.stderr.write(output.decode(errors="replace")[-2000:])
    raise RoundFailed(text)


def one_round(commands, guests, timeout, mark=MARK, watch=None):
    """Start the commands; return (ms to the last marker, CPU seconds).

    watch() is called every half second, with the processes.
    """
    sel = selectors.DefaultSelector()
    cpu, start = children_cpu(), time.monotonic()
    procs = [subprocess.Popen(c, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) for c in commands]
    buffers = {p: b"" for p in procs}
    for p in procs:
        sel.register(p.stdout, selectors.EVENT_READ, p)
    last, seen, next_watch = 0.0, 0, start
    while sel.get_map():
        if watch and time.monotonic() >= next_watch:
            watch(procs)
            next_watch = time.monotonic() + 0.5
        if time.monotonic() - start > timeout:
            for p in procs:
                p.kill()
            fail(f"no end after {timeout} s: {commands[0]}",
                 b"".join(buffers.values()))
        for key, _ in sel.select(0.5):
            p = key.data
            data = os.read(key.fd, 65536)
            if not data:
                sel.unregister(key.fileobj)
                continue
            before = buffers[p].count(mark)
            buffers[p] += data
            now_seen = buffers[p].count(mark) - before
            if now_seen:
                seen += now_seen
                last = time.monotonic()
    status = [p.wait() for p in procs]
    if seen < guests or any(status):
        fail(f"{seen} of {guests} guests came to {mark.decode()}, exit "
             f"status {status}: {' '.join(commands[0])}",
             b"".join(buffers.values()))
    return (last - start) * 1000, children_cpu() - cpu


def repeated(state, what, measure_once):
    """The result of measure_once(), from the state when it is there."""
    if what in state["done"]:
        return state["done"][what]
    for _ in range(4):
        try:
            state["done"][what] = measure_once()
            save(state)
            return state["done"][what]
        except FAILURES as e:
            print(f"  {what}: {type(e).__name__}: {e}; once more",
                  file=sys.stderr, flush=True)
            state["repeated"].append(what)
            save(state)
    sys.exit(f"{what} failed four times")


def load(a):
    state = {"commit": a.commit, "done": {}, "repeated": []}
    if a.state and os.path.exists(a.state):
        with open(a.state, encoding="utf-8") as f:
            kept = json.load(f)
        if kept.get("commit") == a.commit:
            state = kept
        else:
            print(f"{a.state} is of another commit: begun anew",
                  file=sys.stderr, flush=True)
    state["path"] = a.state
    return state


def save(state):
    if not state["path"]:
        return
    with open(state["path"] + ".new", "w", encoding="utf-8") as f:
        json.dump(state, f)
    os.replace(state["path"] + ".new", state["path"])


def arguments(p):
    """What every bench of whole guests takes."""
    p.add_argument("--disco", default="build/release/disco")
    p.add_argument("--kernel", default="build/kernels/guest/vmlinuz")
    p.add_argument("--initrd", default="build/images/initramfs.cpio")
    p.add_argument("--disk", default="build/images/root.ext4")
    p.add_argument("--guests", default="1,4,8",
                   type=lambda s: [int(x) for x in s.split(",")])
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--memory", type=int, default=256, help="MiB a guest")
    p.add_argument("--timeout", type=int, default=180, help="s a round")
    p.add_argument("--commit", default="unknown")
    p.add_argument("--state", help="keep finished rounds here, and go on")
    p.add_argument("--out", help="write JSON here")


def print_heading(out, more=""):
    """The first line of a bench of whole guests."""
    print(f"bench-{out['bench']}: commit {out['commit']}, kernel "
          f"{out['kernel']}, {out['cpus']} CPUs, lab {out['lab']}, median of "
          f"{out['rounds']} rounds, {out['memory_mib']} MiB guests{more}")


def print_repeated(out):
    print(f"repeated because a guest died: {len(out['repeated'])} rounds")


def write_json(path, out):
    if not path:
        return
    with open(path, "w", encoding="utf-8") as f:
        json.dump(out, f, indent=1)
        f.write("\n")
