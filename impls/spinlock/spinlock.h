// SPDX-License-Identifier: BSD-2-Clause
/// A spinlock in every bucket, and readers take it too: the simplest table whose writers do not
/// queue up.
///
/// **Who may look at what.** A bucket is a chain of tuplehashes and its lock, side by side in 16
/// bytes (core/locked_chain.h). Nothing of a chain is read or written without its lock, by lookups
/// neither. So no reader is ever late: when unlink has let go of both locks, nobody walks over the
/// entry any more, and its memory may have a new meaning at once. That needs no grace period, no
/// re-check and no type-safe memory; the slab is `reuse::exclusive`, and AddressSanitizer reports
/// whoever proves this wrong.
///
/// **References.** A lookup takes its reference while it holds the bucket's lock. There the count
/// is not 0: a linked entry has the table's reference, which its killer puts after unlink, and
/// unlink needs this lock.
///
/// **Writers** hold the locks of both buckets, of the original and of the reply tuple, from the
/// search for a clash until the entry is CONFIRMED, and likewise while they unlink. A lookup holds
/// only one of them, yet both tuples appear and vanish at one instant (B.2, D.3): the instant at
/// which the writer holds both locks. A lookup that found the entry had its bucket before that, one
/// that no longer finds it had it after. Compare `rcu`, where a reader may pass between the two
/// stores.
///
/// **Expiry.** Of the nodes that a lookup walks over only the one of the key is tested: a walk
/// reads one cache line a node, not the timeout's as well (the kernel tests every node). The others
/// are gc's.
///
/// **Resize.** Locks every bucket in use, in order, moves each node to its bucket in another array,
/// puts that one into use and lets go. Whoever holds the lock of a bucket in use keeps the array
/// from being exchanged; whoever waited for a lock looks again when he has it, whether the array is
/// still the one in use, and begins again if not. So a lookup waits and never misses (F.2); and no
/// grace period is needed, as arrays are kept and used again (spinlock/bucket_arrays.h). The lock
/// stays beside the head: the alternative, locks in an array of their own that stays while chains
/// move, costs every lookup a cache line to make a rare event simpler. A scan whose cursor was
/// taken out by a resize begins its bucket again.
///
/// **Lock order.** The resize mutex; then bucket locks by index, lower first, the same once: at
/// most two, or all. Inside: what the core does in its steps. No lock is held when `reap` and
/// `take` run.
///
/// **Progress.** Blocking: a lookup waits for a writer in its bucket, and for other lookups. It
/// also *writes* the bucket's cache line, hit or miss, so that lookups of one busy bucket on many
/// cores pass this line round.
///
/// **Kept:** A.1-3, B.1-4, C.1-2, D.1-4, E.1-2, F.1-2, G.2, H.1 (D.1, H.1 are the core's). **Not
/// kept:** G.1.
/// Cost: lookup two atomic read-modify-writes (lock, reference), 1 + chain/2 cache lines; insert
/// and unlink two locks and three cache lines a tuple. Nothing is allocated but the entry.
/// Source: the locking of nf_conntrack_core.c, Linux 6.18, without RCU and with a lock for each
/// bucket where the kernel has 1024 for all.
#pragma once

#include "impls/core/locked_chain.h"
#include "impls/core/nf_conn.h"
#include "impls/spinlock/bucket_arrays.h"
#include "impls/sync/slab.h"
#include "spec/table.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <new>
#include <optional>
#include <string_view>

namespace ct::spinlock {

class table {
 public:
  using entry = core::nf_conn;
  using slab = sync::slab<entry, sync::reuse::exclusive>;

  static constexpr std::string_view summary = "a spinlock in every bucket, readers lock too";
  static constexpr claims promises = {letter::a1,
                                      letter::a2,
                                      letter::a3,
                                      letter::b1,
                                      letter::b2,
                                      letter::b3,
                                      letter::b4,
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
                                      letter::g2,
                                      letter::h1};

  struct local {
    explicit local(table& t) : magazine(t.slab_) {}
    slab::magazine magazine;
  };

  explicit table(const table_options& options)
      : arrays_(std::clamp<std::size_t>(options.buckets, 1, buckets_max)) {}

  /// Guarantees: A.*, E.1; linearizes while the bucket's lock is held. Cost: O(chain).
  template <class Reap>
  found<entry> find_get(local&, const key& k, std::uint32_t now, Reap&& reap) noexcept;
  /// The bucket, to be written; then the first node and the references of its entry.
  void prefetch(local&, std::span<const std::uint32_t> hashes) noexcept {
    const buckets now = arrays_.in_use();
    for (const std::uint32_t hash : hashes) __builtin_prefetch(&now.of(hash), 1);
    for (const std::uint32_t hash : hashes) {
      // A node is not read without the lock, so its direction is unknown: the lines behind it are
      // its other node and the references, or the references and the protocol's state.
      const std::uintptr_t node = now.of(hash).hint();
      __builtin_prefetch(reinterpret_cast<const void*>(node));
      __builtin_prefetch(reinterpret_cast<const void*>(node + sizeof(core::tuplehash)));
      __builtin_prefetch(reinterpret_cast<const void*>(node + 2 * sizeof(core::tuplehash)));
    }
  }

  entry* alloc(local& l) noexcept { return slab_.alloc(l.magazine); }
  /// Guarantees: B.*, C.*; linearizes while both locks are held. Cost: O(both chains).
  template <class Steps>
  insert_status insert(local&, entry& e, Steps& steps) noexcept;
  /// Guarantees: D.2, D.3; linearizes while both locks are held. Cost: O(1).
  void unlink(local&, entry& e) noexcept;
  void free(local& l, entry& e) noexcept { slab_.free(l.magazine, e); }

  template <class Want, class Take>
  bool scan(local&, std::size_t bucket, Want&& want, Take&& take) noexcept {
    for (;;) {
      const buckets now = arrays_.in_use();
      if (bucket >= now.count) return true;
      const auto end =
          (*now.array)[bucket].scan([&] { return arrays_.in_use() == now; }, want, take);
      if (end != core::locked_chain::scan_end::moved) {
        return end == core::locked_chain::scan_end::finished;
      }
    }
  }
  std::size_t bucket_count() const noexcept { return arrays_.in_use().count; }
  std::size_t bucket_of(std::uint32_t hash) const noexcept {
    return std::uint64_t{hash} * bucket_count() >> 32;
  }
  /// Guarantees: F.1, F.2; linearizes while all locks are held. Cost: O(buckets + entries).
  resize_status resize(local&, std::size_t wanted) noexcept;

  void quiescent(local&) noexcept {}
  std::size_t memory_bytes() const noexcept {
    return arrays_.memory_bytes() + slab_.memory_bytes();
  }
  /// At rest: chains are sound, each node lies in the bucket of its hash, alone with its key, its
  /// entry is confirmed, referenced and linked by its other node too.
  bool is_valid() const;

 private:
  /// The buckets of both tuples, locked and in use.
  class both_held {
   public:
    both_held(const bucket_arrays& arrays, const entry& e) noexcept {
      for (;;) {
        const buckets now = arrays.in_use();
        original_ = &now.of(e.hash_node(dir::original).hash());
        reply_ = &now.of(e.hash_node(dir::reply).hash());
        locks_.emplace(*original_, *reply_);
        if (arrays.in_use() == now) [[likely]] {
          return;
        }
        locks_.reset();
      }
    }
    core::locked_chain& of(dir d) const noexcept {
      return d == dir::original ? *original_ : *reply_;
    }

   private:
    core::locked_chain* original_ = nullptr;
    core::locked_chain* reply_ = nullptr;
    std::optional<core::both_locked> locks_;
  };

  /// The linked node that answers to `k`, or none, or why the search was given up. The kernel's
  /// count: `limit` + 1 other nodes may be passed.
  struct search_result {
    core::tuplehash* node = nullptr;
    bool is_too_long = false;
  };
  static search_result search(core::locked_chain& bucket, const key& k, std::size_t limit) noexcept;

  // Chains are guarded by their own locks, which of the arrays is in use by all of its locks.
  bucket_arrays arrays_;
  std::mutex resize_mutex_;
  // Guards itself.
  slab slab_;
  // Lock order: (1) resize_mutex_; (2) buckets by rising index, two of them or all; (3) what the
  // core's steps take.
};

template <class Reap>
found<table::entry> table::find_get(local&, const key& k, std::uint32_t now, Reap&& reap) noexcept {
  found<entry> hit;
  for (bool is_current = false; !is_current;) {
    const buckets here = arrays_.in_use();
    core::locked_chain& bucket = here.of(k.hash);
    const std::lock_guard guard(bucket);
    is_current = arrays_.in_use() == here;
    if (!is_current) continue;  // a resize came first
    for (core::tuplehash* node = bucket.first(); node != nullptr; node = bucket.next(*node)) {
      if (!node->matches(k)) continue;
      entry& e = core::entry_of(*node, node->dir());
      if (!e.is_confirmed()) continue;
      e.get();  // stands on the table's reference; see the head
      hit = {&e, node->dir()};
      break;
    }
  }
  if (hit.entry == nullptr || !hit.entry->is_expired(now)) return hit;
  reap(*hit.entry);
  return {};
}

template <class Steps>
insert_status table::insert(local&, entry& e, Steps& steps) noexcept {
  core::tuplehash& original = e.hash_node(dir::original);
  core::tuplehash& reply = e.hash_node(dir::reply);
  const both_held guard(arrays_, e);

  if (!steps.may_insert(e)) return insert_status::refused;
  for (core::tuplehash& node : e.tuplehash) {
    const search_result met = search(guard.of(node.dir()), node.key(), steps.chain_limit());
    if (met.is_too_long) return insert_status::chain_too_long;
    if (met.node == nullptr) continue;
    const dir winner_dir = met.node->dir();
    const clash_answer answer = steps.clash(core::entry_of(*met.node, winner_dir), winner_dir);
    if (&node == &reply || answer == clash_answer::refuse) return insert_status::clash;
  }
  steps.before_link(e);
  if (core::is_linked_by(e, dir::original)) guard.of(dir::original).push_front(original);
  guard.of(dir::reply).push_front(reply);
  steps.after_link(e);
  return insert_status::inserted;
}

inline table::search_result table::search(core::locked_chain& bucket,
                                          const key& k,
                                          std::size_t limit) noexcept {
  std::size_t passed = 0;
  core::tuplehash* node = bucket.first();
  for (; node != nullptr; node = core::locked_chain::next(*node)) {
    if (node->matches(k)) return {.node = node};
    if (core::locked_chain::is_cursor(*node)) continue;
    if (passed++ > limit) return {.is_too_long = true};
  }
  return {};
}

inline void table::unlink(local&, entry& e) noexcept {
  const both_held guard(arrays_, e);
  if (core::is_linked_by(e, dir::original)) {
    core::locked_chain::remove(e.hash_node(dir::original));
  }
  core::locked_chain::remove(e.hash_node(dir::reply));
}

inline resize_status table::resize(local&, std::size_t wanted) noexcept try {
  const std::size_t count = std::max<std::size_t>(wanted, 1);
  if (count > buckets_max) return resize_status::no_memory;
  const std::lock_guard one_at_a_time(resize_mutex_);
  const buckets old = arrays_.in_use();
  if (old.count == count) return resize_status::same_size;
  const buckets next = arrays_.idle(count);
  for (std::size_t b = 0; b < old.count; ++b) (*old.array)[b].lock();
  for (std::size_t b = 0; b < old.count; ++b) {
    while (core::tuplehash* const node = (*old.array)[b].first()) {
      core::locked_chain::remove(*node);
      if (!core::locked_chain::is_cursor(*node)) next.of(node->hash()).push_front(*node);
    }
  }
  arrays_.use(next);
  for (std::size_t b = 0; b < old.count; ++b) (*old.array)[b].unlock();
  return resize_status::resized;
} catch (const std::bad_alloc&) {
  return resize_status::no_memory;
}

inline bool table::is_valid() const {
  const buckets now = arrays_.in_use();
  for (std::size_t b = 0; b < now.count; ++b) {
    const core::locked_chain& bucket = (*now.array)[b];
    if (!bucket.is_valid()) return false;
    for (core::tuplehash* node = bucket.first(); node != nullptr; node = bucket.next(*node)) {
      if (&now.of(node->hash()) != &bucket) return false;
      const entry& e = core::entry_of(*node, node->dir());
      // relaxed: at rest.
      if (!e.is_confirmed() || e.use.load(std::memory_order_relaxed) == 0) return false;
      const dir other_dir = !node->dir();
      if (core::is_linked_by(e, other_dir) !=
          core::locked_chain::is_linked(e.hash_node(other_dir))) {
        return false;
      }
      core::tuplehash* other = bucket.next(*node);
      for (; other != nullptr; other = bucket.next(*other)) {
        const bool is_same_entry = &core::entry_of(*other, other->dir()) == &e;
        if (other->matches(node->key()) && !is_same_entry) return false;
      }
    }
  }
  return true;
}

}  // namespace ct::spinlock
