// SPDX-License-Identifier: BSD-2-Clause
/// The search against arithmetic, TLC's counts and a naive search; planted faults; limits.
#include "harness/model/search.h"

#include "harness/model/naive_search.h"
#include "harness/model/toy_machines.h"
#include "spec/model/peterson.h"

#include <catch2/catch.hpp>

namespace ct::model {
namespace {

using Catch::Contains;

const check_hooks no_hooks;

configuration counters(unsigned count, unsigned modulus, std::vector<std::string> invariants = {}) {
  return toy_configuration(
      {{"Counters", number_constant(count)}, {"Modulus", number_constant(modulus)}},
      std::move(invariants));
}

configuration two_threads(const std::string& fault = "") {
  constant faults{true, {}};
  if (!fault.empty()) faults.elements.push_back('"' + fault + '"');
  return toy_configuration({{"Threads", {true, {"p1", "p2"}}}, {"Faults", faults}},
                           {"MutualExclusion"},
                           {"WorksAnnounced"});
}

template <machine M>
report searched(const configuration& asked,
                const check_options& options = {},
                const check_hooks& hooks = no_hooks) {
  const M m(asked);
  return search<M>(m, asked, options, hooks).run();
}

std::string name_broken(const report& done) { return done.broken ? done.broken->name : ""; }

std::uint64_t length(const report& done) {
  return done.broken ? done.broken->behaviour.states.size() : 0;
}

TEST_CASE("independent counters have as many states, steps and levels as arithmetic says") {
  const auto [count, modulus, states] = GENERATE(table<unsigned, unsigned, std::uint64_t>(
      {{1, 1, 1}, {1, 7, 7}, {3, 4, 64}, {4, 5, 625}, {5, 6, 7776}}));
  const unsigned threads = GENERATE(1U, 2U, 3U);
  const report done =
      searched<counters_machine>(counters(count, modulus), {.threads = threads, .block_states = 4});
  CHECK(done.verdict == verdict::holds);
  CHECK(done.counts.initial == 1);
  CHECK(done.counts.distinct == states);
  CHECK(done.counts.generated == 1 + states * count);
  CHECK(done.counts.depth == count * (modulus - 1) + 1);
  CHECK(done.steps.at(0).second == states * count);
}

TEST_CASE("a hundred thousand states outgrow every shard and are still counted right") {
  const report done =
      searched<counters_machine>(counters(6, 7), {.threads = 2, .block_states = 256});
  CHECK(done.counts.distinct == 117'649);
  CHECK(done.counts.depth == 37);
}

TEST_CASE("Peterson's algorithm has the states that TLC counts, and excludes") {
  const report done = searched<peterson>(two_threads());
  CHECK(done.verdict == verdict::holds);
  CHECK(done.counts.initial == 2);
  CHECK(done.counts.generated == 36);
  CHECK(done.counts.distinct == 20);
  CHECK(done.counts.depth == 6);
}

TEST_CASE("planted faults of Peterson's algorithm are found by a shortest behaviour") {
  const report both_work = searched<peterson>(two_threads("turn_first"));
  CHECK(both_work.verdict == verdict::violated);
  CHECK(name_broken(both_work) == "MutualExclusion");
  CHECK(length(both_work) == 7);  // three steps of each
  const report stuck = searched<peterson>(two_threads("flags_only"));
  CHECK(name_broken(stuck) == "deadlock");
  CHECK(length(stuck) == 5);  // two steps of each
  configuration without = two_threads("flags_only");
  without.checks_deadlock = false;
  CHECK(searched<peterson>(without).verdict == verdict::holds);
}

TEST_CASE("only what the configuration names is checked, and what it misnames is refused") {
  configuration c = two_threads("turn_first");
  c.invariants.clear();
  CHECK(searched<peterson>(c).verdict == verdict::holds);
  c.invariants = {"MutualExclusoin"};
  CHECK_THROWS_WITH(searched<peterson>(c), Contains("did you mean MutualExclusion?"));
  c.invariants.clear();
  c.properties = {"MutualExclusion"};
  CHECK_THROWS_WITH(searched<peterson>(c), Contains("unknown property"));
}

TEST_CASE("a behaviour begins in an initial state and each of its steps is one of the machine") {
  const configuration c = counters(4, 5, {"NeverFull"});
  const report done = searched<counters_machine>(c);
  REQUIRE(name_broken(done) == "NeverFull");
  const auto& states = done.broken->behaviour.states;
  REQUIRE(states.size() == 17);
  CHECK(states.front().step.empty());
  CHECK(states.front().variables[0].value.text() == "<<0, 0, 0, 0>>");
  CHECK(states.back().variables[0].value.text() == "<<4, 4, 4, 4>>");
  for (std::size_t i = 1; i < states.size(); ++i) {
    std::size_t changed = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      const auto before = states[i - 1].variables[0].value.parts()[k].number();
      const auto after = states[i].variables[0].value.parts()[k].number();
      if (before == after) continue;
      ++changed;
      CHECK(after == before + 1);
      CHECK(states[i].step == "Bump(" + std::to_string(k + 1) + ")");
    }
    CHECK(changed == 1);
  }
}

TEST_CASE("any number of threads counts the same and shows the same behaviour") {
  const std::string invariant = GENERATE("NeverFull", "NotTwoThree");
  const configuration c = counters(5, 6, {invariant});
  const report one = searched<counters_machine>(c, {.threads = 1});
  for (const unsigned threads : {2U, 3U, 5U}) {
    for (const std::size_t block : {1U, 16U}) {
      const report some =
          searched<counters_machine>(c, {.threads = threads, .block_states = block});
      CHECK(some.counts.distinct == one.counts.distinct);
      CHECK(some.counts.generated == one.counts.generated);
      CHECK(some.counts.depth == one.counts.depth);
      REQUIRE(name_broken(some) == invariant);
      CHECK(behaviour_text(some.broken->behaviour) == behaviour_text(one.broken->behaviour));
    }
  }
}

/// What the reference says of a drawn machine: the length of a shortest behaviour for each promise.
struct expected_of_drawn {
  std::uint64_t deadlock;
  std::uint64_t promise;
};

template <class M>
expected_of_drawn expected_of(const M& m, const naive_graph<M>& graph, const configuration& c) {
  const promises<M> asked(c);
  expected_of_drawn expected{
      graph.shortest_to_state([&](std::size_t i) { return graph.is_stuck(i); }),
      graph.shortest_to_state([&](std::size_t i) {
        return std::ranges::any_of(asked.invariants,
                                   [&](const auto* p) { return !p->holds(m, graph.states[i]); });
      })};
  const std::uint64_t by_step = graph.shortest_to_edge([&](const auto& e) {
    return std::ranges::any_of(asked.step_properties, [&](const auto* p) {
      return !p->holds(m, graph.states[e.from], e.taken, graph.states[e.to]);
    });
  });
  if (by_step != 0 && (expected.promise == 0 || by_step < expected.promise)) {
    expected.promise = by_step;
  }
  return expected;
}

TEST_CASE("on drawn machines the search agrees with a naive one: counts, verdict, length") {
  std::size_t broken = 0;
  std::size_t held = 0;
  for (unsigned seed = 0; seed < 300; ++seed) {
    const configuration c = drawn({.seed = seed, .processes = 2, .locals = 4, .shared = 5},
                                  {"SharedNotLast", "NotTwoLast"},
                                  {"NotOneToTwo"});
    const drawn_machine m(c);
    const naive_graph<drawn_machine> graph(m);
    const auto [deadlock, promise] = expected_of(m, graph, c);
    const report done = searched<drawn_machine>(c, {.threads = 1 + seed % 2, .block_states = 1});
    INFO("seed " << seed);
    if (deadlock == 0 && promise == 0) {
      ++held;
      REQUIRE(done.verdict == verdict::holds);
      CHECK(done.counts.distinct == graph.states.size());
      CHECK(done.counts.generated == graph.generated);
      CHECK(done.counts.depth == graph.depth);
    } else {
      ++broken;
      REQUIRE(done.verdict == verdict::violated);
      // A deadlock is noticed when the state is expanded: one level later than the rest.
      const bool is_deadlock = deadlock != 0 && (promise == 0 || deadlock < promise);
      CHECK((name_broken(done) == "deadlock") == is_deadlock);
      CHECK(length(done) == (is_deadlock ? deadlock : promise));
    }
  }
  CHECK(held > 20);
  CHECK(broken > 100);
}

TEST_CASE("where memory ends the search stops, says so and calls nothing good") {
  const unsigned threads = GENERATE(1U, 2U);
  const report done =
      searched<counters_machine>(counters(5, 8),
                                 {.threads = threads, .memory_bytes_max = 1'500'000});
  CHECK(done.verdict == verdict::unknown);
  CHECK_FALSE(done.broken);
  CHECK_THAT(done.stopped, Contains("stopped at "));
  CHECK_THAT(done.stopped, Contains("the next growth of the "));
  CHECK_THAT(done.stopped, Contains("of 1.5 MB"));
  CHECK_THAT(done.stopped, Contains("raise --memory"));
  CHECK(done.counts.distinct < 32'768);
  CHECK(done.memory_bytes_peak <= 1'500'000);
  CHECK(searched<counters_machine>(counters(5, 8), {.threads = threads}).verdict == verdict::holds);
}

TEST_CASE("a limit of states and Ctrl-C stop the search without a verdict") {
  const report limited = searched<counters_machine>(counters(6, 6), {.states_max = 1000});
  CHECK(limited.verdict == verdict::unknown);
  CHECK_THAT(limited.stopped, Contains("the limit is 1000 states"));
  CHECK(limited.counts.distinct > 1000);
  CHECK(limited.counts.distinct < 10'000);
  int asked = 0;
  const check_hooks hooks = {.should_stop = [&asked] { return ++asked > 10; }};
  const report interrupted = searched<counters_machine>(counters(6, 6), {.threads = 2}, hooks);
  CHECK(interrupted.verdict == verdict::unknown);
  CHECK(interrupted.was_interrupted);
  CHECK_THAT(interrupted.stopped, Contains("interrupted"));
}

TEST_CASE("progress grows to what is there") {
  std::uint64_t distinct = 0;
  const check_hooks hooks = {.progress = [&](std::string_view what, const check_counts& counts) {
    CHECK(what == "searching");
    CHECK(counts.distinct >= distinct);
    distinct = counts.distinct;
  }};
  const report done =
      searched<counters_machine>(counters(5, 6), {.threads = 2, .block_states = 16}, hooks);
  CHECK(distinct == done.counts.distinct);
}

}  // namespace
}  // namespace ct::model
