// SPDX-License-Identifier: BSD-2-Clause
/// What was switched off is never needed again: to switch off more forbids more.
#include "harness/check/fingerprint.h"

#include <optional>

namespace ct::check {
namespace {

using judge_function = std::function<check_report(const recorded&, const check_options&)>;

/// The finding with the fewest operations among all histories; none: each is allowed.
std::optional<needed> refuted(std::span<const recorded> histories,
                              const check_options& options,
                              const judge_function& judge,
                              bool is_first_enough) {
  std::optional<needed> shortest;
  for (std::size_t i = 0; i < histories.size(); ++i) {
    const check_report report = judge(histories[i], options);
    if (report.outcome == outcome::allowed) continue;
    finding unknown{.outcome = outcome::unknown, .what = "too many configurations"};
    const std::vector<finding>& all = report.findings;
    for (const finding& f : all.empty() ? std::vector<finding>{unknown} : all) {
      if (shortest && shortest->witness.operations.size() <= f.operations.size()) continue;
      shortest = needed{.witness = f, .history = i};
    }
    if (is_first_enough) break;
  }
  return shortest;
}

}  // namespace

fingerprint fingerprint_of(std::span<const recorded> histories,
                           allowances asked,
                           const judge_function& judge) {
  const judge_function by = judge ? judge : [](const recorded& run, const check_options& options) {
    return check(run.operations, run.facts, options);
  };
  fingerprint print{.needs = asked};
  if (const auto broken = refuted(histories, {.allows = asked}, by, true)) {
    print.outcome = broken->witness.outcome;
    print.broken = broken->witness;
    return print;
  }
  for (std::size_t i = 0; i < allowance_count; ++i) {
    const auto a = static_cast<allowance>(i);
    if (!print.needs.has(a)) continue;
    const allowances rest = print.needs.without(a);
    if (!refuted(histories, {.allows = rest}, by, true)) print.needs = rest;
  }
  for (std::size_t i = 0; i < allowance_count; ++i) {
    const auto a = static_cast<allowance>(i);
    if (!print.needs.has(a)) continue;
    needed one = *refuted(histories, {.allows = print.needs.without(a)}, by, false);
    one.allowance = a;
    print.because.push_back(std::move(one));
  }
  return print;
}

}  // namespace ct::check
