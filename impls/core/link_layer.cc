// SPDX-License-Identifier: BSD-2-Clause
/// Takes the link-layer header off a captured frame and hands the rest to the IP layer.
///
/// Every link type comes down to an ethertype or an address family and the bytes behind it. What is
/// not IPv4 or IPv6 by that number is not_ip; what is, but has another version in its first nibble,
/// is malformed, as the kernel drops it. Source: IEEE 802.1Q and 802.1ad; LINKTYPE_* of
/// pcap-linktype(7).
#include "impls/core/packet.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ct::core {
namespace {

constexpr std::uint16_t ethertype_ipv4 = 0x0800;
constexpr std::uint16_t ethertype_ipv6 = 0x86dd;
constexpr int tags_max = 4;
constexpr std::size_t tag_bytes = 4;  // 2 of tag control information, 2 of the next ethertype

constexpr std::size_t ethernet_bytes = 14;  // 6 + 6 of addresses, 2 of ethertype
constexpr std::size_t linux_sll_bytes =
    16;  // 2 type, 2 address type, 2 length, 8 address, 2 protocol
constexpr std::size_t linux_sll2_bytes = 20;  // protocol first
constexpr std::size_t loopback_bytes = 4;

/// What is left of a frame: `captured` may be less than `wire_bytes`.
struct remainder {
  std::span<const std::byte> captured;
  std::uint32_t wire_bytes;

  /// Takes `count` bytes off; the caller knows that they were captured.
  void skip(std::size_t count) {
    captured = captured.subspan(count);
    wire_bytes -= static_cast<std::uint32_t>(count);
  }
};

decode_status malformed(packet& out, const char* why) {
  out.reason = why;
  return decode_status::malformed;
}

decode_status decode_version(const remainder& rest, unsigned version, packet& out) {
  if (rest.captured.empty()) return malformed(out, "ip: header cut");
  if (std::to_integer<unsigned>(rest.captured[0]) >> 4 != version) {
    return malformed(out, "ip: version is not the one that the link layer announced");
  }
  return decode_ip(rest.captured, rest.wire_bytes, out);
}

constexpr bool is_tag(std::uint16_t ethertype) {
  return ethertype == 0x8100 || ethertype == 0x88a8 || ethertype == 0x9100;
}

decode_status decode_ethertype(std::uint16_t ethertype, remainder rest, packet& out) {
  for (int tags = 0; is_tag(ethertype); ++tags) {
    if (tags == tags_max) return decode_status::not_ip;
    if (rest.captured.size() < tag_bytes) return malformed(out, "link: VLAN tag cut");
    ethertype = read_be16(rest.captured, 2);
    rest.skip(tag_bytes);
  }
  if (ethertype == ethertype_ipv4) return decode_version(rest, 4, out);
  if (ethertype == ethertype_ipv6) return decode_version(rest, 6, out);
  return decode_status::not_ip;
}

/// A header of `header_bytes` whose ethertype is at `ethertype_at`.
decode_status decode_header(remainder rest,
                            std::size_t header_bytes,
                            std::size_t ethertype_at,
                            packet& out) {
  if (rest.captured.size() < header_bytes) return malformed(out, "link: header cut");
  const std::uint16_t ethertype = read_be16(rest.captured, ethertype_at);
  rest.skip(header_bytes);
  return decode_ethertype(ethertype, rest, out);
}

constexpr std::uint32_t swapped(std::uint32_t value) {
  return value >> 24 | (value >> 8 & 0xff00) | (value << 8 & 0xff0000) | value << 24;
}

/// BSD loopback: an address family in the byte order of the machine that captured (null), or of the
/// network (loop). Families are small numbers, so that the order shows.
decode_status decode_loopback(remainder rest, bool is_any_order, packet& out) {
  if (rest.captured.size() < loopback_bytes) return malformed(out, "link: header cut");
  std::uint32_t family = read_be32(rest.captured, 0);
  if (is_any_order && family > 0xffff) family = swapped(family);
  rest.skip(loopback_bytes);
  switch (family) {
    case 2:
      return decode_version(rest, 4, out);
    case 10:  // AF_INET6 of Linux,
    case 23:  // of Windows,
    case 24:  // of NetBSD and OpenBSD,
    case 28:  // of FreeBSD,
    case 30:  // of macOS
      return decode_version(rest, 6, out);
    default:
      return decode_status::not_ip;
  }
}

}  // namespace

decode_status decode(std::span<const std::byte> frame,
                     std::uint32_t wire_bytes,
                     link_type link,
                     packet& out) noexcept {
  const remainder rest{frame, std::max(wire_bytes, static_cast<std::uint32_t>(frame.size()))};
  out.reason = nullptr;
  switch (link) {
    case link_type::ethernet:
      return decode_header(rest, ethernet_bytes, 12, out);
    case link_type::raw:
      return decode_ip(rest.captured, rest.wire_bytes, out);
    case link_type::ipv4:
      return decode_version(rest, 4, out);
    case link_type::ipv6:
      return decode_version(rest, 6, out);
    case link_type::null:
      return decode_loopback(rest, true, out);
    case link_type::loop:
      return decode_loopback(rest, false, out);
    case link_type::linux_sll:
      return decode_header(rest, linux_sll_bytes, 14, out);
    case link_type::linux_sll2:
      return decode_header(rest, linux_sll2_bytes, 0, out);
  }
  return malformed(out, "link: unknown link type");
}

}  // namespace ct::core
