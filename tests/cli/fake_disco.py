#!/usr/bin/env -S python3 -S
# SPDX-License-Identifier: BSD-2-Clause
"""What benches of guests call, with no guest: `disco`, `counters`, QEMU.

A "guest" is a bash on this machine; each of them has a directory for its /tmp, in
FAKE_DIR, and mounting a segment makes a link to a directory of all. Counts are
made up. Recordings are made-up runs of FAKE_REAL, the real program, of FAKE_TRACE.
A cluster's guests share their /srv/share, as those of a server do that
exports it. Called as counters, as QEMU, whose console is its input and output, or
with the arguments of disco. FAKE_DEATH is the number of a script: the first guest
that is to run it dies instead, once.
"""
import base64
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

DIR = os.environ["FAKE_DIR"]
FIGURES = {k: 0 for k in ("moves", "failed", "bounced", "spent_ns", "records",
                          "lost", "replicas_refused", "replicas",
                          "collapsed")}
# Of a guest's terminal: what it keeps until it is read (lab/guest/disco/runner).
TYPED, TYPED_LINE = 4095, 1000
# Programs of the guests that would change this machine.
PROGRAMS = {
    "mount": 'rmdir "${@: -1}" && ln -s "$FAKE_DIR/all" "${@: -1}"',
    "mkfs.ext4": 'rm -rf "$FAKE_DIR/all"; mkdir "$FAKE_DIR/all"',
    "tcc": 'exec cc "$@"',
    "migratepages": ":",
    "modprobe": ":",
    "ip": 'case " $* " in *" show "*) '
          "echo '2: eth0 inet 127.0.0.1/8 scope host eth0';; esac",
    "busybox": ":",
    "sqlite3": "cat >/dev/null; echo 1",
    "make": "sleep 3",
    "sync": ":",
    "disco-hint": ":",
    "exportfs": ":",
    # What a client has read has come from its server.
    "fio": 'printf \'"bw_bytes" : 8000000,\\n\'; '
           'echo bytes: 0 0 0 0 64000000 >>"$FAKE_DIR/mountstats"',
    # The last rate is what has arrived.
    "iperf3": 'printf \'"bits_per_second": 9,\\n"bits_per_second": 8e6,\\n\'',
}
# In place of what tcc makes of pingpong.c.
PINGPONG = "#!/bin/sh\necho pingpong 10.5 20.5\n"


def in_guest(script, name):
    """The script, with what is the guest's own in place of this machine's."""
    own = {"/tmp": name, "/dev/shm": name, "/srv/share": f"{name}/share",
           "/etc/exports.d": f"{name}/exports.d",
           "/run/disco-nfs": f"{name}/disco-nfs",
           "/proc/self/mountstats": "mountstats"}
    script = script.replace("/proc/sys/vm/drop_caches", "/dev/null")
    return re.sub("|".join(own), lambda m: f"{DIR}/{own[m[0]]}", script)


def up(path):
    """A cluster's guests: they are no processes."""
    with open(path, encoding="utf-8") as f:
        roles = json.load(f)["roles"]
    os.makedirs(f"{DIR}/all", exist_ok=True)
    for r in roles:
        nr = r.get("count", 1)
        for i in range(nr):
            name = f"{DIR}/{r['name']}{f'-{i}' if nr > 1 else ''}"
            os.makedirs(f"{name}/exports.d")
            os.symlink(f"{DIR}/all", f"{name}/share")
            with open(f"{name}/up", "w", encoding="ascii"):
                pass
            for file in ("exports.d/disco.exports", "disco-nfs"):
                with open(f"{name}/{file}", "w", encoding="ascii") as f:
                    f.write("#!/bin/sh\n: started\n")


def members(role=""):
    return [n for n in sorted(os.listdir(DIR))
            if n.startswith(role) and os.path.exists(f"{DIR}/{n}/up")]


def execute(role, script):
    for name in members(role):
        p = subprocess.run(["bash", "-c", in_guest(script, name)], text=True,
                           stdout=subprocess.PIPE, check=False,
                           stdin=subprocess.DEVNULL)
        for line in p.stdout.splitlines():
            print(f"{name:10} | {line}")
        if p.returncode:
            sys.exit(p.returncode)


def stats():
    return {"vms": [{"name": n, "ram_pages": 1000,
                     "cache": {"merged_pages": 128,
                               "refs_merged_pages": 128}} for n in members()]}


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


def record(args):
    """Until SIGINT, or the end of it: a file of no name grows, and is as long then."""
    path, ms, ends = args[args.index("-o") + 1], 0, []
    signal.signal(signal.SIGINT, lambda *_: ends.append(1))
    with tempfile.TemporaryDirectory() as work, \
            tempfile.TemporaryFile(dir=os.path.dirname(path)) as growing:
        while not ends and ms < 4000:
            ms += 200
            made = f"{work}/{ms}.trc"
            subprocess.run([os.environ["FAKE_REAL"], "trace", "make", "-o",
                            made, f"{os.environ['FAKE_TRACE']},ms={ms}"],
                           check=True, start_new_session=True)
            growing.truncate(os.path.getsize(made))
            time.sleep(0.05)
        os.rename(made, path)
    print(f"{args[-1]}: recorded, 0 lost")


def dies(nr):
    """Whether this guest is the one that is to die."""
    try:
        if nr == os.environ.get("FAKE_DEATH"):
            os.mkdir(f"{DIR}/died")
            return True
    except FileExistsError:
        pass
    return False


def console(name):
    """The protocol of lab/guest/disco/runner."""
    tmp, text, typed = f"{DIR}/{name}", "", 0
    subprocess.run(["rm", "-rf", tmp], check=True)
    os.mkdir(tmp)
    print("RUNNER ready", flush=True)
    for line in sys.stdin:
        typed += len(line)
        if typed > TYPED or len(line) > TYPED_LINE:
            return  # it has not got all of it
        if line.startswith("+"):
            text += line[1:]
            continue
        script = in_guest(base64.b64decode(text).decode(), name)
        text, typed, nr = "", 0, line.split()[1]
        if dies(nr):
            return
        p = subprocess.run(["bash", "-c", script], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, check=False,
                           stdin=subprocess.DEVNULL)
        print(f"{p.stdout}RUNNER end {nr} {p.returncode}", flush=True)


def make_programs():
    programs = dict(PROGRAMS)
    if os.environ.get("FAKE_PINGPONG"):
        programs["tcc"] = f"printf '{PINGPONG}' >\"$2\"; chmod 755 \"$2\""
    for name, text in programs.items():
        path = f"{DIR}/bin/{name}"
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"#!/bin/bash\n{text}\n")
        os.chmod(path, 0o755)


def disco(args):
    if args[0] == "monitor":
        make_programs()
        print("the monitor is ready", file=sys.stderr, flush=True)
        signal.pause()
    elif args[0] == "run":
        run(args)
    elif args[:2] == ["trace", "record"]:
        record(args)
    elif args[0] in ("trace", "sim"):
        os.execv(os.environ["FAKE_REAL"], ["disco", *args])
    elif args[0] == "console":
        console(args[1])
    elif args[:2] == ["ls", "--names"]:
        print("\n".join(guests() + members()))
    elif args[0] == "ls":
        print(json.dumps({"vms": [{"name": g, "pid": pid_of(g)}
                                  for g in guests()]}))
    elif args[0] == "kill":
        for name in set(args[1:]) & set(members()):
            subprocess.run(["rm", "-rf", f"{DIR}/{name}"], check=True)
        for name in set(args[1:]) & set(guests()):
            os.kill(pid_of(name), signal.SIGKILL)
            os.unlink(f"{DIR}/{name}.pid")
    elif args[:2] == ["policy", "--json"]:
        print(json.dumps(FIGURES))
    elif args[0] == "up":
        up(args[1])
    elif args[0] == "down":
        for name in members():
            subprocess.run(["rm", "-rf", f"{DIR}/{name}"], check=True)
    elif args[0] == "exec":
        execute(args[1].split("/")[1], args[-1])
    elif args[0] == "stats":
        print(json.dumps(stats()))
    elif args[0] == "shm":
        print('{"shms": [{"replicas": null}]}')


def main():
    if sys.argv[0].endswith("counters"):
        if sys.argv[1:] == ["show"]:
            print("all cpus 1000 accesses 60 40 0 0 0 0 5.0")
    elif "qemu" in sys.argv[0]:
        console(f"qemu{os.getpid()}")
    else:
        disco(sys.argv[1:])


if __name__ == "__main__":
    main()
