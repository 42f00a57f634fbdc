// SPDX-License-Identifier: BSD-2-Clause
/// How near two names are, and the one-line complaint when none fits.
#include "harness/cli/choice.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <numeric>

namespace ct::harness {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

std::string_view nearest(std::string_view name, std::span<const std::string_view> known) {
  std::string_view best;
  // A third of the name may be wrong, two letters always: more is another word.
  std::size_t best_distance = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const std::string_view candidate : known) {
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < best_distance && distance < candidate.size()) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string suggestion(std::string_view name, std::span<const std::string_view> known) {
  const std::string_view meant = nearest(name, known);
  return meant.empty() ? "" : ": did you mean " + std::string(meant) + "?";
}

std::vector<impl> choose(std::span<const impl> all, std::string_view names) {
  if (names == "all") {
    std::vector<impl> in_program;
    std::ranges::copy_if(all, std::back_inserter(in_program), std::not_fn(&impl::is_live));
    return in_program;
  }
  std::vector<std::string_view> known;
  for (const impl& one : all) known.push_back(one.name);
  std::vector<impl> chosen;
  for (std::size_t begin = 0; begin <= names.size();) {
    const std::size_t comma = std::min(names.find(',', begin), names.size());
    const std::string_view name = names.substr(begin, comma - begin);
    begin = comma + 1;
    if (name.empty()) {
      throw usage_error("--impl '" + std::string(names) +
                        "' holds an empty name; write a,b or all");
    }
    const auto found = std::ranges::find(all, name, &impl::name);
    if (found == all.end()) {
      throw usage_error("unknown implementation '" + std::string(name) + "'" +
                        suggestion(name, known) + " (ctbench list names them)");
    }
    if (std::ranges::find(chosen, name, &impl::name) != chosen.end()) {
      throw usage_error("--impl names '" + std::string(name) + "' twice; once is enough");
    }
    chosen.push_back(*found);
  }
  return chosen;
}

const impl* find_kernel(std::span<const impl> all, std::string& skipped) {
  const auto live = std::ranges::find_if(all, &impl::is_live);
  const std::string missing = live == all.end() ? "a kernel in the registry" : live->lacks();
  if (!missing.empty()) {
    skipped = "skipped: linux (needs " + missing + ")";
    return nullptr;
  }
  live->make({});
  return &*live;
}

}  // namespace ct::harness
