// SPDX-License-Identifier: BSD-2-Clause
/// The state machine of TCP tracking as data: packet kind x direction x old state -> new state.
///
/// The table is the first word on a packet, not the last: `ignore` and `max` (invalid) are values
/// of it, and the rules of tcp.cc may overrule a cell. Same table in every kernel from 5.10 to 7.1.
/// tcp_table.tsv holds the 120 cells in words; tcp_table_test.cc compares them.
/// Source: tcp_conntracks[][][], get_conntrack_index(), tcp_valid_flags[], Linux 6.18.
#pragma once

#include "impls/core/proto/tcp_data.h"
#include "spec/nf_conn.h"
#include "spec/tuple.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace ct::core {

/// Flag bits of a TCP header's byte 13.
namespace tcp_header {
inline constexpr std::uint8_t fin = 0x01;
inline constexpr std::uint8_t syn = 0x02;
inline constexpr std::uint8_t rst = 0x04;
inline constexpr std::uint8_t psh = 0x08;
inline constexpr std::uint8_t ack = 0x10;
inline constexpr std::uint8_t urg = 0x20;
inline constexpr std::uint8_t ece = 0x40;
inline constexpr std::uint8_t cwr = 0x80;
}  // namespace tcp_header

inline constexpr std::size_t tcp_state_count = 10;  // none to syn_sent2: what an entry can be in
inline constexpr std::size_t tcp_kind_count = 6;
static_assert(static_cast<std::size_t>(tcp_state::max) == tcp_state_count);
static_assert(static_cast<std::size_t>(tcp_kind::none) + 1 == tcp_kind_count);

/// The kind of a packet; the first flag that matches decides, RST before SYN before FIN before ACK.
constexpr tcp_kind kind_of(std::uint8_t flags) {
  if ((flags & tcp_header::rst) != 0) return tcp_kind::rst;
  if ((flags & tcp_header::syn) != 0) {
    return (flags & tcp_header::ack) != 0 ? tcp_kind::synack : tcp_kind::syn;
  }
  if ((flags & tcp_header::fin) != 0) return tcp_kind::fin;
  return (flags & tcp_header::ack) != 0 ? tcp_kind::ack : tcp_kind::none;
}

/// Is this a set of flags that a TCP sends? PSH, ECE and CWR may join any; URG only what may carry
/// data, and SYN.
constexpr bool are_valid_flags(std::uint8_t flags) {
  using tcp_header::ack, tcp_header::fin, tcp_header::rst, tcp_header::syn, tcp_header::urg;
  switch (flags & (fin | syn | rst | ack | urg)) {
    case syn:
    case syn | urg:
    case syn | ack:
    case rst:
    case rst | ack:
    case fin | ack:
    case fin | ack | urg:
    case ack:
    case ack | urg:
      return true;
    default:
      return false;
  }
}

namespace tcp_cells {
inline constexpr tcp_state no = tcp_state::none;
inline constexpr tcp_state ss = tcp_state::syn_sent;
inline constexpr tcp_state sr = tcp_state::syn_recv;
inline constexpr tcp_state es = tcp_state::established;
inline constexpr tcp_state fw = tcp_state::fin_wait;
inline constexpr tcp_state cw = tcp_state::close_wait;
inline constexpr tcp_state la = tcp_state::last_ack;
inline constexpr tcp_state tw = tcp_state::time_wait;
inline constexpr tcp_state cl = tcp_state::close;
inline constexpr tcp_state s2 = tcp_state::syn_sent2;
inline constexpr tcp_state iv = tcp_state::max;     // invalid
inline constexpr tcp_state ig = tcp_state::ignore;  // accepted, state stays

using row = std::array<tcp_state, tcp_state_count>;

/// [dir][kind][old state]
inline constexpr std::array<std::array<row, tcp_kind_count>, 2> transitions = {{
    {{
        // clang-format off
        // original: no  ss  sr  es  fw  cw  la  tw  cl  s2
        /* syn    */ {ss, ss, ig, ig, ig, ig, ig, ss, ss, s2},
        /* synack */ {iv, iv, sr, iv, iv, iv, iv, iv, iv, sr},
        /* fin    */ {iv, iv, fw, fw, la, la, la, tw, cl, iv},
        /* ack    */ {es, iv, es, es, cw, cw, tw, tw, cl, iv},
        /* rst    */ {iv, cl, cl, cl, cl, cl, cl, cl, cl, cl},
        /* none   */ {iv, iv, iv, iv, iv, iv, iv, iv, iv, iv},
    }},
    {{
        // reply:    no  ss  sr  es  fw  cw  la  tw  cl  s2
        /* syn    */ {iv, s2, iv, iv, iv, iv, iv, ss, iv, s2},
        /* synack */ {iv, sr, ig, ig, ig, ig, ig, ig, ig, sr},
        /* fin    */ {iv, iv, fw, fw, la, la, la, tw, cl, iv},
        /* ack    */ {iv, ig, sr, es, cw, cw, tw, tw, cl, ig},
        /* rst    */ {iv, cl, cl, cl, cl, cl, cl, cl, cl, cl},
        /* none   */ {iv, iv, iv, iv, iv, iv, iv, iv, iv, iv},
        // clang-format on
    }},
}};
}  // namespace tcp_cells

/// What the table says of a packet of this kind and direction on an entry in state `old` (none to
/// syn_sent2).
constexpr tcp_state next_state(dir d, tcp_kind kind, tcp_state old) {
  return tcp_cells::transitions[index(d)][static_cast<std::size_t>(kind)]
                               [static_cast<std::size_t>(old)];
}

/// States of a connection on its way out: an ASSURED entry may be dropped early in them, and a RST
/// is believed without a look at its numbers (the tuple may be in use again already).
constexpr bool is_closing(tcp_state state) {
  switch (state) {
    case tcp_state::fin_wait:
    case tcp_state::close_wait:
    case tcp_state::last_ack:
    case tcp_state::time_wait:
    case tcp_state::close:
      return true;
    case tcp_state::none:
    case tcp_state::syn_sent:
    case tcp_state::syn_recv:
    case tcp_state::established:
    case tcp_state::syn_sent2:
    case tcp_state::max:
    case tcp_state::ignore:
      return false;
  }
  return false;
}

}  // namespace ct::core
