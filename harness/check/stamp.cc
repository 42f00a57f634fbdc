// SPDX-License-Identifier: BSD-2-Clause
/// See harness/check/stamp.h.
#include "harness/check/stamp.h"

#include <atomic>
#include <sched.h>
#include <thread>
#include <vector>

namespace ct::check {
namespace {

void run_on(int cpu) {
  if (cpu < 0) return;
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(static_cast<std::size_t>(cpu), &only);
  (void)sched_setaffinity(0, sizeof only, &only);  // refused: it runs anywhere
}

/// Waits for its turn, takes a stamp, compares it with the one it was handed, hands its own on.
class side {
 public:
  side(std::atomic<std::uint64_t>& turn, std::uint64_t& stamp) : turn_(turn), stamp_(stamp) {}

  std::size_t play(const std::function<std::uint64_t()>& clock,
                   std::uint64_t first_turn,
                   std::size_t turns) {
    std::size_t wrong = 0;
    for (std::uint64_t mine = first_turn; mine < turns; mine += 2) {
      // acquire: pairs with the release below: the stamp that was handed over is seen.
      for (int spins = 0; turn_.load(std::memory_order_acquire) != mine; ++spins) {
        if (spins > 1000) std::this_thread::yield();
      }
      const std::uint64_t now = clock();
      wrong += now < stamp_ ? 1 : 0;
      stamp_ = now;
      // release: pairs with the acquire above.
      turn_.store(mine + 1, std::memory_order_release);
    }
    return wrong;
  }

 private:
  std::atomic<std::uint64_t>& turn_;
  std::uint64_t& stamp_;  // of whose turn it is
};

std::vector<int> cpus_of_process() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(static_cast<std::size_t>(cpu), &allowed)) cpus.push_back(cpu);
  }
  return cpus;
}

}  // namespace

std::uint64_t stamp_clock::monotonic() noexcept {
#if defined(__x86_64__)
  asm volatile("lock orl $0, (%%rsp)" : : : "memory", "cc");
#elif defined(__aarch64__)
  asm volatile("dsb ish\n\tisb" : : : "memory");
#else
  __sync_synchronize();
#endif
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
#if defined(__x86_64__)
  asm volatile("lfence" : : : "memory");
#elif defined(__aarch64__)
  asm volatile("isb" : : : "memory");
#else
  __sync_synchronize();
#endif
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(t.tv_nsec);
}

stamp_clock stamp_clock::choose() {
#if defined(__x86_64__)
  constexpr std::size_t hand_offs = 2000;
  const stamp_clock tsc(source::tsc);
  const auto read = [&tsc] { return tsc.now(); };
  const std::vector<int> cpus = cpus_of_process();
  for (std::size_t i = 1; i < cpus.size(); ++i) {
    if (inversions(read, read, hand_offs, cpus[0], cpus[i]) != 0) return portable();
  }
  return tsc;
#else
  return portable();
#endif
}

std::size_t inversions(const std::function<std::uint64_t()>& clock_a,
                       const std::function<std::uint64_t()>& clock_b,
                       std::size_t hand_offs,
                       int cpu_a,
                       int cpu_b) {
  std::atomic<std::uint64_t> turn{0};
  std::uint64_t stamp = 0;
  std::size_t wrong_a = 0;
  std::size_t wrong_b = 0;
  std::thread a([&] {
    run_on(cpu_a);
    wrong_a = side(turn, stamp).play(clock_a, 0, hand_offs);
  });
  std::thread b([&] {
    run_on(cpu_b);
    wrong_b = side(turn, stamp).play(clock_b, 1, hand_offs);
  });
  a.join();
  b.join();
  return wrong_a + wrong_b;
}

}  // namespace ct::check
