// SPDX-License-Identifier: BSD-2-Clause
/// See workloads/traffic.h.
#include "workloads/traffic.h"

#include <algorithm>

namespace ct::workloads {
namespace {

using bytes = std::vector<std::byte>;

constexpr std::size_t ipv4_bytes = 20;
constexpr std::size_t tcp_bytes = 20;
constexpr std::size_t udp_bytes = 8;

void put8(bytes& out, unsigned value) { out.push_back(static_cast<std::byte>(value & 0xff)); }
void put16(bytes& out, unsigned value) {
  put8(out, value >> 8);
  put8(out, value);
}
void put32(bytes& out, std::uint32_t value) {
  put16(out, value >> 16);
  put16(out, value & 0xffff);
}
void put_address(bytes& out, const address& addr, std::size_t length) {
  for (std::size_t i = 0; i < length; ++i) put8(out, addr[i]);
}

/// Sum of RFC 1071 over an even or odd number of bytes, not folded.
std::uint32_t sum_of(std::span<const std::byte> data) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < data.size(); ++i) {
    sum += std::to_integer<std::uint32_t>(data[i]) << (i % 2 == 0 ? 8 : 0);
  }
  return sum;
}
void set_checksum(bytes& out, std::size_t at, std::uint32_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  out[at] = static_cast<std::byte>(~sum >> 8 & 0xff);
  out[at + 1] = static_cast<std::byte>(~sum & 0xff);
}

void append_ip(const segment& what, std::size_t layer4_bytes, bytes& out) {
  const bool is_ipv6 = what.flow.src.l3num == l3num::ipv6;
  const std::size_t begin = out.size();
  if (is_ipv6) {
    put32(out, 6U << 28);
    put16(out, static_cast<unsigned>(layer4_bytes));
    put8(out, what.flow.dst.protonum);
    put8(out, 64);
    put_address(out, what.flow.src.addr, 16);
    put_address(out, what.flow.dst.addr, 16);
    return;
  }
  put16(out, 0x4500);
  put16(out, static_cast<unsigned>(ipv4_bytes + layer4_bytes));
  put16(out, 0);
  put16(out, 0x4000);  // do not fragment
  put8(out, 64);
  put8(out, what.flow.dst.protonum);
  put16(out, 0);
  put_address(out, what.flow.src.addr, 4);
  put_address(out, what.flow.dst.addr, 4);
  set_checksum(out, begin + 10, sum_of(std::span(out).subspan(begin)));
}

void append_layer4(const segment& what, std::size_t layer4_bytes, bytes& out) {
  const bool is_tcp = what.flow.dst.protonum == ipproto::tcp;
  const std::size_t begin = out.size();
  put16(out, what.flow.src.id);
  put16(out, what.flow.dst.id);
  if (is_tcp) {
    put32(out, what.seq);
    put32(out, what.ack);
    put8(out, tcp_bytes / 4 << 4);
    put8(out, what.flags);
    put16(out, 65535);
    put32(out, 0);
  } else {
    put16(out, static_cast<unsigned>(layer4_bytes));
    put16(out, 0);
  }
  for (std::uint32_t i = 0; i < what.payload_bytes; ++i) put8(out, 'a' + i % 26);

  const std::size_t address_bytes = what.flow.src.l3num == l3num::ipv6 ? 16 : 4;
  bytes pseudo;
  put_address(pseudo, what.flow.src.addr, address_bytes);
  put_address(pseudo, what.flow.dst.addr, address_bytes);
  put32(pseudo, static_cast<std::uint32_t>(layer4_bytes));
  put32(pseudo, what.flow.dst.protonum);
  set_checksum(out,
               begin + (is_tcp ? 16 : 6),
               sum_of(pseudo) + sum_of(std::span(out).subspan(begin)));
}

/// The packets of one connection, in order.
std::vector<segment> conversation(const tuple& original, random_source& random) {
  const tuple reply = reply_of(original);
  std::vector<segment> out;
  const auto rounds = 1 + random.below(4);
  if (original.dst.protonum == ipproto::udp) {
    for (std::uint32_t i = 0; i < rounds; ++i) {
      out.push_back({.flow = original, .payload_bytes = 30 + random.below(40)});
      out.push_back({.flow = reply, .payload_bytes = 60 + random.below(300)});
    }
    return out;
  }
  using tcp_flag::ack;
  using tcp_flag::fin;
  using tcp_flag::psh;
  using tcp_flag::syn;
  auto seq = static_cast<std::uint32_t>(random.next());   // the client's next byte
  auto peer = static_cast<std::uint32_t>(random.next());  // the server's next byte
  out.push_back({.flow = original, .flags = syn, .seq = seq});
  out.push_back({.flow = reply, .flags = syn | ack, .seq = peer++, .ack = ++seq});
  out.push_back({.flow = original, .flags = ack, .seq = seq, .ack = peer});
  for (std::uint32_t i = 0; i < rounds; ++i) {
    const std::uint32_t asked = 60 + random.below(200);
    const std::uint32_t answered = 100 + random.below(500);
    out.push_back({original, psh | ack, seq, peer, asked});
    seq += asked;
    out.push_back({reply, psh | ack, peer, seq, answered});
    peer += answered;
    out.push_back({.flow = original, .flags = ack, .seq = seq, .ack = peer});
  }
  out.push_back({.flow = original, .flags = fin | ack, .seq = seq++, .ack = peer});
  out.push_back({.flow = reply, .flags = fin | ack, .seq = peer++, .ack = seq});
  out.push_back({.flow = original, .flags = ack, .seq = seq, .ack = peer});
  return out;
}

}  // namespace

void append_frame(const segment& what, std::vector<std::byte>& out) {
  const bool is_tcp = what.flow.dst.protonum == ipproto::tcp;
  const std::size_t layer4_bytes = (is_tcp ? tcp_bytes : udp_bytes) + what.payload_bytes;
  for (unsigned end = 1; end <= 2; ++end) {  // locally administered addresses of two ends
    put16(out, 0x0200);
    put32(out, end);
  }
  put16(out, what.flow.src.l3num == l3num::ipv6 ? 0x86dd : 0x0800);
  append_ip(what, layer4_bytes, out);
  append_layer4(what, layer4_bytes, out);
}

traffic::traffic(const traffic_options& options) : flow_count_(options.flows) {
  const flow_source source(options.seed, options.mix);
  random_source random(options.seed ^ 0x7472616666696373ULL);
  struct open_flow {
    std::vector<segment> segments;
    std::size_t next = 0;
  };
  std::vector<open_flow> open;
  std::vector<std::size_t> lengths;
  std::size_t started = 0;
  while (started < options.flows || !open.empty()) {
    while (started < options.flows &&
           open.size() < std::max<std::size_t>(options.open_at_once, 1)) {
      open.push_back({conversation(source.original(flow_pool::traffic, started++), random)});
    }
    const std::size_t pick = random.below(static_cast<std::uint32_t>(open.size()));
    const std::size_t begin = bytes_.size();
    append_frame(open[pick].segments[open[pick].next++], bytes_);
    lengths.push_back(bytes_.size() - begin);
    if (open[pick].next == open[pick].segments.size()) {
      std::swap(open[pick], open.back());
      open.pop_back();
    }
  }
  // The bytes have their final place only now.
  packets_.reserve(lengths.size());
  std::size_t at = 0;
  for (const std::size_t length : lengths) {
    skb packet;
    packet.frame = std::span<const std::byte>(bytes_).subspan(at, length);
    packet.wire_bytes = static_cast<std::uint32_t>(length);
    packet.link = link_type::ethernet;
    packets_.push_back(packet);
    at += length;
  }
}

}  // namespace ct::workloads
