// SPDX-License-Identifier: BSD-2-Clause
/// UDP-Lite's tracker: no two seconds, checksum coverage in place of a length.
#include "impls/core/packet_suite.h"
#include "impls/core/proto/l4proto.h"
#include "impls/core/proto/tracked_flow_suite.h"
#include "spec/jiffies.h"
#include "spec/tuple.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <string>

namespace ct::core {
namespace {

using build::bytes;
using build::ipv4;
using build::ipv6;
using build::other;
using build::payload;
using build::put16;
using build::udplite;

bytes request(std::uint16_t coverage = 0) {
  return ipv4({},
              udplite({.source_port = 4000, .dest_port = 53, .coverage = coverage}, payload(20)));
}
bytes answer() {
  return ipv4({.src = "10.0.0.2", .dst = "10.0.0.1"},
              udplite({.source_port = 53, .dest_port = 4000}, payload(20)));
}

}  // namespace

TEST_CASE("UDP-Lite is ASSURED with 120 s from its third packet on, at once") {
  tracked_flow flow(request());
  CHECK(flow.send(request()) == track::accept);
  CHECK(flow.timeout() == seconds(30));
  flow.confirm();
  flow.advance(1);
  CHECK(flow.reply(answer()) == track::accept);  // SEEN_REPLY is set behind the tracker
  CHECK(flow.left() == seconds(30));
  CHECK_FALSE(flow.is_assured());
  flow.advance(1);
  CHECK(flow.send(request()) == track::accept);
  CHECK(flow.left() == seconds(120));
  CHECK(flow.is_assured());
  CHECK_FALSE(udplite_l4proto.can_early_drop(flow.ct));
}

TEST_CASE("the loser of a resolved clash of UDP-Lite is never ASSURED") {
  tracked_flow flow(request());
  CHECK(flow.send(request()) == track::accept);
  flow.confirm();
  flow.ct.set_all(status::nat_clash | status::fixed_timeout);
  CHECK(flow.reply(answer()) == track::accept);
  CHECK(flow.reply(answer()) == track::accept);
  CHECK_FALSE(flow.is_assured());
  CHECK(flow.left() == seconds(30));
}

TEST_CASE("UDP-Lite has UDP's timeouts") {
  tracked_flow flow(request());
  flow.policy.udp_timeout = 7;
  flow.policy.udp_timeout_stream = 8;
  CHECK(flow.send(request()) == track::accept);
  CHECK(flow.timeout() == 7);
  flow.confirm();
  flow.ct.set(status::seen_reply);
  CHECK(flow.send(request()) == track::accept);
  CHECK(flow.left() == 8);
}

TEST_CASE("the coverage of UDP-Lite is 0, or from the header's length to the packet's") {
  for (unsigned coverage = 0; coverage < 40; ++coverage) {
    CAPTURE(coverage);
    bytes data = udplite({.source_port = 4000, .dest_port = 53}, payload(20)).data;
    put16(data, 4, coverage);
    put16(data, 6, 0x1234);
    const bytes ip = ipv4({}, other(ipproto::udplite, data));
    tracked_flow flow(ip);
    const bool is_right = coverage == 0 || (coverage >= 8 && coverage <= 28);
    CHECK(flow.send(ip) == (is_right ? track::accept : track::invalid));
    CHECK((flow.reason == nullptr) == is_right);
  }
}

TEST_CASE("a UDP-Lite header that is cut, or has no checksum, is INVALID") {
  bytes data = udplite({.source_port = 4000, .dest_port = 53}, payload(20)).data;
  put16(data, 6, 0);
  const bytes unsummed = ipv6({}, other(ipproto::udplite, data));
  tracked_flow flow(unsummed);
  CHECK(flow.send(unsummed) == track::invalid);
  CHECK(flow.reason == std::string("udplite: no checksum"));
  data.resize(7);
  const bytes cut = ipv6({}, other(ipproto::udplite, data));
  CHECK(flow.send(cut) == track::invalid);
  CHECK(flow.reason == std::string("udplite: header cut"));
}

}  // namespace ct::core
