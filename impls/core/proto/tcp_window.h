// SPDX-License-Identifier: BSD-2-Clause
/// TCP window tracking: does a segment fit what both sides have sent, acknowledged and allowed so
/// far?
///
/// For each sender the tracker keeps the end of its data, how far the receiver lets it go, and the
/// largest window it offered itself. A segment of sender S to receiver R is in the window when
///
///     I    seq  <= S.td_maxend                  not beyond what R allowed
///     II   end  >= S.td_end - R.td_maxwin       not older than a window
///     III  sack <= R.td_end                     acknowledges nothing unsent
///     IV   sack >= R.td_end - max(S.td_maxwin, 66000)
///
/// and then moves these bounds. Retransmissions (II, IV) are nobody's fault and pass without
/// effect; data beyond the window (I) and acknowledgements of unseen data (III) are invalid, but
/// for a small overshoot. Limit: no sequence adjustment by NAT. Source: tcp_in_window(),
/// tcp_init_sender(), tcp_new(), Linux 6.18; van Rooij, "Real Stateful TCP Packet Filtering in IP
/// Filter" (2001).
#pragma once

#include "impls/core/proto/tcp_data.h"
#include "impls/core/proto/tcp_segment.h"
#include "spec/tuple.h"

#include <cstdint>

namespace ct::core {

/// Where a segment lies.
enum class window_finding : std::uint8_t {
  in_window,     ///< all four conditions hold; the bounds were moved
  opening,       ///< the reply side's first SYN without ACK: nothing to compare with
  overshoot,     ///< I fails by no more than R's window, the others hold; S.td_end was moved
  seq_too_high,  ///< I fails
  ack_too_high,  ///< III fails
  seq_too_low,   ///< II fails
  ack_too_low,   ///< IV fails
};

/// What follows from it for the packet.
enum class window_result : std::uint8_t {
  accept,
  ignore,  ///< the packet is accepted, nothing else happens
  invalid,
};

constexpr window_result result_of(window_finding finding) {
  switch (finding) {
    case window_finding::in_window:
    case window_finding::opening:
      return window_result::accept;
    case window_finding::overshoot:
    case window_finding::seq_too_low:
    case window_finding::ack_too_low:
      return window_result::ignore;
    case window_finding::seq_too_high:
    case window_finding::ack_too_high:
      return window_result::invalid;
  }
  return window_result::invalid;
}

/// Writes the SYN's options over what is known of its sender; a header without options changes
/// nothing.
void apply_options(tcp_direction& sender, const tcp_segment& segment) noexcept;

/// A connection as its first packet, a SYN, shows it.
[[nodiscard]] tcp_data opened_by(const tcp_segment& syn) noexcept;

/// A connection picked up in its middle at an ACK: both sides are judged liberally from then on.
[[nodiscard]] tcp_data picked_up_at(const tcp_segment& ack) noexcept;

/// Compares a segment of direction `d` with the windows, and moves them. Reads `tcp.state` as it
/// was before the packet.
[[nodiscard]] window_finding check_window(tcp_data& tcp,
                                          dir d,
                                          const tcp_segment& segment) noexcept;

}  // namespace ct::core
