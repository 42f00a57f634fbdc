// SPDX-License-Identifier: BSD-2-Clause
/// Is there an infinite path that is fair and stays in some states for ever? Knows nothing of
/// machines.
///
/// Each state may also be repeated for ever (stuttering). The states that a path visits again and
/// again are strongly connected; a set of states that is can be gone through by all its edges. Such
/// a set is fair if for each fairness
///
///   - weak: one of its edges is a step of it, or it is not enabled in one of its states;
///   - strong: one of its edges is a step of it, or it is enabled in none of its states.
///
/// In a component that is unfair by weak fairness alone no smaller set is fair; if by a strong one,
/// only sets without the states where that is enabled can be: these are searched in turn. Source:
/// Emerson and Lei, "Modalities for model checking", 1987 (fairness); Tarjan, "Depth-first search
/// and linear graph algorithms", 1972 (components).
#pragma once

#include "harness/model/state_graph.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace ct::model {

/// Fairness by number, at most 64 of them: bit f of a mask.
using fairness_mask = std::uint64_t;
inline constexpr std::size_t fairness_max = 64;

struct fair_graph {
  const edge_rows& rows;
  std::span<const fairness_mask> steps;  ///< of each step number: what it is a step of
  fairness_mask weak = 0;
  fairness_mask strong = 0;
  /// Of each state: what is enabled in it. A step that leads back to its state is none.
  std::vector<fairness_mask> enabled;

  fair_graph(const edge_rows& of,
             std::span<const fairness_mask> step_masks,
             fairness_mask weak_ones,
             fairness_mask strong_ones);
};

/// A fair set of states, or nothing; `within` says in which states the path must stay.
std::optional<std::vector<state_number>> find_fair_set(const fair_graph& graph,
                                                       const std::vector<bool>& within);

/// A way through the graph: the first state, then edges.
struct graph_path {
  state_number first = 0;
  std::vector<graph_edge> edges;

  state_number last() const { return edges.empty() ? first : edges.back().to; }
};

/// A cycle through a fair set from `begin`, that is fair itself; without edges: stuttering.
graph_path fair_cycle(const fair_graph& graph,
                      const std::vector<state_number>& fair_set,
                      state_number begin);

/// A shortest way from one of the first `initial` states to one where `begins` holds and from there
/// on within `within` to one of `goal`. There must be one.
graph_path path_into(const edge_rows& rows,
                     std::size_t initial,
                     const std::vector<bool>& begins,
                     const std::vector<bool>& within,
                     const std::vector<state_number>& goal);

}  // namespace ct::model
