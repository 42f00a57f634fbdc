// SPDX-License-Identifier: BSD-2-Clause
/// The run of one flood, and its laws.
#include "harness/flood/flood.h"

#include <algorithm>
#include <fmt/format.h>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace ct::harness {
namespace {

using workloads::flood_batch;
using workloads::flood_packet;
using workloads::flood_step;

/// Longer than any entry lives: five days of ESTABLISHED, as long again, and the fourth part.
constexpr std::uint64_t drain_jiffies = std::uint64_t{seconds(432'000)} * 9 / 4;
/// Runs of gc_worker that the rest may take; it reaps 256 entries a run at least.
constexpr int gc_runs_max = 1 << 16;

ctinfo expected_info(flood_step step) {
  switch (step) {
    case flood_step::syn:
      return ctinfo::new_;
    case flood_step::syn_ack:
    case flood_step::answer:
    case flood_step::server_fin:
      return ctinfo::established_reply;
    case flood_step::ack:
    case flood_step::request:
    case flood_step::client_fin:
    case flood_step::last_ack:
      break;
  }
  return ctinfo::established;
}

/// nf_conntrack_max as it is in force: a sysctl that the system was made with comes after the
/// option.
std::uint64_t limit_of(ct_system& system, const system_options& options) {
  const std::vector<sysctl> all = system.sysctls(0);
  const auto at = std::ranges::find(all, "nf_conntrack_max", &sysctl::name);
  return at == all.end() ? options.max_entries : at->value;
}

/// The shortest time after which an entry of this traffic can expire.
std::uint64_t first_expiry_jiffies(ct_system& system) {
  constexpr std::string_view prefix = "nf_conntrack_tcp_timeout_";
  constexpr std::string_view after_rst = "nf_conntrack_tcp_timeout_close";
  std::uint64_t shortest = 432'000;
  for (const sysctl& one : system.sysctls(0)) {
    if (one.name.starts_with(prefix) && one.name != after_rst) {
      shortest = std::min(shortest, one.value);
    }
  }
  return shortest * hz;
}

/// One implementation under its flood. Members in this order: the cpu must be gone before its
/// system.
class flooded {
 public:
  flooded(const impl& which,
          const system_options& options,
          const workloads::syn_flood_options& traffic)
      : system_(which.make(options)),
        on_(system_->attach()),
        source_(traffic),
        max_entries_(limit_of(*system_, options)),
        agreed_until_(first_expiry_jiffies(*system_)) {
    row_.impl = which.name;
    row_.early_drop = options.early_drop;
    if (traffic.step_jiffies + 1 >= agreed_until_) {
      throw std::invalid_argument(
          fmt::format("flood: entries expire after {} s, before the next packet of a connection; "
                      "shorten the round trip or prolong nf_conntrack_tcp_timeout_*",
                      agreed_until_ / hz));
    }
  }

  flood_row run(const flood_hooks& hooks) {
    for (flood_batch batch = source_.next(); !batch.packets.empty(); batch = source_.next()) {
      pass(batch);
      if (hooks.progress) hooks.progress(row_.attempts.tried);
      row_.was_stopped = hooks.should_stop && hooks.should_stop();
      if (row_.was_stopped) break;
    }
    // Who was interrupted has neither failed nor got through.
    row_.attempts.tried -= ids_.size();
    expect_counters();
    drain();
    return std::move(row_);
  }

 private:
  void pass(const flood_batch& batch) {
    packets_.assign(batch.packets.begin(), batch.packets.end());
    on_->pass(packets_);
    row_.packets += packets_.size();
    std::uint64_t digest = row_.digest;
    bool is_any_dropped = false;
    for (std::size_t i = 0; i < packets_.size(); ++i) {
      const skb& s = packets_[i];
      const bool is_dropped = s.verdict == verdict::drop;
      row_.packets_dropped += is_dropped ? 1 : 0;
      is_any_dropped = is_any_dropped || is_dropped;
      const std::uint64_t outcome =
          s.conn_id << 8 | static_cast<std::uint64_t>(s.info) << 1 | (is_dropped ? 1 : 0);
      digest = random_source(digest ^ outcome).next();
      if (batch.about[i].connection != flood_packet::nobody) judge(batch.about[i], s);
    }
    const std::uint64_t elapsed = batch.jiffies64 - source_.options().begin + 1;
    watch_for_full(elapsed, is_any_dropped);
    if (is_agreed(elapsed)) {
      row_.digest = digest;
      row_.agreed_jiffies = elapsed;
    }
    const std::size_t count = system_->count();
    row_.count_peak = std::max(row_.count_peak, count);
    if (max_entries_ != 0 && count > max_entries_) {
      broken(fmt::format("{} entries after {} jiffies, though nf_conntrack_max is {}",
                         count,
                         elapsed,
                         max_entries_));
    }
  }

  void watch_for_full(std::uint64_t elapsed, bool is_any_dropped) {
    if (row_.full_at_jiffies != 0) return;
    if (is_any_dropped || total().early_drop != 0) row_.full_at_jiffies = elapsed;
  }
  /// Must this jiffy's outcomes be the same in every implementation?
  bool is_agreed(std::uint64_t elapsed) const {
    return elapsed < agreed_until_ && (row_.full_at_jiffies == 0 || !row_.early_drop);
  }

  void judge(const flood_packet& about, const skb& s) {
    flood_attempts& attempts = row_.attempts;
    const bool is_first = about.step == flood_step::syn;
    const bool is_right = s.verdict == verdict::accept && s.conn_id != 0 &&
                          s.info == expected_info(about.step) &&
                          (is_first || s.conn_id == ids_[about.connection]);
    attempts.tried += is_first ? 1 : 0;
    if (is_right) {
      if (is_first) ids_[about.connection] = s.conn_id;
      if (about.step != flood_step::last_ack) return;
      ++attempts.succeeded;
      ids_.erase(about.connection);
      return;
    }
    ids_.erase(about.connection);
    if (about.step != flood_step::last_ack) source_.give_up(about.connection);
    if (is_first) {
      ++attempts.refused;
      return;
    }
    if (!row_.early_drop) {
      broken(fmt::format("without early drop, the entry of connection {} is gone: {}",
                         about.connection,
                         name(s.info)));
    }
    if (about.step <= flood_step::ack) {
      ++attempts.lost_opening;
    } else if (about.step <= flood_step::client_fin) {
      ++attempts.lost_assured;
      broken(fmt::format("the ASSURED entry of connection {} is gone: its packet is {}",
                         about.connection,
                         name(s.info)));
    } else {
      ++attempts.lost_closing;
    }
  }

  void expect_counters() {
    row_.statistics = total();
    const ip_conntrack_stat& stat = row_.statistics;
    if (row_.packets_dropped != stat.drop + stat.chaintoolong) {
      broken(fmt::format("{} packets were dropped, the counters say {} and {} of long chains",
                         row_.packets_dropped,
                         stat.drop,
                         stat.chaintoolong));
    }
    if (!row_.early_drop && stat.early_drop != 0) {
      broken(fmt::format("early_drop is {} without early drop", stat.early_drop));
    }
  }

  void drain() {
    on_->advance(system_->jiffies64() + drain_jiffies);
    for (int run = 0; run < gc_runs_max && system_->count() != 0; ++run) {
      const gc_report report = on_->gc_worker();
      if (report.reaped == 0 && report.next_run != 0) break;
    }
    row_.count_left = system_->count();
    if (row_.count_left != 0) {
      broken(fmt::format("{} entries are left when everything has expired", row_.count_left));
    }
    const std::string at_rest = system_->broken_invariant(*on_);
    if (!at_rest.empty()) broken("at rest: " + at_rest);
  }

  ip_conntrack_stat total() const {
    ip_conntrack_stat sum;
    for (const ip_conntrack_stat& of_cpu : system_->statistics()) sum += of_cpu;
    return sum;
  }
  void broken(std::string law) {
    if (row_.broken.empty()) row_.broken = std::move(law);
  }

  std::unique_ptr<ct_system> system_;
  std::unique_ptr<cpu> on_;
  workloads::syn_flood source_;
  const std::uint64_t max_entries_;                       // 0: no limit
  const std::uint64_t agreed_until_;                      // jiffies since the begin
  std::unordered_map<std::uint64_t, std::uint64_t> ids_;  // [connection]: of its entry, while open
  std::vector<skb> packets_;
  flood_row row_;
};

}  // namespace

flood_row flood(const impl& which,
                const system_options& system,
                const workloads::syn_flood_options& traffic,
                const flood_hooks& hooks) {
  return flooded(which, system, traffic).run(hooks);
}

/// Where a chain was too long somewhere, nothing is demanded: chains are the table's own.
void compare(std::span<flood_row> rows) {
  const auto has_long_chains = [](const flood_row& r) { return r.statistics.chaintoolong != 0; };
  if (std::ranges::any_of(rows, has_long_chains)) return;
  for (flood_row& mine : rows) {
    const flood_row& first = *std::ranges::find(rows, mine.early_drop, &flood_row::early_drop);
    if (mine.was_stopped || first.was_stopped) continue;
    if (mine.agreed_jiffies != first.agreed_jiffies) {
      mine.differs = fmt::format("full after {} jiffies ({}: {})",
                                 mine.full_at_jiffies,
                                 first.impl,
                                 first.full_at_jiffies);
    } else if (mine.digest != first.digest) {
      mine.differs =
          fmt::format("another outcome than {} before the table's own order matters", first.impl);
    }
  }
}

}  // namespace ct::harness
