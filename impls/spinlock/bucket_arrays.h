// SPDX-License-Identifier: BSD-2-Clause
/// The arrays of buckets of a table that is resized: one in use, the others idle, none ever freed.
///
/// Who is late locks a bucket of an array that was in use when he looked: an array is *type-stable*
/// memory, as a slab's object is. Holding that lock he looks again; if the array is no longer in
/// use, or with another number of buckets, he lets go and has done no harm, since idle arrays hold
/// no nodes.
///
/// An array is made only where no idle one is large enough, with room for a power of two: so there
/// are at most two of a size, and what is mapped is at most eight times the largest number of
/// buckets ever asked for. Source: none; the thought is SLAB_TYPESAFE_BY_RCU's, Linux 6.18, for
/// arrays.
#pragma once

#include "impls/core/chain_array.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace ct::spinlock {

/// An array, and how many of its chains are buckets.
class bucket_array {
 public:
  explicit bucket_array(std::size_t room) : chains_(room) {}

  std::size_t room() const noexcept { return chains_.size(); }
  std::size_t memory_bytes() const noexcept { return chains_.memory_bytes(); }
  core::locked_chain& operator[](std::size_t i) const noexcept { return chains_[i]; }

  std::size_t count() const noexcept {
    return count_.load(std::memory_order_relaxed);  // relaxed: published with the array
  }
  /// Of an idle array.
  void set_count(std::size_t count) noexcept {
    count_.store(count, std::memory_order_relaxed);  // relaxed: as count()
  }

 private:
  core::chain_array chains_;
  // Atomic: who is late may read it while it is set anew.
  std::atomic<std::size_t> count_{0};
};

/// An array with one of its numbers of buckets.
struct buckets {
  bucket_array* array = nullptr;
  std::size_t count = 0;

  core::locked_chain& of(std::uint32_t hash) const noexcept {
    return (*array)[static_cast<std::size_t>(std::uint64_t{hash} * count >> 32)];
  }
  friend bool operator==(const buckets&, const buckets&) = default;
};

class bucket_arrays {
 public:
  explicit bucket_arrays(std::size_t wanted) { use(idle(wanted)); }

  /// Those in use a moment ago; still, if the lock of one of them is held and this says the same.
  buckets in_use() const noexcept {
    // (1) acquire; pairs with (2): the chains and their number are seen as they were published.
    bucket_array* const array = in_use_.load(std::memory_order_acquire);
    return {array, array->count()};
  }
  /// An array with `count` empty buckets, not in use. One caller at a time; may throw bad_alloc.
  buckets idle(std::size_t count) {
    bucket_array* best = nullptr;
    for (const auto& one : all_) {
      const bool is_fit = one.get() != in_use_.load(std::memory_order_relaxed) &&  // relaxed: ours
                          one->room() >= count;
      if (is_fit && (best == nullptr || one->room() < best->room())) best = one.get();
    }
    if (best == nullptr) {
      all_.push_back(std::make_unique<bucket_array>(std::bit_ceil(count)));
      best = all_.back().get();
      // relaxed: a statistic.
      memory_bytes_.fetch_add(best->memory_bytes(), std::memory_order_relaxed);
    }
    best->set_count(count);
    return {best, count};
  }
  /// Publishes them; the caller holds the lock of each bucket that was in use.
  void use(const buckets& next) noexcept {
    // (2) release; pairs with (1).
    in_use_.store(next.array, std::memory_order_release);
  }

  std::size_t memory_bytes() const noexcept {
    return memory_bytes_.load(std::memory_order_relaxed);  // relaxed: a statistic
  }

 private:
  std::atomic<bucket_array*> in_use_{nullptr};
  // Guarded by the table's resize_mutex_.
  std::vector<std::unique_ptr<bucket_array>> all_;
  // Atomic.
  std::atomic<std::size_t> memory_bytes_{0};
};

}  // namespace ct::spinlock
