// SPDX-License-Identifier: BSD-2-Clause
/// The expected lines were printed by conntrack 1.4.7 on Linux 6.18 for packets between two hosts.
#include "harness/format/conntrack.h"

#include "spec/jiffies.h"

#include <algorithm>
#include <arpa/inet.h>
#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

namespace ct::harness {
namespace {

constexpr line_options plain{};
constexpr line_options acct{.acct = true, .extended = false, .id = false};
constexpr line_options extended_id{.acct = false, .extended = true, .id = true};

address parse(const char* text, l3num family) {
  address addr{};
  REQUIRE(inet_pton(static_cast<int>(family), text, addr.data()) == 1);
  return addr;
}

/// An entry between 10.0.1.2 and 10.0.2.2, or their IPv6 namesakes; the reply tuple mirrors the
/// original.
conn make(l3num family, std::uint8_t protonum, std::uint16_t source, std::uint16_t destination) {
  const bool is_ipv6 = family == l3num::ipv6;
  conn entry;
  tuple& original = entry.tuples[0];
  original.src = {parse(is_ipv6 ? "2001:db8:1::2" : "10.0.1.2", family), source, family};
  original.dst = {parse(is_ipv6 ? "2001:db8:2::2" : "10.0.2.2", family),
                  destination,
                  protonum,
                  dir::original};
  tuple& reply = entry.tuples[1];
  reply.src = {original.dst.addr, destination, family};
  reply.dst = {original.src.addr, source, protonum, dir::reply};
  entry.id = 575341842;
  entry.status = status::confirmed;
  entry.use = 1;
  return entry;
}

/// A moment after a packet has set it.
void expires_in(conn& entry, std::int32_t after_s) {
  entry.timeout_jiffies = after_s * static_cast<std::int32_t>(hz) - 1;
}

conn make_tcp(std::uint16_t port, tcp_state state, std::int32_t timeout_s, std::uint32_t bits) {
  conn entry = make(l3num::ipv4, ipproto::tcp, port, 80);
  entry.tcp = state;
  entry.status |= bits;
  expires_in(entry, timeout_s);
  return entry;
}

conn make_icmp(l3num family, std::uint8_t request, std::uint8_t answer, std::uint16_t id) {
  conn entry = make(family, family == l3num::ipv6 ? ipproto::icmpv6 : ipproto::icmp, id, 0);
  entry.tuples[0].dst.id = icmp_id(request, 0);
  entry.tuples[1].src.id = id;
  entry.tuples[1].dst.id = icmp_id(answer, 0);
  expires_in(entry, 30);
  return entry;
}

TEST_CASE("a TCP line names its state, then what it has seen") {
  CHECK(conntrack_line(make_tcp(41000, tcp_state::syn_sent, 120, 0), plain) ==
        "tcp      6 119 SYN_SENT src=10.0.1.2 dst=10.0.2.2 sport=41000 dport=80 [UNREPLIED] "
        "src=10.0.2.2 dst=10.0.1.2 sport=80 dport=41000 mark=0 use=1");
  CHECK(conntrack_line(make_tcp(41007, tcp_state::syn_recv, 60, status::seen_reply), plain) ==
        "tcp      6 59 SYN_RECV src=10.0.1.2 dst=10.0.2.2 sport=41007 dport=80 "
        "src=10.0.2.2 dst=10.0.1.2 sport=80 dport=41007 mark=0 use=1");
  constexpr std::uint32_t both = status::seen_reply | status::assured;
  CHECK(conntrack_line(make_tcp(41001, tcp_state::established, 432000, both), plain) ==
        "tcp      6 431999 ESTABLISHED src=10.0.1.2 dst=10.0.2.2 sport=41001 dport=80 "
        "src=10.0.2.2 dst=10.0.1.2 sport=80 dport=41001 [ASSURED] mark=0 use=1");
  CHECK(conntrack_line(make_tcp(41009, tcp_state::syn_sent2, 120, status::seen_reply), plain) ==
        "tcp      6 119 SYN_SENT2 src=10.0.1.2 dst=10.0.2.2 sport=41009 dport=80 "
        "src=10.0.2.2 dst=10.0.1.2 sport=80 dport=41009 mark=0 use=1");
}

TEST_CASE("an SCTP line names its state, also in its events") {
  conn entry = make(l3num::ipv4, ipproto::sctp, 4000, 3868);
  entry.sctp = sctp_state::cookie_wait;
  entry.status |= status::seen_reply;
  expires_in(entry, 3);
  CHECK(conntrack_line(entry, plain) ==
        "sctp     132 2 COOKIE_WAIT src=10.0.1.2 dst=10.0.2.2 sport=4000 dport=3868 "
        "src=10.0.2.2 dst=10.0.1.2 sport=3868 dport=4000 mark=0 use=1");
  entry.sctp = sctp_state::shutdown_ack_sent;
  entry.timeout_jiffies = 3 * static_cast<std::int32_t>(hz);
  CHECK(conntrack_event_line({.bits = bit(event::protoinfo), .entry = entry}, plain) ==
        " [UPDATE] sctp     132 3 SHUTDOWN_ACK_SENT src=10.0.1.2 dst=10.0.2.2 sport=4000 "
        "dport=3868 src=10.0.2.2 dst=10.0.1.2 sport=3868 dport=4000");
  CHECK(conntrack_event_line({.bits = bit(event::assured), .entry = entry}, plain) ==
        " [UPDATE] sctp     132 3 src=10.0.1.2 dst=10.0.2.2 sport=4000 "
        "dport=3868 src=10.0.2.2 dst=10.0.1.2 sport=3868 dport=4000");
  CHECK(conntrack_event_line({.bits = bit(event::destroy), .entry = entry}, plain) ==
        "[DESTROY] sctp     132 3 SHUTDOWN_ACK_SENT src=10.0.1.2 dst=10.0.2.2 sport=4000 "
        "dport=3868 src=10.0.2.2 dst=10.0.1.2 sport=3868 dport=4000");
}

TEST_CASE("a DCCP line names its state where DCCP is tracked, and has ports of 0 elsewhere") {
  conn entry = make(l3num::ipv4, ipproto::dccp, 0, 0);
  expires_in(entry, 600);
  CHECK(conntrack_line(entry, plain) ==
        "dccp     33 599 src=10.0.1.2 dst=10.0.2.2 sport=0 dport=0 [UNREPLIED] "
        "src=10.0.2.2 dst=10.0.1.2 sport=0 dport=0 mark=0 use=1");
  entry = make(l3num::ipv4, ipproto::dccp, 5, 6);
  entry.dccp = dccp_state::partopen;
  entry.status |= status::seen_reply | status::assured;
  expires_in(entry, 480);
  CHECK(conntrack_line(entry, plain) ==
        "dccp     33 479 PARTOPEN src=10.0.1.2 dst=10.0.2.2 sport=5 dport=6 "
        "src=10.0.2.2 dst=10.0.1.2 sport=6 dport=5 [ASSURED] mark=0 use=1");
}

TEST_CASE("UDP has ports and no state, also between IPv6 addresses, which are compressed") {
  conn entry = make(l3num::ipv6, ipproto::udp, 40000, 53);
  expires_in(entry, 30);
  CHECK(conntrack_line(entry, plain) ==
        "udp      17 29 src=2001:db8:1::2 dst=2001:db8:2::2 sport=40000 dport=53 [UNREPLIED] "
        "src=2001:db8:2::2 dst=2001:db8:1::2 sport=53 dport=40000 mark=0 use=1");
}

TEST_CASE("ICMP and ICMPv6 show type, code and id of either direction") {
  CHECK(conntrack_line(make_icmp(l3num::ipv4, 8, 0, 77), plain) ==
        "icmp     1 29 src=10.0.1.2 dst=10.0.2.2 type=8 code=0 id=77 [UNREPLIED] "
        "src=10.0.2.2 dst=10.0.1.2 type=0 code=0 id=77 mark=0 use=1");
  conn answered = make_icmp(l3num::ipv6, 128, 129, 100);
  answered.status |= status::seen_reply;
  CHECK(conntrack_line(answered, plain) ==
        "icmpv6   58 29 src=2001:db8:1::2 dst=2001:db8:2::2 type=128 code=0 id=100 "
        "src=2001:db8:2::2 dst=2001:db8:1::2 type=129 code=0 id=100 mark=0 use=1");
}

TEST_CASE("generic protocols are unknown, or called by a name that the tool has for them") {
  conn entry = make(l3num::ipv4, 253, 0, 0);
  expires_in(entry, 600);
  CHECK(conntrack_line(entry, plain) ==
        "unknown  253 599 src=10.0.1.2 dst=10.0.2.2 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 mark=0 "
        "use=1");
  entry = make(l3num::ipv4, 33, 0, 0);  // DCCP, which that kernel tracks as generic
  expires_in(entry, 600);
  CHECK(conntrack_line(entry, plain) ==
        "dccp     33 599 src=10.0.1.2 dst=10.0.2.2 sport=0 dport=0 [UNREPLIED] "
        "src=10.0.2.2 dst=10.0.1.2 sport=0 dport=0 mark=0 use=1");
  entry = make(l3num::ipv4, 47, 0, 0);
  expires_in(entry, 30);
  CHECK(conntrack_line(entry, plain) ==
        "gre      47 29 src=10.0.1.2 dst=10.0.2.2 srckey=0x0 dstkey=0x0 [UNREPLIED] "
        "src=10.0.2.2 dst=10.0.1.2 srckey=0x0 dstkey=0x0 mark=0 use=1");
}

TEST_CASE(
    "accounting and a zone add their columns, a zone of one direction stands with that direction") {
  conn entry = make(l3num::ipv4, ipproto::udp, 40001, 53);
  entry.status |= status::seen_reply;
  entry.packets = {2, 1};
  entry.bytes = {66, 33};
  entry.zone = {.id = 7};
  expires_in(entry, 30);
  CHECK(conntrack_line(entry, acct) ==
        "udp      17 29 src=10.0.1.2 dst=10.0.2.2 sport=40001 dport=53 packets=2 bytes=66 "
        "src=10.0.2.2 dst=10.0.1.2 sport=53 dport=40001 packets=1 bytes=33 mark=0 zone=7 use=1");

  entry = make(l3num::ipv4, ipproto::udp, 1, 53);
  expires_in(entry, 30);
  entry.packets = {1, 0};
  entry.bytes = {33, 0};
  entry.zone = {.id = 7, .directions = 1};
  CHECK(conntrack_line(entry, acct) ==
        "udp      17 29 src=10.0.1.2 dst=10.0.2.2 sport=1 dport=53 zone-orig=7 packets=1 bytes=33 "
        "[UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=53 dport=1 packets=0 bytes=0 mark=0 use=1");
  entry = make(l3num::ipv4, ipproto::udp, 1, 54);
  expires_in(entry, 30);
  entry.zone = {.id = 9, .directions = 2};
  CHECK(conntrack_line(entry, plain) ==
        "udp      17 29 src=10.0.1.2 dst=10.0.2.2 sport=1 dport=54 [UNREPLIED] "
        "src=10.0.2.2 dst=10.0.1.2 sport=54 dport=1 zone-reply=9 mark=0 use=1");
}

TEST_CASE("the extended line begins with the family, and -o id ends with the id") {
  conn entry = make(l3num::ipv6, ipproto::tcp, 41000, 80);
  entry.tcp = tcp_state::syn_sent;
  entry.mark = 42;
  expires_in(entry, 120);
  CHECK(
      conntrack_line(entry, extended_id) ==
      "ipv6     10 tcp      6 119 SYN_SENT src=2001:db8:1::2 dst=2001:db8:2::2 sport=41000 "
      "dport=80 [UNREPLIED] src=2001:db8:2::2 dst=2001:db8:1::2 sport=80 dport=41000 mark=42 use=1 "
      "id=575341842");
  entry = make(l3num::ipv4, 50, 0, 0);
  expires_in(entry, 600);
  entry.id = 1708788043;
  CHECK(conntrack_line(entry, extended_id) ==
        "ipv4     2 unknown  50 599 src=10.0.1.2 dst=10.0.2.2 [UNREPLIED] src=10.0.2.2 "
        "dst=10.0.1.2 mark=0 use=1 id=1708788043");
}

TEST_CASE("the seconds left are rounded down and never negative") {
  conn entry = make(l3num::ipv4, ipproto::udp, 1, 2);
  for (const auto& [jiffies, shown] :
       std::vector<std::pair<std::int32_t, std::string>>{{30 * 250, " 30 "},
                                                         {30 * 250 - 1, " 29 "},
                                                         {249, " 0 "},
                                                         {0, " 0 "},
                                                         {-250, " 0 "}}) {
    entry.timeout_jiffies = jiffies;
    CHECK_THAT(conntrack_line(entry, plain), Catch::StartsWith("udp      17" + shown + "src="));
  }
}

/// An event of an entry that a packet of this moment has set: the whole timeout is left.
std::string event_line(conn entry, std::uint32_t bits, const line_options& options = plain) {
  return conntrack_event_line({.bits = bits, .entry = std::move(entry)}, options);
}
constexpr std::uint32_t new_bit = bit(event::new_);
constexpr std::uint32_t protoinfo_bit = bit(event::protoinfo);
constexpr std::uint32_t destroy_bit = bit(event::destroy);

conn with_whole_timeout(conn entry) {
  ++entry.timeout_jiffies;
  return entry;
}

TEST_CASE("an event line says what happened, then the whole timeout, and neither mark nor use") {
  CHECK(event_line(with_whole_timeout(make_tcp(41000, tcp_state::syn_sent, 120, 0)),
                   new_bit | protoinfo_bit) ==
        "    [NEW] tcp      6 120 SYN_SENT src=10.0.1.2 dst=10.0.2.2 sport=41000 dport=80 "
        "[UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=80 dport=41000");
  constexpr std::uint32_t both = status::seen_reply | status::assured;
  CHECK(event_line(with_whole_timeout(make_tcp(41001, tcp_state::established, 432000, both)),
                   bit(event::assured) | protoinfo_bit) ==
        " [UPDATE] tcp      6 432000 ESTABLISHED src=10.0.1.2 dst=10.0.2.2 sport=41001 dport=80 "
        "src=10.0.2.2 dst=10.0.1.2 sport=80 dport=41001 [ASSURED]");
  CHECK(event_line(with_whole_timeout(make_icmp(l3num::ipv6, 128, 129, 99)), bit(event::related)) ==
        "    [NEW] icmpv6   58 30 src=2001:db8:1::2 dst=2001:db8:2::2 type=128 code=0 id=99 "
        "[UNREPLIED] src=2001:db8:2::2 dst=2001:db8:1::2 type=129 code=0 id=99");
}

TEST_CASE("a TCP state stands in an event where it changed, and in every DESTROY") {
  conn entry = make_tcp(41001, tcp_state::established, 300, status::seen_reply | status::assured);
  entry.mark = 42;
  CHECK(event_line(with_whole_timeout(entry), bit(event::mark)) ==
        " [UPDATE] tcp      6 300 src=10.0.1.2 dst=10.0.2.2 sport=41001 dport=80 src=10.0.2.2 "
        "dst=10.0.1.2 sport=80 dport=41001 [ASSURED] mark=42");
  CHECK(event_line(entry, destroy_bit) ==
        "[DESTROY] tcp      6 299 ESTABLISHED src=10.0.1.2 dst=10.0.2.2 sport=41001 dport=80 "
        "src=10.0.2.2 dst=10.0.1.2 sport=80 dport=41001 [ASSURED] mark=42");
  entry.mark = 0;
  CHECK_THAT(event_line(entry, bit(event::mark)), Catch::EndsWith(" [ASSURED] mark=0"));
  CHECK_THAT(event_line(entry, bit(event::reply)), Catch::EndsWith(" [ASSURED]"));
}

TEST_CASE("DESTROY has counters and leaves out a timeout of less than a second") {
  conn entry = make(l3num::ipv4, ipproto::udp, 40009, 53);
  entry.packets = {1, 0};
  entry.bytes = {33, 0};
  const std::string expected =
      "[DESTROY] udp      17 src=10.0.1.2 dst=10.0.2.2 sport=40009 dport=53 packets=1 bytes=33 "
      "[UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=53 dport=40009 packets=0 bytes=0";
  for (const std::int32_t left : {249, 0, -250}) {
    entry.timeout_jiffies = left;
    CHECK(event_line(entry, destroy_bit, acct) == expected);
  }
  entry.timeout_jiffies = 250;
  CHECK_THAT(event_line(entry, destroy_bit, acct), Catch::StartsWith("[DESTROY] udp      17 1 "));
  CHECK(event_line(entry, new_bit, acct) ==
        "    [NEW] udp      17 1 src=10.0.1.2 dst=10.0.2.2 sport=40009 dport=53 [UNREPLIED] "
        "src=10.0.2.2 dst=10.0.1.2 sport=53 dport=40009");
}

TEST_CASE("zone, family and id stand in event lines as in those of a listing") {
  conn entry = make(l3num::ipv4, ipproto::udp, 40000, 53);
  entry.zone = {.id = 7};
  entry.id = 4110176907;
  expires_in(entry, 1);
  CHECK(event_line(with_whole_timeout(entry), new_bit) ==
        "    [NEW] udp      17 1 src=10.0.1.2 dst=10.0.2.2 sport=40000 dport=53 [UNREPLIED] "
        "src=10.0.2.2 dst=10.0.1.2 sport=53 dport=40000 zone=7");
  entry.zone = {};
  CHECK(event_line(with_whole_timeout(entry), new_bit, extended_id) ==
        "    [NEW] ipv4     2 udp      17 1 src=10.0.1.2 dst=10.0.2.2 sport=40000 dport=53 "
        "[UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=53 dport=40000 id=4110176907");
  CHECK(conntrack_event_closing_line(53) == "conntrack (ctbench): 53 flow events have been shown.");
}

TEST_CASE("the counters are one line a CPU, with the tab and the last space of the tool") {
  CHECK(conntrack_stat_line(0, {.invalid = 2}) ==
        "cpu=0   \tfound=0 invalid=2 insert=0 insert_failed=0 drop=0 early_drop=0 error=0 "
        "search_restart=0 clash_resolve=0 chaintoolong=0 ");
  CHECK(conntrack_stat_line(12, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}) ==
        "cpu=12  \tfound=1 invalid=2 insert=3 insert_failed=4 drop=5 early_drop=6 error=7 "
        "search_restart=8 clash_resolve=9 chaintoolong=10 ");
}

TEST_CASE("the order for printing does not depend on the order of the dump") {
  std::vector<conn> entries = {
      make_icmp(l3num::ipv4, 8, 0, 77),
      make_tcp(2, tcp_state::close, 10, 0),
      make_tcp(10, tcp_state::close, 10, 0),
      make(l3num::ipv4, ipproto::udp, 1, 1),
      make(l3num::ipv6, ipproto::udp, 1, 1),
  };
  entries.push_back(entries.back());
  entries.back().zone.id = 3;
  std::vector<conn> shuffled(entries.rbegin(), entries.rend());
  std::ranges::sort(shuffled, is_printed_before);
  REQUIRE(shuffled.size() == entries.size());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    CHECK(conntrack_line(shuffled[i], extended_id) == conntrack_line(entries[i], extended_id));
    CHECK_FALSE(is_printed_before(entries[i], entries[i]));
  }
}

TEST_CASE("an attached helper stands before the references") {
  constexpr std::uint32_t both = status::seen_reply | status::assured;
  conn control = make_tcp(39234, tcp_state::time_wait, 120, both);
  control.tuples[0].dst.id = 21;
  control.tuples[1].src.id = 21;
  control.helper = "ftp";
  control.use = 4;
  CHECK(conntrack_line(control, plain) ==
        "tcp      6 119 TIME_WAIT src=10.0.1.2 dst=10.0.2.2 sport=39234 dport=21 "
        "src=10.0.2.2 dst=10.0.1.2 sport=21 dport=39234 [ASSURED] mark=0 helper=ftp use=4");
  control.zone.id = 5;
  CHECK(conntrack_line(control, extended_id) ==
        "ipv4     2 tcp      6 119 TIME_WAIT src=10.0.1.2 dst=10.0.2.2 sport=39234 dport=21 "
        "src=10.0.2.2 dst=10.0.1.2 sport=21 dport=39234 [ASSURED] mark=0 zone=5 helper=ftp use=4 "
        "id=575341842");
}

expect make_expectation(l3num family) {
  const bool is_ipv6 = family == l3num::ipv6;
  expect exp;
  exp.tuple = make(family, ipproto::tcp, 0, 56505).tuples[0];
  exp.mask.addr =
      parse(is_ipv6 ? "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" : "255.255.255.255", family);
  exp.master = make(family, ipproto::tcp, 48068, 21).tuples[0];
  exp.helper = "ftp";
  exp.timeout_jiffies = 300 * static_cast<std::int32_t>(hz) - 1;
  return exp;
}

TEST_CASE("an expectation is printed with its mask, its master and its flags") {
  CHECK(expect_line(make_expectation(l3num::ipv4)) ==
        "299 proto=6 src=10.0.1.2 dst=10.0.2.2 sport=0 dport=56505 mask-src=255.255.255.255 "
        "mask-dst=255.255.255.255 sport=0 dport=65535 master-src=10.0.1.2 master-dst=10.0.2.2 "
        "sport=48068 dport=21 class=0 helper=ftp");
  CHECK(expect_line(make_expectation(l3num::ipv6)) ==
        "299 proto=6 src=2001:db8:1::2 dst=2001:db8:2::2 sport=0 dport=56505 "
        "mask-src=ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
        "mask-dst=ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff sport=0 dport=65535 "
        "master-src=2001:db8:1::2 master-dst=2001:db8:2::2 sport=48068 dport=21 class=0 "
        "helper=ftp");
  expect flagged = make_expectation(l3num::ipv4);
  flagged.flags = expect_flag::permanent | expect_flag::userspace;
  CHECK(expect_line(flagged).ends_with(" dport=21 PERMANENT,USERSPACE class=0 helper=ftp"));
}

}  // namespace
}  // namespace ct::harness
