// SPDX-License-Identifier: BSD-2-Clause
/// Resizing a whole system while packets run through it: nothing is lost, nothing doubled, counts
/// are right, and nobody has to wait for a CPU that has nothing to do.
///
/// For every implementation that claims F.1; one that grows by itself answers `not_supported` and
/// is asked the same.
#include "impls/core/packet_suite.h"
#include "spec/impl.h"
#include "spec/random.h"

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace ct {
namespace {

namespace build = core::build;
using build::bytes;

constexpr std::uint16_t flows = 300;  // of each of two threads, for good
constexpr std::uint32_t long_s = 100'000;

template <class Check>
void for_each_resizable(Check&& check) {
  int checked = 0;
  for (const impl& which : implementations()) {
    if (!which.promises.has(letter::f1)) continue;
    DYNAMIC_SECTION(which.name) { check(which); }
    ++checked;
  }
  REQUIRE(checked >= 4);
}

/// Flow `port` of thread `n`, UDP.
tuple flow(unsigned n, std::uint16_t port) {
  tuple t;
  t.src.addr = {10, 0, 0, static_cast<std::uint8_t>(n + 1)};
  t.dst.addr = {192, 0, 2, 7};
  t.src.id = port;
  t.dst.id = 53;
  t.dst.protonum = ipproto::udp;
  return t;
}
bytes packet_of(unsigned n, std::uint16_t port, dir way) {
  const std::string client = "10.0.0." + std::to_string(n + 1);
  const std::string server = "192.0.2.7";
  const bool is_out = way == dir::original;
  return build::ipv4(
      {.src = (is_out ? client : server).c_str(), .dst = (is_out ? server : client).c_str()},
      build::udp({.source_port = is_out ? port : std::uint16_t{53},
                  .dest_port = is_out ? std::uint16_t{53} : port},
                 build::payload(4)));
}
skb skb_of(const bytes& ip) {
  return {.frame = ip, .wire_bytes = static_cast<std::uint32_t>(ip.size()), .link = link_type::raw};
}

/// One thread's traffic: packets of flows that stay, and flows that come and go.
class traffic {
 public:
  traffic(ct_system& system, unsigned number, bool may_miss)
      : cpu_(system.attach()), number_(number), may_miss_(may_miss), random_(number + 1) {
    for (std::uint16_t port = 0; port < flows; ++port) {
      kept_.push_back(flow(number, port));
      packets_[0].push_back(packet_of(number, port, dir::original));
      packets_[1].push_back(packet_of(number, port, dir::reply));
    }
    wrong_ += cpu_->create(kept_, long_s) != flows ? 1 : 0;
    std::vector<lookup_answer> answers(flows);
    cpu_->find(kept_, answers);
    for (const lookup_answer& a : answers) ids_.push_back(a.conn_id);
  }

  void step() {
    const auto which = static_cast<std::uint16_t>(random_.below(flows));
    switch (random_.below(16)) {
      case 0:
        come_and_go(static_cast<std::uint16_t>(1000 + which));
        break;
      case 1:
        cpu_->gc_worker();
        break;
      default:
        ask(which);
        pass(which, random_.below(2) == 0 ? dir::original : dir::reply);
    }
  }

  std::uint64_t wrong() const { return wrong_; }
  std::uint64_t missed() const { return missed_; }
  const std::vector<std::uint64_t>& ids() const { return ids_; }

 private:
  /// A lookup gets the one entry or, where that is allowed, nothing.
  void ask(std::uint16_t which) {
    lookup_answer answer;
    cpu_->find({&kept_[which], 1}, {&answer, 1});
    judge(answer.conn_id, which);
  }
  /// A packet gets the one entry; or it made one of its own, which must not get in beside it.
  void pass(std::uint16_t which, dir way) {
    skb s = skb_of(packets_[index(way)][which]);
    cpu_->in({&s, 1});
    const bool is_known = s.conn_id == ids_[which];
    if (!is_known && !may_miss_) ++wrong_;
    if (!is_known) ++missed_;
    cpu_->confirm({&s, 1});
    cpu_->free_skb({&s, 1});
  }
  void come_and_go(std::uint16_t port) {
    const tuple t = flow(number_, port);
    if (cpu_->create({&t, 1}, long_s) != 1) {
      ++wrong_;
      return;
    }
    lookup_answer answer;
    cpu_->find({&t, 1}, {&answer, 1});
    if (answer.conn_id == 0 && !may_miss_) ++wrong_;
    // A kill looks the entry up first; where that may miss, it is told again.
    std::size_t killed = 0;
    while (killed == 0) {
      killed = cpu_->kill({&t, 1});
      if (killed == 0 && !may_miss_) ++wrong_;
    }
    cpu_->find({&t, 1}, {&answer, 1});
    if (answer.conn_id != 0) ++wrong_;
  }
  void judge(std::uint64_t id, std::uint16_t which) {
    if (id == ids_[which]) return;
    ++missed_;
    if (id != 0 || !may_miss_) ++wrong_;
  }

  const std::unique_ptr<ct::cpu> cpu_;
  const unsigned number_;
  const bool may_miss_;
  random_source random_;
  std::vector<tuple> kept_;                    // [port]
  std::array<std::vector<bytes>, 2> packets_;  // [dir][port]
  std::vector<std::uint64_t> ids_;             // [port]
  std::uint64_t wrong_ = 0;
  std::uint64_t missed_ = 0;
};

TEST_CASE(
    "resized up and down a thousand times under two threads of traffic, a system loses and doubles "
    "nothing") {
  constexpr int resizes = 1000;
  // 1,200 nodes in at least 64 chains: no chain comes near its limit of 50.
  constexpr std::array<std::size_t, 6> sizes = {1024, 64, 517, 128, 4096, 97};
  for_each_resizable([&](const impl& which) {
    const std::unique_ptr<ct_system> system = which.make({.buckets = 64});
    const bool may_miss = !which.promises.has(letter::f2);
    std::atomic<bool> is_over{false};
    std::atomic<int> ready{0};
    std::atomic<int> steps{0};
    std::array<std::uint64_t, 2> wrong{};
    std::array<std::vector<std::uint64_t>, 2> ids;
    std::vector<std::thread> workers;
    for (unsigned n = 0; n < 2; ++n) {
      workers.emplace_back([&, n] {
        traffic t(*system, n, may_miss);
        ++ready;
        for (; !is_over; ++steps) t.step();
        wrong[n] = t.wrong();
        ids[n] = t.ids();
      });
    }
    while (ready != 2) std::this_thread::yield();
    const std::unique_ptr<ct::cpu> cpu = system->attach();
    int changed = 0;
    for (int i = 0; i < resizes; ++i) {
      const std::size_t to = sizes[static_cast<std::size_t>(i) % sizes.size()];
      const resize_status status = cpu->resize(to);
      if (status == resize_status::resized && system->buckets() >= to) ++changed;
      while (steps < 10 * i) std::this_thread::yield();  // so that there is traffic
    }
    is_over = true;
    for (std::thread& w : workers) w.join();

    CHECK((changed == resizes || (changed == 0 && system->buckets() >= 64)));
    CHECK(wrong[0] == 0);
    CHECK(wrong[1] == 0);
    CHECK(system->broken_invariant(*cpu) == "");
    CHECK(system->count() == 2 * flows);
    std::map<std::uint64_t, int> shown;
    system->dump(*cpu, [&](const conn& c) { ++shown[c.id]; });
    CHECK(shown.size() == 2 * flows);
    for (const auto& of_thread : ids) {
      for (const std::uint64_t id : of_thread) {
        if (shown[id] != 1) FAIL("entry " << id << " is in the table " << shown[id] << " times");
      }
    }
    for (unsigned n = 0; n < 2; ++n) {
      for (std::uint16_t port = 0; port < flows; ++port) {
        const tuple t = flow(n, port);
        if (cpu->kill({&t, 1}) != 1) FAIL("an entry of the dump cannot be killed");
      }
    }
    CHECK(system->count() == 0);
  });
}

TEST_CASE("buckets() is what the last resize said, and a resize to that is none") {
  for_each_resizable([](const impl& which) {
    const std::unique_ptr<ct_system> system = which.make({.buckets = 64});
    const std::unique_ptr<ct::cpu> cpu = system->attach();
    const std::size_t before = system->buckets();
    CHECK(before >= 64);
    const resize_status status = cpu->resize(1000);
    CHECK((status == resize_status::resized || status == resize_status::not_supported));
    CHECK((system->buckets() >= 1000) == (status == resize_status::resized));
    const resize_status again = cpu->resize(1000);
    CHECK(again == (status == resize_status::resized ? resize_status::same_size : status));
    const resize_status huge = cpu->resize(buckets_max + 1);
    CHECK((huge == resize_status::no_memory || huge == resize_status::not_supported));
    CHECK(system->broken_invariant(*cpu) == "");
  });
}

TEST_CASE("nf_conntrack_buckets resizes, from netns 0 alone, at boot in every table") {
  for_each_resizable([](const impl& which) {
    const std::unique_ptr<ct_system> system =
        which.make({.buckets = 64, .sysctls = {{"nf_conntrack_buckets", "300"}}});
    const std::unique_ptr<ct::cpu> cpu = system->attach();  // this thread is a reader already
    CHECK(system->buckets() >= 300);
    const tuple kept = flow(0, 1);
    REQUIRE(cpu->create({&kept, 1}, long_s) == 1);
    const std::size_t rows = system->statistics().size();
    const std::string said = system->set_sysctl(0, "nf_conntrack_buckets", "1000");
    if (cpu->resize(1000) == resize_status::not_supported) {
      CHECK(said ==
            "nf_conntrack_buckets=1000: this table chooses its size by itself once it is made; "
            "leave it out");
      CHECK(system->buckets() < 1000);
    } else {
      CHECK(said == "");
      CHECK(system->buckets() >= 1000);
      CHECK(system->set_sysctl(0, "net.netfilter.nf_conntrack_buckets", "1000") == "");
    }
    const std::size_t before = system->buckets();
    CHECK(system->set_sysctl(1, "nf_conntrack_buckets", "64") ==
          "nf_conntrack_buckets is one for all netns; set it in netns 0");
    for (const char* wrong : {"0", "-1", "268435456", "x"}) {
      CHECK(system->set_sysctl(0, "nf_conntrack_buckets", wrong) ==
            "nf_conntrack_buckets=" + std::string(wrong) +
                ": give a number from 1 to 268435455 buckets");
    }
    CHECK(system->buckets() == before);
    CHECK(system->statistics().size() == rows);  // no CPU was attached for it
    CHECK(cpu->kill({&kept, 1}) == 1);
    CHECK(system->broken_invariant(*cpu) == "");
    CHECK_THROWS_WITH(which.make({.sysctls = {{"nf_conntrack_buckets", "0"}}}),
                      Catch::Contains("give a number from 1"));
  });
}

/// Somebody who resizes all the time, alternating between two sizes, until it ends.
class restless {
 public:
  explicit restless(ct_system& system)
      : thread_([this, &system] {
          const std::unique_ptr<ct::cpu> cpu = system.attach();
          // relaxed: an end, not an order
          for (std::size_t to = 4096; !is_over_.load(std::memory_order_relaxed); to ^= 4096 ^ 64) {
            cpu->resize(to);
            times_.fetch_add(1, std::memory_order_relaxed);  // relaxed: a tally
          }
        }) {}
  ~restless() {
    is_over_.store(true, std::memory_order_relaxed);  // relaxed: an end, not an order
    thread_.join();
  }
  /// Until it has resized once more.
  void wait() const {
    const int before = times_.load(std::memory_order_relaxed);  // relaxed: a tally
    // relaxed: as above
    while (times_.load(std::memory_order_relaxed) == before) std::this_thread::yield();
  }

 private:
  std::atomic<bool> is_over_{false};
  std::atomic<int> times_{0};
  std::thread thread_;  // last: it uses the others
};

TEST_CASE("a flush beside resizes leaves nothing that is older than it") {
  constexpr int rounds = 60;
  for_each_resizable([](const impl& which) {
    const std::unique_ptr<ct_system> system = which.make({.buckets = 64});
    const std::unique_ptr<ct::cpu> cpu = system->attach();
    std::vector<tuple> old;
    for (std::uint16_t port = 0; port < flows; ++port) old.push_back(flow(0, port));
    const restless other(*system);
    std::size_t left = 0;
    for (int round = 0; round < rounds; ++round) {
      REQUIRE(cpu->create(old, long_s) == flows);
      other.wait();
      if (cpu->kill_if([](const conn&) { return true; }) != flows) ++left;
      left += system->count();
      cpu->kill_if([](const conn&) { return true; });
    }
    CHECK(left == 0);
    CHECK(system->count() == 0);
  });
}

TEST_CASE("a flush beside resizes and newcomers takes each that was there, and no other twice") {
  for_each_resizable([](const impl& which) {
    const std::unique_ptr<ct_system> system = which.make({.buckets = 64});
    const std::unique_ptr<ct::cpu> cpu = system->attach();
    std::vector<tuple> mine;
    for (std::uint16_t port = 0; port < flows; ++port) mine.push_back(flow(0, port));
    std::optional<restless> other(std::in_place, *system);
    std::atomic<bool> is_over{false};
    std::thread newcomers([&] {
      const std::unique_ptr<ct::cpu> on = system->attach();
      for (std::uint16_t port = 0; !is_over; port = static_cast<std::uint16_t>(port + 1) % flows) {
        const tuple t = flow(1, port);
        on->create({&t, 1}, long_s);  // refused while its last life is not flushed
      }
    });
    std::size_t wrong = 0;
    for (int round = 0; round < 30; ++round) {
      wrong += cpu->create(mine, long_s) == flows ? 0 : 1;
      other->wait();
      std::map<std::uint64_t, int> shown;
      cpu->kill_if([&](const conn& c) {
        ++shown[c.id];
        return true;
      });
      std::size_t old = 0;
      system->dump(*cpu,
                   [&](const conn& c) { old += c.tuples[0].src.addr == mine[0].src.addr ? 1 : 0; });
      wrong += old;
      for (const auto& [id, times] : shown) wrong += times == 1 ? 0 : 1;
    }
    is_over = true;
    newcomers.join();
    other.reset();  // the invariants hold at rest
    CHECK(wrong == 0);
    cpu->kill_if([](const conn&) { return true; });
    CHECK(system->count() == 0);
    CHECK(system->broken_invariant(*cpu) == "");
  });
}

TEST_CASE("the exit of a netns beside resizes is complete at its first pass") {
  for_each_resizable([](const impl& which) {
    const std::unique_ptr<ct_system> system = which.make({.buckets = 64});
    const std::unique_ptr<ct::cpu> cpu = system->attach();
    std::vector<bytes> packets;
    for (std::uint16_t port = 0; port < flows; ++port) {
      packets.push_back(packet_of(0, port, dir::original));
    }
    const restless other(*system);
    std::size_t left = 0;
    for (int round = 0; round < 30; ++round) {
      for (const bytes& ip : packets) {
        skb s = skb_of(ip);
        s.net = 5;
        cpu->pass({&s, 1});
      }
      other.wait();
      left += cpu->exit_netns(5).size();
      while (!cpu->exit_netns(5).empty()) std::this_thread::yield();
    }
    CHECK(left == 0);
    CHECK(system->count() == 0);
  });
}

TEST_CASE("a CPU that has nothing to do holds no resize up, whatever it did last") {
  for_each_resizable([](const impl& which) {
    const std::unique_ptr<ct_system> system = which.make({.buckets = 64});
    const std::unique_ptr<ct::cpu> idle = system->attach();
    const bytes ip = packet_of(0, 1, dir::original);
    const tuple t = flow(0, 1);
    skb s = skb_of(ip);
    lookup_answer answer;
    // After each call the thread waits for another one that resizes. It would wait for ever.
    const auto resize_elsewhere = [&] {
      std::thread([&] {
        const std::unique_ptr<ct::cpu> cpu = system->attach();
        cpu->resize(system->buckets() == 64 ? 128 : 64);
      }).join();
    };
    resize_elsewhere();
    idle->in({&s, 1});
    resize_elsewhere();
    idle->confirm({&s, 1});
    resize_elsewhere();
    idle->free_skb({&s, 1});
    resize_elsewhere();
    s = skb_of(ip);
    idle->pass({&s, 1});
    resize_elsewhere();
    idle->find({&t, 1}, {&answer, 1});
    CHECK(answer.conn_id == s.conn_id);
    resize_elsewhere();
    system->dump(*idle, [](const conn&) {});
    resize_elsewhere();
    CHECK(system->broken_invariant(*idle) == "");
    resize_elsewhere();
    idle->gc_worker();
    resize_elsewhere();
    CHECK(idle->kill({&t, 1}) == 1);
    resize_elsewhere();
    idle->advance(system->jiffies64() + hz);
    resize_elsewhere();
    CHECK(system->count() == 0);
  });
}

TEST_CASE("gc_worker ends its pass where a resize has left it no bucket") {
  for_each_resizable([](const impl& which) {
    const std::unique_ptr<ct_system> system = which.make({.buckets = 4096});
    const std::unique_ptr<ct::cpu> cpu = system->attach();
    std::vector<tuple> many;
    for (std::uint16_t port = 0; port < 1000; ++port) many.push_back(flow(0, port));
    REQUIRE(cpu->create(many, 0) == 1000);  // expired at once
    CHECK(cpu->gc_worker().reaped < 1000);  // it stopped somewhere in the middle
    const bool is_resized = cpu->resize(2) == resize_status::resized;
    const gc_report rest = cpu->gc_worker();
    if (is_resized) CHECK(rest.buckets == 0);
    for (int run = 0; run < 8 && system->count() != 0; ++run) cpu->gc_worker();
    CHECK(system->count() == 0);
    CHECK(system->broken_invariant(*cpu) == "");
  });
}

}  // namespace
}  // namespace ct
