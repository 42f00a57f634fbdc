// SPDX-License-Identifier: BSD-2-Clause
/// The clock of a history: one for all threads, and nothing of an operation outside its interval.
///
/// On x86 it is the TSC, if a test says that it is one clock: stamps that are handed from CPU to
/// CPU never go back. Elsewhere, and where they do, it is CLOCK_MONOTONIC. (A shared counter would
/// be exact and would order the threads, which hides what is looked for.)
///
/// A stamp is fenced on both sides. Ahead of it everything is done and seen by all: a store that
/// still waited in the CPU's buffer would take effect after the end of its operation. Behind it
/// nothing has begun: a load that was executed ahead would be older than its operation.
/// Source: Intel SDM, RDTSC; AMD APM 3, LFENCE.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <functional>

namespace ct::check {

class stamp_clock {
 public:
  enum class source : std::uint8_t { tsc, monotonic };

  /// The TSC if it is one clock for all CPUs of this process, else the operating system's. Takes
  /// some milliseconds.
  static stamp_clock choose();
  /// The operating system's.
  static stamp_clock portable() { return stamp_clock(source::monotonic); }

  std::uint64_t now() const noexcept {
#if defined(__x86_64__)
    if (source_ == source::tsc) {
      std::uint32_t low = 0;
      std::uint32_t high = 0;
      // The locked instruction empties the store buffer, as mfence does, in two thirds of the time.
      asm volatile("lock orl $0, (%%rsp)\n\tlfence\n\trdtsc\n\tlfence"
                   : "=a"(low), "=d"(high)
                   :
                   : "memory", "cc");
      return std::uint64_t{high} << 32 | low;
    }
#endif
    return monotonic();
  }

  source of() const { return source_; }

 private:
  explicit stamp_clock(source of) : source_(of) {}
  static std::uint64_t monotonic() noexcept;

  source source_;
};

/// How often a stamp that one thread took and handed to the other was later than the one which that
/// took then; 0 for one clock. `cpu_a`, `cpu_b`: where the threads run; negative: anywhere.
std::size_t inversions(const std::function<std::uint64_t()>& clock_a,
                       const std::function<std::uint64_t()>& clock_b,
                       std::size_t hand_offs,
                       int cpu_a = -1,
                       int cpu_b = -1);

}  // namespace ct::check
