// SPDX-License-Identifier: BSD-2-Clause
/// Checksums against those of the packet builder, which adds them up in another way, and against
/// known values; and what is believed without a look.
#include "impls/core/checksum.h"

#include "impls/core/packet_suite.h"
#include "spec/tuple.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <rapidcheck/catch.h>
#include <string>
#include <vector>

namespace ct::core {
namespace {

using build::bytes;
using build::ipv4;
using build::ipv6;
using build::layer4;

packet unverified(const bytes& ip) {
  packet pkt = build::view(ip);
  pkt.is_unverified = true;
  return pkt;
}

bool is_right(const packet& pkt) {
  switch (pkt.protonum) {
    case ipproto::icmp:
      return is_icmp_checksum_right(pkt);
    case ipproto::sctp:
      return is_crc32c_right(pkt);
    case ipproto::udplite:
      return is_partial_checksum_right(pkt, ipproto::udp, pkt.l4_bytes);
    case ipproto::dccp:
      return is_partial_checksum_right(pkt, ipproto::dccp, pkt.l4_bytes);
    default:
      return is_checksum_right(pkt, pkt.protonum);
  }
}

std::vector<layer4> one_of_each(const bytes& data) {
  return {build::tcp({.source_port = 1, .dest_port = 2, .flags = 2}, data),
          build::udp({.source_port = 1, .dest_port = 2}, data),
          build::udplite({.source_port = 1, .dest_port = 2}, data),
          build::icmpv6({.type = 128}, data),
          build::dccp({.source_port = 1, .dest_port = 2}, data),
          build::sctp({.source_port = 1, .dest_port = 2}, data)};
}

bytes text(const std::string& of) {
  bytes out;
  for (const char c : of) out.push_back(static_cast<std::byte>(c));
  return out;
}

}  // namespace

TEST_CASE("right checksums are right, at every length, and no longer with one bit changed") {
  rc::prop("for every payload", [](const std::vector<std::uint8_t>& noise) {
    bytes data;
    for (const std::uint8_t byte : noise) data.push_back(static_cast<std::byte>(byte));
    std::vector<bytes> packets;
    for (const layer4& l4 : one_of_each(data)) {
      packets.push_back(ipv4({}, l4));
      packets.push_back(ipv6({}, l4));
    }
    packets.push_back(ipv4({}, build::icmp({.type = 8}, data)));
    for (const bytes& ip : packets) {
      RC_ASSERT(is_right(unverified(ip)));
      const std::size_t l4_at = ip.size() - unverified(ip).l4.size();
      bytes changed = ip;
      const auto at = *rc::gen::inRange<std::size_t>(l4_at, ip.size());
      changed[at] ^= std::byte{1} << *rc::gen::inRange(0, 8);
      RC_ASSERT_FALSE(is_right(unverified(changed)));
    }
  });
}

TEST_CASE("addresses and protocol are part of the sum, but for ICMP and SCTP") {
  for (layer4 l4 : one_of_each(build::payload(9))) {
    const bytes ip = ipv4({}, l4);
    l4.data.assign(ip.begin() + 20, ip.end());
    l4.checksum_at = 0;  // as it was summed for the other address
    CHECK(is_right(unverified(ipv4({}, l4))));
    CHECK(is_right(unverified(ipv4({.dst = "10.0.0.3"}, l4))) == (l4.protonum == ipproto::sctp));
  }
  packet pkt;
  const bytes ip = ipv4({}, build::tcp({.flags = 2}));
  pkt = unverified(ip);
  CHECK(is_checksum_right(pkt, ipproto::tcp));
  CHECK_FALSE(is_checksum_right(pkt, ipproto::udp));
}

TEST_CASE("a partial sum covers what it says and no more") {
  const bytes ip =
      ipv4({},
           build::udplite({.source_port = 1, .dest_port = 2, .coverage = 12}, build::payload(9)));
  CHECK(is_partial_checksum_right(unverified(ip), ipproto::udp, 12));
  CHECK_FALSE(is_partial_checksum_right(unverified(ip), ipproto::udp, 13));
  bytes tail = ip;
  build::put8(tail, ip.size() - 1, 0xee);
  CHECK(is_partial_checksum_right(unverified(tail), ipproto::udp, 12));
  bytes head = ip;
  build::put8(head, 20 + 11, 0xee);
  CHECK_FALSE(is_partial_checksum_right(unverified(head), ipproto::udp, 12));
}

TEST_CASE("in IPv4 the pseudo-header of a partial sum has the low byte of the length alone") {
  for (const std::size_t payload : {0UL, 247UL, 248UL, 249UL, 500UL, 1400UL}) {
    for (const std::uint16_t coverage : {std::uint16_t{0}, std::uint16_t{8}}) {
      CAPTURE(payload, coverage);
      layer4 l4 = build::udplite({.source_port = 1, .dest_port = 2, .coverage = coverage},
                                 build::payload(payload));
      const std::size_t covered = coverage == 0 ? l4.data.size() : coverage;
      const auto answer = [&](const bytes& ip) {
        return is_partial_checksum_right(unverified(ip), ipproto::udp, covered);
      };
      CHECK(answer(ipv4({}, l4)));
      CHECK(answer(ipv6({}, l4)));
      l4.has_short_length = false;
      CHECK(answer(ipv4({}, l4)) == (l4.data.size() < 256));
      CHECK(answer(ipv6({}, l4)));
      // A whole sum has the whole length.
      CHECK(is_checksum_right(unverified(ipv4({}, l4)), ipproto::udp) ==
            (covered == l4.data.size()));
    }
  }
}

TEST_CASE("what is verified, a fragment, or cut by the capture is believed") {
  bytes ip = ipv4({}, build::udp({.source_port = 1, .dest_port = 2}, build::payload(9)));
  build::put8(ip, ip.size() - 1, 0xee);
  packet pkt = unverified(ip);
  CHECK_FALSE(is_right(pkt));
  pkt.is_unverified = false;
  CHECK(is_right(pkt));
  pkt = unverified(ip);
  pkt.is_fragment = true;
  CHECK(is_right(pkt));
  REQUIRE(decode_ip(std::span(ip).first(30), static_cast<std::uint32_t>(ip.size()), pkt) ==
          decode_status::ok);
  CHECK_FALSE(pkt.is_unverified);
  pkt.is_unverified = true;
  CHECK(is_right(pkt));
}

TEST_CASE("CRC32c has the values of RFC 3720, appendix B.4, and of the standard check") {
  CHECK(crc32c(text("123456789")) == 0xe306'9283);
  CHECK(crc32c(bytes(32)) == 0x8a91'36aa);
  CHECK(crc32c(bytes(32, std::byte{0xff})) == 0x62a8'ab43);
  CHECK(crc32c(build::payload(32)) == 0x46dd'794e);
  CHECK(crc32c({}) == 0);
}

TEST_CASE("an IPv4 header is right by its own sum, whatever is behind it") {
  for (const bytes& options : {bytes{}, build::payload(8)}) {
    bytes ip = ipv4({.options = options}, build::other(50, build::payload(9)));
    CHECK(is_ipv4_header_sum_right(build::view(ip)));
    build::put8(ip, ip.size() - 1, 0xee);
    CHECK(is_ipv4_header_sum_right(build::view(ip)));
    build::put8(ip, 8, 65);
    CHECK_FALSE(is_ipv4_header_sum_right(build::view(ip)));
  }
  const bytes six = ipv6({}, build::other(50));
  CHECK(is_ipv4_header_sum_right(build::view(six)));
}

}  // namespace ct::core
