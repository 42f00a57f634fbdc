#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Tests of ctbench as a user calls it: what goes in, what is read, the exit code.

    cli_test.py CTBENCH        (exit 0: all hold)
"""

import gzip
import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DNS = "workloads/traces/dns.pcap"
CTBENCH = None
LIMIT_S = 100  # no call may take longer


def raw_capture(protonum, transport):
    """A pcap of one IPv4 packet, without a link layer."""
    def header(checksum):
        return (struct.pack("!BBHIBBH", 0x45, 0, 20 + len(transport), 0, 64, protonum, checksum) +
                bytes([10, 0, 0, 1, 10, 0, 0, 2]))
    total = sum(struct.unpack("!10H", header(0)))
    packet = header(~(total + (total >> 16)) & 0xffff) + transport
    return (struct.pack("<IHHIIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101) +
            struct.pack("<IIII", 1, 0, len(packet), len(packet)) + packet)


def ctbench(*arguments, data=None):
    return subprocess.run([CTBENCH, *arguments], cwd=ROOT, input=data, capture_output=True, timeout=LIMIT_S)


class Cli(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return str(pathlib.Path(self.folder.name) / name)

    def file(self, name, data):
        pathlib.Path(self.path(name)).write_bytes(data)
        return self.path(name)

    def good(self, *arguments, data=None):
        """stdout of a call that must succeed."""
        done = ctbench(*arguments, data=data)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout.decode()

    def refused(self, *arguments, data=None):
        """The one line on stderr of a call that must be refused with exit 2."""
        done = ctbench(*arguments, data=data)
        lines = done.stderr.decode().splitlines()
        self.assertEqual(done.returncode, 2, done.stdout.decode() + done.stderr.decode())
        self.assertEqual(len(lines), 1, lines)
        self.assertTrue(lines[0].startswith("ctbench: "), lines[0])
        return lines[0]


class Usage(Cli):
    def test_unknown_names_get_the_nearest_one(self):
        self.assertIn("did you mean replay?", self.refused("replya"))
        self.assertIn("did you mean rcu?", self.refused("replay", DNS, "--impl", "rcuu"))
        self.assertIn("did you mean noop?", self.refused("bench", "--impl", "nope"))

    def test_what_is_missing_or_out_of_range_is_named(self):
        self.assertIn("no verb", self.refused())
        self.assertIn("captures", self.refused("replay"))
        for option, value in [("--hash", "md5"), ("--zone", "70000"), ("--zone", "-1"), ("--seed", "-1"),
                              ("--buckets", "0"), ("--json", "/nonexistent/x.json")]:
            self.assertIn(option, self.refused("replay", DNS, option, value))
        for option, value in [("--connections", "0"), ("--threads", "0"), ("--repetitions", "x")]:
            self.assertIn(option, self.refused("bench", option, value))

    def test_help_and_version(self):
        self.assertIn("replay", self.good("--help"))
        self.assertRegex(self.good("--version"), r"^ctbench \d")
        for verb in "list", "doctor", "replay", "verify", "flood", "conform", "faults", "bench":
            self.assertIn("--impl", self.good(verb, "--help"))

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([CTBENCH, "replay", DNS, "--dump"], cwd=ROOT, stdout=full,
                                  stderr=subprocess.PIPE, timeout=LIMIT_S)
        self.assertEqual(done.returncode, 2)
        self.assertIn("No space left", done.stderr.decode())


class Listing(Cli):
    def test_every_implementation_is_listed_with_its_letters(self):
        text = self.good("list")
        for impl in "locked_map", "rcu", "rcu_bp", "rcu_mb", "rcu_qsbr", "spinlock", "tbb", "noop":
            self.assertRegex(text, rf"(?m)^  {impl} ")
        self.assertIn("promises A.1", text)

    def test_every_sysctl_is_listed_with_default_and_range(self):
        text = self.good("list", "--sysctls", "--json", self.path("l.json"))
        self.assertRegex(text, r"(?m)^  nf_conntrack_udp_timeout_stream +120  s +0-8589934 +netns ")
        self.assertRegex(text, r"(?m)^  nf_conntrack_count +0  entries +read only ")
        with open(self.path("l.json"), encoding="utf-8") as file:
            rows = {row["name"]: row for row in json.load(file)["rows"]}
        self.assertEqual(len(rows), len([line for line in text.splitlines() if " nf_conntrack_" in line]))
        self.assertEqual(rows["nf_conntrack_tcp_timeout_established"]["default"], 432000)
        self.assertFalse(rows["nf_conntrack_max"]["is_per_netns"])

    def test_doctor_says_of_each_line_whether_it_is_here(self):
        lines = self.good("doctor").splitlines()
        self.assertGreater(len(lines), 5)
        for line in lines[:-1]:
            self.assertRegex(line, r"^(ok|no) ")


class Model(Cli):
    def test_a_good_configuration_is_counted_as_tlc_counts_it(self):
        text = self.good("model", "Peterson/good", "--edges", "--json", self.path("m.json"))
        self.assertRegex(text, r"(?m)^Peterson/good +20 +36 +6 .* no invariant broken$")
        self.assertRegex(text.splitlines()[-1], r"^all as expected: 1 configurations")
        with open(self.path("m.json"), encoding="utf-8") as file:
            row = json.load(file)["rows"][0]
        self.assertEqual((row["distinct"], row["generated"], row["depth"], row["edges"]), (20, 36, 6, 34))
        self.assertEqual(row["steps"], {"Begin": 12, "Announce": 12, "Enter": 4, "Leave": 6})

    def test_what_is_expected_to_break_is_shown_and_good(self):
        text = self.good("model", "turn_first", "--itf", self.path("t.itf.json"))
        self.assertIn("broken as expected: MutualExclusion", text)
        self.assertRegex(text, r"(?m)^    7  Enter\(p\d\)$")
        with open(self.path("t.itf.json"), encoding="utf-8") as file:
            self.assertEqual(len(json.load(file)["states"]), 7)

    def cfg(self, text):
        folder = pathlib.Path(self.path("Peterson"))
        folder.mkdir()
        (folder / "a.cfg").write_text(text, encoding="utf-8")
        return str(folder / "a.cfg")

    def test_what_breaks_unexpectedly_and_what_does_not_break_is_bad(self):
        text = (ROOT / "spec/tla/Peterson/turn_first.cfg").read_text(encoding="utf-8")
        path = self.cfg(text.replace("Expect: MutualExclusion", ""))
        self.assertIn("  broken: MutualExclusion", self.bad("model", path))
        good = (ROOT / "spec/tla/Peterson/good.cfg").read_text(encoding="utf-8")
        pathlib.Path(path).write_text("\\* Expect: deadlock\n" + good, encoding="utf-8")
        self.assertIn("NOT broken: deadlock", self.bad("model", path))

    def bad(self, *arguments):
        done = ctbench(*arguments)
        self.assertEqual(done.returncode, 1, done.stderr.decode())
        return done.stdout.decode()

    def test_a_bad_file_or_name_is_refused_in_one_line(self):
        path = self.cfg("SPECIFICATION Spec\nINVARIANT MutualExclusoin\n")
        self.assertIn("a.cfg:2: Peterson has no invariant 'MutualExclusoin': did you mean MutualExclusion?",
                      self.refused("model", path))
        self.assertIn("did you mean Peterson/good?", self.refused("model", "Peterson/godo"))
        self.assertIn("/nonexistent", self.refused("model", "--models", "/nonexistent"))
        self.assertIn("--memory", self.refused("model", "--memory", "much"))

    def test_a_limit_gives_no_verdict(self):
        done = ctbench("model", "Peterson/good", "--states", "5")
        self.assertEqual(done.returncode, 2)
        self.assertIn("stopped at 6 states: the limit is 5 states", done.stdout.decode())

    def test_every_configuration_is_listed_with_what_it_must_break(self):
        text = self.good("model", "--list")
        self.assertRegex(text, r"(?m)^  Peterson/unfair +small +breaks WaitsThenWorks$")


class Fuzz(Cli):
    def test_a_corpus_is_replayed_without_libfuzzer(self):
        text = self.good("fuzz", "--target", "helper", "workloads/fuzz/helper", "--impl", "rcu,spinlock",
                         "--json", self.path("f.json"))
        self.assertRegex(text.splitlines()[-1], r"^no finding: [\d,]+ inputs replayed$")
        with open(self.path("f.json"), encoding="utf-8") as file:
            result = json.load(file)
        self.assertEqual(result["figures"]["target"], "helper")
        self.assertGreater(result["figures"]["executions"], 20)

    def test_what_is_missing_is_named(self):
        self.assertIn("did you mean tracker?", self.refused("fuzz", "--target", "trackr"))
        self.assertIn("cmake --workflow --preset fuzz",
                      self.refused("fuzz", "--target", "packet", "--program", "/nonexistent"))
        self.assertIn("/nonexistent", self.refused("fuzz", "--target", "packet", "/nonexistent"))
        self.assertIn("tracks", self.refused("fuzz", "--target", "packet", "--impl", "noop",
                                             "workloads/fuzz/packet"))
        self.assertIn("without --impl", self.refused("fuzz", "--target", "packet", "--impl", "rcu"))
        self.assertRegex(self.good("list"), r"(?m)^  tracker ")

    def test_the_progress_and_the_finding_of_a_search_are_read(self):
        program = self.file("fuzzer", b"""#!/bin/sh
printf '#2\\tINITED cov: 7 ft: 8 corp: 1/1b exec/s: 0 rss: 44Mb\\n' >&2
printf '#20\\tNEW    cov: 9 ft: 12 corp: 3/5b lim: 4 exec/s: 9 rss: 44Mb\\n' >&2
case "$*" in *seed=2*)
  echo 'ctbench_fuzz: finding: packet: planted' >&2
  echo "artifact_prefix='x'; Test unit written to x/packet-crash-1" >&2
  exit 77
esac
""")
        pathlib.Path(program).chmod(0o755)
        call = ["fuzz", "--target", "packet", "--program", program, "--corpus", self.path("corpus"),
                "--findings", self.path("findings"), "--json", self.path("f.json")]
        self.assertIn("no finding: 20 executions", self.good(*call))
        done = ctbench(*call, "--seed", "2")
        self.assertEqual(done.returncode, 1, done.stderr.decode())
        self.assertIn("FINDING ctbench_fuzz: finding: packet: planted", done.stdout.decode())
        self.assertIn("--target=packet x/packet-crash-1", done.stdout.decode())
        with open(self.path("f.json"), encoding="utf-8") as file:
            result = json.load(file)
        self.assertEqual((result["figures"]["edges"], result["figures"]["findings"]), (9, 1))
        self.assertTrue(pathlib.Path(self.path("findings"), "packet.log").read_text(encoding="utf-8"))


class Replay(Cli):
    def test_all_agree_on_every_capture_of_the_project(self):
        captures = sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("workloads/traces/*.pcap*"))
        text = self.good("replay", *captures, "--impl", "all", "--json", self.path("r.json"))
        self.assertRegex(text.splitlines()[-1],
                         r"^all implementations agree: [\d,]+ packets, [\d,]+ connections$")
        with open(self.path("r.json"), encoding="utf-8") as file:
            result = json.load(file)
        self.assertEqual((result["schema"], result["verb"], result["exit"], result["seed"]),
                         ("ctbench/1", "replay", 0, 1))
        self.assertEqual(result["verdict"], "all implementations agree")
        self.assertGreater(len(result["rows"]), 3)
        self.assertTrue(all(row["agrees"] for row in result["rows"]))
        self.assertGreater(min(row["packets"] for row in result["rows"]), 5000)

    def test_dump_is_what_conntrack_prints_and_nothing_else(self):
        text = self.good("replay", DNS, "--impl", "rcu", "--dump")
        line = re.compile(r"^(tcp      6 \d+ [A-Z_]+|udp      17 \d+|icmp     1 \d+|icmpv6   58 \d+) "
                          r"src=\S+ dst=\S+ .*mark=0 use=1$")
        self.assertGreater(len(text.splitlines()), 100)
        for found in text.splitlines():
            self.assertRegex(found, line)

    def test_sysctls_are_in_force_for_all(self):
        long = self.good("replay", DNS, "--impl", "rcu,tbb", "--dump")
        given = ["--sysctl", "net.netfilter.nf_conntrack_udp_timeout=5", "--sysctl", "acct=1"]
        short = self.good("replay", DNS, "--impl", "rcu,tbb", "--dump", *given)
        seconds = re.compile(r"(?m)^udp +17 (\d+) ")
        self.assertGreater(max(map(int, seconds.findall(long))), 5)
        self.assertLess(max(map(int, seconds.findall(short))), 5)
        self.assertNotIn(" packets=", long)
        self.assertTrue(all(" packets=" in line for line in short.splitlines()))

    def test_checksums_of_captures_are_believed_unless_they_are_to_be_verified(self):
        datagram = struct.pack("!HHHH", 4000, 53, 8, 0x1234)  # a wrong sum
        capture = self.file("wrong.pcap", raw_capture(17, datagram))
        self.assertIn("sport=4000", self.good("replay", capture, "--impl", "rcu", "--dump"))
        verified = "replay", capture, "--impl", "rcu", "--verify-checksums"
        self.assertIn("invalid 1,", self.good(*verified))
        self.assertIn("sport=4000", self.good(*verified, "--sysctl", "checksum=0", "--dump"))

    def test_dccp_is_generic_unless_it_is_asked_for(self):
        request = struct.pack("!HHBBHBBHI", 4000, 5001, 4, 0, 0, 1, 0, 0, 1)
        capture = self.file("dccp.pcap", raw_capture(33, request))
        replay = "replay", capture, "--impl", "rcu", "--dump"
        self.assertRegex(self.good(*replay), r"^dccp     33 599 src=\S+ dst=\S+ sport=0 dport=0 ")
        tracked = self.good(*replay, "--dccp", "--sysctl", "dccp_timeout_request=9")
        self.assertRegex(tracked, r"^dccp     33 [89] REQUEST src=\S+ dst=\S+ sport=4000 ")
        self.assertIn("unknown sysctl", self.refused(*replay, "--sysctl", "dccp_loose=0"))

    def test_the_size_of_the_table_is_a_sysctl_too_for_every_table(self):
        self.assertIn("all implementations agree",
                      self.good("replay", DNS, "--sysctl", "nf_conntrack_buckets=37").splitlines()[-1])

    def test_a_sysctl_that_cannot_be_set_says_what_to_do(self):
        for given, hint in [("udp_timeou=5", "did you mean nf_conntrack_udp_timeout?"),
                            ("net.netfilter.nf_conntrack_tcp_lose=5",
                             "did you mean nf_conntrack_tcp_loose?"),
                            ("x=1", "ctbench list --sysctls"), ("udp_timeout", "write NAME=VALUE"),
                            ("udp_timeout=", "give a number from 0 to 8589934 s"),
                            ("udp_timeout=-1", "give a number from 0 to 8589934 s"),
                            ("acct=2", "give a number from 0 to 1"),
                            ("nf_conntrack_buckets=0", "give a number from 1 to 268435455 buckets"),
                            ("nf_conntrack_count=1", "is read only")]:
            for verb in ["replay", DNS], ["bench"]:
                self.assertIn(hint, self.refused(*verb, "--sysctl", given))

    def test_events_are_what_conntrack_prints_and_their_sum_is_the_dump(self):
        text = self.good("replay", DNS, "--impl", "rcu,tbb,locked_map", "--events")
        line = re.compile(r"^(    \[NEW\]| \[UPDATE\]|\[DESTROY\]) "
                          r"(tcp      6|udp      17|icmp     1|icmpv6   58) "
                          r"(\d+ )?([A-Z_0-9]+ )?src=\S+ dst=\S+ .*\S$")
        lines = text.splitlines()
        self.assertGreater(len(lines), 100)
        for found in lines:
            self.assertRegex(found, line)
        new = sum(found.startswith("    [NEW]") for found in lines)
        destroyed = sum(found.startswith("[DESTROY]") for found in lines)
        dump = self.good("replay", DNS, "--impl", "rcu", "--dump").splitlines()
        self.assertEqual(new - destroyed, len(dump))

    def test_a_helper_is_named_in_the_dump_and_what_it_expects_in_its_own(self):
        ftp = ("replay", "workloads/traces/ftp.pcap.gz", "--impl", "rcu")
        lines = self.good(*ftp, "--helper", "ftp:21", "--dump").splitlines()
        control = [line for line in lines if " dport=21 " in line.split("src=")[1]]
        self.assertEqual(len(control), 26)
        for line in control:
            self.assertRegex(line, r"\[ASSURED\] mark=0 helper=ftp use=\d+$")
        self.assertNotIn("helper=", self.good(*ftp, "--dump"))
        self.assertEqual(self.good(*ftp, "--helper", "ftp:21", "--expect"), "")  # all used or gone
        loose = self.good(*ftp, "--helper", "ftp:21", "--ftp-loose", "--dump")
        self.assertEqual(loose.splitlines(), lines)  # these servers name no third host

    def test_a_helper_that_makes_no_sense_is_refused(self):
        for text in ("telnet:23", "ftp", "ftp:", "ftp:0", "ftp:65536", "ftp:21x"):
            self.assertIn("--helper " + text, self.refused("replay", DNS, "--helper", text))

    def test_stats_is_a_line_for_the_cpu(self):
        text = self.good("replay", DNS, "--impl", "rcu", "--stats")
        self.assertRegex(text, r"(?m)^cpu=0 +\tfound=0 invalid=0 ")

    def test_stdin_gzip_and_file_are_the_same_traffic(self):
        data = (ROOT / DNS).read_bytes()
        plain = self.good("replay", DNS, "--impl", "rcu", "--dump")
        self.assertEqual(plain, self.good("replay", "-", "--impl", "rcu", "--dump", data=data))
        self.assertEqual(plain, self.good("replay", "-", "--impl", "rcu", "--dump", data=gzip.compress(data)))

    def test_a_seed_repeats_its_run(self):
        runs = {self.good("replay", DNS, "--impl", "rcu", "--seed", "7", "--dump") for _ in range(2)}
        self.assertEqual(len(runs), 1)

    def test_of_a_truncated_capture_the_whole_packets_are_tracked(self):
        cut = self.file("cut.pcap", (ROOT / DNS).read_bytes()[:30001])
        done = ctbench("replay", cut, "--json", self.path("r.json"))
        self.assertEqual(done.returncode, 2)
        errors = done.stderr.decode().splitlines()
        self.assertEqual(len(errors), 1)
        self.assertRegex(errors[0], r"cut\.pcap: cut after packet 265 \(.*\); record or copy it again")
        self.assertIn("all implementations agree: 265 packets", done.stdout.decode().splitlines()[-1])
        with open(self.path("r.json"), encoding="utf-8") as file:
            self.assertEqual(json.load(file)["exit"], 2)

    def test_what_is_no_capture_is_refused(self):
        text = self.file("text.pcap", b"hello, this is text\n")
        self.assertIn("neither pcap nor pcapng", self.refused("replay", text))
        self.assertIn("none.pcap", self.refused("replay", self.path("none.pcap")))
        self.assertIn("is a directory", self.refused("replay", self.folder.name))
        self.assertIn("empty", self.refused("replay", self.file("empty.pcap", b"")))

    def test_the_result_file_is_written_whole_or_not_at_all(self):
        before = self.file("kept.json", b"kept")
        self.refused("replay", self.path("none.pcap"), "--json", before)
        self.assertEqual(pathlib.Path(before).read_bytes(), b"kept")
        self.assertEqual([p.name for p in pathlib.Path(self.folder.name).iterdir()], ["kept.json"])


class Verify(Cli):
    def test_runs_are_judged_and_the_last_line_says_so(self):
        out = self.good("verify", "mixed", "same_tuple", "--impl", "rcu,spinlock", "--ops", "2000")
        self.assertIn("all allowed: 4 runs", out.splitlines()[-1])

    def test_a_fingerprint_names_what_a_table_needs(self):
        out = self.good("verify", "same_tuple", "--fingerprint", "--impl", "spinlock", "--ops", "5000")
        self.assertIn("spinlock     needs", out)
        self.assertIn("  clash_merge: confirm of ", out)
        self.assertIn("no table needs what it promises not to", out)

    def test_the_trace_of_a_run_is_one_of_the_contract_machine(self):
        one = ("verify", "resize", "--ops", "2000", "--trace", self.path("run.ndjson"))
        self.good(*one, "--impl", "rcu", "--threads", "1")
        out = self.good("model", "--accept", self.path("run.ndjson"))
        self.assertIn("accepted: ", out)
        self.assertIn("--threads 1", self.refused(*one, "--impl", "rcu", "--threads", "2"))
        self.assertIn("--impl rcu", self.refused(*one, "--threads", "1"))
        held = ("verify", "mixed", "--impl", "rcu", "--threads", "1", "--trace", self.path("no.ndjson"))
        self.assertIn("looks for another", self.refused(*held))
        self.assertFalse(pathlib.Path(self.path("no.ndjson")).exists())

    def test_workloads_are_listed_with_their_questions(self):
        out = self.good("verify", "--list")
        self.assertIn("Is exactly one entry made", out)

    def test_a_saved_history_is_judged_again(self):
        made = b"0-3 in 0 made 7\n4-5 confirm 7 0 1 inserted\n"
        allowed = self.file("a.history", made + b"6-8 find 1 found 7 reply\n")
        self.assertIn("allowed: 3 operations", self.good("verify", "mixed", "--replay", allowed))
        missed = self.file("b.history", made + b"6-8 find 1 missed\n")
        forbidden = ctbench("verify", "mixed", "--replay", missed)
        self.assertEqual(forbidden.returncode, 1)
        self.assertIn("* thread", forbidden.stdout.decode())
        self.assertIn("VIOLATED: 3 operations", forbidden.stdout.decode())
        broken = self.file("c.history", b"no\n")
        self.assertIn("c.history: ", self.refused("verify", "mixed", "--replay", broken))

    def test_what_makes_no_sense_is_refused(self):
        self.assertIn("none of these has a table", self.refused("verify", "--impl", "noop"))
        self.assertIn("cannot be read", self.refused("verify", "no_such_workload"))
        self.assertIn("name the workload", self.refused("verify", "--replay", "a.history"))


class Flood(Cli):
    SMALL = ("flood", "--connections", "300", "--rate", "500", "--max", "500", "--buckets", "512")

    def test_a_full_table_shows_who_gets_through_with_early_drop_and_without(self):
        text = self.good(*self.SMALL, "--impl", "rcu,tbb,noop", "--json", self.path("f.json"))
        self.assertRegex(text.splitlines()[-1],
                         r"^every law of a full table held: with early drop [\d.]+ to [\d.]+ %.*; without ")
        with open(self.path("f.json"), encoding="utf-8") as file:
            result = json.load(file)
        self.assertEqual([(row["impl"], row["early_drop_is_on"]) for row in result["rows"]],
                         [("rcu", True), ("tbb", True), ("rcu", False), ("tbb", False)])
        for row in result["rows"]:
            self.assertEqual((row["tried"], row["count_left"], row["is_good"]), (300, 0, True))
            self.assertLessEqual(row["count_peak"], 500)
        shares = [row["share"] for row in result["rows"]]
        self.assertGreater(min(shares[:2]), max(shares[2:]))
        text = self.good(*self.SMALL, "--impl", "rcu", "--no-early-drop")
        self.assertEqual(len(re.findall(r"(?m)^rcu ", text)), 1)

    def test_a_limit_set_as_sysctl_is_the_one_that_counts(self):
        self.good(*self.SMALL, "--impl", "rcu", "--sysctl", "nf_conntrack_max=300",
                  "--json", self.path("f.json"))
        with open(self.path("f.json"), encoding="utf-8") as file:
            self.assertEqual({row["count_peak"] for row in json.load(file)["rows"]}, {300})

    def test_a_flood_that_makes_no_sense_is_refused(self):
        self.assertIn("noop has no table", self.refused("flood", "--impl", "noop"))
        self.assertIn("shorten the round trip", self.refused(*self.SMALL, "--rtt-ms", "600000"))
        for option, value in [("--max", "0"), ("--connections", "0"), ("--ratio", "-1"), ("--rate", "0")]:
            self.assertIn(option, self.refused("flood", option, value))


class Conform(Cli):
    """On a machine without root, TUN or netfilter every run says that it was skipped, and is good."""

    def run_it(self, *arguments):
        text = self.good("conform", *arguments, "--out", self.path("found"), "--json", self.path("c.json"))
        with open(self.path("c.json"), encoding="utf-8") as file:
            result = json.load(file)
        if "skipped" in result["verdict"]:
            self.assertRegex(text, r"(?m)^skipped: linux \(needs .+\)$")
            self.skipTest(text.strip())
        return text, result

    def test_generated_packets_have_no_unexplained_difference(self):
        text, result = self.run_it("--packets", "5000", "--seed", "3", "--impl", "rcu")
        self.assertEqual(text.splitlines()[-1], "no unexplained difference: 5,000 packets")
        self.assertIn("against Linux ", text)
        self.assertRegex(text, r"(?m)^coverage: TCP table \d+ of 120 cells, 114 can be reached; "
                               r"SCTP table \d+ of 198 cells, 184 can be reached; DCCP table: none, .*; "
                               r"ICMP types .*; sysctls \d+ of \d+ that a run varies$")
        self.assertEqual(result["figures"]["states"], 5000)
        for key, all_cells, least in ("tcp_cells", 114, 90), ("sctp_cells", 184, 60):
            self.assertGreater(result["figures"][key], least)
            self.assertEqual(len(result["figures"]["cells_missing"][key]), all_cells - result["figures"][key])
        self.assertNotIn("dccp_cells", result["figures"])
        self.assertFalse(pathlib.Path(self.path("found")).exists())

    def test_captures_have_no_unexplained_difference(self):
        text, result = self.run_it("--pcap", DNS, "workloads/traces/resets.pcap", "--impl", "locked_map")
        self.assertIn("dns.pcap: 1,224 packets, 1 left out", text)
        self.assertEqual(result["figures"]["packets"], result["figures"]["states"])

    def test_what_makes_no_sense_is_refused(self):
        self.assertIn("did you mean tcp?", self.refused("conform", "--protocol", "tpc"))
        self.assertIn("--packets", self.refused("conform", "--packets", "0"))
        self.assertIn("name one that tracks", self.refused("conform", "--impl", "rcu,tbb"))
        self.assertIn("name one that tracks", self.refused("conform", "--impl", "noop"))
        self.assertIn("did you mean nf_conntrack_udp_timeout?",
                      self.refused("conform", "--sysctl", "udp_timeou=5"))
        self.assertIn("none.pcap", self.refused("conform", "--pcap", self.path("none.pcap")))

    def test_linux_is_listed_and_takes_part_only_by_name(self):
        self.assertRegex(self.good("list"), r"(?m)^  linux +the live kernel")
        text = self.good("replay", DNS, "--impl", "all")
        self.assertNotRegex(text, r"(?m)^linux ")
        self.assertRegex(self.good("doctor"), r"(?m)^(ok|no)  linux ")
        done = ctbench("replay", DNS, "--impl", "linux")
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        self.assertRegex(done.stdout.decode() + done.stderr.decode(),
                         r"(?m)^(linux +1,225|skipped: linux \(needs )")


class Faults(Cli):
    def test_a_planted_fault_is_found_and_none_without_one(self):
        text = self.good("faults", "--fault", "tcp_assured_early", "--seeds", "2", "--packets", "5000",
                         "--json", self.path("f.json"))
        if re.search(r"(?m)^skipped: linux \(needs .+\)$", text):
            self.skipTest(text.strip())
        self.assertRegex(text, r"(?m)^tcp_assured_early +2 of 2 +\d+ .* status ")
        self.assertRegex(text, r"(?m)^\(none\) +0 of 2 +5,000 ")
        self.assertEqual(text.splitlines()[-1], "every fault found: 1 of 1 with each of 2 seeds")
        with open(self.path("f.json"), encoding="utf-8") as file:
            rows = json.load(file)["rows"]
        self.assertEqual([row["fault"] for row in rows], ["tcp_assured_early", "(none)"])
        self.assertEqual([len(row["tries"]) for row in rows], [2, 2])

    def test_a_fault_that_cannot_be_found_in_so_few_packets_fails(self):
        done = ctbench("faults", "--fault", "window_end_one_late", "--seeds", "1", "--packets", "20")
        if b"skipped: linux" in done.stdout:
            self.skipTest("no live kernel")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"not every fault found: 0 of 1", done.stdout)

    def test_names_are_listed_and_unknown_ones_are_refused(self):
        self.assertRegex(self.good("list"), r"(?m)^  tcp_assured_early +ASSURED is set by ")
        self.assertIn("did you mean tcp_assured_early?",
                      self.refused("faults", "--fault", "tcp_assured_earl"))
        self.assertIn("--seeds", self.refused("faults", "--seeds", "0"))


class Bench(Cli):
    def test_figures_and_both_formats(self):
        text = self.good("bench", "--impl", "rcu,tbb", "--connections", "256", "--threads", "1",
                         "--min-time", "0.001", "--repetitions", "2", "--filter", "lookup_hit",
                         "--sysctl", "timestamp=1",
                         "--json", self.path("b.json"), "--google-json", self.path("g.json"))
        self.assertIn("figures measured; every answer was right", text.splitlines()[-1])
        with open(self.path("b.json"), encoding="utf-8") as file:
            result = json.load(file)
        self.assertEqual({row["impl"] for row in result["rows"]}, {"rcu", "tbb"})
        for row in result["rows"]:
            self.assertLessEqual(row["ops_per_second_low"], row["ops_per_second"])
            self.assertLessEqual(row["ops_per_second"], row["ops_per_second_high"])
        with open(self.path("g.json"), encoding="utf-8") as file:
            self.assertIn("benchmarks", json.load(file))


if __name__ == "__main__":
    CTBENCH = str(pathlib.Path(sys.argv.pop(1)).resolve())
    unittest.main()
