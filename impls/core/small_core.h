// SPDX-License-Identifier: BSD-2-Clause
/// A stand-in for the core, as small as the life cycle of a table's entries allows: what table
/// checks drive.
///
/// It takes the table's reference, sets CONFIRMED and DYING and puts in the order of the real one,
/// counts what it allocated and freed, and knows nothing of packets.
#pragma once

#include "impls/core/nf_conn.h"
#include "spec/table.h"
#include "spec/tuple.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace ct::core::checks {

/// What is broken; empty: nothing.
using finding = std::string;

struct broken : std::runtime_error {
  using std::runtime_error::runtime_error;
};
/// Not within a table's verbs: they are noexcept.
inline void demand(bool holds, const std::string& what) {
  if (!holds) throw broken(what);
}
template <class Body>
finding find_out(Body&& body) {
  try {
    body();
    return {};
  } catch (const broken& b) {
    return b.what();
  }
}

/// A jiffy from which every check's expiry crosses the wrap.
inline constexpr std::uint32_t start_jiffy = 0xffff'ff00;

/// Key number `n`: UDP from 10.x.y.z; equal numbers are equal tuples.
inline key make_key(std::uint32_t n,
                    std::uint32_t hash,
                    std::uint16_t zone = 0,
                    std::uint16_t net = 0) {
  tuple t;
  t.src.addr = {10,
                static_cast<std::uint8_t>(n >> 16),
                static_cast<std::uint8_t>(n >> 8),
                static_cast<std::uint8_t>(n)};
  t.dst.addr = {192, 0, 2, 1};
  t.src.id = 4000;
  t.dst.id = 53;
  t.dst.protonum = ipproto::udp;
  return {words(t), hash, zone, net};
}
/// Hashes that differ in their high and in their low bits, whichever a table chooses its buckets
/// by.
inline std::uint32_t spread(std::uint32_t n) { return n * 0x9e37'79b1U; }
inline key make_key(std::uint32_t n) { return make_key(n, spread(n)); }
/// The number that a node's key was made of.
inline std::uint32_t number_of(const tuplehash& node) {
  const address a = node.tuple().src.addr;
  return std::uint32_t{a[1]} << 16 | std::uint32_t{a[2]} << 8 | a[3];
}

/// How many linked entries answer to each key number, counted at the core's own steps (C.1).
class census {
 public:
  explicit census(std::size_t keys) : linked_(keys) {}

  void enters(const nf_conn& e) { change(e, 1); }
  void leaves(const nf_conn& e) { change(e, -1); }
  bool is_exceeded() const {
    return is_exceeded_.load(std::memory_order_relaxed);  // relaxed: a flag, read at rest
  }

 private:
  void change(const nf_conn& e, int by) {
    const std::uint32_t original = number_of(e.hash_node(dir::original));
    const std::uint32_t reply = number_of(e.hash_node(dir::reply));
    change(original, by);
    if (reply != original) change(reply, by);
  }
  void change(std::uint32_t number, int by) {
    // relaxed, both: read-modify-writes of one variable have one order, and no other data hangs on
    // it.
    const int now = linked_[number].fetch_add(by, std::memory_order_relaxed) + by;
    if (now < 0 || now > 1) is_exceeded_.store(true, std::memory_order_relaxed);
  }

  std::vector<std::atomic<int>> linked_;
  std::atomic<bool> is_exceeded_{false};
};

/// The core's part of an insert, and what came of it.
struct steps {
  // Given.
  bool is_welcome = true;
  bool confirms = true;
  std::size_t limit = 1000;
  std::uint32_t now = start_jiffy;
  census* watch = nullptr;
  clash_answer answer = clash_answer::refuse;
  // Found out.
  std::string calls{};        // m(ay_insert) c(lash) b(efore_link) a(fter_link)
  nf_conn* winner = nullptr;  // referenced
  dir winner_dir = dir::original;

  bool may_insert(nf_conn& e) {
    calls += 'm';
    return is_welcome && !e.has(status::confirmed | status::dying);
  }
  std::size_t chain_limit() const { return limit; }
  clash_answer clash(nf_conn& w, dir d) {
    if (winner != nullptr) (void)winner->put();  // never the last one: the table has another
    calls += 'c';
    w.get();
    winner = &w;
    winner_dir = d;
    return answer;
  }
  void before_link(nf_conn& e) {
    if (winner != nullptr) e.set(status::nat_clash);  // the answer was link_reply
    calls += 'b';
    // relaxed: the entry is private; linking it publishes this.
    e.timeout.fetch_add(now, std::memory_order_relaxed);
    e.get();
  }
  void after_link(nf_conn& e) {
    calls += 'a';
    if (watch != nullptr) watch->enters(e);
    // release: whoever sees CONFIRMED sees the absolute timeout.
    if (confirms) e.status.fetch_or(status::confirmed, std::memory_order_release);
  }
};

inline std::uint32_t use_of(const nf_conn& e) {
  return e.use.load(std::memory_order_relaxed);  // relaxed: checks look at it at rest
}

/// The life cycle of entries, as far as a table can tell: alloc, confirm, kill, put.
template <ct::table T>
class small_core {
 public:
  static_assert(std::is_same_v<typename T::entry, nf_conn>);
  using local = typename T::local;

  explicit small_core(std::size_t buckets = 64) : table(table_options{.buckets = buckets}) {}

  /// A new entry with the packet's reference.
  nf_conn& make(local& l, const key& original, const key& reply, std::uint32_t timeout = 1000) {
    nf_conn* const e = table.alloc(l);
    demand(e != nullptr, "alloc gave no memory");
    demand(use_of(*e) == 0, "D.4 alloc gave an entry that is in use");
    e->hash_node(dir::original).set(original, dir::original);
    e->hash_node(dir::reply).set(reply, dir::reply);
    // relaxed, both: published by the store of use.
    e->status.store(0, std::memory_order_relaxed);
    e->timeout.store(timeout, std::memory_order_relaxed);
    // relaxed: a statistic.
    allocated.fetch_add(1, std::memory_order_relaxed);
    // release: pairs with get_unless_zero(): who gets a reference sees this life's tuples.
    e->use.store(1, std::memory_order_release);
    return *e;
  }

  insert_status insert(local& l, nf_conn& e, steps& s) {
    s.watch = watch;
    const insert_status status = table.insert(l, e, s);
    if (s.winner != nullptr) put(l, *s.winner);
    return status;
  }
  /// An entry that must go in.
  nf_conn& add(local& l, const key& original, const key& reply, std::uint32_t timeout = 1000) {
    nf_conn& e = make(l, original, reply, timeout);
    steps s;
    demand(insert(l, e, s) == insert_status::inserted, "B.1 an insert without obstacle failed");
    return e;
  }

  bool kill(local& l, nf_conn& e) {
    // acq_rel: of several killers one goes on, ordered after whatever the entry's confirm did.
    if ((e.status.fetch_or(status::dying, std::memory_order_acq_rel) & status::dying) != 0)
      return false;
    if (watch != nullptr) watch->leaves(e);  // ahead of unlink: a successor may enter at once
    table.unlink(l, e);
    put(l, e);
    return true;
  }
  void put(local& l, nf_conn& e) {
    if (!e.put()) return;
    // relaxed, both: a statistic; and a mark that dead memory is not taken for a confirmed entry.
    freed.fetch_add(1, std::memory_order_relaxed);
    e.status.store(0, std::memory_order_relaxed);
    table.free(l, e);
  }
  /// Kills an entry and gives back the packet's reference.
  void bury(local& l, nf_conn& e) {
    kill(l, e);
    put(l, e);
  }

  found<nf_conn> find_get(local& l, const key& k, std::uint32_t now = start_jiffy) {
    table.prefetch(l, std::span(&k.hash, 1));
    return table.find_get(l, k, now, [&](nf_conn& e) {
      // Judged again under the reference, as in the kernel: type-safe memory may have been
      // recycled.
      if (e.is_confirmed() && e.is_expired(now)) kill(l, e);
      put(l, e);
    });
  }
  /// Whom a lookup finds; not referenced, so only to be compared, or while something else
  /// references it.
  nf_conn* whom(local& l, const key& k, std::uint32_t now = start_jiffy) {
    const found<nf_conn> hit = find_get(l, k, now);
    if (hit.entry != nullptr) put(l, *hit.entry);
    return hit.entry;
  }

  /// One pass; true: no bucket was stopped.
  template <class Want, class Take>
  bool scan(local& l, Want&& want, Take&& take) {
    bool is_finished = true;
    for (std::size_t b = 0; b < table.bucket_count(); ++b)
      is_finished &= table.scan(l, b, want, take);
    return is_finished;
  }
  std::size_t count_nodes(local& l) {
    std::size_t count = 0;
    scan(
        l,
        [&](nf_conn&, dir) { return ++count, scan_verdict::next; },
        [](nf_conn&, dir) {});
    return count;
  }
  void clear(local& l) {
    scan(
        l,
        [](nf_conn&, dir) { return scan_verdict::take; },
        [&](nf_conn& e, dir) { bury(l, e); });
  }

  /// What must hold when nobody holds anything: nothing linked, everything freed, exactly once.
  void demand_empty(local& l) {
    demand(count_nodes(l) == 0, "E.2 a scan still shows tuplehashes of an empty table");
    // relaxed, both: at rest.
    const std::uint64_t in = allocated.load(std::memory_order_relaxed);
    const std::uint64_t out = freed.load(std::memory_order_relaxed);
    demand(in == out,
           "D.4 " + std::to_string(in) + " allocated, " + std::to_string(out) + " freed");
    demand(table.is_valid(), "is_valid() is false for an empty table");
  }

  T table;
  census* watch = nullptr;
  // Atomic.
  std::atomic<std::uint64_t> allocated{0};
  std::atomic<std::uint64_t> freed{0};
};

/// A core and this thread's local.
template <ct::table T>
struct bench_of_one {
  explicit bench_of_one(std::size_t buckets = 64) : core(buckets), l(core.table) {}
  small_core<T> core;
  typename T::local l;
};

}  // namespace ct::core::checks
