// SPDX-License-Identifier: BSD-2-Clause
/// The locks that all buckets share, and the way to hold every one of them without taking them all.
///
/// | who | does |
/// |---|---|
/// | one bucket | takes its lock; if `is_all_held_` then, lets it go, takes global lock and bucket lock, and lets the global lock go |
/// | two buckets | the lower lock like that, the higher one plainly |
/// | all | takes the global lock, sets `is_all_held_`, takes and leaves each lock once, in order |
///
/// *Why all are held then.* Whoever locked a bucket before the walk came there is waited for by the
/// walk; whoever locks it after sees the flag, which the walk's unlock published, and waits at the
/// global lock. The second lock of a pair needs no look at the flag: who holds the lower one got it
/// before the walk had passed it, so the walk has not passed the higher one either.
/// Lock order: global, lower, higher. Nobody waits for the global lock with a bucket lock held.
/// Source: nf_conntrack_lock(), nf_conntrack_double_lock(), nf_conntrack_all_lock(), Linux 6.18.
#pragma once

#include "impls/sync/spinlock.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>

namespace ct::rcu {

class bucket_locks {
 public:
  static constexpr std::size_t count = 1024;  // CONNTRACK_LOCKS

  bucket_locks() = default;
  bucket_locks(const bucket_locks&) = delete;
  bucket_locks& operator=(const bucket_locks&) = delete;

  /// Those of two buckets, or the one that they share.
  void lock_pair(std::size_t a, std::size_t b) noexcept {
    a %= count;
    b %= count;
    lock_one(std::min(a, b));
    if (a != b) locks_[std::max(a, b)].lock();
  }
  void unlock_pair(std::size_t a, std::size_t b) noexcept {
    a %= count;
    b %= count;
    if (a != b) locks_[std::max(a, b)].unlock();
    locks_[std::min(a, b)].unlock();
  }

  /// Satisfied: nobody holds a bucket lock, nor gets one before unlock().
  void lock() noexcept {
    global_.lock();
    // (2) relaxed: each unlock below publishes it to who locks next.
    is_all_held_.store(true, std::memory_order_relaxed);
    for (padded_lock& each : locks_) {
      each.lock();
      each.unlock();
    }
  }
  void unlock() noexcept {
    // (3) release; pairs with (1): who sees the flag gone sees what was done under all locks.
    is_all_held_.store(false, std::memory_order_release);
    global_.unlock();
  }

 private:
  struct alignas(64) padded_lock : sync::spinlock {};

  void lock_one(std::size_t index) noexcept {
    locks_[index].lock();
    // (1) acquire; pairs with (3). A false from before (2) means: before the walk came here.
    if (!is_all_held_.load(std::memory_order_acquire)) [[likely]] {
      return;
    }
    locks_[index].unlock();
    const std::lock_guard wait(global_);
    locks_[index].lock();
  }

  std::array<padded_lock, count> locks_;
  alignas(64) std::atomic<bool> is_all_held_{false};
  sync::spinlock global_;
};

}  // namespace ct::rcu
