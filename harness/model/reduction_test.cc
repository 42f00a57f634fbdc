// SPDX-License-Identifier: BSD-2-Clause
/// Symmetry and local steps: the verdict of the full search from fewer states, and what goes wrong
/// where a claim to be local is false.
#include "harness/model/local_claims.h"
#include "harness/model/search.h"
#include "harness/model/toy_machines.h"
#include "spec/model/peterson.h"

#include <catch2/catch.hpp>
#include <set>

namespace ct::model {
namespace {

using Catch::Contains;

const check_hooks no_hooks;

template <machine M>
report searched(const configuration& asked, const check_options& options = {}) {
  const M m(asked);
  return search<M>(m, asked, options, no_hooks).run();
}

std::string name_broken(const report& done) { return done.broken ? done.broken->name : ""; }

std::uint64_t length(const report& done) {
  return done.broken ? done.broken->behaviour.states.size() : 0;
}

TEST_CASE("the group holds every permutation of each set, combined, the identity first") {
  CHECK(renamings_of({}) == std::vector<relabelling>{{}});
  CHECK(renamings_of({3}).size() == 6);
  const auto both = renamings_of({2, 3});
  REQUIRE(both.size() == 12);
  CHECK(both[0] == relabelling{{0, 1}, {0, 1, 2}});
  CHECK(std::set<relabelling>(both.begin(), both.end()).size() == 12);
}

TEST_CASE("counters that are alike are counted as multisets") {
  // Multisets of n values of k: (n + k - 1 over n).
  const auto [count, modulus, states] =
      GENERATE(table<unsigned, unsigned, std::uint64_t>({{3, 4, 20}, {4, 5, 70}, {5, 3, 21}}));
  const configuration c = toy_configuration(
      {{"Counters", number_constant(count)}, {"Modulus", number_constant(modulus)}});
  const report done =
      searched<counters_machine>(c, {.threads = 2, .uses_symmetry = true, .block_states = 1});
  CHECK(done.counts.distinct == states);
  CHECK(done.counts.depth == count * (modulus - 1) + 1);
}

TEST_CASE("a behaviour found with symmetry is one of the machine itself") {
  const configuration c =
      toy_configuration({{"Counters", number_constant(3)}, {"Modulus", number_constant(4)}},
                        {"NeverFull"});
  const report done = searched<counters_machine>(c, {.uses_symmetry = true});
  REQUIRE(length(done) == 10);
  const auto& states = done.broken->behaviour.states;
  for (std::size_t i = 1; i < states.size(); ++i) {
    std::size_t changed = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      const auto before = states[i - 1].variables[0].value.parts()[k].number();
      const auto after = states[i].variables[0].value.parts()[k].number();
      changed += before == after ? 0 : 1;
      CHECK((before == after || states[i].step == "Bump(" + std::to_string(k + 1) + ")"));
    }
    CHECK(changed == 1);
  }
  CHECK(states.back().variables[0].value.text() == "<<3, 3, 3>>");
}

TEST_CASE("with symmetry drawn machines break the same promises as soon, in fewer states") {
  std::uint64_t states = 0;
  std::uint64_t all = 0;
  for (unsigned seed = 0; seed < 200; ++seed) {
    const configuration c = drawn({.seed = seed, .processes = 3, .locals = 4, .shared = 4},
                                  {"SharedNotLast", "NotTwoLast"},
                                  {"NotOneToTwo"});
    INFO("seed " << seed);
    const report full = searched<drawn_machine>(c);
    const report reduced = searched<drawn_machine>(c, {.uses_symmetry = true});
    CHECK(reduced.verdict == full.verdict);
    CHECK(length(reduced) == length(full));
    CHECK(reduced.counts.depth == full.counts.depth);
    CHECK(reduced.counts.distinct <= full.counts.distinct);
    states += reduced.counts.distinct;
    all += full.counts.distinct;
  }
  CHECK(states * 2 < all);
}

/// One promise at a time, so that many are kept and the whole graph counts.
configuration drawn_with(unsigned seed, const std::string& plant = "") {
  configuration c = drawn({.seed = seed, .processes = 3, .locals = 6, .shared = 5, .plant = plant});
  if (seed % 4 == 0) c.invariants = {"SharedNotLast"};
  if (seed % 4 == 1) c.invariants = {"NotTwoLast"};
  if (seed % 4 == 2) c.properties = {"NotOneToTwo"};
  c.checks_deadlock = seed % 4 == 3;
  return c;
}

TEST_CASE("local steps alone reach the verdict of the full search in fewer states") {
  const std::string plant = GENERATE("", "do_too");
  std::uint64_t states = 0;
  std::uint64_t all = 0;
  std::size_t broken = 0;
  for (unsigned seed = 0; seed < 300; ++seed) {
    const configuration c = drawn_with(seed, plant);
    INFO("seed " << seed << ' ' << plant);
    const report full = searched<drawn_machine>(c);
    const report reduced = searched<drawn_machine>(c, {.uses_ample = true});
    const report both = searched<drawn_machine>(
        c,
        {.threads = 2, .uses_symmetry = true, .uses_ample = true, .block_states = 1});
    REQUIRE(reduced.verdict == full.verdict);
    REQUIRE(both.verdict == full.verdict);
    broken += full.broken ? 1 : 0;
    if (full.broken) continue;
    CHECK(reduced.counts.distinct <= full.counts.distinct);
    states += reduced.counts.distinct;
    all += full.counts.distinct;
  }
  CHECK(broken > 100);
  CHECK(broken < 250);
  // Most of these machines hop seldom, and with "do_too" they never only hop.
  CHECK((plant.empty() ? states * 6 < all * 5 : states == all));
}

TEST_CASE("any number of threads takes the same local steps") {
  for (unsigned seed = 0; seed < 60; ++seed) {
    const configuration c = drawn_with(seed);
    const report one = searched<drawn_machine>(c, {.uses_ample = true});
    const report two =
        searched<drawn_machine>(c, {.threads = 2, .uses_ample = true, .block_states = 1});
    CHECK(two.counts.distinct == one.counts.distinct);
    CHECK(two.counts.generated == one.counts.generated);
    CHECK(name_broken(two) == name_broken(one));
  }
}

TEST_CASE("claims to be local that are true are not doubted") {
  for (unsigned seed = 0; seed < 200; ++seed) {
    INFO("seed " << seed);
    CHECK(check_local_claims<drawn_machine>(drawn_with(seed), {}).empty());
    CHECK(check_local_claims<drawn_machine>(drawn_with(seed, "do_too"), {}).empty());
  }
}

TEST_CASE("a false claim to be local is found wherever it changes a verdict, and says why") {
  // Of these machines none is misled by the first; the others are in some seeds.
  const auto [plant, why, misleads] = GENERATE(table<std::string, std::string, bool>({
      {"hop_waits", "makes it impossible", false},
      {"hop_writes", "leads to different states", true},
      {"do_beside", "possible beside it", true},
  }));
  std::size_t found = 0;
  std::size_t said = 0;
  std::size_t misled = 0;
  for (unsigned seed = 0; seed < 300; ++seed) {
    const configuration c = drawn_with(seed, plant);
    const std::string wrong = check_local_claims<drawn_machine>(c, {});
    found += wrong.empty() ? 0 : 1;
    said += wrong.find(why) == std::string::npos ? 0 : 1;
    const bool is_misled = searched<drawn_machine>(c).verdict !=
                           searched<drawn_machine>(c, {.uses_ample = true}).verdict;
    misled += is_misled ? 1 : 0;
    INFO(plant << ", seed " << seed);
    CHECK_FALSE((is_misled && wrong.empty()));
  }
  CHECK(found > 30);
  CHECK(said > 5);
  CHECK((misled > 0 || !misleads));
}

TEST_CASE("a local step may not touch what an invariant speaks of") {
  std::size_t found = 0;
  for (unsigned seed = 0; seed < 30; ++seed) {
    configuration c = drawn_with(seed);
    c.invariants.emplace_back("NobodyInOne");
    const std::string wrong = check_local_claims<drawn_machine>(c, {});
    if (wrong.empty()) continue;
    ++found;
    CHECK_THAT(wrong, Contains("Hop(p"));
    CHECK_THAT(wrong, Contains("it changes whether NobodyInOne holds"));
  }
  CHECK(found > 3);
}

}  // namespace
}  // namespace ct::model
