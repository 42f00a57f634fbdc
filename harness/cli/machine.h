// SPDX-License-Identifier: BSD-2-Clause
/// What this machine offers for measuring and comparing; everything is tried, nothing is changed.
#pragma once

#include <string>
#include <vector>

namespace ct::harness {

struct finding {
  std::string name;
  bool is_there = false;
  std::string value{};       ///< what was found, or what is missing
  std::string why{};         ///< if it is missing: what does not work without it
  std::string what_to_do{};  ///< if it is missing
};

std::vector<finding> examine_machine();

/// "Linux 6.18.44": the kernel that runs.
std::string kernel_text();

/// Captures of workloads/traces, looked for here and above the program; empty if there are none.
std::vector<std::string> find_traces();

}  // namespace ct::harness
