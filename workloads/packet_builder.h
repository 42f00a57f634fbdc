// SPDX-License-Identifier: BSD-2-Clause
/// Packets built from readable descriptions with lengths and checksums that are right.
///
///     const bytes frame = ethernet(ipv4({.src = "10.0.0.1", .dst = "10.0.0.2"},
///                                       udp({.source_port = 1000, .dest_port = 53},
///                                       payload(20))));
///
/// Layers nest from the inside out: tcp/udp/udplite/icmp/icmpv6/dccp/gre/pptp/sctp/other make a
/// `layer4`, ipv4/ipv6 wrap it into an IP packet, ethernet/linux_sll/linux_sll2/loopback wrap that
/// into a frame. A wrong packet is made from a right one with put16/put8, or by cutting it. Bad
/// addresses abort: they are errors of the test.
#pragma once

#include "spec/tuple.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

namespace ct::build {

using bytes = std::vector<std::byte>;

inline void put8(bytes& out, std::size_t at, unsigned value) {
  out.at(at) = static_cast<std::byte>(value & 0xff);
}
inline void put16(bytes& out, std::size_t at, unsigned value) {
  put8(out, at, value >> 8);
  put8(out, at + 1, value);
}
inline void put32(bytes& out, std::size_t at, std::uint32_t value) {
  put16(out, at, value >> 16);
  put16(out, at + 2, value & 0xffff);
}
inline void append(bytes& out, const bytes& more) {
  // One by one: insert() and resize() draw a wrong -Wstringop-overflow from g++ 12 at -O3.
  for (const std::byte byte : more) out.push_back(byte);
}

/// Bytes as they are written in a test: raw({0x45, 0x00, ...}).
inline bytes raw(std::initializer_list<unsigned> values) {
  bytes out;
  out.reserve(values.size());
  for (const unsigned value : values) out.push_back(static_cast<std::byte>(value & 0xff));
  return out;
}
/// `count` bytes of payload: 0, 1, 2, ...
inline bytes payload(std::size_t count) {
  bytes out(count);
  for (std::size_t i = 0; i < count; ++i) put8(out, i, static_cast<unsigned>(i));
  return out;
}

/// "10.0.0.1" or "fe80::1" as a tuple has it.
inline address addr(const std::string& text) {
  address out{};
  const int family = text.find(':') == std::string::npos ? AF_INET : AF_INET6;
  if (inet_pton(family, text.c_str(), out.data()) != 1) std::abort();
  return out;
}

/// Sum of RFC 1071, not folded; `odd` bytes are padded with zero.
inline std::uint32_t checksum_add(std::uint32_t sum, std::span<const std::byte> data) {
  for (std::size_t i = 0; i < data.size(); ++i) {
    const auto value = std::to_integer<std::uint32_t>(data[i]);
    sum += i % 2 == 0 ? value << 8 : value;
  }
  return sum;
}
inline unsigned checksum_fold(std::uint32_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

/// A layer-4 header with its payload, and where its checksum goes.
struct layer4 {
  std::uint8_t protonum = 0;
  bytes data;
  std::size_t checksum_at = 0;       ///< 0: it has none, or it is there already
  std::size_t checksum_bytes = 0;    ///< of the data that it covers; 0: all
  std::uint8_t summed_protonum = 0;  ///< in the pseudo-header; 0: its own
  bool has_short_length = false;     ///< in IPv4's: the low byte of the length alone
};

namespace tcp_bit {
inline constexpr std::uint8_t fin = 0x01;
inline constexpr std::uint8_t syn = 0x02;
inline constexpr std::uint8_t rst = 0x04;
inline constexpr std::uint8_t psh = 0x08;
inline constexpr std::uint8_t ack = 0x10;
inline constexpr std::uint8_t urg = 0x20;
inline constexpr std::uint8_t ece = 0x40;
inline constexpr std::uint8_t cwr = 0x80;
}  // namespace tcp_bit

struct tcp_fields {
  std::uint16_t source_port = 0;
  std::uint16_t dest_port = 0;
  std::uint32_t seq = 0;
  std::uint32_t ack = 0;
  std::uint8_t flags = 0;  ///< tcp_bit
  std::uint16_t window = 65535;
  bytes options{};  ///< padded to a multiple of 4 with NOPs
};
inline layer4 tcp(tcp_fields f, const bytes& data = {}) {
  while (f.options.size() % 4 != 0) f.options.push_back(std::byte{1});
  bytes out(20);
  put16(out, 0, f.source_port);
  put16(out, 2, f.dest_port);
  put32(out, 4, f.seq);
  put32(out, 8, f.ack);
  put8(out, 12, static_cast<unsigned>((20 + f.options.size()) / 4 << 4));
  put8(out, 13, f.flags);
  put16(out, 14, f.window);
  append(out, f.options);
  append(out, data);
  return {.protonum = ipproto::tcp, .data = out, .checksum_at = 16};
}

struct udp_fields {
  std::uint16_t source_port = 0;
  std::uint16_t dest_port = 0;
};
inline layer4 udp(udp_fields f, const bytes& data = {}) {
  bytes out(8);
  put16(out, 0, f.source_port);
  put16(out, 2, f.dest_port);
  put16(out, 4, static_cast<unsigned>(8 + data.size()));
  append(out, data);
  return {.protonum = ipproto::udp, .data = out, .checksum_at = 6};
}

/// UDP-Lite with the checksum that Linux's tracker takes for right: its pseudo-header names UDP,
/// where RFC 3828 has UDP-Lite's own number, and in IPv4 has the length's low byte alone.
struct udplite_fields {
  std::uint16_t source_port = 0;
  std::uint16_t dest_port = 0;
  std::uint16_t coverage = 0;  ///< bytes that the checksum covers, 8 at least; 0: all
};
inline layer4 udplite(udplite_fields f, const bytes& data = {}) {
  layer4 l4 = udp({.source_port = f.source_port, .dest_port = f.dest_port}, data);
  put16(l4.data, 4, f.coverage);
  l4.protonum = ipproto::udplite;
  l4.checksum_bytes = f.coverage;
  l4.summed_protonum = ipproto::udp;
  l4.has_short_length = true;
  return l4;
}

struct icmp_fields {
  std::uint8_t type = 8;
  std::uint8_t code = 0;
  std::uint16_t id = 0;
  std::uint16_t sequence = 0;
};
inline layer4 icmp_of(std::uint8_t protonum, icmp_fields f, const bytes& data) {
  bytes out(8);
  put8(out, 0, f.type);
  put8(out, 1, f.code);
  put16(out, 4, f.id);
  put16(out, 6, f.sequence);
  append(out, data);
  return {.protonum = protonum, .data = out, .checksum_at = 2};
}
inline layer4 icmp(icmp_fields f, const bytes& data = {}) {
  return icmp_of(ipproto::icmp, f, data);
}
inline layer4 icmpv6(icmp_fields f, const bytes& data = {}) {
  return icmp_of(ipproto::icmpv6, f, data);
}
/// DCCP with 48-bit sequence numbers (RFC 4340).
struct dccp_fields {
  std::uint16_t source_port = 0;
  std::uint16_t dest_port = 0;
  std::uint8_t type = 0;  ///< 0 REQUEST ... 9 SYNCACK
  std::uint64_t seq = 0;
  std::uint64_t ack = 0;      ///< every type but REQUEST and DATA has one
  std::uint8_t coverage = 0;  ///< of the checksum: 0 all, else the header and (n - 1) * 4 bytes
};
inline layer4 dccp(dccp_fields f, const bytes& data = {}) {
  const bool has_ack = f.type != 0 && f.type != 2;
  bytes out(has_ack ? 24 : 16);
  put16(out, 0, f.source_port);
  put16(out, 2, f.dest_port);
  put8(out, 4, static_cast<unsigned>(out.size() / 4));  // data offset
  put8(out, 5, f.coverage);
  put8(out, 8, 2U * f.type + 1);
  put16(out, 10, static_cast<unsigned>(f.seq >> 32));
  put32(out, 12, static_cast<std::uint32_t>(f.seq));
  if (has_ack) put16(out, 18, static_cast<unsigned>(f.ack >> 32));
  if (has_ack) put32(out, 20, static_cast<std::uint32_t>(f.ack));
  append(out, data);
  // Linux 5.10 counts the coverage from the packet's first byte on.
  const std::size_t covered = f.coverage == 0 ? 0 : (f.coverage - 1U) * 4;
  return {.protonum = ipproto::dccp,
          .data = out,
          .checksum_at = 6,
          .checksum_bytes = covered,
          .has_short_length = true};
}

/// GRE, version 0, without key.
inline layer4 gre(const bytes& data = {}, std::uint8_t version = 0) {
  bytes out(4);
  put8(out, 1, version);
  put16(out, 2, 0x0800);  // IPv4 inside
  append(out, data);
  return {.protonum = ipproto::gre, .data = out, .checksum_at = 0};
}
/// Enhanced GRE of PPTP (RFC 2637): version 1, key and sequence number there.
struct pptp_fields {
  std::uint16_t call_id = 0;  ///< the receiver's
  std::uint32_t sequence = 0;
};
inline layer4 pptp(pptp_fields f, const bytes& data = {}) {
  bytes out(12);
  put16(out, 0, 0x3001);
  put16(out, 2, 0x880b);  // PPP
  put16(out, 4, static_cast<unsigned>(data.size()));
  put16(out, 6, f.call_id);
  put32(out, 8, f.sequence);
  append(out, data);
  return {.protonum = ipproto::gre, .data = out, .checksum_at = 0};
}

/// CRC32c (RFC 9260, appendix A), bit by bit.
inline std::uint32_t crc32c(std::span<const std::byte> data) {
  constexpr std::uint32_t polynomial = 0x82f63b78;  // 0x1edc6f41, reflected
  std::uint32_t crc = 0xffff'ffff;
  for (const std::byte byte : data) {
    crc ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? polynomial : 0);
  }
  return ~crc;
}

/// An SCTP chunk, padded to a multiple of 4, its length right.
struct chunk_fields {
  std::uint8_t type = 0;
  std::uint8_t flags = 0;
};
inline bytes chunk(chunk_fields f, const bytes& value = {}) {
  bytes out(4);
  put8(out, 0, f.type);
  put8(out, 1, f.flags);
  put16(out, 2, static_cast<unsigned>(4 + value.size()));
  append(out, value);
  while (out.size() % 4 != 0) out.push_back(std::byte{0});
  return out;
}
/// INIT (1) or INIT_ACK (2) that asks for packets with this tag.
inline bytes init_chunk(std::uint8_t type, std::uint32_t tag) {
  bytes value(16);
  put32(value, 0, tag);
  put32(value, 4, 65536);  // window
  put16(value, 8, 1);      // streams out
  put16(value, 10, 1);     // and in
  put32(value, 12, 1);     // first number
  return chunk({.type = type}, value);
}

struct sctp_fields {
  std::uint16_t source_port = 0;
  std::uint16_t dest_port = 0;
  std::uint32_t vtag = 0;
};
inline layer4 sctp(sctp_fields f, const bytes& chunks = {}) {
  bytes out(12);
  put16(out, 0, f.source_port);
  put16(out, 2, f.dest_port);
  put32(out, 4, f.vtag);
  append(out, chunks);
  const std::uint32_t crc = crc32c(out);  // of the header with 0 in its place; least byte first
  for (std::size_t i = 0; i < 4; ++i) put8(out, 8 + i, crc >> (8 * i));
  return {.protonum = ipproto::sctp, .data = out, .checksum_at = 0};
}

/// Any other protocol.
inline layer4 other(std::uint8_t protonum, const bytes& data = {}) {
  return {.protonum = protonum, .data = data, .checksum_at = 0};
}

/// Fills the checksum in: over the data, and over the pseudo-header but for ICMP.
inline void finish_checksum(layer4& l4,
                            const address& src,
                            const address& dst,
                            std::size_t address_bytes) {
  if (l4.checksum_at == 0) return;
  std::uint32_t sum = 0;
  if (l4.protonum != ipproto::icmp) {
    sum = checksum_add(sum, std::as_bytes(std::span(src)).first(address_bytes));
    sum = checksum_add(sum, std::as_bytes(std::span(dst)).first(address_bytes));
    const auto length = static_cast<std::uint32_t>(l4.data.size());
    sum += l4.has_short_length && address_bytes == 4 ? length & 0xff : length;
    sum += l4.summed_protonum != 0 ? l4.summed_protonum : l4.protonum;
  }
  const std::span covered =
      std::span(l4.data).first(l4.checksum_bytes != 0 ? l4.checksum_bytes : l4.data.size());
  unsigned folded = checksum_fold(checksum_add(sum, covered));
  const bool is_udp = l4.protonum == ipproto::udp || l4.protonum == ipproto::udplite;
  if (folded == 0 && is_udp) folded = 0xffff;  // 0 would mean: not computed
  put16(l4.data, l4.checksum_at, folded);
}

struct ipv4_fields {
  std::string src = "10.0.0.1";
  std::string dst = "10.0.0.2";
  std::uint8_t ttl = 64;
  bytes options{};  ///< padded to a multiple of 4 with NOPs; at most 40 bytes
  bool more_fragments = false;
  std::uint16_t fragment_offset = 0;  ///< in units of 8 bytes
};
inline bytes ipv4(ipv4_fields f, layer4 l4) {
  const address src = addr(f.src);
  const address dst = addr(f.dst);
  finish_checksum(l4, src, dst, 4);
  while (f.options.size() % 4 != 0) f.options.push_back(std::byte{1});
  const std::size_t header_bytes = 20 + f.options.size();
  bytes out(20);
  put8(out, 0, static_cast<unsigned>(0x40 | header_bytes / 4));
  put16(out, 2, static_cast<unsigned>(header_bytes + l4.data.size()));
  put16(out, 6, static_cast<unsigned>((f.more_fragments ? 0x2000 : 0) | f.fragment_offset));
  put8(out, 8, f.ttl);
  put8(out, 9, l4.protonum);
  for (std::size_t i = 0; i < 4; ++i) {
    put8(out, 12 + i, src[i]);
    put8(out, 16 + i, dst[i]);
  }
  append(out, f.options);
  put16(out, 10, checksum_fold(checksum_add(0, out)));
  append(out, l4.data);
  return out;
}

/// An IPv6 extension header: its number, and its bytes with the first (next header) left open.
struct extension {
  std::uint8_t number = 0;
  bytes data;
};
/// Hop-by-hop (0), routing (43) or destination options (60): 8 * (1 + `more_units`) bytes.
inline extension options_header(std::uint8_t number, std::uint8_t more_units = 0) {
  bytes data(8 * (1U + more_units));
  put8(data, 1, more_units);
  if (number != 43) {  // one option fills it: PadN, or where that would be too long, one to skip
    put8(data, 2, more_units == 0 ? 1 : 0x1e);
    put8(data, 3, static_cast<unsigned>(data.size() - 4));
  }
  return {.number = number, .data = data};
}
/// Authentication header with a 12-byte check value: 24 bytes, counted in units of 4 less 2.
inline extension authentication_header() {
  bytes data(24);
  put8(data, 1, 4);
  return {.number = 51, .data = data};
}
inline extension fragment_header(std::uint16_t offset_units, bool more_fragments) {
  bytes data(8);
  put16(data, 2, static_cast<unsigned>(offset_units << 3 | (more_fragments ? 1 : 0)));
  put32(data, 4, 0x1234abcd);
  return {.number = 44, .data = data};
}

struct ipv6_fields {
  std::string src = "2001:db8::1";
  std::string dst = "2001:db8::2";
  std::uint8_t hop_limit = 64;
  std::vector<extension> extensions{};
};
inline bytes ipv6(const ipv6_fields& f, layer4 l4) {
  const address src = addr(f.src);
  const address dst = addr(f.dst);
  finish_checksum(l4, src, dst, 16);
  bytes out(40);
  put8(out, 0, 0x60);
  put8(out, 7, f.hop_limit);
  for (std::size_t i = 0; i < 16; ++i) {
    put8(out, 8 + i, src[i]);
    put8(out, 24 + i, dst[i]);
  }
  std::size_t next_header_at = 6;
  for (const extension& e : f.extensions) {
    put8(out, next_header_at, e.number);
    next_header_at = out.size();
    append(out, e.data);
  }
  put8(out, next_header_at, l4.protonum);
  append(out, l4.data);
  put16(out, 4, static_cast<unsigned>(out.size() - 40));
  return out;
}

inline unsigned ethertype_of(const bytes& ip) {
  return std::to_integer<unsigned>(ip.at(0)) >> 4 == 6 ? 0x86dd : 0x0800;
}

/// `tags` are the tag protocol ids from the outside in: {0x88a8, 0x8100}.
inline bytes ethernet(const bytes& ip, std::initializer_list<unsigned> tags = {}) {
  bytes out = raw({2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0, 0});
  for (const unsigned tag : tags) {
    put16(out, out.size() - 2, tag);
    append(out, raw({0x00, 0x2a, 0, 0}));  // VLAN 42
  }
  put16(out, out.size() - 2, ethertype_of(ip));
  append(out, ip);
  return out;
}
inline bytes linux_sll(const bytes& ip) {
  bytes out = raw({0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0});
  put16(out, 14, ethertype_of(ip));
  append(out, ip);
  return out;
}
inline bytes linux_sll2(const bytes& ip) {
  bytes out = raw({0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0});
  put16(out, 0, ethertype_of(ip));
  append(out, ip);
  return out;
}
/// BSD loopback (null, loop): `family` is the four-byte value in big-endian order.
inline bytes loopback(std::uint32_t family, const bytes& ip) {
  bytes out(4);
  put32(out, 0, family);
  append(out, ip);
  return out;
}

}  // namespace ct::build
