// SPDX-License-Identifier: BSD-2-Clause
/// Steps that nobody else notices need not be tried in every order with those of others.
///
/// A step belongs to its first argument (a CPU); one without arguments to nobody in particular. If
/// all that CPU p can do in a state is local (action::is_local), exploring these steps alone, the
/// others later, reaches a violation if there is one:
///
///   - C0, C1: what others do meanwhile neither takes p's steps away nor adds one, and commutes
///     with them, so each order leads where "p first" leads;
///   - C2: p's steps change no promise's truth, so the violation is still there;
///   - C3: one of the steps leads to a state which is not expanded yet. Along such successors the
///     level of the search grows; so from every state one is reached that is expanded in full, and
///     nobody is put off for ever.
///
/// Deadlocks are kept by C0 and C1. That the claims hold is checked in the full graph of a small
/// configuration (local_claims.h). Source: Clarke, Grumberg, Minea and Peled, "State space
/// reduction using partial order techniques", 1999; C3 for breadth first search: Bosnacki and
/// Holzmann, "Improving Spin's partial-order reduction for breadth-first search", 2005.
#pragma once

#include "spec/model/machine.h"

#include <cstddef>
#include <span>
#include <vector>

namespace ct::model {

template <machine M>
struct possible_step {
  step taken;
  typename M::state after;
};

/// Whose step this is: equal for steps of one CPU.
template <machine M>
index_t owner_of(const step& taken) {
  const action<M>& which = std::span<const action<M>>(M::actions())[taken.action];
  if (which.over.count == 0) return 0;
  constexpr index_t of_a_set = 1U << 16U;
  return (static_cast<index_t>(which.over.set[0]) + 1) * of_a_set + taken.arguments[0];
}

template <machine M>
bool is_local(const step& taken) {
  const action<M>& which = std::span<const action<M>>(M::actions())[taken.action];
  return which.is_local && which.over.count > 0;
}

/// The first CPU whose every step among `all` is local and one of whose successors satisfies
/// `is_unexpanded`: its steps, moved to the front; their number. None: all of them.
template <machine M, class IsUnexpanded>
std::size_t ample_of(std::vector<possible_step<M>>& all, IsUnexpanded&& is_unexpanded) {
  for (std::size_t first = 0; first < all.size(); ++first) {
    const index_t owner = owner_of<M>(all[first].taken);
    bool is_ample = true;
    bool is_first = true;
    bool progresses = false;
    for (std::size_t i = 0; i < all.size() && is_ample; ++i) {
      if (owner_of<M>(all[i].taken) != owner) continue;
      is_first &= i >= first;
      is_ample = is_first && is_local<M>(all[i].taken);
    }
    for (std::size_t i = first; i < all.size() && is_ample && !progresses; ++i) {
      progresses = owner_of<M>(all[i].taken) == owner && is_unexpanded(all[i].after);
    }
    if (!is_ample || !progresses) continue;
    const auto is_mine = [owner](const possible_step<M>& p) {
      return owner_of<M>(p.taken) == owner;
    };
    std::size_t count = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (is_mine(all[i])) std::swap(all[count++], all[i]);
    }
    return count;
  }
  return all.size();
}

}  // namespace ct::model
