// SPDX-License-Identifier: BSD-2-Clause
/// The schedule of gc_worker, figure by figure.
#include "impls/core/gc.h"

#include <catch2/catch.hpp>

namespace ct::core {
namespace {

TEST_CASE("an empty cycle is followed by one a minute after it began") {
  gc_schedule gc;
  CHECK(gc.begin_run(1000) == 0);
  CHECK(gc.end_cycle(1000) == seconds(60) - 1);
  CHECK(gc.begin_run(2000) == 0);
  CHECK(gc.end_cycle(2000 + 500) == seconds(60) - 500);
}

TEST_CASE("the average remaining lifetime draws the next run nearer, never below a jiffy") {
  gc_schedule gc;
  gc.begin_run(0);
  gc.saw_live(seconds(1));
  // 15000 + (250 - 15000) / 101, truncated towards zero, less the jiffy that a cycle counts at
  // least.
  CHECK(gc.end_cycle(0) == 15000 - 146 - 1);

  // Many entries of a second each: the truncating average stops moving while it is some seconds
  // away.
  gc.begin_run(0);
  for (int i = 0; i < 100000; ++i) gc.saw_live(1);
  const std::uint32_t next = gc.end_cycle(0);
  CHECK(next > seconds(1));
  CHECK(next < seconds(10));
  gc.begin_run(0);
  for (int i = 0; i < 100000; ++i) gc.saw_live(1);
  CHECK(gc.end_cycle(seconds(100)) == 1);
}

TEST_CASE("long lifetimes count as five minutes, and the next run is a minute away at most") {
  gc_schedule gc;
  gc.begin_run(0);
  for (int i = 0; i < 1000; ++i) gc.saw_live(seconds(432000));
  CHECK(gc.end_cycle(0) == seconds(60) - 1);
}

TEST_CASE("after more than 256 expired entries a run stops and the same bucket comes next") {
  gc_schedule gc;
  gc.begin_run(0);
  for (int i = 0; i < 256; ++i) gc.saw_expired();
  CHECK_FALSE(gc.is_exhausted());
  gc.saw_expired();
  CHECK(gc.is_exhausted());
  CHECK(gc.end_exhausted(17, 0) == 1);
  CHECK(gc.begin_run(1) == 17);
  CHECK_FALSE(gc.is_exhausted());
  CHECK(gc.end_exhausted(17, seconds(60) - 1) == 1);
  CHECK(gc.begin_run(seconds(60)) == 17);
  CHECK(gc.end_exhausted(18, seconds(60)) == 0);  // a cycle of more than a minute hurries
}

TEST_CASE(
    "after 10 ms a run stops with the next bucket, and the average is kept over partial runs") {
  gc_schedule gc;
  gc.begin_run(0xffff'fffe);  // across the wrap of jiffies
  CHECK_FALSE(gc.is_late(0xffff'fffe));
  CHECK_FALSE(gc.is_late(1));  // three jiffies at HZ=250
  CHECK(gc.is_late(2));
  gc.saw_live(seconds(1));
  CHECK(gc.end_late(5) == 0);
  CHECK(gc.begin_run(2) == 5);
  CHECK(gc.end_cycle(2) == 15000 - 146 - 4);  // the cycle took four jiffies
}

}  // namespace
}  // namespace ct::core
