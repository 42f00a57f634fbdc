// SPDX-License-Identifier: BSD-2-Clause
/// Names that a machine does not have are refused: nothing asked for goes unchecked.
#include "harness/model/promises.h"

#include "harness/format/nearest.h"

#include <algorithm>
#include <fmt/format.h>

namespace ct::model {

std::vector<std::size_t> chosen_of(std::span<const std::string> names,
                                   std::span<const std::string_view> known,
                                   std::span<const std::string_view> others,
                                   std::string_view kind) {
  std::vector<std::size_t> chosen;
  for (const std::string& name : names) {
    const auto found = std::ranges::find(known, name);
    if (found != known.end()) {
      chosen.push_back(static_cast<std::size_t>(found - known.begin()));
    } else if (std::ranges::find(others, name) == others.end()) {
      std::vector<std::string_view> all(known.begin(), known.end());
      all.insert(all.end(), others.begin(), others.end());
      throw std::invalid_argument(fmt::format("unknown {} '{}'{} (there are: {})",
                                              kind,
                                              name,
                                              harness::suggestion(name, all),
                                              fmt::join(all, ", ")));
    }
  }
  std::ranges::sort(chosen);
  chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
  return chosen;
}

}  // namespace ct::model
