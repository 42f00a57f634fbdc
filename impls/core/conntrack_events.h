// SPDX-License-Identifier: BSD-2-Clause
/// Bodies of conntrack: destroy events that were refused, and the worker that tells them again.
///
/// The entry of a refused destroy event is unlinked like any other, but keeps the table's reference
/// on its netns' list of undelivered ones: out of the table, still counted, so that
/// nf_conntrack_max bounds the memory. The worker runs a second after the first refusal, then every
/// 10 ms while the listener refuses; a destroy event that goes through meanwhile makes it due at
/// once.
///
/// Differences to the kernel: a run goes on until its 10 ms are over; Linux 6.18 has that test
/// upside down (fixed in 7.1.5) and begins anew after each entry. Under a clock that stands still
/// a run ends only with the list or a refusal.
/// Source: ecache_work_evict_list(), nf_conntrack_ecache_work(), Linux 6.18.
#pragma once

#include "impls/core/conntrack.h"

namespace ct::core {

/// What a change on request is told as, whatever it changed; ctnetlink_new_conntrack(), Linux 6.18.
inline constexpr std::uint32_t events_of_update =
    bit(event::assured) | bit(event::helper) | bit(event::label) | bit(event::protoinfo) |
    bit(event::seqadj) | bit(event::mark) | bit(event::synproxy);

template <ct::table Table>
bool conntrack<Table>::announce_destroy(nf_conn& ct) noexcept {
  event_channel& events = ct.net->events;
  if (!events.destroy(ct, now())) return false;
  // relaxed: a hint; the worker comes in any case.
  if (destroy_waiting_.load(std::memory_order_relaxed) != 0) events.kick(jiffies64());
  return true;
}

template <ct::table Table>
void conntrack<Table>::await_redelivery(nf_conn& ct) noexcept {
  // relaxed: a number; the list that it counts has a lock.
  destroy_waiting_.fetch_add(1, std::memory_order_relaxed);
  ct.net->events.park(ct, jiffies64());
}

/// One run: everything that waits, in bursts, until the listener refuses or the time is over.
template <ct::table Table>
redelivery_report conntrack<Table>::run_redelivery(cpu_state& cpu, netns& in_net) noexcept {
  constexpr std::size_t burst_max = 17;
  event_channel& events = in_net.events;
  const std::uint64_t begin = jiffies64();
  redelivery_report report;
  events.set_due(event_channel::never);
  std::array<nf_conn*, burst_max> burst{};
  while (const std::size_t count = events.undelivered().pop(burst)) {
    std::size_t told = 0;
    while (told < count && events.destroy(*burst[told], now())) ++told;
    for (std::size_t i = count; i > told; --i) events.undelivered().add(*burst[i - 1]);
    // relaxed: as in await_redelivery().
    destroy_waiting_.fetch_sub(told, std::memory_order_relaxed);
    for (std::size_t i = 0; i < told; ++i) {
      in_net.lists[cpu.index].dying.add(*burst[i]);
      mark(cpu.local, action::redeliver, *burst[i]);
      unref(cpu, *burst[i]);  // the table's reference
    }
    report.delivered += told;
    report.is_congested = told < count;
    if (report.is_congested) {
      events.set_due(jiffies64() + event_channel::retry_delay);
      break;
    }
    if (jiffies64() > begin + event_channel::budget) {
      events.set_due(jiffies64());
      break;
    }
  }
  report.waiting = events.undelivered().size();
  return report;
}

/// Every run that falls due until `jiffies64`, at its own time. Where the clock leaps, the retries
/// before its last two minutes are left out, as those of gc_worker are.
template <ct::table Table>
template <class MoveClock>
void conntrack<Table>::run_due_redelivery(cpu_state& cpu,
                                          std::uint64_t jiffies64,
                                          MoveClock&& move_clock) noexcept {
  constexpr std::uint64_t leap = seconds(120);
  // relaxed: who parks an entry in this moment is served by the next advance.
  while (destroy_waiting_.load(std::memory_order_relaxed) != 0) {
    const std::unique_lock guard(redelivery_lock_, std::try_to_lock);
    if (!guard.owns_lock()) return;
    netns* next = nullptr;
    // relaxed: as in for_each_netns().
    const std::size_t end = nets_end_.load(std::memory_order_relaxed);
    for (std::size_t id = 0; id < end; ++id) {
      // acquire: pairs with the exchange in net().
      netns* const n = nets_[id].load(std::memory_order_acquire);
      if (n != nullptr && (next == nullptr || n->events.due() < next->events.due())) next = n;
    }
    std::uint64_t due = next->events.due();
    if (due > jiffies64) return;
    if (jiffies64 - due > leap) due = jiffies64 - leap;
    move_clock(due);
    run_redelivery(cpu, *next);
  }
}

template <ct::table Table>
void conntrack<Table>::silence(cpu_state& cpu, netns& leaving) noexcept {
  leaving.events.listen(nullptr, 0);
  redeliver(cpu, leaving);
}

template <ct::table Table>
event_stat conntrack<Table>::event_statistics() const noexcept {
  event_stat sum;
  for_each_netns([&](const netns& n) { n.events.add_to(sum); });
  // relaxed: a statistic.
  sum.destroy_waiting = destroy_waiting_.load(std::memory_order_relaxed);
  return sum;
}

}  // namespace ct::core
