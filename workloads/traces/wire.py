#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A cable in user space between two network namespaces, with loss, delay, reordering and tags.

  wire.py KIND:NAMESPACE:DEVICE KIND:NAMESPACE:DEVICE [options]      (needs root)

KIND is `tap` (Ethernet frames) or `tun` (raw IP); both ends are of one kind. The devices are
created in their namespaces and vanish when the program ends. It prints `ready` when both exist.

  --delay-ms N      every packet takes N milliseconds
  --loss P          a packet is lost with P percent
  --duplicate P     a packet arrives twice with P percent
  --reorder P       a packet is held back by --hold-ms more with P percent, so later ones overtake it
  --hold-ms N       see --reorder (default 3)
  --rate-mbit N     serialises at N Mbit/s; more than 250 packets waiting are dropped at the tail
  --tags A,B        frames that leave at the second device get these VLAN tags, outermost first, each
                    TPID:ID in hexadecimal and decimal (8100:42); at the first device they are removed
  --seed N          of the random choices (default 1): the n-th packet of a direction always has the
                    same fate

Why not tc netem and an 802.1Q device: not every kernel has them, and netem takes no seed before
Linux 6.5. Where the kernel has netem, make-traces prefers it for loss (see there).
"""

import argparse
import heapq
import os
import random
import select
import struct
import time

from namespace import open_device

QUEUE_PACKETS_MAX = 250
FRAME_BYTES_MAX = 65536
MACS_BYTES = 12
TPIDS = (0x8100, 0x88A8)


class Direction:
    """One way through the cable: decides each packet's fate and when it arrives."""

    def __init__(self, options, number: int, tags: bytes):
        self.options = options
        self.random = random.Random(options.seed * 2 + number)
        self.tags = tags
        self.free_at = 0.0
        self.waiting_count = 0

    def retag(self, frame: bytes) -> bytes:
        if self.tags:
            return frame[:MACS_BYTES] + self.tags + frame[MACS_BYTES:]
        if self.options.tags:
            while struct.unpack_from("!H", frame, MACS_BYTES)[0] in TPIDS:
                frame = frame[:MACS_BYTES] + frame[MACS_BYTES + 4:]
        return frame

    def arrivals(self, frame: bytes, now: float) -> list:
        """Arrival times of the copies of this packet; empty when it is lost."""
        options = self.options
        lost, twice, held = (self.random.uniform(0, 100) for _ in range(3))
        if lost < options.loss or self.waiting_count >= QUEUE_PACKETS_MAX:
            return []
        if options.rate_mbit:
            self.free_at = max(self.free_at, now) + len(frame) * 8 / (options.rate_mbit * 1e6)
        at = max(self.free_at, now) + options.delay_ms / 1e3
        if held < options.reorder:
            at += options.hold_ms / 1e3
        return [at, at] if twice < options.duplicate else [at]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first")
    parser.add_argument("second")
    for name in ("--delay-ms", "--loss", "--duplicate", "--reorder", "--rate-mbit"):
        parser.add_argument(name, type=float, default=0.0)
    parser.add_argument("--hold-ms", type=float, default=3.0)
    parser.add_argument("--tags", default="")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def pack_tags(text: str) -> bytes:
    packed = b""
    for tag in filter(None, text.split(",")):
        tpid, vlan = tag.split(":")
        packed += struct.pack("!HH", int(tpid, 16), int(vlan))
    return packed


def main() -> None:
    options = parse()
    first = open_device(*options.first.split(":"))
    second = open_device(*options.second.split(":"))
    ways = {first: (second, Direction(options, 0, pack_tags(options.tags))),
            second: (first, Direction(options, 1, b""))}
    print("ready", flush=True)
    in_flight, order = [], 0
    while True:
        now = time.monotonic()
        while in_flight and in_flight[0][0] <= now:
            _, _, to, frame, way = heapq.heappop(in_flight)
            way.waiting_count -= 1
            try:
                os.write(to, frame)
            except OSError:
                pass  # the device at the other end is down: a cable that is not plugged in yet
        wait = max(0.0, in_flight[0][0] - now) if in_flight else 1.0
        for source in select.select([first, second], [], [], wait)[0]:
            frame = os.read(source, FRAME_BYTES_MAX)
            to, way = ways[source]
            for at in way.arrivals(frame, time.monotonic()):
                way.waiting_count += 1
                order += 1
                heapq.heappush(in_flight, (at, order, to, way.retag(frame), way))


if __name__ == "__main__":
    main()
