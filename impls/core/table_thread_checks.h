// SPDX-License-Identifier: BSD-2-Clause
/// What is asked of a table by four threads at once, over few keys, so that everything collides and
/// memory is recycled at once.
///
/// Operations are counted, not timed; each thread's choices come from a fixed seed, the
/// interleaving from the machine. A check here can miss a fault; how often it finds the planted
/// ones, table_suite_test.cc says. Callbacks run within noexcept verbs, so they note what they see
/// in a `report` instead of throwing.
#pragma once

#include "impls/core/small_core.h"
#include "spec/random.h"

#include <array>
#include <atomic>
#include <barrier>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <latch>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace ct::core::checks {

inline constexpr unsigned threads = 4;
/// Of each thread: some time slices long, so that two cores are enough to interleave four threads.
inline constexpr unsigned operations = 50'000;
/// One in so many times a thread yields where it holds something: on a busy machine each costs a
/// time slice.
inline constexpr std::uint32_t yield_odds = 256;

/// The first thing that a thread found broken.
class report {
 public:
  void note(bool holds, const char* what) {
    if (holds) return;
    is_broken_.store(true, std::memory_order_relaxed);  // relaxed: ends loops a little earlier
    const std::lock_guard guard(lock_);
    if (first_.empty()) first_ = what;
  }
  /// Nobody needs to go on.
  bool is_broken() const {
    return is_broken_.load(std::memory_order_relaxed);  // relaxed: a hint
  }
  finding result() const {
    const std::lock_guard guard(lock_);
    return first_;
  }

 private:
  mutable std::mutex lock_;
  // Guarded by lock_.
  finding first_;
  // Atomic.
  std::atomic<bool> is_broken_{false};
};

class tally {
 public:
  void add() { count_.fetch_add(1, std::memory_order_relaxed); }  // relaxed: only counted
  unsigned count() const { return count_.load(std::memory_order_relaxed); }  // relaxed: at rest

 private:
  std::atomic<unsigned> count_{0};
};

/// Runs body(thread number, local, random numbers) in each of the threads, started together.
template <class T, class Body>
void in_threads(small_core<T>& core, Body&& body) {
  std::latch start(threads);
  std::vector<std::jthread> running;
  for (unsigned n = 0; n < threads; ++n) {
    running.emplace_back([&, n] {
      typename T::local l(core.table);
      random_source random(n + 1);
      start.arrive_and_wait();
      body(n, l, random);
    });
  }
}

/// Eight keys in three chains.
inline constexpr std::uint32_t shared_keys = 8;
inline key shared_key(std::uint32_t n) { return make_key(n, n % 3 * 0x5555'5555U); }
/// A key that only thread `n` uses, in the same chains.
inline key private_key(unsigned n, std::uint32_t which) {
  return make_key(shared_keys + 2 * n + which, which * 0x5555'5555U);
}

/// One thread's work of `churn`.
template <class T>
class churner {
 public:
  churner(small_core<T>& core,
          typename T::local& l,
          random_source& random,
          report& r,
          std::atomic<std::uint32_t>& now)
      : core_(core), l_(l), random_(random), report_(r), now_(now) {}

  void insert_some() {
    // relaxed: any recent jiffy will do.
    const std::uint32_t now = now_.load(std::memory_order_relaxed);
    const key original = shared_key(dice(shared_keys));
    const key reply = shared_key(dice(shared_keys));
    nf_conn& e = core_.make(l_, original, reply, dice(2) == 0 ? 3 : 10'000'000);
    steps s;
    s.now = now;
    s.watch = core_.watch;
    const insert_status status = core_.table.insert(l_, e, s);
    report_.note(status == insert_status::inserted || status == insert_status::clash,
                 "C.2 an insert among few keys was neither done nor a clash");
    report_.note((status == insert_status::clash) == (s.winner != nullptr),
                 "C.2 a clash without a winner");
    if (s.winner != nullptr) {
      const tuplehash& node = s.winner->hash_node(s.winner_dir);
      report_.note(node.matches(original) || node.matches(reply),
                   "C.2 the winner of a clash answers to neither tuple of the loser");
      core_.put(l_, *s.winner);
    }
    if (dice(4) == 0 && status == insert_status::inserted) core_.kill(l_, e);
    core_.put(l_, e);
  }

  void find_some() {
    // relaxed: any recent jiffy will do; it does not run backwards.
    const std::uint32_t now = now_.load(std::memory_order_relaxed);
    const key k = shared_key(dice(shared_keys));
    const found<nf_conn> hit = core_.find_get(l_, k, now);
    if (hit.entry == nullptr) return;
    nf_conn& e = *hit.entry;
    const bool is_right = e.hash_node(hit.dir).matches(k);
    report_.note(is_right, "A.2 an entry was found by a key that it does not answer to");
    report_.note(e.is_confirmed(), "A.2 an entry was found that is not CONFIRMED");
    report_.note(!e.is_expired(now), "E.1 an entry was found that had expired before the lookup");
    if (dice(yield_odds) == 0) std::this_thread::yield();
    report_.note(!is_right || e.hash_node(hit.dir).matches(k),
                 "A.3 a referenced entry got another meaning");
    if (dice(4) == 0) core_.kill(l_, e);
    core_.put(l_, e);
  }

  /// A.1: nobody else kills these, but others come and go in the same chains.
  void visit_private(unsigned thread) {
    const key original = private_key(thread, 0);
    const key reply = private_key(thread, 1);
    nf_conn& e = core_.make(l_, original, reply, 10'000'000);
    steps s;
    // relaxed: any recent jiffy will do.
    s.now = now_.load(std::memory_order_relaxed);
    report_.note(core_.insert(l_, e, s) == insert_status::inserted,
                 "C.2 an entry without rival was not inserted");
    for (unsigned i = 0; i < 4; ++i) {
      report_.note(core_.whom(l_, i % 2 == 0 ? original : reply, s.now) == &e,
                   "A.1 a confirmed entry was not found while others came and went");
    }
    core_.kill(l_, e);
    report_.note(
        core_.whom(l_, original, s.now) == nullptr && core_.whom(l_, reply, s.now) == nullptr,
        "D.2 an entry was found after its kill");
    core_.put(l_, e);
  }

  void collect() {
    // relaxed: any recent jiffy will do.
    const std::uint32_t now = now_.fetch_add(1, std::memory_order_relaxed);
    core_.scan(
        l_,
        [&](nf_conn& e, dir) {
          if (!e.is_confirmed() || number_of(e.hash_node(dir::original)) >= shared_keys)
            return scan_verdict::next;
          return e.is_expired(now) || dice(8) == 0 ? scan_verdict::take : scan_verdict::next;
        },
        [&](nf_conn& e, dir) {
          report_.note(use_of(e) != 0, "A.3 take got an entry without a reference");
          // Between want and its reference the memory may have been recycled, for somebody's
          // private entry, or for one that is not linked yet: as in the kernel, the judgement is
          // made again under the reference.
          if (e.is_confirmed() && number_of(e.hash_node(dir::original)) < shared_keys) {
            core_.bury(l_, e);
          } else {
            core_.put(l_, e);
          }
        });
  }

  std::uint32_t dice(std::uint32_t sides) { return random_.below(sides); }

 private:
  small_core<T>& core_;
  typename T::local& l_;
  random_source& random_;
  report& report_;
  std::atomic<std::uint32_t>& now_;
};

/// Everything at once. A.1-3, C.1, C.2, D.2, D.4, E.1.
template <class T>
finding churn() {
  return find_out([] {
    small_core<T> core(4);
    census watch(shared_keys + 2 * threads);
    core.watch = &watch;
    report r;
    std::atomic<std::uint32_t> now{start_jiffy};
    in_threads(core, [&](unsigned n, typename T::local& l, random_source& random) {
      churner<T> work(core, l, random, r, now);
      for (unsigned i = 0; i < operations && !r.is_broken(); ++i) {
        const std::uint32_t what = work.dice(64);
        if (what < 28) {
          work.insert_some();
        } else if (what < 56) {
          work.find_some();
        } else if (what < 63) {
          work.visit_private(n);
        } else if (core.table.bucket_count() <= 16 || work.dice(16) == 0) {
          work.collect();
        }
        r.note(!watch.is_exceeded(), "C.1 two linked entries answered to one key");
        core.table.quiescent(l);
      }
    });
    demand(r.result().empty(), r.result());
    typename T::local l(core.table);
    demand(core.table.is_valid(), "is_valid() is false after the churn");
    core.clear(l);
    for (std::uint32_t n = 0; n < shared_keys; ++n) {
      demand(core.whom(l, shared_key(n)) == nullptr, "D.2 a cleared table finds an entry");
    }
    core.demand_empty(l);
  });
}

/// Four inserts of one flow, half of them crosswise, then four kills of who won. C.2, D.1, D.2.
template <class T>
finding storm() {
  return find_out([] {
    constexpr unsigned rounds = 300;
    small_core<T> core(4);
    report r;
    std::barrier meet(static_cast<std::ptrdiff_t>(threads));
    tally inserted;
    tally clashed;
    tally killed;
    std::array<std::atomic<nf_conn*>, 2> winner{};  // [round % 2]
    in_threads(core, [&](unsigned n, typename T::local& l, random_source&) {
      for (unsigned i = 0; i < rounds; ++i) {
        if (r.is_broken()) return meet.arrive_and_drop();
        const key original = shared_key(n % 2);
        const key reply = shared_key(1 - n % 2);
        // relaxed: the barriers order this and what follows.
        if (n == 0) winner[(i + 1) % 2].store(nullptr, std::memory_order_relaxed);
        nf_conn& e = core.make(l, original, reply);
        core.table.quiescent(l);
        meet.arrive_and_wait();
        steps s;
        const insert_status status = core.insert(l, e, s);
        if (status == insert_status::inserted) {
          inserted.add();
          winner[i % 2].store(&e, std::memory_order_relaxed);  // relaxed: see above
        } else if (status == insert_status::clash) {
          clashed.add();
        }
        core.table.quiescent(l);
        meet.arrive_and_wait();
        r.note(inserted.count() == i + 1 && clashed.count() == (threads - 1) * (i + 1),
               "C.2 of four inserts of one flow not exactly one went in and three clashed");
        // relaxed: see above
        nf_conn* const known = winner[i % 2].load(std::memory_order_relaxed);
        r.note(status == insert_status::inserted || s.winner == known,
               "C.2 the loser of a clash was told of another entry than the winner");
        const found<nf_conn> hit = core.find_get(l, original);
        r.note(hit.entry == known, "A.1 the winner of a clash is not found");
        core.table.quiescent(l);
        meet.arrive_and_wait();
        if (hit.entry != nullptr) {
          if (core.kill(l, *hit.entry)) {
            killed.add();
            r.note(core.whom(l, original) == nullptr && core.whom(l, reply) == nullptr,
                   "D.2 an entry was found after its kill");
          }
          core.put(l, *hit.entry);
        }
        core.put(l, e);
        core.table.quiescent(l);
        meet.arrive_and_wait();
      }
    });
    demand(r.result().empty(), r.result());
    demand(killed.count() == rounds, "D.1 of four kills not exactly one returned true");
    typename T::local l(core.table);
    core.demand_empty(l);
  });
}

/// Looks at one entry by both tuples while others insert and kill.
template <class T>
class observer {
 public:
  observer(small_core<T>& core, typename T::local& l, report& r) : core_(core), l_(l), report_(r) {}

  void look(std::uint32_t n, bool is_mirrored) {
    const found<nf_conn> hit = core_.find_get(l_, shared_key(n));
    if (hit.entry == nullptr) return;
    nf_conn& e = *hit.entry;
    const std::array<key, 2> keys = {e.hash_node(hit.dir).key(), e.hash_node(!hit.dir).key()};
    const bool is_other_found = core_.whom(l_, keys[1]) == &e;
    // acquire: DYING is set before unlink begins; if it is not set now, nobody has begun.
    const bool is_dying = (e.status.load(std::memory_order_acquire) & status::dying) != 0;
    report_.note(
        is_other_found || is_dying || !T::promises.has(letter::b2),
        "B.2 an entry was found by one tuple and not by the other, though nobody killed it");
    // Our reference keeps e from being recycled, and the dead are not inserted again: gone is gone.
    for (unsigned i = 0; i < 8 && T::promises.has(letter::d3); ++i) {
      if (core_.whom(l_, keys[is_mirrored ? 1 : 0]) == &e) continue;
      report_.note(core_.whom(l_, keys[is_mirrored ? 0 : 1]) != &e,
                   "D.3 a killed entry was found by one tuple after the other had gone");
      break;
    }
    core_.put(l_, e);
  }

 private:
  small_core<T>& core_;
  typename T::local& l_;
  report& report_;
};

/// Two threads insert and kill, two look at both tuples. B.2, D.3 as far as claimed.
template <class T>
finding both_tuples_come_and_go_together() {
  return find_out([] {
    small_core<T> core(4);
    report r;
    tally done;
    in_threads(core, [&](unsigned n, typename T::local& l, random_source& random) {
      if (n % 2 == 0) {
        observer<T> eyes(core, l, r);
        while (done.count() < threads / 2 && !r.is_broken()) {
          eyes.look(random.below(4), random.below(2) != 0);
          core.table.quiescent(l);
        }
        return;
      }
      for (unsigned i = 0; i < operations / 5 && !r.is_broken(); ++i) {
        // Flows 0-1 and 2-3, each in two chains.
        const std::uint32_t original = random.below(4);
        nf_conn& e = core.make(l, shared_key(original), shared_key(original ^ 1));
        steps s;
        if (core.insert(l, e, s) == insert_status::inserted) {
          if (random.below(yield_odds) == 0) std::this_thread::yield();
          core.kill(l, e);
        }
        core.put(l, e);
        core.table.quiescent(l);
      }
      done.add();
    });
    demand(r.result().empty(), r.result());
    typename T::local l(core.table);
    core.demand_empty(l);
  });
}

/// Tables that claim F: grown from one bucket by one thread, doubled whenever it is full if the
/// table does not grow by itself, while the others look up what is in.
template <class T>
finding growth_loses_nothing() {
  return find_out([] {
    constexpr std::uint32_t entries = 8'000;
    small_core<T> core(1);
    report r;
    std::atomic<std::uint32_t> count{0};
    in_threads(core, [&](unsigned n, typename T::local& l, random_source& random) {
      if (n == 0) {
        for (std::uint32_t i = 0; i < entries; ++i) {
          if (std::has_single_bit(i)) core.table.resize(l, 2 * i);
          nf_conn& e = core.make(l, make_key(2 * i), make_key(2 * i + 1));
          steps s;
          r.note(core.insert(l, e, s) == insert_status::inserted,
                 "F.1 an insert failed while the table grew");
          core.put(l, e);
          // release: pairs with the acquire below; whoever sees the count may demand the entry.
          count.store(i + 1, std::memory_order_release);
          core.table.quiescent(l);
        }
        return;
      }
      for (std::uint32_t in = 0; in < entries;) {
        core.table.quiescent(l);
        in = count.load(std::memory_order_acquire);  // acquire: pairs with the release above
        if (in == 0) continue;
        const key k = make_key(random.below(2 * in));
        const found<nf_conn> hit = core.find_get(l, k);
        r.note(hit.entry != nullptr && hit.entry->hash_node(hit.dir).matches(k),
               "F.2 a lookup missed an entry while the table grew");
        if (hit.entry != nullptr) core.put(l, *hit.entry);
      }
    });
    demand(r.result().empty(), r.result());
    typename T::local l(core.table);
    demand(core.table.is_valid(), "is_valid() is false after growth");
    demand(core.count_nodes(l) == 2 * entries, "F.1 growth lost or doubled entries");
    core.clear(l);
    core.demand_empty(l);
  });
}

}  // namespace ct::core::checks
