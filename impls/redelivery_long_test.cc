// SPDX-License-Identifier: BSD-2-Clause
/// Many destroy events that wait long: nothing is lost, nothing told twice, nothing left behind.
#include "impls/core/event_suite.h"

#include <catch2/catch.hpp>
#include <vector>

namespace ct::testing {
namespace {

TEST_CASE(
    "a listener blocked for a virtual minute under 100,000 destroyed connections gets each destroy "
    "event once, then nothing is left") {
  constexpr std::size_t connections = 100'000;
  for_each_impl([&](const impl& which) {
    host h(which, {.buckets = 65536});
    h.heard.keeps = false;
    const std::uint64_t begin = h.system().jiffies64();
    h.heard.refuses = [&](const event_message& m) {
      return m.has(event::destroy) && h.system().jiffies64() < begin + seconds(60);
    };
    std::vector<tuple> keys(connections, udp_tuple());
    for (std::size_t i = 0; i < connections; ++i) {
      keys[i].src.addr[2] = static_cast<std::uint8_t>(i >> 15);
      keys[i].src.id = static_cast<std::uint16_t>(i & 0x7fff);
    }
    REQUIRE(h.cpu().create(keys, 600) == connections);
    const std::size_t memory_full = h.system().memory_bytes();
    CHECK(h.cpu().kill(keys) == 0);
    CHECK(h.waiting() == connections);
    CHECK(h.system().count() == connections);
    CHECK(h.system().memory_bytes() <= memory_full);  // waiting takes no memory of its own
    h.wait(seconds(60) - 1);
    CHECK(h.heard.books.destroyed() == 0);
    CHECK(h.waiting() == connections);
    CHECK(h.broken() == "");
    h.wait(4);
    CHECK(h.heard.books.destroyed() == connections);
    CHECK(h.heard.books.known() == connections);
    CHECK(h.heard.books.finding() == "");
    CHECK(h.waiting() == 0);
    CHECK(h.system().count() == 0);
    CHECK(h.lost() == "");
    CHECK(h.broken() == "");
    const event_stat stat = h.system().event_statistics();
    CHECK(stat.delivered == 2 * connections);
    // Each once when it was killed, then one each 10 ms from the first second on.
    CHECK(stat.refused == connections + (seconds(59) + 2) / 3);
    // The memory serves again: as many new entries need no more than the old ones had.
    REQUIRE(h.cpu().create(keys, 600) == connections);
    CHECK(h.system().memory_bytes() <= memory_full + memory_full / 8);
  });
}

}  // namespace
}  // namespace ct::testing
