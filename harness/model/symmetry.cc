// SPDX-License-Identifier: BSD-2-Clause
/// Permutations in lexicographic order.
#include "harness/model/symmetry.h"

#include <algorithm>
#include <numeric>

namespace ct::model {

std::vector<relabelling> renamings_of(const std::vector<index_t>& sizes) {
  std::vector<relabelling> all = {{}};
  for (const index_t size : sizes) {
    std::vector<relabelling> longer;
    for (const relabelling& so_far : all) {
      std::vector<index_t> permutation(size);
      std::iota(permutation.begin(), permutation.end(), index_t{0});
      do {
        longer.push_back(so_far);
        longer.back().push_back(permutation);
      } while (std::next_permutation(permutation.begin(), permutation.end()));
    }
    all = std::move(longer);
  }
  return all;
}

}  // namespace ct::model
