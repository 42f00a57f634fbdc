// SPDX-License-Identifier: BSD-2-Clause
/// The limit of a chain, drawn anew each time, and netns that end under their packets on several
/// CPUs. For every implementation. What else one CPU can show of how entries go in and out stands
/// in workloads/scenarios/.
#include "impls/core/system_suite.h"

#include <array>
#include <atomic>
#include <thread>

namespace ct::system_test {
namespace {

/// In a table of one bucket both tuples of each entry lie in one chain. A new entry passes 51 to 80
/// of them (a limit of 50 and something below 30, and one more), so that 26 entries always get in
/// and never more than 41.
TEST_CASE("a chain too long refuses the new entry, at a length that is drawn anew each time") {
  constexpr std::uint16_t attempts = 1000;
  int checked = 0;
  for (const impl& which : implementations()) {
    if (!which.promises.has(letter::b4)) continue;
    ++checked;
    DYNAMIC_SECTION(which.name) {
      host h(which, {.buckets = 1});
      if (h.system().buckets() != 1) continue;  // it rounds up
      std::size_t accepted = 0;
      std::size_t first_refused = 0;
      for (std::uint16_t port = 1; port <= attempts; ++port) {
        const skb s = h.pass(request(port));
        accepted += s.verdict == verdict::accept ? 1 : 0;
        if (s.verdict == verdict::drop && first_refused == 0) first_refused = port;
      }
      CHECK(first_refused > 26);
      // Of so many attempts one has drawn each limit: missed with p < 1e-12.
      CHECK(accepted == 41);
      CHECK(h.system().count() == accepted);
      CHECK(h.stat().chaintoolong == attempts - accepted);
      CHECK(h.stat().insert_failed == attempts - accepted);
      CHECK(h.stat().drop == 0);
      CHECK(h.broken() == "");
    }
  }
  REQUIRE(checked >= 4);
}

/// A CPU that passes equal packets through 64 netns, in batches that stay in flight for a while,
/// and in the middle of it ends those whose number is `mine` modulo 4. Returns what went wrong.
std::string end_some_of(ct_system& system, netns_id mine) {
  constexpr netns_id netns_count = 64;
  constexpr std::uint16_t ports = 8;
  const std::unique_ptr<ct::cpu> cpu = system.attach();
  std::vector<bytes> packets;
  for (std::uint16_t port = 1; port <= ports; ++port) {
    packets.push_back(request(port));
    packets.push_back(answer(port));
  }
  std::vector<netns_id> ending;
  for (int round = 0; round < 6; ++round) {
    for (netns_id id = 0; id < netns_count; ++id) {
      std::vector<skb> flight;
      for (const bytes& ip : packets) {
        flight.push_back({.frame = ip,
                          .wire_bytes = static_cast<std::uint32_t>(ip.size()),
                          .link = link_type::raw,
                          .net = id});
      }
      cpu->in(flight);
      if (id % 4 == mine && round == 3) {
        // Packets of it are in flight, unconfirmed ones among them, maybe on the other CPU too.
        if (cpu->exit_netns(id).empty()) return "a netns ended under its packets";
        ending.push_back(id);
      }
      cpu->confirm(flight);
      cpu->free_skb(flight);
    }
  }
  for (const netns_id id : ending) {
    int passes = 0;
    while (!cpu->exit_netns(id).empty()) {
      std::this_thread::yield();
      if (++passes > 100'000) return "netns " + std::to_string(id) + " does not end";
    }
  }
  return {};
}

TEST_CASE("64 netns with equal tuples, half of them ending under their packets, drain to nothing") {
  for_each_impl([](const impl& which) {
    const std::unique_ptr<ct_system> system = which.make({.buckets = 256});
    std::array<std::string, 2> wrong;
    {
      std::vector<std::thread> threads;
      for (std::size_t t = 0; t < 2; ++t) {
        threads.emplace_back(
            [&, t] { wrong[t] = end_some_of(*system, static_cast<netns_id>(2 * t + 1)); });
      }
      for (std::thread& one : threads) one.join();
    }
    CHECK(wrong[0] == "");
    CHECK(wrong[1] == "");
    const std::unique_ptr<ct::cpu> cpu = system->attach();
    CHECK(system->broken_invariant(*cpu) == "");
    cpu->advance(system->jiffies64() + seconds(400));
    CHECK(system->count() == 0);
    CHECK(system->broken_invariant(*cpu) == "");
  });
}

}  // namespace
}  // namespace ct::system_test
