// SPDX-License-Identifier: BSD-2-Clause
/// The nftables rules of the namespace: a packet's DSCP says on the way in what rules shall do with
/// it, and on the way out what connection tracking made of it.
///
/// DSCP has six bits. In: zone 0 to 3 in the low two, mark 0 (leave it) to 14 in the high four; 63
/// asks for no tracking. Out: an `outcome_code`. No tracker looks at DSCP, and the header's
/// checksum moves along. What the namespace itself would send (multicast reports, ICMP errors) is
/// dropped before it is tracked. Source: nft(8); nft_ct.c, Linux 6.18.
#pragma once

#include "spec/nf_conn.h"

#include <cstdint>
#include <optional>
#include <string>

namespace ct::live {

inline constexpr std::uint16_t zone_max = 3;
inline constexpr std::uint32_t mark_max = 14;
inline constexpr std::uint8_t untracked_request = 63;
static_assert((mark_max << 2 | zone_max) < untracked_request);

/// What to write into the DSCP of a packet with that zone and mark, both within their limits.
constexpr std::uint8_t request_code(std::uint16_t zone_id, std::uint32_t mark) {
  return static_cast<std::uint8_t>(mark << 2 | zone_id);
}

/// What the rules write: 1 + these, so that 0 is no answer.
std::optional<ctinfo> outcome_of(std::uint8_t code);

/// Both families, in nft's language.
std::string ruleset();

/// Loads the rules into the network namespace of the calling thread. Throws not_here.
void load_ruleset();

}  // namespace ct::live
