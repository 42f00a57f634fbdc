// SPDX-License-Identifier: BSD-2-Clause
/// A number for a whole graph, the same in whatever order it is found and by whom: by this checker,
/// or by a script that reads what TLC writes with `-dump dot,actionlabels`.
///
/// In python, with B(x) = hashlib.blake2b(x, digest_size=16).digest():
///
///   text(s)     = "".join(f"/\\ {name} = {value}\n" for name, value in sorted(variables))
///                 values as value::text() writes them
///   states_hash = sum of int.from_bytes(B(text(s)), "big") over the states s
///   edges_hash  = sum of int.from_bytes(B(B(text(s)) + action + B(text(t))), "big")
///                 over the set of (s, action's name, t): a step is one edge, whatever its
///                 arguments; one that changes nothing is an edge too
///
/// both modulo 2^128, as "%032x".
#pragma once

#include "harness/model/blake2b.h"
#include "harness/model/report.h"
#include "harness/model/state_graph.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ct::model {

/// A sum modulo 2^128.
class digest_sum {
 public:
  void add(const std::array<std::uint8_t, 16>& big_endian);
  std::string text() const;

 private:
  std::uint64_t high_ = 0;
  std::uint64_t low_ = 0;
};

std::string state_text(std::vector<variable> variables);

std::array<std::uint8_t, 16> edge_hash(const std::array<std::uint8_t, 16>& from,
                                       std::string_view action_name,
                                       const std::array<std::uint8_t, 16>& to);

/// Throws stopped_by_limit.
template <machine M>
graph_digest digest_of(const M& m, const state_graph<M>& graph, memory_budget& budget) {
  const std::span<const action<M>> actions = M::actions();
  budget.take(graph.states.size() * 16, "the hashes of the states");
  std::vector<std::array<std::uint8_t, 16>> hashes;
  hashes.reserve(graph.states.size());
  digest_sum states;
  for (const typename M::state& s : graph.states) {
    hashes.push_back(blake2b_128(state_text(m.show(s))));
    states.add(hashes.back());
  }
  digest_sum edges;
  graph_digest digest;
  std::vector<std::pair<std::string_view, state_number>> leaving;
  for (state_number from = 0; from < graph.states.size(); ++from) {
    leaving.clear();
    for (const graph_edge& e : graph.rows.of(from)) {
      leaving.emplace_back(actions[graph.steps.all()[e.step].action].name, e.to);
    }
    std::ranges::sort(leaving);
    leaving.erase(std::unique(leaving.begin(), leaving.end()), leaving.end());
    digest.edges += leaving.size();
    for (const auto& [name, to] : leaving) edges.add(edge_hash(hashes[from], name, hashes[to]));
  }
  budget.give_back(graph.states.size() * 16);
  digest.edges_hash = edges.text();
  digest.states_hash = states.text();
  return digest;
}

}  // namespace ct::model
