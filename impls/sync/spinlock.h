// SPDX-License-Identifier: BSD-2-Clause
/// A test-and-test-and-set spinlock of one byte: the bucket and entry lock of every table.
///
/// Yields to the scheduler after a short spin: with more threads than cores the holder may be
/// asleep. Source: the bucket locks of nf_conntrack_core.c, Linux 6.18 (spinlock_t; not fair here).
#pragma once

#include <atomic>
#include <cstdint>
#include <sched.h>

namespace ct::sync {

/// Tells the CPU (and a controlled scheduler) that this thread waits for another one.
inline void cpu_relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

class spinlock {
 public:
  void lock() noexcept {
    // acquire: pairs with the release in unlock(); what the last holder wrote is visible.
    while (locked_.exchange(1, std::memory_order_acquire) != 0) wait();
  }

  bool try_lock() noexcept {
    // acquire: as in lock().
    return locked_.exchange(1, std::memory_order_acquire) == 0;
  }

  void unlock() noexcept {
    // release: pairs with the acquire in lock().
    locked_.store(0, std::memory_order_release);
  }

 private:
  void wait() noexcept {
    // A spin of 64 pauses is about 1 us, longer than any critical section of a running holder.
    unsigned spins = 0;
    // relaxed: only a hint when to try again; the exchange in lock() orders.
    while (locked_.load(std::memory_order_relaxed) != 0) {
      if (++spins < 64) {
        cpu_relax();
      } else {
        sched_yield();
      }
    }
  }

  std::atomic<std::uint8_t> locked_{0};
};

}  // namespace ct::sync
