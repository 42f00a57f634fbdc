// SPDX-License-Identifier: BSD-2-Clause
/// `ctbench list`: which implementations, verbs and sysctls are there?
#include "harness/cli/sysctl_option.h"
#include "harness/cli/verb.h"
#include "harness/fuzz/target.h"
#include "spec/fault.h"

#include <algorithm>
#include <fmt/format.h>
#include <memory>

namespace ct::harness {
namespace {

std::vector<std::string_view> letters(const claims& promises) {
  std::vector<std::string_view> names;
  for (const guarantee& one : guarantees) {
    if (promises.has(one.letter)) names.push_back(one.name);
  }
  return names;
}

outcome list(const context& what) {
  outcome found;
  // What takes part only by name is listed all the same.
  const std::vector<impl> shown =
      what.is_chosen_by_name ? what.chosen : std::vector<impl>(what.all.begin(), what.all.end());
  std::size_t width = 0;
  for (const impl& one : shown) width = std::max(width, one.name.size());
  for (const verb& one : verbs()) width = std::max(width, one.name.size());

  fmt::print(
      "implementations (--impl), with the guarantees that they promise (docs/guarantees.md)\n");
  for (const impl& one : shown) {
    const auto names = letters(one.promises);
    fmt::print("  {:<{}}  {}\n", one.name, width, one.summary);
    fmt::print("  {:<{}}  {}\n",
               "",
               width,
               one.is_timing_only() ? "promises nothing: takes part in timing only"
                                    : fmt::format("promises {}", fmt::join(names, " ")));
    if (one.is_live()) {
      fmt::print("  {:<{}}  takes part only where it is named, and in conform\n", "", width);
    }
    found.rows.push_back({{"impl", one.name},
                          {"summary", one.summary},
                          {"promises", names},
                          {"timing_only", one.is_timing_only()},
                          {"live", one.is_live()}});
  }
  fmt::print("\nverbs (ctbench VERB --help)\n");
  nlohmann::json verb_names = nlohmann::json::array();
  for (const verb& one : verbs()) {
    fmt::print("  {:<{}}  {}\n", one.name, width, one.summary);
    verb_names.push_back(one.name);
  }
  fmt::print("\nplanted faults (ctbench faults)\n");
  nlohmann::json fault_rows = nlohmann::json::array();
  for (const fault& one : faults()) width = std::max(width, one.name.size());
  for (const fault& one : faults()) {
    fmt::print("  {:<{}}  {}\n", one.name, width, one.what);
    fault_rows.push_back({{"name", one.name}, {"what", one.what}, {"from", one.from}});
  }
  fmt::print("\nfuzz targets (ctbench fuzz --target NAME)\n");
  nlohmann::json target_names = nlohmann::json::array();
  for (const fuzz::target& one : fuzz::targets()) {
    fmt::print("  {:<{}}  {}\n", one.name, width, one.question);
    target_names.push_back(one.name);
  }
  fmt::print("\n");
  found.figures = {{"implementations", shown.size()},
                   {"verbs", verb_names},
                   {"faults", fault_rows},
                   {"fuzz_targets", target_names}};
  found.verdict = fmt::format("{} implementation{}, {} verbs",
                              shown.size(),
                              shown.size() == 1 ? "" : "s",
                              verbs().size());
  return found;
}

}  // namespace

std::function<outcome(const context&)> add_list(CLI::App& options) {
  const auto wants_sysctls = std::make_shared<bool>(false);
  options.add_flag("--sysctls",
                   *wants_sysctls,
                   "the settings instead: names, defaults, units, ranges (for --sysctl)");
  return [wants_sysctls](const context& what) {
    return *wants_sysctls ? list_sysctls(what.chosen.front()) : list(what);
  };
}

}  // namespace ct::harness
