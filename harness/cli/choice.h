// SPDX-License-Identifier: BSD-2-Clause
/// Names that a user gives, matched with names that exist; a near miss gets a suggestion.
#pragma once

#include "harness/format/nearest.h"
#include "spec/impl.h"

#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace ct::harness {

/// What the user asked for cannot be done. what() is one line: what is wrong, where, what to do.
/// Exit 2.
class usage_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The implementations of "a,b,c" in that order, or every one for "all" but what is live. Throws
/// usage_error for a name that does not exist, stands twice or is empty.
std::vector<impl> choose(std::span<const impl> all, std::string_view names);

/// The live kernel, ready to judge; call while there is one thread (without privileges the process
/// enters a user namespace here). nullptr: `skipped` says what it needs.
const impl* find_kernel(std::span<const impl> all, std::string& skipped);

}  // namespace ct::harness
