// SPDX-License-Identifier: BSD-2-Clause
/// What conform reads out of an IP packet for itself: which entry to ask about, which cell of a
/// table it exercises, and a line that describes it.
///
/// Shares nothing with the decoder that it helps to judge (impls/core/packet.h), and judges
/// nothing: a wrong reading costs coverage, not truth.
#pragma once

#include "spec/tuple.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace ct::harness::conform {

/// An IP header and what follows it, as far as it is there.
struct packet_reading {
  ct::l3num l3num = l3num::ipv4;
  address src{};
  address dst{};
  std::uint8_t protonum = 0;
  std::span<const std::byte> l4;  ///< to the end of the packet or of what is there
  bool is_fragment = false;
  bool is_later_fragment = false;
};

/// None: no IP header is there.
std::optional<packet_reading> read_packet(std::span<const std::byte> ip);

/// The tuple whose entry this packet concerns: its own, or for an ICMP error that of the packet
/// which it quotes. DCCP has ports in it where it is tracked; GRE of version 1 a call id.
std::optional<tuple> tuple_of(const packet_reading& packet, bool tracks_dccp = false);

/// The ICMP type, if it is one.
std::optional<std::uint8_t> icmp_type_of(const packet_reading& packet);
/// The flags of a TCP header, if it is there.
std::optional<std::uint8_t> tcp_flags_of(const packet_reading& packet);
/// The type of an SCTP packet's first chunk, if it is there.
std::optional<std::uint8_t> sctp_chunk_of(const packet_reading& packet);
/// The type of a DCCP packet, if its header is there.
std::optional<std::uint8_t> dccp_type_of(const packet_reading& packet);

/// Every address that the packet names, quoted ones too.
std::vector<address> addresses_of(std::span<const std::byte> ip);

/// Does a router send it on? Not where it ends (loopback, multicast, link-local, broadcast), nor
/// what has IPv4 options other than padding, which it might refuse.
bool is_forwarded(std::span<const std::byte> ip);

std::string text_of(const address& addr, ct::l3num family);
/// "10.0.0.1:1024 > 10.128.0.1:80 tcp SA seq 1 ack 2 win 3 len 0".
std::string describe(std::span<const std::byte> ip);

}  // namespace ct::harness::conform
