// SPDX-License-Identifier: BSD-2-Clause
/// The one-line complaint when no name fits.
#include "harness/cli/choice.h"

#include <algorithm>
#include <functional>
#include <iterator>

namespace ct::harness {

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
