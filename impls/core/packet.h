// SPDX-License-Identifier: BSD-2-Clause
/// A packet, decoded as far as connection tracking needs it: from a captured frame to layer 4.
///
/// Strips the link layer (Ethernet, 802.1Q and 802.1ad tags, Linux cooked v1 and v2, BSD loopback, raw IP),
/// then IPv4 with options or IPv6 with its extension headers. No read passes the captured bytes. A capture
/// may be cut (snap length): lengths then come from the headers, bytes from what is there.
/// Source: RFC 791, RFC 8200, ipv6_skip_exthdr() and nf_ct_get_l4proto(), Linux 6.18; pcap-linktype(7).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "spec/ct_system.h"
#include "spec/tuple.h"

namespace ct::core {

/// What became of a frame.
enum class decode_status : std::uint8_t {
  ok,
  not_ip,     ///< ARP and the like: conntrack never sees it
  malformed,  ///< IP, but its headers contradict themselves or are cut: the kernel's IP layer drops it
};

struct packet {
  ct::l3num l3num = ct::l3num::ipv4;
  std::uint8_t protonum = 0;           ///< layer 4
  std::uint8_t hop_limit = 0;          ///< or TTL
  bool is_fragment = false;            ///< any fragment
  bool is_later_fragment = false;      ///< not the first: no layer-4 header
  address src{};
  address dst{};
  std::span<const std::byte> l3;       ///< captured bytes from the IP header on, link padding removed
  std::span<const std::byte> l4;       ///< captured bytes from the layer-4 header on
  std::uint32_t l3_bytes = 0;          ///< length of the IP packet by its header: what accounting counts
  std::uint32_t l4_bytes = 0;          ///< length of header and payload on the wire, >= l4.size()
  const char* reason = nullptr;        ///< why it is malformed
};

/// Decodes a frame of the given link type. `wire_bytes` is the frame's length before the capture cut it.
[[nodiscard]] decode_status decode(std::span<const std::byte> frame, std::uint32_t wire_bytes,
                                   link_type link, packet& out) noexcept;

/// Decodes an IP packet (also one quoted in an ICMP error: `l3.size()` may be less than its header says).
[[nodiscard]] decode_status decode_ip(std::span<const std::byte> l3, std::uint32_t wire_bytes,
                                      packet& out) noexcept;

/// Big-endian reads; the caller has checked the bounds.
inline std::uint16_t read_be16(std::span<const std::byte> bytes, std::size_t at) {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(bytes[at]) << 8 |
                                    std::to_integer<unsigned>(bytes[at + 1]));
}
inline std::uint32_t read_be32(std::span<const std::byte> bytes, std::size_t at) {
  return static_cast<std::uint32_t>(read_be16(bytes, at)) << 16 | read_be16(bytes, at + 2);
}

}  // namespace ct::core
