// SPDX-License-Identifier: BSD-2-Clause
/// Mutual exclusion of two threads: the smallest machine that has everything a machine can have, to
/// learn from and to test the checker with (spec/tla/Peterson).
///
/// A thread raises its flag, gives the turn away, waits until the other's flag is down or the turn
/// is its own, works, and lowers its flag. Faults of the configuration's set `Faults`:
///
///   - "turn_first": the turn is given away before the flag is raised; both may work at once;
///   - "flags_only": the turn is not looked at; both may wait for ever.
///
/// Source: Peterson, "Myths About the Mutual Exclusion Problem", 1981.
#pragma once

#include "spec/model/machine.h"

namespace ct::model {

class peterson {
 public:
  static constexpr std::string_view name = "Peterson";
  static constexpr index_t thread_count = 2;

  enum class domain : std::uint8_t { threads };
  enum class at : std::uint8_t { idle, halfway, waiting, working };

  struct state {
    std::array<at, thread_count> pc{};
    std::array<bool, thread_count> flag{};
    std::uint8_t turn = 0;  ///< whose: before anybody gave it away the first one's
  };

  explicit peterson(const configuration& c)
      : threads_(c.set("Threads", thread_count)),
        turn_first_(c.has("Faults", "turn_first")),
        flags_only_(c.has("Faults", "flags_only")) {
    if (threads_.size() != thread_count) {
      throw std::invalid_argument("Peterson is for two; name two Threads in " + c.name + ".cfg");
    }
  }

  std::vector<state> initial() const {
    std::vector<state> all(thread_count);
    for (index_t p = 0; p < thread_count; ++p) all[p].turn = static_cast<std::uint8_t>(p);
    return all;
  }

  // Actions.

  bool begin(state& s, index_t p) const {
    if (s.pc[p] != at::idle) return false;
    if (turn_first_) {
      s.turn = other(p);
    } else {
      s.flag[p] = true;
    }
    s.pc[p] = at::halfway;
    return true;
  }

  bool announce(state& s, index_t p) const {
    if (s.pc[p] != at::halfway) return false;
    if (turn_first_) {
      s.flag[p] = true;
    } else {
      s.turn = other(p);
    }
    s.pc[p] = at::waiting;
    return true;
  }

  bool enter(state& s, index_t p) const {
    if (s.pc[p] != at::waiting) return false;
    if (s.flag[other(p)] && (flags_only_ || s.turn != p)) return false;
    s.pc[p] = at::working;
    return true;
  }

  bool leave(state& s, index_t p) const {
    if (s.pc[p] != at::working) return false;
    s.flag[p] = false;
    s.pc[p] = at::idle;
    return true;
  }

  static std::span<const action<peterson>> actions();
  static std::span<const invariant<peterson>> invariants();
  static std::span<const step_property<peterson>> step_properties();
  static std::span<const leads_to<peterson>> leads_to_properties();
  static std::span<const fairness<peterson>> fairness_of();

  // Names.

  index_t size(domain) const { return thread_count; }
  value element(domain, index_t p) const { return value::model(threads_[p]); }

  std::vector<variable> show(const state& s) const {
    static constexpr std::array<std::string_view, 4> names = {"idle",
                                                              "halfway",
                                                              "waiting",
                                                              "working"};
    std::vector<std::pair<value, value>> pc;
    std::vector<std::pair<value, value>> flag;
    for (index_t p = 0; p < thread_count; ++p) {
      const value thread = element(domain::threads, p);
      pc.emplace_back(thread, value::string(names[static_cast<std::size_t>(s.pc[p])]));
      flag.emplace_back(thread, value::boolean(s.flag[p]));
    }
    return {{"flag", value::function(std::move(flag))},
            {"pc", value::function(std::move(pc))},
            {"turn", element(domain::threads, s.turn)}};
  }

  static std::span<const domain> symmetric() {
    static constexpr std::array all = {domain::threads};
    return all;
  }

  state renamed(const state& s, std::span<const std::vector<index_t>> renaming) const {
    const std::vector<index_t>& to = renaming[0];
    state r;
    for (index_t p = 0; p < thread_count; ++p) {
      r.pc[to[p]] = s.pc[p];
      r.flag[to[p]] = s.flag[p];
    }
    r.turn = static_cast<std::uint8_t>(to[s.turn]);
    return r;
  }

 private:
  static std::uint8_t other(index_t p) { return static_cast<std::uint8_t>(1 - p); }

  std::vector<std::string> threads_;
  bool turn_first_;
  bool flags_only_;
};

inline std::span<const action<peterson>> peterson::actions() {
  using enum domain;
  static constexpr std::array<action<peterson>, 4> all = {{
      {"Begin", {threads}, visibility::observed, calls<&peterson::begin>::apply},
      {"Announce", {threads}, visibility::internal, calls<&peterson::announce>::apply},
      {"Enter", {threads}, visibility::observed, calls<&peterson::enter>::apply},
      {"Leave", {threads}, visibility::observed, calls<&peterson::leave>::apply},
  }};
  return all;
}

inline std::span<const invariant<peterson>> peterson::invariants() {
  static constexpr std::array<invariant<peterson>, 1> all = {{
      {"MutualExclusion",
       "",
       "at most one thread works",
       [](const peterson&, const state& s) {
         return s.pc[0] != at::working || s.pc[1] != at::working;
       }},
  }};
  return all;
}

inline std::span<const step_property<peterson>> peterson::step_properties() {
  static constexpr std::array<step_property<peterson>, 1> all = {{
      {"WorksAnnounced",
       "",
       "who begins to work has waited, with its flag up",
       [](const peterson&, const state& before, const step&, const state& after) {
         for (index_t p = 0; p < thread_count; ++p) {
           if (after.pc[p] != at::working || before.pc[p] == at::working) continue;
           if (before.pc[p] != at::waiting || !before.flag[p]) return false;
         }
         return true;
       }},
  }};
  return all;
}

inline std::span<const leads_to<peterson>> peterson::leads_to_properties() {
  static constexpr std::array<leads_to<peterson>, 1> all = {{
      {"WaitsThenWorks",
       "",
       "who waits works some day",
       domain::threads,
       [](const peterson&, const state& s, index_t p) { return s.pc[p] == at::waiting; },
       [](const peterson&, const state& s, index_t p) { return s.pc[p] == at::working; }},
  }};
  return all;
}

inline std::span<const fairness<peterson>> peterson::fairness_of() {
  static constexpr std::array<fairness<peterson>, 1> all = {{
      {"EachThreadGoesOn",
       false,
       domain::threads,
       [](const peterson&, const step& taken, index_t p) {
         return taken.action != 0 && taken.arguments[0] == p;
       }},
  }};
  return all;
}

}  // namespace ct::model
