// SPDX-License-Identifier: BSD-2-Clause
/// The settings of a network namespace: what `sysctl net.netfilter.nf_conntrack_*` sets.
///
/// Timeouts are kept in jiffies, as the kernel does; sysctls speak seconds.
/// Source: nf_conntrack_standalone.c and the tracker files, Linux 6.18.
#pragma once

#include "spec/jiffies.h"
#include "spec/nf_conn.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace ct::core {

/// Timeout slots of the TCP tracker: its states, then two that no state has.
inline constexpr std::size_t tcp_timeout_retrans = 12;
inline constexpr std::size_t tcp_timeout_unack = 13;
inline constexpr std::size_t tcp_timeout_count = 14;

struct policy {
  /// [tcp_state or tcp_timeout_*], jiffies; slot 0 is SYN_SENT's.
  std::array<std::uint32_t, tcp_timeout_count> tcp_timeout = {seconds(120),
                                                              seconds(120),
                                                              seconds(60),
                                                              seconds(432000),
                                                              seconds(120),
                                                              seconds(60),
                                                              seconds(30),
                                                              seconds(120),
                                                              seconds(10),
                                                              seconds(120),
                                                              0,
                                                              0,
                                                              seconds(300),
                                                              seconds(300)};
  std::uint32_t udp_timeout = seconds(30);
  std::uint32_t udp_timeout_stream = seconds(120);
  std::uint32_t icmp_timeout = seconds(30);
  std::uint32_t icmpv6_timeout = seconds(30);
  std::uint32_t generic_timeout = seconds(600);

  std::uint8_t tcp_max_retrans = 3;
  bool tcp_loose = true;
  bool tcp_be_liberal = false;
  bool tcp_ignore_invalid_rst = false;
  bool acct = false;
  std::size_t max_entries = 0;  ///< nf_conntrack_max; 0: no limit
};

}  // namespace ct::core
