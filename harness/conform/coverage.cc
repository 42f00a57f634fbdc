// SPDX-License-Identifier: BSD-2-Clause
/// Sets of cells, a table each.
#include "harness/conform/coverage.h"

#include "harness/conform/packet_reading.h"

#include <fmt/format.h>

namespace ct::harness::conform {

coverage::coverage(const system_options& options) {
  for (const cell_table* const table : cell_tables()) {
    if (table->is_tracked(options)) cells_[table];
  }
}

void coverage::note(const seen_packet& seen) {
  const auto reading = read_packet(seen.packet->ip);
  if (!reading) return;
  if (const auto type = icmp_type_of(*reading)) {
    (reading->l3num == l3num::ipv4 ? icmp_types_ : icmpv6_types_).insert(*type);
  }
  if (!seen.about) return;
  for (auto& [table, reached] : cells_) {
    const auto at = table->cell_of(seen, *reading);
    if (at && at->state < table->states) reached.insert(*at);
  }
}

void coverage::merge(const coverage& other) {
  for (const auto& [table, reached] : other.cells_) {
    cells_[table].insert(reached.begin(), reached.end());
  }
  icmp_types_.insert(other.icmp_types_.begin(), other.icmp_types_.end());
  icmpv6_types_.insert(other.icmpv6_types_.begin(), other.icmpv6_types_.end());
  sysctls_.insert(other.sysctls_.begin(), other.sysctls_.end());
}

std::size_t coverage::count(const cell_table& table) const {
  const auto found = cells_.find(&table);
  return found == cells_.end() ? 0 : found->second.size();
}

std::vector<std::string> coverage::missing(const cell_table& table) const {
  const auto found = cells_.find(&table);
  if (found == cells_.end()) return {};
  std::vector<std::string> names;
  for (cell at; at.sender < table.senders.size(); ++at.sender) {
    for (at.kind = 0; at.kind < table.kinds.size(); ++at.kind) {
      for (at.state = 0; at.state < table.states; ++at.state) {
        if (!table.is_reachable(at) || found->second.contains(at)) continue;
        names.push_back(fmt::format("{} {} {}",
                                    table.senders[at.sender],
                                    table.kinds[at.kind],
                                    table.state_name(at.state)));
      }
    }
  }
  return names;
}

}  // namespace ct::harness::conform
