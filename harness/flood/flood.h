// SPDX-License-Identifier: BSD-2-Clause
/// A table that a SYN flood fills: which of the people who want to work still get through, and are
/// the rules of a full table kept?
///
/// Each implementation is flooded alone, on virtual time, by the same generator; a connection one
/// of whose packets is not what it must be (accepted, of its entry, with its ctinfo) has failed and
/// is given up. Laws that hold for all, whatever their order of entries:
/// - after every batch there are no more entries than nf_conntrack_max;
/// - an ASSURED entry that is not closing stays: early drop spares it, and nothing else may take it
///   (one that is closing may go, gc_worker drops those where early drop found nothing);
/// - without early drop an entry that was made stays, and no early_drop is counted;
/// - every packet that is dropped is counted (drop, or chaintoolong), and nothing else is;
/// - in the end nothing is left: the count drains to zero, the invariants at rest hold.
///
/// Agreement: early drop looks at eight buckets of a table's own order, so that its victims differ
/// and with them the shares. Up to the jiffy in which the table is full for the first time, and
/// without early drop until the first entry can expire (gc_worker, too, has the table's order),
/// every packet must have the same outcome in all. Limits: one thread; no retransmissions.
#pragma once

#include "spec/impl.h"
#include "workloads/syn_flood.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace ct::harness {

/// What became of the attempts of those who want to work: the sum of all but `tried` is `tried`.
struct flood_attempts {
  std::uint64_t tried = 0;
  std::uint64_t succeeded = 0;     ///< every packet was what it must be
  std::uint64_t refused = 0;       ///< the SYN was dropped
  std::uint64_t lost_opening = 0;  ///< the entry went before it was ASSURED
  std::uint64_t lost_assured = 0;  ///< it went though ASSURED: against the law
  std::uint64_t lost_closing = 0;  ///< it went after the first FIN

  double share() const {
    return tried == 0 ? 0 : static_cast<double>(succeeded) / static_cast<double>(tried);
  }
};

/// One implementation, flooded.
struct flood_row {
  std::string impl;
  bool early_drop = true;
  flood_attempts attempts;
  std::uint64_t packets = 0;
  std::uint64_t packets_dropped = 0;
  std::size_t count_peak = 0;         ///< entries, after a batch
  std::size_t count_left = 0;         ///< once everything has expired
  ip_conntrack_stat statistics;       ///< sum over CPUs, before anything expires for good
  std::uint64_t full_at_jiffies = 0;  ///< since the begin; 0: it never refused nor dropped anything
  std::uint64_t agreed_jiffies = 0;   ///< since the begin: as long must the outcomes be the same
  std::uint64_t digest = 0;           ///< of the outcomes until then
  std::string broken;                 ///< the first law that does not hold; empty: all do
  std::string differs;  ///< from the first implementation where it must not; empty: no
  bool was_stopped = false;

  bool is_good() const { return broken.empty() && differs.empty(); }
};

/// Called after every batch; each may be empty.
struct flood_hooks {
  std::function<bool()> should_stop;
  std::function<void(std::uint64_t tried)> progress;
};

/// Floods one. Requires: system.max_entries > 0. Throws std::invalid_argument where an entry could
/// expire between two packets of a connection: no law would hold.
flood_row flood(const impl& which,
                const system_options& system,
                const workloads::syn_flood_options& traffic,
                const flood_hooks& hooks = {});

/// Compares rows with the first one of the same `early_drop`; writes `differs`.
void compare(std::span<flood_row> rows);

}  // namespace ct::harness
