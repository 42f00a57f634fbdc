// SPDX-License-Identifier: BSD-2-Clause
/// What no order of steps explains, as a picture: a space-time diagram, one HTML page that needs
/// nothing else (no script, no network; light and dark; prints).
///
/// A lane a thread, a bar an operation, time to the right: stamps in their order, not to scale, so
/// that what happened within nanoseconds can be read. Below a lane an entry: where it could
/// certainly be found (solid), where it may have been (hatched). The operations that contradict
/// each other are framed.
#pragma once

#include "harness/check/checker.h"

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace ct::check {

/// In a few words what was called and what it answered: "find 3 -> found 0x7", "confirm 0x7 ->
/// inserted".
std::string words_of(const operation& o);

/// The same for a terminal: a line an operation, its bar over the ranks of stamps, and a star where
/// it is one of those that contradict each other.
std::string lanes_of(std::span<const operation> operations, const finding& found);

struct diagram {
  std::string title;                                         ///< the run: implementation, workload
  std::vector<std::pair<std::string, std::string>> facts{};  ///< shown as a table: name, value
  std::string command{};                                     ///< that judges it again
};

/// The page. `operations` are those to be drawn, sorted by `call`; `found.operations` are indices
/// into them. Equal arguments give equal bytes.
std::string html_of(const diagram& about,
                    std::span<const operation> operations,
                    const finding& found);

}  // namespace ct::check
