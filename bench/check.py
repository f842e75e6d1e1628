#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Compare a bench's result with its targets (bench/targets.py).

	bench/check.py NAME OUT.json		what `make bench-NAME CHECK=1` runs
	bench/check.py --specification FILE	are these the targets of FILE?

The first prints one line per figure. The last line is "bench-NAME: target
met", or "bench-NAME: target missed:" and each row that missed its target or is
not there. A figure that the bench skipped, and says why, is shown and does not
count, unless there is no other.

Exit status: 0 all met, or no finding; 1 a target was missed, nothing was
measured, or the file is no result of this bench; for --specification, they
differ; 2 bad usage.
"""
import json
import re
import sys

from targets import TARGETS, NotMeasured, Skipped, with_unit


def figure_of(measured, out):
    try:
        figure = measured(out)
    except KeyError as e:
        raise NotMeasured(f"no {e}") from e
    except (TypeError, ValueError, AttributeError, ArithmeticError) as e:
        raise NotMeasured(f"no number: {e}") from e
    if isinstance(figure, bool) or not isinstance(figure, (int, float)):
        raise NotMeasured("no number")
    return figure


def result_of(name, path):
    """The bench's result; ValueError or OSError says why there is none."""
    with open(path, encoding="utf-8") as f:
        out = json.load(f)
    if not isinstance(out, dict) or out.get("bench") != name:
        raise ValueError("no result of this bench")
    return out


def check(name, out):
    """Print each figure. Return (how many were measured, what was missed)."""
    measured, missed = 0, []
    for t in TARGETS[name]:
        for row, where in t.figures.items():
            what = f"{t.name} ({row})"
            try:
                figure = figure_of(where, out)
            except Skipped as e:
                print(f"skip    {what}: {e}")
                continue
            except NotMeasured as e:
                missed.append(f"{what} not measured ({e}), target {t}")
                print(f"missed  {what}: not measured: {e}; target {t}")
                continue
            measured += 1
            shown = with_unit(figure, t.unit)
            if not t.met_by(figure):
                missed.append(f"{what} {shown}, target {t}")
            print(f"{'met' if t.met_by(figure) else 'missed':8}{what}: {shown};"
                  f" target {t}")
    return measured, missed


def check_result(name, path):
    try:
        measured, missed = check(name, result_of(name, path))
    except (OSError, ValueError) as e:
        measured, missed = 0, [f"{path}: {e}"]
    if not missed and not measured and TARGETS[name]:
        missed = ["nothing was measured"]
    print(f"bench-{name}: target " + (f"missed: {'; '.join(missed)}" if missed
                                      else "met"))
    return 1 if missed else 0


# As it stands in SPECIFICATION.md: `NAME`: COMPARISON NUMBER UNIT
PROMISE = re.compile(r"`([a-z0-9-]+)`: ((?:at|below|exactly)\b[^0-9|]*)"
                     r"([0-9]+(?:\.[0-9]+)?)(?=([^|;]*))")


def differences(lines):
    """A line for each target that the text has not, or has otherwise."""
    targets = {t.name: t for of_bench in TARGETS.values() for t in of_bench}
    seen = set()
    for nr, line in enumerate(lines, 1):
        for name, comparison, value, rest in PROMISE.findall(line):
            t = targets.get(name)
            unit = re.escape(t.unit) if t else ""
            if not t:
                yield f"{nr}: {name} is no target of bench/targets.py"
            elif name in seen:
                yield f"{nr}: {name} stands twice"
            elif (comparison.strip() != t.comparison
                  or float(value) != t.value
                  or not re.match(rf"\s*{unit}(?!\w)", rest)):
                yield f"{nr}: {name} is {t} in bench/targets.py"
            seen.add(name)
    for name in targets.keys() - seen:
        yield f"1: {name} of bench/targets.py is not promised"


def check_specification(path):
    with open(path, encoding="utf-8") as f:
        found = list(differences(f))
    for line in found:
        print(f"{path}:{line}")
    return 1 if found else 0


def main():
    args = sys.argv[1:]
    if len(args) == 2 and args[0] == "--specification":
        return check_specification(args[1])
    if len(args) == 2 and args[0] in TARGETS:
        return check_result(*args)
    print(f"usage: bench/check.py {'|'.join(TARGETS)} OUT.json\n"
          f"       bench/check.py --specification FILE", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
