#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Rewrites the time stamps of a capture so that its pauses become long; changes nothing else.

  stretch.py IN.pcap OUT.pcap --longer-than SECONDS --gaps A,B,C,...

The n-th pause between two packets that is longer than SECONDS becomes the n-th of the gaps (in
seconds); all other distances stay. The number of such pauses must be the number of gaps given,
else nothing is written and the exit status is 2. Reads classic little-endian pcap with microseconds.
"""

import argparse
import os
import struct
import sys

HEADER_BYTES = 24
RECORD = struct.Struct("<IIII")
MAGIC_MICROSECONDS = b"\xd4\xc3\xb2\xa1"


def records(data: bytes):
    """Yields (time in microseconds, captured length, wire length, payload)."""
    at = HEADER_BYTES
    while at < len(data):
        seconds, micros, captured_bytes, wire_bytes = RECORD.unpack_from(data, at)
        at += RECORD.size
        yield seconds * 1_000_000 + micros, captured_bytes, wire_bytes, data[at:at + captured_bytes]
        at += captured_bytes


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--longer-than", type=float, required=True)
    parser.add_argument("--gaps", required=True)
    options = parser.parse_args()
    gaps = [int(float(gap) * 1_000_000) for gap in options.gaps.split(",")]
    with open(options.source, "rb") as source:
        data = source.read()
    if data[:4] != MAGIC_MICROSECONDS:
        sys.exit(f"{options.source}: not a little-endian microsecond pcap; capture it with tcpdump")
    out, shift, previous, found = [data[:HEADER_BYTES]], 0, None, []
    for time_us, captured_bytes, wire_bytes, payload in records(data):
        if previous is not None and time_us - previous > options.longer_than * 1e6:
            found.append((time_us - previous) / 1e6)
            if len(found) <= len(gaps):
                shift += gaps[len(found) - 1] - (time_us - previous)
        previous = time_us
        moved = time_us + shift
        out.append(RECORD.pack(moved // 1_000_000, moved % 1_000_000, captured_bytes, wire_bytes))
        out.append(payload)
    if len(found) != len(gaps):
        print(f"{options.source}: {len(found)} pauses over {options.longer_than} s, {len(gaps)} gaps "
              f"given; pauses found: {', '.join(f'{gap:.2f}' for gap in found)}", file=sys.stderr)
        sys.exit(2)
    with open(options.target + ".part", "wb") as target:
        target.write(b"".join(out))
    os.replace(options.target + ".part", options.target)


if __name__ == "__main__":
    main()
