// SPDX-License-Identifier: BSD-2-Clause
/// The table of expectations: its rules, each as a check, and for each check a table with the fault
/// that it must find.
#include "impls/core/expect.h"

#include "impls/core/packet_suite.h"
#include "impls/core/policy.h"
#include "spec/jiffies.h"

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace ct::core {
namespace {

using build::addr;

/// A helper with two classes: one expectation for five minutes, three for a minute.
constexpr conntrack_helper test_helper = {
    .name = "test",
    .protonum = ipproto::tcp,
    .classes = {{{.max_expected = 1, .timeout_s = 300}, {.max_expected = 3, .timeout_s = 60}}},
    .class_count = 2,
    .help = nullptr};

struct broken : std::runtime_error {
  using std::runtime_error::runtime_error;
};
void demand(bool holds, const std::string& what) {
  if (!holds) throw broken(what);
}

/// Masters, a netns and a table; what a master's put would do, the world's end does.
template <class Table>
struct world {
  explicit world(std::size_t limit = 1000) : max(limit), table(1024, max, 7) {}
  ~world() {
    for (const auto& m : masters) {
      // relaxed: one thread.
      m->status.fetch_or(status::dying, std::memory_order_relaxed);
      table.expect_table::remove_all_of(*m, stat);
    }
  }
  world(const world&) = delete;
  world& operator=(const world&) = delete;

  nf_conn& master(netns& of, std::uint16_t zone_id = 0) {
    masters.push_back(std::make_unique<nf_conn>());
    nf_conn& m = *masters.back();
    m.net = &of;
    m.zone.id = zone_id;
    m.help.reset(new nf_conn_help(test_helper));
    m.set(status::confirmed);
    m.use.store(1, std::memory_order_relaxed);  // relaxed: one thread; the table's reference
    return m;
  }
  nf_conn& master() { return master(net); }

  /// A request for a connection from `from` to 10.0.0.9:`port`.
  expectation& ask(nf_conn& of, std::uint16_t port, const char* from = "10.0.0.1") {
    expectation* const exp = expect_table::alloc(of);
    exp->tuple = tuple_of(port, 0, from);
    for (std::size_t i = 0; i < 4; ++i) exp->mask.addr[i] = 0xff;
    return *exp;
  }
  expect_status insert(expectation& exp, bool is_any_master = false) {
    const expect_status answer = table.insert(exp, now, stat, is_any_master);
    expect_table::put(exp);
    return answer;
  }
  expect_status add(nf_conn& of, std::uint16_t port, std::uint8_t class_index = 0) {
    expectation& exp = ask(of, port);
    exp.class_index = class_index;
    return insert(exp);
  }
  /// A packet's search: the master that it belongs to, whose reference is given back.
  nf_conn* find(const tuple& t, std::uint16_t zone_id, const netns& in) {
    expectation* const exp = table.find_get(t, zone_id, in, now, stat);
    if (exp == nullptr) return nullptr;
    nf_conn* const master = exp->master;
    expect_table::put(*exp);
    demand(!master->put(), "a match took no reference on the master");
    return master;
  }
  nf_conn* find(std::uint16_t port, const char* from = "10.0.0.1") {
    return find(tuple_of(port, 5000, from), 0, net);
  }
  static tuple tuple_of(std::uint16_t port, std::uint16_t source_port, const char* from) {
    tuple t;
    t.src.addr = addr(from);
    t.src.id = source_port;
    t.dst.addr = addr("10.0.0.9");
    t.dst.id = port;
    t.dst.protonum = ipproto::tcp;
    return t;
  }
  void demand_sound() {
    demand(table.is_valid(), "is_valid() is false");
    const std::uint64_t there = stat.expect_create.get() - stat.expect_delete.get();
    demand(there == table.count(), "created less deleted is not what is there");
    for (const auto& m : masters) {
      // relaxed: one thread.
      demand(m->use.load(std::memory_order_relaxed) == 1, "a master's reference was not put back");
    }
  }

  core::policy policy;
  event_channel::listener_count listening{0};
  netns net{0, 11, policy, listening};
  netns other_net{1,
                  11,
                  policy,
                  listening};  // the same mix, so that only the comparison tells them apart
  std::vector<std::unique_ptr<nf_conn>> masters;
  cpu_statistics stat;
  std::uint32_t now = 0xffff'ff00;  // every timeout crosses the wrap
  setting<std::size_t> max;
  Table table;
};

// --- the checks
// -----------------------------------------------------------------------------------

template <class Table>
void matches_once() {
  world<Table> w;
  nf_conn& m = w.master();
  demand(w.add(m, 21) == expect_status::inserted, "an insertion without obstacle failed");
  demand(w.find(22) == nullptr, "another port matched");
  demand(w.find(21, "10.0.0.2") == nullptr, "a source outside the mask matched");
  demand(w.find(21) == &m, "what was expected did not match");
  demand(w.find(21) == nullptr, "an expectation matched twice");
  w.demand_sound();
}

template <class Table>
void flags_are_kept() {
  world<Table> w;
  nf_conn& m = w.master();
  expectation& lasting = w.ask(m, 21);
  lasting.flags = expect_flag::permanent;
  demand(w.insert(lasting) == expect_status::inserted, "PERMANENT was not inserted");
  demand(w.find(21) == &m && w.find(21) == &m, "a PERMANENT expectation was used up");
  nf_conn& n = w.master();
  expectation& idle = w.ask(n, 22);
  idle.flags = expect_flag::inactive;
  demand(w.insert(idle) == expect_status::inserted, "INACTIVE was not inserted");
  demand(w.find(22) == nullptr, "an INACTIVE expectation matched");
  w.demand_sound();
}

template <class Table>
void masters_must_be_alive() {
  world<Table> w;
  nf_conn& m = w.master();
  m.status.store(0, std::memory_order_relaxed);  // relaxed: one thread
  demand(w.add(m, 21) == expect_status::inserted, "an unconfirmed master may announce");
  demand(w.find(21) == nullptr, "the expectation of an unconfirmed master matched");
  m.set(status::confirmed);
  demand(w.find(21) == &m, "the refusal used the expectation up");
  demand(w.add(m, 21) == expect_status::inserted, "the second insertion failed");
  m.set(status::dying);
  demand(w.find(21) == nullptr, "the expectation of a dying master matched");
  w.table.remove_all_of(m, w.stat);
  demand(w.table.count() == 0, "the master's end left an expectation behind");
  w.demand_sound();
}

template <class Table>
void scopes_are_apart() {
  world<Table> w;
  nf_conn& here = w.master(w.net, 5);
  nf_conn& there = w.master(w.other_net, 5);
  demand(w.add(here, 21) == expect_status::inserted, "an insertion without obstacle failed");
  demand(w.add(there, 21) == expect_status::inserted, "another netns stood in the way");
  const tuple t = w.tuple_of(21, 5000, "10.0.0.1");
  demand(w.find(t, 0, w.net) == nullptr, "another zone's expectation matched");
  demand(w.find(t, 5, w.net) == &here, "the netns were confused");
  demand(w.find(t, 5, w.other_net) == &there, "the netns were confused");
  w.demand_sound();
}

template <class Table>
void insert_rules() {
  world<Table> w;
  nf_conn& m = w.master();
  nf_conn& n = w.master();
  demand(w.add(m, 21) == expect_status::inserted, "an insertion without obstacle failed");
  demand(w.add(m, 21) == expect_status::inserted, "the same again was not replaced");
  demand(w.table.count() == 1, "the same again did not replace");
  demand(w.add(m, 21, 1) == expect_status::already, "EALREADY: another class");
  demand(w.add(n, 21) == expect_status::busy, "EBUSY: another master's that overlaps");
  demand(w.insert(w.ask(n, 21), true) == expect_status::already, "EALREADY: any master");
  expectation& wide = w.ask(n, 21, "10.0.0.7");
  wide.mask.addr = {};  // any source: one packet could match both
  demand(w.insert(wide) == expect_status::busy, "EBUSY: masks that overlap");
  demand(w.insert(w.ask(n, 21, "10.0.0.7")) == expect_status::inserted, "sources apart");
  expectation& classless = w.ask(n, 23);
  classless.class_index = 2;
  demand(w.insert(classless) == expect_status::bad_request, "EINVAL: a class that there is not");
  nf_conn& plain = w.master();
  plain.help = nullptr;
  demand(w.add(plain, 24) == expect_status::no_helper, "ESHUTDOWN: no helper");
  w.demand_sound();
}

template <class Table>
void limits_hold() {
  world<Table> w(4);
  nf_conn& m = w.master();
  for (const std::uint16_t port : std::array<std::uint16_t, 4>{1, 2, 3, 4}) {
    demand(w.add(m, port, 1) == expect_status::inserted, "a full class made no room");
  }
  demand(w.table.count() == 3, "a class has more than its limit");
  demand(w.find(1) == nullptr, "the newest went instead of the oldest");
  demand(w.find(2) == &m && w.find(4) == &m, "more than the oldest went");
  demand(w.add(m, 5, 0) == expect_status::inserted, "another class stood in the way");
  demand(w.add(w.master(), 6) == expect_status::inserted, "three of four");
  demand(w.add(w.master(), 7) == expect_status::inserted, "four of four");
  demand(w.add(w.master(), 8) == expect_status::full, "EMFILE: five of four");
  demand(w.add(w.master(w.other_net), 8) == expect_status::inserted,
         "the limit is each netns' own");
  w.demand_sound();
}

template <class Table>
void timers_fire() {
  world<Table> w;
  nf_conn& m = w.master();
  nf_conn& n = w.master();
  demand(w.add(m, 21) == expect_status::inserted, "an insertion without obstacle failed");
  demand(w.add(m, 22, 1) == expect_status::inserted, "an insertion without obstacle failed");
  expectation& own = w.ask(n, 23);
  own.flags = expect_flag::userspace;
  own.timeout = seconds(7);
  demand(w.insert(own) == expect_status::inserted, "an insertion without obstacle failed");
  w.now += seconds(7) - 1;
  w.table.run_timers(w.now, w.stat);
  demand(w.table.count() == 3, "a timer fired early");
  ++w.now;
  demand(w.find(23) == nullptr, "an expired expectation matched");
  demand(w.table.dump(w.now).size() == 2, "an expired expectation is shown");
  w.table.run_timers(w.now, w.stat);
  demand(w.table.count() == 2, "USERSPACE expires by its own timeout");
  w.now += seconds(53);
  demand(w.add(n, 22) == expect_status::inserted, "an expired expectation stands in the way");
  w.table.run_timers(w.now, w.stat);
  demand(w.table.count() == 2, "a class expires by its policy");
  demand(w.find(21) == &m, "the other class expired, too");
  w.now += seconds(300);
  w.table.run_timers(w.now, w.stat);
  demand(w.table.count() == 0, "the last timer did not fire");
  w.demand_sound();
}

template <class Table>
std::string first_broken() {
  try {
    matches_once<Table>();
    flags_are_kept<Table>();
    masters_must_be_alive<Table>();
    scopes_are_apart<Table>();
    insert_rules<Table>();
    limits_hold<Table>();
    timers_fire<Table>();
    return {};
  } catch (const broken& b) {
    return b.what();
  }
}

// --- the faults
// -----------------------------------------------------------------------------------

struct never_used_up : expect_table {
  using expect_table::expect_table;
  expectation* find_get(const tuple& t,
                        std::uint16_t zone_id,
                        const netns& in,
                        std::uint32_t now,
                        cpu_statistics& stat) {
    return expect_table::find_get(t, zone_id, in, now, stat, false);
  }
};
struct blind_to_dying : expect_table {
  using expect_table::expect_table;
  nf_conn* last = nullptr;
  expect_status insert(expectation& exp, std::uint32_t now, cpu_statistics& stat, bool any) {
    last = exp.master;
    return expect_table::insert(exp, now, stat, any);
  }
  expectation* find_get(const tuple& t,
                        std::uint16_t zone_id,
                        const netns& in,
                        std::uint32_t now,
                        cpu_statistics& stat) {
    const bool is_dying = last != nullptr && last->has(status::dying);
    // relaxed: one thread.
    if (is_dying) last->status.fetch_and(~status::dying, std::memory_order_relaxed);
    expectation* const found = expect_table::find_get(t, zone_id, in, now, stat);
    // relaxed: one thread.
    if (is_dying) last->status.fetch_or(status::dying, std::memory_order_relaxed);
    return found;
  }
};
struct blind_to_zones : expect_table {
  using expect_table::expect_table;
  expectation* find_get(const tuple& t,
                        std::uint16_t,
                        const netns& in,
                        std::uint32_t now,
                        cpu_statistics& stat) {
    expectation* found = nullptr;
    for (const std::uint16_t zone_id : std::array<std::uint16_t, 2>{0, 5}) {
      if (found == nullptr) found = expect_table::find_get(t, zone_id, in, now, stat);
    }
    return found;
  }
};
struct blind_to_masks : expect_table {
  using expect_table::expect_table;
  expect_status insert(expectation& exp, std::uint32_t now, cpu_statistics& stat, bool any) {
    exp.mask = {};
    return expect_table::insert(exp, now, stat, any);
  }
};
struct deaf_to_the_end : expect_table {
  using expect_table::expect_table;
  void remove_all_of(nf_conn&, cpu_statistics&) {}
};
struct leaks_masters : expect_table {
  using expect_table::expect_table;
  expectation* find_get(const tuple& t,
                        std::uint16_t zone_id,
                        const netns& in,
                        std::uint32_t now,
                        cpu_statistics& stat) {
    expectation* const found = expect_table::find_get(t, zone_id, in, now, stat);
    if (found != nullptr) found->master->get();
    return found;
  }
};
struct takes_no_reference : expect_table {
  using expect_table::expect_table;
  expectation* find_get(const tuple& t,
                        std::uint16_t zone_id,
                        const netns& in,
                        std::uint32_t now,
                        cpu_statistics& stat) {
    expectation* const found = expect_table::find_get(t, zone_id, in, now, stat);
    if (found != nullptr) (void)found->master->put();
    return found;
  }
};
struct one_class_for_all : expect_table {
  using expect_table::expect_table;
  expect_status insert(expectation& exp, std::uint32_t now, cpu_statistics& stat, bool any) {
    if (exp.class_index < 2) exp.class_index = 0;
    return expect_table::insert(exp, now, stat, any);
  }
};
struct any_master_will_do : expect_table {
  using expect_table::expect_table;
  expect_status insert(expectation& exp, std::uint32_t now, cpu_statistics& stat, bool) {
    return expect_table::insert(exp, now, stat, true);
  }
};
struct late_timers : expect_table {
  using expect_table::expect_table;
  void run_timers(std::uint32_t now, cpu_statistics& stat) {
    expect_table::run_timers(now - seconds(1), stat);
  }
};
struct early_timers : expect_table {
  using expect_table::expect_table;
  void run_timers(std::uint32_t now, cpu_statistics& stat) {
    expect_table::run_timers(now + 1, stat);
  }
};

TEST_CASE("the table of expectations keeps its rules") {
  CHECK(first_broken<expect_table>() == "");
}

TEST_CASE("each planted fault of the table of expectations is found, by its name") {
  CHECK(first_broken<never_used_up>() == "an expectation matched twice");
  CHECK(first_broken<blind_to_dying>() == "the expectation of a dying master matched");
  CHECK(first_broken<blind_to_zones>() == "another zone's expectation matched");
  CHECK(first_broken<blind_to_masks>() == "a source outside the mask matched");
  CHECK(first_broken<deaf_to_the_end>() == "the master's end left an expectation behind");
  CHECK(first_broken<leaks_masters>() == "a master's reference was not put back");
  CHECK(first_broken<takes_no_reference>() == "a match took no reference on the master");
  CHECK(first_broken<one_class_for_all>() == "EALREADY: another class");
  CHECK(first_broken<any_master_will_do>() == "EBUSY: another master's that overlaps");
  CHECK(first_broken<late_timers>() == "USERSPACE expires by its own timeout");
  CHECK(first_broken<early_timers>() == "a timer fired early");
}

TEST_CASE("the maximum may be changed while expectations are there") {
  world<expect_table> w(1);
  CHECK(w.add(w.master(), 1) == expect_status::inserted);
  CHECK(w.add(w.master(), 2) == expect_status::full);
  w.max = 2;
  CHECK(w.add(w.master(), 2) == expect_status::inserted);
  w.max = 0;
  CHECK(w.table.count() == 2);
  CHECK(w.add(w.master(), 3) == expect_status::full);
}

TEST_CASE("of many threads that look for one expectation exactly one gets it") {
  constexpr int rounds = 300;
  constexpr std::size_t threads = 3;
  world<expect_table> w;
  nf_conn& m = w.master();
  std::atomic<int> round{-1};
  std::atomic<int> arrived{0};
  std::atomic<int> wins{0};
  const auto seek = [&] {
    cpu_statistics stat;
    for (int r = 0; r < rounds; ++r) {
      // acquire: pairs with the release below: the expectation of this round is in.
      while (round.load(std::memory_order_acquire) < r) std::this_thread::yield();
      const tuple t = w.tuple_of(21, 5000, "10.0.0.1");
      if (expectation* const exp = w.table.find_get(t, 0, w.net, w.now, stat)) {
        wins.fetch_add(1, std::memory_order_relaxed);  // relaxed: read after the join below
        (void)exp->master->put();
        expect_table::put(*exp);
      }
      // release: pairs with the acquire below: this round's search is over.
      arrived.fetch_add(1, std::memory_order_release);
    }
  };
  std::vector<std::thread> all;
  for (std::size_t i = 0; i < threads; ++i) all.emplace_back(seek);
  for (int r = 0; r < rounds; ++r) {
    CHECK(w.add(m, 21) == expect_status::inserted);
    round.store(r, std::memory_order_release);  // release: pairs with the acquire in seek
    // acquire: pairs with the release in seek.
    while (arrived.load(std::memory_order_acquire) < (r + 1) * static_cast<int>(threads)) {
      std::this_thread::yield();
    }
  }
  for (std::thread& t : all) t.join();
  CHECK(wins.load(std::memory_order_relaxed) == rounds);  // relaxed: joined
  CHECK(w.table.count() == 0);
  CHECK(w.table.is_valid());
}

}  // namespace
}  // namespace ct::core
