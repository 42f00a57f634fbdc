// SPDX-License-Identifier: BSD-2-Clause
/// The laws of a full table: real systems keep them, and each planted fault breaks the one that it
/// must break.
#include "harness/flood/flood.h"

#include "harness/flood/fake_full_table.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace ct::harness {
namespace {

using testing::fake_full;
using testing::full_fault;
using workloads::syn_flood_options;

constexpr syn_flood_options short_flood = {.seed = 3,
                                           .connections = 600,
                                           .connections_per_s = 500,
                                           .syns_per_connection = 10,
                                           .step_jiffies = 5};
constexpr std::size_t room = 1000;

flood_row flooded(const impl& which,
                  bool early_drop,
                  const syn_flood_options& traffic = short_flood) {
  return flood(which,
               {.buckets = 1024, .max_entries = room, .seed = 3, .early_drop = early_drop},
               traffic);
}
std::vector<impl> real_ones() {
  std::vector<impl> all;
  for (const impl& one : implementations()) {
    if (!one.is_timing_only()) all.push_back(one);
  }
  return all;
}
void check_sum(const flood_attempts& a) {
  CHECK(a.succeeded + a.refused + a.lost_opening + a.lost_assured + a.lost_closing == a.tried);
}

TEST_CASE("every implementation keeps the laws of a full table, with early drop and without") {
  std::vector<flood_row> rows;
  for (const bool early_drop : {true, false}) {
    for (const impl& one : real_ones()) rows.push_back(flooded(one, early_drop));
  }
  REQUIRE(rows.size() >= 8);
  compare(rows);
  for (const flood_row& row : rows) {
    INFO(row.impl << (row.early_drop ? " with" : " without") << " early drop");
    CHECK(row.broken == "");
    CHECK(row.differs == "");
    CHECK(row.attempts.tried == short_flood.connections);
    check_sum(row.attempts);
    CHECK(row.attempts.lost_assured == 0);
    CHECK(row.count_peak == room);
    CHECK(row.count_left == 0);
    CHECK(row.full_at_jiffies > 0);
    CHECK(row.agreed_jiffies > 0);
    if (row.early_drop) {
      CHECK(row.statistics.early_drop > 1000);
      CHECK(row.attempts.share() > 0.5);
      CHECK(row.attempts.succeeded < row.attempts.tried);  // some fall victim before their ACK
      CHECK(row.agreed_jiffies < row.full_at_jiffies);
    } else {
      CHECK(row.statistics.early_drop == 0);
      CHECK(row.statistics.drop > 1000);
      CHECK(row.attempts.share() < 0.2);
      CHECK(row.attempts.refused + row.attempts.succeeded == row.attempts.tried);
    }
  }
}

TEST_CASE("with room for everybody everybody gets through, and nothing is dropped") {
  for (const impl& one : real_ones()) {
    const flood_row row =
        flood(one, {.buckets = 8192, .max_entries = 100'000, .seed = 3}, short_flood);
    INFO(one.name);
    CHECK(row.is_good());
    CHECK(row.attempts.succeeded == short_flood.connections);
    CHECK(row.attempts.share() == 1);
    CHECK(row.packets_dropped == 0);
    CHECK(row.statistics.early_drop == 0);
    CHECK(row.full_at_jiffies == 0);
    CHECK(row.packets == short_flood.connections * (10 + workloads::flood_steps));
  }
}

TEST_CASE("a good fake keeps every law") {
  for (const bool early_drop : {true, false}) {
    std::vector<flood_row> rows = {flooded(fake_full("one"), early_drop),
                                   flooded(fake_full("two"), early_drop)};
    compare(rows);
    CHECK(rows[0].broken == "");
    CHECK(rows[1].differs == "");
    CHECK(rows[0].full_at_jiffies > 0);
    CHECK(rows[0].attempts.succeeded > 0);
    check_sum(rows[0].attempts);
  }
}

/// What the run says of a fake with this fault.
template <full_fault Planted>
std::string law_broken(bool early_drop = true) {
  const flood_row row = flooded(fake_full<Planted>("faulty"), early_drop);
  check_sum(row.attempts);
  return row.broken;
}

TEST_CASE("a table that breaks a law of the full is told which") {
  CHECK_THAT(law_broken<full_fault::drops_assured>(), Catch::Contains("the ASSURED entry"));
  CHECK_THAT(law_broken<full_fault::exceeds_max>(),
             Catch::Contains("1001 entries after") && Catch::Contains("nf_conntrack_max is 1000"));
  CHECK_THAT(law_broken<full_fault::keeps_one>(), Catch::Contains("1 entries are left"));
  CHECK_THAT(law_broken<full_fault::broken_at_rest>(), Catch::Contains("at rest: a bucket"));
  CHECK_THAT(law_broken<full_fault::forgets_to_count_drops>(false),
             Catch::Contains("packets were dropped, the counters say"));
  CHECK_THAT(law_broken<full_fault::drops_always>(false),
             Catch::Contains("without early drop, the entry of connection"));
  CHECK_THAT(law_broken<full_fault::counts_early_drops>(false),
             Catch::Contains("early_drop is 7 without early drop"));
  CHECK(law_broken<full_fault::drops_closing>() == "");  // that is allowed
}

TEST_CASE("what all must agree in is compared, what early drop does in a table's order is not") {
  const auto second_of = [](const impl& other, bool early_drop) {
    std::vector<flood_row> rows = {flooded(fake_full("one"), early_drop),
                                   flooded(other, early_drop)};
    compare(rows);
    CHECK(rows[0].differs == "");
    return rows[1].differs;
  };
  const impl early = fake_full<full_fault::wrong_before_full>("other");
  const impl late = fake_full<full_fault::other_victims>("other");
  const impl sooner = fake_full<full_fault::full_too_soon>("other");
  for (const bool early_drop : {true, false}) {
    CHECK_THAT(second_of(early, early_drop), Catch::Contains("another outcome than one"));
  }
  CHECK(second_of(late, true) == "");
  CHECK_THAT(second_of(sooner, true), Catch::Contains("full after"));
  CHECK_THAT(second_of(sooner, false), Catch::Contains("another outcome"));
}

TEST_CASE("where entries would expire between two packets no flood is begun") {
  syn_flood_options slow = short_flood;
  slow.step_jiffies = seconds(29);
  CHECK(flooded(real_ones().front(), true, slow).broken == "");
  slow.step_jiffies = seconds(31);  // LAST_ACK lives for 30 s
  CHECK_THROWS_WITH(flooded(real_ones().front(), true, slow), Catch::Contains("round trip"));
}

TEST_CASE("a flood that is interrupted counts nobody who was still under way") {
  int batches = 0;
  const flood_row row = flood(real_ones().front(),
                              {.buckets = 1024, .max_entries = room},
                              short_flood,
                              {.should_stop = [&] { return ++batches == 20; }, .progress = {}});
  CHECK(row.was_stopped);
  CHECK(row.broken == "");
  CHECK(row.attempts.tried < short_flood.connections);
  check_sum(row.attempts);
}

}  // namespace
}  // namespace ct::harness
