// SPDX-License-Identifier: BSD-2-Clause
/// The smallest reading of headers that can count protocols.
#include "harness/replay/protocol_mix.h"

#include <cstddef>
#include <optional>
#include <span>

namespace ct::harness {
namespace {

using bytes = std::span<const std::byte>;

constexpr unsigned ethertype_ipv4 = 0x0800;
constexpr unsigned ethertype_ipv6 = 0x86dd;

/// 802.1Q, 802.1ad, and the number that was used before 802.1ad.
constexpr bool is_vlan_tag(unsigned ethertype) {
  return ethertype == 0x8100 || ethertype == 0x88a8 || ethertype == 0x9100;
}

std::optional<unsigned> byte_at(bytes from, std::size_t at) {
  if (at >= from.size()) return std::nullopt;
  return std::to_integer<unsigned>(from[at]);
}

std::optional<unsigned> u16_at(bytes from, std::size_t at) {
  if (from.size() < 2 || at > from.size() - 2) return std::nullopt;
  return *byte_at(from, at) << 8 | *byte_at(from, at + 1);
}

bytes after(bytes from, std::size_t count) {
  return count < from.size() ? from.subspan(count) : bytes{};
}

struct network {
  bool is_ip = false;
  l3num family = l3num::ipv4;
  bytes header;
};

network by_ethertype(unsigned ethertype, bytes rest) {
  constexpr std::size_t tag_bytes = 4;
  while (is_vlan_tag(ethertype)) {
    const auto inner = u16_at(rest, 2);
    if (!inner) return {};
    ethertype = *inner;
    rest = after(rest, tag_bytes);
  }
  if (ethertype == ethertype_ipv4) return {true, l3num::ipv4, rest};
  if (ethertype == ethertype_ipv6) return {true, l3num::ipv6, rest};
  return {};
}

network by_version(bytes header) {
  const auto first = byte_at(header, 0);
  if (first && *first >> 4 == 4) return {true, l3num::ipv4, header};
  if (first && *first >> 4 == 6) return {true, l3num::ipv6, header};
  return {};
}

/// Loopback headers hold the family of the system that captured, in its byte order or the
/// network's.
network by_family(bytes frame) {
  constexpr std::size_t family_bytes = 4;
  const auto low = u16_at(frame, 0);
  const auto high = u16_at(frame, 2);
  if (!low || !high) return {};
  const unsigned family = *high != 0 ? *high : *low >> 8;  // big-endian : little-endian
  const bytes rest = after(frame, family_bytes);
  if (family == 2) return {true, l3num::ipv4, rest};
  // AF_INET6: Linux 10, NetBSD 24, FreeBSD 28, macOS 30.
  if (family == 10 || family == 24 || family == 28 || family == 30)
    return {true, l3num::ipv6, rest};
  return {};
}

network network_of(const skb& packet) {
  const bytes frame = packet.frame;
  const auto tagged = [frame](std::size_t type_at, std::size_t header_bytes) {
    const auto ethertype = u16_at(frame, type_at);
    return ethertype ? by_ethertype(*ethertype, after(frame, header_bytes)) : network{};
  };
  switch (packet.link) {
    case link_type::ethernet:
      return tagged(12, 14);
    case link_type::linux_sll:
      return tagged(14, 16);
    case link_type::linux_sll2:
      return tagged(0, 20);
    case link_type::null:
    case link_type::loop:
      return by_family(frame);
    case link_type::raw:
      return by_version(frame);
    case link_type::ipv4:
      return {true, l3num::ipv4, frame};
    case link_type::ipv6:
      return {true, l3num::ipv6, frame};
  }
  return {};
}

/// The protocol behind the extension headers of IPv6, as far as they were captured.
std::optional<unsigned> ipv6_protocol(bytes header) {
  constexpr unsigned hop_by_hop = 0;
  constexpr unsigned routing = 43;
  constexpr unsigned fragment = 44;
  constexpr unsigned authentication = 51;
  constexpr unsigned destination = 60;
  std::optional<unsigned> next = byte_at(header, 6);
  bytes rest = after(header, 40);
  while (next) {
    const bool is_sized = *next == hop_by_hop || *next == routing || *next == destination;
    if (!is_sized && *next != authentication && *next != fragment) break;
    const auto length = byte_at(rest, 1);
    if (!length) return std::nullopt;
    std::size_t header_bytes = 8;  // of a fragment header
    if (is_sized) header_bytes = (*length + 1) * 8;
    if (*next == authentication) header_bytes = (*length + 2) * 4;
    next = byte_at(rest, 0);
    rest = after(rest, header_bytes);
  }
  return next;
}

transport transport_of(std::optional<unsigned> protonum) {
  if (protonum == ipproto::tcp) return transport::tcp;
  if (protonum == ipproto::udp) return transport::udp;
  if (protonum == ipproto::icmp) return transport::icmp;
  if (protonum == ipproto::icmpv6) return transport::icmpv6;
  return transport::other;
}

}  // namespace

frame_kind kind_of(const skb& packet) noexcept {
  const network net = network_of(packet);
  if (!net.is_ip) return {};
  constexpr std::size_t ipv4_protocol_at = 9;
  const auto protonum =
      net.family == l3num::ipv4 ? byte_at(net.header, ipv4_protocol_at) : ipv6_protocol(net.header);
  return {.is_ip = true, .family = net.family, .transport = transport_of(protonum)};
}

void protocol_mix::add(const skb& packet) noexcept {
  const frame_kind kind = kind_of(packet);
  if (!kind.is_ip) {
    ++not_ip;
    return;
  }
  ++(kind.family == l3num::ipv4 ? ipv4 : ipv6);
  switch (kind.transport) {
    case transport::tcp:
      ++tcp;
      break;
    case transport::udp:
      ++udp;
      break;
    case transport::icmp:
      ++icmp;
      break;
    case transport::icmpv6:
      ++icmpv6;
      break;
    case transport::other:
      ++other;
      break;
  }
  if (packet.info == ctinfo::invalid) ++invalid;
  if (packet.info == ctinfo::untracked) ++untracked;
}

}  // namespace ct::harness
