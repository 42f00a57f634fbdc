// SPDX-License-Identifier: BSD-2-Clause
/// Bodies of conntrack: time, gc_worker, and walks over the table.
#pragma once

#include "impls/core/conntrack.h"

namespace ct::core {

template <ct::table Table>
gc_report conntrack<Table>::run_gc(cpu_state& cpu) noexcept {
  gc_report report;
  std::size_t bucket = gc_.begin_run(now());
  const auto want = [&](nf_conn& ct, dir) noexcept {
    if (gc_.is_exhausted()) return scan_verdict::stop;
    ++report.entries;
    if (!ct.is_confirmed() || ct.has(status::dying)) return scan_verdict::next;
    // relaxed: as nf_conn::is_expired().
    const std::int32_t remaining =
        jiffies_between(now(), ct.timeout.load(std::memory_order_relaxed));
    if (remaining > 0) {
      gc_.saw_live(remaining);
      return scan_verdict::next;
    }
    gc_.saw_expired();
    return scan_verdict::take;
  };
  const auto take = [&](nf_conn& ct, dir) noexcept {
    if (ct.is_confirmed() && ct.is_expired(now()) && kill(cpu, ct)) ++report.reaped;
    put(cpu, ct);
  };
  // bucket_count() is read anew each time: a resize may shrink the table below the saved position.
  for (; bucket < table_.bucket_count(); ++bucket) {
    ++report.buckets;
    if (!table_.scan(cpu.local, bucket, want, take)) {
      report.next_run = gc_.end_exhausted(bucket, now());
      return report;
    }
    if (gc_.is_late(now()) && bucket + 1 < table_.bucket_count()) {
      report.next_run = gc_.end_late(bucket + 1);
      return report;
    }
  }
  report.next_run = gc_.end_cycle(now());
  return report;
}

template <ct::table Table>
void conntrack<Table>::advance(cpu_state& cpu, std::uint64_t jiffies64) noexcept {
  const auto move_clock = [&](std::uint64_t to) {
    std::uint64_t old = clock_.load(std::memory_order_relaxed);  // relaxed: time orders nothing
    // relaxed: as above; the exchange only keeps the clock from going back.
    while (old < to && !clock_.compare_exchange_weak(old, to, std::memory_order_relaxed)) {
    }
  };
  // relaxed: a stale due time costs one look more or less.
  if (gc_due_.load(std::memory_order_relaxed) <= jiffies64) {
    const std::unique_lock guard(gc_lock_, std::try_to_lock);
    // relaxed: written under the lock only.
    for (std::uint64_t due; guard.owns_lock() &&
                            (due = gc_due_.load(std::memory_order_relaxed)) <= jiffies64;) {
      if (total_count() == 0) {
        // Nothing to collect, and a capture may jump by years: the next run is a minute from now.
        gc_due_.store(jiffies64 + seconds(60), std::memory_order_relaxed);  // relaxed: under the lock
        break;
      }
      move_clock(due);
      // relaxed: under the lock
      gc_due_.store(due + run_gc(cpu).next_run, std::memory_order_relaxed);
    }
  }
  move_clock(jiffies64);
}

template <ct::table Table>
std::size_t conntrack<Table>::total_count() const noexcept {
  std::size_t total = 0;
  // relaxed: a count that may be old the moment it is read.
  for_each_netns([&](const netns& n) { total += n.count.load(std::memory_order_relaxed); });
  return total;
}

template <ct::table Table>
template <class Visit>
void conntrack<Table>::for_each(cpu_state& cpu, dir wanted, Visit&& visit) noexcept {
  const auto want = [wanted](nf_conn& ct, dir d) noexcept {
    return d == wanted && ct.is_confirmed() ? scan_verdict::take : scan_verdict::next;
  };
  const auto take = [&](nf_conn& ct, dir) noexcept {
    if (ct.is_confirmed()) visit(ct);
    put(cpu, ct);
  };
  for (std::size_t bucket = 0; bucket < table_.bucket_count(); ++bucket) {
    table_.scan(cpu.local, bucket, want, take);
  }
}

}  // namespace ct::core
