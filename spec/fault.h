// SPDX-License-Identifier: BSD-2-Clause
/// Planted faults: mistakes with a name that a build of its own can switch on, one at a time, to
/// see whether the checkers find them.
///
/// A checker that has never found anything is not known to find anything. The list is part of every
/// program; only in `ctbench_faults` can one be planted, so that they cost nothing anywhere else.
#pragma once

#include <span>
#include <string_view>

namespace ct {

struct fault {
  std::string_view name;
  std::string_view what;  ///< what the planted code does wrong, a few words
  std::string_view from;  ///< the real fault or the rule behind it
};

/// Every fault, in the order of its place in the code.
std::span<const fault> faults();

/// From here on that one is in the code; nullptr: none. Call while no system exists. False: this
/// program was built without them.
bool plant(const fault* one);

}  // namespace ct
