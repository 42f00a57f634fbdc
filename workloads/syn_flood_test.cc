// SPDX-License-Identifier: BSD-2-Clause
/// A flood is what its options say, the same for a seed, and holds no more than a jiffy of itself.
#include "workloads/syn_flood.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace ct::workloads {
namespace {

constexpr syn_flood_options small = {.seed = 5,
                                     .connections = 300,
                                     .connections_per_s = 100,
                                     .syns_per_connection = 7,
                                     .step_jiffies = 3};

/// Addresses and ports of an Ethernet frame with IPv4 and TCP.
std::string flow_of(const skb& s) {
  std::string out;
  for (const std::byte b : s.frame.subspan(26, 12)) out += static_cast<char>(b);
  return out;
}
unsigned flags_of(const skb& s) { return std::to_integer<unsigned>(s.frame[14 + 20 + 13]); }

std::uint64_t digest_of(const syn_flood_options& options) {
  std::uint64_t digest = 0;
  syn_flood flood(options);
  for (flood_batch b = flood.next(); !b.packets.empty(); b = flood.next()) {
    for (const skb& s : b.packets) {
      for (const std::byte byte : s.frame) {
        digest = digest * 0x100'0000'01b3ULL + std::to_integer<unsigned>(byte);
      }
      digest += s.jiffies64;
    }
  }
  return digest;
}

TEST_CASE("a flood has the connections and SYNs that were asked for, evenly over its time") {
  syn_flood flood(small);
  std::map<std::uint64_t, std::vector<std::uint64_t>> times;  // [connection][step]
  std::set<std::string> legitimate;
  std::set<std::string> flooding;
  std::uint64_t syns = 0;
  std::uint64_t last = small.begin - 1;
  for (flood_batch b = flood.next(); !b.packets.empty(); b = flood.next()) {
    CHECK(b.jiffies64 > last);
    last = b.jiffies64;
    REQUIRE(b.about.size() == b.packets.size());
    std::set<std::uint64_t> in_this_jiffy;
    for (std::size_t i = 0; i < b.packets.size(); ++i) {
      CHECK(b.packets[i].jiffies64 == b.jiffies64);
      if (b.about[i].connection == flood_packet::nobody) {
        ++syns;
        CHECK(flags_of(b.packets[i]) == 0x02);
        flooding.insert(flow_of(b.packets[i]));
        continue;
      }
      CHECK(in_this_jiffy.insert(b.about[i].connection).second);
      std::vector<std::uint64_t>& of_this = times[b.about[i].connection];
      CHECK(of_this.size() == static_cast<std::size_t>(b.about[i].step));
      of_this.push_back(b.jiffies64);
      if (b.about[i].step == flood_step::syn) legitimate.insert(flow_of(b.packets[i]));
    }
    // Neither is ahead of the other by more than a jiffy's worth.
    const std::uint64_t due = times.size() * small.syns_per_connection;
    const std::uint64_t apart = due > syns ? due - syns : syns - due;
    CHECK(apart <= small.syns_per_connection);
  }
  CHECK(times.size() == small.connections);
  for (const auto& [number, of_this] : times) {
    REQUIRE(of_this.size() == flood_steps);
    CHECK(of_this.back() - of_this.front() == (flood_steps - 1) * small.step_jiffies);
  }
  CHECK(syns == small.connections * small.syns_per_connection);
  CHECK(legitimate.size() == small.connections);
  CHECK(flooding.size() == syns);  // random, but 2^46 sources
  for (const std::string& flow : legitimate) CHECK_FALSE(flooding.contains(flow));
  const std::uint64_t took = times.rbegin()->second.front() - small.begin + 1;
  CHECK(took == small.connections * hz / small.connections_per_s);
}

TEST_CASE("a connection that is given up sends nothing more; all others and the flood go on") {
  const auto count = [](bool gives_up) {
    syn_flood flood(small);
    std::map<std::uint64_t, int> packets;  // [connection]
    for (flood_batch b = flood.next(); !b.packets.empty(); b = flood.next()) {
      for (const flood_packet& p : b.about) {
        ++packets[p.connection];
        if (gives_up && p.connection == 17 && p.step == flood_step::ack) flood.give_up(17);
      }
    }
    return packets;
  };
  std::map<std::uint64_t, int> whole = count(false);
  std::map<std::uint64_t, int> less = count(true);
  CHECK(whole[17] == 8);
  CHECK(less[17] == 3);
  whole.erase(17);
  less.erase(17);
  CHECK(whole == less);
}

TEST_CASE("a seed repeats its flood, another seed makes another") {
  syn_flood_options other = small;
  other.seed = 6;
  CHECK(digest_of(small) == digest_of(small));
  CHECK(digest_of(small) != digest_of(other));
}

TEST_CASE("a flood without SYNs is its connections alone, and without connections it is nothing") {
  syn_flood_options peace = small;
  peace.syns_per_connection = 0;
  syn_flood flood(peace);
  std::size_t packets = 0;
  for (flood_batch b = flood.next(); !b.packets.empty(); b = flood.next()) {
    for (const flood_packet& p : b.about) CHECK(p.connection < peace.connections);
    packets += b.packets.size();
  }
  CHECK(packets == peace.connections * flood_steps);
  peace.connections = 0;
  CHECK(syn_flood(peace).next().packets.empty());
}

TEST_CASE("of a flood of millions there is never more in memory than a jiffy") {
  syn_flood flood({.connections = 10'000'000, .connections_per_s = 5'000});
  for (int jiffy = 0; jiffy < 500; ++jiffy) {
    const flood_batch b = flood.next();
    REQUIRE_FALSE(b.packets.empty());
    CHECK(b.packets.size() <= 5'000 / hz * (10 + flood_steps));
  }
}

}  // namespace
}  // namespace ct::workloads
