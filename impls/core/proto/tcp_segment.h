// SPDX-License-Identifier: BSD-2-Clause
/// A TCP header, read and checked: all that the tracker looks at of a packet.
///
/// Lengths are those of the headers, bytes those that were captured: of options that the capture
/// cut, what is there is read. Nothing here knows a connection. Source: tcp_error(),
/// segment_seq_plus_len(), tcp_options(), tcp_sack(), Linux 6.18; RFC 9293, RFC 7323, RFC 2018.
#pragma once

#include "impls/core/packet.h"
#include "impls/core/proto/tcp_data.h"
#include "impls/core/proto/tcp_table.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace ct::core {

/// Sequence numbers are compared by signed difference; right as long as they are less than 2^31
/// apart.
constexpr bool is_before(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::int32_t>(a - b) < 0;
}
constexpr bool is_after(std::uint32_t a, std::uint32_t b) { return is_before(b, a); }
/// At exactly 2^31 apart neither of these two holds.
constexpr bool is_at_most(std::uint32_t a, std::uint32_t b) { return is_before(a, b + 1); }
constexpr bool is_at_least(std::uint32_t a, std::uint32_t b) { return is_at_most(b, a); }

struct tcp_segment {
  std::uint32_t seq = 0;
  std::uint32_t ack = 0;     ///< the field, whether or not the ACK flag is set
  std::uint32_t end = 0;     ///< seq + payload, + 1 for SYN, + 1 for FIN
  std::uint16_t window = 0;  ///< the field, unscaled
  std::uint8_t flags = 0;    ///< tcp_header bits
  tcp_kind kind = tcp_kind::none;
  bool has_options = false;  ///< by its header's length; the capture may have none of them
  std::span<const std::byte> options;  ///< as captured

  bool has(std::uint8_t flag) const { return (flags & flag) != 0; }
};

/// What is wrong with a header.
enum class segment_status : std::uint8_t {
  ok,
  cut,         ///< fewer than 20 bytes are there
  bad_length,  ///< the header's length is below 20 or beyond the packet
  bad_flags,   ///< flags that no TCP sends together
};

/// Reads the TCP header of a packet; `out` is complete only when the answer is ok.
[[nodiscard]] segment_status read_segment(const packet& pkt, tcp_segment& out) noexcept;

/// Options of a SYN that concern tracking.
struct syn_options {
  bool window_scale = false;
  bool sack_permitted = false;
  std::uint8_t scale = 0;  ///< at most 14 (RFC 7323)
};

[[nodiscard]] syn_options read_syn_options(const tcp_segment& segment) noexcept;

/// The highest sequence number that the segment acknowledges: its ACK field, or a right edge of its
/// SACK blocks beyond it.
[[nodiscard]] std::uint32_t highest_sack(const tcp_segment& segment) noexcept;

}  // namespace ct::core
