// SPDX-License-Identifier: BSD-2-Clause
/// UDP: when a flow is replied, a stream, ASSURED; which headers are wrong.
#include "impls/core/packet_suite.h"
#include "impls/core/proto/l4proto.h"
#include "impls/core/proto/tracked_flow_suite.h"
#include "spec/jiffies.h"
#include "spec/nf_conn.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <span>
#include <string>

namespace ct::core {
namespace {

using build::bytes;
using build::ipv4;
using build::other;
using build::payload;
using build::put16;
using build::udp;
using build::view;

bytes request() {
  return ipv4({.src = "10.0.0.1", .dst = "10.0.0.2"},
              udp({.source_port = 4000, .dest_port = 53}, payload(20)));
}
bytes answer() {
  return ipv4({.src = "10.0.0.2", .dst = "10.0.0.1"},
              udp({.source_port = 53, .dest_port = 4000}, payload(100)));
}

/// Request, confirmed, and its reply in the same jiffy.
void exchange(tracked_flow& flow) {
  REQUIRE(flow.send(request()) == track::accept);
  flow.confirm();
  REQUIRE(flow.reply(answer()) == track::accept);
}

}  // namespace

TEST_CASE("a UDP request lives 30 s and is not ASSURED") {
  tracked_flow flow(request());
  CHECK(flow.send(request()) == track::accept);
  CHECK(flow.timeout() == seconds(30));  // relative while unconfirmed
  flow.confirm();
  flow.advance(seconds(10));
  CHECK(flow.left() == seconds(20));
  CHECK(flow.send(request()) == track::accept);
  CHECK(flow.left() == seconds(30));
  CHECK_FALSE(flow.is_assured());
}

TEST_CASE("requests alone never make a UDP stream") {
  tracked_flow flow(request());
  CHECK(flow.send(request()) == track::accept);
  flow.confirm();
  for (int i = 0; i < 10; ++i) {
    flow.advance(seconds(5));
    CHECK(flow.send(request()) == track::accept);
    CHECK(flow.left() == seconds(30));
  }
  CHECK_FALSE(flow.is_assured());
}

TEST_CASE("the first UDP reply counts as unreplied, however late it comes") {
  tracked_flow flow(request());
  CHECK(flow.send(request()) == track::accept);
  flow.confirm();
  flow.advance(seconds(20));
  CHECK(flow.reply(answer()) == track::accept);
  CHECK(flow.left() == seconds(30));
  CHECK_FALSE(flow.is_assured());
}

TEST_CASE(
    "the third UDP packet is the first replied one: 30 s within two seconds, a stream after") {
  SECTION("as seen on a live kernel: within 2 s nothing, after 2.1 s 120 s and ASSURED") {
    tracked_flow flow(request());
    exchange(flow);
    flow.advance(seconds(1));
    CHECK(flow.send(request()) == track::accept);
    CHECK(flow.left() == seconds(30));
    CHECK_FALSE(flow.is_assured());
    flow.advance(seconds(1) + hz / 10);
    CHECK(flow.send(request()) == track::accept);
    CHECK(flow.left() == seconds(120));
    CHECK(flow.is_assured());
  }
  SECTION("in the jiffy of stream_ts it is no stream yet, in the next one it is") {
    tracked_flow flow(request());
    exchange(flow);
    flow.advance(seconds(2));
    CHECK(flow.send(request()) == track::accept);
    CHECK(flow.left() == seconds(30));
    CHECK_FALSE(flow.is_assured());
    flow.advance(1);
    CHECK(flow.send(request()) == track::accept);
    CHECK(flow.left() == seconds(120));
    CHECK(flow.is_assured());
  }
  SECTION("a second reply may be the one") {
    tracked_flow flow(request());
    exchange(flow);
    flow.advance(seconds(3));
    CHECK(flow.reply(answer()) == track::accept);
    CHECK(flow.left() == seconds(120));
    CHECK(flow.is_assured());
  }
}

TEST_CASE("stream_ts counts from the last packet ahead of confirm, and stands from then on") {
  tracked_flow flow(request());
  CHECK(flow.send(request()) == track::accept);
  flow.advance(seconds(1));
  CHECK(flow.send(request()) == track::accept);
  CHECK(flow.ct.proto.udp.stream_ts == flow.now + seconds(2));
  const std::uint32_t stream_ts = flow.ct.proto.udp.stream_ts;
  flow.confirm();
  flow.advance(seconds(1));
  CHECK(flow.send(request()) == track::accept);
  CHECK(flow.reply(answer()) == track::accept);
  CHECK(flow.ct.proto.udp.stream_ts == stream_ts);
}

TEST_CASE("a UDP entry with NAT_CLASH is never ASSURED, though its timeout is a stream's") {
  tracked_flow flow(request());
  exchange(flow);
  flow.ct.set(status::nat_clash);
  flow.advance(seconds(3));
  CHECK(flow.reply(answer()) == track::accept);
  CHECK(flow.left() == seconds(120));
  CHECK_FALSE(flow.is_assured());
}

TEST_CASE("a UDP entry with FIXED_TIMEOUT is not refreshed") {
  tracked_flow flow(request());
  exchange(flow);
  flow.ct.set(status::fixed_timeout);
  flow.advance(seconds(3));
  CHECK(flow.reply(answer()) == track::accept);
  CHECK(flow.left() == seconds(27));
}

TEST_CASE("jiffies may wrap between a UDP flow's first packet and its stream_ts") {
  for (const std::uint32_t before_wrap :
       {1U, seconds(1), seconds(2) - 1, seconds(2), seconds(2) + 1}) {
    CAPTURE(before_wrap);
    tracked_flow flow(request());
    flow.now = 0U - before_wrap;
    exchange(flow);
    flow.advance(seconds(2));
    CHECK(flow.send(request()) == track::accept);
    CHECK(flow.left() == seconds(30));
    CHECK_FALSE(flow.is_assured());
    flow.advance(1);
    CHECK(flow.send(request()) == track::accept);
    CHECK(flow.left() == seconds(120));
    CHECK(flow.is_assured());
  }
}

TEST_CASE("a UDP stream of more than 2^31 jiffies is still a stream") {
  tracked_flow flow(request());
  exchange(flow);
  flow.advance(seconds(3));
  CHECK(flow.send(request()) == track::accept);
  REQUIRE(flow.is_assured());
  flow.advance(0x8000'0000U);  // packets kept it alive meanwhile
  CHECK(flow.send(request()) == track::accept);
  CHECK(flow.left() == seconds(120));
}

TEST_CASE("a UDP header is cut, or its length field wrong: INVALID, and the entry is untouched") {
  struct wrong {
    std::string what;
    bytes data;  ///< layer 4
    std::string reason;
  };
  const bytes right = udp({.source_port = 4000, .dest_port = 53}, payload(4)).data;
  bytes cut = right;
  cut.resize(7);
  bytes short_field = right;
  put16(short_field, 4, 7);
  bytes zero_field = right;
  put16(zero_field, 4, 0);
  bytes long_field = right;
  put16(long_field, 4, 13);
  const std::string is_short = "udp: length field shorter than the header";
  const wrong cases[] = {
      {"seven bytes", cut, "udp: header cut"},
      {"length 7", short_field, is_short},
      {"length 0", zero_field, is_short},
      {"one more than there is", long_field, "udp: length field passes the end of the packet"}};
  for (const wrong& c : cases) {
    CAPTURE(c.what);
    tracked_flow flow(request());
    exchange(flow);
    flow.advance(seconds(5));
    CHECK(flow.send(ipv4({}, other(ipproto::udp, c.data))) == track::invalid);
    REQUIRE(flow.reason != nullptr);
    CHECK(flow.reason == c.reason);
    CHECK(flow.left() == seconds(25));
    CHECK_FALSE(flow.is_assured());
  }
}

TEST_CASE("UDP lengths that are right are accepted") {
  tracked_flow flow(request());
  SECTION("eight bytes, nothing else") {
    CHECK(flow.send(ipv4({}, udp({.source_port = 4000, .dest_port = 53}))) == track::accept);
  }
  SECTION("fewer than the IP packet carries") {
    bytes data = udp({.source_port = 4000, .dest_port = 53}, payload(4)).data;
    put16(data, 4, 8);
    CHECK(flow.send(ipv4({}, other(ipproto::udp, data))) == track::accept);
  }
  SECTION("a capture cut behind the header: the length on the wire counts") {
    const bytes ip = request();
    packet pkt;
    const std::span<const std::byte> captured = std::span(ip).first(28);
    REQUIRE(decode_ip(captured, static_cast<std::uint32_t>(ip.size()), pkt) == decode_status::ok);
    CHECK(flow.handle(pkt, dir::original) == track::accept);
  }
  SECTION("a first fragment, whose field counts the later ones too") {
    bytes data = udp({.source_port = 4000, .dest_port = 53}, payload(8)).data;
    put16(data, 4, 3000);
    CHECK(flow.send(ipv4({.more_fragments = true}, other(ipproto::udp, data))) == track::accept);
    CHECK(flow.send(ipv4({}, other(ipproto::udp, data))) == track::invalid);
  }
}

TEST_CASE("ports are read from four bytes, not from three") {
  bytes data = udp({.source_port = 4000, .dest_port = 53}).data;
  data.resize(4);
  tuple t;
  const bytes four = ipv4({}, other(ipproto::udp, data));
  CHECK(get_tuple(view(four), t));
  CHECK(t.src.id == 4000);
  CHECK(t.dst.id == 53);
  data.resize(3);
  const bytes three = ipv4({}, other(ipproto::udp, data));
  CHECK_FALSE(get_tuple(view(three), t));
}

TEST_CASE("no UDP entry is dropped early for closing") {
  tracked_flow flow(request());
  CHECK_FALSE(udp_l4proto.can_early_drop(flow.ct));
}

}  // namespace ct::core
