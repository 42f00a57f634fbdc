// SPDX-License-Identifier: BSD-2-Clause
/// Every benchmark of every implementation that was built in, once, at the smallest size: valid,
/// however slow.
#include "harness/bench/bench.h"
#include "spec/impl.h"

#include <catch2/catch.hpp>

namespace ct::bench {
namespace {

TEST_CASE("every implementation gives right answers and loses no entry while it is timed") {
  const report got = run({.impls = {implementations().begin(), implementations().end()},
                          .connections = {1024},
                          .threads = {1, 2},
                          .repetitions = 1,
                          .min_time_s = 0});
  INFO(text_of(got));
  CHECK(got.invalid_count() == 0);
  CHECK_FALSE(got.rows.empty());
}

}  // namespace
}  // namespace ct::bench
