// SPDX-License-Identifier: BSD-2-Clause
/// How sharp conformance is: with a fault in the code, how many packets until it is found?
///
/// One campaign a fault and seed, each packet read deep, until the first difference; one more
/// without a fault, which may find none. A fault that is not found within the packets given is
/// not found.
#pragma once

#include "harness/conform/campaign.h"
#include "spec/fault.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace ct::harness::conform {

/// One fault, one seed.
struct sharpness_try {
  std::uint64_t seed = 0;
  bool is_found = false;
  std::string field{};        ///< in which it showed
  std::uint64_t packets = 0;  ///< sent until then
  double busy_s = 0;          ///< for those packets
};

struct sharpness_row {
  const fault* planted = nullptr;  ///< nullptr: none
  std::vector<sharpness_try> tries{};

  std::size_t found() const;
  /// Median over the tries that found it; of an even number the lower one.
  std::uint64_t packets() const;
  double busy_s() const;
  /// In most of the tries; empty: never found.
  std::string field() const;
  /// A fault must be found with every seed; without one, with none.
  bool is_as_it_should_be() const { return found() == (planted == nullptr ? 0 : tries.size()); }
};

/// Tries `seeds` campaigns of `options`, with its seed and the ones that follow. Plants `one` while
/// it runs.
sharpness_row measure_sharpness(const fault* one,
                                const impl& ours,
                                const impl& theirs,
                                campaign_options options,
                                std::uint32_t seeds,
                                const std::function<bool()>& should_stop);

}  // namespace ct::harness::conform
