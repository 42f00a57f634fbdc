// SPDX-License-Identifier: BSD-2-Clause
/// The list of walks, and the mix that interleaves them.
#include "workloads/walk.h"

#include "workloads/walks/walks.h"

#include <array>
#include <utility>

namespace ct::workloads {
namespace {

/// Walks at a time: enough to interleave, few enough that each is over in a fraction of a second.
constexpr std::size_t under_way_max = 48;
constexpr std::uint32_t walk_packets_min = 3;
constexpr std::uint32_t walk_packets_spread = 60;

/// Hosts for 2^22 walks; then the first ones come again.
walk_place place_of(std::uint32_t number, bool is_ipv6) {
  const auto text = [](std::uint32_t value) { return std::to_string(value); };
  walk_place place;
  place.is_ipv6 = is_ipv6;
  number &= 0x3fffff;
  if (is_ipv6) {
    const std::string tail = text(number / 10000) + ":" + text(number % 10000);
    place.client = "fd00:1::" + tail;
    place.server = "fd00:2::" + tail;
    place.router = "fd00:3::" + tail;
  } else {
    const std::string tail = "." + text(number >> 8 & 0xff) + "." + text(number & 0xff);
    const std::uint32_t high = number >> 16;
    place.client = "10." + text(high) + tail;
    place.server = "10." + text(128 + high) + tail;
    place.router = "10." + text(64 + high) + tail;
  }
  return place;
}

}  // namespace

build::bytes walk_place::wrap(const std::string& src,
                              const std::string& dst,
                              build::layer4 l4) const {
  if (is_ipv6) return build::ipv6({.src = src, .dst = dst}, std::move(l4));
  return build::ipv4({.src = src, .dst = dst}, std::move(l4));
}

void cut(build::layer4& l4, std::size_t bytes) {
  if (bytes >= l4.data.size()) return;
  l4.data.resize(bytes);
  if (l4.checksum_at + 2 > bytes) l4.checksum_at = 0;
}

void break_checksum(build::layer4& l4, random_source& random) {
  if (l4.checksum_at == 0) return;
  build::put16(l4.data, l4.checksum_at, 1 + random.below(65535));
  l4.checksum_at = 0;
}

std::span<const walk_kind> walk_kinds() {
  static constexpr std::array<walk_kind, 10> kinds = {{
      {"tcp", "connections, and every kind of segment in every state", 60, begin_tcp},
      {"udp", "requests, answers and streams; lengths that are wrong", 12, begin_udp},
      {"icmp", "queries of every type, both ways, of ICMP and ICMPv6", 10, begin_icmp},
      {"icmp-error", "errors that quote packets, rightly and wrongly", 14, begin_icmp_error},
      {"ip", "options, extension headers, protocols without a tracker, bad headers", 4, begin_ip},
      {"sctp", "associations, and every kind of chunk in every state", 12, begin_sctp},
      {"udplite", "as udp; checksums over all, a part, or too much", 3, begin_udplite},
      {"gre", "tunnels of version 0 and of PPTP, headers that are cut", 3, begin_gre},
      {"dccp", "connections, and every type of packet in every state", 2, begin_dccp},
      {"fragments", "packets in parts, in every order and with overlaps", 4, begin_fragments},
  }};
  return kinds;
}

walk_mix::walk_mix(mix_options options)
    : options_(std::move(options)), random_(options_.seed), places_(options_.first_place) {
  for (walk_kind& kind : options_.kinds) {
    if (kind.weight == 0) kind.weight = 1;
    weight_sum_ += kind.weight;
  }
}

const walk_kind& walk_mix::choose_kind() {
  std::uint32_t at = random_.below(weight_sum_);
  for (const walk_kind& kind : options_.kinds) {
    if (at < kind.weight) return kind;
    at -= kind.weight;
  }
  return options_.kinds.back();
}

walk_mix::under_way walk_mix::begin() {
  const bool is_ipv6 = happens(random_, 35);
  const walk_kind& kind = choose_kind();
  under_way one;
  one.walk = kind.begin(place_of(++places_, is_ipv6), random_);
  one.packets_left = walk_packets_min + random_.below(walk_packets_spread);
  if (options_.has_zones_and_marks && happens(random_, 15)) {
    one.zone_id = static_cast<std::uint16_t>(random_.below(4));
    one.mark = random_.below(15);
  }
  return one;
}

walked_packet walk_mix::next() {
  while (under_way_.size() < under_way_max) under_way_.push_back(begin());
  under_way& one = under_way_[random_.below(static_cast<std::uint32_t>(under_way_.size()))];
  const bool pauses = options_.has_pause && ++packets_ == options_.packets / 2;
  walked_packet packet = {.ip = one.walk->next(random_),
                          .zone_id = one.zone_id,
                          .mark = one.mark,
                          .pause_ms = pauses ? pause_ms : 0};
  if (--one.packets_left == 0) one = begin();
  return packet;
}

}  // namespace ct::workloads
