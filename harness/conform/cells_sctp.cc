// SPDX-License-Identifier: BSD-2-Clause
/// SCTP: direction, first chunk of the packet, state. A chunk with a wrong verification tag never
/// reaches the table, so that a packet counts only if it was accepted or if the table is what
/// refuses it: replies in HEARTBEAT_SENT other than HEARTBEAT and HEARTBEAT_ACK. (A HEARTBEAT with
/// a strange tag is accepted beside the table; it counts. Chunks that follow another are not seen.)
///
/// Of the 198 cells 14 cannot be reached: the 11 of the reply direction in NONE, since an entry
/// that has seen a packet is in another state; and ABORT, SHUTDOWN_COMPLETE and COOKIE_ACK as first
/// packet, which are refused ahead of the table, since no association begins with them.
#include "harness/conform/cells.h"

#include <algorithm>

namespace ct::harness::conform {
namespace {

struct chunk_kind {
  std::uint8_t type;
  bool begins;  ///< may be in an entry's first packet
};
constexpr std::array<chunk_kind, 11> chunks = {{{1, true},
                                                {2, true},
                                                {6, false},
                                                {7, true},
                                                {8, true},
                                                {9, true},
                                                {10, true},
                                                {11, false},
                                                {14, false},
                                                {4, true},
                                                {5, true}}};
constexpr std::array<std::string_view, chunks.size()> kinds = {"INIT",
                                                               "INIT_ACK",
                                                               "ABORT",
                                                               "SHUTDOWN",
                                                               "SHUTDOWN_ACK",
                                                               "ERROR",
                                                               "COOKIE_ECHO",
                                                               "COOKIE_ACK",
                                                               "SHUTDOWN_COMPLETE",
                                                               "HEARTBEAT",
                                                               "HEARTBEAT_ACK"};

constexpr auto heartbeat_sent = static_cast<std::size_t>(sctp_state::heartbeat_sent);

/// Does the table refuse it? (So it does all in NONE that cannot be reached.)
bool is_refused(const cell& at) {
  const bool is_heartbeat = chunks[at.kind].type == 4 || chunks[at.kind].type == 5;
  return at.sender == 1 && at.state == heartbeat_sent && !is_heartbeat;
}

std::optional<cell> cell_of(const seen_packet& seen, const packet_reading& reading) {
  const auto type = sctp_chunk_of(reading);
  if (!type) return std::nullopt;
  const auto found = std::ranges::find(chunks, *type, &chunk_kind::type);
  if (found == chunks.end()) return std::nullopt;
  const cell at = {.sender = direction_of(seen),
                   .kind = static_cast<std::size_t>(found - chunks.begin()),
                   .state = seen.before ? static_cast<std::size_t>(seen.before->sctp) : 0};
  const bool is_accepted =
      seen.our_skb.verdict == verdict::accept && seen.our_skb.info != ctinfo::invalid;
  return is_accepted != is_refused(at) ? std::optional(at) : std::nullopt;
}

}  // namespace

constinit const cell_table sctp_cells = {
    .name = "SCTP",
    .key = "sctp_cells",
    .senders = {"original", "reply"},
    .kinds = kinds,
    .states = 9,
    .state_name = [](std::size_t state) { return name(static_cast<sctp_state>(state)); },
    .is_reachable =
        [](const cell& at) { return at.state != 0 || (at.sender == 0 && chunks[at.kind].begins); },
    .cell_of = cell_of,
    .is_tracked = [](const system_options&) { return true; },
};

}  // namespace ct::harness::conform
