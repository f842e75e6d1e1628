#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""bench-net: two stock guests that talk, over Disco's network and over QEMU's.

Pairs of guests with the same kernel, images and command line:

	disco	the virtual shared-memory network (--net name=lan)
	vhost	QEMU, tap devices at a bridge, vhost-net
	tap	the same without vhost-net: QEMU's own thread copies
	stream	QEMU, -netdev stream, a Unix socket between the two

All pairs run all the time, and measurements take turns: the bytes of one TCP
flow and of four (iperf3), datagrams of 64 bytes that arrive, and round trips of
64 bytes over TCP (guest/pingpong.c). CPU is that of the whole machine during one
flow, as vhost-net's is of no process of QEMU's; other pairs are idle. "loopback"
is one flow inside one guest: what its kernel alone can do.
"""
import argparse
import os
import statistics
import sys
import tempfile

from bridge import Bridge, nic
from consoles import CMDLINE, QEMU_CONSOLE, Console, word_of
from rounds import (Monitor, RoundFailed, arguments, busy_s, header, load,
                    print_heading, print_repeated, qemu_guest, repeated,
                    write_json)

PEERS = ("disco", "vhost", "tap", "stream")
PINGPONG = os.path.join(os.path.dirname(os.path.abspath(__file__)), "guest",
                        "pingpong.c")
# Of iperf3's JSON the last of these figures is what has arrived.
IPERF = ("iperf3 -c {to} -p 5201 -J {how} >/tmp/j || "
         "{{ tail -3 /tmp/j; exit 1; }}; "
         "awk '/bits_per_second/ {{ v = $2 }} END {{ print \"bits\", v + 0 }}' "
         "/tmp/j")


def netdevs(peer, bridge, tmp):
    """Of a pair's two guests."""
    if peer == "stream":
        where = f"addr.type=unix,addr.path={tmp}/stream"
        return [f"stream,server=on,{where}", f"stream,server=off,{where}"]
    return [bridge.tap(f"bn{peer}{i}", peer == "vhost") for i in range(2)]


def qemu_pair(a, peer, bridge, tmp):
    pair = []
    for i, netdev in enumerate(netdevs(peer, bridge, tmp)):
        mac = f"52:54:00:00:{PEERS.index(peer):02x}:{i:02x}"
        pair.append(Console(f"{peer}{i}",
                            qemu_guest(a, CMDLINE, *nic(netdev, mac),
                                       *QEMU_CONSOLE), a.timeout))
        pair[-1].ready()  # the first is the stream's server
    return pair


def disco_pair(a, monitor):
    names = ["disco0", "disco1"]
    for n in names:
        monitor.call("run", "-d", "--name", n, "--memory",
                     f"{a.memory}M,huge=thp", "--kernel", a.kernel, "--initrd",
                     a.initrd, "--cmdline", CMDLINE, "--disk",
                     f"path={a.disk},ro", "--net", "name=lan")
    pair = [Console(n, [a.disco, "console", n], a.timeout) for n in names]
    for c in pair:
        c.ready()
    return pair


DHCP = """
cat >/run/udhcpc.sh <<'END'
#!/bin/bash
[[ $1 != bound ]] || ip addr replace $ip/$mask dev $interface
END
chmod +x /run/udhcpc.sh
ip link set eth0 up
busybox udhcpc -i eth0 -n -q -f -t 20 -T 1 -s /run/udhcpc.sh
ip -4 -o addr show dev eth0 | awk '{ split($4, a, "/"); print "address", a[1] }'
"""


def set_up(peer, pair):
    """Addresses, servers in the second; the address that they have."""
    with open(PINGPONG, encoding="utf-8") as f:
        source = f.read()
    to = f"10.99.{PEERS.index(peer)}.2"
    for i, c in enumerate(pair):
        if peer == "disco":
            to = word_of(c.do(DHCP), "address")[0]
        else:
            c.do(f"ip link set eth0 up; "
                 f"ip addr add {to[:-1]}{i + 1}/24 dev eth0")
        c.do("ip link set lo up\n"
             f"cat >/tmp/p.c <<'EOF'\n{source}EOF\n"
             "tcc -o /tmp/pingpong /tmp/p.c && iperf3 -s -D && "
             "{ /tmp/pingpong >/dev/null 2>&1 & }")
    pair[0].do(f"until busybox ping -c 1 -W 1 {to}; do sleep 0.2; done")
    return to


def flow(client, to, how):
    """Bytes per second that arrive, and CPU seconds per 10^9 of them."""
    cpu = busy_s()
    said = client.do(IPERF.format(to=to, how=how))
    rate = float(word_of(said, "bits")[0]) / 8
    if not rate:
        raise RoundFailed(f"{client.name}: nothing arrived")
    return rate, busy_s() - cpu


def one_round(a, client, to):
    one, cpu = flow(client, to, f"-n {a.megabytes}M")
    # The bytes of all four.
    four, _ = flow(client, to, f"-P 4 -n {a.megabytes}M")
    small, _ = flow(client, to, f"-u -l 64 -b 0 -t {a.seconds}")
    p50, p99 = word_of(client.do(f"/tmp/pingpong {to} {a.trips}"), "pingpong")
    return {"flow": one / 1e6, "flows": four / 1e6,
            "packets": small / 64,
            "p50_us": float(p50), "p99_us": float(p99),
            "cpu_per_gb": cpu / (a.megabytes * 2**20 / 1e9)}


def measure(a):
    """Rounds of each peer."""
    rounds = {p: [] for p in a.peers}
    with tempfile.TemporaryDirectory() as tmp, Monitor(a.disco) as m, \
            Bridge() as bridge:
        pairs, address, loopback = {}, {}, []
        try:
            for p in a.peers:
                pairs[p] = (disco_pair(a, m) if p == "disco" else
                            qemu_pair(a, p, bridge, tmp))
                address[p] = set_up(p, pairs[p])
            for r in range(a.rounds):
                for p in a.peers:
                    rounds[p].append(one_round(a, pairs[p][0], address[p]))
                    print(f"  round {r + 1}, {p}: {rounds[p][-1]}",
                          file=sys.stderr, flush=True)
                loopback.append(flow(pairs[a.peers[0]][0], "127.0.0.1",
                                     f"-n {a.megabytes}M")[0] / 1e6)
        finally:
            for c in [c for pair in pairs.values() for c in pair]:
                c.close()
    return {"rounds": rounds, "loopback": loopback}


FIGURES = ("flow", "flows", "packets", "p50_us", "p99_us", "cpu_per_gb")


def summarise(a, state, measured):
    rows = [{"peer": p, **{k: statistics.median(r[k] for r in rounds)
                           for k in FIGURES}, "all": rounds}
            for p, rounds in measured["rounds"].items()]
    return header(a, "net", seed=None, memory_mib=a.memory,
                  megabytes=a.megabytes, trips=a.trips,
                  loopback=statistics.median(measured["loopback"]),
                  repeated=state["repeated"], rows=rows)


def print_rows(out):
    print(f"{'':8}{'MB/s':>9}{'4 flows':>9}{'64 B/s':>10}{'p50 us':>9}"
          f"{'p99 us':>9}{'CPU s/GB':>10}")
    for r in out["rows"]:
        print(f"{r['peer']:8}{r['flow']:9.1f}{r['flows']:9.1f}"
              f"{r['packets']:10.0f}{r['p50_us']:9.1f}{r['p99_us']:9.1f}"
              f"{r['cpu_per_gb']:10.1f}")
    print(f"loopback in one guest {out['loopback']:.1f} MB/s")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments(p)
    p.add_argument("--peers", default=",".join(PEERS),
                   type=lambda s: s.split(","))
    p.add_argument("--megabytes", type=int, default=32, help="of a flow")
    p.add_argument("--seconds", type=int, default=3, help="of datagrams")
    p.add_argument("--trips", type=int, default=500)
    p.set_defaults(memory=192, rounds=5, timeout=300)
    a = p.parse_args()
    state = load(a)
    out = summarise(a, state, repeated(state, "net", lambda: measure(a)))
    print_heading(out)
    print_rows(out)
    print_repeated(out)
    write_json(a.out, out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
