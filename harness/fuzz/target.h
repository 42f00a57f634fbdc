// SPDX-License-Identifier: BSD-2-Clause
/// A fuzz target: what bytes mean, and what must hold whatever they are.
///
/// A target reads an input as packets and waits, passes them through every implementation that it
/// is given, and answers with what went wrong. Inputs come from libFuzzer (fuzzer_main.cc), which
/// looks for ones that reach new code, or from files (corpus.h). An input decides everything: the
/// same one gives the same answer in any process. A new target is one file and one line in
/// targets.cc.
#pragma once

#include "harness/fuzz/court.h"
#include "harness/fuzz/input.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ct::harness::fuzz {

struct target {
  std::string_view name;
  std::string_view question;
  std::size_t input_bytes_max;
  /// Empty, or the first thing that is wrong, as one line.
  std::string (*run)(court& from, std::span<const std::byte> input);
  /// Inputs to begin with; a target that can makes them of captures, else of what it knows.
  std::vector<input_bytes> (*seeds)(std::span<const std::string> captures);
};

std::span<const target> targets();

std::string run_packet(court& from, std::span<const std::byte> input);
std::vector<input_bytes> packet_seeds(std::span<const std::string> captures);
std::string run_tracker(court& from, std::span<const std::byte> input);
std::vector<input_bytes> tracker_seeds(std::span<const std::string> captures);
std::string run_helper(court& from, std::span<const std::byte> input);
std::vector<input_bytes> helper_seeds(std::span<const std::string> captures);

}  // namespace ct::harness::fuzz
