#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Tests of what make-traces leans on, without root: the captures' bounds, stretch.py, wire.py.

  traces_test.py            (exit 0: all hold)
"""

import argparse
import gzip
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True  # the source folder stays clean

import stretch
import wire

HERE = pathlib.Path(__file__).resolve().parent
BYTES_MAX = 10_000_000
PACKETS_MIN = 5_000
JIFFY_SECONDS = 1 / 250
MAGICS = {b"\xd4\xc3\xb2\xa1": 1_000_000, b"\x4d\x3c\xb2\xa1": 1_000_000_000}


def captures():
    return sorted(HERE.glob("*.pcap")) + sorted(HERE.glob("*.pcap.gz"))


def content(path: pathlib.Path) -> bytes:
    return gzip.open(path).read() if path.suffix == ".gz" else path.read_bytes()


def capture_of(times_us) -> bytes:
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    return header + b"".join(struct.pack("<IIII", time // 1_000_000, time % 1_000_000, 3, 60) + b"abc"
                             for time in times_us)


def direction(tags=b"", **options) -> wire.Direction:
    values = {"seed": 1, "loss": 0, "duplicate": 0, "reorder": 0, "hold_ms": 3, "delay_ms": 2,
              "rate_mbit": 0, "tags": "8100:42"}
    return wire.Direction(argparse.Namespace(**{**values, **options}), 0, tags)


class Captures(unittest.TestCase):
    def test_together_they_are_small_and_many_packets(self):
        self.assertLessEqual(sum(path.stat().st_size for path in captures()), BYTES_MAX)
        packets = sum(sum(1 for _ in stretch.records(content(path))) for path in captures())
        self.assertGreater(packets, PACKETS_MIN)

    def test_they_cover_the_link_types_and_both_time_resolutions(self):
        heads = [content(path)[:24] for path in captures()]
        links = {struct.unpack_from("<I", head, 20)[0] for head in heads}
        self.assertEqual(links, {1, 101, 113, 276})  # Ethernet, raw IP, cooked v1, cooked v2
        self.assertEqual({MAGICS[head[:4]] for head in heads}, set(MAGICS.values()))

    def test_the_last_record_of_each_is_whole_and_time_runs_back_by_less_than_a_jiffy(self):
        for path in captures():
            data = content(path)
            unit, end, before = MAGICS[data[:4]], 24, 0.0
            while end < len(data):
                seconds, fraction, captured_bytes, wire_bytes = stretch.RECORD.unpack_from(data, end)
                self.assertLessEqual(captured_bytes, wire_bytes, path.name)
                now = seconds + fraction / unit
                self.assertGreater(now, before - JIFFY_SECONDS, path.name)
                before = now
                end += stretch.RECORD.size + captured_bytes
            self.assertEqual(end, len(data), path.name)

    def test_the_readme_names_each_capture_with_its_number_of_packets(self):
        readme = (HERE / "README.md").read_text()
        for path in captures():
            packets = sum(1 for _ in stretch.records(content(path)))
            self.assertIn(f"| {path.name} | {packets} |", readme)


class Stretch(unittest.TestCase):
    def run_stretch(self, times_us, gaps):
        with tempfile.TemporaryDirectory() as folder:
            source, target = pathlib.Path(folder) / "in", pathlib.Path(folder) / "out"
            source.write_bytes(capture_of(times_us))
            done = subprocess.run([sys.executable, HERE / "stretch.py", source, target,
                                   "--longer-than", "0.4", "--gaps", gaps],
                                  capture_output=True, text=True, timeout=30, check=False)
            return done, target.read_bytes() if target.exists() else None

    def test_only_the_long_pauses_change(self):
        done, out = self.run_stretch([5_000_000, 5_100_000, 5_700_000, 5_700_001, 6_300_000], "30,600")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(out, capture_of([5_000_000, 5_100_000, 35_100_000, 35_100_001, 635_100_001]))

    def test_a_wrong_number_of_gaps_is_refused_and_nothing_is_written(self):
        for gaps in ("30", "30,600,7"):
            done, out = self.run_stretch([0, 600_000, 1_200_000], gaps)
            self.assertEqual(done.returncode, 2)
            self.assertIn("2 pauses", done.stderr)
            self.assertIsNone(out)


class Wire(unittest.TestCase):
    def test_a_sound_cable_delivers_once_after_its_delay(self):
        self.assertEqual([direction().arrivals(b"x" * 60, 10.0) for _ in range(100)], [[10.002]] * 100)

    def test_a_cable_that_loses_all_delivers_nothing_and_one_that_doubles_all_delivers_twice(self):
        self.assertEqual(direction(loss=101).arrivals(b"x" * 60, 1.0), [])
        self.assertEqual(len(direction(duplicate=101).arrivals(b"x" * 60, 1.0)), 2)

    def test_a_held_packet_is_overtaken(self):
        self.assertGreater(direction(reorder=101).arrivals(b"x", 1.0)[0],
                           direction().arrivals(b"x", 1.001)[0])

    def test_the_same_seed_gives_the_same_fates_and_another_seed_others(self):
        def fates(seed):
            way = direction(seed=seed, loss=30)
            return [bool(way.arrivals(b"x", 1.0)) for _ in range(200)]  # equal by chance: p < 1e-47
        self.assertEqual(fates(1), fates(1))
        self.assertNotEqual(fates(1), fates(2))

    def test_tags_go_on_and_come_off(self):
        frame = bytes(12) + b"\x08\x00payload"
        tagged = direction(tags=wire.pack_tags("88a8:7,8100:42")).retag(frame)
        self.assertEqual(tagged[12:20], b"\x88\xa8\x00\x07\x81\x00\x00\x2a")
        self.assertEqual(direction().retag(tagged), frame)
        self.assertEqual(direction().retag(frame), frame)

    def test_a_full_queue_drops_at_the_tail(self):
        way = direction(rate_mbit=1)
        way.waiting_count = wire.QUEUE_PACKETS_MAX
        self.assertEqual(way.arrivals(b"x", 1.0), [])


if __name__ == "__main__":
    unittest.main()
