// SPDX-License-Identifier: BSD-2-Clause
/// What the TCP tracker keeps of a connection: struct ip_ct_tcp.
///
/// Plain data, guarded by the entry's lock; the rules that write it are in tcp.cc.
/// Source: include/linux/netfilter/nf_conntrack_tcp.h, Linux 6.18.
#pragma once

#include "spec/nf_conn.h"

#include <array>
#include <cstdint>

namespace ct::core {

/// Bits of tcp_direction::flags; the last two of tcp_data::last_flags only.
namespace tcp_flag {
inline constexpr std::uint8_t window_scale = 0x01;
inline constexpr std::uint8_t sack_perm = 0x02;
inline constexpr std::uint8_t close_init = 0x04;  ///< this side sent the first FIN
inline constexpr std::uint8_t be_liberal = 0x08;
inline constexpr std::uint8_t data_unacknowledged = 0x10;
inline constexpr std::uint8_t maxack_set = 0x20;
inline constexpr std::uint8_t expect_challenge_ack = 0x40;
inline constexpr std::uint8_t simultaneous_open = 0x80;
}  // namespace tcp_flag

/// Packet kinds, the columns of the transition table.
enum class tcp_kind : std::uint8_t { syn, synack, fin, ack, rst, none };

/// What is known of one sender; sequence numbers wrap and are compared by signed difference.
struct tcp_direction {
  std::uint32_t td_end = 0;     ///< highest sequence number sent, plus one
  std::uint32_t td_maxend = 0;  ///< highest that the receiver allowed
  std::uint32_t td_maxwin = 0;  ///< largest window advertised, scaled
  std::uint32_t td_maxack = 0;  ///< highest acknowledgement sent
  std::uint8_t td_scale = 0;
  std::uint8_t flags = 0;
};

struct tcp_data {
  std::array<tcp_direction, 2> seen{};  ///< [dir]
  tcp_state state = tcp_state::none;
  // What the last packet was: for retransmissions, simultaneous opens and resynchronisation.
  dir last_dir = dir::original;
  std::uint8_t retrans = 0;
  tcp_kind last_index = tcp_kind::none;
  std::uint32_t last_seq = 0;
  std::uint32_t last_ack = 0;
  std::uint32_t last_end = 0;
  std::uint16_t last_win = 0;  ///< unscaled
  std::uint8_t last_wscale = 0;
  std::uint8_t last_flags = 0;
};

}  // namespace ct::core
