# SPDX-License-Identifier: BSD-2-Clause
"""What the guests of bench-locality do: scripts, and what guests share."""
import math
import os
import subprocess
from typing import Callable, NamedTuple

GUEST_SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                             "guest")
SEGMENT_MIB = 24
SCENE_MIB = 4
KEYS = 1 << 20  # of 4 bytes, in two arrays
# Of a source in one script: its base64 fits the 4 KiB of a console's line buffer.
PART_BYTES = 2000


class Workload(NamedTuple):
    """Scripts of a guest: once before all runs, one after another; and the work
    of a run.

    Guests that share memory are new for each run, as what they share cannot be
    brought back to where it was. All scripts find the number of the guest in
    $part, and how many guests there are in $parts.
    """
    prepare: list
    work: str
    share: str = ""  # one of SHARES, mounted at /tmp/shared; "": nothing
    fill: str = ""   # the first guest's, before the others mount it


class Share(NamedTuple):
    """How guests come to have one memory."""
    options: Callable  # of disco run; of a and a directory of the bench's own
    make: str    # script of the first guest, before it fills the memory
    join: str    # of each of the others, then


def source(name):
    """Scripts that put guest/NAME into the guest, a part each."""
    path = f"/tmp/bench/guest/{name}"
    scripts = [f"mkdir -p /tmp/bench/guest && : >{path}\n"]
    with open(os.path.join(GUEST_SOURCES, name), encoding="utf-8") as f:
        lines = f.readlines()
    while lines:
        nr = 1
        while nr < len(lines) and sum(map(len, lines[:nr + 1])) < PART_BYTES:
            nr += 1
        scripts.append(f"cat >>{path} <<'EOF'\n{''.join(lines[:nr])}EOF\n")
        del lines[:nr]
    return scripts


def compiled(name, *headers):
    """Scripts that make /tmp/NAME of guest/NAME.c."""
    return [script for f in (*headers, f"{name}.c") for script in source(f)] + [
        f"tcc -I/tmp -o /tmp/{name} /tmp/bench/guest/{name}.c\n"]


# --- what guests share --------------------------------------------------------

def segment(*_):
    return ["--shm", f"name=shared,size={SEGMENT_MIB}M,node=0"]


def scene_disk(a, work):
    """An image with the scene, mapped by all guests; none of them may write it."""
    tree, image = f"{work}/tree", f"{work}/scene.ext4"
    if not os.path.exists(image):
        os.makedirs(tree, exist_ok=True)
        subprocess.run([f"{a.programs}/raytrace", "make", f"{tree}/scene",
                        str(SCENE_MIB), str(a.seed)], check=True)
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-d",
                        tree, image, f"{2 * SCENE_MIB + 8}M"], check=True)
    return ["--disk", f"path={image},ro,pmem"]


def mount(options):
    return (f"set -e\nmkdir -p /tmp/shared\n"
            f"mount -o dax=always,{options} /dev/pmem0 /tmp/shared\n")


MAKE = ("set -e\nmkfs.ext4 -q -F -b 4096 -O ^has_journal "
        "-E lazy_itable_init=0,nodiscard /dev/pmem0\n" + mount("noatime"))
# "written": an ordinary file system has one writer. Here all guests write one file
# that was there, with all of its blocks, before the others mounted it, and nobody
# allocates a block or makes a file after that: besides its pages, they write the
# times of that file.
SHARES = {
    "read": Share(segment, MAKE, mount("ro,noload")),
    "written": Share(segment, MAKE, mount("noatime,noinit_itable")),
    "disk": Share(scene_disk, mount("ro,noload"), mount("ro,noload")),
}

# --- the workloads ------------------------------------------------------------

DATABASE = """
sqlite3 /dev/shm/db <<'SQL'
CREATE TABLE part(id INTEGER PRIMARY KEY, kind INT, price INT);
CREATE TABLE line(id INTEGER PRIMARY KEY, part INT, amount INT, day INT,
	note TEXT);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {parts})
INSERT INTO part SELECT i, i % 25, (i * 7919) % 10007 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {lines})
INSERT INTO line SELECT i, 1 + (i * 104729) % {parts}, (i * 31337) % 50,
	i % 365, 'a remark of some length, as orders have them ' || i FROM n;
COMMIT;
SQL
"""
QUERIES = """
for i in $(seq {queries}); do
sqlite3 /dev/shm/db <<'SQL'
PRAGMA mmap_size=67108864;
PRAGMA temp_store=MEMORY;
SELECT kind, sum(amount * price), count(*) FROM line JOIN part ON
	part.id = line.part WHERE day BETWEEN 30 AND 300 GROUP BY kind
	ORDER BY 2 DESC LIMIT 3;
SELECT day / 30, avg(amount), max(length(note)) FROM line GROUP BY 1;
SQL
done | md5sum
"""


def database(a):
    """Scripts: one that makes the database, and one that asks it."""
    size = {"parts": 500 * a.scale, "lines": 5000 * a.scale,
            "queries": max(a.scale // 4, 1)}
    return DATABASE.format(**size), QUERIES.format(**size)


def workloads(a):
    made, queries = database(a)
    render = (f"/tmp/raytrace run /tmp/shared/scene "
              f"{8 * math.isqrt(64 * a.scale)} $part $parts $(nproc)")
    return {
        "engineering": Workload(compiled("netlist"),
                                f"/tmp/netlist 8 {250000 * a.scale}"),
        "database": Workload([made], queries),
        "pmake": Workload([], "rm -rf /tmp/pmake; make -s -C /usr/src/pmake "
                              "-j1 OUT=/tmp/pmake CC=tcc lua"),
        "stream": Workload(compiled("stream"), f"/tmp/stream 2 {2 * a.scale}"),
        "raytrace": Workload(
            compiled("raytrace", "shared.h"), render, "read",
            f"/tmp/raytrace make /tmp/shared/scene {SCENE_MIB} {a.seed}\n"),
        "raytrace-disk": Workload(
            compiled("raytrace", "shared.h"), render, "disk"),
        "radix": Workload(
            compiled("radix", "shared.h"),
            f"/tmp/radix run /tmp/shared/keys $part 1 {max(a.scale // 2, 1)}",
            "written",
            f"/tmp/radix make /tmp/shared/keys {KEYS} $parts {a.seed}\n"),
    }
