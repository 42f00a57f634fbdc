// SPDX-License-Identifier: BSD-2-Clause
/// Are random sequences sharp? Behind a wrapper that does one thing wrong a sequence must differ,
/// and shrink to a few commands; behind a wrapper that does nothing, none.
#include "harness/property/sequence_suite.h"
#include "harness/scenario/wrapped_system.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>
#include <span>
#include <utility>

namespace ct::property {
namespace {

using harness::hooks;

/// Found and shrunk the same way each time.
constexpr std::uint64_t seed = 1;

struct fault {
  const char* what;
  std::size_t steps_most;  ///< commands that show it, when it has shrunk
  hooks (*plant)();
};

constexpr fault packet_faults[] = {
    {"netns are one", 3, [] { return hooks{.before_in = [](skb& s) { s.net = 0; }}; }},
    {"a reply is ESTABLISHED",
     2,
     [] {
       return hooks{.after_in = [](ct_system&, skb& s) {
         if (s.info == ctinfo::established_reply) s.info = ctinfo::established;
       }};
     }},
    {"a packet without room is accepted",
     4,
     [] { return hooks{.after_in = [](ct_system&, skb& s) { s.verdict = verdict::accept; }}; }},
    {"a clash does not merge",
     3,
     [] {
       return hooks{.after_confirm = [](ct_system&, skb& s, std::uint64_t id) {
         if (s.conn_id != id) s.verdict = verdict::drop;
       }};
     }},
    {"the loser of a clash keeps its own entry",
     3,
     [] {
       return hooks{.after_confirm = [](ct_system&, skb& s, std::uint64_t id) { s.conn_id = id; }};
     }},
    {"a packet that is dropped confirms",
     2,
     [] { return hooks{.before_free = [](ct::cpu& on, skb& s) {
            on.confirm({&s, 1});
          }}; }},
    {"NAT comes to nothing", 3, [] { return hooks{.forgets_to_alter = true}; }},
    {"an allocation that was refused is counted for ever",
     4,
     [] {
       const auto leaked = std::make_shared<std::size_t>(0);
       return hooks{.after_in = [leaked](ct_system&,
                                         skb& s) { *leaked += s.verdict == verdict::drop ? 1 : 0; },
                    .amount = [leaked](std::size_t is) { return is + *leaked; }};
     }},
};

constexpr fault end_faults[] = {
    {"a kill leaves the entry", 2, [] { return hooks{.kills_nothing = true}; }},
    {"a second kill wins too",
     1,
     [] { return hooks{.killed = [](std::size_t, std::size_t asked) { return asked; }}; }},
    {"a lookup misses the reply direction",
     1,
     [] {
       return hooks{.found = [](lookup_answer& a) {
         if (a.dir == dir::reply) a = {};
       }};
     }},
    {"an expired entry is returned", 6, [] { return hooks{.finds_expired = true}; }},
    {"a requested timeout is a second too long",
     1,
     [] { return hooks{.create = [](std::uint32_t& timeout_s) { ++timeout_s; }}; }},
    {"time is a jiffy ahead",
     2,
     [] { return hooks{.clock = [](std::uint64_t, std::uint64_t to) { return to + 1; }}; }},
    {"entries end a second early",
     2,
     [] {
       return hooks{.after_wait = [](ct::cpu& on) {
         (void)on.kill_if(
             [](const conn& c) { return c.timeout_jiffies > 0 && c.timeout_jiffies <= int{hz}; });
       }};
     }},
    {"gc on request does nothing", 5, [] { return hooks{.forgets_gc = true}; }},
    {"a flush misses one",
     2,
     [] {
       return hooks{.flushes = [is_first = std::make_shared<bool>(true)](bool is, const conn&) {
         return is && !std::exchange(*is_first, false);
       }};
     }},
    {"a resize loses an entry",
     2,
     [] {
       return hooks{.after_resize = [](ct::cpu& on) {
         (void)on.kill_if(
             [is_first = true](const conn&) mutable { return std::exchange(is_first, false); });
       }};
     }},
    {"the end of a netns takes the others along",
     3,
     [] {
       return hooks{
           .before_exit = [](ct::cpu& on) { (void)on.kill_if([](const conn&) { return true; }); }};
     }},
    {"the end of a netns is said too early",
     2,
     [] { return hooks{.holders = [](std::vector<netns_holder>& left) { left.clear(); }}; }},
};

constexpr fault event_faults[] = {
    {"DESTROY is told twice", 2, [] { return hooks{.told = harness::tell_destroy_twice}; }},
    {"NEW is lost", 1, [] { return hooks{.told = harness::lose<event_kind::new_>}; }},
    {"what was refused is lost", 4, [] { return hooks{.told = harness::lose_refused}; }},
    {"redelivery on request does nothing", 6, [] { return hooks{.forgets_to_redeliver = true}; }},
};

const impl& real() { return *std::ranges::find(implementations(), "spinlock", &impl::name); }

const fault* planted = nullptr;  // impl::make has no room for it

std::unique_ptr<ct_system> make_faulty(const system_options& options) {
  return std::make_unique<harness::wrapped_system>(planted == nullptr ? hooks{} : planted->plant(),
                                                   real(),
                                                   options);
}

impl faulty() {
  impl on = real();
  on.make = make_faulty;
  return on;
}

TEST_CASE("behind a wrapper that does nothing no sequence differs") {
  planted = nullptr;
  CHECK_FALSE(search(faulty(), quick_sequences).has_value());
}

void demand_found(std::span<const fault> faults) {
  for (const fault& one : faults) {
    planted = &one;
    INFO(one.what);
    const auto found = search(faulty(), quick_sequences, seed);
    planted = nullptr;
    CHECK(found.has_value());
    if (!found) continue;
    INFO(found->scenario);
    CHECK(found->steps <= one.steps_most);
  }
}

TEST_CASE("sequences find each fault in what packets do, and shrink") {
  demand_found(packet_faults);
}
TEST_CASE("sequences find each fault in time, deletion and size, and shrink") {
  demand_found(end_faults);
}
TEST_CASE("sequences find each fault in what is told, and shrink") { demand_found(event_faults); }

}  // namespace
}  // namespace ct::property
