// SPDX-License-Identifier: BSD-2-Clause
/// Reads an IPv4 or IPv6 header and locates layer 4 behind it.
///
/// Refuses (malformed) what the kernel's IP input drops ahead of conntrack: a wrong version,
/// lengths that contradict each other or the frame. What IP accepts but conntrack cannot place
/// (later fragments, no next header, extension headers that pass the end of the packet) is ok
/// without layer 4, hence INVALID. One pass, no allocation; an IPv6 chain costs one step a header.
/// Source: ip_rcv_core(), ip6_rcv_core(), ipv6_parse_hopopts(), ipv6_skip_exthdr(),
/// ipv4_get_l4proto(), ipv6_get_l4proto(), Linux 6.18.
#include "impls/core/packet.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace ct::core {
namespace {

constexpr std::uint32_t ipv4_header_bytes = 20;  // without options
constexpr std::uint32_t ipv6_header_bytes = 40;

constexpr std::uint16_t ipv4_more_fragments = 0x2000;
constexpr std::uint16_t ipv4_fragment_offset = 0x1fff;
constexpr std::uint16_t ipv6_fragment_offset = 0xfff8;

/// IPv6 next-header numbers that are extension headers to ipv6_skip_exthdr(); ESP is a protocol to
/// it.
enum next_header : std::uint8_t {
  hop_by_hop = 0,
  routing = 43,
  fragment = 44,
  authentication = 51,
  none = 59,
  destination_options = 60,
};

constexpr bool is_extension(std::uint8_t number) {
  return number == hop_by_hop || number == routing || number == fragment ||
         number == authentication || number == none || number == destination_options;
}

std::uint8_t read_byte(std::span<const std::byte> bytes, std::size_t at) {
  return std::to_integer<std::uint8_t>(bytes[at]);
}

void read_addresses(std::span<const std::byte> l3,
                    std::size_t at,
                    std::size_t address_bytes,
                    packet& out) {
  std::memcpy(out.src.data(), l3.data() + at, address_bytes);
  std::memcpy(out.dst.data(), l3.data() + at + address_bytes, address_bytes);
}

decode_status malformed(packet& out, const char* why) {
  out.reason = why;
  return decode_status::malformed;
}

/// Layer 4 begins `at` bytes into a packet of out.l3_bytes, of which out.l3 was captured.
void set_l4(packet& out, std::uint32_t at) {
  out.has_l4 = true;
  out.l4 = out.l3.subspan(std::min<std::size_t>(at, out.l3.size()));
  out.l4_bytes = out.l3_bytes - std::min(at, out.l3_bytes);
}

/// Reads what is at fixed places of an IPv4 header, and locates layer 4 behind `header_bytes`.
void read_ipv4(std::span<const std::byte> l3, std::uint32_t header_bytes, packet& out) {
  const std::uint16_t fragment_field = read_be16(l3, 6);
  out.l3num = l3num::ipv4;
  out.hop_limit = read_byte(l3, 8);
  out.protonum = read_byte(l3, 9);
  out.is_fragment = (fragment_field & (ipv4_more_fragments | ipv4_fragment_offset)) != 0;
  out.is_later_fragment = (fragment_field & ipv4_fragment_offset) != 0;
  read_addresses(l3, 12, 4, out);
  if (out.is_later_fragment) {
    out.reason = "ipv4: not the first fragment";
  } else {
    set_l4(out, header_bytes);
  }
}

decode_status decode_ipv4(std::span<const std::byte> l3, std::uint32_t wire_bytes, packet& out) {
  if (l3.size() < ipv4_header_bytes) return malformed(out, "ipv4: header cut");
  const std::uint32_t header_bytes = (read_byte(l3, 0) & 0x0fU) * 4;
  if (header_bytes < ipv4_header_bytes) return malformed(out, "ipv4: header length under 20");
  const std::uint32_t total_bytes = read_be16(l3, 2);
  if (total_bytes < header_bytes) {
    return malformed(out, "ipv4: total length shorter than the header");
  }
  if (total_bytes > wire_bytes) {
    return malformed(out, "ipv4: total length passes the end of the frame");
  }
  if (l3.size() < header_bytes) return malformed(out, "ipv4: capture cut inside the options");
  out.l3_bytes = total_bytes;
  out.l3 = l3.first(std::min<std::size_t>(l3.size(), total_bytes));
  read_ipv4(l3, header_bytes, out);
  return decode_status::ok;
}

/// How the walk over the extension headers ended.
enum class chain_end : std::uint8_t {
  found,  ///< a protocol; its header may lie behind the captured bytes, or behind the packet
  no_l4,  ///< a later fragment, or no next header
  cut,    ///< the bytes ended inside the chain
};

/// Follows the chain from the fixed header of out.l3 on.
chain_end walk_extensions(packet& out) {
  std::uint8_t number = read_byte(out.l3, 6);
  std::size_t at = ipv6_header_bytes;
  std::size_t link_at = 6;  // of the byte that `number` was read from
  while (is_extension(number)) {
    if (number == none) {
      out.protonum = none;
      out.reason = "ipv6: no next header";
      return chain_end::no_l4;
    }
    if (out.l3.size() < at + 2) return chain_end::cut;
    const std::uint32_t length_field = read_byte(out.l3, at + 1);
    std::size_t header_bytes = (length_field + 1) * 8;
    if (number == authentication) {
      header_bytes = (length_field + 2) * 4;
    } else if (number == fragment) {
      header_bytes = 8;
      if (out.l3.size() < at + 4) return chain_end::cut;
      const std::uint16_t field = read_be16(out.l3, at + 2);
      if (!out.is_fragment) {
        out.is_fragment = true;
        out.fragment_at = static_cast<std::uint32_t>(at);
        out.fragment_link_at = static_cast<std::uint32_t>(link_at);
      }
      if ((field & ipv6_fragment_offset) != 0) {
        out.is_later_fragment = true;
        out.protonum = read_byte(out.l3, at);
        out.reason = "ipv6: not the first fragment";
        return chain_end::no_l4;
      }
    }
    number = read_byte(out.l3, at);
    link_at = at;
    at += header_bytes;
  }
  out.protonum = number;
  set_l4(out, static_cast<std::uint32_t>(at));
  return chain_end::found;
}

void read_ipv6(std::span<const std::byte> l3, packet& out) {
  out.l3num = l3num::ipv6;
  out.hop_limit = read_byte(l3, 7);
  read_addresses(l3, 8, 16, out);
}

/// Walks the options of a hop-by-hop header, `list` being what lies between its first two bytes and
/// its end. Why IP drops the packet, or nullptr. An option that is not known says itself, in its
/// two highest bits, whether it may be skipped. Source: ip6_parse_tlv(), ipv6_hop_jumbo(),
/// ip6_tlvopt_unknown(), Linux 6.18; RFC 8200, section 4.2.
const char* options_error(std::span<const std::byte> list) {
  enum option : std::uint8_t { pad1 = 0, padn = 1, router_alert = 5, jumbo = 0xc2 };
  constexpr std::size_t padding_max = 7;  // more would only align to what needs no more than 8
  std::size_t padding = 0;
  while (!list.empty()) {
    const std::uint8_t type = read_byte(list, 0);
    if (type != pad1 && list.size() < 2) return "ipv6: hop-by-hop option cut";
    const std::size_t bytes = type == pad1 ? 1 : read_byte(list, 1) + std::size_t{2};
    if (bytes > list.size()) return "ipv6: hop-by-hop option passes the end of the options";
    const std::span<const std::byte> value =
        list.first(bytes).subspan(std::min<std::size_t>(2, bytes));
    padding = type == pad1 || type == padn ? padding + bytes : 0;
    if (padding > padding_max) return "ipv6: hop-by-hop padding of more than 7 bytes";
    if (type == padn && std::ranges::any_of(value, [](std::byte b) { return b != std::byte{0}; })) {
      return "ipv6: hop-by-hop padding that is not zero";
    }
    if (type == jumbo) return "ipv6: jumbogram, or an option that says so wrongly";
    if (type == router_alert && value.size() != 2) return "ipv6: router alert of a wrong length";
    if (type > 0x3f) return "ipv6: unknown hop-by-hop option that must not be skipped";
    list = list.subspan(bytes);
  }
  return nullptr;
}

/// Hop-by-hop options right behind the header are IP's own business: what is wrong with them drops
/// the packet before conntrack sees it. Why, or nullptr; what was not captured is taken for right.
const char* hop_by_hop_error(const packet& pkt) {
  constexpr const char* too_long = "ipv6: hop-by-hop options pass the end of the packet";
  if (read_byte(pkt.l3, 6) != hop_by_hop) return nullptr;
  if (pkt.l3_bytes < ipv6_header_bytes + 8) return too_long;
  if (pkt.l3.size() < ipv6_header_bytes + 2) return nullptr;
  const std::size_t header_bytes = (read_byte(pkt.l3, ipv6_header_bytes + 1) + std::size_t{1}) * 8;
  if (ipv6_header_bytes + header_bytes > pkt.l3_bytes) return too_long;
  if (pkt.l3.size() < ipv6_header_bytes + header_bytes) return nullptr;
  return options_error(pkt.l3.subspan(ipv6_header_bytes + 2, header_bytes - 2));
}

decode_status decode_ipv6(std::span<const std::byte> l3, std::uint32_t wire_bytes, packet& out) {
  if (l3.size() < ipv6_header_bytes) return malformed(out, "ipv6: header cut");
  const std::uint32_t payload_bytes = read_be16(l3, 4);
  // 0 in front of hop-by-hop options announces a jumbogram; without the option for it the frame's
  // length counts.
  const bool is_without_length = payload_bytes == 0 && read_byte(l3, 6) == hop_by_hop;
  const std::uint32_t total_bytes =
      is_without_length ? wire_bytes : ipv6_header_bytes + payload_bytes;
  if (total_bytes > wire_bytes) {
    return malformed(out, "ipv6: payload length passes the end of the frame");
  }
  out.l3_bytes = total_bytes;
  out.l3 = l3.first(std::min<std::size_t>(l3.size(), total_bytes));
  if (const char* const why = hop_by_hop_error(out)) return malformed(out, why);
  read_ipv6(l3, out);
  if (walk_extensions(out) == chain_end::cut) {
    if (out.l3.size() < total_bytes) {
      return malformed(out, "ipv6: capture cut inside the extension headers");
    }
    out.reason = "ipv6: extension headers pass the end of the packet";
  }
  return decode_status::ok;
}

}  // namespace

decode_status decode_ip(std::span<const std::byte> l3,
                        std::uint32_t wire_bytes,
                        packet& out) noexcept {
  out = packet{};
  if (l3.empty()) return malformed(out, "ip: header cut");
  wire_bytes = std::max(wire_bytes, static_cast<std::uint32_t>(l3.size()));
  switch (read_byte(l3, 0) >> 4) {
    case 4:
      return decode_ipv4(l3, wire_bytes, out);
    case 6:
      return decode_ipv6(l3, wire_bytes, out);
    default:
      return malformed(out, "ip: version is neither 4 nor 6");
  }
}

bool decode_quoted_ip(std::span<const std::byte> quoted, ct::l3num family, packet& out) noexcept {
  out = packet{};
  out.l3 = quoted;
  out.l3_bytes = static_cast<std::uint32_t>(quoted.size());
  if (family == l3num::ipv4) {
    if (quoted.size() < ipv4_header_bytes) return false;
    const std::uint32_t header_bytes = (read_byte(quoted, 0) & 0x0fU) * 4;
    if (header_bytes > quoted.size()) return false;
    read_ipv4(quoted, header_bytes, out);
  } else {
    if (quoted.size() < ipv6_header_bytes) return false;
    read_ipv6(quoted, out);
    if (walk_extensions(out) == chain_end::cut) return false;
  }
  return out.has_l4;
}

}  // namespace ct::core
