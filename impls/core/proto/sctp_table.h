// SPDX-License-Identifier: BSD-2-Clause
/// The state machine of SCTP tracking as data: chunk x direction x old state -> new state.
///
/// A chunk that is not listed keeps the state. The rules about verification tags, which stand
/// before the table, are in sctp.cc. Linux 6.0 and older has a tenth state (HEARTBEAT_ACKED) and
/// other cells. sctp_table.tsv holds the 198 cells in words; sctp_table_test.cc compares them.
/// Source: sctp_conntracks[][][], sctp_new_state(), Linux 6.18 (the same in 7.1); RFC 9260
/// section 3.2.
#pragma once

#include "spec/nf_conn.h"
#include "spec/tuple.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace ct::core {

/// Chunk types that the tracker knows.
namespace sctp_chunk_type {
inline constexpr std::uint8_t data = 0;
inline constexpr std::uint8_t init = 1;
inline constexpr std::uint8_t init_ack = 2;
inline constexpr std::uint8_t heartbeat = 4;
inline constexpr std::uint8_t heartbeat_ack = 5;
inline constexpr std::uint8_t abort = 6;
inline constexpr std::uint8_t shutdown = 7;
inline constexpr std::uint8_t shutdown_ack = 8;
inline constexpr std::uint8_t error = 9;
inline constexpr std::uint8_t cookie_echo = 10;
inline constexpr std::uint8_t cookie_ack = 11;
inline constexpr std::uint8_t shutdown_complete = 14;
}  // namespace sctp_chunk_type

inline constexpr std::size_t sctp_state_count = 9;  // none to heartbeat_sent
static_assert(static_cast<std::size_t>(sctp_state::max) == sctp_state_count);

namespace sctp_cells {
inline constexpr sctp_state no = sctp_state::none;
inline constexpr sctp_state cl = sctp_state::closed;
inline constexpr sctp_state cw = sctp_state::cookie_wait;
inline constexpr sctp_state ce = sctp_state::cookie_echoed;
inline constexpr sctp_state es = sctp_state::established;
inline constexpr sctp_state ss = sctp_state::shutdown_sent;
inline constexpr sctp_state sr = sctp_state::shutdown_recd;
inline constexpr sctp_state sa = sctp_state::shutdown_ack_sent;
inline constexpr sctp_state hs = sctp_state::heartbeat_sent;
inline constexpr sctp_state iv = sctp_state::max;  // invalid

struct row {
  std::uint8_t chunk;
  std::array<std::array<sctp_state, sctp_state_count>, 2> to;  // [dir][old state]
};

inline constexpr std::array<row, 11> rows = {{
    // clang-format off
    //                                      no  cl  cw  ce  es  ss  sr  sa  hs
    {sctp_chunk_type::init,              {{{cl, cl, cw, ce, es, cl, cl, sa, cw},
                                           {iv, cl, cw, ce, es, ss, sr, sa, iv}}}},
    {sctp_chunk_type::init_ack,          {{{cl, cl, cw, ce, es, ss, sr, sa, cl},
                                           {iv, cw, cw, ce, es, ss, sr, sa, iv}}}},
    {sctp_chunk_type::abort,             {{{cl, cl, cl, cl, cl, cl, cl, cl, cl},
                                           {iv, cl, cl, cl, cl, cl, cl, cl, iv}}}},
    {sctp_chunk_type::shutdown,          {{{cl, cl, cw, ce, ss, ss, sr, sa, cl},
                                           {iv, cl, cw, ce, sr, ss, sr, sa, iv}}}},
    {sctp_chunk_type::shutdown_ack,      {{{sa, cl, cw, ce, es, sa, sa, sa, sa},
                                           {iv, cl, cw, ce, es, sa, sa, sa, iv}}}},
    {sctp_chunk_type::error,             {{{cl, cl, cw, ce, es, ss, sr, sa, cl},
                                           {iv, cl, cw, cl, es, ss, sr, sa, iv}}}},
    {sctp_chunk_type::cookie_echo,       {{{cl, cl, ce, ce, es, ss, sr, sa, cl},
                                           {iv, cl, ce, ce, es, ss, sr, sa, iv}}}},
    {sctp_chunk_type::cookie_ack,        {{{cl, cl, cw, es, es, ss, sr, sa, cl},
                                           {iv, cl, cw, es, es, ss, sr, sa, iv}}}},
    {sctp_chunk_type::shutdown_complete, {{{cl, cl, cw, ce, es, ss, sr, cl, cl},
                                           {iv, cl, cw, ce, es, ss, sr, cl, iv}}}},
    {sctp_chunk_type::heartbeat,         {{{hs, cl, cw, ce, es, ss, sr, sa, hs},
                                           {iv, cl, cw, ce, es, ss, sr, sa, hs}}}},
    {sctp_chunk_type::heartbeat_ack,     {{{cl, cl, cw, ce, es, ss, sr, sa, hs},
                                           {iv, cl, cw, ce, es, ss, sr, sa, es}}}},
    // clang-format on
}};

inline constexpr std::uint8_t no_row = 0xff;
/// [chunk type]: its row.
inline constexpr std::array<std::uint8_t, 256> row_of_type = [] {
  std::array<std::uint8_t, 256> table{};
  table.fill(no_row);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    table[rows[i].chunk] = static_cast<std::uint8_t>(i);
  }
  return table;
}();
}  // namespace sctp_cells

/// What the table says of a chunk of this direction in state `old` (none to heartbeat_sent).
constexpr sctp_state next_state(dir d, std::uint8_t chunk, sctp_state old) {
  const std::uint8_t row = sctp_cells::row_of_type[chunk];
  if (row == sctp_cells::no_row) return old;
  return sctp_cells::rows[row].to[index(d)][static_cast<std::size_t>(old)];
}

/// States of an association on its way out: an ASSURED entry may be dropped early in them.
constexpr bool is_closing(sctp_state state) {
  switch (state) {
    case sctp_state::shutdown_sent:
    case sctp_state::shutdown_recd:
    case sctp_state::shutdown_ack_sent:
      return true;
    case sctp_state::none:
    case sctp_state::closed:
    case sctp_state::cookie_wait:
    case sctp_state::cookie_echoed:
    case sctp_state::established:
    case sctp_state::heartbeat_sent:
    case sctp_state::max:
      return false;
  }
  return false;
}

}  // namespace ct::core
