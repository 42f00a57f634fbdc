// SPDX-License-Identifier: BSD-2-Clause
/// Names that a user gives, matched with names that exist; a near miss gets a suggestion.
#pragma once

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

/// Fewest insertions, deletions and substitutions that make `b` of `a`.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The nearest of `known`, or empty if none is near enough to be meant.
std::string_view nearest(std::string_view name, std::span<const std::string_view> known);

/// ": did you mean NAME?", or empty.
std::string suggestion(std::string_view name, std::span<const std::string_view> known);

/// The implementations of "a,b,c" in that order, or every one for "all" but what is live. Throws
/// usage_error for a name that does not exist, stands twice or is empty.
std::vector<impl> choose(std::span<const impl> all, std::string_view names);

/// The live kernel, ready to judge; call while there is one thread (without privileges the process
/// enters a user namespace here). nullptr: `skipped` says what it needs.
const impl* find_kernel(std::span<const impl> all, std::string& skipped);

}  // namespace ct::harness
