// SPDX-License-Identifier: BSD-2-Clause
/// Machines for the tests of the checker: their graphs are known in closed form or drawn from a
/// seed.
#pragma once

#include "spec/model/machine.h"

#include <random>

namespace ct::model {

/// `Counter = value`, `Set = {a, b}` ... as a configuration.
inline configuration toy_configuration(std::map<std::string, constant, std::less<>> constants,
                                       std::vector<std::string> invariants = {},
                                       std::vector<std::string> properties = {}) {
  configuration made;
  made.module = "Toy";
  made.name = "toy";
  made.constants = std::move(constants);
  made.invariants = std::move(invariants);
  made.properties = std::move(properties);
  return made;
}

inline constant number_constant(std::uint64_t n) { return {false, {std::to_string(n)}}; }

/// What a machine that promises nothing has.
template <class M>
struct promises_nothing {
  static std::span<const invariant<M>> invariants() { return {}; }
  static std::span<const step_property<M>> step_properties() { return {}; }
  static std::span<const leads_to<M>> leads_to_properties() { return {}; }
  static std::span<const fairness<M>> fairness_of() { return {}; }
};

/// `Counters` independent counters modulo `Modulus` in a state of 64 bytes: Modulus ^ Counters
/// states, of which each has a step for each counter; the farthest is Counters * (Modulus - 1)
/// steps away.
class counters_machine : public promises_nothing<counters_machine> {
 public:
  static constexpr std::string_view name = "Counters";
  enum class domain : std::uint8_t { counters };
  struct state {
    std::array<std::uint8_t, 64> count{};
  };

  explicit counters_machine(const configuration& c)
      : counters_(c.number("Counters", 64)), modulus_(c.number("Modulus", 255)) {}

  std::vector<state> initial() const { return {state{}}; }
  bool bump(state& s, index_t i) const {
    s.count[i] = static_cast<std::uint8_t>((s.count[i] + 1U) % modulus_);
    return true;
  }

  static std::span<const action<counters_machine>> actions() {
    static constexpr std::array<action<counters_machine>, 1> all = {
        {{"Bump",
          {domain::counters},
          visibility::observed,
          calls<&counters_machine::bump>::apply}}};
    return all;
  }
  static std::span<const invariant<counters_machine>> invariants() {
    static constexpr std::array<invariant<counters_machine>, 2> all = {
        {{"NeverFull",
          "",
          "some counter is not at its last value",
          [](const counters_machine& m, const state& s) { return m.sum(s) < m.sum_max(); }},
         {"NotTwoThree",
          "X.1",
          "no counter is 2 when the next is 3",
          [](const counters_machine& m, const state& s) {
            for (index_t i = 0; i + 1 < m.counters_; ++i) {
              if (s.count[i] == 2 && s.count[i + 1] == 3) return false;
            }
            return true;
          }}}};
    return all;
  }

  index_t size(domain) const { return counters_; }
  value element(domain, index_t i) const { return value::integer(i + 1); }
  std::vector<variable> show(const state& s) const {
    std::vector<value> all;
    for (index_t i = 0; i < counters_; ++i) all.push_back(value::integer(s.count[i]));
    return {{"count", value::sequence(std::move(all))}};
  }
  static std::span<const domain> symmetric() {
    static constexpr std::array all = {domain::counters};
    return all;
  }
  state renamed(const state& s, std::span<const std::vector<index_t>> renaming) const {
    state r;
    for (index_t i = 0; i < counters_; ++i) r.count[renaming[0][i]] = s.count[i];
    return r;
  }

 private:
  index_t sum(const state& s) const {
    index_t all = 0;
    for (index_t i = 0; i < counters_; ++i) all += s.count[i];
    return all;
  }
  index_t sum_max() const { return counters_ * (modulus_ - 1); }

  index_t counters_;
  index_t modulus_;
};

/// Processes with a local state each and one shared, whose steps are drawn from `Seed`: what
/// Do(p, choice) does follows from p's local state, the shared one and the choice. In a third of
/// the local states there is Hop(p) instead, which is local, unless `Plant` makes the claim false:
///
///   - "hop_waits": it is possible only while the shared state is not 0;
///   - "hop_writes": it counts the shared state up;
///   - "do_beside": there is Do too, while the shared state is 1.
///
/// With "do_too" there is Do with the first choice too, always: Hop is local still, but not alone.
///
/// Fairness: "weak": for each process, "strong": for each choice, as the constants say.
class drawn_machine {
 public:
  static constexpr std::string_view name = "Drawn";
  static constexpr index_t processes_max = 3;
  static constexpr index_t choices = 2;
  enum class domain : std::uint8_t { processes, choices };
  struct state {
    std::array<std::uint8_t, processes_max> local{};
    std::uint8_t shared = 0;
  };

  explicit drawn_machine(const configuration& c)
      : processes_(c.number("Processes", processes_max)),
        locals_(c.number("Locals", 16)),
        shared_(c.number("Shared", 16)),
        plant_(c.text("Plant")),
        is_weak_(c.has("Fairness", "weak")),
        is_strong_(c.has("Fairness", "strong")) {
    std::mt19937_64 random(c.number("Seed", 99'999'999));
    const auto below = [&random](std::uint64_t n) {
      return static_cast<std::uint8_t>(random() % n);
    };
    const unsigned sparsity = 2 + below(3);
    for (index_t i = 0; i < locals_ * shared_ * choices; ++i) {
      does_.push_back({below(sparsity) == 0, below(locals_), below(shared_)});
    }
    // Neither hops nor is hopped to: the last one, of which an invariant speaks.
    for (index_t i = 0; i < locals_; ++i) {
      hops_.push_back({i + 1 < locals_ && below(3) == 0, below(locals_ - 1), 0});
    }
  }

  std::vector<state> initial() const { return {state{}}; }

  bool do_it(state& s, index_t p, index_t choice) const {
    const index_t local = s.local[p];
    const entry& e = does_[(local * shared_ + s.shared) * choices + choice];
    bool is_possible = e.is_possible;
    if (hops_[local].is_possible) {
      is_possible = (plant_ == "do_beside" && s.shared == 1 && e.is_possible) ||
                    (plant_ == "do_too" && choice == 0);
    }
    if (!is_possible) return false;
    s.local[p] = e.local;
    s.shared = e.shared;
    return true;
  }

  bool hop(state& s, index_t p) const {
    const entry& e = hops_[s.local[p]];
    if (!e.is_possible || (plant_ == "hop_waits" && s.shared == 0)) return false;
    s.local[p] = e.local;
    if (plant_ == "hop_writes") s.shared = static_cast<std::uint8_t>((s.shared + 1U) % shared_);
    return true;
  }

  static std::span<const action<drawn_machine>> actions();
  static std::span<const invariant<drawn_machine>> invariants();
  static std::span<const step_property<drawn_machine>> step_properties();
  static std::span<const leads_to<drawn_machine>> leads_to_properties();
  static std::span<const fairness<drawn_machine>> fairness_of();

  index_t size(domain d) const { return d == domain::processes ? processes_ : choices; }
  value element(domain d, index_t i) const {
    return value::model((d == domain::processes ? "p" : "c") + std::to_string(i + 1));
  }
  std::vector<variable> show(const state& s) const {
    std::vector<std::pair<value, value>> local;
    for (index_t p = 0; p < processes_; ++p) {
      local.emplace_back(element(domain::processes, p), value::integer(s.local[p]));
    }
    return {{"local", value::function(std::move(local))}, {"shared", value::integer(s.shared)}};
  }
  static std::span<const domain> symmetric() {
    static constexpr std::array all = {domain::processes};
    return all;
  }
  state renamed(const state& s, std::span<const std::vector<index_t>> renaming) const {
    state r = s;
    for (index_t p = 0; p < processes_; ++p) r.local[renaming[0][p]] = s.local[p];
    return r;
  }

  bool covers_weakly() const { return is_weak_; }
  bool covers_strongly() const { return is_strong_; }
  std::uint8_t last_local() const { return static_cast<std::uint8_t>(locals_ - 1); }
  std::uint8_t last_shared() const { return static_cast<std::uint8_t>(shared_ - 1); }

 private:
  struct entry {
    bool is_possible;
    std::uint8_t local;
    std::uint8_t shared;
  };

  index_t processes_;
  index_t locals_;
  index_t shared_;
  std::string plant_;
  bool is_weak_;
  bool is_strong_;
  std::vector<entry> does_;
  std::vector<entry> hops_;
};

inline std::span<const action<drawn_machine>> drawn_machine::actions() {
  using enum domain;
  static constexpr std::array<action<drawn_machine>, 2> all = {{
      {"Do",
       {processes, domain::choices},
       visibility::observed,
       calls<&drawn_machine::do_it>::apply},
      {"Hop", {processes}, visibility::internal, calls<&drawn_machine::hop>::apply, true},
  }};
  return all;
}

inline std::span<const invariant<drawn_machine>> drawn_machine::invariants() {
  static constexpr std::array<invariant<drawn_machine>, 3> all = {{
      {"SharedNotLast",
       "S.1",
       "the shared state is never the last",
       [](const drawn_machine& m, const state& s) { return s.shared != m.last_shared(); }},
      {"NotTwoLast",
       "S.2",
       "no two processes are in the last state",
       [](const drawn_machine& m, const state& s) {
         int count = 0;
         for (index_t p = 0; p < processes_max; ++p) count += s.local[p] == m.last_local() ? 1 : 0;
         return count < 2;
       }},
      {"NobodyInOne",
       "S.3",
       "nobody is in state 1, which some hop to",
       [](const drawn_machine&, const state& s) {
         return s.local[0] != 1 && s.local[1] != 1 && s.local[2] != 1;
       }},
  }};
  return all;
}

inline std::span<const step_property<drawn_machine>> drawn_machine::step_properties() {
  static constexpr std::array<step_property<drawn_machine>, 1> all = {{
      {"NotOneToTwo",
       "S.4",
       "no step leads from shared state 1 to 2",
       [](const drawn_machine&, const state& before, const step&, const state& after) {
         return before.shared != 1 || after.shared != 2;
       }},
  }};
  return all;
}

inline std::span<const leads_to<drawn_machine>> drawn_machine::leads_to_properties() {
  static constexpr std::array<leads_to<drawn_machine>, 1> all = {{
      {"OneThenLast",
       "L.1",
       "who is in state 1 comes to the last",
       domain::processes,
       [](const drawn_machine&, const state& s, index_t p) { return s.local[p] == 1; },
       [](const drawn_machine& m, const state& s, index_t p) {
         return s.local[p] == m.last_local();
       }},
  }};
  return all;
}

inline std::span<const fairness<drawn_machine>> drawn_machine::fairness_of() {
  using enum domain;
  static constexpr std::array<fairness<drawn_machine>, 2> all = {{
      {"EachProcess",
       false,
       processes,
       [](const drawn_machine& m, const step& taken, index_t p) {
         return m.covers_weakly() && taken.arguments[0] == p;
       }},
      {"EachChoice",
       true,
       domain::choices,
       [](const drawn_machine& m, const step& taken, index_t c) {
         return m.covers_strongly() && taken.action == 0 && taken.arguments[1] == c;
       }},
  }};
  return all;
}

struct drawn_options {
  unsigned seed = 0;
  unsigned processes = 2;
  unsigned locals = 4;
  unsigned shared = 4;
  std::string plant = {};
  std::vector<std::string> fairness = {};
};

inline configuration drawn(const drawn_options& o,
                           std::vector<std::string> invariants = {},
                           std::vector<std::string> properties = {}) {
  constant fairness{true, {}};
  for (const std::string& f : o.fairness) fairness.elements.push_back('"' + f + '"');
  return toy_configuration({{"Seed", number_constant(o.seed)},
                            {"Processes", number_constant(o.processes)},
                            {"Locals", number_constant(o.locals)},
                            {"Shared", number_constant(o.shared)},
                            {"Plant", {false, {'"' + o.plant + '"'}}},
                            {"Fairness", fairness}},
                           std::move(invariants),
                           std::move(properties));
}

}  // namespace ct::model
