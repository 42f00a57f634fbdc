// SPDX-License-Identifier: BSD-2-Clause
/// Two systems side by side: each packet through both, and what they make of it compared.
///
/// After each packet: verdict and ctinfo. In a deep run also the entry that the packet concerns:
/// whether there is one, tuples, status bits, protocol state, timeout (±1 s), counters, mark, zone;
/// and the events of each entry in their order. At the end: the whole table, and the counters of
/// `conntrack -S`. A run begins and ends with empty tables, so that what it finds depends on its
/// packets alone.
///
/// The judge may live on the real clock: the clock that is handed in moves ours before each packet.
#pragma once

#include "spec/ct_system.h"
#include "spec/impl.h"
#include "workloads/walk.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ct::harness::conform {

using workloads::walked_packet;

/// Where two systems do not agree.
struct difference {
  std::size_t packet = 0;  ///< index; the number of packets: at the end
  std::string_view field;  ///< "outcome", "status" ...
  std::string ours;        ///< its value
  std::string theirs;
  std::optional<tuple> about{};  ///< the entry's, as the packet has it or as the original
  std::optional<conn> our_entry{};
  std::optional<conn> their_entry{};
  ctinfo our_info = ctinfo::invalid;
  ctinfo their_info = ctinfo::invalid;
};

/// The first field in which two views of an entry differ; `packet` is left 0.
std::optional<difference> compare(const conn& ours, const conn& theirs);
/// As compare; one may not be there.
std::optional<difference> compare(const std::optional<conn>& ours,
                                  const std::optional<conn>& theirs);

/// What there is to see of a packet, for lanes and coverage. Entries only in deep runs.
struct seen_packet {
  std::size_t index = 0;
  const walked_packet* packet = nullptr;
  std::optional<tuple> about{};
  std::optional<conn> before{};  ///< ours
  skb our_skb{};
  skb their_skb{};
  std::optional<conn> our_entry{};
  std::optional<conn> their_entry{};
};

/// What time it is for ours, and how to let it pass for both.
struct shared_clock {
  std::function<std::uint64_t()> jiffies64;
  std::function<void(std::uint32_t ms)> pause;
};
/// The machine's.
shared_clock real_clock();

struct run_options {
  bool is_deep = false;
  std::function<void(const seen_packet&)> seen{};
  /// True: this one is known and counted; the entry is taken from both and the run goes on.
  std::function<bool(const difference&, const walked_packet*)> is_explained{};
};

class lockstep {
 public:
  lockstep(const impl& ours, const impl& theirs, const system_options& options, shared_clock clock);
  ~lockstep();
  lockstep(const lockstep&) = delete;
  lockstep& operator=(const lockstep&) = delete;

  /// The first difference that nothing explains.
  std::optional<difference> run(std::span<const walked_packet> packets, const run_options& options);

  /// Sets it in both; false, and nothing is changed, if one has no such sysctl.
  bool set_sysctl(std::string_view name, std::string_view value);
  /// Those that both have; values are ours.
  std::vector<sysctl> sysctls();
  /// Of the last run, pauses left out.
  double busy_s() const { return busy_s_; }

 private:
  struct told_events;

  void begin(const run_options& options);
  seen_packet pass(std::size_t index, const walked_packet& packet, bool is_deep);
  std::optional<difference> judge(const seen_packet& seen, bool is_deep) const;
  std::optional<difference> compare_tables();
  std::optional<difference> compare_statistics();
  std::optional<difference> compare_events() const;
  void take_out(const difference& found);
  void clear();
  void end_events();
  ip_conntrack_stat sum(const ct_system& of) const;

  shared_clock clock_;
  bool tracks_dccp_;
  std::unique_ptr<ct_system> ours_;
  std::unique_ptr<ct_system> theirs_;
  std::unique_ptr<cpu> our_cpu_;
  std::unique_ptr<cpu> their_cpu_;
  std::unique_ptr<told_events> our_events_;
  std::unique_ptr<told_events> their_events_;
  ip_conntrack_stat our_stat_;  // at the beginning of the run
  ip_conntrack_stat their_stat_;
  std::size_t explained_ = 0;  // in this run
  double busy_s_ = 0;
};

}  // namespace ct::harness::conform
