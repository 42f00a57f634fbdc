// SPDX-License-Identifier: BSD-2-Clause
/// What must hold of a table and its counters whatever packets made them.
///
/// Of each entry: its protocol's state exists; it expires within the longest timeout that its
/// protocol has; what is ASSURED has had a reply (but in SCTP, see the kernel's loop over chunks);
/// it counted no packet and no byte that it was not given. Of the counters: every packet that went
/// on INVALID was counted, once. Of expectations: within the limit of their class, of a living
/// master, from the other side, to the one that offered, until their policy's timeout. Source:
/// nf_conntrack_proto_*.c, nf_conntrack_expect.c, nf_conntrack_ftp.c, Linux 6.18. Limits: entries
/// made by packets alone (no requests, no timeout policies, no NAT).
#pragma once

#include "spec/ct_system.h"

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>

namespace ct::harness::fuzz {

/// What a system was given, and what it said of it.
class packet_account {
 public:
  void add(const skb& packet);

  struct traffic {
    std::array<std::uint64_t, 2> packets{};  ///< [dir]
    std::array<std::uint64_t, 2> bytes{};    ///< [dir], on the wire
  };
  const std::map<std::uint64_t, traffic>& of_entries() const { return of_entries_; }
  std::uint64_t invalid_accepted() const { return invalid_accepted_; }
  std::uint64_t invalid_dropped() const { return invalid_dropped_; }

 private:
  std::map<std::uint64_t, traffic> of_entries_;  // [conn id]
  std::uint64_t invalid_accepted_ = 0;
  std::uint64_t invalid_dropped_ = 0;
  bool has_fragments_ = false;
};

/// The first law that one of the entries breaks; empty: none.
std::string broken_law(std::span<const conn> entries,
                       const packet_account& account,
                       std::span<const sysctl> settings);
/// `before`: the counters ahead of these packets.
std::string broken_law(const ip_conntrack_stat& counters,
                       const ip_conntrack_stat& before,
                       const packet_account& account);
/// `entries`: all that are in the table; FTP is the only helper.
std::string broken_law(std::span<const expect> expectations,
                       std::span<const conn> entries,
                       const ip_conntrack_stat& counters,
                       bool is_ftp_loose);

}  // namespace ct::harness::fuzz
