// SPDX-License-Identifier: BSD-2-Clause
/// Campaigns with a fault planted.
#include "harness/conform/sharpness.h"

#include <algorithm>
#include <map>

namespace ct::harness::conform {
namespace {

template <class Value>
Value lower_median(std::vector<Value> all) {
  if (all.empty()) return {};
  const auto middle = all.begin() + static_cast<std::ptrdiff_t>((all.size() - 1) / 2);
  std::ranges::nth_element(all, middle);
  return *middle;
}

}  // namespace

std::size_t sharpness_row::found() const {
  return static_cast<std::size_t>(std::ranges::count(tries, true, &sharpness_try::is_found));
}

std::uint64_t sharpness_row::packets() const {
  std::vector<std::uint64_t> all;
  for (const sharpness_try& one : tries) {
    if (one.is_found || planted == nullptr) all.push_back(one.packets);
  }
  return lower_median(std::move(all));
}

double sharpness_row::busy_s() const {
  std::vector<double> all;
  for (const sharpness_try& one : tries) {
    if (one.is_found || planted == nullptr) all.push_back(one.busy_s);
  }
  return lower_median(std::move(all));
}

std::string sharpness_row::field() const {
  std::map<std::string, int> count;
  for (const sharpness_try& one : tries) {
    if (one.is_found) ++count[one.field];
  }
  const auto most = std::ranges::max_element(count, {}, [](const auto& c) { return c.second; });
  return most == count.end() ? "" : most->first;
}

sharpness_row measure_sharpness(const fault* one,
                                const impl& ours,
                                const impl& theirs,
                                campaign_options options,
                                std::uint32_t seeds,
                                const std::function<bool()>& should_stop) {
  options.findings_max = 1;
  options.threads = 1;
  options.is_always_deep = true;
  options.shrinks = false;
  sharpness_row row = {.planted = one};
  plant(one);
  for (std::uint32_t i = 0; i < seeds && !should_stop(); ++i, ++options.seed) {
    const campaign_result result =
        run_campaign(ours, theirs, options, {.should_stop = should_stop, .progress = {}});
    if (result.was_stopped) break;
    sharpness_try tried = {.seed = options.seed,
                           .is_found = !result.findings.empty(),
                           .packets = result.packets(),
                           .busy_s = result.states.busy_s};
    if (tried.is_found) tried.field = result.findings[0].what.field;
    row.tries.push_back(std::move(tried));
  }
  plant(nullptr);
  return row;
}

}  // namespace ct::harness::conform
