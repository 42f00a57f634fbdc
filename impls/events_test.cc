// SPDX-License-Identifier: BSD-2-Clause
/// Events, seen by a listener, of every registered implementation that stores anything; and the
/// checker of letter H.1 judged by planted faults.
#include "impls/core/event_suite.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <string>
#include <utility>
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

TEST_CASE("a TCP connection tells its birth, each state, ASSURED, and its end") {
  for_each_impl([](const impl& which) {
    host h(which);
    h.pass(tcp(true, syn, 1000, 0));
    h.pass(tcp(false, syn | ack, 9000, 1001));
    h.pass(tcp(true, ack, 1001, 9001));
    h.pass(tcp(true, ack, 1001, 9001));  // changes nothing
    h.pass(tcp(true, fin | ack, 1001, 9001));
    h.pass(tcp(false, fin | ack, 9001, 1002));
    h.pass(tcp(true, ack, 1002, 9002));
    h.wait(seconds(200));
    CHECK(h.heard.bits() == std::vector<std::uint32_t>{new_bit | protoinfo_bit,
                                                       reply_bit | protoinfo_bit,
                                                       assured_bit | protoinfo_bit,
                                                       protoinfo_bit,
                                                       protoinfo_bit,
                                                       protoinfo_bit,
                                                       destroy_bit});
    REQUIRE(h.heard.taken.size() == 7);
    const conn& opened = h.heard.taken[0].entry;
    CHECK(opened.tcp == tcp_state::syn_sent);
    CHECK(opened.timeout_jiffies == static_cast<std::int32_t>(seconds(120)));
    CHECK_FALSE(opened.has(status::seen_reply));
    CHECK(opened.has(status::confirmed));
    CHECK(h.heard.taken[2].entry.tcp == tcp_state::established);
    const conn& closed = h.heard.taken[6].entry;
    CHECK(closed.tcp == tcp_state::time_wait);
    CHECK(closed.has(status::dying));
    CHECK(closed.timeout_jiffies <= 0);
    CHECK(std::ranges::all_of(h.heard.taken,
                              [&](const event_message& m) { return m.entry.id == opened.id; }));
    CHECK(h.heard.books.finding() == "");
    CHECK(h.lost() == "");
    CHECK(h.broken() == "");
  });
}

TEST_CASE(
    "a UDP flow tells REPLY once and ASSURED once; DESTROY comes with the lookup that reaps") {
  for_each_impl([](const impl& which) {
    host h(which, {.buckets = 64, .acct = true});
    h.pass(request());
    h.pass(request());
    h.pass(answer());
    h.pass(answer());
    h.wait(seconds(3));
    h.pass(request());
    h.pass(request());
    CHECK(h.heard.bits() == std::vector<std::uint32_t>{new_bit, reply_bit, assured_bit});
    h.cpu().advance(h.system().jiffies64() + seconds(120));
    h.pass(request());
    REQUIRE(h.heard.taken.size() == 5);
    CHECK(h.heard.taken[3].bits == destroy_bit);
    CHECK(h.heard.taken[3].entry.packets == std::array<std::uint64_t, 2>{4, 2});
    CHECK(h.heard.taken[4].bits == new_bit);
    CHECK(h.heard.taken[4].entry.id != h.heard.taken[3].entry.id);
    CHECK(h.heard.books.finding() == "");
    CHECK(h.lost() == "");
  });
}

TEST_CASE(
    "what a packet does before confirm is told by confirm, and by the next one if it is dropped") {
  for_each_impl([](const impl& which) {
    host h(which);
    skb first = h.in(request());
    CHECK(h.heard.taken.empty());
    h.confirm(first);
    CHECK(h.heard.bits() == std::vector<std::uint32_t>{new_bit});
    h.free(first);
    skb dropped = h.in(answer());
    h.free(dropped);
    CHECK(h.heard.taken.size() == 1);
    h.pass(request());
    CHECK(h.heard.bits() == std::vector<std::uint32_t>{new_bit, reply_bit});
    skb never_confirmed = h.in(request(4001));
    h.free(never_confirmed);
    CHECK(h.heard.taken.size() == 2);
  });
}

TEST_CASE(
    "a reset of an unreplied connection tells DESTROY with what waited, and no update after it") {
  for_each_impl([](const impl& which) {
    host h(which);
    h.pass(tcp(true, syn, 1000, 0));
    h.pass(tcp(false, rst | ack, 0, 1001));
    REQUIRE(h.heard.bits() ==
            std::vector<std::uint32_t>{new_bit | protoinfo_bit, destroy_bit | protoinfo_bit});
    CHECK(h.heard.taken[1].kind() == event_kind::destroy);
    CHECK(h.heard.taken[1].entry.tcp == tcp_state::close);
    CHECK(h.heard.taken[1].entry.timeout_jiffies == static_cast<std::int32_t>(seconds(120)));
    CHECK(h.system().count() == 0);
    CHECK(h.broken() == "");
  });
}

TEST_CASE("marks set by a rule wait for confirm; an update on request tells at once") {
  for_each_impl([](const impl& which) {
    host h(which);
    skb s = h.packet(request());
    s.ct_mark = 7;
    h.pass(s);
    CHECK(h.heard.bits() == std::vector<std::uint32_t>{new_bit | mark_bit});
    h.pass(s);  // no change, no event
    CHECK(h.heard.taken.size() == 1);
    CHECK(h.cpu().update(udp_tuple(), {.mark = 9}) == update_status::updated);
    REQUIRE(h.heard.taken.size() == 2);
    CHECK(h.heard.taken[1].has(event::mark));
    CHECK(h.heard.taken[1].has(event::label));
    CHECK(h.heard.taken[1].kind() == event_kind::update);
    CHECK(h.heard.taken[1].entry.mark == 9);
    CHECK(h.cpu().update(udp_tuple(9), {.mark = 9}) == update_status::not_found);
    CHECK(h.heard.taken.size() == 2);
  });
}

TEST_CASE("a merged packet tells what waits at the winner; the loser, never born, tells nothing") {
  for_each_impl([](const impl& which) {
    host h(which);
    skb winner = h.in(request());
    skb loser = h.in(request());
    h.confirm(winner);
    h.confirm(loser);
    CHECK(loser.conn_id == winner.conn_id);
    h.free(winner);
    h.free(loser);
    CHECK(h.heard.bits() == std::vector<std::uint32_t>{new_bit});
    h.wait(seconds(200));
    CHECK(h.heard.bits() == std::vector<std::uint32_t>{new_bit, destroy_bit});
    CHECK(h.broken() == "");
  });
}

TEST_CASE(
    "the reply-only entry of a resolved clash is told of neither at its birth nor at its end") {
  for_each_impl([](const impl& which) {
    host h(which);
    skb winner = h.in(request());
    skb loser = h.in(request());
    tuple translated = udp_tuple();
    std::swap(translated.src.addr, translated.dst.addr);
    std::swap(translated.src.id, translated.dst.id);
    translated.dst.dir = dir::reply;
    translated.dst.id = 9999;
    REQUIRE(h.cpu().alter_reply(loser, translated));
    h.confirm(winner);
    h.confirm(loser);
    CHECK(loser.verdict == verdict::accept);
    CHECK(h.system().count() == 2);
    h.free(winner);
    h.free(loser);
    h.wait(seconds(200));
    CHECK(h.system().count() == 0);
    CHECK(h.heard.bits() == std::vector<std::uint32_t>{new_bit, destroy_bit});
    CHECK(h.heard.books.finding() == "");
  });
}

TEST_CASE(
    "a netns that exits has no listener: what waited is let go, nothing is told of the rest") {
  for_each_impl([](const impl& which) {
    host h(which);
    h.heard.refuses = [](const event_message& m) { return m.has(event::destroy); };
    h.pass(request(1));
    h.pass(request(2));
    const tuple key = udp_tuple(1);
    CHECK(h.cpu().kill({&key, 1}) == 0);
    CHECK(h.waiting() == 1);
    CHECK(h.cpu().exit_netns(0).empty());
    CHECK(h.waiting() == 0);
    CHECK(h.system().count() == 0);
    CHECK(h.heard.refused == 1);
    CHECK(h.heard.taken.size() == 2);
    CHECK(h.broken() == "");
  });
}

TEST_CASE("nf_conntrack_events: never, always, or if somebody listened when the entry was born") {
  for_each_impl([](const impl& which) {
    const auto heard_of = [&](const char* mode) {
      host h(which, {.buckets = 64, .sysctls = {{"nf_conntrack_events", mode}}});
      h.listen(nullptr);
      h.pass(request(1));
      h.listen(&h.heard);
      h.pass(answer(1));
      h.pass(request(2));
      h.listen(nullptr);
      h.pass(answer(2));  // told to nobody, and gone
      h.listen(&h.heard);
      h.pass(request(1));
      h.pass(request(2));
      h.wait(seconds(200));
      CHECK(h.system().count() == 0);
      return h.heard.bits();
    };
    CHECK(heard_of("0").empty());
    CHECK(heard_of("2") == std::vector<std::uint32_t>{new_bit, destroy_bit});
    CHECK(heard_of("1") ==
          std::vector<std::uint32_t>{reply_bit, new_bit, destroy_bit, destroy_bit});
  });
}

TEST_CASE("what another packet left waiting at the winner is told with the merge") {
  for_each_impl([](const impl& which) {
    host h(which);
    skb winner = h.in(request());
    skb loser = h.in(request());
    h.confirm(winner);
    skb reply = h.in(answer());
    CHECK(h.heard.bits() == std::vector<std::uint32_t>{new_bit});
    h.confirm(loser);
    CHECK(h.heard.bits() == std::vector<std::uint32_t>{new_bit, reply_bit});
    h.confirm(reply);
    CHECK(h.heard.taken.size() == 2);
    for (skb* s : {&winner, &loser, &reply}) h.free(*s);
  });
}

TEST_CASE("an entry that was born without a cache stays silent, changes on request included") {
  for_each_impl([](const impl& which) {
    host h(which);
    REQUIRE(h.set("nf_conntrack_events", "0") == "");
    h.pass(request());
    REQUIRE(h.set("nf_conntrack_events", "1") == "");
    h.pass(answer());
    CHECK(h.cpu().update(udp_tuple(), {.mark = 5}) == update_status::updated);
    CHECK(h.only().mark == 5);
    const tuple key = udp_tuple();
    CHECK(h.cpu().kill({&key, 1}) == 1);
    CHECK(h.heard.taken.empty());
  });
}

TEST_CASE("a listener gets the messages with an event of its mask, and its netns alone") {
  for_each_impl([](const impl& which) {
    host h(which);
    h.listen(&h.heard, destroy_bit);
    h.pass(request());
    h.pass(answer());
    skb other = h.in(request());
    h.free(other);
    notebook neighbour;
    h.system().listen(5, &neighbour, all_events);
    const tuple key = udp_tuple();
    CHECK(h.cpu().kill({&key, 1}) == 1);
    CHECK(h.heard.bits() == std::vector<std::uint32_t>{destroy_bit});
    CHECK(neighbour.taken.empty());
    h.system().listen(5, nullptr, 0);
  });
}

TEST_CASE("what was refused comes with the next message, at the latest with DESTROY") {
  for_each_impl([](const impl& which) {
    host h(which);
    h.heard.refuses = [](const event_message&) { return true; };
    h.pass(request());
    CHECK(h.heard.refused == 1);
    h.pass(request());  // nothing happens to the entry, but something waits
    CHECK(h.heard.refused == 2);
    h.heard.refuses = nullptr;
    h.pass(answer());
    CHECK(h.heard.bits() == std::vector<std::uint32_t>{new_bit | reply_bit});
    CHECK(h.heard.taken[0].kind() == event_kind::new_);

    h.heard.refuses = [](const event_message& m) { return !m.has(event::destroy); };
    h.pass(request(2));
    const tuple key = udp_tuple(2);
    CHECK(h.cpu().kill({&key, 1}) == 1);
    CHECK(h.heard.taken.back().bits == (new_bit | destroy_bit));
    CHECK(h.heard.books.finding() == "");
    CHECK(h.lost() == "");
  });
}

TEST_CASE("the destroy event is told while lookups still find the entry") {
  for_each_impl([](const impl& which) {
    host h(which);
    h.pass(request());
    const tuple key = udp_tuple();
    bool was_found = false;
    // No listener may do this; this one knows that no lock of a table is held here.
    h.heard.refuses = [&](const event_message& m) {
      lookup_answer found;
      h.cpu().find({&key, 1}, {&found, 1});
      was_found = found.conn_id == m.entry.id;
      return false;
    };
    CHECK(h.cpu().kill({&key, 1}) == 1);
    CHECK(was_found);
    lookup_answer found;
    h.cpu().find({&key, 1}, {&found, 1});
    CHECK(found.conn_id == 0);
  });
}

}  // namespace
}  // namespace ct::testing
