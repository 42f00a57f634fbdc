// SPDX-License-Identifier: BSD-2-Clause
/// What an observer may know of a tracked connection: status bits, ctinfo, protocol states,
/// counters, and `conn`, one line of a dump. Names and numbers are the kernel's.
///
/// Source: include/uapi/linux/netfilter/nf_conntrack_common.h, nf_conntrack_tcp.h and
/// nf_conntrack_sctp.h, Linux 6.18; nf_conntrack_dccp.h, Linux 5.10.
#pragma once

#include "spec/policy.h"
#include "spec/tuple.h"

#include <array>
#include <cstdint>
#include <string_view>

namespace ct {

/// Bits of nf_conn's status. CONFIRMED, SEEN_REPLY, ASSURED and DYING are only ever set.
namespace status {
inline constexpr std::uint32_t expected = 1U << 0;        ///< created through an expectation
inline constexpr std::uint32_t seen_reply = 1U << 1;      ///< a reply packet was accepted
inline constexpr std::uint32_t assured = 1U << 2;         ///< not a victim of early drop
inline constexpr std::uint32_t confirmed = 1U << 3;       ///< in the table
inline constexpr std::uint32_t src_nat = 1U << 4;         ///< its source is translated
inline constexpr std::uint32_t dst_nat = 1U << 5;         ///< its destination is translated
inline constexpr std::uint32_t src_nat_done = 1U << 7;    ///< whether to, is decided
inline constexpr std::uint32_t dst_nat_done = 1U << 8;    ///< whether to, is decided
inline constexpr std::uint32_t dying = 1U << 9;           ///< its deletion is claimed
inline constexpr std::uint32_t fixed_timeout = 1U << 10;  ///< packets do not refresh it
inline constexpr std::uint32_t nat_clash = 1U << 12;      ///< reply-only entry of a resolved clash
inline constexpr std::uint32_t helper = 1U << 13;         ///< a rule has attached a helper
}  // namespace status

/// What a packet is to its connection, as rules see it (`ct state`). Values are the kernel's;
/// INVALID is the absence of a connection and has no number there.
enum class ctinfo : std::uint8_t {
  established = 0,
  related = 1,
  new_ = 2,
  established_reply = 3,
  related_reply = 4,
  untracked = 7,
  invalid = 8,
};

constexpr dir direction(ctinfo info) {
  return info == ctinfo::established_reply || info == ctinfo::related_reply ? dir::reply
                                                                            : dir::original;
}

constexpr std::string_view name(ctinfo info) {
  switch (info) {
    case ctinfo::established:
      return "ESTABLISHED";
    case ctinfo::related:
      return "RELATED";
    case ctinfo::new_:
      return "NEW";
    case ctinfo::established_reply:
      return "ESTABLISHED_REPLY";
    case ctinfo::related_reply:
      return "RELATED_REPLY";
    case ctinfo::untracked:
      return "UNTRACKED";
    case ctinfo::invalid:
      return "INVALID";
  }
  return "?";
}

/// States of the TCP tracker, numbered as the kernel's; `max` marks an invalid transition.
enum class tcp_state : std::uint8_t {
  none = 0,
  syn_sent = 1,
  syn_recv = 2,
  established = 3,
  fin_wait = 4,
  close_wait = 5,
  last_ack = 6,
  time_wait = 7,
  close = 8,
  syn_sent2 = 9,
  max = 10,
  ignore = 11,
};

/// As `conntrack -L` prints them.
constexpr std::string_view name(tcp_state state) {
  constexpr std::array<std::string_view, 10> names = {"NONE",
                                                      "SYN_SENT",
                                                      "SYN_RECV",
                                                      "ESTABLISHED",
                                                      "FIN_WAIT",
                                                      "CLOSE_WAIT",
                                                      "LAST_ACK",
                                                      "TIME_WAIT",
                                                      "CLOSE",
                                                      "SYN_SENT2"};
  const auto at = static_cast<std::size_t>(state);
  return at < names.size() ? names[at] : "INVALID";
}

/// States of the SCTP tracker, numbered as the kernel's; `max` marks an invalid transition.
enum class sctp_state : std::uint8_t {
  none = 0,
  closed = 1,
  cookie_wait = 2,
  cookie_echoed = 3,
  established = 4,
  shutdown_sent = 5,
  shutdown_recd = 6,
  shutdown_ack_sent = 7,
  heartbeat_sent = 8,
  max = 9,
};

/// As `conntrack -L` prints them.
constexpr std::string_view name(sctp_state state) {
  constexpr std::array<std::string_view, 9> names = {"NONE",
                                                     "CLOSED",
                                                     "COOKIE_WAIT",
                                                     "COOKIE_ECHOED",
                                                     "ESTABLISHED",
                                                     "SHUTDOWN_SENT",
                                                     "SHUTDOWN_RECD",
                                                     "SHUTDOWN_ACK_SENT",
                                                     "HEARTBEAT_SENT"};
  const auto at = static_cast<std::size_t>(state);
  return at < names.size() ? names[at] : "INVALID";
}

/// States of the DCCP tracker, numbered as in Linux 5.10; `ignore` and `invalid` mark transitions.
enum class dccp_state : std::uint8_t {
  none = 0,
  request = 1,
  respond = 2,
  partopen = 3,
  open = 4,
  closereq = 5,
  closing = 6,
  timewait = 7,
  ignore = 8,
  invalid = 9,
};

/// As `conntrack -L` prints them.
constexpr std::string_view name(dccp_state state) {
  constexpr std::array<std::string_view, 10> names = {"NONE",
                                                      "REQUEST",
                                                      "RESPOND",
                                                      "PARTOPEN",
                                                      "OPEN",
                                                      "CLOSEREQ",
                                                      "CLOSING",
                                                      "TIMEWAIT",
                                                      "IGNORE",
                                                      "INVALID"};
  return names[static_cast<std::size_t>(state)];
}

/// Counters of one CPU, the columns of `conntrack -S`.
struct ip_conntrack_stat {
  std::uint64_t found = 0;           ///< a tuple that was asked for was taken already
  std::uint64_t invalid = 0;         ///< packets that could not be tracked
  std::uint64_t insert = 0;          ///< entries inserted on request, not by packets
  std::uint64_t insert_failed = 0;   ///< confirms refused
  std::uint64_t drop = 0;            ///< packets dropped for want of an entry
  std::uint64_t early_drop = 0;      ///< entries removed to make room
  std::uint64_t error = 0;           ///< ICMP messages without a connection
  std::uint64_t search_restart = 0;  ///< lookups that had to begin again
  std::uint64_t clash_resolve = 0;   ///< confirms that lost and were merged
  std::uint64_t chaintoolong = 0;    ///< confirms refused because a chain was too long
  // Columns of /proc/net/stat/nf_conntrack that `conntrack -S` does not print.
  std::uint64_t expect_new = 0;     ///< entries made through an expectation
  std::uint64_t expect_create = 0;  ///< expectations inserted
  std::uint64_t expect_delete = 0;  ///< expectations removed, for whatever reason
  auto operator<=>(const ip_conntrack_stat&) const = default;
};

constexpr ip_conntrack_stat& operator+=(ip_conntrack_stat& a, const ip_conntrack_stat& b) {
  a.found += b.found;
  a.invalid += b.invalid;
  a.insert += b.insert;
  a.insert_failed += b.insert_failed;
  a.drop += b.drop;
  a.early_drop += b.early_drop;
  a.error += b.error;
  a.search_restart += b.search_restart;
  a.clash_resolve += b.clash_resolve;
  a.chaintoolong += b.chaintoolong;
  a.expect_new += b.expect_new;
  a.expect_create += b.expect_create;
  a.expect_delete += b.expect_delete;
  return a;
}

/// One connection as a dump shows it: a copy, not a reference.
struct conn {
  std::uint64_t id = 0;           ///< unique in the life of a system, never 0
  std::array<tuple, 2> tuples{};  ///< [dir]
  std::uint32_t status = 0;
  std::int32_t timeout_jiffies = 0;  ///< left before it expires
  std::uint32_t use = 0;             ///< references: the table's and those of packets
  std::uint32_t mark = 0;
  netns_id net = 0;
  ct::zone zone{};
  tcp_state tcp = tcp_state::none;         ///< TCP only
  sctp_state sctp = sctp_state::none;      ///< SCTP only
  dccp_state dccp = dccp_state::none;      ///< DCCP only, where it is tracked
  dir dccp_client = dir::original;         ///< DCCP only: which way the client's packets go
  std::array<std::uint64_t, 2> packets{};  ///< [dir], zero unless it has_acct
  std::array<std::uint64_t, 2> bytes{};    ///< [dir], whole layer-3 lengths
  bool has_acct = false;                   ///< made while nf_conntrack_acct was on
  // With nf_conntrack_timestamp, ns on the system's clock, which begins at 0.
  std::uint64_t start_ns = 0;  ///< of its confirm
  std::uint64_t stop_ns = 0;   ///< of its deletion; 0: not yet
  ct::labels labels{};
  std::uint64_t master_id = 0;  ///< the entry that announced this one; 0: none did
  std::string_view helper;      ///< attached helper; empty: none
  // What the TCP tracker knows of each side, as ctnetlink shows it; TCP only.
  std::array<std::uint8_t, 2> tcp_scale{};  ///< [dir], window scale
  std::array<std::uint8_t, 2> tcp_flags{};  ///< [dir], IP_CT_TCP_FLAG_*

  bool has(std::uint32_t bit) const { return (status & bit) != 0; }
};

}  // namespace ct
