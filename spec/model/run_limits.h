// SPDX-License-Identifier: BSD-2-Clause
/// What the contract machine is made with to follow a recorded run (conntrack_run.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ct::model {

/// The machine's constants, for a run.
struct run_limits {
  std::uint32_t entries = 1;
  std::uint32_t cpus = 1;
  std::uint32_t flows = 1;
  std::uint32_t netns = 1;
  std::uint32_t max = 1;
  std::uint32_t chain_limit = 1;
  std::vector<std::string> operations{};
  std::vector<std::string> allowances{};
};

}  // namespace ct::model
