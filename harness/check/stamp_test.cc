// SPDX-License-Identifier: BSD-2-Clause
/// Stamps in order across threads, and recorders that lose nothing.
#include "harness/check/stamp.h"

#include "harness/check/recorder.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdint>
#include <vector>

namespace ct::check {
namespace {

TEST_CASE("a clock that is one for all threads never goes back from hand to hand") {
  const stamp_clock clock = stamp_clock::choose();
  const auto read = [&] { return clock.now(); };
  CHECK(inversions(read, read, 2000) == 0);
  const stamp_clock slow = stamp_clock::portable();
  const auto read_slow = [&] { return slow.now(); };
  CHECK(inversions(read_slow, read_slow, 2000) == 0);
}

TEST_CASE("a clock that is behind on one CPU is seen") {
  std::atomic<std::uint64_t> ticks{1'000'000};
  // relaxed: a counter.
  const auto right = [&] { return ticks.fetch_add(1, std::memory_order_relaxed); };
  const auto behind = [&] { return ticks.fetch_add(1, std::memory_order_relaxed) - 1000; };
  CHECK(inversions(right, right, 100) == 0);
  CHECK(inversions(right, behind, 100) >= 49);
}

TEST_CASE("a recorder gives each operation an interval behind the one before") {
  const stamp_clock clock = stamp_clock::choose();
  memory_sink sink(10);
  recorder r(clock, sink, 3);
  r.rest(100);
  const std::uint64_t begin = clock.now();
  r.end({.key = 1, .verb = verb::find}, 100);
  r.end({.key = 2, .verb = verb::dump}, 105);
  r.add({.key = 4, .verb = verb::shown});
  r.rest(200);
  r.end({.key = 5}, 200);
  CHECK(sink.take().empty());
  r.flush();
  const std::vector<operation> all = sink.take();
  REQUIRE(all.size() == 4);
  CHECK(all[0].call <= begin);
  CHECK(all[0].ret >= begin);
  CHECK(all[0].ret == all[1].call);
  CHECK(all[1].now_lo == 100);
  CHECK(all[1].now_hi == 105);
  CHECK(all[2].call == all[1].call);
  CHECK(all[2].ret == all[1].ret);
  CHECK(all[3].call >= all[1].ret);
  CHECK(all[3].now_lo == 200);
  for (const operation& o : all) CHECK(o.thread == 3);
  r.flush();
  CHECK(sink.take().empty());
}

TEST_CASE("a recorder keeps every operation over the borders of chunks, in order") {
  const stamp_clock clock = stamp_clock::choose();
  memory_sink sink(1);
  recorder r(clock, sink, 0);
  constexpr std::uint32_t count = 3 * chunk::capacity + 17;
  for (int round = 0; round < 2; ++round) {
    r.rest(0);
    for (std::uint32_t i = 0; i < count; ++i) r.end({.key = i}, 0);
    r.flush();
    const std::vector<operation> all = sink.take();
    REQUIRE(all.size() == count);
    std::uint32_t wrong = 0;
    for (std::uint32_t i = 0; i < count; ++i) wrong += all[i].key != i ? 1 : 0;
    CHECK(wrong == 0);
  }
}

}  // namespace
}  // namespace ct::check
