// SPDX-License-Identifier: BSD-2-Clause
/// The seam of planted faults: `if (planted("udp_stream_at_once")) ...` beside the right code.
///
/// A new fault is a line in `planted_faults` and the seam that it names; a name that is not in the
/// list does not compile. Without CT_FAULTS every seam is the constant false and leaves no
/// instruction behind. With it the chosen fault is one global: it is set before any system exists.
#pragma once

#include "spec/fault.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ct::core {

inline constexpr auto planted_faults = std::to_array<fault>({
    // A packet's way through the core
    {"seen_reply_before_tracker",
     "SEEN_REPLY is set before the tracker has judged the reply",
     "nf_conntrack_in() sets it behind the tracker; UDP's streams depend on the order"},
    {"seen_reply_by_invalid",
     "a reply that the tracker refuses sets SEEN_REPLY all the same",
     "nf_conntrack_in() sets it for accepted packets alone"},
    {"error_to_wrong_host",
     "an ICMP error is compared with the side that sent the quoted packet's answer",
     "nf_conntrack_inet_error(): the error must go where the quoted packet came from"},
    {"error_direction_swapped",
     "ICMP errors are RELATED in the direction of the error, not of the quoted packet",
     "nf_conntrack_inet_error()"},
    {"counts_without_ip_header",
     "bytes are counted without the IP header",
     "nf_ct_acct_add() counts skb->len"},
    {"zone_forgotten", "entries of all zones are one", "nf_ct_zone(), in hash and comparison"},
    // TCP: the window
    {"window_begin_one_early",
     "condition I refuses a segment that begins where the receiver's window ends",
     "van Rooij 2000, I: seq <= maxend"},
    {"window_end_one_late",
     "condition II refuses a segment whose end is just inside",
     "van Rooij 2000, II: end >= sender.end - receiver.maxwin"},
    {"window_ack_one_high",
     "condition III takes an ACK for a byte more than was seen",
     "van Rooij 2000, III: ack <= receiver.end"},
    {"window_ack_one_low",
     "condition IV refuses the oldest ACK that is inside",
     "van Rooij 2000, IV: ack >= receiver.end - MAXACKWINDOW"},
    {"window_scaled_in_syn",
     "the window of a SYN/ACK is scaled",
     "RFC 7323, section 2.2: the window of a SYN is never scaled"},
    {"window_sack_ignored",
     "SACK blocks do not move the acknowledged end",
     "tcp_sack(): a receiver with a hole acknowledges behind it"},
    // TCP: states, timeouts, status
    {"tcp_assured_early",
     "ASSURED is set by the reply of the handshake",
     "nf_conntrack_tcp_packet(): by the packet that leaves SYN_RECV; else a flood cannot be "
     "dropped"},
    {"tcp_timeout_of_old_state",
     "the timeout is the one of the state before the packet",
     "nf_conntrack_tcp_packet()"},
    {"tcp_syn_prolongs",
     "a repeated SYN without an answer prolongs the entry",
     "nf_conntrack_tcp_packet(): a client could keep an entry for ever"},
    {"tcp_rst_any_direction",
     "any side's RST lets a later SYN reopen the connection",
     "nf_conntrack_tcp_packet(): only the RST of the SYN's own side"},
    {"tcp_rst_believed",
     "a RST older than what was acknowledged closes the connection",
     "nf_conntrack_tcp_packet(): seq before td_maxack; RFC 5961, section 3"},
    {"tcp_rst_without_direction",
     "a RST that acknowledges a SYN of its own side is believed",
     "commit bed6e04be8e6 repaired it"},
    {"tcp_retrans_one_late",
     "one more retransmission is let pass before the timeout shrinks",
     "nf_conntrack_tcp_packet(): retrans >= nf_conntrack_tcp_max_retrans"},
    {"tcp_zero_window_unseen",
     "a window of 0 does not shorten the timeout",
     "nf_conntrack_tcp_packet(): last_win == 0, timeout RETRANS at most"},
    {"tcp_reset_entry_stays",
     "the sender's RST leaves an entry that nobody answered",
     "nf_conntrack_tcp_packet(): nf_ct_kill_acct()"},
    // The other protocols
    {"udp_stream_at_once",
     "a flow is a stream from its first reply on",
     "nf_conntrack_udp_packet(): two seconds, or queries and answers fill the table"},
    {"icmp_reply_begins", "an echo reply begins an entry", "nf_conntrack_icmp_packet(): valid_new"},
    {"icmpv6_nd_tracked",
     "neighbour discovery is INVALID in place of UNTRACKED",
     "nf_conntrack_icmpv6_error(), noct_valid_new"},
    {"sctp_tag_of_other_side",
     "a packet must carry the tag of the other side",
     "nf_conntrack_sctp_packet(): vtag[dir]"},
    {"sctp_init_prolongs",
     "a repeated INIT without an answer prolongs the entry",
     "nf_conntrack_sctp_packet(): a client could keep an entry for ever"},
    {"sctp_heartbeat_any_tag",
     "a HEARTBEAT may carry any tag and prolongs the entry",
     "nf_conntrack_sctp_packet(); RFC 9260, section 8.5"},
    {"gre_never_stream",
     "a flow that was answered keeps the short timeout",
     "nf_conntrack_gre_packet(): answered flows are streams"},
    {"udplite_no_coverage_refused",
     "a checksum coverage of 0 is refused",
     "RFC 3828, section 3.1: 0 means all"},
});

class fault_name {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): `planted("name")` is the whole point.
  consteval fault_name(std::string_view name) : at_(find(name)) {}
  template <std::size_t Size>
  // NOLINTNEXTLINE(google-explicit-constructor): as above.
  consteval fault_name(const char (&name)[Size]) : at_(find(name)) {}

  std::size_t at() const { return at_; }

 private:
  static consteval std::size_t find(std::string_view name) {
    for (std::size_t i = 0; i < planted_faults.size(); ++i) {
      if (planted_faults[i].name == name) return i;
    }
    throw "no such fault in planted_faults";
  }

  std::size_t at_;
};

#ifdef CT_FAULTS
inline constexpr std::size_t no_fault = planted_faults.size();
inline std::atomic<std::size_t> fault_in_force{no_fault};

inline bool planted(fault_name one) noexcept {
  // relaxed: set before any other thread begins.
  return fault_in_force.load(std::memory_order_relaxed) == one.at();
}
#else
constexpr bool planted(fault_name) noexcept { return false; }
#endif

/// 1 where that fault is planted, else 0.
inline std::uint32_t off_by_one(fault_name one) noexcept { return planted(one) ? 1 : 0; }

}  // namespace ct::core
