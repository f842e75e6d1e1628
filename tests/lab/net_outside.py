#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""net_outside.py ADDRESS KNOCK-PORT - what a tiny guest with an uplink talks to.

Answers questions that come to port 7777 of ADDRESS by UDP. Then knocks at the
published port of 127.0.0.1, until the guest answers. Prints what it has heard.
"""
import socket
import sys

ROUNDS = 600


def main():
    """Return the exit status."""
    address, knock = sys.argv[1], int(sys.argv[2])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 7777))
        server.settimeout(1)
        for _ in range(ROUNDS):
            try:
                text, who = server.recvfrom(100)
            except socket.timeout:
                continue
            print("outside: asked", text.decode(), flush=True)
            server.sendto(b"answer", who)
            break
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(0.5)
            for _ in range(ROUNDS):
                client.sendto(b"knock", ("127.0.0.1", knock))
                # The answer may have been lost.
                try:
                    print("outside: heard",
                          client.recv(100).decode(), flush=True)
                    for _ in range(5):
                        client.sendto(b"bye", ("127.0.0.1", knock))
                    return 0
                except (socket.timeout, ConnectionError):
                    pass
                try:
                    server.settimeout(0.01)
                    _, who = server.recvfrom(100)
                    server.sendto(b"answer", who)
                except socket.timeout:
                    pass
    return 1


if __name__ == "__main__":
    sys.exit(main())
