// SPDX-License-Identifier: BSD-2-Clause
/// Destroy events that a listener refuses, and listeners under threads: letter H.1 of every
/// registered implementation that stores anything.
#include "impls/core/event_suite.h"

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <thread>
#include <vector>

namespace ct::testing {
namespace {

TEST_CASE("a refused destroy event keeps the entry, out of the table, until it is told") {
  for_each_impl([](const impl& which) {
    host h(which);
    bool is_blocked = true;
    h.heard.refuses = [&](const event_message& m) { return is_blocked && m.has(event::destroy); };
    h.pass(request());
    const tuple key = udp_tuple();
    CHECK(h.cpu().kill({&key, 1}) == 0);  // nobody else will kill it, but the kill is not done
    lookup_answer found;
    h.cpu().find({&key, 1}, {&found, 1});
    CHECK(found.conn_id == 0);
    CHECK(h.system().count() == 1);
    CHECK(h.waiting() == 1);
    CHECK(h.broken() == "");
    CHECK(h.pass(request()).info == ctinfo::new_);  // its tuple is free
    CHECK(h.system().count() == 2);

    h.wait(hz - 1);
    CHECK(h.heard.refused == 1);
    h.wait(1);  // a second after the refusal, then every 10 ms: 3 jiffies
    CHECK(h.heard.refused == 2);
    h.wait(2);
    CHECK(h.heard.refused == 2);
    h.wait(1);
    CHECK(h.heard.refused == 3);
    h.wait(30);
    CHECK(h.heard.refused == 13);
    is_blocked = false;
    h.wait(2);
    CHECK(h.waiting() == 1);
    h.wait(1);
    CHECK(h.waiting() == 0);
    CHECK(h.system().count() == 1);
    CHECK(h.heard.bits() == std::vector<std::uint32_t>{new_bit, new_bit, destroy_bit});
    CHECK(h.system().event_statistics().delivered == h.heard.taken.size());
    CHECK(h.system().event_statistics().refused == h.heard.refused);
    CHECK(h.heard.books.finding() == "");
    CHECK(h.lost() == "");
    CHECK(h.broken() == "");
  });
}

TEST_CASE("what a refused destroy event keeps counts as no kill, and stops a reopening") {
  for_each_impl([](const impl& which) {
    host h(which);
    h.heard.refuses = [](const event_message& m) { return m.has(event::destroy); };
    h.pass(request());
    CHECK(h.cpu().kill_if([](const conn&) { return true; }) == 0);
    CHECK(h.waiting() == 1);

    h.pass(tcp(true, syn, 1000, 0));
    h.pass(tcp(false, syn | ack, 5000, 1001));
    h.pass(tcp(true, ack, 1001, 5001));
    h.pass(tcp(true, fin | ack, 1001, 5001));
    h.pass(tcp(false, fin | ack, 5001, 1002));
    h.pass(tcp(true, ack, 1002, 5002));
    REQUIRE(h.only().tcp == tcp_state::time_wait);
    const skb again = h.pass(tcp(true, syn, 900'000, 0));
    CHECK(again.verdict == verdict::drop);
    CHECK(again.conn_id == 0);
    CHECK(h.stat().drop == 1);
    CHECK(h.waiting() == 2);
    CHECK(h.pass(tcp(true, syn, 900'000, 0)).info == ctinfo::new_);
    h.heard.refuses = nullptr;
    CHECK(h.cpu().redeliver(0).delivered == 2);
  });
}

TEST_CASE("redelivery keeps its order, newest first, beyond a refusal in the middle of a burst") {
  for_each_impl([](const impl& which) {
    host h(which);
    std::size_t left = 0;
    h.heard.refuses = [&](const event_message& m) {
      return m.has(event::destroy) && (left == 0 || left-- == 0);
    };
    std::vector<tuple> keys;
    for (std::uint16_t port = 1; port <= 50; ++port) {
      h.pass(request(port));
      keys.push_back(udp_tuple(port));
    }
    CHECK(h.cpu().kill(keys) == 0);
    h.heard.taken.clear();
    left = 20;
    CHECK(h.cpu().redeliver(0).delivered == 20);
    left = 100;
    CHECK(h.cpu().redeliver(0).delivered == 30);
    REQUIRE(h.heard.taken.size() == 50);
    for (std::size_t i = 0; i < 50; ++i) {
      CHECK(h.heard.taken[i].entry.tuples[0].src.id == 50 - i);
    }
  });
}

TEST_CASE("who takes a listener away waits for the message that it is just told") {
  for_each_impl([](const impl& which) {
    host h(which);
    std::atomic<bool> has_begun{false};
    std::atomic<bool> has_returned{false};
    bool was_left_alone = false;
    std::thread leaver;
    h.heard.refuses = [&](const event_message&) {
      leaver = std::thread([&] {
        has_begun.store(true, std::memory_order_relaxed);  // relaxed: a flag
        h.listen(nullptr);
        has_returned.store(true, std::memory_order_relaxed);  // relaxed: a flag
      });
      // relaxed: a flag
      while (!has_begun.load(std::memory_order_relaxed)) std::this_thread::yield();
      // Time enough for one who does not wait; one who does is never seen here.
      for (int i = 0; i < 2000; ++i) std::this_thread::yield();
      was_left_alone = has_returned.load(std::memory_order_relaxed);  // relaxed: a flag
      return false;
    };
    h.pass(request());
    leaver.join();
    CHECK_FALSE(was_left_alone);
    CHECK(h.pass(answer()).info == ctinfo::established_reply);
    CHECK(h.heard.taken.size() == 1);
  });
}

TEST_CASE("a second refusal does not put off the first one's redelivery") {
  for_each_impl([](const impl& which) {
    host h(which);
    h.heard.refuses = [](const event_message& m) { return m.has(event::destroy); };
    h.pass(request(1));
    h.pass(request(2));
    const std::array keys = {udp_tuple(1), udp_tuple(2)};
    CHECK(h.cpu().kill({&keys[0], 1}) == 0);
    h.wait(hz / 2);
    CHECK(h.cpu().kill({&keys[1], 1}) == 0);
    h.heard.refuses = nullptr;
    h.wait(hz / 2 - 1);
    CHECK(h.waiting() == 2);
    h.wait(1);
    CHECK(h.waiting() == 0);
    CHECK(h.lost() == "");
  });
}

TEST_CASE("a destroy event that goes through makes those that wait due at once") {
  for_each_impl([](const impl& which) {
    host h(which);
    bool is_blocked = true;
    h.heard.refuses = [&](const event_message& m) { return is_blocked && m.has(event::destroy); };
    for (std::uint16_t port = 1; port <= 40; ++port) h.pass(request(port));
    for (std::uint16_t port = 1; port <= 39; ++port) {
      const tuple key = udp_tuple(port);
      CHECK(h.cpu().kill({&key, 1}) == 0);
    }
    is_blocked = false;
    h.wait(1);
    CHECK(h.waiting() == 39);
    const tuple last = udp_tuple(40);
    CHECK(h.cpu().kill({&last, 1}) == 1);
    h.wait(0);
    CHECK(h.waiting() == 0);
    CHECK(h.system().count() == 0);
    // Newest first, as the kernel's list.
    CHECK(h.heard.taken.back().entry.tuples[0].src.id == 1);
    CHECK(h.heard.books.finding() == "");
    CHECK(h.lost() == "");
    CHECK(h.broken() == "");
  });
}

TEST_CASE("a run of redelivery on request says what it did; nobody listening is as good as told") {
  for_each_impl([](const impl& which) {
    host h(which);
    std::size_t left = 0;
    h.heard.refuses = [&](const event_message& m) {
      return m.has(event::destroy) && (left == 0 || left-- == 0);
    };
    std::vector<tuple> keys;
    for (std::uint16_t port = 1; port <= 50; ++port) {
      h.pass(request(port));
      keys.push_back(udp_tuple(port));
    }
    CHECK(h.cpu().kill(keys) == 0);
    left = 20;
    const redelivery_report first = h.cpu().redeliver(0);
    CHECK(first.delivered == 20);
    CHECK(first.waiting == 30);
    CHECK(first.is_congested);
    CHECK(h.broken() == "");
    h.listen(nullptr);
    const redelivery_report second = h.cpu().redeliver(0);
    CHECK(second.delivered == 30);
    CHECK(second.waiting == 0);
    CHECK_FALSE(second.is_congested);
    CHECK(h.system().count() == 0);
    CHECK(h.heard.books.destroyed() == 20);
    CHECK(h.heard.books.finding() == "");
    CHECK(h.broken() == "");
  });
}

TEST_CASE("entries that wait for their destroy event count against nf_conntrack_max") {
  for_each_impl([](const impl& which) {
    host h(which, {.buckets = 64, .max_entries = 2});
    bool is_blocked = true;
    h.heard.refuses = [&](const event_message& m) { return is_blocked && m.has(event::destroy); };
    std::vector<tuple> keys;
    for (std::uint16_t port = 1; port <= 2; ++port) {
      h.pass(request(port));
      keys.push_back(udp_tuple(port));
    }
    CHECK(h.cpu().kill(keys) == 0);
    CHECK(h.pass(request(3)).verdict == verdict::drop);
    CHECK(h.waiting() == 2);
    is_blocked = false;
    h.wait(hz);
    CHECK(h.system().count() == 0);
    CHECK(h.pass(request(3)).verdict == verdict::accept);
    CHECK(h.lost() == "");
  });
}

TEST_CASE("packets that hold an entry keep it beyond its redelivered destroy event") {
  for_each_impl([](const impl& which) {
    host h(which);
    bool is_blocked = true;
    h.heard.refuses = [&](const event_message& m) { return is_blocked && m.has(event::destroy); };
    h.pass(request());
    skb held = h.in(answer());
    const tuple key = udp_tuple();
    CHECK(h.cpu().kill({&key, 1}) == 0);
    h.cpu().confirm({&held, 1});  // its REPLY waits, but the entry is dying
    CHECK(h.heard.taken.size() == 1);
    is_blocked = false;
    h.wait(hz);
    CHECK(h.waiting() == 0);
    CHECK(h.system().count() == 1);
    CHECK(h.heard.taken.back().bits == (destroy_bit | reply_bit));
    h.cpu().free_skb({&held, 1});
    CHECK(h.system().count() == 0);
    CHECK(h.broken() == "");
  });
}

/// Sends, kills and lets time pass, as one of several threads.
void churn(ct_system& system, int thread, int rounds, std::uint16_t flows) {
  const std::unique_ptr<ct::cpu> cpu = system.attach();
  for (int i = 0; i < rounds; ++i) {
    const auto port = static_cast<std::uint16_t>((i * 7 + thread * 5) % flows + 1);
    const bytes ip = i % 3 == 2 ? answer(port) : request(port);
    skb s{.frame = ip, .wire_bytes = static_cast<std::uint32_t>(ip.size()), .link = link_type::raw};
    if (i % 17 == 0) s.ct_mark = static_cast<std::uint32_t>(i);
    cpu->in({&s, 1});
    if (i % 11 != 0) cpu->confirm({&s, 1});
    cpu->free_skb({&s, 1});
    if (i % 13 == 0 && thread == 0) cpu->advance(system.jiffies64() + seconds(7));
    if (i % 29 == 0) cpu->redeliver(0);
    if (i % 5 == 0) {
      const tuple key = udp_tuple(static_cast<std::uint16_t>(i % flows + 1));
      cpu->kill({&key, 1});
    }
  }
}

TEST_CASE("threads and a moody listener: every entry is born once and dies once, in this order") {
  constexpr int threads = 4;
  constexpr std::uint16_t flows = 23;
  for_each_impl([&](const impl& which) {
    host h(which, {.buckets = 16});
    h.heard.keeps = false;
    std::uint64_t calls = 0;  // guarded by the notebook's lock
    h.heard.refuses = [&](const event_message&) { return ++calls % 3 == 0; };
    std::vector<std::thread> workers;
    for (int t = 0; t < threads; ++t) {
      workers.emplace_back([&, t] { churn(h.system(), t, 2000, flows); });
    }
    for (std::thread& w : workers) w.join();
    h.heard.refuses = nullptr;
    h.cpu().redeliver(0);
    CHECK(h.waiting() == 0);
    // What was refused last waits for a packet.
    for (std::uint16_t port = 1; port <= flows; ++port) h.pass(request(port));
    CHECK(h.heard.books.finding() == "");
    CHECK(h.lost() == "");
    CHECK(h.heard.refused > 100);
    CHECK(h.broken() == "");
    h.wait(seconds(200));
    CHECK(h.system().count() == 0);
    CHECK(h.heard.books.alive() == 0);
    CHECK(h.broken() == "");
  });
}

TEST_CASE("listeners come and go under traffic; one that is gone is not called") {
  /// Dies with a mark, so that a late call is seen.
  class mortal final : public listener {
   public:
    bool deliver(const event_message&) noexcept override {
      // relaxed, both: a flag of the test; listen() orders.
      if (is_dead.load(std::memory_order_relaxed))
        was_called_late.store(true, std::memory_order_relaxed);
      return true;
    }
    std::atomic<bool> is_dead{false};
    std::atomic<bool> was_called_late{false};
  };
  for_each_impl([](const impl& which) {
    host h(which, {.buckets = 16});
    std::vector<std::thread> workers;
    for (int t = 0; t < 2; ++t) {
      workers.emplace_back([&, t] { churn(h.system(), t, 2000, 23); });
    }
    std::vector<std::unique_ptr<mortal>> buried;
    for (int i = 0; i < 200; ++i) {
      buried.push_back(std::make_unique<mortal>());
      h.listen(buried.back().get());
      std::this_thread::yield();
      h.listen(nullptr);
      buried.back()->is_dead.store(true, std::memory_order_relaxed);  // relaxed: see above
    }
    for (std::thread& w : workers) w.join();
    for (const auto& one : buried) {
      CHECK_FALSE(one->was_called_late.load(std::memory_order_relaxed));  // relaxed: at rest
    }
    h.wait(seconds(200));
    CHECK(h.system().count() == 0);
    CHECK(h.broken() == "");
  });
}

}  // namespace
}  // namespace ct::testing
