// SPDX-License-Identifier: BSD-2-Clause
/// One mutex around std::unordered_map: the floor, so simple that its correctness can be seen.
///
/// Everything happens under one mutex, so every verb is one instant: nothing is ever half done for
/// anybody who looks. What is kept follows from that and from references: a lookup takes its
/// reference under the mutex, where the table's own is alive (it is put after unlink). `reap` and
/// `take` run after the mutex was left, on references taken under it. Memory may be reused at once
/// (`reuse::exclusive`).
///
/// Two tuples that are one flow have one key, hence one element; it answers as the reply tuple, as
/// the kernel's chains do, and a scan shows both tuplehashes. The map does not rehash by itself
/// (its load factor is out of reach), so that `bucket` means the same in two scans; `resize` lets
/// it, under the mutex like everything else: nobody sees it half done.
///
/// Lock order: the mutex, then what the core's steps take. Progress: blocking; every verb waits for
/// every other.
/// **Kept:** A.1-3, B.1-3, C.1-2, D.1-4, E.1-2, F.1-2, H.1 (D.1, H.1 are the core's). **Not kept:**
/// B.4, G.1, G.2. Cost: one mutex, one map search a tuple; insert allocates two map nodes, scan
/// where it takes entries. Limit: without memory for these the program ends; the map takes a prime
/// number of buckets. Source: none; what a programmer writes first.
#pragma once

#include "impls/core/nf_conn.h"
#include "impls/sync/slab.h"
#include "spec/table.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <new>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ct::locked_map {

class table {
 public:
  using entry = core::nf_conn;
  using slab = sync::slab<entry, sync::reuse::exclusive>;

  static constexpr std::string_view summary = "one mutex around std::unordered_map, the floor";
  static constexpr claims promises = {letter::a1,
                                      letter::a2,
                                      letter::a3,
                                      letter::b1,
                                      letter::b2,
                                      letter::b3,
                                      letter::c1,
                                      letter::c2,
                                      letter::d1,
                                      letter::d2,
                                      letter::d3,
                                      letter::d4,
                                      letter::e1,
                                      letter::e2,
                                      letter::f1,
                                      letter::f2,
                                      letter::h1};

  struct local {
    explicit local(table& t) : magazine(t.slab_) {}
    slab::magazine magazine;
  };

  explicit table(const table_options& options) {
    map_.max_load_factor(unreachable_load);
    set_buckets(options.buckets);
  }

  template <class Reap>
  found<entry> find_get(local&, const key& k, std::uint32_t now, Reap&& reap) noexcept {
    found<entry> hit;
    {
      const std::lock_guard guard(mutex_);
      const auto at = map_.find(k);
      if (at == map_.end() || !at->second->is_confirmed()) return {};
      at->second->get();  // stands on the table's reference; see the head
      hit = {at->second, answer(*at->second, k)};
    }
    if (!hit.entry->is_expired(now)) return hit;
    reap(*hit.entry);
    return {};
  }
  /// Nothing: it would need the mutex.
  void prefetch(local&, std::span<const std::uint32_t>) noexcept {}

  entry* alloc(local& l) noexcept { return slab_.alloc(l.magazine); }

  template <class Steps>
  insert_status insert(local&, entry& e, Steps& steps) noexcept {
    const std::lock_guard guard(mutex_);
    if (!steps.may_insert(e)) return insert_status::refused;
    for (const dir d : {dir::original, dir::reply}) {
      const key k = e.hash_node(d).key();
      const auto at = map_.find(k);
      if (at == map_.end()) continue;
      const clash_answer wanted = steps.clash(*at->second, answer(*at->second, k));
      if (d == dir::reply || wanted == clash_answer::refuse) return insert_status::clash;
    }
    steps.before_link(e);
    for (const dir d : {dir::original, dir::reply}) {
      if (core::is_linked_by(e, d)) map_.emplace(e.hash_node(d).key(), &e);
    }
    steps.after_link(e);
    return insert_status::inserted;
  }

  void unlink(local&, entry& e) noexcept {
    const std::lock_guard guard(mutex_);
    for (const dir d : {dir::original, dir::reply}) {
      if (core::is_linked_by(e, d)) map_.erase(e.hash_node(d).key());
    }
  }

  void free(local& l, entry& e) noexcept { slab_.free(l.magazine, e); }

  template <class Want, class Take>
  bool scan(local&, std::size_t bucket, Want&& want, Take&& take) noexcept {
    std::vector<found<entry>> taken;
    const bool is_finished = look(bucket, want, taken);
    for (const found<entry>& one : taken) take(*one.entry, one.dir);
    return is_finished;
  }
  std::size_t bucket_count() const noexcept {
    return bucket_count_.load(std::memory_order_relaxed);  // relaxed: scan looks again, locked
  }
  std::size_t bucket_of(std::uint32_t hash) const noexcept {
    const std::lock_guard guard(mutex_);
    return map_.bucket({.words = {}, .hash = hash, .zone = 0, .net = 0});  // by the hash alone
  }
  /// Guarantees: F.1, F.2; linearizes in the mutex. Cost: O(buckets + entries).
  resize_status resize(local&, std::size_t buckets) noexcept try {
    if (buckets > buckets_max) return resize_status::no_memory;
    const std::lock_guard guard(mutex_);
    const std::size_t before = map_.bucket_count();
    set_buckets(std::max<std::size_t>(buckets, 1));
    return map_.bucket_count() == before ? resize_status::same_size : resize_status::resized;
  } catch (const std::bad_alloc&) {
    return resize_status::no_memory;
  }

  void quiescent(local&) noexcept {}
  /// The map's part is what its nodes and buckets need; what malloc adds is not known.
  std::size_t memory_bytes() const noexcept {
    const std::lock_guard guard(mutex_);
    const std::size_t map_bytes = map_.size() * (sizeof(map::value_type) + sizeof(void*)) +
                                  map_.bucket_count() * sizeof(void*);
    return map_bytes + slab_.memory_bytes();
  }
  /// At rest: each element's entry answers to its key, is found by its other key too, confirmed,
  /// referenced.
  bool is_valid() const {
    if (map_.bucket_count() != bucket_count()) return false;
    for (const auto& [k, e] : map_) {
      const dir d = answer(*e, k);
      const auto other = map_.find(e->hash_node(!d).key());
      const bool has_other = other != map_.end() && other->second == e;
      if (!e->hash_node(d).matches(k) || has_other != core::is_linked_by(*e, !d)) return false;
      // relaxed: at rest.
      if (!e->is_confirmed() || e->use.load(std::memory_order_relaxed) == 0) return false;
    }
    return true;
  }

 private:
  struct hasher {
    std::size_t operator()(const key& k) const noexcept { return k.hash; }
  };
  using map = std::unordered_map<key, entry*, hasher>;
  static constexpr float unreachable_load = 1e6F;

  /// As which of its tuples `e` answers to `k`.
  static dir answer(const entry& e, const key& k) {
    return e.hash_node(dir::reply).matches(k) ? dir::reply : dir::original;
  }

  /// The locked part of scan. False: stopped.
  template <class Want>
  bool look(std::size_t bucket, Want&& want, std::vector<found<entry>>& taken) {
    const std::lock_guard guard(mutex_);
    if (bucket >= map_.bucket_count()) return true;
    for (auto at = map_.begin(bucket); at != map_.end(bucket); ++at) {
      const auto& [k, e] = *at;
      for (const dir d : {dir::original, dir::reply}) {
        if (!e->hash_node(d).matches(k)) continue;
        switch (want(*e, d)) {
          case scan_verdict::next:
            break;
          case scan_verdict::stop:
            return false;
          case scan_verdict::take:
            e->get();  // as in find_get
            taken.push_back({e, d});
            break;
        }
      }
    }
    return true;
  }

  void set_buckets(std::size_t wanted) {
    map_.rehash(wanted);
    // relaxed: as bucket_count().
    bucket_count_.store(map_.bucket_count(), std::memory_order_relaxed);
  }

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  map map_;
  // Atomic: the map's own number, to be read without the mutex; written under it.
  std::atomic<std::size_t> bucket_count_{0};
  // Guards itself.
  slab slab_;
};

}  // namespace ct::locked_map
