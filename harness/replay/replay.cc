// SPDX-License-Identifier: BSD-2-Clause
/// The lockstep itself, and the words for the first difference.
#include "harness/replay/replay.h"

#include "harness/format/conntrack.h"
#include "harness/replay/event_comparison.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <memory>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace ct::harness {
namespace {

/// Runs of gc_worker after which whatever is left is taken as it is; a run that meets its budget
/// goes on in the next one, and a table of 64k buckets needs few.
constexpr int gc_runs_max = 256;

/// Ids that were seen, a bit each: ids that lie close together cost about a byte, scattered ones
/// fifty.
class id_set {
 public:
  /// True if `id` is new.
  bool insert(std::uint64_t id) {
    std::uint64_t& block = blocks_[id / 64];
    const std::uint64_t bit = std::uint64_t{1} << id % 64;
    const bool is_new = (block & bit) == 0;
    block |= bit;
    return is_new;
  }

 private:
  std::unordered_map<std::uint64_t, std::uint64_t> blocks_;
};

/// An implementation at work. Members in this order: the cpu must be gone before its system, both
/// before the listener.
struct contestant {
  const impl* which = nullptr;
  std::unique_ptr<event_recorder> events;  ///< nullptr: nobody listens
  event_comparison compared_events;
  std::unique_ptr<ct_system> system;
  std::unique_ptr<cpu> on;
  std::vector<skb> packets;
  replay_row row;
  bool is_compared = false;

  bool is_running() const { return row.difference.empty(); }

  void pass(std::span<const skb> given) {
    packets.assign(given.begin(), given.end());
    const auto begin = std::chrono::steady_clock::now();
    on->pass(packets);
    row.pass_s += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    on->quiescent();
    row.packets += packets.size();
  }

  void disagrees(std::string difference) {
    row.agrees = false;
    row.difference = std::move(difference);
  }
};

std::string_view name_of(verdict v) {
  if (v == verdict::stolen) return "stolen";
  return v == verdict::accept ? "accept" : "drop";
}

/// What of one packet differs, as "ctinfo NEW (locked_map: ESTABLISHED), ...".
std::string packet_difference(const skb& mine, const skb& reference, std::string_view name) {
  std::vector<std::string> parts;
  const auto add = [&](std::string_view what, const auto& a, const auto& b) {
    if (a != b) parts.push_back(fmt::format("{} {} ({}: {})", what, a, name, b));
  };
  add("ctinfo", ct::name(mine.info), ct::name(reference.info));
  add("verdict", name_of(mine.verdict), name_of(reference.verdict));
  add("connection", mine.conn_id, reference.conn_id);
  return fmt::format("{}", fmt::join(parts, ", "));
}

bool differs(const skb& a, const skb& b) {
  return a.info != b.info || a.verdict != b.verdict || a.conn_id != b.conn_id;
}

void compare_batch(contestant& mine,
                   const contestant& reference,
                   const workloads::played_batch& batch,
                   const workloads::playback& player) {
  for (std::size_t i = 0; i < mine.packets.size(); ++i) {
    if (!differs(mine.packets[i], reference.packets[i])) continue;
    mine.disagrees(
        fmt::format("packet {} of {}: {}",
                    batch.first_packet + i,
                    player.shown(batch.capture_index),
                    packet_difference(mine.packets[i], reference.packets[i], reference.row.impl)));
    return;
  }
}

std::vector<conn> dump_of(contestant& from) {
  std::vector<conn> entries;
  from.system->dump(*from.on, [&entries](const conn& entry) { entries.push_back(entry); });
  std::ranges::sort(entries, is_printed_before);
  return entries;
}

/// A dump line with all that is compared, also what `conntrack -L` rounds or leaves out.
std::string full_line(const conn& entry) {
  std::string line =
      fmt::format("\"{}\" status=0x{:x} jiffies={} net={}",
                  conntrack_line(entry, {.acct = true, .extended = true, .id = true}),
                  entry.status,
                  entry.timeout_jiffies,
                  entry.net);
  if (entry.start_ns != 0) line += fmt::format(" start_ns={}", entry.start_ns);
  if (entry.labels != labels{}) {
    line += fmt::format(" labels={:x}", fmt::join(entry.labels, ":"));
  }
  if (entry.master_id != 0) line += fmt::format(" master={}", entry.master_id);
  return line;
}

bool is_same(const conn& a, const conn& b) {
  const auto all = [](const conn& c) {
    return std::tie(c.id,
                    c.tuples,
                    c.status,
                    c.timeout_jiffies,
                    c.use,
                    c.mark,
                    c.net,
                    c.zone,
                    c.tcp,
                    c.sctp,
                    c.dccp,
                    c.packets,
                    c.bytes,
                    c.start_ns,
                    c.labels,
                    c.master_id,
                    c.helper);
  };
  return all(a) == all(b);
}

/// The first entry that only one dump has, or that they show differently; empty if there is none.
std::string dump_difference(std::span<const conn> mine,
                            std::span<const conn> reference,
                            std::string_view name) {
  const std::size_t both = std::min(mine.size(), reference.size());
  for (std::size_t i = 0; i < both; ++i) {
    if (is_same(mine[i], reference[i])) continue;
    const std::string a = full_line(mine[i]);
    const std::string b = full_line(reference[i]);
    if (is_printed_before(mine[i], reference[i])) {
      return fmt::format("dump: shows {}, which {} does not", a, name);
    }
    if (is_printed_before(reference[i], mine[i])) {
      return fmt::format("dump: lacks {}, which {} shows", b, name);
    }
    return fmt::format("dump: shows {}, {} shows {}", a, name, b);
  }
  if (mine.size() > both) {
    return fmt::format("dump: shows {}, which {} does not", full_line(mine[both]), name);
  }
  if (reference.size() > both) {
    return fmt::format("dump: lacks {}, which {} shows", full_line(reference[both]), name);
  }
  return {};
}

std::vector<expect> expectations_of(const contestant& from) {
  std::vector<expect> all = from.system->expectations();
  std::ranges::sort(all);
  return all;
}

std::string expectations_difference(std::span<const expect> mine,
                                    std::span<const expect> reference,
                                    std::string_view name) {
  const auto [a, b] = std::ranges::mismatch(mine, reference);
  if (a == mine.end() && b == reference.end()) return {};
  const auto shown = [](auto at, auto end) {
    return at == end ? std::string("no more") : fmt::format("\"{}\"", expect_line(*at));
  };
  return fmt::format("expectations: {} ({}: {})",
                     shown(a, mine.end()),
                     name,
                     shown(b, reference.end()));
}

ip_conntrack_stat total(std::span<const ip_conntrack_stat> statistics) {
  ip_conntrack_stat sum;
  for (const ip_conntrack_stat& counters : statistics) sum += counters;
  return sum;
}

std::string statistics_difference(const ip_conntrack_stat& mine,
                                  const ip_conntrack_stat& reference,
                                  std::string_view name) {
  std::vector<std::string> parts;
  const auto add = [&](std::string_view what, std::uint64_t a, std::uint64_t b) {
    if (a != b) parts.push_back(fmt::format("{}={} ({}: {})", what, a, name, b));
  };
  add("found", mine.found, reference.found);
  add("invalid", mine.invalid, reference.invalid);
  add("insert", mine.insert, reference.insert);
  add("insert_failed", mine.insert_failed, reference.insert_failed);
  add("drop", mine.drop, reference.drop);
  add("early_drop", mine.early_drop, reference.early_drop);
  add("error", mine.error, reference.error);
  add("search_restart", mine.search_restart, reference.search_restart);
  add("clash_resolve", mine.clash_resolve, reference.clash_resolve);
  add("chaintoolong", mine.chaintoolong, reference.chaintoolong);
  add("expect_new", mine.expect_new, reference.expect_new);
  add("expect_create", mine.expect_create, reference.expect_create);
  add("expect_delete", mine.expect_delete, reference.expect_delete);
  return parts.empty() ? "" : fmt::format("statistics: {}", fmt::join(parts, ", "));
}

/// Entries that are left once gc_worker has taken every expired one: how often it ran until now may
/// differ between tables (it looks at buckets, and they have different ones), what it leaves may
/// not.
std::size_t count_at_rest(contestant& at) {
  for (int run = 0; run < gc_runs_max; ++run) {
    at.on->quiescent();
    const gc_report report = at.on->gc_worker();
    if (report.reaped == 0 && report.next_run != 0) break;
  }
  at.on->quiescent();
  return at.system->count();
}

/// One replay from the first packet to the comparison of what it left behind.
class lockstep {
 public:
  lockstep(std::span<const impl> impls, const replay_options& options) : options_(options) {
    for (const impl& which : impls) {
      contestant& one = contestants_.emplace_back();
      one.which = &which;
      one.system = which.make(options.system);
      one.on = one.system->attach();
      one.row.impl = which.name;
      one.is_compared = !which.is_timing_only();
      if (one.is_compared && reference_ == npos) reference_ = contestants_.size() - 1;
      if (!options.events || !one.is_compared) continue;
      one.events = std::make_unique<event_recorder>();
      one.system->listen(0, one.events.get(), all_events);
    }
  }

  void run(workloads::playback& player, const replay_hooks& hooks);
  void compare_what_is_left(std::uint64_t jiffies64, const replay_hooks& hooks);
  replay_result result() &&;

 private:
  static constexpr std::size_t npos = static_cast<std::size_t>(-1);

  contestant& reference() { return contestants_[reference_]; }
  void judge(const workloads::played_batch& batch, const workloads::playback& player);
  void compare_events(const replay_hooks& hooks);
  void hand_out_events(const replay_hooks& hooks);
  std::string event_difference(contestant& one);
  std::string event_difference_at_rest(contestant& one);

  const replay_options& options_;
  std::vector<contestant> contestants_;
  std::size_t reference_ = npos;
  std::vector<skb> given_;
  id_set ids_;
  replay_result result_;
};

void lockstep::run(workloads::playback& player, const replay_hooks& hooks) {
  for (;;) {
    if (hooks.should_stop && hooks.should_stop()) {
      result_.was_stopped = true;
      return;
    }
    const workloads::played_batch batch = player.next(options_.batch_packets);
    if (batch.packets.empty()) break;
    given_.assign(batch.packets.begin(), batch.packets.end());
    for (skb& packet : given_) packet.zone = options_.zone;
    for (contestant& one : contestants_) {
      if (one.is_running()) one.pass(given_);
    }
    judge(batch, player);
    compare_events(hooks);
    if (hooks.progress) hooks.progress(player);
  }
  // A signal ends a read from a pipe as the pipe's own end does.
  result_.was_stopped = hooks.should_stop && hooks.should_stop();
}

void lockstep::judge(const workloads::played_batch& batch, const workloads::playback& player) {
  for (const skb& packet : reference().packets) {
    result_.mix.add(packet);
    // Accepted with a connection: `pass` has confirmed it, now or before.
    const bool is_confirmed = packet.conn_id != 0 && packet.verdict == verdict::accept;
    if (is_confirmed && ids_.insert(packet.conn_id)) ++result_.connections;
  }
  for (contestant& one : contestants_) {
    if (!one.is_running()) continue;
    if (one.is_compared) one.row.connections = result_.connections;
    if (one.is_compared && &one != &reference()) compare_batch(one, reference(), batch, player);
  }
}

/// What was told since the last time; of an implementation that differs nothing more.
void lockstep::compare_events(const replay_hooks& hooks) {
  if (reference().events == nullptr) return;
  for (contestant& one : contestants_) {
    if (one.events == nullptr || &one == &reference()) continue;
    if (one.is_running()) {
      std::string difference = event_difference(one);
      if (!difference.empty()) one.disagrees(std::move(difference));
    }
    one.events->told.clear();
  }
  hand_out_events(hooks);
}

void lockstep::hand_out_events(const replay_hooks& hooks) {
  if (reference().events == nullptr) return;
  std::vector<event_message>& told = reference().events->told;
  result_.event_count += told.size();
  if (hooks.events) hooks.events(told);
  told.clear();
}

/// Its own order first, then what it told since the last time beside the reference.
std::string lockstep::event_difference(contestant& one) {
  const std::string& finding = one.events->books.finding();
  if (!finding.empty()) return "events: " + finding;
  if (&one == &reference()) return {};
  return one.compared_events.next(one.events->told, reference().events->told, reference().row.impl);
}

/// Once gc_worker has taken what expired: whom the events leave alive is in the table, no other.
std::string lockstep::event_difference_at_rest(contestant& one) {
  if (one.events == nullptr) return {};
  std::string difference = event_difference(one);
  if (!difference.empty()) return difference;
  std::vector<std::uint64_t> ids;
  one.system->dump(*one.on, [&ids](const conn& entry) { ids.push_back(entry.id); });
  const std::string lost = one.events->books.compare(ids);
  if (!lost.empty()) return "events: " + lost;
  return &one == &reference() ? "" : one.compared_events.at_end(reference().row.impl);
}

void lockstep::compare_what_is_left(std::uint64_t jiffies64, const replay_hooks& hooks) {
  // Whoever reads the table does so after the last packet, never in its very jiffy: a timeout that
  // this packet set to 120 s reads as 119, as with the tool.
  for (contestant& one : contestants_) {
    if (one.is_running()) one.on->advance(jiffies64 + 1);
  }
  const std::string name = reference().row.impl;
  result_.dump = dump_of(reference());
  result_.expectations = expectations_of(reference());
  result_.statistics = reference().system->statistics();
  const std::size_t count = count_at_rest(reference());
  for (contestant& one : contestants_) {
    if (!one.is_compared || !one.is_running()) continue;
    std::string difference;
    if (&one != &reference()) {
      difference = dump_difference(dump_of(one), result_.dump, name);
      if (difference.empty()) {
        difference = expectations_difference(expectations_of(one), result_.expectations, name);
      }
      const std::size_t own_count = count_at_rest(one);
      if (difference.empty() && own_count != count) {
        difference = fmt::format("count: {} entries ({}: {})", own_count, name, count);
      }
      if (difference.empty()) {
        difference =
            statistics_difference(total(one.system->statistics()), total(result_.statistics), name);
      }
    }
    if (difference.empty()) difference = event_difference_at_rest(one);
    const std::string broken = one.system->broken_invariant(*one.on);
    if (difference.empty() && !broken.empty()) difference = "breaks an invariant: " + broken;
    if (!difference.empty()) one.disagrees(std::move(difference));
  }
  hand_out_events(hooks);
}

replay_result lockstep::result() && {
  for (contestant& one : contestants_) {
    if (one.is_compared) one.row.agrees = one.row.difference.empty();
    result_.rows.push_back(std::move(one.row));
  }
  return std::move(result_);
}

}  // namespace

bool replay_result::all_agree() const {
  return std::ranges::none_of(rows, [](const replay_row& row) { return row.agrees == false; });
}

replay_result replay(std::span<const impl> impls,
                     workloads::playback& packets,
                     const replay_options& options,
                     const replay_hooks& hooks) {
  lockstep all(impls, options);
  all.run(packets, hooks);
  all.compare_what_is_left(packets.jiffies64(), hooks);
  return std::move(all).result();
}

}  // namespace ct::harness
