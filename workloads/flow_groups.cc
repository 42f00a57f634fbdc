// SPDX-License-Identifier: BSD-2-Clause
/// See workloads/flow_groups.h.
#include "workloads/flow_groups.h"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <utility>

namespace ct::workloads {
namespace {

using view = std::span<const std::byte>;

unsigned read8(view data, std::size_t at) { return std::to_integer<unsigned>(data[at]); }
unsigned read16(view data, std::size_t at) { return read8(data, at) << 8 | read8(data, at + 1); }

view from(view data, std::size_t at) { return data.subspan(std::min(at, data.size())); }

/// The IP packet in a frame; empty if there is none.
view ip_of(view frame, link_type link) {
  const auto typed = [&](std::size_t type_at, std::size_t header) -> view {
    while (frame.size() >= header) {
      const unsigned type = read16(frame, type_at);
      if (type == 0x0800 || type == 0x86dd) return from(frame, header);
      if (type != 0x8100 && type != 0x88a8) return {};
      type_at = header + 2;
      header += 4;
    }
    return {};
  };
  switch (link) {
    case link_type::ethernet:
      return typed(12, 14);
    case link_type::linux_sll:
      return typed(14, 16);
    case link_type::linux_sll2:
      return frame.size() < 20 ? view{} : typed(0, 20);
    case link_type::null:
    case link_type::loop:
      return from(frame, 4);
    case link_type::raw:
    case link_type::ipv4:
    case link_type::ipv6:
      return frame;
  }
  return {};
}

/// Two ends without a direction: the smaller first.
struct flow_key {
  std::array<std::pair<address, unsigned>, 2> ends{};
  unsigned protonum = 0;
  bool has_ports = false;  ///< false: a fragment, or too short to tell

  auto operator<=>(const flow_key&) const = default;

  /// The same without ports.
  flow_key addresses() const {
    flow_key out;
    out.protonum = protonum;
    for (std::size_t i = 0; i < 2; ++i) out.ends[i] = {ends[i].first, 0U};
    return out;
  }
};

struct ip_header {
  flow_key key{};
  view layer4{};
  bool is_fragment = false;
};

std::optional<ip_header> read_ip(view ip) {
  if (ip.empty()) return std::nullopt;
  const bool is_ipv6 = read8(ip, 0) >> 4 == 6;
  const std::size_t header = is_ipv6 ? 40 : 20;
  if (ip.size() < header || (!is_ipv6 && read8(ip, 0) >> 4 != 4)) return std::nullopt;
  ip_header out;
  const std::size_t address_bytes = is_ipv6 ? 16 : 4;
  for (std::size_t i = 0; i < address_bytes; ++i) {
    const std::size_t at = (is_ipv6 ? 8 : 12) + i;
    out.key.ends[0].first[i] = static_cast<std::uint8_t>(read8(ip, at));
    out.key.ends[1].first[i] = static_cast<std::uint8_t>(read8(ip, at + address_bytes));
  }
  if (!is_ipv6) {
    out.key.protonum = read8(ip, 9);
    out.is_fragment = (read16(ip, 6) & 0x3fff) != 0;
    out.layer4 = from(ip, (read8(ip, 0) & 0xf) * std::size_t{4});
    return out;
  }
  out.key.protonum = read8(ip, 6);
  out.layer4 = from(ip, header);
  // Hop-by-hop, routing and destination options are passed; a fragment header ends the search.
  while ((out.key.protonum == 0 || out.key.protonum == 43 || out.key.protonum == 60) &&
         out.layer4.size() >= 8) {
    out.key.protonum = read8(out.layer4, 0);
    out.layer4 = from(out.layer4, 8 + 8 * std::size_t{read8(out.layer4, 1)});
  }
  out.is_fragment = out.key.protonum == 44;
  if (out.is_fragment && !out.layer4.empty()) out.key.protonum = read8(out.layer4, 0);
  return out;
}

bool is_icmp_error(unsigned protonum, unsigned type) {
  if (protonum == ipproto::icmpv6) return type < 128;
  return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

/// The connection that an IP packet is about; of an ICMP error the one that it quotes.
std::optional<flow_key> key_of(view ip, int depth = 0) {
  std::optional<ip_header> read = read_ip(ip);
  if (!read) return std::nullopt;
  flow_key key = read->key;
  const bool is_icmp = key.protonum == ipproto::icmp || key.protonum == ipproto::icmpv6;
  if (is_icmp && !read->is_fragment && read->layer4.size() >= 8) {
    if (depth == 0 && is_icmp_error(key.protonum, read8(read->layer4, 0))) {
      const auto quoted = key_of(from(read->layer4, 8), depth + 1);
      if (quoted) return quoted;
    }
    key.ends[0].second = key.ends[1].second = read16(read->layer4, 4);
    key.has_ports = true;
  } else if (!read->is_fragment && read->layer4.size() >= 4) {
    if (key.protonum == ipproto::tcp || key.protonum == ipproto::udp) {
      key.ends[0].second = read16(read->layer4, 0);
      key.ends[1].second = read16(read->layer4, 2);
    }
    key.has_ports = true;
  }
  if (key.ends[1] < key.ends[0]) std::swap(key.ends[0], key.ends[1]);
  return key;
}

std::vector<flow_key> keys_of(std::span<const skb> packets) {
  std::vector<flow_key> out;
  out.reserve(packets.size());
  for (const skb& packet : packets) {
    out.push_back(key_of(ip_of(packet.frame, packet.link)).value_or(flow_key{}));
  }
  return out;
}

}  // namespace

std::size_t flow_count(std::span<const skb> packets) {
  std::set<flow_key> flows;
  for (const flow_key& key : keys_of(packets)) {
    if (key.has_ports) flows.insert(key);
  }
  return flows.size();
}

std::vector<std::size_t> flow_groups(std::span<const skb> packets) {
  std::vector<flow_key> keys = keys_of(packets);
  std::set<flow_key> coarse;
  for (flow_key& key : keys) {
    if (key.has_ports) continue;
    key = key.addresses();
    coarse.insert(key);
  }
  std::map<flow_key, std::size_t> numbers;
  std::vector<std::size_t> out;
  out.reserve(packets.size());
  for (const flow_key& key : keys) {
    // Sorted by address first, so that the ends of the coarse key stand in the same order.
    const flow_key wide = key.addresses();
    const flow_key& group = coarse.contains(wide) ? wide : key;
    out.push_back(numbers.try_emplace(group, numbers.size()).first->second);
  }
  return out;
}

std::vector<int> deal_out(std::span<const skb> packets, int threads) {
  const std::vector<std::size_t> groups = flow_groups(packets);
  std::vector<std::size_t> sizes;
  for (const std::size_t group : groups) {
    if (group >= sizes.size()) sizes.resize(group + 1);
    ++sizes[group];
  }
  std::vector<std::size_t> by_size(sizes.size());
  std::iota(by_size.begin(), by_size.end(), std::size_t{0});
  std::ranges::stable_sort(by_size, [&](auto a, auto b) { return sizes[a] > sizes[b]; });
  std::vector<std::size_t> load(static_cast<std::size_t>(threads));
  std::vector<int> thread_of(sizes.size());
  for (const std::size_t group : by_size) {
    const auto least = std::ranges::min_element(load);
    *least += sizes[group];
    thread_of[group] = static_cast<int>(least - load.begin());
  }
  std::vector<int> out;
  out.reserve(groups.size());
  for (const std::size_t group : groups) out.push_back(thread_of[group]);
  return out;
}

}  // namespace ct::workloads
