// SPDX-License-Identifier: BSD-2-Clause
/// ICMP messages ahead of lookup: which are errors and what they are looked up by, untracked,
/// INVALID.
#include "impls/core/proto/icmp_error.h"

#include "impls/core/packet_suite.h"
#include "impls/core/proto/l4proto.h"
#include "spec/tuple.h"

#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

namespace ct::core {
namespace {

using build::addr;
using build::append;
using build::authentication_header;
using build::bytes;
using build::fragment_header;
using build::icmp;
using build::icmpv6;
using build::ipv4;
using build::ipv6;
using build::layer4;
using build::options_header;
using build::other;
using build::payload;
using build::put16;
using build::put8;
using build::raw;
using build::udp;
using build::view;

const char* const client = "10.0.0.1";
const char* const server = "10.0.0.2";
const char* const router = "192.0.2.99";

bytes request() {
  return ipv4({.src = client, .dst = server},
              udp({.source_port = 4000, .dest_port = 53}, payload(40)));
}
bytes request6() { return ipv6({}, udp({.source_port = 4000, .dest_port = 53}, payload(40))); }
tuple tuple_of(const bytes& ip) {
  tuple t;
  REQUIRE(get_tuple(view(ip), t));
  return t;
}
/// The first `count` bytes of a packet: what a router quotes.
bytes head(bytes ip, std::size_t count) {
  ip.resize(count);
  return ip;
}
bytes error4(std::uint8_t type, const bytes& quoted, const char* to = client) {
  return ipv4({.src = router, .dst = to}, icmp({.type = type}, quoted));
}
bytes error6(std::uint8_t type, const bytes& quoted) {
  return ipv6({.src = "2001:db8::ffff", .dst = "2001:db8::1"}, icmpv6({.type = type}, quoted));
}
icmp_message classify(const bytes& ip) { return classify_icmp(view(ip)); }

}  // namespace

TEST_CASE("five ICMP types are errors, types above 18 INVALID, the others queries") {
  const std::set<int> errors = {3, 4, 5, 11, 12};
  for (int type = 0; type < 256; ++type) {
    CAPTURE(type);
    const icmp_class kind = classify(error4(static_cast<std::uint8_t>(type), request())).kind;
    CHECK((kind == icmp_class::error) == errors.contains(type));
    CHECK((kind == icmp_class::invalid) == (type > 18));
    CHECK(kind != icmp_class::untracked);
  }
}

TEST_CASE("ICMPv6 types below 128 are errors, ten are untracked, the others queries") {
  // As a live 6.18.44 has it: of multicast router discovery (RFC 4286) termination, 153, is not
  // one.
  const std::set<int> untracked = {130, 131, 132, 133, 134, 135, 136, 143, 151, 152};
  for (int type = 0; type < 256; ++type) {
    if (type == 137) continue;  // redirect: below
    CAPTURE(type);
    const icmp_class kind = classify(error6(static_cast<std::uint8_t>(type), request6())).kind;
    CHECK((kind == icmp_class::error) == (type < 128));
    CHECK((kind == icmp_class::untracked) == untracked.contains(type));
    CHECK(kind != icmp_class::invalid);
  }
}

TEST_CASE(
    "an error about a request is looked up by the reply tuple, whose destination the client is") {
  const icmp_message message = classify(error4(3, head(request(), 28)));
  REQUIRE(message.kind == icmp_class::error);
  const std::optional<tuple> reply = invert_tuple(tuple_of(request()));
  CHECK(same_flow(message.looked_up, *reply));
  CHECK(message.looked_up.dst.addr == addr(client));
  CHECK(message.looked_up.dst.id == 4000);
  CHECK_FALSE(same_flow(message.looked_up, tuple_of(request())));
}

TEST_CASE("an error about a reply packet is looked up by the original tuple") {
  const bytes answer = ipv4({.src = server, .dst = client},
                            udp({.source_port = 53, .dest_port = 4000}, payload(40)));
  const icmp_message message = classify(error4(11, head(answer, 28), server));
  REQUIRE(message.kind == icmp_class::error);
  CHECK(same_flow(message.looked_up, tuple_of(request())));
  CHECK(message.looked_up.dst.addr == addr(server));
}

TEST_CASE("an error about an echo request is looked up by the reply's type") {
  const bytes ping = ipv4({.src = client, .dst = server}, icmp({.type = 8, .id = 99}, payload(8)));
  const icmp_message message = classify(error4(11, head(ping, 28)));
  REQUIRE(message.kind == icmp_class::error);
  CHECK(icmp_type(message.looked_up) == 0);
  CHECK(message.looked_up.src.id == 99);
}

TEST_CASE("quoted options and extension headers are skipped") {
  const bytes with_options = ipv4({.src = client, .dst = server, .options = payload(40)},
                                  udp({.source_port = 4000, .dest_port = 53}, payload(8)));
  const icmp_message four = classify(error4(3, head(with_options, 68)));
  REQUIRE(four.kind == icmp_class::error);
  CHECK(same_flow(four.looked_up, *invert_tuple(tuple_of(request()))));

  const bytes with_headers = ipv6({.extensions = {options_header(0),
                                                  options_header(60, 1),
                                                  fragment_header(0, true),
                                                  authentication_header()}},
                                  udp({.source_port = 4000, .dest_port = 53}, payload(8)));
  const icmp_message six = classify(error6(1, with_headers));
  REQUIRE(six.kind == icmp_class::error);
  CHECK(same_flow(six.looked_up, *invert_tuple(tuple_of(request6()))));
}

TEST_CASE("lengths and version of a quoted header do not matter") {
  bytes quoted = head(request(), 28);
  put16(quoted, 2, 28 << 8);  // some systems quote it with its bytes swapped,
  CHECK(classify(error4(3, quoted)).kind == icmp_class::error);
  put16(quoted, 2, 0);  // or less the header
  CHECK(classify(error4(3, quoted)).kind == icmp_class::error);
  put8(quoted, 0, 0x65);  // the outer header's family counts
  CHECK(classify(error4(3, quoted)).kind == icmp_class::error);
  bytes quoted6 = head(request6(), 48);
  put16(quoted6, 4, 9999);
  CHECK(classify(error6(3, quoted6)).kind == icmp_class::error);
}

TEST_CASE("a quote cut at any length is INVALID until its ports are there") {
  // 20 or 40 bytes of IP, then both ports.
  for (std::size_t length = 0; length <= 28; ++length) {
    CAPTURE(length);
    const icmp_message message = classify(error4(3, head(request(), length)));
    CHECK((message.kind == icmp_class::error) == (length >= 24));
    CHECK((message.kind == icmp_class::invalid) == (message.reason != nullptr));
  }
  for (std::size_t length = 0; length <= 48; ++length) {
    CAPTURE(length);
    const icmp_message message = classify(error6(1, head(request6(), length)));
    CHECK((message.kind == icmp_class::error) == (length >= 44));
  }
}

TEST_CASE("a quoted later fragment, ICMP error, or chain without layer 4 is INVALID") {
  const layer4 inner = udp({.source_port = 4000, .dest_port = 53}, payload(8));
  CHECK(classify(error4(3, ipv4({.fragment_offset = 1}, inner))).kind == icmp_class::invalid);
  CHECK(classify(error4(3, ipv4({.more_fragments = true}, inner))).kind == icmp_class::error);
  CHECK(classify(error4(3, error4(3, request()))).kind == icmp_class::invalid);
  CHECK(classify(error6(1, ipv6({.extensions = {fragment_header(1, false)}}, inner))).kind ==
        icmp_class::invalid);
  CHECK(classify(error6(1, ipv6({}, other(59)))).kind == icmp_class::invalid);
  CHECK(classify(error6(1, error6(1, request6()))).kind == icmp_class::invalid);
}

TEST_CASE("a quoted protocol without a tracker needs no more than its IP header") {
  const icmp_message message =
      classify(error4(3, head(ipv4({.src = client, .dst = server}, other(50, payload(8))), 20)));
  REQUIRE(message.kind == icmp_class::error);
  CHECK(message.looked_up.dst.protonum == 50);
  CHECK(message.looked_up.src.addr == addr(server));
}

TEST_CASE("an ICMP header of fewer than eight bytes is INVALID, even of an untracked type") {
  for (std::size_t length = 0; length < 8; ++length) {
    CAPTURE(length);
    CHECK(classify(ipv4({}, other(1, head(icmp({.type = 8}).data, length)))).kind ==
          icmp_class::invalid);
    CHECK(classify(ipv6({}, other(58, head(icmpv6({.type = 135}).data, length)))).kind ==
          icmp_class::invalid);
  }
}

TEST_CASE("ICMP inside the other IP is no error message") {
  CHECK(classify(ipv6({}, other(1, icmp({.type = 3}, request()).data))).kind == icmp_class::query);
  CHECK(classify(ipv4({}, other(58, icmpv6({.type = 1}, request6()).data))).kind ==
        icmp_class::query);
}

TEST_CASE("a later fragment of ICMP is no message: it counts as what has no tuple") {
  CHECK(classify(ipv4({.fragment_offset = 1}, icmp({.type = 3}))).kind == icmp_class::query);
  const build::extension later = fragment_header(1, false);
  CHECK(classify(ipv6({.extensions = {later}}, icmpv6({.type = 1}))).kind == icmp_class::query);
}

namespace {

struct redirect_fields {
  const char* from = "fe80::1";
  std::uint8_t hop_limit = 255;
  std::uint8_t code = 0;
  std::uint8_t option = 4;  ///< Redirected Header
  std::uint8_t option_units = 7;
  std::size_t bytes_kept = 1000;  ///< of the ICMPv6 message
};
bytes redirect(redirect_fields f) {
  bytes body = payload(32);  // target and destination address
  append(body, raw({f.option, f.option_units, 0, 0, 0, 0, 0, 0}));
  append(body, head(request6(), 48));
  layer4 message = icmpv6({.type = 137, .code = f.code}, body);
  if (f.bytes_kept < message.data.size()) message.data.resize(f.bytes_kept);
  return ipv6({.src = f.from, .dst = "2001:db8::1", .hop_limit = f.hop_limit}, message);
}

}  // namespace

TEST_CASE("an ICMPv6 redirect from a router on the link is an error about what it quotes") {
  const icmp_message message = classify(redirect({}));
  REQUIRE(message.kind == icmp_class::error);
  CHECK(same_flow(message.looked_up, *invert_tuple(tuple_of(request6()))));
  CHECK(classify(redirect({.from = "febf::1"})).kind == icmp_class::error);
}

TEST_CASE("an ICMPv6 redirect that cannot come from the link, or is cut, is INVALID") {
  CHECK(classify(redirect({.hop_limit = 254})).kind == icmp_class::invalid);
  CHECK(classify(redirect({.from = "2001:db8::1"})).kind == icmp_class::invalid);
  CHECK(classify(redirect({.from = "fec0::1"})).kind == icmp_class::invalid);
  CHECK(classify(redirect({.option_units = 0})).kind == icmp_class::invalid);
  for (std::size_t kept = 8; kept < 92; ++kept) {  // 40 + 8 + 40 + 4 is what is read
    CAPTURE(kept);
    CHECK(classify(redirect({.bytes_kept = kept})).kind == icmp_class::invalid);
  }
  CHECK(classify(redirect({.bytes_kept = 92})).kind == icmp_class::error);
}

TEST_CASE("an ICMPv6 redirect of another code or first option is a query, which has no inverse") {
  for (const bytes& ip : {redirect({.code = 1}), redirect({.option = 2})}) {
    CHECK(classify(ip).kind == icmp_class::query);
    CHECK_FALSE(invert_tuple(tuple_of(ip)).has_value());
  }
}

}  // namespace ct::core
