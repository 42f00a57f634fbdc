// SPDX-License-Identifier: BSD-2-Clause
/// What is asked of a table's resize: no entry lost, none doubled, at rest and under traffic (F.1,
/// F.2).
///
/// Tables that grow by themselves answer `not_supported` and are asked the same: nothing may change
/// then.
#pragma once

#include "impls/core/small_core.h"
#include "impls/core/table_scan_checks.h"
#include "impls/core/table_thread_checks.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace ct::core::checks {

/// Up, down, the same again, to one bucket, and sizes that no power of two divides.
inline constexpr std::array<std::size_t, 11> resize_walk =
    {128, 128, 64, 1, 1, 1009, 7, 4096, 997, 3, 64};

/// Entry `n` of a population: keys 2n and 2n + 1.
inline key original_of(std::uint32_t n) { return make_key(2 * n); }
inline key reply_of(std::uint32_t n) { return make_key(2 * n + 1); }

/// That exactly `all` are in the table, each once under each of its tuples.
template <class T>
void demand_population(small_core<T>& core,
                       typename T::local& l,
                       const std::vector<nf_conn*>& all,
                       const std::string& when) {
  // First: a table with a marker of another size may look for an absent key without end.
  demand(core.table.is_valid(), "F.1 is_valid() is false " + when);
  shown_nodes shown;
  core.scan(
      l,
      [&](nf_conn& e, dir d) {
        return ++shown[{&e, d}], scan_verdict::next;
      },
      [](nf_conn&, dir) {});
  std::size_t present = 0;
  for (nf_conn* e : all) {
    for (const dir d : {dir::original, dir::reply}) {
      const auto at = shown.find({e, d});
      demand(at != shown.end(), "F.1 a tuplehash was lost " + when);
      demand(at->second == 1, "F.1 a tuplehash was doubled " + when);
      ++present;
      const found<nf_conn> hit = core.find_get(l, e->hash_node(d).key());
      demand(hit.entry == e, "F.1 an entry is not found by a tuple of its own " + when);
      demand(hit.restarts == 0, "F.1 a lookup at rest begins again " + when);
      core.put(l, *e);
    }
  }
  demand(present == shown.size(), "F.1 something else is in the table " + when);
  for (std::uint32_t n = 0; n < 64; ++n) {
    const found<nf_conn> hit = core.find_get(l, make_key(700'000 + n));
    demand(hit.entry == nullptr, "A.2 an absent key finds something " + when);
    demand(hit.restarts == 0, "F.1 a lookup of an absent key begins again " + when);
  }
}

/// One resize, and that its answer is right.
template <class T>
void demand_resize(small_core<T>& core, typename T::local& l, std::size_t buckets) {
  const std::size_t before = core.table.bucket_count();
  const resize_status status = core.table.resize(l, buckets);
  const std::size_t after = core.table.bucket_count();
  demand(status != resize_status::no_memory, "F.1 a resize to a few buckets finds no memory");
  demand((status == resize_status::resized) == (before != after),
         "F.1 a resize says that something else happened than did");
  if (status == resize_status::not_supported) return;
  demand(after >= buckets && after <= 2 * buckets + 16, "F.1 a resize made another size");
  demand(core.table.resize(l, buckets) == resize_status::same_size,
         "F.1 a resize to the same size is not called that");
  demand(core.table.resize(l, buckets_max + 1) == resize_status::no_memory,
         "F.1 a resize to more than the most buckets is not refused");
  demand(core.table.bucket_count() == after, "F.1 a refused resize changed the size");
}

template <class T>
finding resize_keeps_every_entry() {
  return find_out([] {
    bench_of_one<T> t;
    small_core<T>& core = t.core;
    typename T::local& l = t.l;
    std::vector<nf_conn*> all;
    for (std::uint32_t n = 0; n < 300; ++n) {
      all.push_back(&core.add(l, original_of(n), reply_of(n)));
    }
    std::uint32_t next = 300;
    for (const std::size_t buckets : resize_walk) {
      const std::string when = "after a resize to " + std::to_string(buckets) + " buckets";
      demand_resize(core, l, buckets);
      demand_population(core, l, all, when);

      // What was moved is a full member: in the way of a rival, and gone when it is killed.
      nf_conn& loser = core.make(l, reply_of(next), all.front()->hash_node(dir::reply).key());
      steps s;
      demand(core.insert(l, loser, s) == insert_status::clash && s.winner == all.front(),
             "C.1 a clash was not noticed " + when);
      core.put(l, loser);
      nf_conn& victim = *std::exchange(all[next % 7], all.back());
      all.pop_back();
      core.kill(l, victim);
      for (const dir d : {dir::original, dir::reply}) {
        demand(core.whom(l, victim.hash_node(d).key()) == nullptr,
               "D.2 a killed entry is found " + when);
      }
      core.put(l, victim);
      all.push_back(&core.add(l, original_of(next), reply_of(next)));
      ++next;
      demand_population(core, l, all, when);

      bool is_shown = false;
      const auto want = [&](nf_conn&, dir) { return is_shown = true, scan_verdict::next; };
      if (core.table.resize(l, buckets) == resize_status::same_size) {
        demand(
            core.table.scan(l, core.table.bucket_count(), want, [](nf_conn&, dir) {}) && !is_shown,
            "F.1 the scan of a bucket behind the last one does not end at once " + when);
      }
    }
    for (nf_conn* e : all) core.bury(l, *e);
    core.demand_empty(l);
  });
}

/// Another thread resizes while the scan is in take, where it holds no lock. A scan whose bucket is
/// no more ends.
template <class T>
finding resize_between_two_takes() {
  return find_out([] {
    for (const scan_shape shape : scan_shapes) {
      filled<T> t(shape);
      const bool is_resized = t.core.table.resize(t.l, 100) == resize_status::resized;
      std::vector<std::jthread> resizers;
      const auto take = [&](nf_conn& e, dir) {
        t.core.put(t.l, e);
        if (!is_resized || resizers.size() == 6) return;
        const std::size_t before = t.core.table.bucket_count();
        const std::size_t to = resizers.size() % 2 == 0 ? 16 : 256;
        resizers.emplace_back([&t, to] {
          typename T::local other(t.core.table);
          t.core.table.resize(other, to);
        });
        // Until it has happened, not until it has returned: that may wait for the end of the scan.
        while (t.core.table.bucket_count() == before) std::this_thread::yield();
      };
      t.core.scan(
          t.l,
          [](nf_conn&, dir) { return scan_verdict::take; },
          take);
      t.core.table.quiescent(t.l);
      resizers.clear();
      demand_population(t.core, t.l, t.all, "after resizes in the middle of a scan");
      for (nf_conn* e : t.all) t.core.bury(t.l, *e);
      t.core.demand_empty(t.l);
    }
  });
}

/// Beside the keys of `churn` a population that nobody kills; what is asked of it while resizes
/// run.
template <class T>
class residents {
 public:
  static constexpr std::uint32_t first = 100'000;
  static constexpr std::uint32_t count = 200;
  static constexpr bool may_miss = !T::promises.has(letter::f2);

  residents(small_core<T>& core, typename T::local& l) {
    for (std::uint32_t n = first; n < first + count; ++n) {
      all_.push_back(&core.add(l, original_of(n), reply_of(n), 10'000'000));
    }
  }

  void look(small_core<T>& core, typename T::local& l, random_source& random, report& r) const {
    const std::uint32_t n = random.below(count);
    const key k = random.below(2) == 0 ? original_of(first + n) : reply_of(first + n);
    const found<nf_conn> hit = core.find_get(l, k);
    r.note(hit.entry == all_[n] || (hit.entry == nullptr && may_miss),
           hit.entry == nullptr ? "F.2 a lookup missed an entry while the table was resized"
                                : "C.1 another entry answers to the key of one that is linked");
    if (hit.entry != nullptr) return core.put(l, *hit.entry);
    // The packet whose lookup missed makes a new entry; it must not get in.
    nf_conn& rival = core.make(l, original_of(first + n), reply_of(first + n));
    steps s;  // without the census, which knows few keys
    r.note(core.table.insert(l, rival, s) == insert_status::clash && s.winner == all_[n],
           "C.1 an entry that a lookup missed during a resize was inserted a second time");
    if (s.winner != nullptr) core.put(l, *s.winner);
    core.put(l, rival);
  }
  const std::vector<nf_conn*>& all() const { return all_; }

 private:
  std::vector<nf_conn*> all_;
};

/// Two threads insert, find, kill and collect, one looks at residents, one resizes. A.2, A.3, C.1,
/// C.2, D.2, D.4, F.1, F.2 as far as claimed.
template <class T>
finding churn_while_resizing() {
  return find_out([] {
    constexpr unsigned rounds = 20'000;
    small_core<T> core(64);
    typename T::local mine(core.table);
    const residents<T> stay(core, mine);
    census watch(shared_keys + 2 * threads);
    core.watch = &watch;
    report r;
    tally done;
    std::atomic<std::uint32_t> now{start_jiffy};
    core.table.quiescent(mine);
    in_threads(core, [&](unsigned n, typename T::local& l, random_source& random) {
      if (n == 0) {
        while (done.count() < threads - 1 && !r.is_broken()) {
          const std::size_t to = resize_walk[random.below(resize_walk.size())];
          r.note(core.table.resize(l, to) != resize_status::no_memory,
                 "F.1 a resize to a few buckets finds no memory");
          std::this_thread::yield();
        }
        return;
      }
      churner<T> work(core, l, random, r, now);
      const finding found = find_out([&] {
        for (unsigned i = 0; i < rounds && !r.is_broken(); ++i) {
          const std::uint32_t what = work.dice(64);
          if (n == 1 || what < 8) {
            stay.look(core, l, random, r);
          } else if (what < 34) {
            work.insert_some();
          } else if (what < 60) {
            work.find_some();
          } else if (work.dice(64) == 0) {
            work.collect();
          }
          r.note(!watch.is_exceeded(), "C.1 two linked entries answered to one key");
          core.table.quiescent(l);
        }
      });
      r.note(found.empty(), found.c_str());
      core.table.quiescent(l);
      done.add();
    });
    demand(r.result().empty(), r.result());
    core.scan(
        mine,
        [](nf_conn& e, dir) {
          const bool is_resident = number_of(e.hash_node(dir::original)) >= residents<T>::first;
          return is_resident ? scan_verdict::next : scan_verdict::take;
        },
        [&](nf_conn& e, dir) { core.bury(mine, e); });
    demand_population(core, mine, stay.all(), "after resizes under traffic");
    core.watch = nullptr;
    for (nf_conn* e : stay.all()) core.bury(mine, *e);
    core.demand_empty(mine);
  });
}

}  // namespace ct::core::checks
