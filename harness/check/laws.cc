// SPDX-License-Identifier: BSD-2-Clause
/// See harness/check/laws.h.
#include "harness/check/laws.h"

#include "spec/jiffies.h"

#include <algorithm>
#include <atomic>
#include <fmt/format.h>
#include <memory>
#include <vector>

namespace ct::check {
namespace {

using workloads::run_step;

/// Runs of gc_worker, or of the redelivery worker, that anything may take.
constexpr std::size_t runs_max = 1U << 20;

std::uint64_t next_serial() {
  static std::atomic<std::uint64_t> last{0};
  // relaxed: a number of its own is all that is asked.
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

std::vector<std::uint64_t> ids_in_table(ct_system& system, cpu& on) {
  std::vector<std::uint64_t> ids;
  system.dump(on, [&](const conn& c) { ids.push_back(c.id); });
  return ids;
}

/// Tells what was refused, until nothing is left to be told.
void tell_again(cpu& on, const workloads::run_plan& plan) {
  for (std::size_t run = 0; run < runs_max; ++run) {
    std::size_t told = 0;
    for (std::uint32_t net = 0; net < plan.netns; ++net) {
      told += on.redeliver(static_cast<netns_id>(net)).delivered;
    }
    if (told == 0) return;
  }
}

}  // namespace

run_listener::run_listener(const stamp_clock& clock) : clock_(clock), serial_(next_serial()) {}

run_listener::lane& run_listener::lane_of_thread() {
  // By number and not by address, at which another listener may have been before.
  struct known {
    std::uint64_t serial = 0;
    lane* of_thread = nullptr;
  };
  thread_local known last;
  if (last.serial != serial_) {
    const std::lock_guard hold(mutex_);
    last = {.serial = serial_, .of_thread = &lanes_.emplace_back()};
  }
  return *last.of_thread;
}

const event_ledger& run_listener::books() {
  const std::lock_guard hold(mutex_);
  lane all;
  for (lane& one : lanes_) {
    all.insert(all.end(), one.begin(), one.end());
    lane().swap(one);  // gives its room back, which clear() keeps
  }
  std::ranges::stable_sort(all, {}, &heard::stamp);
  event_message message;
  for (const heard& one : all) {
    message.bits = one.bits;
    message.entry.id = one.id;
    books_.add(message);
  }
  return books_;
}

std::size_t pass_of_gc(const ct_system& system, cpu& on) {
  constexpr std::size_t run_most = 256;  // a run that removed more ended early
  std::size_t removed = 0;
  for (std::size_t run = 0; run < runs_max; ++run) {
    const std::size_t buckets = system.buckets();
    const gc_report report = on.gc_worker();
    removed += report.reaped + report.dropped;
    const bool is_whole = report.buckets >= std::max(buckets, system.buckets());
    if (is_whole && report.reaped + report.dropped < run_most) break;
  }
  return removed;
}

std::string law_broken_at_rest(ct_system& system,
                               const workloads::run_plan& plan,
                               run_listener& heard) {
  const std::unique_ptr<cpu> on = system.attach();
  heard.recover();
  tell_again(*on, plan);
  if (const std::string broken = system.broken_invariant(*on); !broken.empty()) return broken;
  // Nobody listens to a netns that exits.
  const bool is_told_all = !plan.has(run_step::exit);
  if (is_told_all && !heard.books().finding().empty()) return heard.books().finding();
  // What has expired is in the table, and no walk shows it: it goes first.
  (void)pass_of_gc(system, *on);
  // The reply-only entry of a clash is silent; a NEW that was refused waits for the next message.
  if (is_told_all && !plan.has(run_step::nat) && !plan.has(run_step::stall)) {
    const std::string wrong = heard.books().compare(ids_in_table(system, *on));
    if (!wrong.empty()) return wrong;
  }
  on->advance(system.jiffies64() + seconds(plan.timeout + 1));
  (void)pass_of_gc(system, *on);
  tell_again(*on, plan);
  on->quiescent();
  if (const std::size_t left = ids_in_table(system, *on).size(); left != 0) {
    return fmt::format("{} entries are in the table after all have expired", left);
  }
  if (const std::size_t left = system.count(); left != 0) {
    return fmt::format("nf_conntrack_count is {} in an empty table: somebody holds an entry", left);
  }
  if (is_told_all && heard.books().alive() != 0) {
    return fmt::format("{} entries are gone, and their DESTROY was never told",
                       heard.books().alive());
  }
  return system.broken_invariant(*on);
}

}  // namespace ct::check
