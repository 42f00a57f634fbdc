// SPDX-License-Identifier: BSD-2-Clause
/// ICMP and ICMPv6 queries, type by type: which have an inverse, which may begin an entry, what
/// refreshes it.
#include "impls/core/packet_suite.h"
#include "impls/core/proto/l4proto.h"
#include "impls/core/proto/tracked_flow_suite.h"
#include "spec/jiffies.h"
#include "spec/nf_conn.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

namespace ct::core {
namespace {

using build::bytes;
using build::icmp;
using build::icmpv6;
using build::ipv4;
using build::ipv6;
using build::other;
using build::payload;
using build::view;

bytes v4(std::uint8_t type, std::uint16_t id = 77, std::uint8_t code = 0) {
  return ipv4({}, icmp({.type = type, .code = code, .id = id}, payload(8)));
}
bytes v4_back(std::uint8_t type, std::uint16_t id = 77) {
  return ipv4({.src = "10.0.0.2", .dst = "10.0.0.1"}, icmp({.type = type, .id = id}, payload(8)));
}
bytes v6(std::uint8_t type, std::uint16_t id = 77, std::uint8_t code = 0) {
  return ipv6({}, icmpv6({.type = type, .code = code, .id = id}, payload(8)));
}
bytes v6_back(std::uint8_t type, std::uint16_t id = 77) {
  return ipv6({.src = "2001:db8::2", .dst = "2001:db8::1"},
              icmpv6({.type = type, .id = id}, payload(8)));
}

// Written down once more, as the facts have it, so that a slip in the tracker shows.
const std::map<int, int> v4_inverse =
    {{8, 0}, {0, 8}, {13, 14}, {14, 13}, {15, 16}, {16, 15}, {17, 18}, {18, 17}};
const std::set<int> v4_creates = {8, 13, 15, 17};
const std::map<int, int> v6_inverse = {{128, 129}, {129, 128}, {139, 140}, {140, 139}};
const std::set<int> v6_creates = {128, 139};

/// Every type: has it the inverse of the map, and is its tuple what the header says?
void check_inverses(const std::map<int, int>& inverses,
                    bytes (*message)(std::uint8_t, std::uint16_t, std::uint8_t)) {
  for (int type = 0; type < 256; ++type) {
    CAPTURE(type);
    const bytes ip = message(static_cast<std::uint8_t>(type), 0x1234, 5);
    tuple t;
    REQUIRE(get_tuple(view(ip), t));
    CHECK(t.src.id == 0x1234);
    CHECK(icmp_type(t) == type);
    CHECK(icmp_code(t) == 5);
    const std::optional<tuple> inverse = invert_tuple(t);
    REQUIRE(inverse.has_value() == inverses.contains(type));
    if (!inverse) continue;
    CHECK(icmp_type(*inverse) == inverses.at(type));
    CHECK(icmp_code(*inverse) == 5);
    CHECK(inverse->src.id == 0x1234);
    CHECK(inverse->src.addr == t.dst.addr);
    CHECK(inverse->dst.addr == t.src.addr);
  }
}

}  // namespace

TEST_CASE("eight ICMP types have an inverse, of the same id and code") {
  check_inverses(v4_inverse, v4);
}

TEST_CASE("four ICMPv6 types have an inverse, of the same id and code") {
  check_inverses(v6_inverse, v6);
}

TEST_CASE("only ICMP requests begin an entry; a reply first is INVALID") {
  for (const auto& [type, inverse] : v4_inverse) {
    CAPTURE(type);
    const bytes first = v4(static_cast<std::uint8_t>(type));
    tracked_flow flow(first);
    if (v4_creates.contains(type)) {
      CHECK(flow.send(first) == track::accept);
      CHECK(flow.timeout() == seconds(30));
    } else {
      CHECK(flow.send(first) == track::invalid);
      CHECK(flow.reason == std::string("icmp: a reply that was not asked for"));
      CHECK(flow.timeout() == 0);
    }
  }
}

TEST_CASE("only ICMPv6 requests begin an entry; a reply first is INVALID") {
  for (const auto& [type, inverse] : v6_inverse) {
    CAPTURE(type);
    const bytes first = v6(static_cast<std::uint8_t>(type));
    tracked_flow flow(first);
    if (v6_creates.contains(type)) {
      CHECK(flow.send(first) == track::accept);
      CHECK(flow.timeout() == seconds(30));
    } else {
      CHECK(flow.send(first) == track::invalid);
      CHECK(flow.reason == std::string("icmpv6: a reply that was not asked for"));
    }
  }
}

TEST_CASE("ICMP tests the original type for ever, ICMPv6 only while the entry is unconfirmed") {
  tracked_flow four(v4(0));
  four.confirm();  // as an entry that was inserted on request could be
  CHECK(four.send(v4(0)) == track::invalid);
  CHECK(four.reply(v4_back(8)) == track::invalid);

  tracked_flow six(v6(129));
  six.confirm();
  CHECK(six.send(v6(129)) == track::accept);
  CHECK(six.reply(v6_back(128)) == track::accept);
  CHECK(six.left() == seconds(30));
}

TEST_CASE(
    "every ICMP packet of both directions refreshes; the entry outlives its reply, never ASSURED") {
  const bool is_v6 = GENERATE(false, true);
  const bytes request = is_v6 ? v6(128) : v4(8);
  const bytes answer = is_v6 ? v6_back(129) : v4_back(0);
  tracked_flow flow(request);
  CHECK(flow.send(request) == track::accept);
  flow.confirm();
  for (int i = 0; i < 3; ++i) {
    flow.advance(seconds(10));
    CHECK(flow.reply(answer) == track::accept);
    CHECK(flow.left() == seconds(30));
    flow.advance(seconds(10));
    CHECK(flow.send(request) == track::accept);
    CHECK(flow.left() == seconds(30));
  }
  CHECK_FALSE(flow.is_assured());
  CHECK_FALSE(find_l4proto(view(request).protonum).can_early_drop(flow.ct));
}

TEST_CASE("an ICMP tuple needs the whole header of eight bytes") {
  for (const bool is_v6 : {false, true}) {
    bytes data = icmp({.type = 8, .id = 1}).data;
    tuple t;
    for (std::size_t length = 8;; --length) {
      CAPTURE(is_v6, length);
      data.resize(length);
      const bytes ip =
          is_v6 ? ipv6({}, other(ipproto::icmpv6, data)) : ipv4({}, other(ipproto::icmp, data));
      CHECK(get_tuple(view(ip), t) == (length == 8));
      if (length == 0) break;
    }
  }
}

TEST_CASE("ICMP inside IPv6 and ICMPv6 inside IPv4 have tuples, but are INVALID") {
  const bytes icmp_in_6 = ipv6({}, other(ipproto::icmp, icmp({.type = 8, .id = 1}).data));
  tracked_flow first(icmp_in_6);
  CHECK(first.send(icmp_in_6) == track::invalid);
  const bytes icmpv6_in_4 = ipv4({}, other(ipproto::icmpv6, icmpv6({.type = 128, .id = 1}).data));
  tracked_flow second(icmpv6_in_4);
  CHECK(second.send(icmpv6_in_4) == track::invalid);
}

}  // namespace ct::core
