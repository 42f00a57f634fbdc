// SPDX-License-Identifier: BSD-2-Clause
/// Is a recorded run (harness/trace) a run of the contract machine?
///
/// Each action is taken in its turn; the first that is no step of the machine in the state that the
/// ones before led to is the answer. The machine's invariants are looked at now and then, and at
/// the end. Cost: O(1) an action, but O(entries) a lookup, an insertion or a tick.
#pragma once

#include <cstdint>
#include <string>

namespace ct::harness {

struct acceptance {
  std::string impl;
  std::uint64_t actions = 0;  ///< that were accepted
  std::uint64_t entries = 0;  ///< that lived at one time, at most
  /// Why not the next: "FILE:LINE: FindMiss(p1) is no step ...", and what the machine has of its
  /// CPU and its entry, a line each; empty: all are accepted.
  std::string rejected;
};

/// Throws std::invalid_argument, one line, for what is no trace.
acceptance accept(const std::string& path);

}  // namespace ct::harness
