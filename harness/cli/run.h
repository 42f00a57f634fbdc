// SPDX-License-Identifier: BSD-2-Clause
/// The program as a function of its arguments; apart from verb.h, so that main needs no CLI11.
#pragma once

#include "spec/impl.h"

#include <span>

namespace ct::harness {

/// Parses, runs the verb, writes the JSON. Returns the exit code.
int run(int argc, const char* const* argv, std::span<const impl> all);

}  // namespace ct::harness
