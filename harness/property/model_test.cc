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
  demand_agreement(300);
}

TEST_CASE("every table does so in a hundred thousand sequences", "[.][long]") {
  demand_agreement(100'000);
}

}  // namespace
}  // namespace ct::property
