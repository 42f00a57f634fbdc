// SPDX-License-Identifier: BSD-2-Clause
/// A packet, decoded as far as connection tracking needs it: from a captured frame to layer 4.
///
/// Strips the link layer (Ethernet, 802.1Q and 802.1ad tags, Linux cooked v1 and v2, BSD loopback,
/// raw IP), then IPv4 with options or IPv6 with its extension headers. No read passes the captured
/// bytes. A capture may be cut (snap length): lengths then come from the headers, bytes from what
/// is there.
///
/// Limits: a first fragment is read up to the layer-4 header that it carries, a later one has none;
/// defrag.h makes whole packets of them. No checksum is verified here (checksum.h), and the options
/// inside an IPv4 header or an extension header are not looked at.
///
/// Source: RFC 791, RFC 8200, ip_rcv_core(), ip6_rcv_core(), ipv6_skip_exthdr() and get_l4proto(),
/// Linux 6.18; pcap-linktype(7).
#pragma once

#include "spec/ct_system.h"
#include "spec/tuple.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace ct::core {

/// What became of a frame.
enum class decode_status : std::uint8_t {
  ok,
  not_ip,     ///< ARP and the like: conntrack never sees it
  malformed,  ///< headers cut, or contradicting themselves: the kernel's IP layer drops it
};

struct packet {
  ct::l3num l3num = ct::l3num::ipv4;
  std::uint8_t protonum = 0;           ///< layer 4
  std::uint8_t hop_limit = 0;          ///< or TTL
  bool is_fragment = false;            ///< IPv6: also one that is the whole packet (RFC 6946)
  bool is_later_fragment = false;      ///< not the first: no layer-4 header
  std::uint32_t fragment_at = 0;       ///< IPv6: where in l3 the fragment header begins
  std::uint32_t fragment_link_at = 0;  ///< IPv6: where in l3 its number stands
  bool has_l4 = false;  ///< false: conntrack cannot locate layer 4 (INVALID); l4 is empty
  /// Nobody has looked at its checksums yet, and somebody should. decode() says false.
  bool is_unverified = false;
  address src{};
  address dst{};
  std::span<const std::byte> l3;  ///< captured bytes from the IP header on, link padding removed
  std::span<const std::byte> l4;  ///< captured bytes from the layer-4 header on
  std::uint32_t l3_bytes = 0;     ///< length of the IP packet by its header: what accounting counts
  std::uint32_t l4_bytes = 0;     ///< length of header and payload on the wire, >= l4.size()
  const char* reason = nullptr;   ///< why it is malformed, or has no layer 4
};

/// Decodes a frame of the given link type. `wire_bytes` is the frame's length before the capture
/// cut it; less than was captured counts as what was captured. Up to four VLAN tags; a frame with
/// more is not_ip.
[[nodiscard]] decode_status decode(std::span<const std::byte> frame,
                                   std::uint32_t wire_bytes,
                                   link_type link,
                                   packet& out) noexcept;

/// Decodes an IP packet; its version says which. `wire_bytes` is what the link layer carried,
/// padding too.
[[nodiscard]] decode_status decode_ip(std::span<const std::byte> l3,
                                      std::uint32_t wire_bytes,
                                      packet& out) noexcept;

/// Decodes the head of an IP packet that an ICMP error quotes, as far as layer 4 can be located. As
/// in the kernel only positions count: version and lengths of the quoted header are not checked,
/// since routers quote it cut, and some with its lengths changed. False: cut, a later fragment, or
/// no layer 4.
[[nodiscard]] bool decode_quoted_ip(std::span<const std::byte> quoted,
                                    ct::l3num family,
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
