// SPDX-License-Identifier: BSD-2-Clause
/// The digest of a graph against python's hash and TLC's graph, and the printing of behaviours.
#include "harness/model/graph_digest.h"

#include "harness/model/behaviour.h"
#include "harness/model/naive_search.h"
#include "harness/model/toy_machines.h"
#include "spec/model/peterson.h"

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

namespace ct::model {
namespace {

std::string hex(std::string_view data) {
  std::string text;
  for (const std::uint8_t byte : blake2b_128(data)) text += fmt::format("{:02x}", byte);
  return text;
}

TEST_CASE("BLAKE2b gives what python's hashlib gives, around the length of a block") {
  CHECK(hex("") == "cae66941d9efbd404e4d88758ea67670");
  CHECK(hex("abc") == "cf4ab791c62b8d2b2109c90275287816");
  CHECK(hex(std::string(128, 'a')) == "1271d28e731afb57bdfba6bdaf3501be");
  CHECK(hex(std::string(129, 'a')) == "68b7bafbad5055c4ebe6eb170a0f8524");
}

TEST_CASE("sums of digests carry and wrap around") {
  std::array<std::uint8_t, 16> ones{};
  ones.fill(0xff);
  digest_sum sum;
  sum.add(ones);
  CHECK(sum.text() == std::string(32, 'f'));
  sum.add(ones);
  CHECK(sum.text() == std::string(31, 'f') + "e");
}

template <machine M>
graph_digest digested(const configuration& c) {
  const M m(c);
  memory_budget budget(1U << 30U);
  const state_graph<M> graph(m, budget, {}, {});
  return digest_of(m, graph, budget);
}

configuration two_threads(std::vector<std::string> faults = {}) {
  return toy_configuration(
      {{"Threads", {true, {"p1", "p2"}}}, {"Faults", {true, std::move(faults)}}});
}

TEST_CASE("the digest of Peterson's graph is that of the graph which TLC writes") {
  const graph_digest d = digested<peterson>(two_threads());
  // Of TLC 2.19's -dump dot,actionlabels for spec/tla/Peterson/good.cfg, by python as
  // graph_digest.h says.
  CHECK(d.edges == 34);
  CHECK(d.edges_hash == "8962c9ea069cc06f2256a0d2d799d172");
  CHECK(d.states_hash == "e2290bd64e7f4bd63dabcff80b5f7f83");
  const graph_digest other = digested<peterson>(two_threads({"\"turn_first\""}));
  CHECK(other.edges_hash != d.edges_hash);
  CHECK(other.states_hash != d.states_hash);
}

TEST_CASE("an edge counts once whatever its arguments, and one that changes nothing counts") {
  // One counter modulo 1: its only step leads back.
  const auto loop =
      toy_configuration({{"Counters", number_constant(2)}, {"Modulus", number_constant(1)}});
  CHECK(digested<counters_machine>(loop).edges == 1);
  for (unsigned seed = 0; seed < 30; ++seed) {
    const configuration c = drawn({.seed = seed});
    const naive_graph<drawn_machine> graph{drawn_machine(c)};
    std::set<std::tuple<std::size_t, std::uint16_t, std::size_t>> edges;
    for (const auto& e : graph.edges) edges.emplace(e.from, e.taken.action, e.to);
    CHECK(digested<drawn_machine>(c).edges == edges.size());
  }
}

behaviour two_states() {
  behaviour b;
  const auto variables = [](int n) {
    return std::vector<variable>{
        {"n", value::integer(n)},
        {"f", value::function({{value::model("p1"), value::boolean(true)}})},
        {"s", value::set({value::string("x")})},
        {"q", value::sequence({value::integer(1)})}};
  };
  b.states = {{"", variables(0)}, {"Bump(p1)", variables(1)}, {"Reset", variables(0)}};
  return b;
}

TEST_CASE("a behaviour is shown whole at first and then by what changes") {
  behaviour b = two_states();
  CHECK(behaviour_text(b) ==
        "    1  at first\n"
        "         n = 0\n"
        "         f = (p1 :> TRUE)\n"
        "         s = {\"x\"}\n"
        "         q = <<1>>\n"
        "    2  Bump(p1)\n"
        "     *   n = 1\n"
        "    3  Reset\n"
        "     *   n = 0\n");
  b.loop = 0;
  CHECK_THAT(behaviour_text(b), Catch::EndsWith("and so on for ever from 1\n"));
  b.loop = 2;
  CHECK_THAT(behaviour_text(b), Catch::EndsWith("and so it stays for ever\n"));
}

TEST_CASE("a behaviour is written in the Informal Trace Format") {
  behaviour b = two_states();
  b.loop = 0;
  const nlohmann::json itf = nlohmann::json::parse(behaviour_itf(b, "M/a breaks X"));
  CHECK(itf["#meta"]["format"] == "ITF");
  CHECK(itf["vars"] == nlohmann::json({"n", "f", "s", "q"}));
  CHECK(itf["loop"] == 0);
  REQUIRE(itf["states"].size() == 2);  // the last one repeats the first
  const nlohmann::json& second = itf["states"][1];
  CHECK(second["#meta"]["index"] == 1);
  CHECK(second["#meta"]["step"] == "Bump(p1)");
  CHECK(second["n"].dump() == R"({"#bigint":"1"})");
  CHECK(second["f"].dump() == R"({"#map":[["p1",true]]})");
  CHECK(second["s"].dump() == R"({"#set":["x"]})");
  CHECK(second["q"].dump() == R"({"#tup":[{"#bigint":"1"}]})");
  b.loop = 2;
  CHECK(nlohmann::json::parse(behaviour_itf(b, ""))["states"].size() == 3);
  b.loop.reset();
  CHECK_FALSE(nlohmann::json::parse(behaviour_itf(b, "")).contains("loop"));
}

}  // namespace
}  // namespace ct::model
