// SPDX-License-Identifier: BSD-2-Clause
/// Observed systems against the contract machine: what they do is a run of it.
#include "impls/core/observed_suite.h"

#include <algorithm>
#include <map>
#include <span>

namespace ct::system_test {
namespace {

bytes ping(std::uint16_t id) {
  return build::ipv4({.src = client, .dst = server}, build::icmp({.type = 8, .id = id}));
}

TEST_CASE("a connection's life is a run of the machine") {
  for_each_observed([](stage::maker make) {
    stage s(make);
    s.pass(request());
    s.pass(answer());
    s.wait(seconds(400));
    s.one->gc_worker();
    CHECK(s.system->count() == 0);
    const std::vector<action> expected = {action::packet,
                                          action::find_miss,
                                          action::reserve,
                                          action::alloc,
                                          action::track,
                                          action::confirm,
                                          action::insert_original,
                                          action::insert_reply,
                                          action::publish,
                                          action::deliver,
                                          action::put,
                                          action::packet,
                                          action::find_get,
                                          action::track,
                                          action::deliver,
                                          action::put};
    std::vector<action> first;
    for (const trace_step& step : std::span(s.seen.steps).first(expected.size())) {
      first.push_back(step.action);
    }
    CHECK(first == expected);
    s.expect({action::tick,
              action::gc_visit,
              action::reap,
              action::claim,
              action::tell,
              action::unlink_original,
              action::unlink_reply,
              action::put_table,
              action::free,
              action::uncount});
  });
}

TEST_CASE("a flow has two keys, each the other's inverse, and a number that is used again") {
  for_each_observed([](stage::maker make) {
    stage s(make);
    s.pass(answer(1));  // the inverse of what comes next
    s.pass(request(1));
    s.pass(request(2));
    s.one->kill(std::array{tuple_of(request(1)), tuple_of(request(2))});
    s.pass(ping(7));
    std::vector<trace_key> keys;
    for (const trace_step& step : s.seen.steps) {
      if (step.action == action::packet) keys.push_back(step.key);
    }
    const std::vector<trace_key> expected =
        {{1, 1, false}, {1, 1, true}, {1, 2, false}, {1, 1, true}, {1, 2, false}, {1, 1, false}};
    CHECK(keys == expected);
    s.expect({action::kill});
  });
}

TEST_CASE("who only asks, who is refused and who comes too late say so") {
  for_each_observed([](stage::maker make) {
    stage s(make);
    s.set("nf_conntrack_udp_timeout", "1");
    s.wait(10);
    s.pass(request());
    s.wait(hz - 5);  // past the first run of gc_worker
    s.wait(10);
    s.pass(request());  // buries the first, and is a new one
    std::array<lookup_answer, 2> answers;
    s.one->find(std::array{tuple_of(request()), tuple_of(request(9))}, answers);
    CHECK(answers[0].conn_id != 0);
    CHECK(answers[1].conn_id == 0);
    conn_update change;
    change.timeout_s = 77;
    CHECK(s.one->update(tuple_of(request()), change) == update_status::updated);
    CHECK(s.one->resize(128) != resize_status::no_memory);
    s.pass(tcp(true, build::tcp_bit::rst, 1, 0));  // INVALID
    s.expect({action::find_expired,
              action::give_up,
              action::drop,
              action::resize_begin,
              action::resize_end});
  });
}

TEST_CASE("two packets of one flow at once merge, or the second is dropped") {
  for_each_observed([](stage::maker make) {
    stage s(make);
    for (const bytes& ip : {request(), ping(3)}) {
      skb first = s.in(*s.one, ip);
      skb second = s.in(*s.other, ip);
      s.confirm(*s.one, first);
      s.confirm(*s.other, second);
      s.free(*s.one, first);
      s.free(*s.other, second);
    }
    s.expect({action::merge, action::clash_drop});
  });
}

TEST_CASE("behind a translated flow the reply alone is linked") {
  for_each_observed([](stage::maker make) {
    stage s(make);
    skb loser = s.in(*s.one, request(1));
    skb winner = s.in(*s.other, request(2));
    REQUIRE(s.other->alter_reply(winner, tuple_of(request(1))));
    s.confirm(*s.other, winner);
    s.confirm(*s.one, loser);
    s.free(*s.one, loser);
    s.free(*s.other, winner);
    s.pass(answer(1));
    s.wait(seconds(2));
    s.one->gc_worker();
    s.expect({action::alter_reply, action::link_reply});
  });
}

TEST_CASE("a full table drops early, or refuses; gc_worker goes on with it") {
  for_each_observed([](stage::maker make) {
    stage s(make, {.buckets = 1, .max_entries = 3});
    for (std::uint16_t port = 1; port <= 4; ++port) s.pass(request(port));
    s.expect({action::early_drop});
    stage wide(make, {.buckets = 65536, .max_entries = 100});
    for (std::uint16_t port = 1; port <= 101; ++port) wide.pass(request(port));
    wide.one->gc_worker();
    wide.expect({action::refuse, action::gc_drop});
  });
}

TEST_CASE("an expired victim makes no room: the packet is refused all the same") {
  for_each_observed([](stage::maker make) {
    stage s(make, {.buckets = 1, .max_entries = 1});
    s.set("nf_conntrack_udp_timeout", "1");
    s.wait(10);
    s.pass(request(1));
    s.wait(hz - 5);
    s.wait(10);
    CHECK(s.pass(request(2)).verdict == verdict::drop);
    s.expect({action::early_drop, action::refuse});
  });
}

TEST_CASE("gc_worker that comes by both tuplehashes takes the entry once") {
  for_each_observed([](stage::maker make) {
    stage s(make, {.buckets = 1});
    s.pass(request());
    s.wait(seconds(400));
    s.one->gc_worker();
    s.expect({action::gc_visit});
  });
}

TEST_CASE("a flush, a filter and an exit walk; who comes second has lost the claim") {
  for_each_observed([](stage::maker make) {
    stage s(make);
    for (std::uint16_t port = 1; port <= 3; ++port) s.pass(request(port));
    const tuple first = tuple_of(request(1));
    const tuple second = tuple_of(request(2));
    const std::size_t killed = s.one->kill_if([&](const conn& c) {
      const std::uint16_t port = c.tuples[0].src.id;
      if (port == first.src.id) s.other->kill({&first, 1});
      return port != second.src.id;
    });
    CHECK(killed == 1);
    skb held = s.in(*s.other, request(), 1);
    s.confirm(*s.other, held);
    CHECK(!s.one->exit_netns(1).empty());
    CHECK(s.pass(request(5), 1).verdict == verdict::drop);
    s.free(*s.other, held);
    CHECK(s.one->exit_netns(1).empty());
    s.expect({action::flush_begin,
              action::walk_visit,
              action::spare,
              action::claim_lost,
              action::walk_end,
              action::exit_begin,
              action::exit_end,
              action::refuse});
  });
}

struct moody final : listener {
  bool takes = true;
  bool deliver(const event_message&) noexcept override { return takes; }
};

TEST_CASE("a refused destroy event parks the entry until it is told again") {
  for_each_observed([](stage::maker make) {
    moody ears;
    stage s(make);
    s.system->listen(0, &ears, all_events);
    s.pass(request());
    ears.takes = false;
    s.one->kill(std::array{tuple_of(request())});
    CHECK(s.system->count() == 1);
    ears.takes = true;
    s.one->redeliver(0);
    CHECK(s.system->count() == 0);
    s.expect(
        {action::stall, action::tell_refused, action::recover, action::park, action::redeliver});
  });
}

TEST_CASE("a chain may be too long") {
  // Tables with chains.
  for (const std::string_view name : {"rcu", "spinlock"}) {
    const auto which = std::ranges::find(implementations(), name, &impl::name);
    if (which->make_observed == nullptr) continue;
    stage s(which->make_observed, {.buckets = 1});
    for (std::uint16_t port = 1; port <= 60; ++port) s.pass(request(port));
    s.expect({action::chain_too_long});
  }
}

TEST_CASE("a request that creates looks first, and is a run as a packet is") {
  for_each_observed([](stage::maker make) {
    stage s(make);
    CHECK(s.one->create(std::array{tuple_of(request())}, 10) == 1);
    CHECK(s.one->create(std::array{tuple_of(request())}, 10) == 0);
    s.pass(request());
    s.expect({action::publish, action::drop});
  });
}

TEST_CASE("what the machine cannot say stops the recording, in a line") {
  for_each_observed([](stage::maker make) {
    SECTION("two packets on one CPU") {
      stage s(make);
      skb first = s.in(*s.one, request(1));
      skb second = s.in(*s.one, request(2));
      s.free(*s.one, first);
      s.free(*s.one, second);
      CHECK(s.seen.stopped == "a CPU that carries a packet looks for another");
    }
    SECTION("zones of one direction") {
      stage s(make);
      skb one_way = s.packet(request());
      one_way.zone = {.id = 5, .directions = 1};
      s.one->pass({&one_way, 1});
      CHECK(!s.seen.stopped.empty());
    }
  });
}

TEST_CASE("observed implementations take the same steps for the same packets") {
  std::map<std::string_view, std::vector<trace_step>> told;
  for (const impl& which : implementations()) {
    if (which.make_observed == nullptr) continue;
    stage s(which.make_observed);
    for (std::uint16_t port = 1; port <= 20; ++port) {
      s.pass(request(port));
      s.wait(7);
      if (port % 3 == 0) s.pass(answer(port));
      if (port % 5 == 0) s.one->kill(std::array{tuple_of(request(port))});
    }
    s.expect({action::kill});
    told[which.name] = s.seen.steps;
  }
  for (const auto& [name, steps] : told) {
    INFO(name);
    CHECK(steps == told.begin()->second);
  }
}

}  // namespace
}  // namespace ct::system_test
