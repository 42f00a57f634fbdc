// SPDX-License-Identifier: BSD-2-Clause
/// Rules of the core that no packet can show from outside: what early drop looks at bucket by
/// bucket, and what another CPU does in the middle of a confirm, a flush or a run of gc_worker.
///
/// The core is driven directly, over the spinlock table: its buckets can be chosen by looking for
/// tuples, its insert and its scans can be interrupted. What is of the core holds for every table.
#include "impls/core/conntrack.h"

#include "impls/core/packet_suite.h"
#include "impls/spinlock/spinlock.h"

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <thread>
#include <utility>

namespace ct::core {
namespace {

constexpr std::size_t buckets = 64;
constexpr std::uint32_t long_s = 1000;

/// A table ahead of whose insert, and between whose scan and what that found, somebody else acts.
class interrupted : public spinlock::table {
 public:
  using spinlock::table::table;

  template <class Steps>
  insert_status insert(local& cpu, entry& e, Steps& steps) noexcept {
    if (before_insert) std::exchange(before_insert, nullptr)(e);
    return spinlock::table::insert(cpu, e, steps);
  }

  template <class Want, class Take>
  bool scan(local& cpu, std::size_t bucket, Want&& want, Take&& take) noexcept {
    return spinlock::table::scan(cpu, bucket, want, [&](entry& e, dir d) {
      if (before_take) std::exchange(before_take, nullptr)(e);
      take(e, d);
    });
  }

  std::function<void(entry&)> before_insert;
  std::function<void(entry&)> before_take;
};

using core_type = conntrack<interrupted>;

/// A core with one CPU.
struct one_cpu {
  explicit one_cpu(std::size_t max_entries = 0)
      : core({.buckets = buckets, .max_entries = max_entries}), cpu(core, 0) {
    cpu.stat = &stat;
  }

  skb in(const build::bytes& ip) {
    skb s;
    s.frame = ip;
    s.wire_bytes = static_cast<std::uint32_t>(ip.size());
    s.link = link_type::raw;
    core.parse(s, parsed);
    core.in(cpu, parsed, s);
    return s;
  }
  std::size_t bucket_of(const tuple& t) {
    return core.table().bucket_of(core.key_of(t, 0, core.net(0)).hash);
  }
  /// A tuple that nobody has had, with its own bucket and that of its reply.
  tuple in_buckets(std::size_t original, std::size_t reply) {
    for (;;) {
      tuple t;
      t.src.addr = {10, 0, static_cast<std::uint8_t>(next_ >> 16), 1};
      t.src.id = static_cast<std::uint16_t>(next_++);
      t.dst.addr = {192, 0, 2, 7};
      t.dst.id = 53;
      t.dst.protonum = ipproto::udp;
      if (bucket_of(t) == original % buckets && bucket_of(*invert_tuple(t)) == reply % buckets) {
        return t;
      }
    }
  }
  /// Makes an entry both of whose tuples are in that bucket.
  tuple add(std::size_t bucket, std::uint32_t timeout_s = long_s) {
    const tuple t = in_buckets(bucket, bucket);
    REQUIRE(core.create(cpu, t, timeout_s) == insert_status::inserted);
    return t;
  }
  bool finds(const tuple& t) {
    const found<nf_conn> hit = core.find_get(cpu, core.key_of(t, 0, core.net(0)));
    if (hit.entry != nullptr) core.put(cpu, *hit.entry);
    return hit.entry != nullptr;
  }
  std::size_t count() { return core.net(0).count; }

  cpu_statistics stat;
  core_type core;
  core_type::cpu_state cpu;
  parsed_packet parsed;

 private:
  std::uint32_t next_ = 1;
};

build::bytes request(std::uint16_t port = 4000) {
  return build::ipv4({.src = "10.0.0.1", .dst = "192.0.2.7"},
                     build::udp({.source_port = port, .dest_port = 53}, build::payload(4)));
}

TEST_CASE("early drop looks at eight buckets from the new entry's own, across the table's end") {
  for (const std::size_t begin : {std::size_t{0}, std::size_t{20}, buckets - 3, buckets - 1}) {
    for (std::size_t away = 0; away < buckets; ++away) {
      one_cpu c(1);
      const tuple victim = c.add(begin + away);
      // Its reply's bucket does not count.
      const tuple newcomer = c.in_buckets(begin, begin + away + 1);
      const bool has_room = c.core.create(c.cpu, newcomer, long_s) == insert_status::inserted;
      INFO(away << " buckets from " << begin);
      CHECK(has_room == (away < 8));
      CHECK(c.finds(victim) == !has_room);
      CHECK(c.finds(newcomer) == has_room);
      CHECK(c.stat.early_drop.get() == (has_room ? 1 : 0));
      CHECK(c.count() == 1);
    }
  }
}

TEST_CASE("early drop finds an entry by its reply tuple too") {
  one_cpu c(1);
  const tuple victim = c.in_buckets(40, 12);
  REQUIRE(c.core.create(c.cpu, victim, long_s) == insert_status::inserted);
  CHECK(c.core.create(c.cpu, c.in_buckets(10, 10), long_s) == insert_status::inserted);
  CHECK_FALSE(c.finds(victim));
}

TEST_CASE("of the first bucket that holds victims early drop takes all, of later ones none") {
  one_cpu c(3);
  const tuple near_1 = c.add(12);
  const tuple near_2 = c.add(12);
  const tuple far = c.add(13);
  CHECK(c.core.create(c.cpu, c.in_buckets(10, 30), long_s) == insert_status::inserted);
  CHECK_FALSE(c.finds(near_1));
  CHECK_FALSE(c.finds(near_2));
  CHECK(c.finds(far));
  CHECK(c.stat.early_drop.get() == 2);
  CHECK(c.count() == 2);
}

TEST_CASE("what has expired goes on the way of early drop, and is not what it looked for") {
  one_cpu c(2);
  c.add(10, 0);
  const tuple victim = c.add(11);
  CHECK(c.core.create(c.cpu, c.in_buckets(10, 30), long_s) == insert_status::inserted);
  CHECK_FALSE(c.finds(victim));
  CHECK(c.stat.early_drop.get() == 1);
  CHECK(c.count() == 1);

  one_cpu none(1);
  none.add(10, 0);
  CHECK(none.core.create(none.cpu, none.in_buckets(10, 30), long_s) == insert_status::refused);
  CHECK(none.stat.early_drop.get() == 0);
  CHECK(none.count() == 0);
}

TEST_CASE("gc_worker drops early only while the netns is filled to 95 percent of its maximum") {
  one_cpu c(100);
  for (std::size_t i = 0; i < 100; ++i) c.add(30 + i % 30);
  CHECK(c.core.gc_worker(c.cpu).dropped == 0);  // nobody was refused
  CHECK(c.core.create(c.cpu, c.in_buckets(0, 0), long_s) == insert_status::refused);
  CHECK(c.core.gc_worker(c.cpu).dropped == 6);
  CHECK(c.count() == 94);
  CHECK(c.core.create(c.cpu, c.in_buckets(0, 0), long_s) == insert_status::inserted);
  CHECK(c.core.gc_worker(c.cpu).dropped == 0);
  CHECK(c.stat.early_drop.get() == 0);  // not counted, as in Linux
}

TEST_CASE("an entry that is killed between its packet's in and confirm is refused") {
  one_cpu c;
  const build::bytes ip = request();
  skb s = c.in(ip);
  REQUIRE(s.nfct != nullptr);
  c.core.table().before_insert = [&](nf_conn& e) {
    CHECK(c.core.kill(c.cpu, e));
    CHECK_FALSE(c.core.kill(c.cpu, e));
  };
  c.core.confirm(c.cpu, s);
  CHECK(s.verdict == verdict::drop);
  CHECK(c.stat.insert_failed.get() == 1);
  CHECK(c.stat.drop.get() == 0);
  CHECK_FALSE(c.finds(std::bit_cast<tuple>(c.parsed.key.words)));
  CHECK(c.count() == 1);
  c.core.free_skb(c.cpu, s);
  CHECK(c.count() == 0);
  CHECK(c.core.table().is_valid());
}

/// Counts.
class ear final : public listener {
 public:
  bool deliver(const event_message&) noexcept override { return ++heard, true; }
  int heard = 0;
};

TEST_CASE("of an unconfirmed entry nothing is told, neither a change nor its end") {
  ear listening;
  one_cpu c;
  c.core.net(0).events.listen(&listening, all_events);
  const build::bytes ip = request();
  skb s = c.in(ip);
  auto& e = *static_cast<nf_conn*>(s.nfct);
  e.ecache.cache(event::mark);
  c.core.deliver(e, bit(event::protoinfo));
  CHECK(listening.heard == 0);
  CHECK(c.core.kill(c.cpu, e));
  c.core.confirm(c.cpu, s);
  c.core.free_skb(c.cpu, s);
  CHECK(listening.heard == 0);
  CHECK(c.count() == 0);
  c.core.net(0).events.listen(nullptr, 0);
}

TEST_CASE("behind the end of an entry nothing is told of it, whoever still holds it") {
  ear listening;
  one_cpu c;
  c.core.net(0).events.listen(&listening, all_events);
  const build::bytes ip = request();
  skb s = c.in(ip);
  c.core.confirm(c.cpu, s);
  auto& e = *static_cast<nf_conn*>(s.nfct);
  CHECK(c.core.kill(c.cpu, e));
  CHECK(listening.heard == 2);  // NEW and DESTROY
  e.ecache.cache(event::mark);
  c.core.deliver(e, bit(event::protoinfo));
  c.core.free_skb(c.cpu, s);
  CHECK(listening.heard == 2);
  CHECK(c.count() == 0);
  c.core.net(0).events.listen(nullptr, 0);
}

TEST_CASE("whoever loses a kill to another one does not count it: a flush, gc_worker") {
  one_cpu c;
  const auto lose = [&](nf_conn& e) { CHECK(c.core.kill(c.cpu, e)); };
  c.add(10);
  c.add(20);
  bool is_first = true;
  const auto all = [&](nf_conn& e) {
    if (std::exchange(is_first, false)) lose(e);
    return true;
  };
  CHECK(c.core.kill_if(c.cpu, all) == 1);
  CHECK(c.count() == 0);

  c.add(10, 0);
  c.add(20, 0);
  c.core.table().before_take = lose;
  CHECK(c.core.gc_worker(c.cpu).reaped == 1);
  CHECK(c.count() == 0);
  CHECK(c.core.table().is_valid());
}

/// gc_worker asks the tracker whether an ASSURED entry may go, under the entry's lock: it is held
/// up there, behind its look for DYING, while somebody else kills the entry.
TEST_CASE("gc_worker does not count as dropped early what another one kills under its hands") {
  one_cpu c(100);
  tuple closing = c.in_buckets(10, 10);
  closing.dst.protonum = ipproto::tcp;
  REQUIRE(c.core.create(c.cpu, closing, long_s) == insert_status::inserted);
  const found<nf_conn> hit = c.core.find_get(c.cpu, c.core.key_of(closing, 0, c.core.net(0)));
  nf_conn& e = *hit.entry;
  e.proto.tcp.state = tcp_state::time_wait;
  e.set(status::assured);
  std::array<skb, 99> fill;  // on their way: nobody's victims
  for (std::uint16_t i = 0; i < fill.size(); ++i) {
    const build::bytes ip = request(i);
    fill[i] = c.in(ip);
  }
  REQUIRE(c.count() == 100);
  REQUIRE(c.core.create(c.cpu, c.in_buckets(30, 30), long_s) == insert_status::refused);

  std::atomic<bool> was_taken{false};
  // relaxed: a flag.
  c.core.table().before_take = [&](nf_conn&) { was_taken.store(true, std::memory_order_relaxed); };
  gc_report report;
  cpu_statistics other_stat;
  core_type::cpu_state other(c.core, 1);
  other.stat = &other_stat;
  e.lock.lock();
  std::thread worker([&] {
    report = c.core.gc_worker(other);
    was_taken.store(true, std::memory_order_relaxed);  // relaxed: a flag; so that nobody waits
  });
  while (!was_taken.load(std::memory_order_relaxed)) std::this_thread::yield();  // relaxed: a flag
  // Time enough to come to the lock; who comes later sees DYING, and does not count either.
  for (int i = 0; i < 2000; ++i) std::this_thread::yield();
  CHECK(c.core.kill(c.cpu, e));
  e.lock.unlock();
  worker.join();
  CHECK(report.dropped == 0);
  c.core.put(c.cpu, e);
  for (skb& s : fill) c.core.free_skb(c.cpu, s);
  CHECK(c.count() == 0);
}

TEST_CASE("of two packets that share an unconfirmed entry one confirms it, the other is dropped") {
  one_cpu c;
  const build::bytes ip = request();
  skb s = c.in(ip);
  skb clone = s;
  static_cast<nf_conn*>(clone.nfct)->get();
  c.core.table().before_insert = [&](nf_conn&) { c.core.confirm(c.cpu, clone); };
  c.core.confirm(c.cpu, s);
  CHECK(clone.verdict == verdict::accept);
  CHECK(s.verdict == verdict::drop);
  CHECK(c.stat.insert_failed.get() == 0);  // it lives
  CHECK(c.finds(std::bit_cast<tuple>(c.parsed.key.words)));
  CHECK(c.core.table().is_valid());
  c.core.free_skb(c.cpu, s);
  c.core.free_skb(c.cpu, clone);
  CHECK(c.count() == 1);
  CHECK(c.core.kill_if(c.cpu, [](const nf_conn&) { return true; }) == 1);
  CHECK(c.count() == 0);
}

TEST_CASE("the killer of an entry that is not confirmed leaves it to its packet") {
  one_cpu c;
  const build::bytes ip = request();
  skb s = c.in(ip);
  CHECK(c.core.kill(c.cpu, *static_cast<nf_conn*>(s.nfct)));
  CHECK(c.count() == 1);
  c.core.confirm(c.cpu, s);
  CHECK(s.verdict == verdict::drop);
  c.core.free_skb(c.cpu, s);
  CHECK(c.count() == 0);
}

TEST_CASE("a packet of the reply direction confirms nothing") {
  one_cpu c;
  const build::bytes ip = request();
  skb s = c.in(ip);
  s.info = ctinfo::established_reply;
  c.core.confirm(c.cpu, s);
  CHECK(s.verdict == verdict::accept);
  CHECK_FALSE(static_cast<nf_conn*>(s.nfct)->is_confirmed());
  c.core.free_skb(c.cpu, s);
  CHECK(c.count() == 0);
}

}  // namespace
}  // namespace ct::core
