// SPDX-License-Identifier: BSD-2-Clause
/// Packets into the namespace and out of it again: two TUN devices, and a router between them.
///
/// Every packet is written to the one and forwarded to the other, replies too: connection tracking
/// does not look at devices. Writing to a TUN device runs the whole of the stack before write(2)
/// returns, so that the packet lies there to be read, or is gone. When nothing lies there a marker
/// is sent behind it, which no rule tracks: if the marker comes back first, the packet was dropped.
/// That needs no time limit; the limit (reply_ms_max) is for a stack that does not answer at all.
/// What comes out and was not sent is ignored, by its addresses.
///
/// A packet that a router does not forward (multicast, link-local, loopback and the like) is
/// tracked and then dropped: no outcome can be known, callers leave it out. What differs from what
/// was given: DSCP (ruleset.h), a TTL below 2 becomes 64, a capture's cut packet is filled up with
/// zeros.
#pragma once

#include "impls/linux/private_netns.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace ct::live {

inline constexpr int reply_ms_max = 1000;

/// What became of a packet.
struct passage {
  bool came_back = false;
  std::uint8_t dscp = 0;   ///< if it came back
  bool is_broken = false;  ///< not even the marker came back: nothing is known
};

class packet_path {
 public:
  /// Makes the devices, routes and settings; the rules must be loaded besides. Throws not_here.
  explicit packet_path(const private_netns& net);

  /// Sends an IP packet; `ip_bytes` is its length by its header, of which `ip` may hold less.
  passage send(std::span<const std::byte> ip, std::size_t ip_bytes, std::uint8_t dscp) noexcept;

 private:
  static constexpr std::size_t packet_bytes_max = 65535 + 40;

  passage send_marker(std::span<const std::byte> sent) noexcept;
  bool is_own(std::span<const std::byte> sent) const noexcept;
  passage take() noexcept;
  bool wait_for_packet() const noexcept;
  bool read_packet() noexcept;

  descriptor in_;
  descriptor out_;
  std::array<std::byte, packet_bytes_max> sent_;
  std::array<std::byte, packet_bytes_max> came_;
  std::size_t came_bytes_ = 0;
};

/// Writes `dscp` into an IP header in place and raises a TTL that would end on the way. A header
/// checksum that was right stays right, one that was wrong stays wrong.
void prepare_header(std::span<std::byte> ip, std::uint8_t dscp) noexcept;

}  // namespace ct::live
