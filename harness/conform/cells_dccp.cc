// SPDX-License-Identifier: BSD-2-Clause
/// DCCP: role of the sender, type of packet, state; only of a system that tracks it, as Linux did
/// until 6.14. A packet counts whatever the tracker made of its offsets, coverage and checksum.
///
/// Of the 160 cells the 10 of the server in NONE cannot be reached: who begins is the client. A
/// RESET in REQUEST reaches the table only where an answer was seen before, that is, in an entry
/// that was in TIMEWAIT once; ahead of it, it ends the entry.
#include "harness/conform/cells.h"

namespace ct::harness::conform {
namespace {

constexpr std::array<std::string_view, 10> kinds = {"REQUEST",
                                                    "RESPONSE",
                                                    "DATA",
                                                    "ACK",
                                                    "DATAACK",
                                                    "CLOSEREQ",
                                                    "CLOSE",
                                                    "RESET",
                                                    "SYNC",
                                                    "SYNCACK"};
constexpr std::uint8_t reset = 7;

std::optional<cell> cell_of(const seen_packet& seen, const packet_reading& reading) {
  const auto type = dccp_type_of(reading);
  if (!type || *type >= kinds.size()) return std::nullopt;
  if (!seen.before) return cell{.kind = *type};
  const bool ends_entry = *type == reset && !seen.before->has(status::seen_reply);
  if (ends_entry) return std::nullopt;
  return cell{.sender = direction_of(seen) ^ index(seen.before->dccp_client),
              .kind = *type,
              .state = static_cast<std::size_t>(seen.before->dccp)};
}

}  // namespace

constinit const cell_table dccp_cells = {
    .name = "DCCP",
    .key = "dccp_cells",
    .senders = {"client", "server"},
    .kinds = kinds,
    .states = 8,
    .state_name = [](std::size_t state) { return name(static_cast<dccp_state>(state)); },
    .is_reachable = [](const cell& at) { return at.sender == 0 || at.state != 0; },
    .cell_of = cell_of,
    .is_tracked = [](const system_options& options) { return options.dccp; },
};

}  // namespace ct::harness::conform
