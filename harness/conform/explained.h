// SPDX-License-Identifier: BSD-2-Clause
/// Differences to the live kernel that are known: each has a row in docs/linux-differences.md.
///
/// A row is a decision of this project or a change between kernels, never something missing. At
/// most ten. The program counts what a row covers and goes on; everything else is a finding.
#pragma once

#include "harness/conform/lockstep.h"

#include <span>
#include <string_view>

namespace ct::harness::conform {

struct explanation {
  std::string_view id;      ///< names the row
  std::string_view what;    ///< as the row says it
  std::string_view kernel;  ///< versions in which it shows, or why it is a decision
  /// `packet` is nullptr for what is compared at the end of a run.
  bool (*covers)(const difference& found, const walked_packet* packet);
};

inline constexpr std::size_t explanations_max = 10;
std::span<const explanation> explanations();

/// The row that covers it, or nullptr.
const explanation* explain(const difference& found, const walked_packet* packet);

}  // namespace ct::harness::conform
