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
/// **Lock order.** Bucket locks by index, lower first, the same once; at most two. Inside: what the
/// core does in its steps. No lock is held when `reap` and `take` run.
///
/// **Progress.** Blocking: a lookup waits for a writer in its bucket, and for other lookups. It
/// also *writes* the bucket's cache line, hit or miss, so that lookups of one busy bucket on many
/// cores pass this line round.
///
/// **Kept:** A.1-3, B.1-4, C.1-2, D.1-4, E.1-2, G.2, H.1 (D.1, H.1 are the core's). **Not kept:**
/// G.1; F.1 and F.2 are void, the number of buckets is fixed. Cost: lookup two atomic
/// read-modify-writes (lock, reference), 1 + chain/2 cache lines; insert and unlink two locks and
/// three cache lines a tuple. Nothing is allocated but the entry. Source: the locking of
/// nf_conntrack_core.c, Linux 6.18, without RCU and with a lock for each bucket where the kernel
/// has 1024 for all.
#pragma once

#include "impls/core/chain_array.h"
#include "impls/core/locked_chain.h"
#include "impls/core/nf_conn.h"
#include "impls/sync/slab.h"
#include "spec/table.h"

#include <cstddef>
#include <cstdint>
#include <mutex>
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
                                      letter::g2,
                                      letter::h1};

  struct local {
    explicit local(table& t) : magazine(t.slab_) {}
    slab::magazine magazine;
  };

  explicit table(const table_options& options) : buckets_(options.buckets) {}

  /// Guarantees: A.*, E.1; linearizes while the bucket's lock is held. Cost: O(chain).
  template <class Reap>
  found<entry> find_get(local&, const key& k, std::uint32_t now, Reap&& reap) noexcept;
  /// The bucket, to be written; then the first node and the references of its entry.
  void prefetch(local&, std::span<const std::uint32_t> hashes) noexcept {
    for (const std::uint32_t hash : hashes) __builtin_prefetch(&buckets_.of(hash), 1);
    for (const std::uint32_t hash : hashes) {
      // A node is not read without the lock, so its direction is unknown: the lines behind it are
      // its other node and the references, or the references and the protocol's state.
      const std::uintptr_t node = buckets_.of(hash).hint();
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
    return buckets_[bucket].scan(want, take);
  }
  std::size_t bucket_count() const noexcept { return buckets_.size(); }
  std::size_t bucket_of(std::uint32_t hash) const noexcept { return buckets_.index_of(hash); }

  void quiescent(local&) noexcept {}
  std::size_t memory_bytes() const noexcept {
    return buckets_.memory_bytes() + slab_.memory_bytes();
  }
  /// At rest: chains are sound, each node lies in the bucket of its hash, alone with its key, its
  /// entry is confirmed, referenced and linked by its other node too.
  bool is_valid() const;

 private:
  /// The linked node that answers to `k`, or none, or why the search was given up. The kernel's
  /// count: `limit` + 1 other nodes may be passed.
  struct search_result {
    core::tuplehash* node = nullptr;
    bool is_too_long = false;
  };
  search_result search(const key& k, std::size_t limit) const noexcept;

  // Immutable but for the chains, each guarded by its own lock.
  core::chain_array buckets_;
  // Guards itself.
  slab slab_;
  // Lock order: (1) bucket of lower index; (2) bucket of higher index; (3) what the core's steps
  // take.
};

template <class Reap>
found<table::entry> table::find_get(local&, const key& k, std::uint32_t now, Reap&& reap) noexcept {
  found<entry> hit;
  {
    core::locked_chain& bucket = buckets_.of(k.hash);
    const std::lock_guard guard(bucket);
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
  core::locked_chain& original_bucket = buckets_.of(original.hash());
  core::locked_chain& reply_bucket = buckets_.of(reply.hash());
  const core::both_locked guard(original_bucket, reply_bucket);

  if (!steps.may_insert(e)) return insert_status::refused;
  for (core::tuplehash& node : e.tuplehash) {
    const search_result met = search(node.key(), steps.chain_limit());
    if (met.is_too_long) return insert_status::chain_too_long;
    if (met.node == nullptr) continue;
    const dir winner_dir = met.node->dir();
    const clash_answer answer = steps.clash(core::entry_of(*met.node, winner_dir), winner_dir);
    if (&node == &reply || answer == clash_answer::refuse) return insert_status::clash;
  }
  steps.before_link(e);
  if (core::is_linked_by(e, dir::original)) original_bucket.push_front(original);
  reply_bucket.push_front(reply);
  steps.after_link(e);
  return insert_status::inserted;
}

inline table::search_result table::search(const key& k, std::size_t limit) const noexcept {
  std::size_t passed = 0;
  core::tuplehash* node = buckets_.of(k.hash).first();
  for (; node != nullptr; node = core::locked_chain::next(*node)) {
    if (node->matches(k)) return {.node = node};
    if (core::locked_chain::is_cursor(*node)) continue;
    if (passed++ > limit) return {.is_too_long = true};
  }
  return {};
}

inline void table::unlink(local&, entry& e) noexcept {
  core::tuplehash& original = e.hash_node(dir::original);
  core::tuplehash& reply = e.hash_node(dir::reply);
  const core::both_locked guard(buckets_.of(original.hash()), buckets_.of(reply.hash()));
  if (core::is_linked_by(e, dir::original)) core::locked_chain::remove(original);
  core::locked_chain::remove(reply);
}

inline bool table::is_valid() const {
  for (const core::locked_chain& bucket : buckets_.chains()) {
    if (!bucket.is_valid()) return false;
    for (core::tuplehash* node = bucket.first(); node != nullptr; node = bucket.next(*node)) {
      if (&buckets_.of(node->hash()) != &bucket) return false;
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
