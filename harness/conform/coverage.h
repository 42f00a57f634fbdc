// SPDX-License-Identifier: BSD-2-Clause
/// What a campaign has exercised: cells of the TCP table, ICMP types, sysctls.
///
/// A cell is (direction, kind of segment, state before it): a segment of that kind was sent to an
/// entry in that state, whatever the tracker made of it ahead of its table (flags that do not go
/// together never reach it). Of the 120 cells the 6 of the reply direction in NONE cannot be
/// reached: an entry that has seen a packet is in another state.
#pragma once

#include "harness/conform/lockstep.h"

#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

namespace ct::harness::conform {

class coverage {
 public:
  static constexpr std::size_t tcp_states = 10;
  static constexpr std::size_t tcp_kinds = 6;
  static constexpr std::size_t tcp_cells = 2 * tcp_kinds * tcp_states;
  static constexpr std::size_t tcp_cells_reachable = tcp_cells - tcp_kinds;

  /// Of a deep run.
  void note(const seen_packet& seen);
  void note_sysctl(std::string_view name) { sysctls_.emplace(name); }
  void merge(const coverage& other);

  std::size_t tcp_count() const;
  std::size_t icmp_count() const { return icmp_types_.size(); }
  std::size_t icmpv6_count() const { return icmpv6_types_.size(); }
  std::size_t sysctl_count() const { return sysctls_.size(); }
  /// "reply fin SYN_SENT2, ...": reachable cells that were not reached; empty if there are none.
  std::string missing_tcp() const;

 private:
  std::array<bool, tcp_cells> tcp_{};
  std::set<std::uint8_t> icmp_types_;
  std::set<std::uint8_t> icmpv6_types_;
  std::set<std::string, std::less<>> sysctls_;
};

}  // namespace ct::harness::conform
