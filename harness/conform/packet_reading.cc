// SPDX-License-Identifier: BSD-2-Clause
/// Plain reads at fixed places, each behind a test of what is there.
#include "harness/conform/packet_reading.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cstring>
#include <fmt/format.h>
#include <string_view>

namespace ct::harness::conform {
namespace {

using view = std::span<const std::byte>;

unsigned u8(view bytes, std::size_t at) { return std::to_integer<unsigned>(bytes[at]); }
unsigned u16(view bytes, std::size_t at) { return u8(bytes, at) << 8 | u8(bytes, at + 1); }
std::uint32_t u32(view bytes, std::size_t at) {
  return static_cast<std::uint32_t>(u16(bytes, at)) << 16 | u16(bytes, at + 2);
}

view from(view bytes, std::size_t at) { return bytes.subspan(std::min(at, bytes.size())); }

packet_reading read_ipv4(view ip) {
  packet_reading p;
  std::memcpy(p.src.data(), ip.data() + 12, 4);
  std::memcpy(p.dst.data(), ip.data() + 16, 4);
  p.protonum = static_cast<std::uint8_t>(u8(ip, 9));
  p.is_fragment = (u16(ip, 6) & 0x3fff) != 0;
  p.is_later_fragment = (u16(ip, 6) & 0x1fff) != 0;
  const std::size_t total = std::min<std::size_t>(ip.size(), std::max(u16(ip, 2), 20U));
  p.l4 = from(ip.first(total), (u8(ip, 0) & 15) * 4UL);
  return p;
}

packet_reading read_ipv6(view ip) {
  packet_reading p;
  p.l3num = l3num::ipv6;
  std::memcpy(p.src.data(), ip.data() + 8, 16);
  std::memcpy(p.dst.data(), ip.data() + 24, 16);
  const view whole = ip.first(std::min<std::size_t>(ip.size(), 40UL + u16(ip, 4)));
  unsigned next = u8(ip, 6);
  view rest = from(whole, 40);
  constexpr std::array<unsigned, 4> skipped = {0, 43, 60, 51};
  while (rest.size() >= 8 && (next == 44 || std::ranges::find(skipped, next) != skipped.end())) {
    std::size_t bytes = (u8(rest, 1) + 1UL) * 8;
    if (next == 51) bytes = (u8(rest, 1) + 2UL) * 4;
    if (next == 44) {
      bytes = 8;
      p.is_fragment |= (u16(rest, 2) & 0xfff9) != 0;
      p.is_later_fragment |= (u16(rest, 2) & 0xfff8) != 0;
    }
    next = u8(rest, 0);
    rest = from(rest, bytes);
  }
  p.protonum = static_cast<std::uint8_t>(next);
  p.l4 = rest;
  return p;
}

bool is_icmp(const packet_reading& p) {
  return p.protonum == (p.l3num == l3num::ipv4 ? ipproto::icmp : ipproto::icmpv6);
}

bool is_error(const packet_reading& p, unsigned type) {
  if (p.l3num == l3num::ipv6) return type < 128;
  return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

/// The packet that an ICMP error quotes, read whatever its version field says.
std::optional<packet_reading> quoted(const packet_reading& p) {
  if (!is_icmp(p) || p.l4.size() < 8 || !is_error(p, u8(p.l4, 0))) return std::nullopt;
  const view inner = p.l4.subspan(8);
  if (p.l3num == l3num::ipv4)
    return inner.size() < 20 ? std::nullopt : std::optional(read_ipv4(inner));
  return inner.size() < 40 ? std::nullopt : std::optional(read_ipv6(inner));
}

bool has_ports(std::uint8_t protonum) {
  return protonum == ipproto::tcp || protonum == ipproto::udp || protonum == ipproto::sctp ||
         protonum == ipproto::udplite;
}

std::string_view protocol_name(std::uint8_t protonum) {
  switch (protonum) {
    case ipproto::tcp:
      return "tcp";
    case ipproto::udp:
      return "udp";
    case ipproto::icmp:
      return "icmp";
    case ipproto::icmpv6:
      return "icmpv6";
    case ipproto::sctp:
      return "sctp";
    case ipproto::udplite:
      return "udplite";
    case ipproto::gre:
      return "gre";
    case ipproto::dccp:
      return "dccp";
    default:
      return "";
  }
}

std::string tcp_text(view l4) {
  if (l4.size() < 20) return " (header cut)";
  constexpr std::string_view letters = "FSRPAUEC";
  std::string flags;
  for (std::size_t i = 0; i < letters.size(); ++i) {
    if ((u8(l4, 13) >> i & 1) != 0) flags += letters[i];
  }
  const std::size_t header = (u8(l4, 12) >> 4) * 4UL;
  std::string text = fmt::format(" {} seq {} ack {} win {}",
                                 flags.empty() ? "-" : flags,
                                 u32(l4, 4),
                                 u32(l4, 8),
                                 u16(l4, 14));
  if (header < 20 || header > l4.size()) return text + fmt::format(" (header length {})", header);
  if (header > 20) {
    text += " opt";
    for (std::size_t i = 20; i < header; ++i) text += fmt::format(" {:02x}", u8(l4, i));
  }
  return text + fmt::format(" len {}", l4.size() - header);
}

/// Tag and chunks, each with its flags and the length that it says it has.
std::string sctp_text(view l4) {
  constexpr std::size_t header_bytes = 12;
  if (l4.size() < header_bytes) return " (header cut)";
  std::string text = fmt::format(" vtag {:#x}", u32(l4, 4));
  std::size_t at = header_bytes;
  for (int shown = 0; at + 4 <= l4.size() && shown < 4; ++shown) {
    text +=
        fmt::format(", chunk {} flags {} length {}", u8(l4, at), u8(l4, at + 1), u16(l4, at + 2));
    const bool is_init = (u8(l4, at) == 1 || u8(l4, at) == 2) && at + 8 <= l4.size();
    if (is_init) text += fmt::format(" tag {:#x}", u32(l4, at + 4));
    at += (u16(l4, at + 2) + 3UL) / 4 * 4;
  }
  return text + fmt::format(", {} bytes", l4.size());
}

bool is_padding(view options) {
  return std::ranges::all_of(options, [](std::byte b) { return b == std::byte{1}; });
}

bool is_unicast(const address& addr, ct::l3num family) {
  if (family == l3num::ipv4) {
    const bool is_linklocal = addr[0] == 169 && addr[1] == 254;
    return addr[0] != 0 && addr[0] != 127 && addr[0] < 224 && !is_linklocal;
  }
  constexpr address none{};
  const bool is_high_zero = std::equal(addr.begin(), addr.begin() + 10, none.begin());
  const bool is_link_local = addr[0] == 0xfe && addr[1] >= 0x80;  // site-local too
  return addr[0] != 0xff && !is_link_local && !is_high_zero;
}

}  // namespace

std::optional<packet_reading> read_packet(view ip) {
  if (ip.size() >= 20 && u8(ip, 0) >> 4 == 4) return read_ipv4(ip);
  if (ip.size() >= 40 && u8(ip, 0) >> 4 == 6) return read_ipv6(ip);
  return std::nullopt;
}

std::optional<tuple> tuple_of(const packet_reading& packet, bool tracks_dccp) {
  if (const auto inner = quoted(packet)) return tuple_of(*inner, tracks_dccp);
  if (packet.is_later_fragment) return std::nullopt;
  tuple t;
  t.src.l3num = packet.l3num;
  t.src.addr = packet.src;
  t.dst.addr = packet.dst;
  t.dst.protonum = packet.protonum;
  const view l4 = packet.l4;
  if (has_ports(packet.protonum) || (tracks_dccp && packet.protonum == ipproto::dccp)) {
    if (l4.size() < 4) return std::nullopt;
    t.src.id = static_cast<std::uint16_t>(u16(l4, 0));
    t.dst.id = static_cast<std::uint16_t>(u16(l4, 2));
  } else if (packet.protonum == ipproto::icmp || packet.protonum == ipproto::icmpv6) {
    if (l4.size() < 8) return std::nullopt;
    t.src.id = static_cast<std::uint16_t>(u16(l4, 4));
    t.dst.id = static_cast<std::uint16_t>(u16(l4, 0));
  } else if (packet.protonum == ipproto::gre && l4.size() >= 8 && (u8(l4, 1) & 7) == 1) {
    t.dst.id = static_cast<std::uint16_t>(u16(l4, 6));
  }
  return t;
}

std::optional<std::uint8_t> icmp_type_of(const packet_reading& packet) {
  if (!is_icmp(packet) || packet.l4.empty()) return std::nullopt;
  return static_cast<std::uint8_t>(u8(packet.l4, 0));
}

std::optional<std::uint8_t> tcp_flags_of(const packet_reading& packet) {
  if (packet.protonum != ipproto::tcp || packet.l4.size() < 20) return std::nullopt;
  return static_cast<std::uint8_t>(u8(packet.l4, 13));
}

std::optional<std::uint8_t> sctp_chunk_of(const packet_reading& packet) {
  constexpr std::size_t header_bytes = 12;
  const bool is_there = packet.l4.size() >= header_bytes + 4 && !packet.is_fragment;
  if (packet.protonum != ipproto::sctp || !is_there) return std::nullopt;
  return static_cast<std::uint8_t>(u8(packet.l4, header_bytes));
}

std::optional<std::uint8_t> dccp_type_of(const packet_reading& packet) {
  if (packet.protonum != ipproto::dccp || packet.l4.size() < 12) return std::nullopt;
  const bool is_extended = (u8(packet.l4, 8) & 1) != 0;
  if (is_extended && packet.l4.size() < 16) return std::nullopt;
  return static_cast<std::uint8_t>(u8(packet.l4, 8) >> 1 & 15);
}

std::vector<address> addresses_of(view ip) {
  const auto packet = read_packet(ip);
  if (!packet) return {};
  std::vector<address> all = {packet->src, packet->dst};
  if (const auto inner = quoted(*packet)) {
    all.push_back(inner->src);
    all.push_back(inner->dst);
  }
  return all;
}

bool is_forwarded(view ip) {
  const auto packet = read_packet(ip);
  if (!packet) return true;  // refused as it is, by everybody
  if (!is_unicast(packet->src, packet->l3num) || !is_unicast(packet->dst, packet->l3num)) {
    return false;
  }
  if (packet->l3num == l3num::ipv6) return true;
  const std::size_t header = (u8(ip, 0) & 15) * 4UL;
  return header <= 20 || header > ip.size() || is_padding(ip.subspan(20, header - 20));
}

std::string text_of(const address& addr, ct::l3num family) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(family == l3num::ipv4 ? AF_INET : AF_INET6, addr.data(), text.data(), text.size());
  return text.data();
}

std::string describe(view ip) {
  const auto packet = read_packet(ip);
  if (!packet) return fmt::format("{} bytes that are no IP", ip.size());
  const std::string src = text_of(packet->src, packet->l3num);
  const std::string dst = text_of(packet->dst, packet->l3num);
  const view l4 = packet->l4;
  const std::string_view name = protocol_name(packet->protonum);
  const std::string protocol =
      name.empty() ? fmt::format("protocol {}", packet->protonum) : std::string(name);
  if (packet->is_later_fragment)
    return fmt::format("{} > {} {} later fragment", src, dst, protocol);
  if (is_icmp(*packet) && l4.size() >= 8) {
    std::string text =
        fmt::format("{} > {} {} type {} code {}", src, dst, protocol, u8(l4, 0), u8(l4, 1));
    if (quoted(*packet)) return text + " about [" + describe(l4.subspan(8)) + "]";
    if (is_error(*packet, u8(l4, 0))) return text + fmt::format(" quoting {} bytes", l4.size() - 8);
    return text + fmt::format(" id {} len {}", u16(l4, 4), l4.size());
  }
  if (packet->protonum == ipproto::gre && l4.size() >= 8) {
    return fmt::format(
        "{} > {} gre flags and version {:#06x} protocol {:#06x} then {:#010x} len {}",
        src,
        dst,
        u16(l4, 0),
        u16(l4, 2),
        u32(l4, 4),
        l4.size());
  }
  if (!has_ports(packet->protonum) || l4.size() < 4) {
    return fmt::format("{} > {} {} len {}", src, dst, protocol, l4.size());
  }
  std::string text = fmt::format("{}:{} > {}:{} {}", src, u16(l4, 0), dst, u16(l4, 2), protocol);
  if (packet->protonum == ipproto::tcp) return text + tcp_text(l4);
  if (packet->protonum == ipproto::sctp) return text + sctp_text(l4);
  return text +
         (l4.size() < 8 ? " (header cut)" : fmt::format(" length {} of {}", u16(l4, 4), l4.size()));
}

}  // namespace ct::harness::conform
