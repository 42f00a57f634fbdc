// SPDX-License-Identifier: BSD-2-Clause
/// What the contract machine is made with to follow a recorded run (conntrack_run.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ct::model {

/// The machine's constants, for a run. Operations and allowances are those of our implementations;
/// a table that does not promise F.2 has one allowance more, miss_during_resize.
struct run_limits {
  std::uint32_t entries = 1;
  std::uint32_t cpus = 1;
  std::uint32_t flows = 1;
  std::uint32_t netns = 1;
  std::uint32_t max = 1;
  std::uint32_t chain_limit = 1;
  std::vector<std::string> operations = {"lookup",
                                         "early_drop",
                                         "nat",
                                         "kill",
                                         "update",
                                         "filter",
                                         "clock",
                                         "gc",
                                         "listener",
                                         "flush",
                                         "exit",
                                         "resize",
                                         "late_packets"};
  std::vector<std::string> allowances = {"two_phase_delete",
                                         "loser_returns_early",
                                         "count_reserves",
                                         "chain_too_long",
                                         "clash_merge",
                                         "clash_reply_only"};
};

}  // namespace ct::model
