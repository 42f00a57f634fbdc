// SPDX-License-Identifier: BSD-2-Clause
/// Names that a user gives, matched with names that exist.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace ct::harness {

/// Fewest insertions, deletions and substitutions that make `b` of `a`.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The nearest of `known`, or empty if none is near enough to be meant.
std::string_view nearest(std::string_view name, std::span<const std::string_view> known);

/// ": did you mean NAME?", or empty.
std::string suggestion(std::string_view name, std::span<const std::string_view> known);

}  // namespace ct::harness
