// SPDX-License-Identifier: BSD-2-Clause
/// Why an operation cannot be explained, in a sentence.
#pragma once

#include "harness/check/checker.h"
#include "harness/check/partition.h"

#include <cstddef>
#include <string_view>

namespace ct::check {

std::string_view name_of(verb v);
std::string_view name_of(answer a);
/// The operation at `place` has to end, and no configuration lets it.
finding explained(const partition& p, std::size_t place);

}  // namespace ct::check
