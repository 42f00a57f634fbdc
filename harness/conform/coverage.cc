// SPDX-License-Identifier: BSD-2-Clause
/// Cells as an array of flags, numbered direction, kind, state.
#include "harness/conform/coverage.h"

#include "harness/conform/packet_reading.h"

#include <algorithm>
#include <fmt/format.h>

namespace ct::harness::conform {
namespace {

constexpr std::array<std::string_view, coverage::tcp_kinds> kind_names =
    {"syn", "synack", "fin", "ack", "rst", "none"};

/// First match wins, as in the kernel.
std::size_t kind_of(std::uint8_t flags) {
  const auto has = [flags](unsigned bit) { return (flags & bit) != 0; };
  if (has(0x04)) return 4;
  if (has(0x02)) return has(0x10) ? 1 : 0;
  if (has(0x01)) return 2;
  return has(0x10) ? 3 : 5;
}

constexpr std::size_t cell(std::size_t direction, std::size_t kind, std::size_t state) {
  return (direction * coverage::tcp_kinds + kind) * coverage::tcp_states + state;
}

}  // namespace

void coverage::note(const seen_packet& seen) {
  const auto reading = read_packet(seen.packet->ip);
  if (!reading) return;
  if (const auto type = icmp_type_of(*reading)) {
    (reading->l3num == l3num::ipv4 ? icmp_types_ : icmpv6_types_).insert(*type);
  }
  const auto flags = tcp_flags_of(*reading);
  if (!flags || !seen.about) return;
  std::size_t direction = 0;
  std::size_t state = 0;
  if (seen.before) {
    direction = same_flow(*seen.about, seen.before->tuples[0]) ? 0 : 1;
    state = static_cast<std::size_t>(seen.before->tcp);
  }
  if (state < tcp_states) tcp_[cell(direction, kind_of(*flags), state)] = true;
}

void coverage::merge(const coverage& other) {
  for (std::size_t i = 0; i < tcp_cells; ++i) tcp_[i] = tcp_[i] || other.tcp_[i];
  icmp_types_.insert(other.icmp_types_.begin(), other.icmp_types_.end());
  icmpv6_types_.insert(other.icmpv6_types_.begin(), other.icmpv6_types_.end());
  sysctls_.insert(other.sysctls_.begin(), other.sysctls_.end());
}

std::size_t coverage::tcp_count() const {
  return static_cast<std::size_t>(std::ranges::count(tcp_, true));
}

std::string coverage::missing_tcp() const {
  std::string text;
  for (std::size_t direction = 0; direction < 2; ++direction) {
    for (std::size_t kind = 0; kind < tcp_kinds; ++kind) {
      for (std::size_t state = direction; state < tcp_states; ++state) {  // reply, NONE: cannot be
        if (tcp_[cell(direction, kind, state)]) continue;
        text += fmt::format("{}{} {} {}",
                            text.empty() ? "" : ", ",
                            direction == 0 ? "original" : "reply",
                            kind_names[kind],
                            name(static_cast<tcp_state>(state)));
      }
    }
  }
  return text;
}

}  // namespace ct::harness::conform
