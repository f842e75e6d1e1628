#!/usr/bin/env -S python3 -S
# SPDX-License-Identifier: BSD-2-Clause
"""What bench/locality.py calls, with no guest: `disco` and `counters`.

A "guest" is a bash on this machine; each of them has a directory for its /tmp, in
FAKE_DIR, and mounting a segment makes a link to a directory of all. Counts are
made up. Called as counters, or with the arguments of disco.
"""
import base64
import json
import os
import signal
import subprocess
import sys

DIR = os.environ["FAKE_DIR"]
FIGURES = {k: 0 for k in ("moves", "failed", "bounced", "spent_ns", "records",
                          "lost", "replicas_refused")}
# Programs of the guests that would change this machine.
PROGRAMS = {
    "mount": 'rmdir "${@: -1}" && ln -s "$FAKE_DIR/all" "${@: -1}"',
    "mkfs.ext4": 'rm -rf "$FAKE_DIR/all"; mkdir "$FAKE_DIR/all"',
    "tcc": 'exec cc "$@"',
    "migratepages": ":",
}


def guests():
    return [name[:-4] for name in os.listdir(DIR) if name.endswith(".pid")]


def pid_of(name):
    with open(f"{DIR}/{name}.pid", encoding="ascii") as f:
        return int(f.read())


def run(args):
    name = args[args.index("--name") + 1]
    with subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as p:
        with open(f"{DIR}/{name}.pid", "w", encoding="ascii") as f:
            f.write(str(p.pid))
        with open(f"{DIR}/log", "a", encoding="utf-8") as f:
            f.write(" ".join(args) + "\n")
        os._exit(0)  # it goes on


def console(name):
    """The protocol of lab/guest/disco/runner."""
    tmp, text = f"{DIR}/{name}", ""
    subprocess.run(["rm", "-rf", tmp], check=True)
    os.mkdir(tmp)
    print("RUNNER ready", flush=True)
    for line in sys.stdin:
        if line.startswith("+"):
            text += line[1:]
            continue
        script = base64.b64decode(text).decode().replace("/tmp", tmp)
        text, nr = "", line.split()[1]
        p = subprocess.run(["bash", "-c", script], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, check=False,
                           stdin=subprocess.DEVNULL)
        print(f"{p.stdout}RUNNER end {nr} {p.returncode}", flush=True)


def disco(args):
    if args[0] == "monitor":
        for name, text in PROGRAMS.items():
            path = f"{DIR}/bin/{name}"
            with open(path, "w", encoding="utf-8") as f:
                f.write(f"#!/bin/bash\n{text}\n")
            os.chmod(path, 0o755)
        print("the monitor is ready", file=sys.stderr, flush=True)
        signal.pause()
    elif args[0] == "run":
        run(args)
    elif args[0] == "console":
        console(args[1])
    elif args[:2] == ["ls", "--names"]:
        print("\n".join(guests()))
    elif args[0] == "ls":
        print(json.dumps({"vms": [{"name": g, "pid": pid_of(g)}
                                  for g in guests()]}))
    elif args[0] == "kill":
        for name in args[1:]:
            os.kill(pid_of(name), signal.SIGKILL)
            os.unlink(f"{DIR}/{name}.pid")
    elif args[:2] == ["policy", "--json"]:
        print(json.dumps(FIGURES))
    elif args[0] == "shm":
        print('{"shms": [{"replicas": null}]}')


def main():
    if sys.argv[0].endswith("counters"):
        if sys.argv[1:] == ["show"]:
            print("all cpus 1000 accesses 60 40 0 0 0 0 5.0")
    else:
        disco(sys.argv[1:])


if __name__ == "__main__":
    main()
