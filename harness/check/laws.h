// SPDX-License-Identifier: BSD-2-Clause
/// What must hold when a run is over and every packet has left.
#pragma once

#include "harness/check/stamp.h"
#include "spec/ct_system.h"
#include "spec/event_ledger.h"
#include "workloads/run_plan.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace ct::check {

/// Hears all messages, in all netns; refuses while it is deaf.
///
/// It is called within confirms and kills, so it must not be where threads meet: a lock here would
/// order what they do, and hide what is looked for. Each thread writes what it hears into a lane of
/// its own, with a stamp; the messages of an entry come one after another, so that their stamps are
/// in order too. At rest the lanes are entered into the books.
class run_listener final : public listener {
 public:
  explicit run_listener(const stamp_clock& clock);

  bool deliver(const event_message& message) noexcept override {
    // relaxed: whoever is told a little later hears or not, as it comes.
    if (is_deaf_.load(std::memory_order_relaxed)) return false;
    if (message.has(event::new_)) born_here_ = message.entry.id;
    lane_of_thread().push_back({clock_.now(), message.entry.id, message.bits});
    return true;
  }

  /// Deaf, or not any more; true: it hears again, and what was refused can be told.
  bool turn() {
    // relaxed: as deliver(); of two that turn at once each turns it.
    bool was_deaf = is_deaf_.load(std::memory_order_relaxed);
    // relaxed: see above.
    while (!is_deaf_.compare_exchange_weak(was_deaf, !was_deaf, std::memory_order_relaxed)) {
    }
    return was_deaf;
  }
  /// Whose NEW this thread told last, since it asked last; 0: nobody's.
  static std::uint64_t take_born() { return std::exchange(born_here_, 0); }
  void recover() {
    is_deaf_.store(false, std::memory_order_relaxed);  // relaxed: as deliver()
  }
  /// At rest.
  const event_ledger& books();

 private:
  static inline thread_local std::uint64_t born_here_ = 0;
  struct heard {
    std::uint64_t stamp = 0;
    std::uint64_t id = 0;
    std::uint32_t bits = 0;
  };
  using lane = std::vector<heard>;

  /// Made when a thread hears its first message, which is the only time it meets others.
  lane& lane_of_thread();

  const stamp_clock clock_;
  std::atomic<bool> is_deaf_{false};
  const std::uint64_t serial_;  // of all listeners
  std::mutex mutex_;            // guards the list, not the lanes in it
  std::list<lane> lanes_;       // a thread's stays where it is
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
