// SPDX-License-Identifier: BSD-2-Clause
/// rcu: the kernel's table. Chains that readers walk without a lock, bucket locks for writers, and
/// memory that is reused at once and stays type-safe.
///
/// **Shape.** An array of chain heads; each entry is linked twice, by its original and its reply
/// tuplehash. A chain is doubly linked for writers (`prev` is the address of the pointer that leads
/// here) and singly linked for readers. It ends in a *nulls* marker, an odd number that names the
/// bucket: who arrives at another marker than he set out for was led astray and begins again.
///
/// **Why readers can be led astray.** The last put frees an entry at once, without a grace period,
/// and the next connection may take its memory while a reader still stands on it
/// (SLAB_TYPESAFE_BY_RCU). Waiting for a grace period instead would cost memory just when a flood
/// is on. Three rules make it safe:
///   - memory keeps its type: what lies there is a tuplehash, of this life or the next;
///   - a reader takes its reference only if the count is not 0 (`get_unless_zero`, acquire), and
///     compares the key **again** afterwards: before that the entry may have become another
///     connection. If it had, the walk begins again; the kernel answers with a miss;
///   - a new life publishes its key before its count (`use = 1`, release), and its chain pointer
///     before its link (release): a reader sees all of it or none.
///
/// An unlinked node keeps its `next`, so that readers on it find their way out; only its next life,
/// linked into another chain, leads them elsewhere, and there the marker tells.
///
/// **Writers** hold the locks of both buckets, of `bucket_locks` hashed ones, the lower first, once
/// if they are the same one. Insertion searches both chains, links both nodes at their heads and
/// publishes CONFIRMED last; lookups pass by what is not confirmed, so the entry becomes findable
/// under both tuples at one instant. Deletion unlinks original, then reply: between the two a
/// lookup under the original tuple misses what one under the reply tuple still finds (D.3 is not
/// claimed).
///
/// **What RCU itself protects.** Not the entries, see above: the read section is what lets the
/// bucket array be exchanged under readers' feet. A lookup costs its flavour's read_lock, one
/// reference and no shared write but the entry's count.
///
/// Guarantees: A.1 A.2 A.3, B.1-B.4, C.1 C.2, D.1 D.2 D.4, E.1 E.2, G.1 G.2, H.1. Not: D.3
/// (two-phase delete). Lock order: bucket lock with the lower index, bucket lock with the higher;
/// inside them only entry lists. Memory: 8 bytes a bucket, one nf_conn a connection; slabs are
/// returned at the end. Source: nf_conntrack_core.c (____nf_conntrack_find, __nf_conntrack_confirm,
/// clean_from_lists), include/linux/rculist_nulls.h, Documentation/RCU/rculist_nulls.rst,
/// Linux 6.18.
#pragma once

#include "impls/core/nf_conn.h"
#include "impls/sync/pages.h"
#include "impls/sync/rcu.h"
#include "impls/sync/slab.h"
#include "impls/sync/spinlock.h"
#include "spec/table.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ct::rcu {

/// Locks that the buckets share (CONNTRACK_LOCKS).
inline constexpr std::size_t bucket_locks = 1024;

template <class Flavour>
class chained {
 public:
  using entry = core::nf_conn;
  using memory = sync::slab<entry, sync::reuse::type_safe>;

  static constexpr claims promises{letter::a1,
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
                                   letter::d4,
                                   letter::e1,
                                   letter::e2,
                                   letter::g1,
                                   letter::g2,
                                   letter::h1};

  /// A CPU: a registered reader, and its free entries.
  struct local {
    explicit local(chained& owner) : entries(owner.memory_) {}
    sync::rcu::reader<Flavour> reader;
    memory::magazine entries;
  };

  explicit chained(const table_options& options)
      : bucket_count_(std::max<std::size_t>(options.buckets, 1)),
        array_(bucket_count_ * sizeof(head)),
        heads_(reinterpret_cast<head*>(array_.bytes().data())) {
    for (std::size_t b = 0; b < bucket_count_; ++b) {
      new (&heads_[b]) head(nulls(b));
    }
  }
  chained(const chained&) = delete;
  chained& operator=(const chained&) = delete;

  template <class Reap>
  found<entry> find_get(local&, const key& k, std::uint32_t now, Reap&& reap) noexcept;
  /// Chain head, first node, its entry's references: the three lines of most lookups.
  void prefetch(local&, std::span<const std::uint32_t> hashes) const noexcept;
  entry* alloc(local& cpu) noexcept { return memory_.alloc(cpu.entries); }
  template <class Steps>
  insert_status insert(local& cpu, entry& ct, Steps& steps) noexcept;
  void unlink(local& cpu, entry& ct) noexcept;
  void free(local& cpu, entry& ct) noexcept { memory_.free(cpu.entries, ct); }

  template <class Want, class Take>
  bool scan(local& cpu, std::size_t bucket, Want&& want, Take&& take) noexcept;
  std::size_t bucket_count() const noexcept { return bucket_count_; }
  /// Spreads 32 bits of hash over any number of buckets without a division (reciprocal_scale).
  std::size_t bucket_of(std::uint32_t hash) const noexcept {
    return std::uint64_t{hash} * bucket_count_ >> 32;
  }
  void quiescent(local&) noexcept { Flavour::quiescent(); }
  std::size_t memory_bytes() const noexcept {
    return array_.bytes().size() + memory_.memory_bytes();
  }
  /// Each node lies in the bucket of its hash, its `prev` leads to it, its chain ends in its own
  /// marker.
  bool is_valid() const;

 private:
  using node = core::tuplehash;
  using head = std::atomic<std::uintptr_t>;  // a node, or a nulls marker (odd)

  struct alignas(64) padded_lock : sync::spinlock {};

  /// Both bucket locks of an entry, the lower one first.
  class both_locked {
   public:
    both_locked(chained& owner, std::size_t a, std::size_t b)
        : low_(owner.locks_[std::min(a % bucket_locks, b % bucket_locks)]),
          high_(owner.locks_[std::max(a % bucket_locks, b % bucket_locks)]) {
      low_.lock();
      if (&high_ != &low_) high_.lock();
    }
    both_locked(const both_locked&) = delete;
    both_locked& operator=(const both_locked&) = delete;
    ~both_locked() {
      if (&high_ != &low_) high_.unlock();
      low_.unlock();
    }

   private:
    padded_lock& low_;
    padded_lock& high_;
  };

  static constexpr std::uintptr_t nulls(std::size_t bucket) { return bucket << 1 | 1; }
  static constexpr bool is_nulls(std::uintptr_t link) { return (link & 1) != 0; }
  static node& node_at(std::uintptr_t link) { return *reinterpret_cast<node*>(link); }

  /// The linked node that answers to `k`, or none, or why the search was given up.
  struct search_result {
    node* found = nullptr;
    bool is_too_long = false;
  };
  search_result search(std::size_t bucket, const key& k, std::size_t limit) const noexcept;
  static void link(head& at, node& n) noexcept;
  static void unlink(node& n) noexcept;

  // Immutable.
  const std::size_t bucket_count_;
  const sync::pages array_;
  head* const heads_;  // [bucket_count_]
  // Atomic: readers walk them, writers hold the lock of the bucket.
  memory memory_;
  std::array<padded_lock, bucket_locks> locks_;
};

template <class Flavour>
template <class Reap>
found<core::nf_conn> chained<Flavour>::find_get(local&,
                                                const key& k,
                                                std::uint32_t now,
                                                Reap&& reap) noexcept {
  const std::size_t bucket = bucket_of(k.hash);
  for (std::uint32_t restarts = 0;; ++restarts) {
    entry* other = nullptr;  // referenced, and not the answer
    bool is_led_astray = false;
    {
      const sync::rcu::read_section<Flavour> section;
      // (1) acquire; pairs with the release (2) of link(): the node behind the pointer is whole.
      std::uintptr_t at = heads_[bucket].load(std::memory_order_acquire);
      while (!is_nulls(at)) {
        node& n = node_at(at);
        if (n.matches(k)) {
          const dir d = n.dir();
          entry& ct = core::entry_of(n, d);
          if (ct.is_confirmed()) {
            // A count of 0, or another key at the second look: this life ended after the first
            // look.
            if (!ct.get_unless_zero()) break;
            const bool is_same = n.matches(k) && ct.is_confirmed();
            if (is_same && !ct.is_expired(now)) return {&ct, d, restarts};
            other = &ct;
            is_led_astray = !is_same;
            break;
          }
        }
        at = n.next.load(std::memory_order_acquire);  // (1) acquire: as above
      }
      if (other == nullptr) is_led_astray = at != nulls(bucket);
    }
    if (other != nullptr) reap(*other);
    if (!is_led_astray) return {.restarts = restarts};
  }
}

template <class Flavour>
void chained<Flavour>::prefetch(local&, std::span<const std::uint32_t> hashes) const noexcept {
  for (const std::uint32_t hash : hashes) __builtin_prefetch(&heads_[bucket_of(hash)]);
  const sync::rcu::read_section<Flavour> section;
  for (const std::uint32_t hash : hashes) {
    // relaxed: fetched, not read.
    const std::uintptr_t first = heads_[bucket_of(hash)].load(std::memory_order_relaxed);
    if (!is_nulls(first)) __builtin_prefetch(&node_at(first));
  }
  for (const std::uint32_t hash : hashes) {
    // (1) acquire: as in find_get
    const std::uintptr_t first = heads_[bucket_of(hash)].load(std::memory_order_acquire);
    if (is_nulls(first)) continue;
    node& n = node_at(first);
    if (n.hash() == hash) {
      __builtin_prefetch(&core::entry_of(n, n.dir()).use, 1);
      continue;
    }
    const std::uintptr_t second =
        n.next.load(std::memory_order_relaxed);  // relaxed: fetched, not read
    if (!is_nulls(second)) __builtin_prefetch(&node_at(second));
  }
}

template <class Flavour>
typename chained<Flavour>::search_result
chained<Flavour>::search(std::size_t bucket, const key& k, std::size_t limit) const noexcept {
  std::size_t passed = 0;
  // relaxed: the bucket's lock is held; the chain cannot change, and its nodes were published under
  // it.
  std::uintptr_t at = heads_[bucket].load(std::memory_order_relaxed);
  while (!is_nulls(at)) {
    node& n = node_at(at);
    if (n.matches(k)) return {.found = &n};
    if (passed++ > limit) return {.is_too_long = true};
    at = n.next.load(std::memory_order_relaxed);  // relaxed: as above
  }
  return {};
}

template <class Flavour>
template <class Steps>
insert_status chained<Flavour>::insert(local&, entry& ct, Steps& steps) noexcept {
  node& original = ct.hash_node(dir::original);
  node& reply = ct.hash_node(dir::reply);
  const std::size_t original_bucket = bucket_of(original.hash());
  const std::size_t reply_bucket = bucket_of(reply.hash());
  const both_locked guard(*this, original_bucket, reply_bucket);
  if (!steps.may_insert(ct)) return insert_status::refused;
  for (node* const n : {&original, &reply}) {
    const std::size_t bucket = n == &reply ? reply_bucket : original_bucket;
    const search_result met = search(bucket, n->key(), steps.chain_limit());
    if (met.is_too_long) return insert_status::chain_too_long;
    if (met.found == nullptr) continue;
    const dir winner_dir = met.found->dir();
    const clash_answer answer = steps.clash(core::entry_of(*met.found, winner_dir), winner_dir);
    if (n == &reply || answer == clash_answer::refuse) return insert_status::clash;
  }
  steps.before_link(ct);
  if (core::is_linked_by(ct, dir::original)) link(heads_[original_bucket], original);
  link(heads_[reply_bucket], reply);
  steps.after_link(ct);
  return insert_status::inserted;
}

template <class Flavour>
void chained<Flavour>::unlink(local&, entry& ct) noexcept {
  node& original = ct.hash_node(dir::original);
  node& reply = ct.hash_node(dir::reply);
  const both_locked guard(*this, bucket_of(original.hash()), bucket_of(reply.hash()));
  if (core::is_linked_by(ct, dir::original)) unlink(original);
  unlink(reply);
}

template <class Flavour>
void chained<Flavour>::link(head& at, node& n) noexcept {
  // relaxed, all but one: the bucket's lock is held; readers follow only what (2) publishes.
  const std::uintptr_t first = at.load(std::memory_order_relaxed);
  n.next.store(first, std::memory_order_relaxed);  // relaxed: see above
  n.prev.store(reinterpret_cast<std::uintptr_t>(&at),
               std::memory_order_relaxed);  // relaxed: see above
  if (!is_nulls(first)) {
    // relaxed: see above
    node_at(first).prev.store(reinterpret_cast<std::uintptr_t>(&n.next), std::memory_order_relaxed);
  }
  // (2) release; pairs with (1): tuple, hash and `next` of this life are visible to who finds the
  // node.
  at.store(reinterpret_cast<std::uintptr_t>(&n), std::memory_order_release);
}

template <class Flavour>
void chained<Flavour>::unlink(node& n) noexcept {
  // relaxed, loads: the bucket's lock is held.
  const std::uintptr_t next = n.next.load(std::memory_order_relaxed);
  auto& before =
      *reinterpret_cast<head*>(n.prev.load(std::memory_order_relaxed));  // relaxed: see above
  // release: hands the publication of the next node, which this writer saw under the lock, on to
  // readers.
  before.store(next, std::memory_order_release);
  if (!is_nulls(next)) {
    // relaxed: read under the lock only.
    node_at(next).prev.store(reinterpret_cast<std::uintptr_t>(&before), std::memory_order_relaxed);
  }
}

template <class Flavour>
template <class Want, class Take>
bool chained<Flavour>::scan(local&, std::size_t bucket, Want&& want, Take&& take) noexcept {
  const sync::rcu::read_section<Flavour> section;
  std::uintptr_t at = nulls(bucket) + 2;
  while (at != nulls(bucket)) {  // led astray by a reused entry: this bucket again
    at = heads_[bucket].load(std::memory_order_acquire);  // (1) acquire: as in find_get
    while (!is_nulls(at)) {
      node& n = node_at(at);
      const dir d = n.dir();
      entry& ct = core::entry_of(n, d);
      const scan_verdict verdict = want(ct, d);
      if (verdict == scan_verdict::stop) return false;
      // Read before the entry is taken: `take` may free it, and its next life goes elsewhere.
      at = n.next.load(std::memory_order_acquire);  // (1) acquire: as above
      if (verdict == scan_verdict::take && ct.get_unless_zero()) take(ct, d);
    }
  }
  return true;
}

template <class Flavour>
bool chained<Flavour>::is_valid() const {
  for (std::size_t b = 0; b < bucket_count_; ++b) {
    const head* before = &heads_[b];
    std::uintptr_t at = before->load(std::memory_order_relaxed);  // relaxed: at rest
    while (!is_nulls(at)) {
      const node& n = node_at(at);
      if (bucket_of(n.hash()) != b) return false;
      // relaxed: at rest
      if (n.prev.load(std::memory_order_relaxed) != reinterpret_cast<std::uintptr_t>(before)) {
        return false;
      }
      before = &n.next;
      at = before->load(std::memory_order_relaxed);  // relaxed: at rest
    }
    if (at != nulls(b)) return false;
  }
  return true;
}

/// The default flavour, and the others as variants.
class table : public chained<sync::rcu::memb> {
 public:
  static constexpr std::string_view summary =
      "the kernel's: lock-free lookups (liburcu memb), nulls chains, type-safe reuse, hashed "
      "bucket locks";
  using chained::chained;
};
class table_qsbr : public chained<sync::rcu::qsbr> {
 public:
  static constexpr std::string_view summary =
      "rcu, readers pay nothing and announce quiescent states";
  using chained::chained;
};
class table_mb : public chained<sync::rcu::mb> {
 public:
  static constexpr std::string_view summary = "rcu, readers pay two full barriers";
  using chained::chained;
};
class table_bp : public chained<sync::rcu::bp> {
 public:
  static constexpr std::string_view summary = "rcu, readers need no registration";
  using chained::chained;
};

}  // namespace ct::rcu
