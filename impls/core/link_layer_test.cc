// SPDX-License-Identifier: BSD-2-Clause
/// Link layers: golden frames written down in bytes, tags, padding, and what is not IP.
#include "impls/core/packet.h"
#include "impls/core/packet_suite.h"
#include "spec/ct_system.h"

#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace ct::core {
namespace {

using build::addr;
using build::append;
using build::bytes;
using build::checksum_add;
using build::checksum_fold;
using build::ethernet;
using build::ipv4;
using build::ipv6;
using build::linux_sll;
using build::linux_sll2;
using build::loopback;
using build::put16;
using build::raw;
using build::tcp;
using build::udp;

/// A DNS query of 1 byte, by hand: 192.0.2.1:4660 -> 192.0.2.53:53, TTL 63.
bytes golden_ipv4() {
  return raw({0x45, 0x00, 0x00, 0x1d, 0x00, 0x01, 0x40, 0x00, 0x3f, 0x11, 0xb7, 0x98, 192,  0,   2,
              1,    192,  0,    2,    53,   0x12, 0x34, 0x00, 0x35, 0x00, 0x09, 0x00, 0x00, 0xaa});
}
/// A TCP SYN by hand: [2001:db8::1]:443 -> [2001:db8::2]:50000, hop limit 62.
bytes golden_ipv6() {
  return raw({0x60, 0,    0,    0,    0, 20, 6, 62,                                //
              0x20, 0x01, 0x0d, 0xb8, 0, 0,  0, 0,  0, 0, 0, 0, 0,    0,    0, 1,  //
              0x20, 0x01, 0x0d, 0xb8, 0, 0,  0, 0,  0, 0, 0, 0, 0,    0,    0, 2,  //
              0x01, 0xbb, 0xc3, 0x50, 0, 0,  0, 1,  0, 0, 0, 0, 0x50, 0x02,        //
              0xff, 0xff, 0,    0,    0, 0});
}
bytes framed(const bytes& header, const bytes& ip) {
  bytes out = header;
  append(out, ip);
  return out;
}

decode_status decoded(const bytes& frame, link_type link, packet& out) {
  return decode(frame, static_cast<std::uint32_t>(frame.size()), link, out);
}
decode_status decoded(const bytes&& frame, link_type link, packet& out) = delete;  // out views it
decode_status status_of(const bytes& frame, link_type link) {
  packet pkt;
  return decoded(frame, link, pkt);
}

void check_golden_ipv4(const packet& pkt) {
  CHECK(pkt.l3num == l3num::ipv4);
  CHECK(pkt.protonum == 17);
  CHECK(pkt.hop_limit == 63);
  CHECK(pkt.src == addr("192.0.2.1"));
  CHECK(pkt.dst == addr("192.0.2.53"));
  CHECK(pkt.l3_bytes == 29);
  CHECK(pkt.l4_bytes == 9);
  CHECK(pkt.l3.size() == 29);
  REQUIRE(pkt.l4.size() == 9);
  CHECK(read_be16(pkt.l4, 0) == 0x1234);
  CHECK(read_be16(pkt.l4, 2) == 53);
  CHECK(pkt.has_l4);
  CHECK_FALSE(pkt.is_fragment);
}
void check_golden_ipv6(const packet& pkt) {
  CHECK(pkt.l3num == l3num::ipv6);
  CHECK(pkt.protonum == 6);
  CHECK(pkt.hop_limit == 62);
  CHECK(pkt.src == addr("2001:db8::1"));
  CHECK(pkt.dst == addr("2001:db8::2"));
  CHECK(pkt.l3_bytes == 60);
  CHECK(pkt.l4_bytes == 20);
  REQUIRE(pkt.l4.size() == 20);
  CHECK(read_be16(pkt.l4, 0) == 443);
  CHECK(read_be16(pkt.l4, 2) == 50000);
  CHECK(pkt.has_l4);
}

struct golden {
  std::string name;
  link_type link;
  bytes header4;  ///< ahead of the IPv4 packet; empty with the next: this link carries none
  bytes header6;
  bool carries4 = true;
  bool carries6 = true;
};
const bytes macs = raw({0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2});

/// Each link type with its header in bytes, from pcap-linktype(7).
std::vector<golden> goldens() {
  return {
      {"ethernet",
       link_type::ethernet,
       framed(macs, raw({0x08, 0x00})),
       framed(macs, raw({0x86, 0xdd}))},
      {"802.1Q",
       link_type::ethernet,
       framed(macs, raw({0x81, 0x00, 0x20, 0x05, 0x08, 0x00})),
       framed(macs, raw({0x81, 0x00, 0x20, 0x05, 0x86, 0xdd}))},
      {"802.1ad",
       link_type::ethernet,
       framed(macs, raw({0x88, 0xa8, 0, 7, 0x81, 0x00, 0, 5, 0x08, 0x00})),
       framed(macs, raw({0x88, 0xa8, 0, 7, 0x81, 0x00, 0, 5, 0x86, 0xdd}))},
      {"raw", link_type::raw, {}, {}},
      {"ipv4", link_type::ipv4, {}, {}, true, false},
      {"ipv6", link_type::ipv6, {}, {}, false, true},
      {"null, little-endian Linux", link_type::null, raw({2, 0, 0, 0}), raw({10, 0, 0, 0})},
      {"null, little-endian macOS", link_type::null, raw({2, 0, 0, 0}), raw({30, 0, 0, 0})},
      {"null, big-endian FreeBSD", link_type::null, raw({0, 0, 0, 2}), raw({0, 0, 0, 28})},
      {"null, Windows", link_type::null, raw({2, 0, 0, 0}), raw({23, 0, 0, 0})},
      {"loop, OpenBSD", link_type::loop, raw({0, 0, 0, 2}), raw({0, 0, 0, 24})},
      {"linux_sll",
       link_type::linux_sll,
       raw({0, 4, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0x08, 0x00}),
       raw({0, 4, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0x86, 0xdd})},
      {"linux_sll2",
       link_type::linux_sll2,
       raw({0x08, 0x00, 0, 0, 0, 0, 0, 2, 0, 1, 4, 6, 2, 0, 0, 0, 0, 1, 0, 0}),
       raw({0x86, 0xdd, 0, 0, 0, 0, 0, 2, 0, 1, 4, 6, 2, 0, 0, 0, 0, 1, 0, 0})},
  };
}

}  // namespace

TEST_CASE("a golden frame of every link type is decoded") {
  for (const golden& g : goldens()) {
    CAPTURE(g.name);
    packet pkt;
    const bytes frame4 = framed(g.header4, golden_ipv4());
    CHECK((decoded(frame4, g.link, pkt) == decode_status::ok) == g.carries4);
    if (g.carries4) check_golden_ipv4(pkt);
    const bytes frame6 = framed(g.header6, golden_ipv6());
    CHECK((decoded(frame6, g.link, pkt) == decode_status::ok) == g.carries6);
    if (g.carries6) check_golden_ipv6(pkt);
  }
}

TEST_CASE("the builder's frames are the golden ones") {
  const bytes built4 = ipv4({.src = "192.0.2.1", .dst = "192.0.2.53", .ttl = 63},
                            udp({.source_port = 0x1234, .dest_port = 53}, raw({0xaa})));
  bytes expected4 = golden_ipv4();
  // The builder's fields that the golden packet has otherwise: id, DF, both checksums.
  for (const std::size_t at : {4U, 5U, 6U, 10U, 11U, 26U, 27U}) expected4[at] = built4[at];
  CHECK(built4 == expected4);
  bytes built6 =
      ipv6({.hop_limit = 62},
           tcp({.source_port = 443, .dest_port = 50000, .seq = 1, .flags = build::tcp_bit::syn}));
  put16(built6, 56, 0);
  CHECK(built6 == golden_ipv6());
  const bytes by_hand = golden_ipv4();
  CHECK(checksum_fold(checksum_add(0, std::span(by_hand).first(20))) == 0);
}

TEST_CASE("up to four VLAN tags of any kind are taken off; with five it is no IP frame") {
  packet pkt;
  const bytes ip = golden_ipv4();
  const bytes three = ethernet(ip, {0x9100, 0x88a8, 0x8100});
  CHECK(decoded(three, link_type::ethernet, pkt) == decode_status::ok);
  check_golden_ipv4(pkt);
  const bytes four = ethernet(golden_ipv6(), {0x8100, 0x8100, 0x8100, 0x8100});
  CHECK(decoded(four, link_type::ethernet, pkt) == decode_status::ok);
  check_golden_ipv6(pkt);
  CHECK(status_of(ethernet(ip, {0x8100, 0x8100, 0x8100, 0x8100, 0x8100}), link_type::ethernet) ==
        decode_status::not_ip);
}

TEST_CASE("cooked captures carry tags too") {
  bytes frame = linux_sll(golden_ipv4());
  const bytes tag = raw({0x00, 0x05, 0x08, 0x00});
  put16(frame, 14, 0x8100);
  frame.insert(frame.begin() + 16, tag.begin(), tag.end());
  packet pkt;
  CHECK(decoded(frame, link_type::linux_sll, pkt) == decode_status::ok);
  check_golden_ipv4(pkt);
}

TEST_CASE("ARP, LLC and unknown families are not IP") {
  for (const unsigned ethertype : {0x0806U, 0x0026U, 0x88ccU, 0x8864U}) {
    CAPTURE(ethertype);
    bytes frame = ethernet(golden_ipv4());
    put16(frame, 12, ethertype);
    CHECK(status_of(frame, link_type::ethernet) == decode_status::not_ip);
    bytes cooked = linux_sll(golden_ipv4());
    put16(cooked, 14, ethertype);
    CHECK(status_of(cooked, link_type::linux_sll) == decode_status::not_ip);
    bytes cooked2 = linux_sll2(golden_ipv4());
    put16(cooked2, 0, ethertype);
    CHECK(status_of(cooked2, link_type::linux_sll2) == decode_status::not_ip);
  }
  CHECK(status_of(loopback(7, golden_ipv4()), link_type::null) == decode_status::not_ip);
  // The network's order only: this is family 0x02000000.
  CHECK(status_of(loopback(0x02000000, golden_ipv4()), link_type::loop) == decode_status::not_ip);
}

TEST_CASE("a frame whose IP version is not the announced one is malformed") {
  bytes four_as_six = ethernet(golden_ipv4());
  put16(four_as_six, 12, 0x86dd);
  CHECK(status_of(four_as_six, link_type::ethernet) == decode_status::malformed);
  bytes six_as_four = ethernet(golden_ipv6());
  put16(six_as_four, 12, 0x0800);
  CHECK(status_of(six_as_four, link_type::ethernet) == decode_status::malformed);
  CHECK(status_of(golden_ipv6(), link_type::ipv4) == decode_status::malformed);
  CHECK(status_of(golden_ipv4(), link_type::ipv6) == decode_status::malformed);
  CHECK(status_of(loopback(30, golden_ipv4()), link_type::null) == decode_status::malformed);
}

TEST_CASE("padding behind the IP packet is cut off") {
  bytes frame = ethernet(golden_ipv4());
  frame.resize(60);  // Ethernet's minimum
  packet pkt;
  REQUIRE(decoded(frame, link_type::ethernet, pkt) == decode_status::ok);
  check_golden_ipv4(pkt);
}

TEST_CASE("a wire length below what was captured counts as what was captured") {
  const bytes frame = ethernet(golden_ipv4());
  packet pkt;
  REQUIRE(decode(frame, 0, link_type::ethernet, pkt) == decode_status::ok);
  check_golden_ipv4(pkt);
}

TEST_CASE("an unknown link type is malformed, and named") {
  packet pkt;
  const bytes ip = golden_ipv4();
  CHECK(decoded(ip, static_cast<link_type>(9999), pkt) == decode_status::malformed);
  CHECK(pkt.reason == std::string("link: unknown link type"));
}

}  // namespace ct::core
