// SPDX-License-Identifier: BSD-2-Clause
/// A chain of tuplehashes and the lock that guards it: a bucket of `spinlock`, a shard of
/// entry_index.
///
/// 16 bytes, lock and head in one cache line: whoever takes the lock has fetched the head as well.
/// A node's `prev` holds the address of the pointer that points to it (the chain's head, or the
/// `next` of its predecessor), so that a node leaves its chain without a walk and without knowing
/// which chain it is.
///
/// Walk with interruptions: `scan` hands entries over without the lock. To find its place again it
/// leaves a cursor in the chain, a tuplehash on its own stack that no key matches. New nodes go to
/// the head, behind every cursor, so a scan shows each node that stays linked exactly once, and
/// ends, whatever `take` does. A resize that moves the nodes to other chains takes cursors out: a
/// scan that finds its own gone has nothing to go on from. Guarantees: E.2 of a table that scans
/// with it. Limit: nodes linked behind the cursor are not shown. Source: hlist of
/// include/linux/list.h and get_next_corpse(), Linux 6.18; the cursor is the one of list walks that
/// drop their lock (fs/libfs.c, dcache_readdir()).
#pragma once

#include "impls/core/nf_conn.h"
#include "impls/sync/spinlock.h"
#include "spec/table.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <mutex>

namespace ct::core {

class locked_chain {
 public:
  void lock() noexcept { lock_.lock(); }
  void unlock() noexcept { lock_.unlock(); }

  // relaxed, every access to next, prev and head_ below: all of it happens under lock_. They are
  // atomic because tuplehash serves tables as well whose readers take no lock.

  /// The first node, and the one after `node`; cursors among them.
  tuplehash* first() const noexcept {
    return pointer(head_.load(std::memory_order_relaxed));  // relaxed: see above
  }
  static tuplehash* next(const tuplehash& node) noexcept {
    return pointer(node.next.load(std::memory_order_relaxed));  // relaxed: see above
  }

  /// Where the first node lay a moment ago: for a prefetch without the lock, never to be read
  /// through.
  std::uintptr_t hint() const noexcept {
    return head_.load(std::memory_order_relaxed);  // relaxed: a hint
  }

  void push_front(tuplehash& node) noexcept { link(node, head_); }

  static void remove(tuplehash& node) noexcept {
    tuplehash* const after = next(node);
    // relaxed, all four: see above
    const std::uintptr_t before = node.prev.load(std::memory_order_relaxed);
    place(before)->store(reinterpret_cast<std::uintptr_t>(after), std::memory_order_relaxed);
    if (after != nullptr) after->prev.store(before, std::memory_order_relaxed);
    node.next.store(0, std::memory_order_relaxed);
    node.prev.store(0, std::memory_order_relaxed);
  }

  static bool is_linked(const tuplehash& node) noexcept {
    return node.prev.load(std::memory_order_relaxed) != 0;  // relaxed: see above
  }
  /// Is `node` the place mark of a scan?
  static bool is_cursor(const tuplehash& node) noexcept { return node.dir() == cursor_dir; }

  enum class scan_end : std::uint8_t {
    finished,
    stopped,
    moved,  ///< the nodes are elsewhere, by a resize; some may have been shown
  };
  /// Shows every node (ct::table's scan); the lock must not be held. `is_in_use()`, asked with the
  /// lock held, says whether nodes would be here at all.
  /// Cost: one lock, and one more for every `batch` entries taken.
  template <class IsInUse, class Want, class Take>
  scan_end scan(IsInUse&& is_in_use, Want&& want, Take&& take) noexcept;

  /// At rest: every node points back to the pointer that leads to it, and no cursor was left
  /// behind.
  bool is_valid() const noexcept {
    const std::atomic<std::uintptr_t>* from = &head_;
    for (const tuplehash* node = first(); node != nullptr; node = next(*node)) {
      // relaxed: at rest.
      if (node->prev.load(std::memory_order_relaxed) != reinterpret_cast<std::uintptr_t>(from))
        return false;
      if (is_cursor(*node)) return false;
      from = &node->next;
    }
    return true;
  }

 private:
  /// Entries taken under one hold of the lock: as many as a netlink dump evicts.
  static constexpr std::size_t batch = 8;
  /// No direction: the tuple of a cursor. Its layer 3 (0xffff) is none either, so it matches no
  /// key.
  static constexpr auto cursor_dir = static_cast<ct::dir>(0xff);

  static tuplehash* pointer(std::uintptr_t value) noexcept {
    return reinterpret_cast<tuplehash*>(value);
  }
  static std::atomic<std::uintptr_t>* place(std::uintptr_t value) noexcept {
    return reinterpret_cast<std::atomic<std::uintptr_t>*>(value);
  }

  static void link(tuplehash& node, std::atomic<std::uintptr_t>& at) noexcept {
    // relaxed, all: under the lock, as above
    const std::uintptr_t after = at.load(std::memory_order_relaxed);
    node.next.store(after, std::memory_order_relaxed);
    node.prev.store(reinterpret_cast<std::uintptr_t>(&at), std::memory_order_relaxed);
    at.store(reinterpret_cast<std::uintptr_t>(&node), std::memory_order_relaxed);
    if (after == 0) return;
    // relaxed: likewise
    pointer(after)->prev.store(reinterpret_cast<std::uintptr_t>(&node.next),
                               std::memory_order_relaxed);
  }

  static void make_cursor(tuplehash& node) noexcept {
    key nothing;
    nothing.words.fill(std::numeric_limits<std::uint64_t>::max());
    node.set(nothing, cursor_dir);
  }

  // Guarded by lock_.
  std::atomic<std::uintptr_t> head_{0};
  sync::spinlock lock_;
};
static_assert(sizeof(locked_chain) == 16, "four buckets a cache line");

template <class IsInUse, class Want, class Take>
locked_chain::scan_end locked_chain::scan(IsInUse&& is_in_use, Want&& want, Take&& take) noexcept {
  tuplehash cursor;
  make_cursor(cursor);
  scan_end end = scan_end::finished;
  for (bool is_resumed = false;; is_resumed = true) {
    std::array<tuplehash*, batch> taken{};
    std::size_t count = 0;
    tuplehash* node = nullptr;
    {
      const std::lock_guard guard(*this);
      // Who moves the nodes holds this lock: while the cursor is linked, they are here.
      if (is_resumed ? !is_linked(cursor) : !is_in_use()) return scan_end::moved;
      node = is_resumed ? next(cursor) : first();
      if (is_resumed) remove(cursor);
      for (; node != nullptr; node = next(*node)) {
        if (is_cursor(*node)) continue;
        nf_conn& e = entry_of(*node, node->dir());
        const scan_verdict verdict = want(e, node->dir());
        if (verdict == scan_verdict::stop) {
          end = scan_end::stopped;
          break;
        }
        if (verdict == scan_verdict::next) continue;
        e.get();  // stands on the table's reference: it is not put before the node is unlinked,
                  // under this lock
        taken[count++] = node;
        if (count == batch) {
          link(cursor, node->next);
          break;
        }
      }
    }
    for (std::size_t i = 0; i < count; ++i) {
      const ct::dir d = taken[i]->dir();
      take(entry_of(*taken[i], d), d);
    }
    if (node == nullptr || end == scan_end::stopped) return end;
  }
}

/// Holds two chains of one array, or one if they are the same; lower address, that is lower index,
/// first.
class both_locked {
 public:
  both_locked(locked_chain& a, locked_chain& b) noexcept
      : first_(&a < &b ? a : b), second_(&a < &b ? b : a) {
    first_.lock();
    if (&first_ != &second_) second_.lock();
  }
  both_locked(const both_locked&) = delete;
  both_locked& operator=(const both_locked&) = delete;
  ~both_locked() {
    if (&first_ != &second_) second_.unlock();
    first_.unlock();
  }

 private:
  locked_chain& first_;
  locked_chain& second_;
};

}  // namespace ct::core
