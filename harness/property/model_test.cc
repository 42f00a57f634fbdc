// SPDX-License-Identifier: BSD-2-Clause
/// Every table beside the contract machine, over random sequences of what can be asked of it.
#include "harness/property/sequence_suite.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <string_view>

namespace ct::property {
namespace {

void demand_agreement(int sequences) {
  int tables = 0;
  for (const impl& on : implementations()) {
    if (on.is_timing_only()) continue;
    ++tables;
    INFO(on.name);
    const auto found = search(on, sequences);
    INFO((found ? found->scenario : std::string()));
    CHECK_FALSE(found.has_value());
  }
  CHECK(tables > 0);
}

TEST_CASE("every table does what the contract machine does, whatever is asked of it") {
  demand_agreement(quick_sequences);
}

/// Actions that nobody can take who is alone, or that no command leads to.
bool is_out_of_reach(std::string_view action) {
  constexpr std::array<std::string_view, 9> list = {
      "ChainTooLong",     // chains of more than fifty
      "ClaimLost",        // two killers
      "ConfirmDying",     // no tracker here kills what is unconfirmed
      "GcDrop",           // a limit of a hundred at least
      "Glance",           // of lookups under way
      "KillUnconfirmed",  // see ConfirmDying
      "LookAway",         // see Glance
      "PutParked",        // with the telling at once, for who is alone
      "UnlinkReply",      // likewise: with the other one
  };
  return std::ranges::find(list, action) != list.end();
}

TEST_CASE("random sequences take every action that one thread can take") {
  const impl& on = *std::ranges::find(implementations(), "spinlock", &impl::name);
  record all;
  rc::detail::TestParams params = params_of(quick_sequences, 1);
  const auto run = [&] { RC_ASSERT(first_difference(on, *any_sequence(), &all).empty()); };
  (void)rc::detail::checkTestable(run, rc::detail::TestMetadata{}, params);
  for (const auto& action : model::conntrack::actions()) {
    INFO(action.name);
    CHECK(all.taken.contains(action.name) != is_out_of_reach(action.name));
  }
}

TEST_CASE("a packet that passes may go over to an entry that only replies find") {
  constexpr std::uint8_t a_back = 1;
  constexpr std::uint8_t c = 4;
  const sequence what{.limit = 0,
                      .seed = 1,
                      .commands = {{.what = verb::in, .slot = 1, .key = c},
                                   {.what = verb::alter_reply, .slot = 1, .key = a_back},
                                   {.what = verb::in, .slot = 2, .key = a_back},
                                   {.what = verb::confirm, .slot = 1},
                                   {.what = verb::confirm, .slot = 2},
                                   {.what = verb::kill, .key = c},
                                   {.what = verb::pass, .key = a_back}}};
  for (const impl& on : implementations()) {
    if (on.is_timing_only()) continue;
    INFO(on.name);
    record run;
    CHECK(first_difference(on, what, &run) == "");
    CHECK(run.taken["LinkReply"] == 1);
    CHECK(run.taken["Merge"] == 1);
  }
}

// Hidden: minutes; ctest asks for it by name, label long.
TEST_CASE("every table does so in a hundred thousand sequences", "[.][long]") {
  demand_agreement(100'000);
}

}  // namespace
}  // namespace ct::property
