// SPDX-License-Identifier: BSD-2-Clause
/// IPv4 and IPv6: what is malformed and why, options, extension headers, fragments, cut captures.
#include "impls/core/packet.h"
#include "impls/core/packet_suite.h"
#include "impls/core/proto/l4proto.h"

#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace ct::core {
namespace {

using build::authentication_header;
using build::bytes;
using build::extension;
using build::fragment_header;
using build::ipv4;
using build::ipv6;
using build::layer4;
using build::options_header;
using build::other;
using build::payload;
using build::put16;
using build::put8;
using build::udp;

const layer4 datagram = udp({.source_port = 4000, .dest_port = 53}, payload(8));

packet decoded(const bytes& ip) {
  packet pkt;
  REQUIRE(decode_ip(ip, static_cast<std::uint32_t>(ip.size()), pkt) == decode_status::ok);
  return pkt;
}
packet decoded(const bytes&& ip) = delete;

/// Why `ip` is malformed; "" if it is not.
std::string why_malformed(const bytes& ip, std::size_t wire_bytes = 0) {
  packet pkt;
  const decode_status s = decode_ip(ip, static_cast<std::uint32_t>(wire_bytes), pkt);
  if (s == decode_status::ok) return "";
  REQUIRE(s == decode_status::malformed);
  REQUIRE(pkt.reason != nullptr);
  return pkt.reason;
}

}  // namespace

TEST_CASE("IPv4 options of every length are skipped") {
  for (std::size_t options = 0; options <= 40; options += 4) {
    CAPTURE(options);
    const bytes ip = ipv4({.options = payload(options)}, datagram);
    const packet pkt = decoded(ip);
    CHECK(pkt.l3_bytes == 36 + options);
    CHECK(pkt.l4_bytes == 16);
    REQUIRE(pkt.l4.size() == 16);
    CHECK(read_be16(pkt.l4, 0) == 4000);
  }
}

TEST_CASE("an IPv4 header that contradicts itself or its frame is malformed") {
  const bytes right = ipv4({}, datagram);
  CHECK(why_malformed(right).empty());
  bytes ip = right;
  put8(ip, 0, 0x44);
  CHECK(why_malformed(ip) == "ipv4: header length under 20");
  ip = right;
  put8(ip, 0, 0x55);
  CHECK(why_malformed(ip) == "ip: version is neither 4 nor 6");
  ip = right;
  put16(ip, 2, 19);
  CHECK(why_malformed(ip) == "ipv4: total length shorter than the header");
  ip = right;
  put8(ip, 0, 0x4f);  // 60 bytes of header in 36
  CHECK(why_malformed(ip) == "ipv4: total length shorter than the header");
  ip = right;
  put16(ip, 2, 37);
  CHECK(why_malformed(ip) == "ipv4: total length passes the end of the frame");
  CHECK(why_malformed(ip, 37).empty());  // the capture was cut, the frame was not
  CHECK(why_malformed({}) == "ip: header cut");
}

TEST_CASE("an IPv4 header alone is a packet without payload") {
  const bytes ip = ipv4({}, other(47));
  const packet pkt = decoded(ip);
  CHECK(pkt.has_l4);
  CHECK(pkt.l4.empty());
  CHECK(pkt.l4_bytes == 0);
}

TEST_CASE("a cut capture keeps the lengths of the header") {
  const bytes ip = ipv4({}, udp({.source_port = 4000, .dest_port = 53}, payload(1000)));
  packet pkt;
  REQUIRE(decode_ip(std::span(ip).first(68), static_cast<std::uint32_t>(ip.size()), pkt) ==
          decode_status::ok);
  CHECK(pkt.l3_bytes == 1028);
  CHECK(pkt.l4_bytes == 1008);
  CHECK(pkt.l3.size() == 68);
  CHECK(pkt.l4.size() == 48);
}

TEST_CASE("IPv4 fragments: the first has its layer-4 header, later ones have none") {
  const bytes whole = ipv4({}, datagram);
  CHECK_FALSE(decoded(whole).is_fragment);
  const bytes first = ipv4({.more_fragments = true}, datagram);
  CHECK(decoded(first).is_fragment);
  CHECK_FALSE(decoded(first).is_later_fragment);
  CHECK(decoded(first).has_l4);
  for (const bool more : {false, true}) {
    const bytes later = ipv4({.more_fragments = more, .fragment_offset = 1}, datagram);
    const packet pkt = decoded(later);
    CHECK(pkt.is_fragment);
    CHECK(pkt.is_later_fragment);
    CHECK_FALSE(pkt.has_l4);
    CHECK(pkt.l4.empty());
    CHECK(pkt.protonum == 17);
    CHECK(pkt.l3_bytes == 36);
    CHECK(pkt.reason == std::string("ipv4: not the first fragment"));
  }
  bytes dont_fragment = whole;
  put16(dont_fragment, 6, 0x4000);
  CHECK_FALSE(decoded(dont_fragment).is_fragment);
}

TEST_CASE("IPv6 extension headers are skipped, alone and in a row") {
  const std::vector<std::vector<extension>> chains = {
      {},
      {options_header(0)},
      {options_header(43, 2)},
      {options_header(60, 255)},
      {authentication_header()},
      {fragment_header(0, false)},
      {options_header(0, 1),
       options_header(60),
       options_header(43),
       fragment_header(0, true),
       authentication_header(),
       options_header(60, 3)},
  };
  for (const auto& chain : chains) {
    CAPTURE(chain.size());
    const bytes ip = ipv6({.extensions = chain}, datagram);
    const packet pkt = decoded(ip);
    CHECK(pkt.protonum == 17);
    CHECK(pkt.has_l4);
    CHECK(pkt.l4_bytes == 16);
    REQUIRE(pkt.l4.size() == 16);
    CHECK(read_be16(pkt.l4, 0) == 4000);
    CHECK(pkt.l3_bytes == ip.size());
  }
}

TEST_CASE("every next-header number but seven is a protocol, ESP too") {
  for (unsigned number = 0; number < 256; ++number) {
    if (number == 0 || number == 43 || number == 44 || number == 51 || number == 59 || number == 60)
      continue;
    CAPTURE(number);
    const bytes ip = ipv6({}, other(static_cast<std::uint8_t>(number), payload(16)));
    const packet pkt = decoded(ip);
    CHECK(pkt.protonum == number);
    CHECK(pkt.has_l4);
    CHECK(pkt.l4.size() == 16);
  }
}

TEST_CASE("no next header ends an IPv6 chain without layer 4") {
  const bytes alone = ipv6({}, other(59, payload(8)));
  CHECK_FALSE(decoded(alone).has_l4);
  const bytes behind = ipv6({.extensions = {options_header(60)}}, other(59));
  const packet pkt = decoded(behind);
  CHECK_FALSE(pkt.has_l4);
  CHECK(pkt.l4.empty());
  CHECK(pkt.reason == std::string("ipv6: no next header"));
}

TEST_CASE("IPv6 fragments: whole, first and later ones") {
  const bytes atomic = ipv6({.extensions = {fragment_header(0, false)}}, datagram);
  CHECK(decoded(atomic).is_fragment);
  CHECK_FALSE(decoded(atomic).is_later_fragment);
  CHECK(decoded(atomic).has_l4);
  const bytes first = ipv6({.extensions = {fragment_header(0, true)}}, datagram);
  CHECK(decoded(first).is_fragment);
  CHECK_FALSE(decoded(first).is_later_fragment);
  CHECK(decoded(first).has_l4);
  const bytes later = ipv6({.extensions = {fragment_header(1, false)}}, datagram);
  const packet pkt = decoded(later);
  CHECK(pkt.is_fragment);
  CHECK(pkt.is_later_fragment);
  CHECK_FALSE(pkt.has_l4);
  CHECK(pkt.l4.empty());
  CHECK(pkt.reason == std::string("ipv6: not the first fragment"));
}

TEST_CASE("an IPv6 header that contradicts its frame is malformed") {
  bytes ip = ipv6({}, datagram);
  put16(ip, 4, 17);
  CHECK(why_malformed(ip) == "ipv6: payload length passes the end of the frame");
  CHECK(why_malformed(ip, 57).empty());
  ip.resize(39);
  CHECK(why_malformed(ip) == "ipv6: header cut");
}

TEST_CASE("an IPv6 jumbogram is malformed, and named; payload length 0 alone is no jumbogram") {
  bytes jumbo = ipv6({.extensions = {options_header(0)}}, datagram);
  put16(jumbo, 4, 0);
  // Seen live on 6.18.44: without the option the packet is as long as its frame.
  CHECK(why_malformed(jumbo).empty());
  CHECK(decoded(jumbo).l3_bytes == jumbo.size());
  CHECK(decoded(jumbo).has_l4);
  put8(jumbo, 42, 0xc2);
  put8(jumbo, 43, 4);
  CHECK(why_malformed(jumbo) == "ipv6: jumbogram, or an option that says so wrongly");
  const bytes empty = ipv6({}, other(47));
  CHECK(decoded(empty).has_l4);
}

TEST_CASE(
    "IP drops hop-by-hop options that are wrong, padding too, and skips what may be skipped") {
  // As a live 6.18.44 does. Six bytes of options each.
  const auto why = [](std::initializer_list<unsigned> options) {
    bytes ip = ipv6({.extensions = {options_header(0)}}, datagram);
    std::size_t at = 42;
    for (const unsigned byte : options) put8(ip, at++, byte);
    return why_malformed(ip);
  };
  CHECK(why({1, 4, 0, 0, 0, 0}).empty());
  CHECK(why({0, 0, 0, 0, 0, 0}).empty());
  CHECK(why({0x1e, 4, 1, 2, 3, 4}).empty());
  CHECK(why({5, 2, 0, 0, 0, 0}).empty());
  CHECK(why({1, 4, 0, 0, 0, 1}) == "ipv6: hop-by-hop padding that is not zero");
  CHECK(why({1, 5, 0, 0, 0, 0}) == "ipv6: hop-by-hop option passes the end of the options");
  CHECK(why({0, 0, 0, 0, 0, 1}) == "ipv6: hop-by-hop option cut");
  CHECK(why({5, 3, 0, 0, 0, 0}) == "ipv6: router alert of a wrong length");
  for (const unsigned type : {0x40U, 0x80U, 0xc0U}) {
    CHECK(why({type, 4, 0, 0, 0, 0}) == "ipv6: unknown hop-by-hop option that must not be skipped");
  }
  bytes padded = ipv6({.extensions = {options_header(0, 1)}}, datagram);
  CHECK(why_malformed(padded).empty());
  put8(padded, 42, 1);
  CHECK(why_malformed(padded) == "ipv6: hop-by-hop padding of more than 7 bytes");
}

TEST_CASE("hop-by-hop options that pass the end of the packet are malformed: IP drops them") {
  bytes ip = ipv6({.extensions = {options_header(0)}}, datagram);
  put8(ip, 41, 2);  // 24 bytes of options and nothing behind them: just right
  put8(ip, 48, 0x1e);
  put8(ip, 49, 14);
  CHECK(why_malformed(ip).empty());
  put8(ip, 41, 3);
  CHECK(why_malformed(ip) == "ipv6: hop-by-hop options pass the end of the packet");
  bytes stub = ipv6({}, other(0, payload(7)));
  CHECK(why_malformed(stub) == "ipv6: hop-by-hop options pass the end of the packet");
}

TEST_CASE("other extension headers that pass the end of the packet are conntrack's business") {
  // Ports cannot be read, so no tuple; a protocol without ports has one, as in the kernel.
  bytes ip = ipv6({.extensions = {options_header(60)}}, datagram);
  put8(ip, 41, 9);
  tuple t;
  CHECK(decoded(ip).has_l4);
  CHECK(decoded(ip).l4.empty());
  CHECK(decoded(ip).l4_bytes == 0);
  CHECK_FALSE(get_tuple(decoded(ip), t));
  put8(ip, 40, 47);
  CHECK(get_tuple(decoded(ip), t));
  // A chain that ends in the middle of a header has no layer 4 at all.
  put8(ip, 40, 43);
  const packet pkt = decoded(ip);
  CHECK_FALSE(pkt.has_l4);
  CHECK(pkt.reason == std::string("ipv6: extension headers pass the end of the packet"));
}

TEST_CASE(
    "a capture cut inside extension headers is malformed, and says that the capture is to blame") {
  const bytes ip = ipv6({.extensions = {options_header(60), options_header(43)}}, datagram);
  packet pkt;
  CHECK(decode_ip(std::span(ip).first(49), static_cast<std::uint32_t>(ip.size()), pkt) ==
        decode_status::malformed);
  CHECK(pkt.reason == std::string("ipv6: capture cut inside the extension headers"));
}

}  // namespace ct::core
