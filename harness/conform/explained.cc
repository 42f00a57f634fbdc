// SPDX-License-Identifier: BSD-2-Clause
/// The rows, one entry each.
#include "harness/conform/explained.h"

#include "harness/conform/packet_reading.h"
#include "spec/jiffies.h"

#include <algorithm>
#include <array>

namespace ct::harness::conform {
namespace {

/// Was it a FIN or RST that both refused?
bool is_refused_end(const difference& found, const walked_packet& packet) {
  constexpr unsigned fin_or_rst = 0x01 | 0x04;
  const auto reading = read_packet(packet.ip);
  const auto flags = reading ? tcp_flags_of(*reading) : std::nullopt;
  return flags && (*flags & fin_or_rst) != 0 && found.our_info == ctinfo::invalid &&
         found.their_info == ctinfo::invalid;
}

/// One system says that, to a second, the whole 120 s are left, and the other has shortened them.
/// At the end of a run, which may take some seconds, only the state tells what happened.
bool is_tick_at_120_s(const difference& found, const walked_packet* packet) {
  if (found.field != "timeout" || !found.our_entry || !found.their_entry) return false;
  const bool is_at_end = packet == nullptr;
  const auto is_waiting = [](const conn& c) { return c.tcp == tcp_state::time_wait; };
  if (is_at_end && (!is_waiting(*found.our_entry) || !is_waiting(*found.their_entry))) return false;
  if (!is_at_end && !is_refused_end(found, *packet)) return false;
  const auto [shortened, kept] =
      std::minmax(found.our_entry->timeout_jiffies, found.their_entry->timeout_jiffies);
  constexpr auto border = static_cast<std::int32_t>(seconds(120));
  const auto passed = static_cast<std::int32_t>(seconds(is_at_end ? 10 : 2));
  return kept <= border && kept > border - passed && shortened < border - passed;
}

constexpr std::array rows = {
    explanation{.id = "tick-at-120-s",
                .what = "a FIN or RST outside the window shortens a timeout of 120 s, or does not",
                .kernel = "any: two clocks",
                .covers = is_tick_at_120_s},
};

}  // namespace

std::span<const explanation> explanations() { return rows; }

const explanation* explain(const difference& found, const walked_packet* packet) {
  const auto row =
      std::ranges::find_if(rows, [&](const explanation& one) { return one.covers(found, packet); });
  return row == rows.end() ? nullptr : &*row;
}

}  // namespace ct::harness::conform
