// SPDX-License-Identifier: BSD-2-Clause
/// The lockstep itself, and the words for the first difference.
#include "harness/replay/replay.h"

#include "harness/replay/event_comparison.h"
#include "harness/replay/state_comparison.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <memory>
#include <unordered_map>
#include <utility>

namespace ct::harness {
namespace {

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

void compare_batch(contestant& mine,
                   const contestant& reference,
                   const workloads::played_batch& batch,
                   const workloads::playback& player) {
  for (std::size_t i = 0; i < mine.packets.size(); ++i) {
    const std::string difference =
        packet_difference(mine.packets[i], reference.packets[i], reference.row.impl);
    if (difference.empty()) continue;
    mine.disagrees(fmt::format("packet {} of {}: {}",
                               batch.first_packet + i,
                               player.shown(batch.capture_index),
                               difference));
    return;
  }
}

/// One replay from the first packet to the comparison of what it left behind.
class lockstep {
 public:
  lockstep(std::span<const impl> impls, const replay_options& options) : options_(options) {
    for (const impl& which : impls) {
      contestant& one = contestants_.emplace_back();
      one.which = &which;
      one.system = options.trace == nullptr ? which.make(options.system)
                                            : which.make_observed(options.system, *options.trace);
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
  result_.dump = dump_of(*reference().system, *reference().on);
  result_.expectations = expectations_of(*reference().system);
  result_.statistics = reference().system->statistics();
  const std::size_t count = count_at_rest(*reference().system, *reference().on);
  for (contestant& one : contestants_) {
    if (!one.is_compared || !one.is_running()) continue;
    std::string difference;
    if (&one != &reference()) {
      difference = dump_difference(dump_of(*one.system, *one.on), result_.dump, name);
      if (difference.empty()) {
        difference =
            expectations_difference(expectations_of(*one.system), result_.expectations, name);
      }
      const std::size_t own_count = count_at_rest(*one.system, *one.on);
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
