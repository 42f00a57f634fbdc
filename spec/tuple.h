// SPDX-License-Identifier: BSD-2-Clause
/// The tuple: one direction of a connection, as packets carry it, and the key of every table.
///
/// The layout is the kernel's (struct nf_conntrack_tuple): 40 bytes, of which the first 39 are
/// hashed and compared; the last one, the direction, says only which tuplehash of an entry a tuple
/// belongs to. Ids are in host byte order. Unused address bytes are zero, so that whole words may
/// be compared. Source: include/net/netfilter/nf_conntrack_tuple.h, Linux 6.18.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>

namespace ct {

/// Which way a packet goes: as the connection's first packet, or back.
enum class dir : std::uint8_t { original = 0, reply = 1 };

constexpr dir operator!(dir d) { return d == dir::original ? dir::reply : dir::original; }
constexpr std::size_t index(dir d) { return static_cast<std::size_t>(d); }

/// Layer 3 of a tuple: the numbers of AF_INET and AF_INET6.
enum class l3num : std::uint16_t { ipv4 = 2, ipv6 = 10 };

/// Layer 4 protocol numbers that have a tracker of their own; every other number is tracked as
/// generic.
namespace ipproto {
inline constexpr std::uint8_t icmp = 1;
inline constexpr std::uint8_t tcp = 6;
inline constexpr std::uint8_t udp = 17;
inline constexpr std::uint8_t dccp = 33;  ///< if the system tracks it
inline constexpr std::uint8_t gre = 47;
inline constexpr std::uint8_t icmpv6 = 58;
inline constexpr std::uint8_t sctp = 132;
inline constexpr std::uint8_t udplite = 136;
}  // namespace ipproto

/// An IPv4 address in its first four bytes (the rest zero), or an IPv6 address; network byte order.
using address = std::array<std::uint8_t, 16>;

/// One direction of a connection.
struct tuple {
  struct source {
    address addr{};
    std::uint16_t id =
        0;  ///< Port, where there are ports. ICMP: echo identifier. GRE: key. Generic: 0.
    ct::l3num l3num = ct::l3num::ipv4;
    auto operator<=>(const source&) const = default;
  } src;
  struct destination {
    address addr{};
    std::uint16_t id =
        0;  ///< Port, where there are ports. ICMP: type << 8 | code. GRE: key. Generic: 0.
    std::uint8_t protonum = 0;
    ct::dir dir = ct::dir::original;
    auto operator<=>(const destination&) const = default;
  } dst;

  /// Every field, the direction too. Tables use same_flow().
  auto operator<=>(const tuple&) const = default;
};

/// Bytes of a tuple that are hashed and compared: everything ahead of the direction.
inline constexpr std::size_t tuple_key_bytes = 39;
static_assert(sizeof(tuple) == tuple_key_bytes + 1);
static_assert(offsetof(tuple, dst) + offsetof(tuple::destination, dir) == tuple_key_bytes);

/// A tuple as five machine words: how tables store, hash and compare it.
using tuple_words = std::array<std::uint64_t, 5>;
static_assert(sizeof(tuple_words) == sizeof(tuple));
static_assert(std::endian::native == std::endian::little, "direction_bits names the last byte");

/// The bits of the last word that hold the direction.
inline constexpr std::uint64_t direction_bits = 0xffULL << 56;

constexpr tuple_words words(const tuple& t) { return std::bit_cast<tuple_words>(t); }

/// Are `a` and `b` the same but for their direction?
constexpr bool same_flow(const tuple& a, const tuple& b) {
  const tuple_words x = words(a);
  const tuple_words y = words(b);
  return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) |
          ((x[4] ^ y[4]) & ~direction_bits)) == 0;
}

/// ICMP and ICMPv6 keep type and code where ports have their destination.
constexpr std::uint8_t icmp_type(const tuple& t) {
  return static_cast<std::uint8_t>(t.dst.id >> 8);
}
constexpr std::uint8_t icmp_code(const tuple& t) {
  return static_cast<std::uint8_t>(t.dst.id & 0xff);
}
constexpr std::uint16_t icmp_id(std::uint8_t type, std::uint8_t code) {
  return static_cast<std::uint16_t>(type << 8 | code);
}

/// Number of a network namespace; 0 is the one every system starts with.
using netns_id = std::uint32_t;

/// A conntrack zone: overlapping address spaces kept apart. A direction outside the mask is in zone
/// 0.
struct zone {
  std::uint16_t id = 0;
  std::uint8_t directions = 3;  ///< bit 0 original, bit 1 reply

  constexpr std::uint16_t id_for(dir d) const {
    return (directions >> index(d) & 1) != 0 ? id : std::uint16_t{0};
  }
  auto operator<=>(const zone&) const = default;
};

}  // namespace ct
