// SPDX-License-Identifier: BSD-2-Clause
/// The same packets through several implementations, for one fuzz input: do they agree, and do the
/// laws hold?
///
/// Compared with the first: verdict, ctinfo and connection of every packet; at the end events,
/// table, expectations, counters and what is left after gc_worker (as replay does, with its
/// comparisons). Of each one alone: its invariants, the order of its events, that every entry is
/// found by the tuples that it shows, that nothing is left once all is killed. Of what the first
/// shows, as the others must show the same: the laws (laws.h). At last each is emptied: nothing may
/// be left.
///
/// The systems are those of a court, empty, at the same phase of their clock and with default
/// settings, so that an input's outcome depends on it alone. Every frame lies in memory of exactly
/// its size: AddressSanitizer sees a read of one byte too many. The first finding ends the work on
/// an input.
#pragma once

#include "harness/fuzz/court.h"
#include "harness/fuzz/laws.h"
#include "harness/replay/event_comparison.h"
#include "spec/ct_system.h"
#include "spec/jiffies.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ct::harness::fuzz {

class jury {
 public:
  /// `settings` are written in both netns that an input may use, 0 and 1.
  jury(court& from,
       const court_options& options,
       std::span<const sysctl_setting> settings,
       bool has_listener);

  std::uint64_t now() const { return now_; }
  /// The clock of the packets to come.
  void wait(std::uint64_t jiffies);
  /// A packet that arrives now. It is passed with the next flush; its frame is copied.
  void add(skb packet, std::span<const std::byte> frame);
  void flush();
  /// A packet on its own: in() now, confirm and free_skb when `let_go` is called.
  void hold(skb packet, std::span<const std::byte> frame);
  void let_go();
  void set_sysctl(std::string_view name, std::string_view value);
  /// Something else that a system is asked; in all of them.
  void each(const std::function<void(ct_system&, cpu&)>& act);

  /// The last packet that was passed, as the first implementation made of it.
  const skb& last() const { return last_; }
  /// What the first implementation shows now.
  std::vector<expect> expectations();
  std::vector<conn> entries();

  bool has_finding() const { return !finding_.empty(); }
  void finds(std::string what);
  /// All that is judged at the end.
  std::string finish();

 private:
  /// A deadline of 32 bits is misread half of their range behind it: gc_worker comes by before.
  static constexpr std::uint64_t waited_max = seconds(20 * 86'400);

  struct juror {
    explicit juror(court::member& is) : which(is.which), system(is.system.get()), on(is.on.get()) {}

    const impl* which;
    ct_system* system;
    cpu* on;
    std::unique_ptr<event_recorder> events{};
    event_comparison compared_events{};
    std::vector<skb> packets{};
    std::vector<skb> held{};
  };

  std::span<const std::byte> keep(std::span<const std::byte> frame);
  void compare_packets(std::vector<skb> juror::*which);
  void judge_state();
  void judge_state_of(juror& one,
                      std::span<const conn> entries,
                      std::span<const expect> expectations,
                      const ip_conntrack_stat& counters);
  void judge_lookups(juror& one, std::span<const conn> entries);
  void judge_events(juror& one, std::span<const conn> entries);
  void empty(juror& one);

  court& from_;
  const bool is_ftp_loose_;
  std::uint64_t now_ = 0;
  std::uint64_t waited_ = 0;  // since gc_worker ran
  std::vector<juror> jurors_;
  std::vector<std::unique_ptr<std::byte[]>> frames_;
  std::vector<skb> queued_;
  packet_account account_;
  ip_conntrack_stat counters_before_;
  skb last_;
  std::size_t passed_ = 0;
  std::string finding_;
};

}  // namespace ct::harness::fuzz
