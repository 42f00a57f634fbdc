// SPDX-License-Identifier: BSD-2-Clause
/// Frames are well-formed, and conversations are what a tracker must accept whole.
#include "workloads/traffic.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>

namespace ct::workloads {
namespace {

unsigned at8(std::span<const std::byte> data, std::size_t at) {
  return std::to_integer<unsigned>(data[at]);
}
unsigned at16(std::span<const std::byte> data, std::size_t at) {
  return at8(data, at) << 8 | at8(data, at + 1);
}
std::uint32_t at32(std::span<const std::byte> data, std::size_t at) {
  return at16(data, at) << 16 | at16(data, at + 2);
}

/// Ones' complement sum, folded: 0xffff over data that holds its own checksum.
unsigned ones_sum(std::span<const std::byte> data, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i + 1 < data.size(); i += 2) sum += at16(data, i);
  if (data.size() % 2 != 0) sum += at8(data, data.size() - 1) << 8;
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

/// A frame read back by the layouts of the RFCs, by no code that wrote it.
struct parsed {
  tuple flow{};
  std::span<const std::byte> layer4;
  unsigned flags = 0;
  std::uint32_t seq = 0;
  std::uint32_t ack = 0;
  std::uint32_t payload_bytes = 0;
};

parsed parse(const skb& packet) {
  const auto frame = packet.frame;
  parsed out;
  const bool is_ipv6 = at16(frame, 12) == 0x86dd;
  const auto ip = frame.subspan(14);
  REQUIRE(at8(ip, 0) >> 4 == (is_ipv6 ? 6U : 4U));
  const std::size_t address_bytes = is_ipv6 ? 16 : 4;
  const std::size_t addresses_at = is_ipv6 ? 8 : 12;
  out.flow.src.l3num = is_ipv6 ? l3num::ipv6 : l3num::ipv4;
  for (std::size_t i = 0; i < address_bytes; ++i) {
    out.flow.src.addr[i] = static_cast<std::uint8_t>(at8(ip, addresses_at + i));
    out.flow.dst.addr[i] = static_cast<std::uint8_t>(at8(ip, addresses_at + address_bytes + i));
  }
  out.flow.dst.protonum = static_cast<std::uint8_t>(at8(ip, is_ipv6 ? 6 : 9));
  out.layer4 = ip.subspan(is_ipv6 ? 40 : 20);
  if (is_ipv6) {
    CHECK(at16(ip, 4) == out.layer4.size());
  } else {
    CHECK(at16(ip, 2) == ip.size());
    CHECK(ones_sum(ip.first(20)) == 0xffff);
  }
  const auto pseudo = static_cast<std::uint32_t>(out.layer4.size() + out.flow.dst.protonum);
  CHECK(ones_sum(out.layer4, pseudo + ones_sum(ip.subspan(addresses_at, 2 * address_bytes))) ==
        0xffff);
  out.flow.src.id = static_cast<std::uint16_t>(at16(out.layer4, 0));
  out.flow.dst.id = static_cast<std::uint16_t>(at16(out.layer4, 2));
  if (out.flow.dst.protonum == ipproto::tcp) {
    out.seq = at32(out.layer4, 4);
    out.ack = at32(out.layer4, 8);
    out.flags = at8(out.layer4, 13);
    out.payload_bytes = static_cast<std::uint32_t>(out.layer4.size() - 20);
  } else {
    CHECK(at16(out.layer4, 4) == out.layer4.size());
  }
  return out;
}

TEST_CASE("a frame carries the tuple it was made for, with right lengths and checksums") {
  const flow_source source(2);
  for (std::size_t i = 0; i < 200; ++i) {
    const tuple original = source.original(flow_pool::traffic, i);
    std::vector<std::byte> bytes;
    append_frame({.flow = original, .flags = tcp_flag::syn, .payload_bytes = 31}, bytes);
    skb packet;
    packet.frame = bytes;
    CHECK(same_flow(parse(packet).flow, original));
  }
}

TEST_CASE("traffic is the same for the same seed and differs for another") {
  const traffic a({.seed = 4, .flows = 50});
  const traffic b({.seed = 4, .flows = 50});
  const traffic c({.seed = 5, .flows = 50});
  REQUIRE(a.packets().size() == b.packets().size());
  for (std::size_t i = 0; i < a.packets().size(); ++i) {
    CHECK(std::ranges::equal(a.packets()[i].frame, b.packets()[i].frame));
  }
  CHECK_FALSE(std::ranges::equal(a.packets()[0].frame, c.packets()[0].frame));
}

TEST_CASE("each TCP end continues where it stopped and acknowledges what it was sent") {
  const traffic all({.seed = 6, .flows = 80});
  std::map<tuple, std::uint32_t> next;  // of the end that sends under this tuple
  std::set<tuple> flows;
  std::size_t alternations = 0;
  tuple before;
  for (const skb& packet : all.packets()) {
    parsed p = parse(packet);
    CHECK(packet.wire_bytes == packet.frame.size());
    CHECK(packet.jiffies64 == 0);
    const tuple back = [&] {
      tuple t = reply_of(p.flow);
      t.dst.dir = dir::original;
      return t;
    }();
    flows.insert(std::min(p.flow, back));
    alternations += std::min(p.flow, back) != before ? 1 : 0;
    before = std::min(p.flow, back);
    if (p.flow.dst.protonum != ipproto::tcp) continue;
    if ((p.flags & tcp_flag::syn) == 0) CHECK(p.seq == next.at(p.flow));
    if ((p.flags & tcp_flag::ack) != 0) CHECK(p.ack == next.at(back));
    const bool takes_a_number = (p.flags & (tcp_flag::syn | tcp_flag::fin)) != 0;
    next[p.flow] = p.seq + p.payload_bytes + (takes_a_number ? 1 : 0);
  }
  CHECK(flows.size() == 80);
  CHECK(all.flow_count() == 80);
  CHECK(alternations > all.packets().size() / 2);
}

TEST_CASE("no flows are no packets") { CHECK(traffic({.flows = 0}).packets().empty()); }

}  // namespace
}  // namespace ct::workloads
