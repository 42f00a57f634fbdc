// SPDX-License-Identifier: BSD-2-Clause
/// Components by Tarjan without recursion, and shortest ways by breadth first search.
#include "harness/model/fair_cycle.h"

#include <algorithm>
#include <deque>

namespace ct::model {
namespace {

constexpr state_number none = ~state_number{0};

/// The strongly connected components of those states that are in one part.
class component_search {
 public:
  explicit component_search(const edge_rows& rows)
      : rows_(rows), part_(rows.size(), 0), index_(rows.size(), 0), low_(rows.size(), 0) {}

  /// Calls `visit(component)` for each, until it returns false.
  template <class Visit>
  bool run(const std::vector<state_number>& part, Visit&& visit) {
    ++part_count_;
    next_index_ = 1;
    for (const state_number s : part) {
      part_[s] = part_count_;
      index_[s] = 0;
    }
    for (const state_number s : part) {
      if (index_[s] == 0 && !run_from(s, visit)) return false;
    }
    return true;
  }

 private:
  struct frame {
    state_number state;
    std::size_t edge;
  };

  void open(state_number s) {
    index_[s] = low_[s] = next_index_++;
    stack_.push_back(s);
    frames_.push_back({s, 0});
  }

  template <class Visit>
  bool run_from(state_number root, Visit&& visit) {
    open(root);
    while (!frames_.empty()) {
      frame& top = frames_.back();
      const auto edges = rows_.of(top.state);
      if (top.edge < edges.size()) {
        const state_number to = edges[top.edge++].to;
        if (part_[to] != part_count_) continue;
        if (index_[to] == 0) {
          open(to);
        } else if (index_[to] != done) {
          low_[top.state] = std::min(low_[top.state], index_[to]);
        }
        continue;
      }
      const state_number s = top.state;
      frames_.pop_back();
      if (!frames_.empty()) {
        state_number& above = low_[frames_.back().state];
        above = std::min(above, low_[s]);
      }
      if (low_[s] == index_[s] && !visit(close(s))) return false;
    }
    return true;
  }

  std::vector<state_number> close(state_number root) {
    const auto begin = std::ranges::find(stack_.rbegin(), stack_.rend(), root).base() - 1;
    std::vector<state_number> component(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    for (const state_number s : component) index_[s] = done;
    return component;
  }

  static constexpr state_number done = none;  ///< as an index: in a component that is closed

  const edge_rows& rows_;
  std::vector<std::uint32_t> part_;
  std::vector<state_number> index_;  ///< from 1; 0: not seen
  std::vector<state_number> low_;
  std::uint32_t part_count_ = 0;
  state_number next_index_ = 1;
  std::vector<state_number> stack_;
  std::vector<frame> frames_;
};

/// What the edges inside a set are steps of.
fairness_mask taken_inside(const fair_graph& graph,
                           const std::vector<state_number>& set,
                           const std::vector<bool>& is_in) {
  fairness_mask taken = 0;
  for (const state_number s : set) {
    for (const graph_edge& e : graph.rows.of(s)) {
      if (e.to != s && is_in[e.to]) taken |= graph.steps[e.step];
    }
  }
  return taken;
}

/// Shortest way inside `within` from `begin` along an edge or to a state that `is_goal` accepts
/// (the edge is nullptr for `begin` itself).
template <class IsGoal>
std::optional<std::vector<graph_edge>> shortest(const edge_rows& rows,
                                                const std::vector<bool>& within,
                                                state_number begin,
                                                IsGoal&& is_goal) {
  const graph_edge* const no_edge = nullptr;
  if (is_goal(begin, no_edge)) return std::vector<graph_edge>{};
  struct arrival {
    state_number from;
    graph_edge edge;
  };
  std::vector<arrival> arrivals;  // in the order of the search
  std::vector<std::size_t> arrived(rows.size(), 0);
  std::deque<state_number> queue = {begin};
  const auto way = [&](std::size_t last) {
    std::vector<graph_edge> edges;
    for (std::size_t at = last;; at = arrived[arrivals[at].from] - 1) {
      edges.push_back(arrivals[at].edge);
      if (arrivals[at].from == begin) break;
    }
    std::ranges::reverse(edges);
    return edges;
  };
  while (!queue.empty()) {
    const state_number from = queue.front();
    queue.pop_front();
    for (const graph_edge& e : rows.of(from)) {
      if (!within[e.to] || e.to == from) continue;
      const bool reaches = is_goal(from, &e);
      if (!reaches && (arrived[e.to] != 0 || e.to == begin)) continue;
      arrivals.push_back({from, e});
      if (reaches) return way(arrivals.size() - 1);
      arrived[e.to] = arrivals.size();
      queue.push_back(e.to);
    }
  }
  return std::nullopt;
}

}  // namespace

fair_graph::fair_graph(const edge_rows& of,
                       std::span<const fairness_mask> step_masks,
                       fairness_mask weak_ones,
                       fairness_mask strong_ones)
    : rows(of), steps(step_masks), weak(weak_ones), strong(strong_ones), enabled(of.size(), 0) {
  for (state_number s = 0; s < rows.size(); ++s) {
    for (const graph_edge& e : rows.of(s)) {
      if (e.to != s) enabled[s] |= steps[e.step];
    }
  }
}

std::optional<std::vector<state_number>> find_fair_set(const fair_graph& graph,
                                                       const std::vector<bool>& within) {
  component_search search(graph.rows);
  std::vector<std::vector<state_number>> parts(1);
  for (state_number s = 0; s < graph.rows.size(); ++s) {
    if (within[s]) parts[0].push_back(s);
  }
  std::vector<bool> is_in(graph.rows.size(), false);
  std::optional<std::vector<state_number>> found;
  while (!parts.empty() && !found) {
    const std::vector<state_number> part = std::move(parts.back());
    parts.pop_back();
    search.run(part, [&](const std::vector<state_number>& component) {
      fairness_mask always = ~fairness_mask{0};
      fairness_mask ever = 0;
      for (const state_number s : component) {
        is_in[s] = true;
        always &= graph.enabled[s];
        ever |= graph.enabled[s];
      }
      const fairness_mask taken = taken_inside(graph, component, is_in);
      for (const state_number s : component) is_in[s] = false;
      if ((graph.weak & always & ~taken) != 0) return true;
      const fairness_mask unfair = graph.strong & ever & ~taken;
      if (unfair == 0) {
        found = component;
        return false;
      }
      std::vector<state_number> rest;
      for (const state_number s : component) {
        if ((graph.enabled[s] & unfair) == 0) rest.push_back(s);
      }
      if (!rest.empty()) parts.push_back(std::move(rest));
      return true;
    });
  }
  return found;
}

graph_path fair_cycle(const fair_graph& graph,
                      const std::vector<state_number>& fair_set,
                      state_number begin) {
  graph_path cycle{begin, {}};
  if ((graph.enabled[begin] & (graph.weak | graph.strong)) == 0) return cycle;  // it may stay so
  std::vector<bool> is_in(graph.rows.size(), false);
  for (const state_number s : fair_set) is_in[s] = true;
  const fairness_mask taken = taken_inside(graph, fair_set, is_in);
  // What is still to be done: a step of it, or for a weak one a state where it is not enabled.
  fairness_mask wanted = (graph.strong & taken) | (graph.weak & graph.enabled[begin]);
  const auto serves = [&](state_number from, const graph_edge* e) {
    if (e == nullptr) return wanted & graph.weak & ~graph.enabled[from];
    return wanted & (graph.steps[e->step] | (graph.weak & ~graph.enabled[e->to]));
  };
  while (wanted != 0) {
    const auto way =
        shortest(graph.rows, is_in, cycle.last(), [&](state_number s, const graph_edge* e) {
          return serves(s, e) != 0;
        });
    if (!way) break;  // cannot be: the set is fair and connected
    state_number from = cycle.last();
    for (const graph_edge& e : *way) {
      wanted &= ~serves(from, &e);
      cycle.edges.push_back(e);
      from = e.to;
    }
  }
  const auto home =
      shortest(graph.rows, is_in, cycle.last(), [&](state_number s, const graph_edge* e) {
        return e == nullptr ? s == begin : e->to == begin;
      });
  if (home) cycle.edges.insert(cycle.edges.end(), home->begin(), home->end());
  return cycle;
}

graph_path path_into(const edge_rows& rows,
                     std::size_t initial,
                     const std::vector<bool>& begins,
                     const std::vector<bool>& within,
                     const std::vector<state_number>& goal) {
  // Twice each state: on the way (0), and after a state where `begins` holds (1); who leaves
  // `within` is on the way again.
  struct arrival {
    std::size_t from = ~std::size_t{0};
    graph_edge edge{};
    bool is_reached = false;
  };
  std::vector<bool> is_goal(rows.size(), false);
  for (const state_number s : goal) is_goal[s] = true;
  std::vector<arrival> arrivals(2 * rows.size());
  std::deque<std::size_t> queue;
  const auto reach = [&](state_number s, bool was_begun, const arrival& how) {
    const bool is_begun = within[s] && (was_begun || begins[s]);
    const std::size_t node = 2 * std::size_t{s} + (is_begun ? 1 : 0);
    if (arrivals[node].is_reached) return;
    arrivals[node] = how;
    arrivals[node].is_reached = true;
    queue.push_back(node);
  };
  for (state_number s = 0; s < initial; ++s) reach(s, false, {});
  while (!queue.empty()) {
    const std::size_t node = queue.front();
    queue.pop_front();
    const auto s = static_cast<state_number>(node / 2);
    const bool is_begun = node % 2 != 0;
    if (is_begun && is_goal[s]) {
      graph_path path;
      std::size_t at = node;
      for (; arrivals[at].from != ~std::size_t{0}; at = arrivals[at].from) {
        path.edges.push_back(arrivals[at].edge);
      }
      path.first = static_cast<state_number>(at / 2);
      std::ranges::reverse(path.edges);
      return path;
    }
    for (const graph_edge& e : rows.of(s)) reach(e.to, is_begun, {node, e, true});
  }
  return {};
}

}  // namespace ct::model
