// SPDX-License-Identifier: BSD-2-Clause
/// The contract machine following a recorded run (spec/trace.h), step by step.
///
/// A step that the machine cannot take leaves it where it is; `shown` then says where that is.
#pragma once

#include "spec/model/conntrack.h"
#include "spec/model/run_limits.h"
#include "spec/trace.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace ct::model {

class conntrack_run {
 public:
  using machine = long_conntrack;

  /// Throws std::invalid_argument, one line, for limits that are the machine's no more.
  explicit conntrack_run(const run_limits& limits)
      : machine_(configuration_of(limits)), state_(std::make_unique<machine::state>()) {
    for (const action<machine>& a : machine::actions()) {
      const auto* const of_trace = std::find_if(ct::detail::signatures.begin(),
                                                ct::detail::signatures.end(),
                                                [&](const auto& s) { return s.name == a.name; });
      if (of_trace == ct::detail::signatures.end()) continue;
      actions_[static_cast<std::size_t>(of_trace - ct::detail::signatures.begin())] = &a;
    }
    if (std::find(actions_.begin(), actions_.end(), nullptr) != actions_.end()) {
      throw std::invalid_argument("the machine lacks an action that traces have (spec/trace.h)");
    }
  }

  /// False: it is no step of the machine here. Requires: its numbers are within the limits.
  bool take(const trace_step& step) {
    return action_of(step).apply(machine_, *state_, arguments_of(step));
  }
  /// FindGet(p1, e3)
  std::string called(const trace_step& step) const {
    const action<machine>& a = action_of(step);
    std::string text(a.name);
    for (std::size_t i = 0; i < a.over.count; ++i) {
      text += i == 0 ? "(" : ", ";
      text += machine_.element(a.over.set[i], argument(a.over.set[i], step)).text();
    }
    return a.over.count == 0 ? text : text + ")";
  }
  /// What the machine has of the CPU and of the entry that a step is about, a line each.
  std::string shown(const trace_step& step) const {
    std::uint32_t entry = step.entry;
    std::string text;
    if (step.cpu != 0) {
      text = shown(domain::cpu, step.cpu - 1);
      if (entry == 0) entry = state_->cpu[step.cpu - 1].at;
    }
    if (entry != 0) text += shown(domain::entry, entry - 1);
    return text;
  }
  /// An invariant that does not hold; nullptr: all do. Cost: O(entries^2).
  const invariant<machine>* broken() const {
    for (const invariant<machine>& one : machine::invariants()) {
      if (!one.holds(machine_, *state_)) return &one;
    }
    return nullptr;
  }

 private:
  using domain = machine::domain;

  const action<machine>& action_of(const trace_step& step) const {
    return *actions_[static_cast<std::size_t>(step.action)];
  }
  index_t argument(domain d, const trace_step& step) const {
    switch (d) {
      case domain::cpu:
      case domain::carrier:
        return step.cpu - 1;
      case domain::entry:
        return step.entry - 1;
      case domain::netns:
        return step.key.netns - 1;
      case domain::tuple:
        return step.key.flow - 1;
      case domain::key:
        return 2 * ((step.key.netns - 1) * machine_.tuples() + step.key.flow - 1) +
               (step.key.is_reply ? 1U : 0U);
      case domain::boolean:
        return step.flag ? 1 : 0;
      case domain::timeout:
      case domain::tick:
        break;
    }
    return step.number;
  }
  arguments arguments_of(const trace_step& step) const {
    const auto& over = action_of(step).over;
    arguments all{};
    for (std::size_t i = 0; i < over.count; ++i) all[i] = argument(over.set[i], step);
    return all;
  }
  std::string shown(domain d, index_t i) const;

  machine machine_;
  std::array<const action<machine>*, ct::detail::signatures.size()> actions_{};  // [trace_action]
  std::unique_ptr<machine::state> state_;
};

/// The variables of one CPU or entry.
inline std::string conntrack_run::shown(domain d, index_t i) const {
  const std::string name = machine_.element(d, i).text();
  std::string line = "  " + name + ":";
  for (const variable& v : machine_.show(*state_)) {
    if (v.value.type() != value::kind::function) continue;
    const std::vector<value>& parts = v.value.parts();
    for (std::size_t at = 0; at + 1 < parts.size(); at += 2) {
      if (parts[at].text() != name) continue;
      line += ' ';
      line += v.name;
      line += " = " + parts[at + 1].text();
    }
  }
  return line + '\n';
}

}  // namespace ct::model
