// SPDX-License-Identifier: BSD-2-Clause
/// TCP: direction, kind of segment, state. A segment counts whatever the tracker made of it ahead
/// of its table (flags that do not go together never reach it).
///
/// Of the 120 cells the 6 of the reply direction in NONE cannot be reached: an entry that has seen
/// a packet is in another state.
#include "harness/conform/cells.h"

namespace ct::harness::conform {
namespace {

constexpr std::array<std::string_view, 6> kinds = {"syn", "synack", "fin", "ack", "rst", "none"};

/// First match wins, as in the kernel.
std::size_t kind_of(std::uint8_t flags) {
  const auto has = [flags](unsigned bit) { return (flags & bit) != 0; };
  if (has(0x04)) return 4;
  if (has(0x02)) return has(0x10) ? 1 : 0;
  if (has(0x01)) return 2;
  return has(0x10) ? 3 : 5;
}

std::optional<cell> cell_of(const seen_packet& seen, const packet_reading& reading) {
  const auto flags = tcp_flags_of(reading);
  if (!flags) return std::nullopt;
  return cell{.sender = direction_of(seen),
              .kind = kind_of(*flags),
              .state = seen.before ? static_cast<std::size_t>(seen.before->tcp) : 0};
}

}  // namespace

constinit const cell_table tcp_cells = {
    .name = "TCP",
    .key = "tcp_cells",
    .senders = {"original", "reply"},
    .kinds = kinds,
    .states = 10,
    .state_name = [](std::size_t state) { return name(static_cast<tcp_state>(state)); },
    .is_reachable = [](const cell& at) { return at.sender == 0 || at.state != 0; },
    .cell_of = cell_of,
    .is_tracked = [](const system_options&) { return true; },
};

}  // namespace ct::harness::conform
