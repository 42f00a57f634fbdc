// SPDX-License-Identifier: BSD-2-Clause
/// oneTBB's concurrent_hash_map under the life cycle of conntrack: what a good general-purpose map
/// gives.
///
/// **The map** takes a key (tuple, zone, netns, with its hash) to the tuplehash that answers to it.
/// Every element has a reader-writer lock of its own, held by an *accessor* (writer) or
/// *const_accessor* (reader). Elements are chained in buckets with a lock each, which the map takes
/// and leaves within its calls.
///
/// **Who may look at what.** A lookup holds a const_accessor on the element while it takes its
/// reference; the element is there, so the table's reference is, which the killer puts only after
/// unlink. Nothing is read without a reference or an accessor, so memory may be reused at once
/// (`reuse::exclusive`).
///
/// **Insert** puts *both* keys into the map, each insertion returning its element write-locked, and
/// only then looks at what it got: an element that was there already is the winner of a clash (kept
/// from being unlinked by our accessor), one that is new is ours, and is erased again on every way
/// out but success. Meanwhile a lookup of either key waits at the element, and another insert of it
/// as well. When the accessors are let go both keys are findable, or neither ever was: B.1, B.2,
/// C.1, C.2.
/// **Unlink** takes both accessors, then erases. A lookup that found the entry had its accessor
/// before that; one that waited finds the element gone and the key absent: both tuples vanish at
/// the instant at which both accessors are held (D.3).
///
/// **Two tuples that are one flow** (10.0.0.1:5 to 10.0.0.1:5) have one key: one element, which
/// leads to the reply node, as lookups of the kernel find it (linked last, at the head).
///
/// **Walks.** The map forbids iteration beside writers; core/entry_index.h lies beside it for
/// `scan`. It is written under the accessors: after the map and CONFIRMED on insert, before the map
/// on unlink.
///
/// **Lock order.** Element of the lesser key (hash, then words), element of the greater key, one
/// chain of the index; each may wait for a bucket lock within the map. The map itself waits for an
/// element under a bucket lock only for a bounded while, then lets go and begins again, so that our
/// second element cannot deadlock with it.
///
/// **Progress.** Blocking: a lookup waits for a writer of its key, and for the map where it splits
/// a bucket.
/// **Growth.** The map doubles when it is full, beside readers and writers; the index keeps its
/// size. `resize` is refused: oneTBB's rehash() must not run beside other calls, and nothing is
/// gained by it. F.1 and F.2 are about the map's own growth.
///
/// **Kept:** A.1-3, B.1-3, C.1-2, D.1-4, E.1-2, F.1-2, G.2, H.1 (D.1, H.1 are the core's). **Not
/// kept:** B.4 (the map shows no chains; growth bounds them, unless an enemy knows the hash), G.1.
/// Cost: lookup five atomic read-modify-writes (bucket and element lock and unlock, reference) and
/// three dependent cache lines; insert allocates two map nodes. Limit: without memory for these the
/// program ends.
/// Source: oneTBB 2021.8, oneapi/tbb/concurrent_hash_map.h.
#pragma once

#include "impls/core/entry_index.h"
#include "impls/core/nf_conn.h"
#include "impls/sync/slab.h"
#include "spec/table.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <oneapi/tbb/concurrent_hash_map.h>
#include <oneapi/tbb/tbb_allocator.h>
#include <string_view>
#include <tuple>
#include <utility>

namespace ct::tbb {

class table {
 public:
  using entry = core::nf_conn;
  using slab = sync::slab<entry, sync::reuse::exclusive>;

  static constexpr std::string_view summary =
      "oneTBB's concurrent_hash_map, a lock in every element";
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
                                      letter::g2,
                                      letter::h1};

  struct local {
    explicit local(table& t) : magazine(t.slab_) {}
    slab::magazine magazine;
  };

  explicit table(const table_options& options) : map_(options.buckets), index_(options.buckets) {}

  /// Guarantees: A.*, E.1; linearizes while the element's lock is held.
  template <class Reap>
  found<entry> find_get(local&, const key& k, std::uint32_t now, Reap&& reap) noexcept;
  /// Nothing: the map does not say where a hash lies.
  void prefetch(local&, std::span<const std::uint32_t>) noexcept {}

  entry* alloc(local& l) noexcept { return slab_.alloc(l.magazine); }
  /// Guarantees: B.1-3, C.*; linearizes while both elements are held.
  template <class Steps>
  insert_status insert(local&, entry& e, Steps& steps) noexcept;
  /// Guarantees: D.2, D.3; linearizes while both elements are held.
  void unlink(local&, entry& e) noexcept;
  void free(local& l, entry& e) noexcept { slab_.free(l.magazine, e); }

  template <class Want, class Take>
  bool scan(local&, std::size_t bucket, Want&& want, Take&& take) noexcept {
    return index_.scan(bucket, want, take);
  }
  std::size_t bucket_count() const noexcept { return index_.bucket_count(); }
  std::size_t bucket_of(std::uint32_t hash) const noexcept { return index_.bucket_of(hash); }
  /// The map doubles when it is full, without being told; the index need not grow with it.
  resize_status resize(local&, std::size_t) noexcept { return resize_status::not_supported; }

  void quiescent(local&) noexcept {}
  /// The map's part is what its nodes and buckets need; what malloc adds is not known.
  std::size_t memory_bytes() const noexcept {
    const std::size_t map_bytes =
        map_.size() * (sizeof(map::value_type) + node_bytes) + map_.bucket_count() * bucket_bytes;
    return map_bytes + index_.memory_bytes() + slab_.memory_bytes();
  }
  /// At rest: the index is sound; each of its nodes is what the map knows under its key (its other
  /// node, if both have one key), each element of the map is in the index, its entry confirmed and
  /// referenced.
  bool is_valid() const;

 private:
  struct hash_compare {
    static std::size_t hash(const key& k) { return k.hash; }
    static bool equal(const key& a, const key& b) { return a == b; }
  };
  using map_element = std::pair<const key, core::tuplehash*>;
#ifdef __SANITIZE_THREAD__
  // A deviation for ThreadSanitizer: it does not see the order in which oneTBB's own allocator
  // passes memory from one thread to the next, and takes a reused map node for a race.
  using allocator = std::allocator<map_element>;
#else
  using allocator = ::oneapi::tbb::tbb_allocator<map_element>;
#endif
  using map = ::oneapi::tbb::concurrent_hash_map<key, core::tuplehash*, hash_compare, allocator>;
  static constexpr std::size_t node_bytes = 16;    // next, lock
  static constexpr std::size_t bucket_bytes = 16;  // lock, first node

  /// The keys of an entry and the order in which their elements are locked.
  struct both_keys {
    explicit both_keys(const entry& e)
        : keys{e.hash_node(dir::original).key(), e.hash_node(dir::reply).key()} {
      if (precedes(keys[1], keys[0])) std::swap(order[0], order[1]);
      if (keys[0] == keys[1]) {
        order[0] = dir::reply;
        count = 1;
      }
    }
    static bool precedes(const key& a, const key& b) {
      return std::tie(a.hash, a.words, a.zone, a.net) < std::tie(b.hash, b.words, b.zone, b.net);
    }

    std::array<key, 2> keys;  // [dir]
    std::array<dir, 2> order{dir::original, dir::reply};
    std::size_t count = 2;  // of order
  };

  map map_;
  core::entry_index index_;
  // Guards itself.
  slab slab_;
  // Lock order: (1) element of the lesser key; (2) element of the greater key; (3) a chain of
  // index_, or what the core's steps take.
};

template <class Reap>
found<table::entry> table::find_get(local&, const key& k, std::uint32_t now, Reap&& reap) noexcept {
  found<entry> hit;
  {
    map::const_accessor element;
    if (!map_.find(element, k)) return {};
    core::tuplehash& node = *element->second;
    entry& e = core::entry_of(node, node.dir());
    if (!e.is_confirmed()) return {};
    e.get();  // stands on the table's reference; see the head
    hit = {&e, node.dir()};
  }
  if (!hit.entry->is_expired(now)) return hit;
  reap(*hit.entry);
  return {};
}

template <class Steps>
insert_status table::insert(local&, entry& e, Steps& steps) noexcept {
  const both_keys both(e);
  std::array<map::accessor, 2> elements;  // [dir]
  std::array<bool, 2> is_ours{};          // [dir]
  for (std::size_t i = 0; i < both.count; ++i) {
    const std::size_t d = index(both.order[i]);
    is_ours[d] = map_.insert(elements[d], map::value_type(both.keys[d], &e.tuplehash[d]));
  }

  insert_status status = insert_status::inserted;
  if (!steps.may_insert(e)) {
    status = insert_status::refused;
  } else {
    // Of two winners the original tuple's is named, whatever the order of locking.
    for (const dir d : {dir::original, dir::reply}) {
      const map::accessor& element = elements[index(d)];
      if (element.empty() || is_ours[index(d)]) continue;
      core::tuplehash& winner = *element->second;
      const clash_answer answer = steps.clash(core::entry_of(winner, winner.dir()), winner.dir());
      if (d == dir::original && answer == clash_answer::link_reply) continue;
      status = insert_status::clash;
      break;
    }
  }
  if (status != insert_status::inserted) {
    for (std::size_t d = 0; d < 2; ++d) {
      if (is_ours[d]) map_.erase(elements[d]);
    }
    return status;
  }
  steps.before_link(e);
  steps.after_link(e);
  index_.insert(e);
  return status;
}

inline void table::unlink(local&, entry& e) noexcept {
  const both_keys both(e);
  std::array<map::accessor, 2> elements;  // [order]
  for (std::size_t i = 0; i < std::min(both.count, elements.size()); ++i) {
    // A reply-only entry has one element; the other one is the clash's winner's.
    if (!core::is_linked_by(e, both.order[i])) continue;
    map_.find(elements[i], both.keys[index(both.order[i])]);
  }
  index_.remove(e);
  for (map::accessor& element : elements) {
    if (!element.empty()) map_.erase(element);
  }
}

inline bool table::is_valid() const {
  const bool is_index_valid = index_.is_valid([this](core::tuplehash& node) {
    map::const_accessor element;
    if (!map_.find(element, node.key())) return false;
    core::tuplehash& known = *element->second;
    return &core::entry_of(known, known.dir()) == &core::entry_of(node, node.dir());
  });
  if (!is_index_valid) return false;
  for (const auto& [k, node] : map_) {
    const entry& e = core::entry_of(*node, node->dir());
    if (!node->matches(k) || !core::locked_chain::is_linked(*node)) return false;
    // relaxed: at rest.
    if (!e.is_confirmed() || e.use.load(std::memory_order_relaxed) == 0) return false;
  }
  return true;
}

}  // namespace ct::tbb
