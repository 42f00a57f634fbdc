// SPDX-License-Identifier: BSD-2-Clause
/// Settings and changes on request: what a scenario (workloads/scenarios/) cannot say of them, as
/// masks, refusals by exception, rows of counters, threads.
///
/// Each case runs for every registered implementation that stores anything.
#include "impls/core/system_suite.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace ct::system_test {
namespace {

TEST_CASE("sysctls of the options hold in every netns; a wrong one is thrown") {
  for_each_impl([](const impl& which) {
    host h(which, {.buckets = 64, .sysctls = {{"udp_timeout", "7"}, {"nf_conntrack_max", "9"}}});
    CHECK(h.left_s(h.pass(request())) == 7);
    CHECK(h.left_s(h.pass(request(), 5)) == 7);
    CHECK(h.sysctls(0)["nf_conntrack_max"] == 9);
    CHECK(h.sysctls(5)["nf_conntrack_max"] == 9);
    CHECK_THROWS_AS(which.make({.sysctls = {{"udp_timeout", "x"}}}), std::invalid_argument);
    CHECK_THROWS_WITH(which.make({.sysctls = {{"nf_conntrack_count", "1"}}}),
                      Catch::Contains("read only"));
  });
}

TEST_CASE("count and buckets are read; max is one for all netns, counts in each, at once") {
  for_each_impl([](const impl& which) {
    host h(which);
    h.pass(request(1));
    h.pass(request(2));
    h.pass(request(3), 1);
    for (const netns_id net : {netns_id{0}, netns_id{1}}) {  // ASSURED: early drop finds nothing
      for (std::uint16_t port = 1; port <= 3; ++port) {
        tuple t;
        t.src = {.addr = build::addr(client), .id = port};
        t.dst = {.addr = build::addr(server), .id = 53, .protonum = ipproto::udp};
        h.cpu().update(t, {.net = net, .status = status::confirmed | status::assured});
      }
    }
    CHECK(h.sysctls(0)["nf_conntrack_count"] == 2);
    CHECK(h.sysctls(1)["nf_conntrack_count"] == 1);
    CHECK(h.sysctls(0)["nf_conntrack_buckets"] >= 1);
    CHECK(h.set("nf_conntrack_count", "0").find("read only") != std::string::npos);
    CHECK(h.set("nf_conntrack_max", "2", 1).find("netns 0") != std::string::npos);
    CHECK(h.set("nf_conntrack_max", "2") == "");
    CHECK(h.pass(request(4)).verdict == verdict::drop);
    CHECK(h.pass(request(5), 1).verdict == verdict::accept);
    CHECK(h.pass(request(6), 1).verdict == verdict::drop);
    CHECK(h.set("nf_conntrack_max", "0") == "");
    CHECK(h.pass(request(7)).verdict == verdict::accept);
    CHECK(h.broken() == "");
  });
}

TEST_CASE("marks come from packets and from updates, bit by bit") {
  for_each_impl([](const impl& which) {
    host h(which);
    skb s = h.packet(request());
    s.ct_mark = 0x0f;
    s = h.in(s);
    CHECK(h.system().entry_of(s)->mark == 0x0f);
    h.confirm(s);
    h.free(s);
    h.pass(request());
    CHECK(h.entry(s).mark == 0x0f);
    const conn_update masked = {.mark = 0xa0, .mark_mask = 0xf0};
    CHECK(h.cpu().update(h.entry(s).tuples[0], masked) == update_status::updated);
    CHECK(h.entry(s).mark == 0xaf);
    skb back = h.packet(answer());
    back.ct_mark = 0;
    h.pass(back);
    CHECK(h.entry(s).mark == 0);
    // A packet without an entry has nothing to mark.
    bytes cut = request();
    cut.resize(22);
    skb broken = h.packet(cut);
    broken.ct_mark = 1;
    CHECK(h.pass(broken).conn_id == 0);
    CHECK(h.broken() == "");
  });
}

TEST_CASE("labels are there for entries made while they were used, and change under a mask") {
  for_each_impl([](const impl& which) {
    host h(which);
    const skb without = h.pass(request(1));
    h.system().use_labels(0, true);
    const skb with = h.pass(request(2));
    const skb elsewhere = h.pass(request(3), 1);
    const conn_update set = {.labels = labels{1, 2, 3, 4}};
    CHECK(h.cpu().update(h.entry(without).tuples[0], set) == update_status::no_labels);
    CHECK(h.entry(without).labels == labels{});
    CHECK(h.cpu().update(h.entry(with).tuples[0], set) == update_status::updated);
    CHECK(h.entry(with).labels == labels{1, 2, 3, 4});
    conn_update there = set;
    there.net = 1;
    CHECK(h.cpu().update(h.entry(elsewhere).tuples[0], there) == update_status::no_labels);
    const conn_update masked = {.labels = labels{0, 0, 0, 0x70}, .labels_mask = {1, 0, 0, 0xf0}};
    CHECK(h.cpu().update(h.entry(with).tuples[0], masked) == update_status::updated);
    CHECK(h.entry(with).labels == labels{0, 2, 3, 0x74});
    h.system().use_labels(0, false);
    CHECK(h.cpu().update(h.entry(with).tuples[0], set) == update_status::updated);
    const skb later = h.pass(request(4));
    CHECK(h.cpu().update(h.entry(later).tuples[0], set) == update_status::no_labels);
    CHECK(h.broken() == "");
  });
}

TEST_CASE("each attached CPU has its own row of counters") {
  for_each_impl([](const impl& which) {
    host h(which);
    const std::unique_ptr<ct::cpu> second = h.system().attach();
    CHECK(h.set("nf_conntrack_max", "1") == "");
    skb first = h.in(request(1));  // unconfirmed: early drop does not find it
    const bytes ip = request(2);
    skb s{.frame = ip, .wire_bytes = static_cast<std::uint32_t>(ip.size()), .link = link_type::raw};
    second->pass({&s, 1});
    CHECK(s.verdict == verdict::drop);
    const std::vector<ip_conntrack_stat> rows = h.system().statistics();
    REQUIRE(rows.size() == 2);
    CHECK(rows[0] == ip_conntrack_stat{});
    CHECK(rows[1] == ip_conntrack_stat{.drop = 1});
    h.free(first);
  });
}

TEST_CASE("label bits that threads set in one word at the same time are all there") {
  constexpr int threads = 4;
  for_each_impl([](const impl& which) {
    host h(which);
    h.system().use_labels(0, true);
    const tuple key = h.entry(h.pass(request())).tuples[0];
    std::vector<std::thread> workers;
    for (int t = 0; t < threads; ++t) {
      workers.emplace_back([&h, &key, t] {
        const std::unique_ptr<ct::cpu> on = h.system().attach();
        for (int bit = 0; bit < 32; ++bit) {
          const std::uint32_t mine = 1U << bit;
          if (bit % threads != t) continue;
          (void)on->update(key, {.labels = labels{mine, mine}, .labels_mask = {mine, mine}});
        }
      });
    }
    for (std::thread& w : workers) w.join();
    std::vector<conn> all;
    h.system().dump(h.cpu(), [&](const conn& c) { all.push_back(c); });
    REQUIRE(all.size() == 1);
    CHECK(all[0].labels == labels{0xffff'ffff, 0xffff'ffff, 0, 0});
  });
}

TEST_CASE("settings and updates while packets pass: no value is torn, the table drains") {
  constexpr int rounds = 500;
  constexpr std::uint16_t flows = 16;
  for_each_impl([&](const impl& which) {
    const std::unique_ptr<ct_system> system = which.make({.buckets = 64});
    std::atomic<bool> is_done{false};
    std::atomic<int> wrong{0};   // of the traffic
    std::atomic<int> passed{0};  // packets
    int mistakes = 0;            // of the settings
    std::vector<bytes> packets;
    for (std::uint16_t port = 1; port <= flows; ++port) packets.push_back(request(port));
    std::thread traffic([&] {
      const std::unique_ptr<ct::cpu> on = system->attach();
      while (!is_done.load(std::memory_order_relaxed)) {  // relaxed: an end, not an order
        for (const bytes& ip : packets) {
          skb s{.frame = ip,
                .wire_bytes = static_cast<std::uint32_t>(ip.size()),
                .link = link_type::raw};
          on->in({&s, 1});
          on->confirm({&s, 1});
          const std::optional<conn> seen = system->entry_of(s);
          // relaxed: a tally
          if (s.verdict != verdict::accept || !seen) wrong.fetch_add(1, std::memory_order_relaxed);
          on->free_skb({&s, 1});
          passed.fetch_add(1, std::memory_order_relaxed);  // relaxed: a tally
        }
      }
    });
    {
      const std::unique_ptr<ct::cpu> on = system->attach();
      std::vector<tuple> keys;
      // relaxed: only that it has begun
      while (passed.load(std::memory_order_relaxed) < flows) std::this_thread::yield();
      for (int i = 0; i < rounds; ++i) {
        const std::string number = std::to_string(i % 2);
        for (const char* name : {"acct", "timestamp", "tcp_loose"}) {
          if (!system->set_sysctl(0, name, number).empty()) ++mistakes;
        }
        if (!system->set_sysctl(0, "udp_timeout", i % 2 == 0 ? "30" : "40").empty()) ++mistakes;
        system->use_labels(0, i % 3 == 0);
        keys.clear();
        system->dump(*on, [&](const conn& c) {
          keys.push_back(c.tuples[0]);
          const std::int32_t left = c.timeout_jiffies / static_cast<std::int32_t>(hz);
          if (left != 30 && left != 40 && left != 50) ++mistakes;
        });
        for (const tuple& key : keys) {
          (void)on->update(key, {.timeout_s = 50, .mark = 7, .labels = labels{1}});
          if (i % 10 == 0) on->kill({&key, 1});
        }
      }
      is_done.store(true, std::memory_order_relaxed);  // relaxed: see above
      traffic.join();
      CHECK(wrong.load(std::memory_order_relaxed) == 0);  // relaxed: at rest
      CHECK(mistakes == 0);
      on->advance(system->jiffies64() + seconds(200));
      on->quiescent();
      CHECK(system->count() == 0);
      CHECK(system->broken_invariant(*on) == "");
    }
  });
}

}  // namespace
}  // namespace ct::system_test
