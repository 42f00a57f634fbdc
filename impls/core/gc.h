// SPDX-License-Identifier: BSD-2-Clause
/// When gc_worker runs next, and where it goes on: today's adaptive schedule as a value.
///
/// A cycle is one pass over the table. During a cycle the average remaining lifetime of live
/// entries is followed, beginning with 100 imagined ones of a minute; the next cycle is due after
/// that average, between a second and a minute. A run stops early, with its position kept, after
/// more than 256 expired entries (next run one jiffy later, or at once in a cycle that lasts over a
/// minute), or when 10 ms have passed (next run at once). Source: gc_worker(),
/// net/netfilter/nf_conntrack_core.c, Linux 6.18 (same since 6.1).
#pragma once

#include "spec/jiffies.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace ct::core {

class gc_schedule {
 public:
  static constexpr std::int64_t interval_min = seconds(1);
  static constexpr std::int64_t interval_max = seconds(60);
  static constexpr std::int64_t lifetime_max = seconds(300);
  static constexpr std::int64_t initial_count = 100;
  static constexpr std::size_t expired_max = 64000 / hz;
  /// 10 ms, rounded up to whole jiffies.
  static constexpr std::uint32_t budget = (10 * hz + 999) / 1000;

  /// A run begins; returns the bucket to go on with.
  std::size_t begin_run(std::uint32_t now) {
    expired_ = 0;
    run_start_ = now;
    if (bucket_ == 0) {
      average_ = interval_max;
      count_ = initial_count;
      cycle_start_ = now;
    }
    return bucket_;
  }

  /// Asked before each entry: has this run reaped all that it may?
  bool is_exhausted() const { return expired_ > expired_max; }
  /// Asked after each bucket: is the time of this run over?
  bool is_late(std::uint32_t now) const { return jiffies_between(run_start_ + budget, now) > 0; }

  /// Would the next run begin a cycle?
  bool is_between_cycles() const { return bucket_ == 0; }

  void saw_expired() { ++expired_; }
  void saw_live(std::int32_t remaining) {
    const std::int64_t lifetime = std::clamp<std::int64_t>(remaining, interval_min, lifetime_max);
    ++count_;
    average_ += (lifetime - average_) / count_;
  }

  /// The three ways in which a run ends; each returns the jiffies until the next run.
  std::uint32_t end_exhausted(std::size_t bucket, std::uint32_t now) {
    bucket_ = bucket;
    return jiffies_between(cycle_start_, now) < interval_max ? 1 : 0;
  }
  std::uint32_t end_late(std::size_t next_bucket) {
    bucket_ = next_bucket;
    return 0;
  }
  std::uint32_t end_cycle(std::uint32_t now) {
    bucket_ = 0;
    const std::int64_t wait = std::clamp(average_, interval_min, interval_max);
    const std::int64_t elapsed = std::max(jiffies_between(cycle_start_, now), 1);
    return static_cast<std::uint32_t>(std::max<std::int64_t>(wait - elapsed, 1));
  }

  std::size_t expired() const { return expired_; }

 private:
  std::size_t bucket_ = 0;
  std::int64_t average_ = interval_max;
  std::int64_t count_ = initial_count;
  std::uint32_t cycle_start_ = 0;
  std::uint32_t run_start_ = 0;
  std::size_t expired_ = 0;
};

}  // namespace ct::core
