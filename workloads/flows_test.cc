// SPDX-License-Identifier: BSD-2-Clause
/// Keys are facts: the same for the same seed, and no two flows share a tuple.
#include "workloads/flows.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

namespace ct::workloads {
namespace {

/// Direction is no part of a key.
std::vector<tuple_words> keys_of(const std::vector<tuple>& tuples) {
  std::vector<tuple_words> out;
  for (const tuple& t : tuples) {
    out.push_back(words(t));
    out.back()[4] &= ~direction_bits;
  }
  std::ranges::sort(out);
  return out;
}

TEST_CASE("the same seed gives the same flows, another seed gives others") {
  const auto flows = flow_source(7).originals(flow_pool::resident, 0, 500);
  CHECK(flows == flow_source(7).originals(flow_pool::resident, 0, 500));
  const auto others = flow_source(8).originals(flow_pool::resident, 0, 500);
  for (std::size_t i = 0; i < flows.size(); ++i) CHECK(flows[i] != others[i]);
}

TEST_CASE("a flow depends on its number alone, not on those asked for before") {
  const flow_source source(3);
  const auto flows = source.originals(flow_pool::fresh, 100, 10);
  for (std::size_t i = 0; i < 10; ++i)
    CHECK(flows[i] == source.original(flow_pool::fresh, 100 + i));
}

TEST_CASE("no tuple, original or reply, occurs twice in all pools together") {
  const flow_source source(11);
  std::vector<tuple> all;
  for (const flow_pool pool : {flow_pool::resident,
                               flow_pool::absent,
                               flow_pool::fresh,
                               flow_pool::churn,
                               flow_pool::traffic}) {
    for (const tuple& original : source.originals(pool, 0, 20'000)) {
      all.push_back(original);
      all.push_back(reply_of(original));
    }
  }
  const auto keys = keys_of(all);
  CHECK(std::ranges::adjacent_find(keys) == keys.end());
}

TEST_CASE("the check above would see a tuple that occurs twice") {
  auto flows = flow_source(11).originals(flow_pool::resident, 0, 100);
  flows.push_back(flows[40]);
  flows.back().dst.dir = dir::reply;
  const auto keys = keys_of(flows);
  CHECK(std::ranges::adjacent_find(keys) != keys.end());
}

TEST_CASE("a reply is its original with the ends exchanged, and its own reply is the original") {
  for (const tuple& original : flow_source(5).originals(flow_pool::resident, 0, 1000)) {
    const tuple reply = reply_of(original);
    CHECK(reply.src.addr == original.dst.addr);
    CHECK(reply.src.id == original.dst.id);
    CHECK(reply.dst.addr == original.src.addr);
    CHECK(reply.dst.id == original.src.id);
    CHECK(reply.dst.protonum == original.dst.protonum);
    CHECK(reply.dst.dir == dir::reply);
    CHECK_FALSE(same_flow(original, reply));
    CHECK(reply_of(reply) == original);
  }
}

TEST_CASE("the mix is kept: a quarter IPv6, a quarter UDP, within three percent") {
  const auto flows = flow_source(1).originals(flow_pool::resident, 0, 10'000);
  const auto ipv6 =
      std::ranges::count_if(flows, [](const tuple& t) { return t.src.l3num == l3num::ipv6; });
  const auto udp =
      std::ranges::count_if(flows, [](const tuple& t) { return t.dst.protonum == ipproto::udp; });
  CHECK(std::abs(ipv6 - 2500) < 300);
  CHECK(std::abs(udp - 2500) < 300);
  const auto plain = flow_source(1, {.ipv6 = 0, .udp = 0}).originals(flow_pool::resident, 0, 1000);
  for (const tuple& t : plain) {
    CHECK(t.src.l3num == l3num::ipv4);
    CHECK(t.dst.protonum == ipproto::tcp);
    CHECK(std::all_of(t.src.addr.begin() + 4, t.src.addr.end(), [](auto b) { return b == 0; }));
  }
}

TEST_CASE("shuffled numbers are a permutation that only the seed decides") {
  const auto order = shuffled(1000, 9);
  CHECK(order == shuffled(1000, 9));
  CHECK(order != shuffled(1000, 10));
  auto sorted = order;
  std::ranges::sort(sorted);
  for (std::uint32_t i = 0; i < 1000; ++i) CHECK(sorted[i] == i);
  CHECK(order != sorted);
  CHECK(shuffled(0, 1).empty());
}

}  // namespace
}  // namespace ct::workloads
