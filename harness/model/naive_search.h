// SPDX-License-Identifier: BSD-2-Clause
/// What the checker must find, found without any of its means: sets of whole states, one at a time.
/// For tests.
#pragma once

#include "spec/model/machine.h"

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace ct::model {

template <machine M>
struct naive_graph {
  using state = typename M::state;

  struct edge {
    std::size_t from;
    step taken;
    std::size_t to;
  };

  std::vector<state> states;
  std::vector<std::uint64_t> level;  ///< of each state; the first is 1
  std::vector<edge> edges;
  std::uint64_t generated = 0;
  std::uint64_t depth = 0;

  explicit naive_graph(const M& m) {
    std::map<std::string, std::size_t> known;
    const auto enter = [&](const state& s, std::uint64_t its_level) {
      ++generated;
      const std::string bytes(reinterpret_cast<const char*>(&s), sizeof s);
      const auto [at, is_new] = known.emplace(bytes, states.size());
      if (is_new) {
        states.push_back(s);
        level.push_back(its_level);
        depth = std::max(depth, its_level);
      }
      return at->second;
    };
    for (const state& s : m.initial()) enter(s, 1);
    const std::span<const action<M>> actions = M::actions();
    for (std::size_t from = 0; from < states.size(); ++from) {
      for (std::size_t a = 0; a < actions.size(); ++a) {
        for (const arguments& some : all_arguments(m, actions[a])) {
          state s = states[from];
          if (!actions[a].apply(m, s, some)) continue;
          const std::size_t to = enter(s, level[from] + 1);
          edges.push_back({from, {static_cast<std::uint16_t>(a), some}, to});
        }
      }
    }
  }

  static std::vector<arguments> all_arguments(const M& m, const action<M>& a) {
    std::vector<arguments> all = {{}};
    for (std::size_t i = 0; i < a.over.count; ++i) {
      std::vector<arguments> longer;
      for (arguments one : all) {
        for (one[i] = 0; one[i] < m.size(a.over.set[i]); ++one[i]) longer.push_back(one);
      }
      all = longer;
    }
    return all;
  }

  /// The number of states of a shortest behaviour that ends where `is_bad` is true; 0: none.
  template <class IsBad>
  std::uint64_t shortest_to_state(IsBad&& is_bad) const {
    std::uint64_t least = 0;
    for (std::size_t i = 0; i < states.size(); ++i) {
      if (is_bad(i) && (least == 0 || level[i] < least)) least = level[i];
    }
    return least;
  }

  template <class IsBad>
  std::uint64_t shortest_to_edge(IsBad&& is_bad) const {
    std::uint64_t least = 0;
    for (const edge& e : edges) {
      if (is_bad(e) && (least == 0 || level[e.from] + 1 < least)) least = level[e.from] + 1;
    }
    return least;
  }

  bool is_stuck(std::size_t i) const {
    for (const edge& e : edges) {
      if (e.from == i) return false;
    }
    return true;
  }
};

}  // namespace ct::model
