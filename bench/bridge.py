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
        self.links = []

    def __enter__(self):
        return self

    def make(self):
        for module in ("tun", "bridge", "vhost_net"):
            subprocess.run(["modprobe", module], check=False,
                           capture_output=True)
        if not os.path.exists("/dev/vhost-net"):
            sys.exit("bench: no /dev/vhost-net: what is it to be compared "
                     "with?")
        self.add(BRIDGE, "link", "add", BRIDGE, "type", "bridge")
        ip("link", "set", BRIDGE, "up")

    def add(self, name, *words):
        """A link; one of that name is what a run that was killed has left."""
        subprocess.run(["ip", "link", "del", name], check=False,
                       capture_output=True)
        self.links.append(name)
        ip(*words)

    def tap(self, name, vhost):
        """A tap device at it, as QEMU's -netdev."""
        if not self.links:
            self.make()
        self.add(name, "tuntap", "add", name, "mode", "tap", "vnet_hdr")
        ip("link", "set", name, "master", BRIDGE, "up")
        return (f"tap,ifname={name},script=no,downscript=no,"
                f"vhost={'on' if vhost else 'off'}")

    def __exit__(self, *what):
        for name in reversed(self.links):
            subprocess.run(["ip", "link", "del", name], check=False,
                           capture_output=True)


def nic(netdev, mac):
    """Of qemu_guest(): a network card at this netdev."""
    return ["-netdev", f"{netdev},id=n0",
            "-device", f"virtio-net-pci,netdev=n0,mac={mac}"]
