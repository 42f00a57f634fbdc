// SPDX-License-Identifier: BSD-2-Clause
/// Fairness by hand and against the definition, tried on every set of states.
#include "harness/model/liveness.h"

#include "harness/model/graph_digest.h"
#include "harness/model/machines.h"
#include "harness/model/naive_search.h"
#include "harness/model/toy_machines.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>

namespace ct::model {
namespace {

/// Edges are given as {from, to, step}; step s is a step of what masks[s] says.
struct hand_made {
  edge_rows rows;
  std::vector<fairness_mask> masks;

  hand_made(std::size_t states,
            const std::vector<std::array<std::uint32_t, 3>>& edges,
            std::vector<fairness_mask> step_masks)
      : masks(std::move(step_masks)) {
    for (state_number s = 0; s < states; ++s) {
      for (const auto& [from, to, step] : edges) {
        if (from == s) rows.edges.push_back({to, step});
      }
      rows.first.push_back(rows.edges.size());
    }
  }

  /// Sorted; empty: none.
  std::vector<state_number> fair_set(fairness_mask weak,
                                     fairness_mask strong,
                                     const std::vector<bool>& within) const {
    auto found = find_fair_set(fair_graph(rows, masks, weak, strong), within);
    if (!found) return {};
    std::ranges::sort(*found);
    return *found;
  }
};

using states_found = std::vector<state_number>;

/// A door that opens (0 to 1, step 0) and closes (1 to 0, step 1); who waits may enter (1 to 2,
/// step 2) while it is open.
const hand_made door(3, {{0, 1, 0}, {1, 0, 1}, {1, 2, 2}}, {0b01, 0b01, 0b10});
constexpr fairness_mask turns = 0b01;
constexpr fairness_mask enters = 0b10;
const std::vector<bool> waiting = {true, true, false};

TEST_CASE("weak fairness lets a door close on who waits again and again, strong does not") {
  CHECK(door.fair_set(turns | enters, 0, waiting) == states_found{0, 1});
  CHECK(door.fair_set(turns, enters, waiting).empty());
}

TEST_CASE(
    "without fairness of the door it stays closed, which strong fairness of entering allows") {
  CHECK(door.fair_set(0, enters, waiting) == states_found{0});
  CHECK(door.fair_set(turns, enters, waiting).empty());
}

TEST_CASE("weak fairness forbids to stay where a step is possible all the time") {
  const std::vector<bool> open = {false, true, false};
  CHECK(door.fair_set(0, 0, open) == states_found{1});
  CHECK(door.fair_set(enters, 0, open).empty());
  CHECK(door.fair_set(0, enters, open).empty());
}

TEST_CASE("a step that changes nothing is no step for fairness") {
  const hand_made idler(2, {{0, 0, 0}, {0, 1, 1}}, {0b1, 0b10});
  // Step 0 is never enabled, as it changes nothing; so it stays in 0 unless step 1 must be.
  CHECK(idler.fair_set(0b01, 0, {true, false}) == states_found{0});
  CHECK(idler.fair_set(0, 0b01, {true, false}) == states_found{0});
  CHECK(idler.fair_set(0b10, 0, {true, false}).empty());
}

TEST_CASE("strong fairness is met inside a component by leaving out where it is enabled") {
  // A ring 0 1 2 with a shortcut 1 to 0; in 2 the step 3 out of it is possible.
  const hand_made ring(4, {{0, 1, 0}, {1, 2, 0}, {2, 0, 0}, {1, 0, 0}, {2, 3, 1}}, {0b01, 0b10});
  const std::vector<bool> within = {true, true, true, false};
  CHECK(ring.fair_set(0b01, 0, within) == states_found{0, 1, 2});
  CHECK(ring.fair_set(0b01, 0b10, within) == states_found{0, 1});
}

TEST_CASE("a fair cycle takes what fairness wants and returns to where it began") {
  const fair_graph graph(door.rows, door.masks, turns | enters, 0);
  const graph_path cycle = fair_cycle(graph, {0, 1}, 1);
  CHECK(cycle.first == 1);
  REQUIRE(cycle.edges.size() == 2);
  CHECK(cycle.edges[0].to == 0);
  CHECK(cycle.edges[1].to == 1);
  const graph_path way = path_into(door.rows, 1, {true, false, false}, waiting, {1});
  REQUIRE(way.edges.size() == 1);
  CHECK(way.last() == 1);
}

TEST_CASE("the way to a cycle may see the promise kept before it is broken") {
  // 0 waits, 1 is served, 2 waits and stays.
  const hand_made line(3, {{0, 1, 0}, {1, 2, 0}}, {0});
  const graph_path way = path_into(line.rows, 1, {true, false, true}, {true, false, true}, {2});
  CHECK(way.first == 0);
  CHECK(way.edges.size() == 2);
}

/// The definition itself: is there a set of at most 12 states, strongly connected, that is fair?
class naive_fairness {
 public:
  naive_fairness(const drawn_machine& m, const naive_graph<drawn_machine>& graph)
      : machine_(m), graph_(graph) {}

  /// nullopt: the region is too large to try.
  std::optional<bool> is_broken(const leads_to<drawn_machine>& property, index_t element) const {
    const auto has = [&](auto promise, std::size_t s) {
      return promise(machine_, graph_.states[s], element);
    };
    std::set<std::size_t> region;
    for (std::size_t s = 0; s < graph_.states.size(); ++s) {
      if (has(property.from, s) && !has(property.to, s)) region.insert(s);
    }
    for (std::size_t before = 0; before != region.size();) {
      before = region.size();
      for (const auto& e : graph_.edges) {
        if (region.contains(e.from) && !has(property.to, e.to)) region.insert(e.to);
      }
    }
    constexpr std::size_t too_many = 12;
    if (region.size() > too_many) return std::nullopt;
    const std::vector<std::size_t> nodes(region.begin(), region.end());
    for (std::uint32_t bits = 1; bits < 1U << nodes.size(); ++bits) {
      std::set<std::size_t> chosen;
      for (std::size_t i = 0; i < nodes.size(); ++i) {
        if ((bits >> i & 1U) != 0) chosen.insert(nodes[i]);
      }
      if (is_connected(chosen) && is_fair(chosen)) return true;
    }
    return false;
  }

  /// Do the states of a cycle and its edges satisfy every fairness?
  bool is_fair_cycle(const std::vector<std::size_t>& states, const std::vector<step>& taken) const {
    return for_each_fairness([&](const fairness<drawn_machine>& f, index_t i) {
      const auto is_enabled_in = [&](std::size_t s) { return is_enabled(f, i, s); };
      const bool is_taken =
          std::ranges::any_of(taken, [&](const step& t) { return f.covers(machine_, t, i); });
      const bool excuses = f.is_strong ? std::ranges::none_of(states, is_enabled_in)
                                       : !std::ranges::all_of(states, is_enabled_in);
      return is_taken || excuses;
    });
  }

 private:
  bool is_enabled(const fairness<drawn_machine>& f, index_t i, std::size_t s) const {
    return std::ranges::any_of(graph_.edges, [&](const auto& e) {
      return e.from == s && e.to != s && f.covers(machine_, e.taken, i);
    });
  }

  template <class Holds>
  bool for_each_fairness(Holds&& holds) const {
    for (const fairness<drawn_machine>& f : drawn_machine::fairness_of()) {
      for (index_t i = 0; i < machine_.size(f.over); ++i) {
        if (!holds(f, i)) return false;
      }
    }
    return true;
  }

  bool is_connected(const std::set<std::size_t>& chosen) const {
    for (const std::size_t root : chosen) {
      std::set<std::size_t> reached = {root};
      for (std::size_t before = 0; before != reached.size();) {
        before = reached.size();
        for (const auto& e : graph_.edges) {
          if (reached.contains(e.from) && chosen.contains(e.to)) reached.insert(e.to);
        }
      }
      if (reached.size() != chosen.size()) return false;
    }
    return true;
  }

  bool is_fair(const std::set<std::size_t>& chosen) const {
    std::vector<step> taken;
    for (const auto& e : graph_.edges) {
      if (chosen.contains(e.from) && chosen.contains(e.to) && e.from != e.to)
        taken.push_back(e.taken);
    }
    return is_fair_cycle({chosen.begin(), chosen.end()}, taken);
  }

  const drawn_machine& machine_;
  const naive_graph<drawn_machine>& graph_;
};

/// Is it a behaviour of the machine, fair, and does it break the promise for some element?
void expect_breaks(const drawn_machine& m,
                   const naive_graph<drawn_machine>& graph,
                   const leads_to<drawn_machine>& property,
                   const behaviour& shown) {
  std::map<std::string, std::size_t> number;
  for (std::size_t s = 0; s < graph.states.size(); ++s) {
    number[state_text(m.show(graph.states[s]))] = s;
  }
  std::vector<std::size_t> path;
  std::vector<step> steps = {{}};
  for (const behaviour_state& s : shown.states) {
    path.push_back(number.at(state_text(s.variables)));
    if (path.size() == 1) continue;
    const auto found = std::ranges::find_if(graph.edges, [&](const auto& e) {
      return e.from == path[path.size() - 2] && e.to == path.back() &&
             step_text(m, e.taken) == s.step;
    });
    REQUIRE(found != graph.edges.end());
    steps.push_back(found->taken);
  }
  CHECK(path.front() == 0);
  REQUIRE(shown.loop);
  REQUIRE(*shown.loop < path.size());
  CHECK(path[*shown.loop] == path.back());
  const auto loop = static_cast<std::ptrdiff_t>(*shown.loop);
  CHECK(naive_fairness(m, graph).is_fair_cycle({path.begin() + loop, path.end()},
                                               {steps.begin() + loop + 1, steps.end()}));
  const auto is_broken_for = [&](index_t element) {
    bool is_open = false;
    for (const std::size_t s : path) {
      is_open |= property.from(m, graph.states[s], element);
      is_open &= !property.to(m, graph.states[s], element);
    }
    return is_open;
  };
  CHECK((is_broken_for(0) || (m.size(property.over) > 1 && is_broken_for(1))));
}

TEST_CASE(
    "on drawn machines a promise of behaviours breaks exactly if some set of states is fair") {
  const std::vector<std::string> fairness = GENERATE(std::vector<std::string>{},
                                                     std::vector<std::string>{"weak"},
                                                     std::vector<std::string>{"strong"},
                                                     std::vector<std::string>{"weak", "strong"});
  std::size_t broken = 0;
  std::size_t held = 0;
  for (unsigned seed = 0; seed < 400; ++seed) {
    const configuration c = drawn({.seed = seed,
                                   .processes = 1 + seed % 2,
                                   .locals = 4,
                                   .shared = seed % 2 == 0 ? 4U : 2U,
                                   .fairness = fairness});
    const drawn_machine m(c);
    const naive_graph<drawn_machine> naive(m);
    const leads_to<drawn_machine>& property = drawn_machine::leads_to_properties()[0];
    bool expected = false;
    bool is_known = true;
    for (index_t p = 0; p < m.size(property.over); ++p) {
      const std::optional<bool> one = naive_fairness(m, naive).is_broken(property, p);
      is_known &= one.has_value();
      expected |= one.value_or(false);
    }
    if (!is_known) continue;
    memory_budget budget(1U << 30U);
    const state_graph<drawn_machine> graph(m, budget, {}, {});
    const auto found = liveness<drawn_machine>(m, graph, budget, true).check(property);
    INFO("seed " << seed);
    REQUIRE(found.has_value() == expected);
    if (found) expect_breaks(m, naive, property, found->behaviour);
    ++(expected ? broken : held);
  }
  CHECK(broken > 20);
  CHECK(held > 50);
}

TEST_CASE("a drawn machine keeps more promises the fairer it is") {
  std::vector<std::size_t> held;
  for (const std::vector<std::string>& fairness :
       {std::vector<std::string>{}, {"weak"}, {"weak", "strong"}}) {
    held.push_back(0);
    for (unsigned seed = 0; seed < 150; ++seed) {
      const drawn_machine m(drawn({.seed = seed, .processes = 2, .fairness = fairness}));
      memory_budget budget(1U << 30U);
      const state_graph<drawn_machine> graph(m, budget, {}, {});
      const liveness<drawn_machine> behaviours(m, graph, budget, true);
      held.back() += behaviours.check(drawn_machine::leads_to_properties()[0]) ? 0 : 1;
    }
  }
  CHECK(held[0] < held[1]);
  CHECK(held[1] < held[2]);
}

TEST_CASE("without SPECIFICATION no fairness is assumed, and who waits may wait for ever") {
  const checked_machine* peterson = find_machine("Peterson");
  REQUIRE(peterson != nullptr);
  configuration c = toy_configuration({{"Threads", {true, {"p1", "p2"}}}, {"Faults", {true, {}}}},
                                      {},
                                      {"WaitsThenWorks"});
  CHECK(peterson->check(c, {}, {}).verdict == verdict::holds);
  c.assumes_fair = false;
  const report done = peterson->check(c, {}, {});
  REQUIRE(done.broken);
  CHECK(done.broken->name == "WaitsThenWorks");
  CHECK(done.broken->behaviour.loop == done.broken->behaviour.states.size() - 1);
}

TEST_CASE("a graph that does not fit is said, and the promise is not called kept") {
  const checked_machine* peterson = find_machine("Peterson");
  REQUIRE(peterson != nullptr);
  const configuration c =
      toy_configuration({{"Threads", {true, {"p1", "p2"}}}, {"Faults", {true, {}}}},
                        {},
                        {"WaitsThenWorks"});
  memory_budget budget(1000);
  CHECK_THROWS_WITH(budget.take(1001, "the edges"),
                    Catch::Contains("the next growth of the edges"));
  budget.take(900, "the edges");
  CHECK_THROWS_AS(budget.take(101, "the edges"), stopped_by_limit);
  budget.give_back(900);
  CHECK_NOTHROW(budget.take(1000, "the edges"));
  const report done = peterson->check(c, {.states_max = 19}, {});
  CHECK(done.verdict == verdict::unknown);
}

}  // namespace
}  // namespace ct::model
