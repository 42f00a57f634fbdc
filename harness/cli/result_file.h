// SPDX-License-Identifier: BSD-2-Clause
/// The file of --json: schema ctbench/1, whole or not at all.
#pragma once

#include "harness/cli/verb.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace ct::harness {

/// What the file holds.
std::string result_text(std::string_view verb_name, std::uint64_t seed, const outcome& found);

/// Throws usage_error if `path` could not be written: asked before a verb runs, so that no work is
/// lost.
void expect_writable(const std::string& path);

/// Writes beside `path` and renames, so that a reader sees the old file or the whole new one. What
/// is no regular file (a pipe, /dev/stdout) is written directly. Throws usage_error.
void write_result(const std::string& path, const std::string& text);

}  // namespace ct::harness
