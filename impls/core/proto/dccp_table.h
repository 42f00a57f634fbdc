// SPDX-License-Identifier: BSD-2-Clause
/// The state machine of DCCP tracking as data: packet type x role of its sender x old state -> new
/// state.
///
/// Two cells are overruled in dccp.cc: `ignore` may be a new beginning that was not recognised.
/// dccp_table.tsv holds the 160 cells in words; dccp_test.cc compares them.
/// Source: dccp_state_table[][][], Linux 5.10 (the same to 6.14, which is the last to have it); RFC
/// 4340.
#pragma once

#include "impls/core/proto/dccp_data.h"
#include "spec/nf_conn.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace ct::core {

enum class dccp_role : std::uint8_t { client, server };

inline constexpr std::size_t dccp_state_count = 8;  // none to timewait: what an entry can be in
inline constexpr std::size_t dccp_type_count = 10;
static_assert(static_cast<std::size_t>(dccp_state::ignore) == dccp_state_count);
static_assert(static_cast<std::size_t>(dccp_type::syncack) + 1 == dccp_type_count);

namespace dccp_cells {
inline constexpr dccp_state rq = dccp_state::request;
inline constexpr dccp_state rs = dccp_state::respond;
inline constexpr dccp_state po = dccp_state::partopen;
inline constexpr dccp_state op = dccp_state::open;
inline constexpr dccp_state cr = dccp_state::closereq;
inline constexpr dccp_state cg = dccp_state::closing;
inline constexpr dccp_state tw = dccp_state::timewait;
inline constexpr dccp_state ig = dccp_state::ignore;   // accepted, state stays
inline constexpr dccp_state iv = dccp_state::invalid;  // refused

using row = std::array<dccp_state, dccp_state_count>;

/// [role][type][old state]
inline constexpr std::array<std::array<row, dccp_type_count>, 2> transitions = {{
    {{
        // clang-format off
        // client:     no  rq  rs  po  op  cr  cg  tw
        /* request  */ {rq, rq, rs, ig, ig, ig, ig, rq},
        /* response */ {iv, ig, ig, ig, ig, ig, ig, iv},
        /* data     */ {iv, iv, iv, iv, op, cr, cg, iv},
        /* ack      */ {iv, iv, po, po, op, cr, cg, iv},
        /* dataack  */ {iv, iv, po, po, op, cr, cg, iv},
        /* closereq */ {iv, iv, iv, iv, iv, iv, iv, iv},
        /* close    */ {iv, iv, iv, cg, cg, cg, iv, iv},
        /* reset    */ {iv, tw, tw, tw, tw, tw, tw, ig},
        /* sync     */ {iv, ig, ig, ig, ig, ig, ig, ig},
        /* syncack  */ {iv, ig, ig, ig, ig, ig, ig, ig},
    }},
    {{
        // server:     no  rq  rs  po  op  cr  cg  tw
        /* request  */ {iv, ig, ig, ig, ig, ig, ig, rq},
        /* response */ {iv, rs, rs, ig, ig, ig, ig, iv},
        /* data     */ {iv, iv, iv, op, op, iv, cg, iv},
        /* ack      */ {iv, iv, iv, op, op, iv, cg, iv},
        /* dataack  */ {iv, iv, iv, op, op, iv, cg, iv},
        /* closereq */ {iv, iv, iv, cr, cr, cr, cr, iv},
        /* close    */ {iv, iv, iv, cg, cg, iv, cg, iv},
        /* reset    */ {iv, tw, tw, tw, tw, tw, tw, tw},
        /* sync     */ {iv, ig, ig, ig, ig, ig, ig, ig},
        /* syncack  */ {iv, ig, ig, ig, ig, ig, ig, ig},
        // clang-format on
    }},
}};
}  // namespace dccp_cells

/// What the table says of a packet of this sender in state `old` (none to timewait).
constexpr dccp_state next_state(dccp_role sender, dccp_type type, dccp_state old) {
  return dccp_cells::transitions[static_cast<std::size_t>(sender)][static_cast<std::size_t>(type)]
                                [static_cast<std::size_t>(old)];
}

/// States of a connection on its way out: an ASSURED entry may be dropped early in them.
constexpr bool is_closing(dccp_state state) {
  return state == dccp_state::closereq || state == dccp_state::closing ||
         state == dccp_state::timewait;
}

}  // namespace ct::core
