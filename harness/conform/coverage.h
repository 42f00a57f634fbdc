// SPDX-License-Identifier: BSD-2-Clause
/// What a campaign has exercised: cells of the trackers' tables (cells.h), ICMP types, sysctls.
#pragma once

#include "harness/conform/cells.h"
#include "harness/conform/lockstep.h"
#include "spec/ct_system.h"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace ct::harness::conform {

class coverage {
 public:
  /// Of a system made with these: cells of the trackers that it has.
  explicit coverage(const system_options& options = {});

  /// Of a deep run.
  void note(const seen_packet& seen);
  void note_sysctl(std::string_view name) { sysctls_.emplace(name); }
  void merge(const coverage& other);

  /// Has the system this tracker?
  bool has(const cell_table& table) const { return cells_.contains(&table); }
  std::size_t count(const cell_table& table) const;
  /// "reply fin SYN_SENT2" ...: reachable cells that were not reached.
  std::vector<std::string> missing(const cell_table& table) const;
  std::size_t icmp_count() const { return icmp_types_.size(); }
  std::size_t icmpv6_count() const { return icmpv6_types_.size(); }
  std::size_t sysctl_count() const { return sysctls_.size(); }

 private:
  std::map<const cell_table*, std::set<cell>> cells_;
  std::set<std::uint8_t> icmp_types_;
  std::set<std::uint8_t> icmpv6_types_;
  std::set<std::string, std::less<>> sysctls_;
};

}  // namespace ct::harness::conform
