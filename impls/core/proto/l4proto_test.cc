// SPDX-License-Identifier: BSD-2-Clause
/// What all trackers share: the list, tuples and their inverses, refresh and accounting; and
/// generic.
#include "impls/core/proto/l4proto.h"

#include "impls/core/packet_suite.h"
#include "impls/core/proto/tracked_flow_suite.h"
#include "spec/jiffies.h"
#include "spec/nf_conn.h"
#include "spec/tuple.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <rapidcheck/catch.h>
#include <string>

namespace ct::core {
namespace {

using build::addr;
using build::bytes;
using build::ipv4;
using build::ipv6;
using build::other;
using build::payload;
using build::tcp;
using build::udp;
using build::view;

/// A tuple of any protocol; those with a tracker are drawn often, and ICMP types where inverses
/// are.
rc::Gen<tuple> any_tuple() {
  return rc::gen::exec([] {
    tuple t;
    const bool is_v6 = *rc::gen::arbitrary<bool>();
    t.src.l3num = is_v6 ? l3num::ipv6 : l3num::ipv4;
    const std::size_t address_bytes = is_v6 ? 16 : 4;
    for (std::size_t i = 0; i < address_bytes; ++i) {
      t.src.addr[i] = *rc::gen::arbitrary<std::uint8_t>();
      t.dst.addr[i] = *rc::gen::arbitrary<std::uint8_t>();
    }
    t.src.id = *rc::gen::arbitrary<std::uint16_t>();
    t.dst.id = *rc::gen::arbitrary<std::uint16_t>();
    t.dst.protonum =
        *rc::gen::weightedOneOf<std::uint8_t>({{4,
                                                rc::gen::element(ipproto::tcp,
                                                                 ipproto::udp,
                                                                 ipproto::icmp,
                                                                 ipproto::icmpv6,
                                                                 ipproto::sctp,
                                                                 ipproto::udplite,
                                                                 ipproto::gre)},
                                               {1, rc::gen::arbitrary<std::uint8_t>()}});
    if (t.dst.protonum == ipproto::icmp) {
      t.dst.id =
          icmp_id(*rc::gen::inRange<std::uint8_t>(0, 20), *rc::gen::arbitrary<std::uint8_t>());
    } else if (t.dst.protonum == ipproto::icmpv6) {
      t.dst.id =
          icmp_id(*rc::gen::inRange<std::uint8_t>(126, 142), *rc::gen::arbitrary<std::uint8_t>());
    } else if (find_l4proto(t.dst.protonum).protonum == 255) {
      t.src.id = 0;  // generic tuples have no ids
      t.dst.id = 0;
    }
    t.dst.dir = *rc::gen::element(dir::original, dir::reply);
    return t;
  });
}

/// The facts' table, apart from the trackers.
bool has_inverse(const tuple& t) {
  constexpr std::array v4 = {0, 8, 13, 14, 15, 16, 17, 18};
  constexpr std::array v6 = {128, 129, 139, 140};
  const int type = icmp_type(t);
  switch (t.dst.protonum) {
    case ipproto::icmp:
      return std::find(v4.begin(), v4.end(), type) != v4.end();
    case ipproto::icmpv6:
      return std::find(v6.begin(), v6.end(), type) != v6.end();
    default:
      return true;
  }
}

}  // namespace

TEST_CASE(
    "inversion is an involution where it is defined, and undefined exactly for other ICMP types") {
  rc::prop("for every tuple", [] {
    const tuple t = *any_tuple();
    const std::optional<tuple> once = invert_tuple(t);
    RC_ASSERT(once.has_value() == has_inverse(t));
    RC_CLASSIFY(!once.has_value(), "no inverse");
    if (!once) return;
    RC_ASSERT(once->dst.dir != t.dst.dir);
    RC_ASSERT(once->src.addr == t.dst.addr);
    RC_ASSERT(once->dst.addr == t.src.addr);
    RC_ASSERT(once->src.l3num == t.src.l3num);
    RC_ASSERT(once->dst.protonum == t.dst.protonum);
    const std::optional<tuple> twice = invert_tuple(*once);
    RC_ASSERT(twice.has_value());
    RC_ASSERT(*twice == t);
  });
}

TEST_CASE("ports change places, ICMP ids stay, generic tuples have none") {
  tuple t;
  t.src.id = 1;
  t.dst.id = 2;
  for (const std::uint8_t protonum :
       {ipproto::tcp, ipproto::udp, ipproto::sctp, ipproto::udplite, ipproto::gre}) {
    t.dst.protonum = protonum;
    CHECK(invert_tuple(t)->src.id == 2);
    CHECK(invert_tuple(t)->dst.id == 1);
  }
  t.dst.protonum = ipproto::dccp;
  CHECK(invert_tuple(t)->src.id == 0);
  CHECK(invert_tuple(t, dccp_l4protos)->src.id == 2);
  CHECK(invert_tuple(*invert_tuple(t, dccp_l4protos), dccp_l4protos) == t);
  t.dst.protonum = 50;
  CHECK(invert_tuple(t)->src.id == 0);
  CHECK(invert_tuple(t)->dst.id == 0);
}

TEST_CASE("every protocol number has a tracker, generic where it is not listed") {
  const bool has_dccp = GENERATE(false, true);
  std::map<int, std::string> listed = {{1, "icmp"},
                                       {6, "tcp"},
                                       {17, "udp"},
                                       {47, "gre"},
                                       {58, "icmpv6"},
                                       {132, "sctp"},
                                       {136, "udplite"}};
  if (has_dccp) listed[33] = "dccp";
  for (int number = 0; number < 256; ++number) {
    CAPTURE(number);
    const l4proto& tracker = find_l4proto(static_cast<std::uint8_t>(number),
                                          has_dccp ? dccp_l4protos : default_l4protos);
    const auto at = listed.find(number);
    CHECK(tracker.protonum == (at != listed.end() ? number : 255));
    CHECK(tracker.name == (at != listed.end() ? at->second : std::string("unknown")));
  }
}

TEST_CASE("a tuple has the packet's addresses, ids and numbers, and the original direction") {
  const bytes four = ipv4({.src = "192.0.2.1", .dst = "198.51.100.2"},
                          udp({.source_port = 0x1234, .dest_port = 0xabcd}));
  tuple t;
  t.dst.dir = dir::reply;  // whatever was there is overwritten
  t.src.addr.fill(0xff);
  REQUIRE(get_tuple(view(four), t));
  CHECK(t.src.addr == addr("192.0.2.1"));
  CHECK(t.dst.addr == addr("198.51.100.2"));
  CHECK(t.src.id == 0x1234);
  CHECK(t.dst.id == 0xabcd);
  CHECK(t.src.l3num == l3num::ipv4);
  CHECK(t.dst.protonum == 17);
  CHECK(t.dst.dir == dir::original);

  const bytes six =
      ipv6({.src = "2001:db8::a", .dst = "2001:db8::b"}, tcp({.source_port = 1, .dest_port = 2}));
  REQUIRE(get_tuple(view(six), t));
  CHECK(t.src.addr == addr("2001:db8::a"));
  CHECK(t.dst.addr == addr("2001:db8::b"));
  CHECK(t.src.l3num == l3num::ipv6);
  CHECK(t.dst.protonum == 6);
}

TEST_CASE("a later fragment and a packet without layer 4 have no tuple, whatever their protocol") {
  tuple t;
  const bytes later = ipv4({.fragment_offset = 1}, udp({.source_port = 1, .dest_port = 2}));
  CHECK_FALSE(get_tuple(view(later), t));
  const bytes later_generic = ipv4({.fragment_offset = 185}, other(50, payload(8)));
  CHECK_FALSE(get_tuple(view(later_generic), t));
  const bytes nothing = ipv6({}, other(59));
  CHECK_FALSE(get_tuple(view(nothing), t));
  // 59 is the end of a chain in IPv6 only; in IPv4 it is a number like any other.
  const bytes number_59 = ipv4({}, other(59));
  CHECK(get_tuple(view(number_59), t));
}

TEST_CASE("a generic entry has no ports, lives 600 s from every packet, and is never ASSURED") {
  const bytes first = ipv4({}, other(50, payload(3)));
  const bytes empty = ipv4({}, other(50));
  const bytes back = ipv4({.src = "10.0.0.2", .dst = "10.0.0.1"}, other(50, payload(30)));
  tuple t;
  REQUIRE(get_tuple(view(empty), t));
  CHECK(t.src.id == 0);
  CHECK(t.dst.id == 0);
  tracked_flow flow(first);
  CHECK(flow.send(first) == track::accept);
  CHECK(flow.timeout() == seconds(600));
  flow.confirm();
  for (int i = 0; i < 4; ++i) {
    flow.advance(seconds(100));
    CHECK(flow.reply(back) == track::accept);
    CHECK(flow.left() == seconds(600));
    flow.advance(seconds(100));
    CHECK(flow.send(empty) == track::accept);
    CHECK(flow.left() == seconds(600));
  }
  CHECK_FALSE(flow.is_assured());
  CHECK_FALSE(generic_l4proto.can_early_drop(flow.ct));
}

TEST_CASE("timeouts come from the policy of the netns") {
  const bytes generic = ipv4({}, other(50));
  tracked_flow flow(generic);
  flow.policy.generic_timeout = 7;
  CHECK(flow.send(generic) == track::accept);
  CHECK(flow.timeout() == 7);
  const bytes query = ipv4({}, udp({.source_port = 1, .dest_port = 2}));
  tracked_flow udp_flow(query);
  udp_flow.policy.udp_timeout = 8;
  udp_flow.policy.udp_timeout_stream = 9;
  CHECK(udp_flow.send(query) == track::accept);
  CHECK(udp_flow.timeout() == 8);
  udp_flow.confirm();
  udp_flow.ct.set(status::seen_reply);
  udp_flow.advance(seconds(3));
  CHECK(udp_flow.send(query) == track::accept);
  CHECK(udp_flow.left() == 9);
}

TEST_CASE(
    "a refresh is relative until the entry is confirmed, absolute from then on, across a wrap "
    "too") {
  const bytes ip = ipv4({}, other(50));
  tracked_flow flow(ip);
  flow.now = 0xffff'ff00U;
  CHECK(flow.send(ip) == track::accept);
  CHECK(flow.timeout() == seconds(600));
  flow.confirm();
  CHECK(flow.timeout() == 0xffff'ff00U + seconds(600));
  CHECK_FALSE(flow.ct.is_expired(flow.now));
  flow.advance(0x200);  // beyond the wrap
  CHECK(flow.send(ip) == track::accept);
  CHECK(flow.timeout() == 0x100 + seconds(600));
  CHECK_FALSE(flow.ct.is_expired(flow.now + seconds(600) - 1));
  CHECK(flow.ct.is_expired(flow.now + seconds(600)));
}

TEST_CASE("FIXED_TIMEOUT only counts") {
  const bytes ip = ipv4({}, other(50, payload(10)));
  tracked_flow flow(ip);
  flow.policy.acct = true;
  CHECK(flow.send(ip) == track::accept);
  flow.confirm();
  flow.ct.set(status::fixed_timeout);
  flow.advance(seconds(1));
  CHECK(flow.send(ip) == track::accept);
  CHECK(flow.left() == seconds(599));
  CHECK(flow.ct.counters[0].packets.load(std::memory_order_relaxed) == 2);  // relaxed: one thread
}

TEST_CASE(
    "accounting counts packets and whole IP lengths of each direction, and only if it is on") {
  const bytes there = ipv4({}, udp({.source_port = 1, .dest_port = 2}, payload(12)));  // 40 bytes
  const bytes back = ipv4({.src = "10.0.0.2", .dst = "10.0.0.1"},
                          udp({.source_port = 2, .dest_port = 1}, payload(72)));  // 100 bytes
  const bool acct = GENERATE(false, true);
  tracked_flow flow(there);
  flow.policy.acct = acct;
  CHECK(flow.send(there) == track::accept);
  CHECK(flow.send(there) == track::accept);
  CHECK(flow.reply(back) == track::accept);
  const auto packets = [&flow](dir d) {
    return flow.ct.counters[index(d)].packets.load(
        std::memory_order_relaxed);  // relaxed: one thread
  };
  const auto octets = [&flow](dir d) {
    return flow.ct.counters[index(d)].bytes.load(std::memory_order_relaxed);  // relaxed: one thread
  };
  CHECK(packets(dir::original) == (acct ? 2 : 0));
  CHECK(octets(dir::original) == (acct ? 80 : 0));
  CHECK(packets(dir::reply) == (acct ? 1 : 0));
  CHECK(octets(dir::reply) == (acct ? 100 : 0));
}

}  // namespace ct::core
