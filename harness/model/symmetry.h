// SPDX-License-Identifier: BSD-2-Clause
/// One state for all those that differ only in what elements are called.
///
/// The group: every permutation of each symmetric set, and all their combinations. Of the states
/// that a state can be renamed to, the one with the least bytes stands for all. Sound for what does
/// not tell the elements apart: then s breaks a promise if and only if its renamings do, and the
/// steps of s, renamed, are those of the renamed s. Source: Ip and Dill, "Better Verification
/// Through Symmetry", 1996.
#pragma once

#include "spec/model/machine.h"

#include <cstring>
#include <span>
#include <vector>

namespace ct::model {

using relabelling = std::vector<std::vector<index_t>>;

/// Every combination of one permutation of each set, the identity first.
std::vector<relabelling> renamings_of(const std::vector<index_t>& sizes);

template <machine M>
class symmetry {
 public:
  symmetry(const M& m, bool is_used) : machine_(m) {
    if (!is_used) return;
    std::vector<index_t> sizes;
    const std::span<const typename M::domain> sets = M::symmetric();
    for (const typename M::domain set : sets) sizes.push_back(m.size(set));
    group_ = renamings_of(sizes);
    group_.erase(group_.begin());
  }

  typename M::state canonical(const typename M::state& s) const {
    typename M::state least = s;
    for (const relabelling& r : group_) {
      const typename M::state other = machine_.renamed(s, r);
      if (std::memcmp(&other, &least, sizeof least) < 0) least = other;
    }
    return least;
  }

 private:
  const M& machine_;
  std::vector<relabelling> group_;  ///< without the identity
};

}  // namespace ct::model
