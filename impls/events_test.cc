// SPDX-License-Identifier: BSD-2-Clause
/// The checker of letter H.1 judged by planted faults, and what a listener finds that looks up.
/// What is told of what stands in workloads/scenarios/.
#include "impls/core/event_suite.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace ct::testing {
namespace {

event_message message(std::uint64_t id, std::uint32_t bits) {
  event_message m{.bits = bits, .entry = {}};
  m.entry.id = id;
  return m;
}
/// The ledger's finding about messages of entries 1 and 2 in this order, or else its comparison
/// with a table that holds entry 2.
std::string judged(const std::vector<event_message>& messages) {
  event_ledger books;
  for (const event_message& m : messages) books.add(m);
  const std::vector<std::uint64_t> in_table = {2};
  return books.finding().empty() ? books.compare(in_table) : books.finding();
}

TEST_CASE("the books accept a good order and find each planted fault") {
  const event_message born_1 = message(1, new_bit);
  const event_message born_2 = message(2, bit(event::related) | protoinfo_bit);
  const event_message update_1 = message(1, reply_bit);
  const event_message dead_1 = message(1, destroy_bit);
  CHECK(judged({born_1, born_2, update_1, dead_1}) == "");
  CHECK(judged({message(1, new_bit | destroy_bit), born_2}) == "");  // killed before it was told

  CHECK(judged({born_1, born_2, update_1}) ==
        "1 DESTROY are lost: 2 entries live by the events, 1 are in the table");
  CHECK(judged({born_1, dead_1}) == "entry 2 is in the table, its NEW is lost");
  CHECK(judged({born_2, message(2, destroy_bit)}) ==
        "entry 2 is in the table, its DESTROY was told");
  CHECK(judged({born_1, born_1}) == "entry 1: NEW twice");
  CHECK(judged({born_1, dead_1, dead_1}) == "entry 1: DESTROY twice");
  CHECK(judged({born_1, dead_1, update_1}) == "entry 1: an update after DESTROY");
  CHECK(judged({born_1, dead_1, born_1}) == "entry 1: NEW after DESTROY");
  CHECK(judged({dead_1, born_1}) == "entry 1: DESTROY before NEW");
  CHECK(judged({update_1, born_1}) == "entry 1: an update before NEW");
  CHECK(judged({message(1, 0)}) == "entry 1: a message without events");
}

TEST_CASE("the destroy event is told while lookups still find the entry, and nobody can kill it") {
  for_each_impl([](const impl& which) {
    host h(which);
    h.pass(request());
    const tuple key = udp_tuple();
    bool was_found = false;
    std::size_t killed_again = 0;
    // No listener may do this; this one knows that no lock of a table is held here.
    h.heard.refuses = [&](const event_message& m) {
      lookup_answer found;
      h.cpu().find({&key, 1}, {&found, 1});
      was_found = found.conn_id == m.entry.id;
      killed_again = h.cpu().kill({&key, 1});
      return false;
    };
    CHECK(h.cpu().kill({&key, 1}) == 1);
    CHECK(was_found);
    CHECK(killed_again == 0);
    lookup_answer found;
    h.cpu().find({&key, 1}, {&found, 1});
    CHECK(found.conn_id == 0);
  });
}

}  // namespace
}  // namespace ct::testing
