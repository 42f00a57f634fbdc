// SPDX-License-Identifier: BSD-2-Clause
/// The whole graph of a machine, states and steps stored: for what a search cannot see, because it
/// speaks of behaviours (liveness.h), of all edges (graph_digest.h) or of pairs of steps
/// (local_claims.h).
///
/// States are numbered in the order in which a breadth first search finds them, initial states
/// first. Edges are stored by the state they leave (compressed rows), with the number of the step.
#pragma once

#include "harness/model/fingerprint.h"
#include "harness/model/memory_budget.h"
#include "harness/model/report.h"
#include "spec/model/machine.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <optional>
#include <span>
#include <vector>

namespace ct::model {

using state_number = std::uint32_t;

struct graph_edge {
  state_number to;
  std::uint32_t step;
};

/// Edges by the state they leave: those of s are edges[first[s]] to edges[first[s + 1] - 1].
struct edge_rows {
  std::vector<std::uint64_t> first = {0};
  std::vector<graph_edge> edges;

  std::size_t size() const { return first.size() - 1; }
  std::span<const graph_edge> of(state_number s) const {
    return std::span(edges).subspan(first[s], first[s + 1] - first[s]);
  }
};

/// Every step that a machine could ever take has a number.
template <machine M>
class step_numbers {
 public:
  explicit step_numbers(const M& m) {
    for (const action<M>& a : std::span<const action<M>>(M::actions())) {
      std::array<index_t, arguments_max> sizes{1, 1, 1};
      for (std::size_t i = 0; i < a.over.count; ++i) sizes[i] = m.size(a.over.set[i]);
      sizes_.push_back(sizes);
      base_.push_back(static_cast<std::uint32_t>(all_.size()));
      step s{static_cast<std::uint16_t>(base_.size() - 1), {}};
      for (s.arguments[0] = 0; s.arguments[0] < sizes[0]; ++s.arguments[0]) {
        for (s.arguments[1] = 0; s.arguments[1] < sizes[1]; ++s.arguments[1]) {
          for (s.arguments[2] = 0; s.arguments[2] < sizes[2]; ++s.arguments[2]) all_.push_back(s);
        }
      }
    }
  }

  std::uint32_t number_of(const step& s) const {
    const auto& sizes = sizes_[s.action];
    return base_[s.action] + (s.arguments[0] * sizes[1] + s.arguments[1]) * sizes[2] +
           s.arguments[2];
  }
  std::span<const step> all() const { return all_; }

 private:
  std::vector<std::array<index_t, arguments_max>> sizes_;
  std::vector<std::uint32_t> base_;
  std::vector<step> all_;
};

template <machine M>
class state_graph {
 public:
  using state = typename M::state;

  /// Throws stopped_by_limit.
  state_graph(const M& m,
              memory_budget& budget,
              const check_options& options,
              const check_hooks& hooks)
      : steps(m), budget_(budget) {
    for (const state& s : m.initial()) number_of(s);
    initial = states.size();
    for (state_number from = 0; from < states.size(); ++from) {
      expect_may_go_on(options, hooks);
      const state before = states[from];
      for_each_step(m, before, [&](const step& taken, const state& after) {
        append(budget_, "the edges", rows.edges, {number_of(after), steps.number_of(taken)});
      });
      append(budget_, "the edges", rows.first, std::uint64_t{rows.edges.size()});
    }
    budget_.give_back(slots_.capacity() * sizeof(state_number));
    slots_ = {};
  }

  const step_numbers<M> steps;
  std::vector<state> states;
  std::size_t initial = 0;
  edge_rows rows;

 private:
  void expect_may_go_on(const check_options& options, const check_hooks& hooks) const {
    constexpr std::size_t every = 4096;
    if (rows.size() % every != 0) return;
    if (hooks.should_stop && hooks.should_stop()) throw stopped_by_limit("it was interrupted");
    if (options.states_max != 0 && states.size() > options.states_max) {
      throw stopped_by_limit(
          fmt::format("the limit is {} states; raise --states or take a smaller configuration",
                      options.states_max));
    }
    if (hooks.progress) hooks.progress("storing the graph", {.distinct = states.size()});
  }

  /// Finds or adds it: open addressing over the numbers, at most half full.
  state_number number_of(const state& s) {
    if (states.size() * 2 >= slots_.size()) grow();
    state_number& slot = find(s);
    if (slot == 0) {
      append(budget_, "the states", states, s);
      slot = static_cast<state_number>(states.size());
    }
    return slot - 1;
  }

  /// Holds the number of the state plus one; 0: none.
  state_number& find(const state& s) {
    std::size_t at = fingerprint_of(s).low & (slots_.size() - 1);
    while (slots_[at] != 0 && std::memcmp(&states[slots_[at] - 1], &s, sizeof s) != 0) {
      at = (at + 1) & (slots_.size() - 1);
    }
    return slots_[at];
  }

  void grow() {
    constexpr std::size_t least = 1024;
    const std::size_t size = std::max(least, slots_.size() * 2);
    budget_.take(size * sizeof(state_number), "the index of the states");
    budget_.give_back(slots_.size() * sizeof(state_number));
    slots_.assign(size, 0);
    for (std::size_t i = 0; i < states.size(); ++i) {
      find(states[i]) = static_cast<state_number>(i + 1);
    }
  }

  memory_budget& budget_;
  std::vector<state_number> slots_;
};

}  // namespace ct::model
