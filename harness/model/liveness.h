// SPDX-License-Identifier: BSD-2-Clause
/// Does what is awaited come, if nobody is put off for ever?
///
/// `from` leads to `to` unless a fair behaviour reaches a state where `from` holds and from there
/// on `to` never does: an infinite one, in which a state may repeat for ever if no fairness forbids
/// it. So in the graph of the states without `to`, reachable from one with `from`, a fair set is
/// looked for (fair_cycle.h), for each element of the property's set. Source: Lamport, Specifying
/// Systems, chapter 8.
#pragma once

#include "harness/model/behaviour.h"
#include "harness/model/fair_cycle.h"
#include "harness/model/promises.h"
#include "harness/model/state_graph.h"

#include <optional>
#include <stdexcept>
#include <vector>

namespace ct::model {

template <machine M>
class liveness {
 public:
  /// Throws stopped_by_limit, and std::invalid_argument for a machine with too many fairnesses.
  liveness(const M& m, const state_graph<M>& graph, memory_budget& budget, bool assumes_fair)
      : machine_(m), graph_(graph), masks_(graph.steps.all().size(), 0) {
    // What the search beside the graph takes: masks, components, two arrivals, marks.
    constexpr std::uint64_t bytes_per_state = 96;
    budget.take(graph.states.size() * bytes_per_state, "the search for fair cycles");
    fairness_mask weak = 0;
    fairness_mask strong = 0;
    std::size_t count = 0;
    for (const fairness<M>& f : std::span<const fairness<M>>(M::fairness_of())) {
      for (index_t i = 0; assumes_fair && i < m.size(f.over); ++i, ++count) {
        if (count == fairness_max) {
          throw std::invalid_argument("more than 64 fairnesses; take smaller sets in the .cfg");
        }
        (f.is_strong ? strong : weak) |= fairness_mask{1} << count;
        for (std::size_t s = 0; s < masks_.size(); ++s) {
          if (f.covers(m, graph.steps.all()[s], i)) masks_[s] |= fairness_mask{1} << count;
        }
      }
    }
    fair_.emplace(graph.rows, masks_, weak, strong);
  }

  /// A behaviour that breaks it, if there is one.
  std::optional<broken_promise> check(const leads_to<M>& property) const {
    for (index_t i = 0; i < machine_.size(property.over); ++i) {
      const std::optional<behaviour> shown = check(property, i);
      if (!shown) continue;
      const std::string element = machine_.element(property.over, i).text();
      return broken_promise{std::string(property.name),
                            std::string(property.letter),
                            std::string(property.says) + " (not so for " + element + ")",
                            *shown};
    }
    return std::nullopt;
  }

 private:
  std::optional<behaviour> check(const leads_to<M>& property, index_t element) const {
    const std::size_t count = graph_.states.size();
    std::vector<bool> begins(count, false);
    std::vector<bool> within(count, false);  // reached without `to` since `from`
    std::vector<state_number> open;
    const auto lacks = [&](state_number s) {
      return !property.to(machine_, graph_.states[s], element);
    };
    for (state_number s = 0; s < count; ++s) {
      if (!property.from(machine_, graph_.states[s], element) || !lacks(s)) continue;
      begins[s] = within[s] = true;
      open.push_back(s);
    }
    while (!open.empty()) {
      const state_number s = open.back();
      open.pop_back();
      for (const graph_edge& e : graph_.rows.of(s)) {
        if (within[e.to] || !lacks(e.to)) continue;
        within[e.to] = true;
        open.push_back(e.to);
      }
    }
    const auto fair_set = find_fair_set(*fair_, within);
    if (!fair_set) return std::nullopt;
    const graph_path way = path_into(graph_.rows, graph_.initial, begins, within, *fair_set);
    return shown(way, fair_cycle(*fair_, *fair_set, way.last()));
  }

  behaviour shown(const graph_path& way, const graph_path& cycle) const {
    behaviour lasso;
    append_state(machine_, lasso, graph_.states[way.first]);
    const auto append_edges = [&](const graph_path& path) {
      for (const graph_edge& e : path.edges) {
        append_step(machine_, lasso, graph_.steps.all()[e.step], graph_.states[e.to]);
      }
    };
    append_edges(way);
    lasso.loop = lasso.states.size() - 1;
    append_edges(cycle);
    return lasso;
  }

  const M& machine_;
  const state_graph<M>& graph_;
  std::vector<fairness_mask> masks_;
  std::optional<fair_graph> fair_;
};

}  // namespace ct::model
