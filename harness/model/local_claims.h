// SPDX-License-Identifier: BSD-2-Clause
/// Is every step that claims to be local (action::is_local) what local_steps.h needs?
///
/// In every state of the full graph, for each local step t of p and each step b of another:
///
///   - after b, t is possible, after t, b is, and both orders lead to the same state;
///   - if all that p can do is local, b lets p do nothing more;
///   - t changes the truth of no checked invariant, breaks no checked property of steps, and
///     changes the judgement on b of none.
#pragma once

#include "harness/model/behaviour.h"
#include "harness/model/graph_digest.h"
#include "harness/model/local_steps.h"
#include "harness/model/promises.h"
#include "harness/model/state_graph.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <optional>
#include <string>
#include <vector>

namespace ct::model {

template <machine M>
class local_claims {
 public:
  local_claims(const M& m, const configuration& asked) : machine_(m), promises_(asked) {}

  /// What is wrong in this state, in one line; empty: nothing.
  std::string wrong_in(const typename M::state& s) const {
    const auto all = steps_in(s);
    for (const possible& t : all) {
      if (!is_local<M>(t.taken)) continue;
      std::string wrong = wrong_alone(s, t);
      for (std::size_t i = 0; wrong.empty() && i < all.size(); ++i) {
        if (owner_of<M>(all[i].taken) != owner_of<M>(t.taken)) wrong = wrong_beside(s, t, all[i]);
      }
      for (std::size_t i = 0; wrong.empty() && i < all.size(); ++i) {
        wrong = wrong_addition(all, t, all[i]);
      }
      if (!wrong.empty()) return fmt::format("{} claims to be local, but {}", text(t.taken), wrong);
    }
    return "";
  }

 private:
  using state = typename M::state;
  using possible = possible_step<M>;

  std::vector<possible> steps_in(const state& s) const {
    std::vector<possible> all;
    for_each_step(machine_, s, [&](const step& taken, const state& after) {
      all.push_back({taken, after});
    });
    return all;
  }

  std::string text(const step& taken) const { return step_text(machine_, taken); }

  std::optional<state> after(state s, const step& taken) const {
    const action<M>& which = std::span<const action<M>>(M::actions())[taken.action];
    if (!which.apply(machine_, s, taken.arguments)) return std::nullopt;
    return s;
  }

  std::string wrong_alone(const state& s, const possible& t) const {
    for (const invariant<M>* i : promises_.invariants) {
      if (i->holds(machine_, s) != i->holds(machine_, t.after)) {
        return fmt::format("it changes whether {} holds", i->name);
      }
    }
    for (const step_property<M>* p : promises_.step_properties) {
      if (!p->holds(machine_, s, t.taken, t.after)) return fmt::format("it breaks {}", p->name);
    }
    return "";
  }

  std::string wrong_beside(const state& s, const possible& t, const possible& b) const {
    const std::optional<state> b_then_t = after(b.after, t.taken);
    if (!b_then_t) return text(b.taken) + " makes it impossible";
    const std::optional<state> t_then_b = after(t.after, b.taken);
    if (!t_then_b) return fmt::format("it makes {} impossible", text(b.taken));
    if (std::memcmp(&*b_then_t, &*t_then_b, sizeof(state)) != 0) {
      return fmt::format("before and after {} it leads to different states", text(b.taken));
    }
    for (const step_property<M>* p : promises_.step_properties) {
      if (p->holds(machine_, s, b.taken, b.after) !=
          p->holds(machine_, t.after, b.taken, *t_then_b)) {
        return fmt::format("it changes whether {} breaks {}", text(b.taken), p->name);
      }
    }
    return "";
  }

  /// Does b let t's owner do what it could not?
  std::string wrong_addition(const std::vector<possible>& all,
                             const possible& t,
                             const possible& b) const {
    const index_t owner = owner_of<M>(t.taken);
    if (owner_of<M>(b.taken) == owner) return "";
    const auto is_known = [&](const step& taken) {
      return std::ranges::any_of(all, [&](const possible& p) {
        return p.taken.action == taken.action && p.taken.arguments == taken.arguments;
      });
    };
    for (const possible& p : all) {
      if (owner_of<M>(p.taken) == owner && !is_local<M>(p.taken)) return "";
    }
    for (const possible& p : steps_in(b.after)) {
      if (owner_of<M>(p.taken) == owner && !is_known(p.taken)) {
        return fmt::format("{} makes {} possible beside it", text(b.taken), text(p.taken));
      }
    }
    return "";
  }

  const M& machine_;
  const promises<M> promises_;
};

/// Checks every state; the first thing that is wrong, or nothing. Throws stopped_by_limit.
template <machine M>
std::string check_local_claims(const configuration& asked, const check_options& options) {
  const M m(asked);
  memory_budget budget(options.memory_bytes_max);
  const state_graph<M> graph(m, budget, options, {});
  const local_claims<M> claims(m, asked);
  for (const typename M::state& s : graph.states) {
    const std::string wrong = claims.wrong_in(s);
    if (!wrong.empty()) return wrong + " in\n" + state_text(m.show(s));
  }
  return "";
}

}  // namespace ct::model
