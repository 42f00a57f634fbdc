// SPDX-License-Identifier: BSD-2-Clause
/// What the packets of a capture are made of: how many of each protocol and IP version.
///
/// Looks at link-layer and IP headers on its own, sharing nothing with the decoder that it sits in
/// judgement over; it counts and never decides anything.
#pragma once

#include "spec/ct_system.h"

#include <cstdint>

namespace ct::harness {

enum class transport : std::uint8_t { tcp, udp, icmp, icmpv6, other };

/// A frame as far as counting goes.
struct frame_kind {
  bool is_ip = false;
  l3num family = l3num::ipv4;
  harness::transport transport = harness::transport::other;
};

[[nodiscard]] frame_kind kind_of(const skb& packet) noexcept;

/// Packets by kind. tcp + udp + icmp + icmpv6 + other = ipv4 + ipv6; with not_ip that is every
/// packet.
struct protocol_mix {
  std::uint64_t tcp = 0;
  std::uint64_t udp = 0;
  std::uint64_t icmp = 0;
  std::uint64_t icmpv6 = 0;
  std::uint64_t other = 0;
  std::uint64_t ipv4 = 0;
  std::uint64_t ipv6 = 0;
  std::uint64_t not_ip = 0;
  std::uint64_t invalid = 0;    ///< of the IP packets: ctinfo INVALID
  std::uint64_t untracked = 0;  ///< of the IP packets: ctinfo UNTRACKED

  /// Counts a packet that has been through a system.
  void add(const skb& packet) noexcept;
};

}  // namespace ct::harness
