// SPDX-License-Identifier: BSD-2-Clause
/// `ctbench doctor`: what can be measured and compared on this machine, and why not the rest?
#include "harness/cli/machine.h"
#include "harness/cli/verb.h"

#include <algorithm>
#include <fmt/format.h>

namespace ct::harness {
namespace {

/// What takes part only where the machine lets it.
finding live_finding(const impl& one) {
  const std::string missing = one.lacks();
  finding found = {.name = std::string(one.name), .is_there = missing.empty()};
  if (missing.empty()) {
    found.value = one.summary;
  } else {
    found.value = "needs " + missing;
    found.why = "no packet can be compared with the live kernel (conform)";
    found.what_to_do = "run as root, on a kernel with TUN, nf_tables, nf_conntrack and ctnetlink";
  }
  return found;
}

outcome doctor(const context& what) {
  outcome found;
  std::vector<finding> findings = examine_machine();
  for (const impl& one : what.all) {
    if (one.is_live()) findings.push_back(live_finding(one));
  }
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
