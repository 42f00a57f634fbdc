#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Datagrams that no everyday program sends on demand: UDP streams, extension headers, fragments.

  talk_datagram.py PREFIX streams|trace|odd     (needs root; PREFIX names the run's namespaces)

streams  UDP: two-way for more than 2 s, one-way, late answers, checksum 0, many short ones, a NAT-like
         burst of ports
trace    UDP, TCP and echo with rising TTL: time exceeded on the way, port unreachable at the end
odd      protocols 50, 89 and 253; IPv4 options; IPv6 extension headers; fragments; ICMP timestamp
"""

import os
import socket
import struct
import sys

from namespace import CLIENT, SECONDS_MAX, SERVER, Lab, pause
from talk_tcp import checksum

IP_OPTIONS, IP_TTL, SO_NO_CHECK = 4, 2, 11
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_DONT = 10, 23, 0
RECORD_ROUTE_9 = bytes([7, 39, 4]) + bytes(36) + b"\0"
TIMESTAMP_5 = bytes([68, 24, 5, 0]) + bytes(20)
# A header of 8 bytes whose option is PadN of 4 bytes; next header and length are the kernel's.
PAD_HEADER = bytes([0, 0, 1, 4, 0, 0, 0, 0])
IPV6_HOPOPTS, IPV6_DSTOPTS, IPV6_UNICAST_HOPS = 54, 59, 16


class Pair:
    """A UDP socket on each side, connected to each other."""

    def __init__(self, lab: Lab, version: int, client_port: int, server_port: int):
        self.near = lab.open(lab.client, version, socket.SOCK_DGRAM)
        self.far = lab.open(lab.server, version, socket.SOCK_DGRAM)
        self.near.bind((CLIENT[version], client_port))
        self.far.bind((SERVER[version], server_port))
        self.near.connect((SERVER[version], server_port))
        self.far.connect((CLIENT[version], client_port))

    def ask(self, size_bytes=60) -> None:
        self.near.send(os.urandom(size_bytes))
        self.far.recv(65536)

    def answer(self, size_bytes=200) -> None:
        self.far.send(os.urandom(size_bytes))
        self.near.recv(65536)

    def close(self) -> None:
        self.near.close()
        self.far.close()


def streams(lab: Lab) -> None:
    calls = [Pair(lab, version, 41000 + number, 41100 + number)
             for version in (4, 6) for number in range(3)]
    late = [Pair(lab, version, 42000, 42100) for version in (4, 6)]
    one_way = [Pair(lab, version, 43000, 514) for version in (4, 6)]
    unchecked = Pair(lab, 4, 44000, 44100)
    for sock in (unchecked.near, unchecked.far):
        sock.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
    for pair in late:
        pair.ask()
    for tick in range(150):  # 3 s at 50 packets a second and way, as a telephone call
        for pair in calls:
            pair.ask(160)
            pair.answer(160)
        if tick % 5 == 0:
            unchecked.ask()
            unchecked.answer()
            for pair in one_way:
                pair.near.send(b"<14>host program: something happened")
        if tick == 140:  # 2.8 s later
            for pair in late:
                pair.answer()
                pair.ask()
        pause(0.02)
    for version in (4, 6):
        for number in range(150):  # one question, one answer, never seen again
            pair = Pair(lab, version, 45000 + number, 45999)
            pair.ask(40 + number % 50)
            if number % 10 != 9:
                pair.answer(40 + number % 400)
            pair.close()
    for pair in calls + late + one_way + [unchecked]:
        pair.close()


def trace(lab: Lab) -> None:
    for version, level, hops in ((4, socket.IPPROTO_IP, IP_TTL),
                                 (6, socket.IPPROTO_IPV6, IPV6_UNICAST_HOPS)):
        for number in range(12):
            probe = lab.open(lab.client, version, socket.SOCK_DGRAM)
            probe.setsockopt(level, hops, 1 + number // 6)
            probe.sendto(bytes(32), (SERVER[version], 33434 + number))
            pause(0.01)
            probe.close()
        for _ in range(3):
            probe = lab.open(lab.client, version)
            probe.setsockopt(level, hops, 1)
            probe.setblocking(False)
            probe.connect_ex((SERVER[version], 80))
            pause(0.05)
            probe.close()


def other_protocols(lab: Lab, version: int) -> None:
    """Raw sockets on both sides, so that no "protocol unreachable" comes back, but for 89."""
    for protocol in (253, 50):
        near = lab.open(lab.client, version, socket.SOCK_RAW, protocol)
        far = lab.open(lab.server, version, socket.SOCK_RAW, protocol)
        for number in range(20):
            near.sendto(struct.pack("!II", 0xC0FFEE, number) + os.urandom(64), (SERVER[version], 0))
            far.recv(2048)
            if number % 2:
                far.sendto(struct.pack("!II", 0xBEEF, number) + os.urandom(64),
                           (CLIENT[version], 0))
                near.recv(2048)
        near.close()
        far.close()
    near = lab.open(lab.client, version, socket.SOCK_RAW, 89)
    for _ in range(5):
        near.sendto(os.urandom(44), (SERVER[version], 0))
        pause(0.02)
    near.close()


def icmp_queries(lab: Lab) -> None:
    """Timestamp (answered by the server), information and mask requests (not answered)."""
    raw = lab.open(lab.client, 4, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    for kind, body in ((13, bytes(12)), (15, b""), (17, bytes(4))):
        for number in range(3):
            message = struct.pack("!BBHHH", kind, 0, 0, 700 + kind, number) + body
            message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
            raw.sendto(message, (SERVER[4], 0))
            pause(0.01)
    raw.close()


def with_options(lab: Lab) -> None:
    """UDP and TCP with IPv4 options, then with IPv6 hop-by-hop and destination headers."""
    versions = ((4, ((socket.IPPROTO_IP, IP_OPTIONS, RECORD_ROUTE_9),)),
                (4, ((socket.IPPROTO_IP, IP_OPTIONS, TIMESTAMP_5),)),
                (6, ((socket.IPPROTO_IPV6, IPV6_HOPOPTS, PAD_HEADER),)),
                (6, ((socket.IPPROTO_IPV6, IPV6_DSTOPTS, PAD_HEADER),)),
                (6, ((socket.IPPROTO_IPV6, IPV6_HOPOPTS, PAD_HEADER),
                     (socket.IPPROTO_IPV6, IPV6_DSTOPTS, PAD_HEADER))))
    for number, (version, options) in enumerate(versions):
        pair = Pair(lab, version, 46000 + number, 46100 + number)
        listener = lab.listen(version, 8000 + number)
        near = lab.open(lab.client, version)
        for level, name, value in options:
            pair.near.setsockopt(level, name, value)
            near.setsockopt(level, name, value)
        for _ in range(5):
            pair.ask()
            pair.answer()
        near.connect((SERVER[version], 8000 + number))
        far, _ = listener.accept()
        for _ in range(3):
            near.sendall(b"options in every segment")
            far.recv(100)
            far.sendall(b"none on the way back")
            near.recv(100)
        near.close()
        far.close()
        listener.close()
        pair.close()


def fragments(lab: Lab) -> None:
    for version in (4, 6):
        pair = Pair(lab, version, 47000, 47100)
        # IPv4: no DF bit, so that the router may fragment too.
        level, name = ((socket.IPPROTO_IP, IP_MTU_DISCOVER) if version == 4
                       else (socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER))
        pair.near.setsockopt(level, name, PMTUDISC_DONT)
        pair.near.send(os.urandom(1400))  # IPv6: "packet too big" comes back, the datagram is lost
        pause(0.1)
        pair.far.settimeout(0.2)
        try:
            pair.far.recv(65536)
        except TimeoutError:
            pass
        pair.far.settimeout(SECONDS_MAX)
        for size_bytes in (1300, 2000, 4000, 9000, 30000):
            pair.ask(size_bytes)
            pair.answer(size_bytes)
        pair.close()


def odd(lab: Lab) -> None:
    for version in (4, 6):
        other_protocols(lab, version)
    icmp_queries(lab)
    with_options(lab)
    fragments(lab)


def main() -> None:
    cases = {"streams": streams, "trace": trace, "odd": odd}
    if len(sys.argv) != 3 or sys.argv[2] not in cases:
        sys.exit(__doc__)
    cases[sys.argv[2]](Lab(sys.argv[1]))


if __name__ == "__main__":
    main()
