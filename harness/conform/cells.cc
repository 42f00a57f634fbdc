// SPDX-License-Identifier: BSD-2-Clause
/// The list of tables.
#include "harness/conform/cells.h"

namespace ct::harness::conform {

std::span<const cell_table* const> cell_tables() {
  static constexpr std::array<const cell_table*, 3> all = {&tcp_cells, &sctp_cells, &dccp_cells};
  return all;
}

std::size_t cell_table::reachable() const {
  std::size_t count = 0;
  for (cell at; at.sender < senders.size(); ++at.sender) {
    for (at.kind = 0; at.kind < kinds.size(); ++at.kind) {
      for (at.state = 0; at.state < states; ++at.state) count += is_reachable(at) ? 1 : 0;
    }
  }
  return count;
}

}  // namespace ct::harness::conform
