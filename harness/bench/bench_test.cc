// SPDX-License-Identifier: BSD-2-Clause
/// No figure without right answers: every planted fault must cost exactly the figures that it
/// spoils.
#include "harness/bench/bench.h"

#include "harness/bench/fake_system.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
namespace ct::bench {
namespace {

/// One short look at everything: one iteration more or less, whatever time it takes.
options short_look(std::vector<impl> impls) {
  return {.impls = std::move(impls),
          .connections = {1024},
          .threads = {1, 2},
          .repetitions = 1,
          .min_time_s = 0.001};
}

/// The benchmarks that have no figure, by name.
std::set<std::string> invalid(const report& of) {
  std::set<std::string> out;
  for (const row& r : of.rows) {
    if (r.ops_per_second) continue;
    CHECK_FALSE(r.error.empty());
    out.insert(r.benchmark);
  }
  return out;
}

const std::set<std::string> every_benchmark(benchmark_names().begin(), benchmark_names().end());

std::set<std::string> without(std::set<std::string> names,
                              std::initializer_list<const char*> some) {
  for (const char* name : some) names.erase(name);
  return names;
}

template <fault Planted>
std::set<std::string> spoiled_by() {
  const report got = run(short_look({fake_impl<Planted>("fake")}));
  CHECK(got.exit_code() == 3);
  CHECK(verdict_of(got).starts_with("invalid"));
  CHECK(text_of(got).find("INVALID") != std::string::npos);
  return invalid(got);
}

TEST_CASE("a right implementation and the one that stores nothing are measured") {
  const report got =
      run(short_look({fake_impl<fault::none>("fake"), fake_impl<fault::none, false>("noop")}));
  CHECK(invalid(got).empty());
  CHECK(got.exit_code() == 0);
  CHECK(verdict_of(got).starts_with("26 figures"));
  std::set<std::string> of_fake;
  std::set<std::string> of_noop;
  for (const row& r : got.rows) {
    REQUIRE(r.ops_per_second);
    CHECK(r.ops_per_second->median > 0);
    (r.impl == "fake" ? of_fake : of_noop).insert(r.benchmark);
  }
  CHECK(of_fake == every_benchmark);
  CHECK(of_noop == without(every_benchmark, {"gc", "gc_live"}));
  CHECK(got.rows.size() == (6 * 2 + 2) + 6 * 2);
}

TEST_CASE("a table that is wrong before the clock starts is not measured at all") {
  CHECK(spoiled_by<fault::wrong_direction>() == without(every_benchmark, {"gc", "replay"}));
  CHECK(spoiled_by<fault::lazy_create>().contains("confirm"));
}

TEST_CASE("a lookup that sometimes finds nothing has no figure") {
  CHECK(spoiled_by<fault::forgetful_lookup>().contains("lookup_hit_orig"));
}

TEST_CASE("a lookup that sometimes finds another entry has no figure") {
  CHECK(spoiled_by<fault::other_entry>().contains("lookup_hit_reply"));
}

TEST_CASE("a miss that hits has no figure, the other benchmarks have theirs") {
  CHECK(spoiled_by<fault::phantom>() == std::set<std::string>{"lookup_miss"});
}

TEST_CASE("an entry that is killed and stays counted is a leak") {
  const auto spoiled = spoiled_by<fault::leak>();
  CHECK(spoiled.contains("confirm"));
  CHECK(spoiled.contains("mixed"));
  CHECK(spoiled.contains("replay"));
}

TEST_CASE("a gc_worker that leaves an expired entry has no figure for gc alone") {
  CHECK(spoiled_by<fault::stuck_gc>() == std::set<std::string>{"gc"});
}

TEST_CASE("a gc_worker that reaps a live entry spoils what is measured after it") {
  CHECK(spoiled_by<fault::hasty_gc>().contains("gc_live"));
}

TEST_CASE("a packet with another outcome than in the first lap has no figure") {
  CHECK(spoiled_by<fault::moody_packets>().contains("replay"));
}

TEST_CASE("who differs from the majority about a packet has no figure, the majority has") {
  const report got = run(short_look({fake_impl<fault::none>("one"),
                                     fake_impl<fault::none>("two"),
                                     fake_impl<fault::other_opinion>("third")}));
  CHECK(got.exit_code() == 3);
  for (const row& r : got.rows) {
    CHECK(r.ops_per_second.has_value() == (r.impl != "third" || r.benchmark != "replay"));
  }
}

TEST_CASE("an invariant that is broken at rest costs every figure of its table") {
  CHECK(spoiled_by<fault::broken_at_rest>() == without(every_benchmark, {"replay"}));
}

TEST_CASE("the JSON has a row a benchmark, with numbers or with the reason why there are none") {
  report some{.rows = {{"rcu", "confirm", 2, 1024, figure{2e6, 1e6, 3e6}},
                       {"rcu", "gc", 1, 1024, std::nullopt, "lost one"}},
              .seed = 42,
              .repetitions = 3};
  CHECK(figures_of(some)["invalid"] == 1);
  CHECK(figures_of(some)["benchmarks"] == 2);
  const nlohmann::json rows = rows_of(some);
  REQUIRE(rows.size() == 2);
  CHECK(rows[0] == nlohmann::json({{"impl", "rcu"},
                                   {"benchmark", "confirm"},
                                   {"threads", 2},
                                   {"connections", 1024},
                                   {"ops_per_second", 2e6},
                                   {"ops_per_second_low", 1e6},
                                   {"ops_per_second_high", 3e6}}));
  CHECK(rows[1]["ops_per_second"].is_null());
  CHECK(rows[1]["error"] == "lost one");
  CHECK(some.exit_code() == 3);
  some.rows.pop_back();
  CHECK(some.exit_code() == 0);
  CHECK(figures_of(some)["invalid"] == 0);
}

TEST_CASE("the table has a line an implementation and size, and fits 120 columns") {
  report some{.rows = {}, .seed = 1, .repetitions = 3, .replay_packets = 6000};
  for (const std::string_view benchmark : benchmark_names()) {
    for (const std::string impl : {"a_name_of_15_ch", "rcu"}) {
      some.rows.push_back({impl, std::string(benchmark), 1, 1048576, figure{123.4e6, 1e6, 300e6}});
    }
  }
  const std::string text = text_of(some);
  std::istringstream lines(text);
  int with_rcu = 0;
  for (std::string line; std::getline(lines, line);) {
    CHECK(std::ranges::count_if(line, [](char c) { return (c & 0xc0) != 0x80; }) <= 120);
    with_rcu += line.starts_with("rcu ") ? 1 : 0;
  }
  CHECK(with_rcu == 2);  // tables, replay
  CHECK(text.find("1,048,576") != std::string::npos);
  CHECK(text.find("123 ±121%") != std::string::npos);
}

TEST_CASE("options that make no sense are refused in one line before anything runs") {
  const auto refuses = [](auto change) {
    options some = short_look({fake_impl<fault::none>("fake")});
    change(some);
    CHECK_THROWS_AS(run(some), bad_options);
  };
  refuses([](options& o) { o.impls.clear(); });
  refuses([](options& o) { o.threads = {0}; });
  refuses([](options& o) { o.threads.clear(); });
  refuses([](options& o) { o.connections = {8}; });
  refuses([](options& o) { o.repetitions = 0; });
  refuses([](options& o) { o.filter = std::string("("); });
  refuses([](options& o) { o.filter = std::string("no_such_benchmark"); });
}

TEST_CASE("a filter selects by benchmark, implementation, connections and threads") {
  options some = short_look({fake_impl<fault::none>("fake"), fake_impl<fault::none>("other")});
  some.filter = "(miss|confirm)/fake/.*threads:2";
  const report got = run(some);
  REQUIRE(got.rows.size() == 2);
  CHECK(got.rows[0].benchmark == "lookup_miss");
  CHECK(got.rows[1].benchmark == "confirm");
  CHECK(got.rows[1].impl == "fake");
  CHECK(got.rows[1].threads == 2);
}

TEST_CASE("Google's JSON is one document over all sizes, with its own names and every repetition") {
  options some = short_look({fake_impl<fault::none>("fake")});
  some.connections = {128, 1024};
  some.repetitions = 2;
  some.filter = "miss|replay";
  const auto json = nlohmann::json::parse(run(some).google_json);
  CHECK(json["context"].contains("num_cpus"));
  int iterations = 0;
  for (const auto& one : json["benchmarks"]) {
    if (one["run_type"] != "iteration") continue;
    ++iterations;
    CHECK(one["items_per_second"] > 0);
    CHECK(one["real_time"] > 0);
  }
  CHECK(iterations == (2 * 2 + 2) * 2);
}

TEST_CASE("progress begins above nothing, never falls, and ends at no more than all") {
  double last = 0;
  options some = short_look({fake_impl<fault::none>("fake")});
  some.filter = "miss";
  some.progress = [&](double share, std::string_view what) {
    CHECK(share >= last);
    CHECK(share <= 1);
    CHECK(what.find("lookup_miss/fake/connections:1024") == 0);
    last = share;
  };
  run(some);
  CHECK(last > 0);
}

}  // namespace
}  // namespace ct::bench
