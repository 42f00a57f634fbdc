// SPDX-License-Identifier: BSD-2-Clause
/// See harness/bench/cell.h.
#include "harness/bench/cell.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

namespace ct::bench {

filled_system& arena::filled(const impl& of) {
  return filled_.try_emplace(std::string(of.name), of, keys_, options_).first->second;
}

std::map<std::string, std::string> arena::broken_invariants() {
  std::map<std::string, std::string> out;
  for (auto& [name, system] : filled_) {
    if (std::string broken = system.broken_invariant(); !broken.empty()) {
      out.emplace(name, "at rest: " + broken);
    }
  }
  return out;
}

std::string cell_name::family() const {
  return fmt::format("{}/{}/connections:{}", benchmark, impl, connections);
}
std::string cell_name::text() const { return fmt::format("{}/threads:{}", family(), threads); }

cell::cell(cell_name name, const impl& of)
    : name_(std::move(name)),
      impl_(of),
      stores_nothing_(of.is_timing_only()),
      gate_(name_.threads),
      laps_(static_cast<std::size_t>(name_.threads)) {}

void cell::run(benchmark::State& state) {
  const bool leads = state.thread_index() == 0;
  if (leads) {
    error_.clear();
    ledger_ = {};
    system_ = begin();
  }
  gate_.arrive_and_wait();
  if (system_ == nullptr) {
    state.SkipWithError(error_.c_str());
    return;
  }
  {
    const std::unique_ptr<cpu> on = system_->attach();
    body(state, *on);
  }
  gate_.arrive_and_wait();
  if (!leads) return;
  {
    const std::unique_ptr<cpu> on = system_->attach();
    end(*on);
  }
  if (has_failed()) state.SkipWithError(error_.c_str());
}

void cell::fail(const std::string& what) {
  const std::lock_guard lock(mutex_);
  if (error_.empty()) error_ = what;
}

void cell::meet(cpu& on) {
  on.quiescent();
  gate_.arrive_and_wait();
}

double cell::lap_seconds() const {
  auto begin = laps_[0].begin;
  auto end = laps_[0].end;
  for (const lap_times& times : laps_) {
    begin = std::min(begin, times.begin);
    end = std::max(end, times.end);
  }
  return std::chrono::duration<double>(end - begin).count();
}

void cell::book(std::size_t created, std::size_t killed) {
  const std::lock_guard lock(mutex_);
  ledger_.created += created;
  ledger_.killed += killed;
}

void cell::judge_conservation(const ct_system& system, cpu& on, std::size_t before) {
  if (stores_nothing_) return;
  ledger_.before = before;
  if (const std::string broken = broken_conservation(system, on, ledger_); !broken.empty()) {
    fail(broken);
  }
}

void cell::judge_answers(const answer_sum& got, const answer_sum& expected, std::uint64_t asked) {
  if (stores_nothing_ || got == expected) return;
  if (got.found != expected.found) {
    fail(fmt::format("{} of {} lookups found an entry; {} must", got.found, asked, expected.found));
  } else {
    fail(fmt::format("among {} lookups some found another entry or another direction", asked));
  }
}

}  // namespace ct::bench
