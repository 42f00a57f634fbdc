// SPDX-License-Identifier: BSD-2-Clause
/// Checksums of arriving packets: whether they are right, where nobody knows yet.
///
/// Each answers true for a packet that is not unverified (packet::is_unverified, which
/// skb::ip_summed and nf_conntrack_checksum decide), and for one whose bytes are not all there: a
/// fragment, or a capture that was cut. A sum is right if everything that it covers, itself
/// included, adds up to all ones. Cost: a pass over the bytes, 8 at a time. Source: nf_checksum(),
/// nf_checksum_partial(), sctp_compute_cksum(), Linux 6.18; RFC 1071, RFC 8200 section 8.1, RFC
/// 9260 appendix A.
#pragma once

#include "impls/core/packet.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace ct::core {

/// What is_checksum_right() below asks of a packet that has to be verified.
[[nodiscard]] bool is_sum_right(const packet& pkt, std::uint8_t summed_protonum) noexcept;

/// Of layer 4, and the pseudo-header with that protocol number.
[[nodiscard]] inline bool is_checksum_right(const packet& pkt,
                                            std::uint8_t summed_protonum) noexcept {
  return !pkt.is_unverified || is_sum_right(pkt, summed_protonum);
}
/// Of its first `covered` bytes, be they all: UDP-Lite's and DCCP's. The length in the
/// pseudo-header is that of all of layer 4, but for IPv4 its low byte alone: Linux hands length and
/// protocol number over in the wrong order there, and the place of the number has 8 bits.
[[nodiscard]] bool is_partial_checksum_right(const packet& pkt,
                                             std::uint8_t summed_protonum,
                                             std::size_t covered) noexcept;
/// ICMP's, under IPv4: no pseudo-header.
[[nodiscard]] bool is_icmp_checksum_right(const packet& pkt) noexcept;
/// SCTP's.
[[nodiscard]] bool is_crc32c_right(const packet& pkt) noexcept;

/// The IPv4 header's own, whether the packet is unverified or not. IPv6 has none: true.
[[nodiscard]] bool is_ipv4_header_sum_right(const packet& pkt) noexcept;

/// CRC32c of `data`, as SCTP has it.
[[nodiscard]] std::uint32_t crc32c(std::span<const std::byte> data) noexcept;

}  // namespace ct::core
