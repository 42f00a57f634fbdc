// SPDX-License-Identifier: BSD-2-Clause
/// A whole history at once: the stream's verdict, and for what it found the few operations that
/// contradict each other.
///
/// To leave an operation out may not make a contradiction of its own: who reads is dropped, who
/// writes becomes optional, it may have happened or not. So what is left contradicts itself
/// whatever the others did. Which letter is broken shows by the allowance that would explain it.
#include "harness/check/checker.h"

#include "harness/check/judge.h"

#include <algorithm>
#include <array>
#include <utility>

namespace ct::check {
namespace {

constexpr std::size_t core_from_max = 400;  // operations; of more only the last ones are tried

bool is_of_all_flows(verb v) {
  return v == verb::flush || v == verb::exit || v == verb::gc || v == verb::advance ||
         v == verb::resize;
}
bool has_other(const operation& op) { return op.verb == verb::confirm; }

/// Has it an effect that others may need?
bool writes(const operation& op) {
  switch (op.answer) {
    case answer::made:
    case answer::inserted:
    case answer::won:
      return true;
    case answer::found:
      return op.verb == verb::in && op.timeout != 0;
    case answer::lost:
    case answer::none:
      return op.verb != verb::put && op.verb != verb::look && op.verb != verb::shown;
    default:
      return false;
  }
}

/// What the history says of the flows of one finding.
class part {
 public:
  part(std::span<const operation> history, const run_facts& facts, const check_options& options)
      : history_(history), facts_(facts), options_(options) {
    facts_.max = 0;
    options_.configurations_max = std::min(options_.configurations_max, 1U << 12);
  }

  void choose(const judged_finding& f) {
    std::vector<std::uint32_t> flows = f.flows;
    std::ranges::sort(flows);
    const auto is_of = [&](std::uint32_t key) {
      return std::ranges::binary_search(flows, key / 2);
    };
    chosen_.clear();
    for (std::size_t i = 0; i < history_.size() && history_[i].call <= f.until; ++i) {
      const operation& op = history_[i];
      const bool belongs =
          is_of_all_flows(op.verb) || (op.verb != verb::dump && op.verb != verb::count &&
                                       (is_of(op.key) || (has_other(op) && is_of(op.other))));
      if (belongs) chosen_.push_back(i);
    }
    is_kept_.assign(chosen_.size(), true);
  }
  std::size_t size() const { return chosen_.size(); }

  /// Is it a contradiction still, with what is kept?
  bool is_violated(allowances allows) const {
    check_options options = options_;
    options.allows = allows;
    judge j(facts_, options);
    for (std::size_t i = 0; i < chosen_.size(); ++i) {
      const operation& op = history_[chosen_[i]];
      if (is_kept_[i] || writes(op)) j.feed(op, !is_kept_[i]);
    }
    j.finish();
    return std::ranges::any_of(j.findings(),
                               [](const judged_finding& f) { return !f.flows.empty(); });
  }

  /// Halves, quarters, and so on to single ones, as long as something can be left out.
  void shrink() {
    for (std::size_t step = std::max<std::size_t>(1, size() / 2);; step /= 2) {
      for (std::size_t begin = 0; begin < size(); begin += step) {
        const std::vector<bool> before = is_kept_;
        const auto at = is_kept_.begin() + static_cast<std::ptrdiff_t>(begin);
        std::fill(at, at + static_cast<std::ptrdiff_t>(std::min(step, size() - begin)), false);
        if (is_kept_ != before && !is_violated(options_.allows)) is_kept_ = before;
      }
      if (step == 1) return;
    }
  }
  std::vector<std::size_t> kept() const {
    std::vector<std::size_t> numbers;
    for (std::size_t i = 0; i < chosen_.size(); ++i) {
      if (is_kept_[i] && !is_of_no_account(history_[chosen_[i]])) numbers.push_back(chosen_[i]);
    }
    return numbers;
  }

 private:
  static bool is_of_no_account(const operation& op) {
    return op.verb == verb::advance || op.verb == verb::resize || op.verb == verb::gc;
  }

  std::span<const operation> history_;
  run_facts facts_;
  check_options options_;
  std::vector<std::size_t> chosen_;  // numbers in the history
  std::vector<bool> is_kept_;        // [chosen]
};

/// The promise that is broken is the one behind the allowance that would be needed.
void name_letter(finding& f, const part& p, allowances allows) {
  constexpr std::array<std::pair<allowance, letter>, 5> meanings = {{
      {allowance::half_confirm, letter::b2},
      {allowance::two_phase_delete, letter::d3},
      {allowance::miss_during_resize, letter::f2},
      {allowance::loser_returns_early, letter::d1},
      {allowance::chain_too_long, letter::c2},
  }};
  for (const auto& [allowance, letter] : meanings) {
    if (allows.has(allowance) || p.is_violated(allows.with(allowance))) continue;
    f.letter = letter;
    return;
  }
}

void work_out(judged_finding& f,
              std::span<const operation> history,
              const run_facts& facts,
              const check_options& options) {
  if (f.flows.empty()) return;
  part p(history, facts, options);
  p.choose(f);
  if (p.size() > core_from_max || !p.is_violated(options.allows)) return;
  name_letter(f.found, p, options.allows);
  p.shrink();
  if (const std::vector<std::size_t> kept = p.kept(); !kept.empty()) f.found.operations = kept;
}

}  // namespace

check_report check(std::span<const operation> history,
                   const run_facts& facts,
                   const check_options& options) {
  constexpr std::size_t worked_out_max = 20;
  judge j(facts, options);
  for (const operation& op : history) j.feed(op);
  check_report report = j.finish();
  std::vector<judged_finding> findings = j.findings();
  for (std::size_t i = 0; i < findings.size(); ++i) {
    if (i < worked_out_max) work_out(findings[i], history, facts, options);
    report.findings[i] = findings[i].found;
  }
  return report;
}

}  // namespace ct::check
