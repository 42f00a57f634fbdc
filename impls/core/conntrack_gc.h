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
    if (guard.owns_lock()) run_due_gc(cpu, jiffies64, move_clock);
  }
  move_clock(jiffies64);
}

/// Every run that fell due until `jiffies64`, at its own time. Where the clock leaps, the passes
/// that would have come before its last two minutes are left out: no packet came between, so the
/// later ones free the same entries.
template <ct::table Table>
template <class MoveClock>
void conntrack<Table>::run_due_gc(cpu_state& cpu,
                                  std::uint64_t jiffies64,
                                  MoveClock&& move_clock) noexcept {
  constexpr std::uint64_t leap = seconds(120);
  // relaxed, here and below: written under gc_lock_ only.
  std::uint64_t due = gc_due_.load(std::memory_order_relaxed);
  while (due <= jiffies64) {
    if (gc_.is_between_cycles() && jiffies64 - due > leap) due = jiffies64 - leap;
    move_clock(due);
    due += run_gc(cpu).next_run;
  }
  gc_due_.store(due, std::memory_order_relaxed);  // relaxed: see above
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
