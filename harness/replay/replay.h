// SPDX-License-Identifier: BSD-2-Clause
/// The same packets through several implementations in lockstep, each compared with the first.
///
/// After each batch: conn_id, ctinfo and verdict of every packet. After the last: the dump, entry
/// by entry, the counters, the number of entries once gc_worker has taken what expired, and each
/// one's own invariants. The first difference of an implementation is described and ends its part;
/// the others go on. What only times (spec/impl.h) is driven and timed, never compared, never the
/// reference. Limits: one thread, one CPU a system: what concurrency breaks is other verbs'
/// question. Dumps are held in memory, two at a time.
#pragma once

#include "harness/replay/protocol_mix.h"
#include "spec/impl.h"
#include "workloads/playback.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace ct::harness {

struct replay_options {
  system_options system;
  ct::zone zone{};  ///< of every packet
  std::size_t batch_packets = workloads::batch_packets_max;
  bool events = false;          ///< listen, and compare what is told too
  trace_sink* trace = nullptr;  ///< is told the steps of each; they must have make_observed
};

/// Called after every batch; each may be empty.
struct replay_hooks {
  std::function<bool()> should_stop;
  std::function<void(const workloads::playback&)> progress;
  /// What the first compared implementation told since the last call, in order; at the end also the
  /// DESTROY of what had expired.
  std::function<void(std::span<const event_message>)> events{};
};

struct replay_row {
  std::string impl;
  std::uint64_t packets = 0;
  std::uint64_t connections = 0;  ///< that were confirmed
  std::optional<bool> agrees;     ///< nothing: not compared
  std::string difference;         ///< the first one, named; empty if it agrees
  double pass_s = 0;              ///< spent inside its `pass`

  double packets_per_second() const {
    return pass_s > 0 ? static_cast<double>(packets) / pass_s : 0;
  }
};

struct replay_result {
  std::vector<replay_row> rows;  ///< [impl], in the order given
  protocol_mix mix;              ///< by the first compared implementation
  std::uint64_t connections = 0;
  std::uint64_t event_count = 0;  ///< messages of that implementation
  bool was_stopped = false;
  std::vector<conn> dump;                     ///< of that implementation, in printing order
  std::vector<expect> expectations;           ///< its, in an order of its own
  std::vector<ip_conntrack_stat> statistics;  ///< [cpu], its

  bool all_agree() const;
};

/// Requires: at least one of `impls` is not timing only.
replay_result replay(std::span<const impl> impls,
                     workloads::playback& packets,
                     const replay_options& options,
                     const replay_hooks& hooks = {});

}  // namespace ct::harness
