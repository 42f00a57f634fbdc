// SPDX-License-Identifier: BSD-2-Clause
/// Bodies of conntrack: time, gc_worker, and walks over the table.
#pragma once

#include "impls/core/conntrack.h"

namespace ct::core {

template <ct::table Table>
gc_report conntrack<Table>::run_gc(cpu_state& cpu) noexcept {
  gc_report report;
  std::size_t bucket = gc_.begin_run(now());
  // relaxed, here and below: a hint.
  const bool drops_early = early_drop_wanted_.load(std::memory_order_relaxed);
  const auto want = [&](nf_conn& ct, dir) noexcept {
    if (gc_.is_exhausted()) return scan_verdict::stop;
    ++report.entries;
    if (!ct.is_confirmed() || ct.has(status::dying)) return scan_verdict::next;
    // relaxed: as nf_conn::is_expired().
    const std::int32_t remaining =
        jiffies_between(now(), ct.timeout.load(std::memory_order_relaxed));
    if (remaining > 0) {
      gc_.saw_live(remaining);
      return drops_early ? scan_verdict::take : scan_verdict::next;
    }
    gc_.saw_expired();
    return scan_verdict::take;
  };
  const auto take = [&](nf_conn& ct, dir) noexcept {
    if (ct.is_confirmed() && ct.is_expired(now())) {
      mark(cpu.local, action::gc_visit, ct);
      mark(cpu.local, action::reap, ct);
      if (kill(cpu, ct)) ++report.reaped;
    } else if (drops_early && may_drop_early(ct)) {
      mark(cpu.local, action::gc_drop, ct);
      if (kill(cpu, ct)) {
        ++report.dropped;
        gc_.saw_expired();
      }
    }
    put(cpu, ct);
  };
  // bucket_count() is read anew each time: a resize may shrink the table below the saved position.
  for (; bucket < table_.bucket_count(); ++bucket) {
    ++report.buckets;
    if (!table_.scan(cpu.local, bucket, want, take)) {
      report.next_run = gc_.end_exhausted(bucket, now());
      // relaxed: see above. What a refusal allows is one run's; only one that follows at once goes
      // on with it.
      if (report.next_run != 0) early_drop_wanted_.store(false, std::memory_order_relaxed);
      return report;
    }
    if (gc_.is_late(now()) && bucket + 1 < table_.bucket_count()) {
      report.next_run = gc_.end_late(bucket + 1);
      return report;
    }
  }
  report.next_run = gc_.end_cycle(now());
  early_drop_wanted_.store(false, std::memory_order_relaxed);  // relaxed: see above
  return report;
}

/// While its netns is nearly full: what is not ASSURED, and what is ASSURED and closing. The limit
/// counts in whole hundreds: below 100 nothing goes.
/// Source: gc_worker_can_early_drop(), Linux 6.18.
template <ct::table Table>
bool conntrack<Table>::may_drop_early(const nf_conn& ct) const noexcept {
  const std::size_t max = global_.max_entries;
  // relaxed: a limit, not an order.
  const std::size_t count = ct.net->count.load(std::memory_order_relaxed);
  const std::size_t nearly_full = max / 100 * 95;
  if (!ct.is_confirmed() || ct.has(status::dying) || nearly_full == 0 || count < nearly_full) {
    return false;
  }
  if (!ct.has(status::assured)) return true;
  return find_l4proto(ct.tuple(dir::original).dst.protonum, l4protos_).can_early_drop(ct);
}

/// Source: nf_ct_iterate_cleanup(), Linux 6.18, which keeps resizes out by a mutex since 5.15.
template <ct::table Table>
template <class Chosen>
std::size_t conntrack<Table>::kill_if(cpu_state& cpu,
                                      Chosen&& chosen,
                                      action begins,
                                      netns_id in_net) noexcept {
  std::size_t killed = 0;
  table_.quiescent(cpu.local);  // a resize that holds the lock may wait for readers
  const std::lock_guard guard(walk_lock_);
  mark(cpu.local, begins, std::uint64_t{in_net});
  // The reply direction: a reply-only entry has no other.
  for_each(cpu, dir::reply, [&](nf_conn& ct) {
    mark(cpu.local, action::walk_visit, ct);
    const bool is_chosen = chosen(ct);
    if (!is_chosen) mark(cpu.local, action::spare, ct);
    killed += is_chosen && kill(cpu, ct) ? 1 : 0;
    mark(cpu.local, action::put, ct);  // for_each does it
  });
  mark(cpu.local, action::walk_end);
  return killed;
}

template <ct::table Table>
void conntrack<Table>::advance(cpu_state& cpu, std::uint64_t jiffies64) noexcept {
  const auto move_clock = [&](std::uint64_t to) {
    std::uint64_t old = clock_.load(std::memory_order_relaxed);  // relaxed: time orders nothing
    mark(cpu.local, action::tick, to);
    // relaxed: as above; the exchange only keeps the clock from going back.
    while (old < to && !clock_.compare_exchange_weak(old, to, std::memory_order_relaxed)) {
    }
  };
  // relaxed: a stale due time costs one look more or less.
  if (gc_due_.load(std::memory_order_relaxed) <= jiffies64) {
    const std::unique_lock guard(gc_lock_, std::try_to_lock);
    if (guard.owns_lock()) run_due_gc(cpu, jiffies64, move_clock);
  }
  run_due_redelivery(cpu, jiffies64, move_clock);
  move_clock(jiffies64);
  expects_.run_timers(now(), *cpu.stat);
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
    run_due_redelivery(cpu, due, move_clock);
    move_clock(due);
    due += run_gc(cpu).next_run;
  }
  gc_due_.store(due, std::memory_order_relaxed);  // relaxed: see above
}

/// Source: nf_conntrack_cleanup_net_list(), Linux 6.18, which repeats the pass without end; here
/// the caller repeats it, and learns who is to blame.
template <ct::table Table>
std::vector<netns_holder> conntrack<Table>::exit_netns(cpu_state& cpu, netns_id id) {
  defrag_.forget(id);
  netns& leaving = net(id);
  leaving.is_exiting.store(true, std::memory_order_relaxed);  // relaxed: see reserve()
  silence(cpu, leaving);
  kill_if(
      cpu,
      [&](const nf_conn& ct) { return ct.net == &leaving; },
      action::exit_begin,
      id);
  std::vector<netns_holder> holders;
  // acquire: pairs with the release in destroy(): what is not counted is freed.
  if (leaving.count.load(std::memory_order_acquire) == 0) {
    leaving.policy = defaults_;
    leaving.gre_keys.clear();
    leaving.is_exiting.store(false, std::memory_order_relaxed);  // relaxed: see reserve()
    mark(cpu.local, action::exit_end, std::uint64_t{id});
    return holders;
  }
  for (const netns::cpu_lists& of_cpu : leaving.lists) {
    const auto add = [&holders](std::string_view where) {
      return [&holders, where](const nf_conn& ct) {
        // relaxed: a report.
        const std::uint32_t use = ct.use.load(std::memory_order_relaxed);
        holders.push_back({.conn_id = ct.id, .use = use, .where = where});
      };
    };
    of_cpu.unconfirmed.for_each(add("unconfirmed"));
    of_cpu.dying.for_each(add("dying"));
  }
  // Counted and on no list: on its way from one to another.
  if (holders.empty()) holders.push_back({.conn_id = 0, .use = 0, .where = "in flight"});
  return holders;
}

template <ct::table Table>
template <class Visit>
void conntrack<Table>::for_each(cpu_state& cpu, dir wanted, Visit&& visit) noexcept {
  const auto want = [wanted](nf_conn& ct, dir d) noexcept {
    return d == wanted && ct.is_confirmed() ? scan_verdict::take : scan_verdict::next;
  };
  const auto take = [&](nf_conn& ct, dir) noexcept {
    if (ct.is_confirmed()) visit(ct);
    unref(cpu, ct);
  };
  for (std::size_t bucket = 0; bucket < table_.bucket_count(); ++bucket) {
    table_.scan(cpu.local, bucket, want, take);
  }
}

}  // namespace ct::core
