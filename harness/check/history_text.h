// SPDX-License-Identifier: BSD-2-Clause
/// Histories of tests as text: a line an operation.
///
///     0-3 in 0 made 7
///     4-5 confirm 7 0 1 inserted
///     6-8 find 1 found 7 reply
///
/// First the stamps, then verb, numbers and answer in the order in which they are said; then, where
/// it matters, `reply`, `timeout N`, `now LO HI`, `thread N`. Sorted by stamp.
#pragma once

#include "harness/check/history.h"

#include <string>
#include <vector>

namespace ct::check {

/// Throws std::invalid_argument with the line that it cannot read.
std::vector<operation> read_history(const std::string& text);
std::string write_history(const std::vector<operation>& history);

}  // namespace ct::check
