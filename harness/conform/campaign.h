// SPDX-License-Identifier: BSD-2-Clause
/// Conformance: many packets through ours and the live kernel's, and what is left of each
/// difference.
///
/// Generated packets come in episodes: each begins with empty tables, has its own seed, hosts
/// (whose fragments may wait on when the episode is over) and, every second one, three sysctls set
/// to something else, and depends on nothing but (seed, number), so that threads may take them in
/// any order. Every eighth is read deep: the entry's whole state after each packet, and its events.
/// A capture is one deep episode. What differs is run again and again with fewer packets until none
/// can be left out.
#pragma once

#include "harness/conform/coverage.h"
#include "harness/conform/lockstep.h"
#include "spec/impl.h"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ct::harness::conform {

inline constexpr std::uint32_t episode_packets = 20'000;
inline constexpr std::uint64_t deep_every = 8;
inline constexpr std::uint64_t pause_every = 16;

/// Packets of a capture, ready to be sent.
struct captured_list {
  std::string name;
  std::vector<walked_packet> packets;
  std::uint64_t left_out = 0;  ///< no IP, or what a router does not forward
};

struct campaign_options {
  std::uint64_t packets = 0;  ///< generated
  std::uint64_t seed = 1;
  std::vector<workloads::walk_kind> kinds;
  std::vector<captured_list> captures;
  system_options system;
  bool is_always_deep = false;
  bool varies_sysctls = true;
  bool shrinks = true;  ///< false: what was found stays as it was found
  std::uint32_t threads = 1;
  std::size_t findings_max = 3;
  std::function<shared_clock()> clock = real_clock;
};

/// A packet of a shrunk list, side by side.
struct lane {
  std::string packet;
  std::string ours;
  std::string theirs;
};

struct finding {
  std::uint64_t episode = 0;
  std::string capture{};  ///< empty: it was generated
  difference what{};
  std::vector<walked_packet> packets{};  ///< shrunk
  std::size_t packets_before = 0;
  bool is_repeated = false;                ///< false: it did not show again, so it is not shrunk
  std::vector<sysctl_setting> settings{};  ///< of the episode
  std::vector<lane> lanes{};
};

/// Packets and the time that they took, all threads' summed.
struct pace {
  std::uint64_t packets = 0;
  double busy_s = 0;
};

struct campaign_result {
  pace outcomes;  ///< outcome compared after each packet
  pace states;    ///< the entry's whole state too
  std::vector<finding> findings;
  std::map<std::string_view, std::uint64_t> explained;  ///< by row
  coverage seen;
  std::size_t sysctls_varied = 0;  ///< that a run long enough sets to something else
  std::uint32_t threads = 1;
  bool was_stopped = false;

  std::uint64_t packets() const { return outcomes.packets + states.packets; }
  /// A second, all threads together.
  double rate(const pace& of) const {
    return of.busy_s > 0 ? static_cast<double>(of.packets) / of.busy_s * threads : 0;
  }
};

struct campaign_hooks {
  std::function<bool()> should_stop;
  std::function<void(std::uint64_t packets)> progress;  ///< called by one thread at a time
};

campaign_result run_campaign(const impl& ours,
                             const impl& theirs,
                             const campaign_options& options,
                             const campaign_hooks& hooks);

/// The packets of one episode, as every run with this seed has them.
std::vector<walked_packet> episode_of(const campaign_options& options, std::uint64_t number);

}  // namespace ct::harness::conform
