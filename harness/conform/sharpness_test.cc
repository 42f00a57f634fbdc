// SPDX-License-Identifier: BSD-2-Clause
/// What a row of the sharpness table may say, judged by implementations that are known to be wrong.
#include "harness/conform/sharpness.h"

#include "harness/conform/altered_impl.h"

#include <algorithm>
#include <catch2/catch.hpp>

namespace ct::harness::conform {
namespace {

using testing::altered_impl;
using testing::plain_impl;

/// In place of a planted fault, which this program cannot have: an implementation that has one.
sharpness_row measure(const impl& ours, const fault* one, bool is_stopped = false) {
  campaign_options options;
  options.packets = 3000;
  options.kinds.assign(workloads::walk_kinds().begin(), workloads::walk_kinds().begin() + 1);
  options.system.acct = true;
  return measure_sharpness(one, ours, plain_impl(), options, 3, [=] { return is_stopped; });
}

}  // namespace

TEST_CASE("a fault is found with every seed, soon, and in the field where it shows") {
  const sharpness_row row = measure(altered_impl<testing::fault::lost_assured>(), &faults()[0]);
  CHECK(row.found() == 3);
  CHECK(row.is_as_it_should_be());
  CHECK(row.field() == "status");
  CHECK(row.packets() > 0);
  CHECK(row.packets() < 3000);
  CHECK(row.tries[0].seed + 1 == row.tries[1].seed);
}

TEST_CASE("a fault that does nothing is not found, and nothing is found without one") {
  CHECK_FALSE(measure(plain_impl(), &faults()[0]).is_as_it_should_be());
  const sharpness_row none = measure(plain_impl(), nullptr);
  CHECK(none.is_as_it_should_be());
  CHECK(none.packets() == 3000);
  CHECK(none.field().empty());
}

TEST_CASE("what is found without a fault is a false alarm") {
  const sharpness_row row = measure(altered_impl<testing::fault::reply_is_new>(), nullptr);
  CHECK(row.found() == 3);
  CHECK_FALSE(row.is_as_it_should_be());
}

TEST_CASE("a fault that not every seed found is not found, and medians are of those that did") {
  const fault one{.name = "one", .what = "", .from = ""};
  const sharpness_row row = {
      .planted = &one,
      .tries = {{.seed = 1, .is_found = true, .field = "status", .packets = 10, .busy_s = 1},
                {.seed = 2, .is_found = false, .packets = 500, .busy_s = 9},
                {.seed = 3, .is_found = true, .field = "state", .packets = 30, .busy_s = 3},
                {.seed = 4, .is_found = true, .field = "state", .packets = 20, .busy_s = 2}}};
  CHECK_FALSE(row.is_as_it_should_be());
  CHECK(row.packets() == 20);
  CHECK(row.busy_s() == 2);
  CHECK(row.field() == "state");
}

TEST_CASE("who asks to stop gets no row that looks whole") {
  CHECK(measure(plain_impl(), nullptr, true).tries.empty());
}

TEST_CASE("faults have names of their own, and this program plants none") {
  for (const fault& one : faults()) {
    CHECK(std::ranges::count(faults(), one.name, &fault::name) == 1);
    CHECK_FALSE(one.what.empty());
    CHECK_FALSE(one.from.empty());
  }
  CHECK_FALSE(plant(&faults()[0]));
}

}  // namespace ct::harness::conform
