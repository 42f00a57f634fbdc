// SPDX-License-Identifier: BSD-2-Clause
/// Every table beside the contract machine, over random sequences of what can be asked of it.
#include "harness/property/sequence_suite.h"

#include <catch2/catch.hpp>

namespace ct::property {
namespace {

void demand_agreement(int sequences) {
  int tables = 0;
  for (const impl& on : implementations()) {
    if (on.is_timing_only()) continue;
    ++tables;
    INFO(on.name);
    const auto found = search(on, sequences);
    INFO((found ? found->scenario : std::string()));
    CHECK_FALSE(found.has_value());
  }
  CHECK(tables > 0);
}

TEST_CASE("every table does what the contract machine does, whatever is asked of it") {
  demand_agreement(quick_sequences);
}

TEST_CASE("random sequences take every action that one thread can take") {
  const impl& on = *std::ranges::find(implementations(), "spinlock", &impl::name);
  record all;
  rc::detail::TestParams params = rc::detail::configuration().testParams;
  params.maxSuccess = 300;
  params.maxSize = 120;
  (void)rc::detail::checkTestable([&] { (void)first_difference(on, *any_sequence(), &all); },
                                  rc::detail::TestMetadata{},
                                  params);
  for (const auto& [action, times] : all.taken) std::printf("%s %zu\n", action.c_str(), times);
}

TEST_CASE("every table does so in a hundred thousand sequences", "[.][long]") {
  demand_agreement(100'000);
}

}  // namespace
}  // namespace ct::property
