// SPDX-License-Identifier: BSD-2-Clause
/// Three checkers say the same of random small histories; with a mistake planted in ours they do
/// not.
#include "harness/check/busy_history.h"
#include "harness/check/history_text.h"
#include "harness/check/judge.h"
#include "harness/check/naive_checker.h"
#include "harness/check/random_history.h"

#include <catch2/catch.hpp>
#include <string>

namespace ct::check {
namespace {

struct tally {
  std::size_t histories = 0;
  std::size_t allowed = 0;
  std::size_t false_alarms = 0;
  std::size_t overlooked = 0;
  std::string first;  // disagreement
};

outcome verdict_of(const std::vector<operation>& history,
                   allowances allows,
                   planted_rule planted = planted_rule::none) {
  judge j({}, {.allows = allows}, planted);
  for (const operation& op : history) j.feed(op);
  return j.finish().outcome;
}

allowances random_allowances(random_source& dice) {
  allowances allows = allowances::all();
  for (std::size_t i = 0; i < allowance_count; ++i) {
    if (dice.below(6) == 0) allows = allows.without(static_cast<allowance>(i));
  }
  if (dice.below(2) == 0) allows = allows.without(allowance::half_confirm);
  return allows;
}

history_shape random_shape(random_source& dice, bool has_time) {
  return {.operations = 4 + dice.below(6),
          .threads = 2 + dice.below(3),
          .flows = 1 + dice.below(2),
          .has_time = has_time,
          .has_nat = dice.below(2) == 0,
          .has_created = dice.below(3) == 0,
          .has_walks = dice.below(2) == 0,
          .has_halves = dice.below(4) == 0};
}

tally compare(std::size_t histories,
              std::uint64_t seed,
              bool has_time,
              planted_rule planted = planted_rule::none,
              bool with_cache = true) {
  random_source dice(seed);
  tally t;
  for (std::size_t i = 0; i < histories; ++i) {
    history_shape shape = random_shape(dice, has_time);
    if (!with_cache) {
      shape.operations = 4;
      shape.has_walks = false;
    }
    const allowances allows = random_allowances(dice);
    std::vector<operation> history = random_history(shape, dice).make();
    for (std::uint32_t n = dice.below(3); n > 0; --n) random_history::spoil(history, dice);
    const bool is_allowed = naive_checker(history, allows).is_allowed(with_cache);
    const outcome ours = verdict_of(history, allows, planted);
    ++t.histories;
    t.allowed += is_allowed ? 1 : 0;
    t.false_alarms += is_allowed && ours != outcome::allowed ? 1 : 0;
    t.overlooked += !is_allowed && ours != outcome::violated ? 1 : 0;
    if (is_allowed == (ours == outcome::allowed) || !t.first.empty()) continue;
    t.first = (is_allowed ? "false alarm:\n" : "overlooked:\n") + write_history(history);
    for (std::size_t a = 0; a < allowance_count; ++a) {
      if (!allows.has(static_cast<allowance>(a))) {
        t.first += "without " + std::string(name_of(static_cast<allowance>(a))) + "\n";
      }
    }
  }
  return t;
}

/// With time something may be overlooked: a timeout may be two values at once (deadline.h).
void check_agreement(const tally& t, std::size_t overlooked_max = 0) {
  INFO(t.histories << " histories, " << t.allowed << " allowed, " << t.overlooked << " overlooked");
  INFO(t.first);
  CHECK(t.false_alarms == 0);
  CHECK(t.overlooked <= overlooked_max);
  CHECK(t.allowed > t.histories / 4);
  CHECK(t.allowed < t.histories / 5 * 4);
}

}  // namespace

TEST_CASE("Small histories are judged as by Wing and Gong's search") {
  check_agreement(compare(10000, 1, false));
}

TEST_CASE("Small histories in which time passes are judged as by Wing and Gong's search") {
  check_agreement(compare(10000, 2, true), 10);
}

TEST_CASE("Smallest histories are judged as by a search of every interleaving") {
  check_agreement(compare(1000, 3, false, planted_rule::none, false));
  check_agreement(compare(300, 4, true, planted_rule::none, false));
}

TEST_CASE("What was run over a table that keeps the contract is allowed") {
  random_source dice(5);
  for (int i = 0; i < 2000; ++i) {
    const history_shape shape{.operations = 60, .threads = 5, .has_time = i % 2 == 0};
    const std::vector<operation> history = random_history(shape, dice).make();
    const outcome ours = verdict_of(history, check_options{}.allows);
    if (ours == outcome::allowed) continue;
    const finding f = check(history, {}).findings.at(0);
    std::vector<operation> core;
    for (const std::size_t n : f.operations) core.push_back(history[n]);
    FAIL_CHECK(write_history(history) << f.what << "\n" << write_history(core));
    return;
  }
}

TEST_CASE("A long history of one hot key is allowed") {
  judge j({}, {});
  for (const operation& op : busy_history({.operations = 20000, .threads = 64, .flows = 1}).run()) {
    j.feed(op);
  }
  CHECK(j.finish().outcome == outcome::allowed);
}

TEST_CASE("A wrong dominance rule is noticed") {
  const tally t = compare(3000, 6, true, planted_rule::step_is_a_read);
  CHECK(t.false_alarms > 0);
}

TEST_CASE("A wrong rule of what may have been removed is noticed") {
  CHECK(compare(3000, 7, true, planted_rule::maybe_is_gone).false_alarms > 0);
  CHECK(compare(3000, 8, true, planted_rule::maybe_is_there).false_alarms > 0);
  CHECK(compare(3000, 9, true, planted_rule::read_ignores_deadline).overlooked > 0);
}

// Hidden from the quick set, which has its first fifth; CTest runs it with the label `long`.
TEST_CASE("A hundred thousand small histories are judged alike", "[.][long]") {
  check_agreement(compare(60000, 10, false));
  check_agreement(compare(40000, 11, true), 40);
}

}  // namespace ct::check
