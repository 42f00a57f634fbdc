// SPDX-License-Identifier: BSD-2-Clause
/// The shortest list that still fails: delta debugging over indices.
///
/// Removes ever smaller runs of items as long as the rest still fails; ends when no single item can
/// be left out, or the tries are used up. Source: Zeller and Hildebrandt, "Simplifying and
/// Isolating Failure-Inducing Input", IEEE Transactions on Software Engineering 28 (2002),
/// algorithm ddmin, complements alone.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <vector>

namespace ct::harness::conform {

using index_list = std::vector<std::size_t>;

/// Requires: `fails(kept)`. Keeps the order.
inline index_list shrink(index_list kept,
                         const std::function<bool(const index_list&)>& fails,
                         std::size_t tries_max) {
  std::size_t tries = 0;
  std::size_t run = std::max<std::size_t>(kept.size() / 2, 1);
  while (kept.size() > 1) {
    bool has_shrunk = false;
    for (std::size_t begin = 0; begin < kept.size() && kept.size() > 1;) {
      if (++tries > tries_max) return kept;
      index_list rest = kept;
      const auto first = rest.begin() + static_cast<std::ptrdiff_t>(begin);
      rest.erase(first, first + static_cast<std::ptrdiff_t>(std::min(run, rest.size() - begin)));
      if (!rest.empty() && fails(rest)) {
        kept = std::move(rest);
        has_shrunk = true;
      } else {
        begin += run;
      }
    }
    if (run == 1 && !has_shrunk) return kept;
    run = std::max<std::size_t>(std::min(run / 2, kept.size() / 2), 1);
  }
  return kept;
}

}  // namespace ct::harness::conform
