// SPDX-License-Identifier: BSD-2-Clause
/// The signal handler, which only counts.
#include "harness/cli/interrupt.h"

#include <array>
#include <atomic>
#include <csignal>

namespace ct::harness {
namespace {

std::atomic<bool> is_interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may touch it");

constexpr std::array<int, 2> signals = {SIGINT, SIGTERM};

void on_signal(int) {
  // relaxed: a flag that is polled; nothing is ordered by it.
  is_interrupted.store(true, std::memory_order_relaxed);
}

}  // namespace

interrupt_listener::interrupt_listener() {
  // relaxed: see on_signal().
  is_interrupted.store(false, std::memory_order_relaxed);
  struct sigaction action {};
  action.sa_handler = on_signal;
  // No SA_RESTART: a read that waits for a pipe must end. The next signal finds the default again.
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int number : signals) sigaction(number, &action, nullptr);
}

interrupt_listener::~interrupt_listener() {
  for (const int number : signals) std::signal(number, SIG_DFL);
}

bool interrupt_listener::was_interrupted() const {
  // relaxed: see on_signal().
  return is_interrupted.load(std::memory_order_relaxed);
}

}  // namespace ct::harness
