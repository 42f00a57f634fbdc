// SPDX-License-Identifier: BSD-2-Clause
/// A sequence count: readers of several variables find out whether one writer changed them
/// meanwhile.
///
/// Odd while the writer writes. It orders only together with the data: whoever reads loads each
/// variable with acquire, between begin_read() and is_changed(); the writer, one at a time, stores
/// each with release, between begin_write() and end_write(). Fences would do the same for relaxed
/// data; ThreadSanitizer does not know them, and on x86-64 neither costs anything.
/// Source: seqcount_t, include/linux/seqlock.h, Linux 6.18.
#pragma once

#include "impls/sync/spinlock.h"

#include <atomic>
#include <cstdint>
#include <sched.h>

namespace ct::sync {

class seqcount {
 public:
  /// Waits while somebody writes.
  std::uint32_t begin_read() const noexcept {
    for (unsigned spins = 0;; ++spins) {
      // (1) acquire; pairs with (3): who sees the writer done sees what it wrote.
      const std::uint32_t now = count_.load(std::memory_order_acquire);
      if ((now & 1) == 0) [[likely]] {
        return now;
      }
      if (spins < 64) {
        cpu_relax();
      } else {
        sched_yield();
      }
    }
  }
  /// Must what was read since then be read again?
  bool is_changed(std::uint32_t since) const noexcept {
    // relaxed: behind the acquire loads of the data; one that read what a writer stored (release)
    // is ordered after (2), so that this sees (2) or later.
    return count_.load(std::memory_order_relaxed) != since;
  }

  void begin_write() noexcept {
    // (2) relaxed, both: one writer; the release stores of the data that follow publish it.
    count_.store(count_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  void end_write() noexcept {
    // (3) release; pairs with (1). relaxed load: one writer.
    count_.store(count_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

 private:
  std::atomic<std::uint32_t> count_{0};
};

}  // namespace ct::sync
