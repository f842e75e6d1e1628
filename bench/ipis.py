#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""bench-ipis: an interrupt from vCPU to vCPU of a guest with two views, against one
within a view. tests/lab/ipis measures round trips of both by turns, of vCPUs that
halt and of vCPUs that spin, in a lab that does nothing else.

Exit status 1: the program failed, or its output lacks a time.
"""
import argparse
import re
import subprocess
import sys

from rounds import header, write_json

LINE = re.compile(r"# (\w+): ([0-9.]+) us within a view, ([0-9.]+) us between")


def rows_of(text):
    """From what tests/lab/ipis prints."""
    return [{"vcpus": vcpus, "within_us": float(within), "between_us": float(between)}
            for vcpus, within, between in LINE.findall(text)]


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("--ipis", required=True, help="program to run")
    p.add_argument("--trips", type=int, default=1000, help="of one try (1000)")
    p.add_argument("--rounds", type=int, default=9, help="tries, by turns (9)")
    p.add_argument("--commit", default="")
    p.add_argument("--out", help="write the result as JSON")
    a = p.parse_args()
    run = subprocess.run([a.ipis, str(a.trips), str(a.rounds)], text=True,
                         stdout=subprocess.PIPE, check=False)
    out = header(a, "ipis", rows=rows_of(run.stdout))
    if run.returncode or len(out["rows"]) != 2:
        sys.exit(f"bench-ipis: {a.ipis} ended with {run.returncode}:\n{run.stdout}")
    print(f"bench-ipis: {out['host']}, Linux {out['kernel']}, commit {out['commit']}, "
          f"lab {out['lab']}, best of {a.rounds}")
    for r in out["rows"]:
        print(f"{r['vcpus']:10}{r['within_us']:10.1f} us within a view"
              f"{r['between_us']:10.1f} us between two"
              f"{r['between_us'] / r['within_us']:8.2f} times")
    write_json(a.out, out)


if __name__ == "__main__":
    main()
