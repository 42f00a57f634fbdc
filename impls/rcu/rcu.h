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
/// **Writers** hold the locks of both buckets, of 1,024 hashed ones, the lower first, once
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
/// **Resize.** With every bucket lock held (rcu/bucket_locks.h) and the generation odd, each node
/// is popped from the old array and pushed into the new one, whose chains end in markers of their
/// own; then array and size change. The old array is freed after a grace period, outside every
/// lock.
///   - Writers choose their locks by a size that they read before they had them: if the generation
///     has changed when they hold them, they let go and choose again.
///   - Lookups read array and size as a pair, again if the generation changed; one that begins
///     while it is odd waits until the chains have moved. One that was under way goes on in the old
///     array: it misses what has left it (F.2 is not claimed), or is led into the new one, where it
///     meets another bucket's marker and begins again, or the same number's, and misses. What is
///     missed is not lost: a new entry made on account of it clashes at its confirm, which takes
///     the locks.
///   - The scan of a bucket that is no longer there ends at once.
///
/// Guarantees: A.1 A.2 A.3, B.1-B.4, C.1 C.2, D.1 D.2 D.4, E.1 E.2, F.1, G.1 G.2, H.1. Not: D.3
/// (two-phase delete), F.2. Lock order: resize lock, global lock, bucket lock with the lower index,
/// bucket lock with the higher; inside them only entry lists. Memory: 8 bytes a bucket, one nf_conn
/// a connection; slabs are returned at the end. Source: nf_conntrack_core.c (____nf_conntrack_find,
/// nf_conntrack_get_ht, __nf_conntrack_confirm, clean_from_lists, nf_conntrack_hash_resize),
/// include/linux/rculist_nulls.h, Documentation/RCU/rculist_nulls.rst, Linux 6.18.
#pragma once

#include "impls/core/nf_conn.h"
#include "impls/rcu/bucket_locks.h"
#include "impls/sync/pages.h"
#include "impls/sync/rcu.h"
#include "impls/sync/seqcount.h"
#include "impls/sync/slab.h"
#include "spec/table.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <utility>

namespace ct::rcu {

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
                                   letter::f1,
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
      : array_(std::make_unique<bucket_array>(options.buckets)) {
    publish(array_->buckets);
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
  std::size_t bucket_count() const noexcept {
    return shape_.count.load(std::memory_order_relaxed);  // relaxed: a number for itself
  }
  std::size_t bucket_of(std::uint32_t hash) const noexcept {
    return std::uint64_t{hash} * bucket_count() >> 32;
  }
  /// Guarantees: F.1. Cost: O(buckets + entries) with every lock held, then a grace period.
  /// Source: nf_conntrack_hash_resize(), Linux 6.18.
  resize_status resize(local&, std::size_t wanted) noexcept;
  void quiescent(local&) noexcept { Flavour::quiescent(); }
  std::size_t memory_bytes() const noexcept {
    return bucket_count() * sizeof(head) + memory_.memory_bytes();
  }
  /// Each node lies in the bucket of its hash, its `prev` leads to it, its chain ends in its own
  /// marker.
  bool is_valid() const;

 private:
  using node = core::tuplehash;
  using head = std::atomic<std::uintptr_t>;  // a node, or a nulls marker (odd)

  /// Heads, and how many: one is of no use without the other.
  struct buckets {
    head* heads;  // [count]
    std::size_t count;

    /// Spreads 32 bits of hash over any number of buckets without a division (reciprocal_scale).
    std::size_t of(std::uint32_t hash) const { return std::uint64_t{hash} * count >> 32; }
  };

  /// Empty chains, each with its own marker.
  struct bucket_array {
    explicit bucket_array(std::size_t wanted)
        : memory(std::max<std::size_t>(wanted, 1) * sizeof(head)),
          buckets{reinterpret_cast<head*>(memory.bytes().data()),
                  std::max<std::size_t>(wanted, 1)} {
      for (std::size_t b = 0; b < buckets.count; ++b) new (&buckets.heads[b]) head(nulls(b));
    }

    const sync::pages memory;
    const chained::buckets buckets;
  };

  /// Both bucket locks of an entry, and the array that cannot be exchanged while they are held.
  class both_locked {
   public:
    both_locked(chained& owner, std::uint32_t original_hash, std::uint32_t reply_hash)
        : owner_(owner) {
      for (;;) {
        const std::uint32_t generation = owner.generation_.begin_read();
        now_ = owner.read_shape();
        original_ = now_.of(original_hash);
        reply_ = now_.of(reply_hash);
        owner.locks_.lock_pair(original_, reply_);
        if (!owner.generation_.is_changed(generation)) [[likely]] {
          return;
        }
        owner.locks_.unlock_pair(original_, reply_);
      }
    }
    explicit both_locked(chained& owner, const entry& ct)
        : both_locked(owner, ct.hash_node(dir::original).hash(), ct.hash_node(dir::reply).hash()) {}
    both_locked(const both_locked&) = delete;
    both_locked& operator=(const both_locked&) = delete;
    ~both_locked() { owner_.locks_.unlock_pair(original_, reply_); }

    head& original() const { return now_.heads[original_]; }
    head& reply() const { return now_.heads[reply_]; }

   private:
    chained& owner_;
    buckets now_{};
    std::size_t original_ = 0;
    std::size_t reply_ = 0;
  };

  static constexpr std::uintptr_t nulls(std::size_t bucket) { return bucket << 1 | 1; }
  static constexpr bool is_nulls(std::uintptr_t link) { return (link & 1) != 0; }
  static node& node_at(std::uintptr_t link) { return *reinterpret_cast<node*>(link); }

  /// The linked node that answers to `k`, or none, or why the search was given up.
  struct search_result {
    node* found = nullptr;
    bool is_too_long = false;
  };
  static search_result search(const head& bucket, const key& k, std::size_t limit) noexcept;
  /// What belongs together if the generation is the same before and after, or a lock is held.
  buckets read_shape() const noexcept {
    // (3) acquire, both; pairs with (4): who sees the new array sees its markers, and that the
    // generation has changed.
    return {shape_.heads.load(std::memory_order_acquire),
            shape_.count.load(std::memory_order_acquire)};  // (3) acquire: see above
  }
  /// The array as a reader may use it, within his read section.
  buckets current() const noexcept {
    for (;;) {
      const std::uint32_t generation = generation_.begin_read();
      const buckets now = read_shape();
      if (!generation_.is_changed(generation)) [[likely]] {
        return now;
      }
    }
  }
  void publish(const buckets& now) noexcept {
    // (4) release, both; pairs with (3).
    shape_.heads.store(now.heads, std::memory_order_release);
    shape_.count.store(now.count, std::memory_order_release);  // (4) release: see above
  }

  static void link(head& at, node& n) noexcept;
  static void unlink(node& n) noexcept;
  static void move_all(const buckets& from, const buckets& to) noexcept;

  // Atomic: what array it is; written with all locks held and generation_ odd.
  alignas(64) sync::seqcount generation_;
  struct {
    std::atomic<head*> heads{nullptr};
    std::atomic<std::size_t> count{0};
  } shape_;
  // Guarded by resize_mutex_: whom shape_ belongs to. What lies in it is atomic: readers walk it,
  // writers hold the lock of the bucket.
  std::mutex resize_mutex_;
  std::unique_ptr<bucket_array> array_;
  bucket_locks locks_;
  // Guards itself.
  memory memory_;
  // Lock order: (1) resize_mutex_; (2) the global lock of locks_; (3) bucket lock of the lower
  // index; (4) bucket lock of the higher index; (5) what the core's steps take.
};

template <class Flavour>
template <class Reap>
found<core::nf_conn> chained<Flavour>::find_get(local&,
                                                const key& k,
                                                std::uint32_t now,
                                                Reap&& reap) noexcept {
  for (std::uint32_t restarts = 0;; ++restarts) {
    entry* other = nullptr;  // referenced, and not the answer
    bool is_led_astray = false;
    {
      const sync::rcu::read_section<Flavour> section;
      const buckets here = current();
      const std::size_t bucket = here.of(k.hash);
      // (1) acquire; pairs with the release (2) of link(): the node behind the pointer is whole.
      std::uintptr_t at = here.heads[bucket].load(std::memory_order_acquire);
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
  const sync::rcu::read_section<Flavour> section;
  const buckets now = current();
  for (const std::uint32_t hash : hashes) __builtin_prefetch(&now.heads[now.of(hash)]);
  for (const std::uint32_t hash : hashes) {
    // relaxed: fetched, not read.
    const std::uintptr_t first = now.heads[now.of(hash)].load(std::memory_order_relaxed);
    if (!is_nulls(first)) __builtin_prefetch(&node_at(first));
  }
  for (const std::uint32_t hash : hashes) {
    // (1) acquire: as in find_get
    const std::uintptr_t first = now.heads[now.of(hash)].load(std::memory_order_acquire);
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
typename chained<Flavour>::search_result chained<Flavour>::search(const head& bucket,
                                                                  const key& k,
                                                                  std::size_t limit) noexcept {
  std::size_t passed = 0;
  // relaxed: the bucket's lock is held; the chain cannot change, and its nodes were published under
  // it.
  std::uintptr_t at = bucket.load(std::memory_order_relaxed);
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
  const both_locked guard(*this, ct);
  if (!steps.may_insert(ct)) return insert_status::refused;
  for (node* const n : {&original, &reply}) {
    const head& bucket = n == &reply ? guard.reply() : guard.original();
    const search_result met = search(bucket, n->key(), steps.chain_limit());
    if (met.is_too_long) return insert_status::chain_too_long;
    if (met.found == nullptr) continue;
    const dir winner_dir = met.found->dir();
    const clash_answer answer = steps.clash(core::entry_of(*met.found, winner_dir), winner_dir);
    if (n == &reply || answer == clash_answer::refuse) return insert_status::clash;
  }
  steps.before_link(ct);
  if (core::is_linked_by(ct, dir::original)) link(guard.original(), original);
  link(guard.reply(), reply);
  steps.after_link(ct);
  return insert_status::inserted;
}

template <class Flavour>
void chained<Flavour>::unlink(local&, entry& ct) noexcept {
  const both_locked guard(*this, ct);
  if (core::is_linked_by(ct, dir::original)) unlink(ct.hash_node(dir::original));
  unlink(ct.hash_node(dir::reply));
}

template <class Flavour>
void chained<Flavour>::link(head& at, node& n) noexcept {
  // relaxed, where not said otherwise: the bucket's lock is held.
  const std::uintptr_t first = at.load(std::memory_order_relaxed);
  // release; as (2): a reader that stands on this node, since its last life or since before a
  // resize, goes on from here.
  n.next.store(first, std::memory_order_release);
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
  std::uintptr_t at = nulls(bucket) + 2;
  while (at != nulls(bucket)) {  // led astray by a reused entry or a resize: this bucket again
    {
      // Around the array alone: the nodes are type-safe, and no grace period waits for a callback.
      const sync::rcu::read_section<Flavour> section;
      const buckets now = current();
      if (bucket >= now.count) return true;
      at = now.heads[bucket].load(std::memory_order_acquire);  // (1) acquire: as in find_get
    }
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
resize_status chained<Flavour>::resize(local&, std::size_t wanted) noexcept try {
  if (wanted > buckets_max) return resize_status::no_memory;
  auto fresh = std::make_unique<bucket_array>(wanted);
  {
    const std::lock_guard one_at_a_time(resize_mutex_);
    if (fresh->buckets.count == bucket_count()) return resize_status::same_size;
    const std::lock_guard all(locks_);
    generation_.begin_write();
    move_all(array_->buckets, fresh->buckets);
    publish(fresh->buckets);
    generation_.end_write();
    std::swap(array_, fresh);
  }
  Flavour::quiescent();    // nobody, this thread neither, waits for this thread
  Flavour::synchronize();  // then the old array goes
  return resize_status::resized;
} catch (const std::bad_alloc&) {
  return resize_status::no_memory;
}

/// Every node to the head of its new chain: chains are reversed, and empty where they came from.
template <class Flavour>
void chained<Flavour>::move_all(const buckets& from, const buckets& to) noexcept {
  for (std::size_t b = 0; b < from.count; ++b) {
    for (;;) {
      // relaxed: all locks are held.
      const std::uintptr_t first = from.heads[b].load(std::memory_order_relaxed);
      if (is_nulls(first)) break;
      node& n = node_at(first);
      unlink(n);
      link(to.heads[to.of(n.hash())], n);
    }
  }
}

template <class Flavour>
bool chained<Flavour>::is_valid() const {
  const buckets now = read_shape();
  for (std::size_t b = 0; b < now.count; ++b) {
    const head* before = &now.heads[b];
    std::uintptr_t at = before->load(std::memory_order_relaxed);  // relaxed: at rest
    while (!is_nulls(at)) {
      const node& n = node_at(at);
      if (now.of(n.hash()) != b) return false;
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
