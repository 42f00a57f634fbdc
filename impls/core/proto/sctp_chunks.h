// SPDX-License-Identifier: BSD-2-Clause
/// The chunks of an SCTP packet, one after another, without a read behind its last byte.
///
/// A chunk begins where the one before it ends by its length, rounded up to four; what is left at
/// the end and too short for a chunk header is padding. Only the header's length moves the walk: a
/// chunk may claim more than there is. Source: for_each_sctp_chunk(), Linux 6.18; RFC 9260 section
/// 3.2.
#pragma once

#include "impls/core/packet.h"

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace ct::core {

inline constexpr std::size_t sctp_header_bytes = 12;  // ports, verification tag, checksum
inline constexpr std::size_t sctp_chunk_header_bytes = 4;

struct sctp_chunk {
  static constexpr std::uint8_t t_flag = 0x01;  ///< of ABORT and SHUTDOWN_COMPLETE

  std::uint8_t type = 0;
  std::uint8_t flags = 0;
  std::uint16_t length = 0;         ///< as the header says: itself included, padding not
  std::span<const std::byte> rest;  ///< what follows the header, to the end of the packet

  /// Of INIT and INIT_ACK: the tag that the peer has to send. None: the chunk is cut.
  std::optional<std::uint32_t> init_tag() const {
    constexpr std::size_t init_bytes = 16;  // tag, window, two stream counts, first number
    if (rest.size() < init_bytes) return std::nullopt;
    return read_be32(rest, 0);
  }
};

/// The chunk types in a packet.
using sctp_chunk_set = std::bitset<256>;

/// Calls `visit(chunk, number)` for each chunk, numbered from 0, until it returns false. Returns
/// false then, true if all were visited. `l4` begins with the header of SCTP.
template <class Visit>
bool for_each_sctp_chunk(std::span<const std::byte> l4, Visit&& visit) {
  std::size_t at = sctp_header_bytes;
  for (std::size_t number = 0; at + sctp_chunk_header_bytes <= l4.size(); ++number) {
    const sctp_chunk chunk = {.type = std::to_integer<std::uint8_t>(l4[at]),
                              .flags = std::to_integer<std::uint8_t>(l4[at + 1]),
                              .length = read_be16(l4, at + 2),
                              .rest = l4.subspan(at + sctp_chunk_header_bytes)};
    if (!visit(chunk, number)) return false;
    at += (chunk.length + std::size_t{3}) / 4 * 4;
  }
  return true;
}

}  // namespace ct::core
