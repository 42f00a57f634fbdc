// SPDX-License-Identifier: BSD-2-Clause
/// Runs of every plan on every implementation: what is written down, and the laws at rest, each
/// with the fault that it must find.
#include "harness/check/run.h"

#include "harness/check/diagram.h"
#include "harness/check/laws.h"
#include "harness/scenario/wrapped_system.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace ct::check {
namespace {

using harness::hooks;
using workloads::run_plan;

std::vector<run_plan> plans() { return workloads::read_run_plans(CT_RUNS); }
run_plan plan_called(const std::string& name) {
  return workloads::read_run_plan_file(CT_RUNS "/" + name + ".run");
}
const impl& called(std::string_view name) {
  return *std::ranges::find(implementations(), name, &impl::name);
}

std::vector<operation> history_of(const impl& which,
                                  const run_plan& plan,
                                  const run_options& options,
                                  std::string* broken = nullptr) {
  std::vector<operation> all;
  const run_outcome came = run(which, plan, options, [&](std::span<const operation> slice) {
    all.insert(all.end(), slice.begin(), slice.end());
    return true;
  });
  if (broken != nullptr) *broken = came.broken_law;
  return all;
}

TEST_CASE("on every implementation each plan runs, keeps the laws, and is written down in order") {
  for (const impl& which : implementations()) {
    if (which.is_timing_only()) continue;
    for (const run_plan& plan : plans()) {
      DYNAMIC_SECTION(which.name << ", " << plan.name) {
        std::string broken;
        const std::vector<operation> all =
            history_of(which,
                       plan,
                       {.threads = 3, .operations = 3000, .slice = 1000, .jitter = 50},
                       &broken);
        CHECK(broken == "");
        CHECK(all.size() >= 2900);
        CHECK(std::ranges::is_sorted(all, {}, &operation::call));
        std::map<std::uint16_t, std::uint64_t> ends;
        std::size_t wrong = 0;
        for (const operation& o : all) {
          wrong += o.ret < o.call || (o.verb != verb::shown && o.call < ends[o.thread]) ? 1 : 0;
          wrong += o.key >= 2 * plan.flows ? 1 : 0;
          ends[o.thread] = o.ret;
        }
        CHECK(wrong == 0);
        CHECK(ends.size() == 3);
        const check_report judged = check(all, facts_of(plan));
        CHECK(judged.outcome == outcome::allowed);
        for (const finding& f : judged.findings) {
          UNSCOPED_INFO(f.what);
          for (const std::size_t i : f.operations) UNSCOPED_INFO(words_of(all[i]));
          CHECK(f.what == "");
        }
      }
    }
  }
}

TEST_CASE("the history of one thread is the same each time, but for its stamps") {
  const run_plan plan = plan_called("mixed");
  const run_options options{.threads = 1, .operations = 2000, .seed = 7};
  const auto without_stamps = [](std::vector<operation> all) {
    for (operation& o : all) o.call = o.ret = 0;
    return all;
  };
  const auto text = [&](std::uint64_t seed) {
    run_options other = options;
    other.seed = seed;
    std::string out;
    for (const operation& o : without_stamps(history_of(called("rcu"), plan, other))) {
      out += std::to_string(static_cast<int>(o.verb)) + ":" +
             std::to_string(static_cast<int>(o.answer)) + ":" + std::to_string(o.key) + ":" +
             std::to_string(o.id) + " ";
    }
    return out;
  };
  CHECK(text(7) == text(7));
  CHECK(text(7) != text(8));
}

TEST_CASE("a history shows what its plan is about") {
  const auto answers = [](const std::string& name) {
    std::set<std::pair<verb, answer>> met;
    for (const operation& o :
         history_of(called("rcu"), plan_called(name), {.operations = 20'000})) {
      met.insert({o.verb, o.answer});
    }
    return met;
  };
  CHECK(answers("mixed").contains({verb::kill, answer::won}));
  CHECK(answers("same_tuple").contains({verb::confirm, answer::merged}));
  CHECK(answers("nat_clash").contains({verb::confirm, answer::clashed}));
  CHECK(answers("table_full").contains({verb::in, answer::refused}));
  CHECK(answers("flush_dump").contains({verb::shown, answer::none}));
  CHECK(answers("netns_exit").contains({verb::exit, answer::none}));
}

TEST_CASE("who says stop after a slice stops the run, and the laws are asked all the same") {
  std::size_t slices = 0;
  const run_outcome came = run(called("spinlock"),
                               plan_called("mixed"),
                               {.operations = 10'000, .slice = 1000},
                               [&](std::span<const operation>) { return ++slices < 3; });
  CHECK(came.was_stopped);
  CHECK(slices == 3);
  CHECK(came.operations < 5000);
  CHECK(came.broken_law == "");
}

/// Each message by a thread of its own, one after another.
std::string found_by_books(const std::vector<event>& told) {
  run_listener listener(stamp_clock::choose());
  for (const event e : told) {
    std::thread([&] {
      event_message message{.bits = bit(e), .entry = {}};
      message.entry.id = 7;
      (void)listener.deliver(message);
    }).join();
  }
  return listener.books().finding();
}

TEST_CASE("what several threads hear of an entry is in the books in the order of its telling") {
  CHECK(found_by_books({event::new_, event::assured, event::destroy}) == "");
  CHECK(found_by_books({event::destroy, event::new_}).find("DESTROY before NEW") !=
        std::string::npos);
  CHECK(found_by_books({event::new_, event::destroy, event::destroy}).find("DESTROY twice") !=
        std::string::npos);
}

hooks planted;  // impl::make has no room for them
std::unique_ptr<ct_system> make_faulty(const system_options& options) {
  return std::make_unique<harness::wrapped_system>(planted, called("rcu"), options);
}
std::string law_broken_with(hooks fault, const std::string& plan) {
  planted = std::move(fault);
  impl faulty = called("rcu");
  faulty.make = make_faulty;
  std::string broken;
  (void)history_of(faulty, plan_called(plan), {.threads = 1, .operations = 2000}, &broken);
  return broken;
}

/// True for every n-th call, of whatever thread.
bool every(std::uint64_t n) {
  static std::atomic<std::uint64_t> calls{0};
  return calls.fetch_add(1, std::memory_order_relaxed) % n == 0;  // relaxed: a counter
}

struct wrong_answer {
  const char* what;
  const char* plan;
  letter breaks;
  hooks fault;
};

TEST_CASE("a system with one wrong answer is found out, in a few operations") {
  const wrong_answer faults[] = {
      {"a lookup forgets",
       "mixed",
       letter::a1,
       {.found =
            [](lookup_answer& a) {
              if (every(50)) a = {};
            }}},
      {"a lookup names another entry",
       "mixed",
       letter::a2,
       {.found =
            [](lookup_answer& a) {
              if (a.conn_id != 0 && every(50)) a.conn_id += 1U << 20;
            }}},
      {"a lookup says the wrong direction",
       "mixed",
       letter::a2,
       {.found = [](lookup_answer& a) { a.dir = dir::original; }}},
      {"a killed entry stays", "mixed", letter::d2, {.kills_nothing = true}},
      {"a kill of nothing is won",
       "mixed",
       letter::d1,
       {.killed = [](std::size_t, std::size_t asked) { return asked; }}},
      // What is certainly gone is forgotten: who finds it then has found what never was.
      {"a flush leaves one",
       "flush_dump",
       letter::a2,
       {.flushes = [](bool is_chosen, const conn&) { return is_chosen && !every(20); }}},
      {"an expired entry is found", "lookup_gc", letter::e1, {.finds_expired = true}},
  };
  for (const wrong_answer& one : faults) {
    DYNAMIC_SECTION(one.what) {
      planted = one.fault;
      impl faulty = called("rcu");
      faulty.make = make_faulty;
      const run_plan plan = plan_called(one.plan);
      const std::vector<operation> all = history_of(faulty, plan, {.operations = 4000});
      const check_report judged = check(all, facts_of(plan));
      REQUIRE(judged.outcome == outcome::violated);
      INFO(judged.findings[0].what);
      CHECK(judged.findings[0].operations.size() <= 8);
      CHECK(std::ranges::any_of(judged.findings,
                                [&](const finding& f) { return f.letter == one.breaks; }));
    }
  }
}

TEST_CASE("each law at rest finds the fault that breaks it") {
  CHECK(law_broken_with({}, "mixed") == "");
  CHECK(law_broken_with({.told = harness::tell_destroy_twice}, "mixed").find("DESTROY twice") !=
        std::string::npos);
  CHECK(law_broken_with({.told = harness::lose<event_kind::new_>}, "mixed").find("before NEW") !=
        std::string::npos);
  CHECK(law_broken_with({.told = harness::lose<event_kind::destroy>}, "mixed")
            .find("DESTROY are lost") != std::string::npos);
  CHECK(law_broken_with({.told = harness::lose_refused}, "deaf_listener") != "");
  CHECK(law_broken_with({.clock = [](std::uint64_t now, std::uint64_t) { return now; }}, "mixed")
            .find("after all have expired") != std::string::npos);
  const auto keep_a_reference = [](ct::cpu& on, skb& s) {
    skb again = s;
    again.nfct = nullptr;
    on.in({&again, 1});
  };
  CHECK(law_broken_with({.before_free = keep_a_reference}, "mixed") != "");
  CHECK(law_broken_with({.amount = [](std::size_t is) { return is + 1; }}, "mixed")
            .find("nf_conntrack_count is 1") != std::string::npos);
}

}  // namespace
}  // namespace ct::check
