// SPDX-License-Identifier: BSD-2-Clause
/// What a machine is: states, actions with guard and effect, and what must hold of them. The twin
/// of a TLA+ module of the same name (spec/tla), action by action.
///
/// A machine M is a class made from a configuration, and then constant:
///
///   - `M::state`: trivially copyable, every byte of it meaningful (no padding), equal states have
///     equal bytes: what is not in use is 0;
///   - `M::actions`: its actions, each a member function `bool name(state&, arguments...) const`:
///     false and an untouched state where the guard does not hold, else the effect is done;
///   - `M::invariants` (of states), `M::step_properties` (of steps), `M::leads_to` and
///     `M::fairness` (of behaviours): what is promised;
///   - `initial()`, the sizes and the names of the sets that actions range over, `show(state)`.
///
/// Everything is pure: a step depends on the state and its arguments alone.
#pragma once

#include "spec/model/configuration.h"
#include "spec/model/value.h"

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace ct::model {

/// An argument is an index into the set that its parameter ranges over.
using index_t = std::uint32_t;
inline constexpr std::size_t arguments_max = 3;
using arguments = std::array<index_t, arguments_max>;

struct step {
  std::uint16_t action = 0;  ///< index into M::actions
  model::arguments arguments{};
};

/// Who sees an action.
enum class visibility : std::uint8_t {
  observed,  ///< a caller's call or its answer
  internal,  ///< τ: nobody sees it but by what follows
};

/// The sets that an action's arguments are from, in their order.
template <class Domain>
struct parameters {
  std::array<Domain, arguments_max> set{};
  std::size_t count = 0;

  constexpr parameters() = default;
  template <std::same_as<Domain>... More>
  constexpr parameters(Domain first, More... more)
      : set{first, more...}, count(1 + sizeof...(more)) {}
};

template <class M>
struct action {
  std::string_view name;  ///< as in the TLA+ module
  model::parameters<typename M::domain> over;
  visibility seen_as = visibility::observed;
  bool (*apply)(const M&, typename M::state&, const arguments&) = nullptr;
  /// The first argument's CPU alone notices: it commutes with every step of others, cannot be
  /// disabled by one, and changes nothing that an invariant speaks of. A claim; a test checks it.
  bool is_local = false;
};

template <class M>
struct invariant {
  std::string_view name;
  std::string_view letter;  ///< of the contract: "A.2"; empty: of the machine itself
  std::string_view says;
  bool (*holds)(const M&, const typename M::state&);
};

template <class M>
struct step_property {
  std::string_view name;
  std::string_view letter;
  std::string_view says;
  bool (*holds)(const M&, const typename M::state& before, const step&, const typename M::state&);
};

/// For every element of `over`: whenever `from` holds, `to` holds then or later.
template <class M>
struct leads_to {
  std::string_view name;
  std::string_view letter;
  std::string_view says;
  typename M::domain over;
  bool (*from)(const M&, const typename M::state&, index_t);
  bool (*to)(const M&, const typename M::state&, index_t);
};

/// For every element of `over`: the steps that `covers` names, together one action, are not put
/// off for ever: weakly if from some time on always enabled, strongly if enabled again and again.
/// As in TLA+ a step that changes nothing is none of them.
template <class M>
struct fairness {
  std::string_view name;
  bool is_strong = false;
  typename M::domain over;
  bool (*covers)(const M&, const step&, index_t);
};

/// Wraps a member function `bool name(state&, index_t...) const` as action<M>::apply.
template <auto Function, class Type = decltype(Function)>
struct calls;
template <auto Function, class M, class State, class... Arguments>
struct calls<Function, bool (M::*)(State&, Arguments...) const> {
  static_assert(sizeof...(Arguments) <= arguments_max);
  static bool apply(const M& machine, State& s, const arguments& a) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return (machine.*Function)(s, Arguments{a[I]}...);
    }
    (std::index_sequence_for<Arguments...>{});
  }
};

/// Wraps a member function `bool name(const state&) const` as invariant<M>::holds.
template <auto Function, class Type = decltype(Function)>
struct holds;
template <auto Function, class M, class State>
struct holds<Function, bool (M::*)(State&) const> {
  static bool in(const M& machine, State& s) { return (machine.*Function)(s); }
};

template <class M>
concept machine = std::constructible_from<M, const configuration&> &&
    std::is_trivially_copyable_v<typename M::state> &&
    std::has_unique_object_representations_v<typename M::state> &&
    std::is_enum_v<typename M::domain> && requires(const M& m,
                                                   const typename M::state& s,
                                                   typename M::domain d,
                                                   index_t i,
                                                   std::span<const std::vector<index_t>> renaming) {
  { M::name } -> std::convertible_to<std::string_view>;
  { M::actions() } -> std::convertible_to<std::span<const action<M>>>;
  { M::invariants() } -> std::convertible_to<std::span<const invariant<M>>>;
  { M::step_properties() } -> std::convertible_to<std::span<const step_property<M>>>;
  { M::leads_to_properties() } -> std::convertible_to<std::span<const leads_to<M>>>;
  { M::fairness_of() } -> std::convertible_to<std::span<const fairness<M>>>;
  { m.initial() } -> std::convertible_to<std::vector<typename M::state>>;
  /// How many elements the set has, and what they are called.
  { m.size(d) } -> std::convertible_to<index_t>;
  { m.element(d, i) } -> std::convertible_to<value>;
  { m.show(s) } -> std::convertible_to<std::vector<variable>>;
  /// The sets whose elements are alike; `renamed` renames in each, renaming[set][old] = new.
  { M::symmetric() } -> std::convertible_to<std::span<const typename M::domain>>;
  { m.renamed(s, renaming) } -> std::same_as<typename M::state>;
};

/// Calls `visit(step, state after it)` for every step that is possible in `s`, in the order of
/// actions and arguments.
template <class M, class Visit>
void for_each_step(const M& m, const typename M::state& s, Visit&& visit) {
  typename M::state next = s;
  const std::span<const action<M>> all = M::actions();
  for (std::size_t a = 0; a < all.size(); ++a) {
    step taken{static_cast<std::uint16_t>(a), {}};
    std::array<index_t, arguments_max> sizes{1, 1, 1};
    for (std::size_t i = 0; i < all[a].over.count; ++i) sizes[i] = m.size(all[a].over.set[i]);
    index_t& x = taken.arguments[0];
    index_t& y = taken.arguments[1];
    index_t& z = taken.arguments[2];
    for (x = 0; x < sizes[0]; ++x) {
      for (y = 0; y < sizes[1]; ++y) {
        for (z = 0; z < sizes[2]; ++z) {
          if (!all[a].apply(m, next, taken.arguments)) continue;
          visit(taken, next);
          next = s;
        }
      }
    }
  }
}

}  // namespace ct::model
