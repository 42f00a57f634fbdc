// SPDX-License-Identifier: BSD-2-Clause
/// `ctbench doctor`: what can be measured and compared on this machine, and why not the rest?
#include "harness/cli/machine.h"
#include "harness/cli/verb.h"

#include <algorithm>
#include <fmt/format.h>

namespace ct::harness {
namespace {

outcome doctor(const context&) {
  outcome found;
  const std::vector<finding> findings = examine_machine();
  std::size_t width = 0;
  for (const finding& one : findings) width = std::max(width, one.name.size());
  for (const finding& one : findings) {
    if (one.is_there) {
      fmt::print("ok  {:<{}}  {}\n", one.name, width, one.value);
    } else {
      fmt::print("no  {:<{}}  {}: {}; {}\n", one.name, width, one.value, one.why, one.what_to_do);
    }
    found.rows.push_back({{"check", one.name},
                          {"ok", one.is_there},
                          {"value", one.value},
                          {"why", one.why},
                          {"what_to_do", one.what_to_do}});
  }
  const auto there = std::ranges::count_if(findings, &finding::is_there);
  found.figures = {{"there", there},
                   {"missing", static_cast<std::ptrdiff_t>(findings.size()) - there}};
  const auto missing = static_cast<std::ptrdiff_t>(findings.size()) - there;
  found.verdict = missing == 0 ? "everything can be measured and compared here"
                               : fmt::format(
                                     "{} of {} are here; the lines that begin with no say what the "
                                     "rest would take",
                                     there,
                                     findings.size());
  return found;
}

}  // namespace

std::function<outcome(const context&)> add_doctor(CLI::App&) { return doctor; }

}  // namespace ct::harness
