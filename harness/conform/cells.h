// SPDX-License-Identifier: BSD-2-Clause
/// The tables of trackers, as conform can see from outside which of their cells a packet exercises.
///
/// A cell is (sender, kind of packet, state before it): a packet of that kind was sent to an entry
/// in that state. A tracker that moves by a table is one file, cells_NAME.cc, which says in its
/// head which cells cannot be reached and why, and one line in cell_tables().
#pragma once

#include "harness/conform/lockstep.h"
#include "harness/conform/packet_reading.h"
#include "spec/ct_system.h"

#include <array>
#include <compare>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace ct::harness::conform {

struct cell {
  std::size_t sender = 0;
  std::size_t kind = 0;
  std::size_t state = 0;
  auto operator<=>(const cell&) const = default;
};

struct cell_table {
  std::string_view name;  ///< "TCP"
  std::string_view key;   ///< of its figure in a result file
  std::array<std::string_view, 2> senders;
  std::span<const std::string_view> kinds;
  std::size_t states = 0;
  std::string_view (*state_name)(std::size_t state) = nullptr;
  bool (*is_reachable)(const cell& at) = nullptr;
  /// Which one the packet exercises, if one.
  std::optional<cell> (*cell_of)(const seen_packet& seen, const packet_reading& reading) = nullptr;
  /// Has such a system that tracker?
  bool (*is_tracked)(const system_options& options) = nullptr;

  std::size_t size() const { return senders.size() * kinds.size() * states; }
  std::size_t reachable() const;
};

extern const cell_table tcp_cells;
extern const cell_table sctp_cells;
extern const cell_table dccp_cells;
/// All there are.
std::span<const cell_table* const> cell_tables();

/// Which way a packet goes: original, where there is no entry yet.
inline std::size_t direction_of(const seen_packet& seen) {
  if (!seen.before || !seen.about) return 0;
  return same_flow(*seen.about, seen.before->tuples[0]) ? 0 : 1;
}

}  // namespace ct::harness::conform
