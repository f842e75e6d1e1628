# SPDX-License-Identifier: BSD-2-Clause
"""The plot of bench-locality, beside Figure 8 of Disco (SOSP'97).

PLOT.dat has a line per bar, PLOT.gp is gnuplot's, PLOT.svg is what it makes.
"""
import shutil
import subprocess

# Time with first-touch (static) placement = 100; local misses in %.
PAPER = {
    "Engineering (paper)": (("static", 100, 16), ("Disco", 67, 78),
                            ("UMA", 48, 100)),
    "Raytrace (paper)": (("static", 100, 6), ("Disco", 62, 76),
                         ("UMA", 49, 100)),
}
SCRIPT = """set terminal svg size 1200,480 font 'sans,11'
set output '{plot}.svg'
set style fill solid 0.6 border -1
set boxwidth 0.8
set yrange [0:*]
set ylabel 'modelled time, first-touch = 100'
set xtics rotate by -45
set grid ytics
set offsets 0, 0, graph 0.08, 0
set title 'Locality by policy, commit {commit}: bars are times, labels are local misses'
plot '{plot}.dat' using 1:4:xtic(3) with boxes notitle, \\
     '' using 1:4:(sprintf('%.0f %%', $5)) with labels offset 0,0.6 notitle, \\
     '' using 1:(strlen(strcol(6)) > 1 ? 0 : 1/0):6 with labels \\
     offset 0,-5 left notitle
"""


def bars(out):
    """Groups of (label, time, local): measured ones, then the paper's."""
    groups = {}
    for r in out["rows"]:
        groups.setdefault(r["workload"], []).append(
            (r["policy"], 100 * r["of_first_touch"], r["local_percent"]))
    return {**groups, **PAPER}


def write_plot(plot, out):
    at = 0
    with open(f"{plot}.dat", "w", encoding="utf-8") as f:
        f.write("# x workload bar time local group-label\n")
        for name, group in bars(out).items():
            for i, (label, time, local) in enumerate(group):
                f.write(f'{at} "{name}" "{label}" {time:.1f} {local:.1f} '
                        f'"{name if i == 0 else "-"}"\n')
                at += 1
            at += 1
    with open(f"{plot}.gp", "w", encoding="utf-8") as f:
        f.write(SCRIPT.format(plot=plot, commit=out["commit"]))
    if not shutil.which("gnuplot"):
        print(f"no gnuplot here: {plot}.gp is not drawn")
        return
    subprocess.run(["gnuplot", f"{plot}.gp"], check=True, timeout=60)
