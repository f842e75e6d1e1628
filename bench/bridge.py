# SPDX-License-Identifier: BSD-2-Clause
"""A bridge with tap devices for QEMU's guests, as rival of Disco's networks."""
import os
import subprocess
import sys

BRIDGE = "benchnet"


def ip(*words):
    p = subprocess.run(["ip", *words], capture_output=True, text=True,
                       check=False)
    if p.returncode:
        sys.exit(f"bench: ip {' '.join(words)}: {p.stderr.strip()}")


class Bridge:
    """The bridge and its tap devices, for as long as the block runs."""

    def __init__(self):
        self.taps = []

    def __enter__(self):
        for module in ("tun", "bridge", "vhost_net"):
            subprocess.run(["modprobe", module], check=False,
                           capture_output=True)
        if not os.path.exists("/dev/vhost-net"):
            sys.exit("bench: no /dev/vhost-net: what is it to be compared "
                     "with?")
        ip("link", "add", BRIDGE, "type", "bridge")
        ip("link", "set", BRIDGE, "up")
        return self

    def tap(self, name, vhost):
        """A tap device at it, as QEMU's -netdev."""
        ip("tuntap", "add", name, "mode", "tap", "vnet_hdr")
        self.taps.append(name)
        ip("link", "set", name, "master", BRIDGE, "up")
        return (f"tap,ifname={name},script=no,downscript=no,"
                f"vhost={'on' if vhost else 'off'}")

    def __exit__(self, *what):
        for name in [*self.taps, BRIDGE]:
            ip("link", "del", name)


def nic(netdev, mac):
    """Of qemu_guest(): a network card at this netdev."""
    return ["-netdev", f"{netdev},id=n0",
            "-device", f"virtio-net-pci,netdev=n0,mac={mac}"]
