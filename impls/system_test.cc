// SPDX-License-Identifier: BSD-2-Clause
/// What every implementation must do and no scenario (workloads/scenarios/) can say: how much one
/// run of gc does, ids and seeds, CPUs that come and go, threads.
///
/// Each case runs for every registered implementation that stores anything.
#include "impls/core/system_suite.h"

#include <array>
#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace ct::system_test {
namespace {

TEST_CASE("one run of gc_worker reaps at most 257 entries and goes on where it stopped") {
  for_each_impl([](const impl& which) {
    host h(which);
    std::vector<tuple> many(1000);
    for (std::size_t i = 0; i < many.size(); ++i) {
      many[i].src.addr = build::addr(client);
      many[i].dst.addr = build::addr(server);
      many[i].src.id = static_cast<std::uint16_t>(i + 1);
      many[i].dst.protonum = ipproto::udp;
    }
    REQUIRE(h.cpu().create(many, 0) == 1000);  // expired at once
    std::size_t left = 1000;
    for (int run = 0; left != 0; ++run) {
      REQUIRE(run < 6);
      const gc_report report = h.cpu().gc_worker();
      CHECK(report.reaped <= 257);
      if (report.next_run != 1) CHECK(report.reaped == left);
      // A table that hands over several at a time may count an entry twice, once for each
      // tuplehash.
      if (report.reaped < left) CHECK(report.reaped > 240);
      left -= report.reaped;
      CHECK(h.system().count() == left);
    }
    CHECK(h.broken() == "");
  });
}

TEST_CASE("a system is reproducible from its seed and its packets") {
  for_each_impl([](const impl& which) {
    host one(which, {.buckets = 64, .seed = 7});
    host two(which, {.buckets = 64, .seed = 7});
    for (std::uint16_t port = 1; port <= 50; ++port) {
      CHECK(one.pass(request(port)).conn_id == two.pass(request(port)).conn_id);
    }
  });
}

TEST_CASE("CPUs come and go; their counters stay, ids are never used twice") {
  for_each_impl([](const impl& which) {
    const std::unique_ptr<ct_system> system = which.make({.buckets = 64});
    const bytes ip = request();
    std::vector<std::uint64_t> ids;
    for (int i = 0; i < 3; ++i) {
      const std::unique_ptr<ct::cpu> cpu = system->attach();
      skb s{.frame = ip,
            .wire_bytes = static_cast<std::uint32_t>(ip.size()),
            .link = link_type::raw};
      cpu->in({&s, 1});
      ids.push_back(s.conn_id);
      cpu->free_skb({&s, 1});
    }
    CHECK(ids[0] != ids[1]);
    CHECK(ids[1] != ids[2]);
    CHECK(system->statistics().size() == 1);
    CHECK(system->count() == 0);
  });
}

TEST_CASE("threads with packets of the same flows leave a table that drains to nothing") {
  constexpr int threads = 4;
  constexpr int rounds = 3000;
  constexpr std::uint16_t flows = 23;
  for_each_impl([&](const impl& which) {
    const std::unique_ptr<ct_system> system = which.make({.buckets = 16});
    std::atomic<std::uint64_t> wrong{0};
    std::vector<bytes> packets;
    for (std::uint16_t port = 1; port <= flows; ++port) {
      packets.push_back(request(port));
      packets.push_back(answer(port));
    }
    std::vector<std::thread> workers;
    for (int t = 0; t < threads; ++t) {
      workers.emplace_back([&, t] {
        const std::unique_ptr<ct::cpu> cpu = system->attach();
        for (int i = 0; i < rounds; ++i) {
          const bytes& ip = packets[static_cast<std::size_t>(i * 7 + t * 5) % packets.size()];
          skb s{.frame = ip,
                .wire_bytes = static_cast<std::uint32_t>(ip.size()),
                .link = link_type::raw};
          cpu->in({&s, 1});
          if (s.conn_id == 0) ++wrong;  // every one of these packets belongs to some entry
          if (i % 11 != 0) cpu->confirm({&s, 1});
          cpu->free_skb({&s, 1});
          // Kill now and then, and let time pass, so that memory is reused while others look.
          if (i % 13 == 0 && t == 0) cpu->advance(system->jiffies64() + seconds(7));
          if (i % 5 == 0) {
            tuple key;
            key.src.addr = build::addr(client);
            key.dst.addr = build::addr(server);
            key.src.id = static_cast<std::uint16_t>(i % flows + 1);
            key.dst.id = 53;
            key.dst.protonum = ipproto::udp;
            cpu->kill({&key, 1});
          }
        }
      });
    }
    for (std::thread& w : workers) w.join();
    CHECK(wrong == 0);
    const std::unique_ptr<ct::cpu> cpu = system->attach();
    CHECK(system->broken_invariant(*cpu) == "");
    CHECK(system->count() <= flows);
    cpu->advance(system->jiffies64() + seconds(200));
    CHECK(system->count() == 0);
    CHECK(system->broken_invariant(*cpu) == "");
  });
}

}  // namespace
}  // namespace ct::system_test
