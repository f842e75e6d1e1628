#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""bench-pmake: one compile job on 8 CPUs, divided among 1, 2, 4 and 8 guests.

Figure 7 of the paper: pmake on 8 CPUs under Disco with 1 VM of 8 CPUs, and with
2, 4 and 8 VMs, relative to IRIX without Disco (100): 136, 92, 64, 60; 8 VMs that
share files by NFS: 86. Here each configuration is a cluster (disco up): one guest
more exports the sources by NFS, the others compile equal parts of them, with as
many jobs as they have virtual CPUs, into their own memory. The time is from the
start of the command in all guests (disco exec) to the end of the last. There is
no system without Disco to compare with, so times are relative to those of one
guest with 8 CPUs, as are the paper's. Rounds are interleaved.
"""
import argparse
import statistics
import subprocess
import sys
import time

from clusters import Cluster, role
from rounds import (Monitor, RoundFailed, arguments, header, load,
                    print_heading, print_repeated, repeated, write_json)

CPUS = 8
PAPER = {1: 136, 2: 92, 4: 64, 8: 60}
PAPER_NFS = 86  # 8 VMs that share by NFS
# The sources of one guest: every Nth of all, in order of their names.
COMPILE = """
cd /srv/src || exit
mapfile -t all < <(find {trees} -name '*.c' | sort | head -n {files})
mine=()
for ((i = {me}; i < ${{#all[@]}}; i += {guests})); do
    mine+=("/tmp/out/${{all[i]%.c}}.o")
done
make -s -j{jobs} OUT=/tmp/out CC={cc} "${{mine[@]}}" && echo built ${{#mine[@]}}
"""


def cluster(a, guests):
    """The file of a cluster of so many compiling guests."""
    memory = max(a.memory * CPUS // guests // 2, 256)
    return {
        "cluster": "pmake",
        "nfs": {"role": "server", "export": "/srv/src",
                "options": "vers=4.2,hard,ro"},
        "roles": [
            role(a, "server", 384, {"snapshot": True}, huge="thp",
                 start=["cp -a /usr/src/pmake/. /srv/src/"]),
            role(a, "node", memory, {"ro": True}, huge="thp", count=guests,
                 cpus=CPUS // guests,
                 health=["test -e /srv/src/Makefile"])]}


def script(a, guests):
    """What each guest runs; its number is the end of its name."""
    return ("me=$(hostname); me=${me##*-}; [ $me = node ] && me=0\n" +
            COMPILE.format(trees=" ".join(a.trees), files=a.files, me="me",
                           guests=guests, jobs=CPUS // guests, cc=a.cc))


def measure(a, guests):
    """Seconds of the job, in a cluster that comes up for it."""
    with Monitor(a.disco, "--balance=off") as m, \
            Cluster(a, m, cluster(a, guests)) as c:
        start = time.monotonic()
        said = c.exec("node", script(a, guests))
        seconds = time.monotonic() - start
        built = sum(int(line.split()[-1]) for lines in said.values()
                    for line in lines if line.startswith("built "))
        if built != a.files:
            raise RoundFailed(f"{built} of {a.files} built")
    return seconds


def summarise(a, state, seconds):
    median = {n: statistics.median(v) for n, v in seconds.items()}
    first = median[a.guests[0]]
    return header(a, "pmake", seed=None, memory_mib=a.memory, files=a.files,
                  compiler=a.cc, repeated=state["repeated"], rows=[
                      {"guests": n, "vcpus": CPUS // n, "s": round(t, 2),
                       "all_s": [round(x, 2) for x in seconds[n]],
                       "relative": round(t / first, 3),
                       "paper": round(PAPER[n] / PAPER[1], 3)}
                      for n, t in median.items()],
                  paper_nfs=round(PAPER_NFS / PAPER[1], 3))


def plot(path, out):
    """Bars: the paper's and ours, side by side."""
    lines = "\n".join(
        f'"{r["guests"]} of {r["vcpus"]}" {r["paper"] * 100:.1f} '
        f'{r["relative"] * 100:.1f} ' +
        (f'{out["paper_nfs"] * 100:.1f}' if r["guests"] == CPUS else "0")
        for r in out["rows"])
    program = f"""
set terminal svg size 720,420
set output '{path}'
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.8 border -1
set yrange [0:*]
set ylabel 'time, 1 guest of 8 virtual CPUs = 100'
set xlabel 'guests of virtual CPUs'
set title 'pmake on 8 CPUs'
$data << EOD
{lines}
EOD
plot $data using 2:xtic(1) title 'Disco, 1997', \\
     '' using 4 title 'Disco, 1997, with NFS', \\
     '' using 3 title 'this tree, with NFS'
"""
    subprocess.run(["gnuplot"], input=program, text=True, check=True)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments(p)
    p.add_argument("--files", type=int, default=160, help="to compile")
    p.add_argument("--trees", default="lua/src,tommath,tomcrypt/src",
                   type=lambda s: s.split(","))
    p.add_argument("--cc", default="tcc")
    p.add_argument("--plot", help="write an SVG here")
    p.set_defaults(guests=list(PAPER), timeout=900)
    a = p.parse_args()
    state = load(a)
    seconds = {n: [] for n in a.guests}
    for r in range(a.rounds):
        for n in a.guests:
            seconds[n].append(repeated(
                state, f"round {r}, {n} guests",
                lambda n=n: measure(a, n)))
    out = summarise(a, state, seconds)
    print_heading(out, f", {a.files} files, {a.cc}")
    print(f"{'guests':>6} {'vcpus':>6} {'s':>8} {'ours':>6} {'paper':>6}")
    for r in out["rows"]:
        print(f"{r['guests']:6} {r['vcpus']:6} {r['s']:8.1f} "
              f"{r['relative'] * 100:6.0f} {r['paper'] * 100:6.0f}")
    print(f"the paper's 8 guests with NFS: {out['paper_nfs'] * 100:.0f}")
    print_repeated(out)
    write_json(a.out, out)
    if a.plot:
        plot(a.plot, out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
