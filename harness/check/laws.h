// SPDX-License-Identifier: BSD-2-Clause
/// What must hold when a run is over and every packet has left.
#pragma once

#include "spec/ct_system.h"
#include "spec/event_ledger.h"
#include "workloads/run_plan.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>

namespace ct::check {

/// Keeps the books of all messages, in all netns; refuses while it is deaf.
class run_listener final : public listener {
 public:
  bool deliver(const event_message& message) noexcept override {
    // relaxed: whoever is told a little later hears or not, as it comes.
    if (is_deaf_.load(std::memory_order_relaxed)) return false;
    if (message.has(event::new_)) born_here_ = message.entry.id;
    const std::lock_guard hold(mutex_);
    books_.add(message);
    return true;
  }

  /// Deaf, or not any more; true: it hears again, and what was refused can be told.
  bool turn() {
    const std::lock_guard hold(mutex_);
    const bool was_deaf = is_deaf_.load(std::memory_order_relaxed);  // relaxed: under the lock
    is_deaf_.store(!was_deaf, std::memory_order_relaxed);            // relaxed: as deliver()
    return was_deaf;
  }
  /// Whose NEW this thread told last, since it asked last; 0: nobody's.
  static std::uint64_t take_born() { return std::exchange(born_here_, 0); }
  void recover() {
    is_deaf_.store(false, std::memory_order_relaxed);  // relaxed: as deliver()
  }
  /// At rest.
  const event_ledger& books() const { return books_; }

 private:
  static inline thread_local std::uint64_t born_here_ = 0;
  std::atomic<bool> is_deaf_{false};
  std::mutex mutex_;  // guards the books
  event_ledger books_;
};

/// Runs of gc_worker until one has gone from the first bucket to the last; how many entries they
/// removed.
std::size_t pass_of_gc(const ct_system& system, cpu& on);

/// No packet is in flight, and nobody else uses the system. Empties it. Empty: every law holds;
/// else one line: which does not.
std::string law_broken_at_rest(ct_system& system,
                               const workloads::run_plan& plan,
                               run_listener& heard);

}  // namespace ct::check
