// SPDX-License-Identifier: BSD-2-Clause
/// The event cache of an entry: which events wait to be told.
///
/// One word holds the events of this entry that nobody has been told of: cached ones in its low
/// half, those that a listener refused (`missed`) in its high half. Trackers and the core set bits,
/// the delivery takes the word by exchange with 0. So an event is in the word or in one message,
/// never in two, and a refused message puts its bits back. The kernel copies `missed` without
/// taking it and may tell an event twice.
///
/// Source: struct nf_conntrack_ecache, nf_conntrack_event_cache(), Linux 6.18.
#pragma once

#include "impls/sync/spinlock.h"
#include "spec/events.h"

#include <atomic>
#include <cstdint>

namespace ct::core {

class ecache {
 public:
  /// For a new life of the entry. Mask 0: it has no event cache, and no event in all this life.
  void init(std::uint16_t mask) {
    pending_.store(0, std::memory_order_relaxed);  // relaxed: published by use = 1
    mask_ = mask;
  }
  /// Events that are to be told (ctmask).
  std::uint16_t mask() const { return mask_; }

  void cache(event e) {
    if (mask_ == 0) return;
    // release; pairs with the acquire in take(): a message with this bit shows what happened. Not
    // left out where the bit is set already: it may be taken in this moment, with an older state.
    pending_.fetch_or(bit(e), std::memory_order_release);
  }
  void missed(std::uint32_t bits) {
    pending_.fetch_or(bits << half, std::memory_order_release);  // release: as in cache()
  }
  bool has_pending() const {
    // relaxed: a hint; take() decides. A thread sees its own events.
    return mask_ != 0 && pending_.load(std::memory_order_relaxed) != 0;
  }
  /// Everything that waits, cached and missed.
  std::uint32_t take() {
    // acquire: pairs with cache() and missed().
    const std::uint32_t word = pending_.exchange(0, std::memory_order_acquire);
    return (word | word >> half) & all_events;
  }

  /// Held while a message of this entry is made and told: its messages come one after another.
  sync::spinlock telling;

 private:
  static constexpr unsigned half = 16;
  static_assert(event_count <= half);

  // Immutable from init to the last put.
  std::uint16_t mask_ = 0;
  // Atomic.
  std::atomic<std::uint32_t> pending_{0};
};
static_assert(sizeof(ecache) == 8, "it shares the cache line of status and timeout");

}  // namespace ct::core
