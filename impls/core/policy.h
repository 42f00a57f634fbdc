// SPDX-License-Identifier: BSD-2-Clause
/// The settings of a network namespace: what `sysctl net.netfilter.nf_conntrack_*` sets, and what
/// all namespaces share.
///
/// Every value may be set while other threads pass packets: it is then in force from the next
/// packet that reads it. Timeouts are kept in jiffies, as the kernel does; sysctls speak seconds
/// (sysctl.h has the names). Source: struct netns_ct, nf_conntrack_standalone.c and the tracker
/// files, Linux 6.18.
#pragma once

#include "spec/jiffies.h"
#include "spec/nf_conn.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace ct::core {

/// A value that one thread sets while others read it. Written and read as a T is.
template <class T>
class setting {
 public:
  constexpr setting(T value = {}) : value_(value) {}
  setting(const setting& other) : value_(other.get()) {}
  setting& operator=(const setting& other) { return *this = other.get(); }
  setting& operator=(T value) {
    value_.store(value, std::memory_order_relaxed);  // relaxed: a setting orders nothing
    return *this;
  }
  T get() const { return value_.load(std::memory_order_relaxed); }  // relaxed: see above
  operator T() const { return get(); }

 private:
  std::atomic<T> value_;
  static_assert(std::atomic<T>::is_always_lock_free);
};

/// Timeout slots of the TCP tracker: its states, then two that no state has.
inline constexpr std::size_t tcp_timeout_retrans = 12;
inline constexpr std::size_t tcp_timeout_unack = 13;
inline constexpr std::size_t tcp_timeout_count = 14;
/// Timeout slots of the SCTP tracker: its states.
inline constexpr std::size_t sctp_timeout_count = 9;
/// Timeout slots of the DCCP tracker: its states.
inline constexpr std::size_t dccp_timeout_count = 8;

/// How long entries live, in jiffies: of a netns, or of the entries that were given a timeout
/// policy.
struct timeouts {
  /// [tcp_state or tcp_timeout_*], jiffies; slot 0 is SYN_SENT's.
  std::array<setting<std::uint32_t>, tcp_timeout_count> tcp_timeout = {seconds(120),
                                                                       seconds(120),
                                                                       seconds(60),
                                                                       seconds(432000),
                                                                       seconds(120),
                                                                       seconds(60),
                                                                       seconds(30),
                                                                       seconds(120),
                                                                       seconds(10),
                                                                       seconds(120),
                                                                       0U,
                                                                       0U,
                                                                       seconds(300),
                                                                       seconds(300)};
  setting<std::uint32_t> udp_timeout = seconds(30);
  setting<std::uint32_t> udp_timeout_stream = seconds(120);
  setting<std::uint32_t> icmp_timeout = seconds(30);
  setting<std::uint32_t> icmpv6_timeout = seconds(30);
  setting<std::uint32_t> generic_timeout = seconds(600);
  setting<std::uint32_t> gre_timeout = seconds(30);
  setting<std::uint32_t> gre_timeout_stream = seconds(180);
  /// [sctp_state], jiffies; slot 0 is what CLOSED begins with.
  std::array<setting<std::uint32_t>, sctp_timeout_count> sctp_timeout = {seconds(10),
                                                                         seconds(10),
                                                                         seconds(3),
                                                                         seconds(3),
                                                                         seconds(210),
                                                                         seconds(3),
                                                                         seconds(3),
                                                                         seconds(3),
                                                                         seconds(30)};
  /// [dccp_state], jiffies; slot 0 is what REQUEST begins with. An MSL is 120 s (RFC 4340, 3.4).
  std::array<setting<std::uint32_t>, dccp_timeout_count> dccp_timeout = {seconds(240),
                                                                         seconds(240),
                                                                         seconds(480),
                                                                         seconds(480),
                                                                         seconds(43200),
                                                                         seconds(64),
                                                                         seconds(64),
                                                                         seconds(240)};
};

/// Of a netns.
struct policy : timeouts {
  setting<std::uint8_t> tcp_max_retrans = std::uint8_t{3};
  setting<bool> tcp_loose = true;
  setting<bool> tcp_be_liberal = false;
  setting<bool> tcp_ignore_invalid_rst = false;
  setting<bool> dccp_loose = true;
  setting<bool> acct = false;       ///< count packets and bytes of entries made from now on
  setting<bool> timestamp = false;  ///< when entries made from now on began and ended
  setting<std::uint8_t> events = std::uint8_t{2};  ///< of entries made from now on: events_mode
  setting<bool> checksum = true;                   ///< verify checksums that nobody has verified
  setting<std::uint8_t> log_invalid = std::uint8_t{0};  ///< kept; skb::reason is always written
  /// Does any rule use labels? Not a sysctl: the kernel counts the rules.
  setting<bool> labels_used = false;
};

/// Of the system; set in netns 0.
struct global_policy {
  setting<std::size_t> max_entries = std::size_t{0};  ///< nf_conntrack_max, a netns; 0: no limit
  setting<std::size_t> expect_max = std::size_t{4096};

  /// The kernel's arithmetic: an expectation bucket for 256 of the table, four expectations each.
  static constexpr std::size_t default_expect_max(std::size_t buckets) {
    return 4 * (buckets < 256 ? 1 : buckets / 256);
  }
};

}  // namespace ct::core
