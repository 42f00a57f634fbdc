// SPDX-License-Identifier: BSD-2-Clause
/// Refinement, for machines that are superposed on the contract: their states begin with one of the
/// contract's, `base`, and each of their steps leaves it alone or is one of the contract's.
///
/// With the contract's initial state that makes every behaviour of the machine, seen through
/// `base`, one of the contract. In TLA+: the property Spec of Conntrack, under the identity
/// mapping. Source: Abadi and Lamport, The Existence of Refinement Mappings, 1991.
#pragma once

#include "spec/model/conntrack.h"

#include <cstring>

namespace ct::model {

/// Equal states have equal bytes.
template <class State>
bool is_same_state(const State& a, const State& b) {
  static_assert(std::has_unique_object_representations_v<State>);
  return std::memcmp(&a, &b, sizeof(State)) == 0;
}

inline bool is_step_of_contract(const conntrack& contract,
                                const conntrack::state& before,
                                const conntrack::state& after) {
  if (is_same_state(before, after)) return true;
  bool is_met = false;
  for_each_step(contract, before, [&](const step&, const conntrack::state& next) {
    is_met = is_met || is_same_state(next, after);
  });
  return is_met;
}

namespace detail {
/// More than the contract has of either.
using promise_indices = std::make_index_sequence<16>;

template <class M, std::size_t I>
bool holds_in_contract(const M& m, const typename M::state& s) {
  return conntrack::invariants()[I].holds(m.contract(), s.base);
}

template <class M, std::size_t I>
bool holds_of_contract_step(const M& m,
                            const typename M::state& before,
                            const step& taken,
                            const typename M::state& after) {
  return conntrack::step_properties()[I].holds(m.contract(), before.base, taken, after.base);
}

template <class M>
bool refines_conntrack(const M& m,
                       const typename M::state& before,
                       const step&,
                       const typename M::state& after) {
  return is_step_of_contract(m.contract(), before.base, after.base);
}
}  // namespace detail

/// The contract's domain of the same name, of a machine that lists these first, in this order.
template <class Domain>
constexpr conntrack::domain domain_of_contract(Domain d) {
  static_assert(static_cast<int>(Domain::cpu) == static_cast<int>(conntrack::domain::cpu));
  static_assert(static_cast<int>(Domain::tick) == static_cast<int>(conntrack::domain::tick));
  return static_cast<conntrack::domain>(d);
}

/// The invariants of a machine M: the contract's, of `base`, and its own.
template <class M>
std::vector<invariant<M>> with_those_of_contract(std::span<const invariant<M>> own) {
  std::vector<invariant<M>> all;
  const auto inherited = conntrack::invariants();
  const auto add = [&]<std::size_t I>() {
    if (I >= inherited.size()) return;
    const auto& i = inherited[I];
    all.push_back({i.name, i.letter, i.says, detail::holds_in_contract<M, I>});
  };
  [&]<std::size_t... I>(std::index_sequence<I...>) { (add.template operator()<I>(), ...); }
  (detail::promise_indices{});
  all.insert(all.end(), own.begin(), own.end());
  return all;
}

/// Its step properties: the contract's, its own, and that it refines the contract.
template <class M>
std::vector<step_property<M>> with_those_of_contract(std::span<const step_property<M>> own) {
  std::vector<step_property<M>> all;
  const auto inherited = conntrack::step_properties();
  const auto add = [&]<std::size_t I>() {
    if (I >= inherited.size()) return;
    const auto& i = inherited[I];
    all.push_back({i.name, i.letter, i.says, detail::holds_of_contract_step<M, I>});
  };
  [&]<std::size_t... I>(std::index_sequence<I...>) { (add.template operator()<I>(), ...); }
  (detail::promise_indices{});
  all.insert(all.end(), own.begin(), own.end());
  all.push_back({"RefinesConntrack",
                 "",
                 "each step leaves the contract's state alone or is a step of the contract",
                 detail::refines_conntrack<M>});
  return all;
}

/// A TLA+ function over a set of the contract: its values from of(index).
template <class Of>
value function_over(const conntrack& contract, conntrack::domain d, Of&& of) {
  std::vector<std::pair<value, value>> pairs;
  for (index_t i = 0; i < contract.size(d); ++i) pairs.emplace_back(contract.element(d, i), of(i));
  return value::function(std::move(pairs));
}

}  // namespace ct::model
