// SPDX-License-Identifier: BSD-2-Clause
/// Whole conversations as Ethernet frames: what a packet benchmark replays when no capture is
/// given.
///
/// TCP flows shake hands, exchange requests and answers in sequence and close with FIN; UDP flows
/// ask and are answered. Headers, lengths and checksums are right, so that nothing is INVALID and
/// the outcome of every packet is known. Some flows are open at once and their packets alternate,
/// as on a link. Source: RFC 791, 793, 768, 8200, 1071. Limit: neither options, fragments nor loss;
/// captures have those.
#pragma once

#include "spec/ct_system.h"
#include "workloads/flows.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ct::workloads {

namespace tcp_flag {
inline constexpr std::uint8_t fin = 0x01;
inline constexpr std::uint8_t syn = 0x02;
inline constexpr std::uint8_t psh = 0x08;
inline constexpr std::uint8_t ack = 0x10;
}  // namespace tcp_flag

/// One packet of a conversation, before it is written as a frame.
struct segment {
  tuple flow{};  ///< of this packet's direction
  std::uint8_t flags = 0;
  std::uint32_t seq = 0;
  std::uint32_t ack = 0;
  std::uint32_t payload_bytes = 0;
};

/// Appends the frame of `what` to `out`. TCP and UDP.
void append_frame(const segment& what, std::vector<std::byte>& out);

struct traffic_options {
  std::uint64_t seed = 1;
  std::size_t flows = 600;
  std::size_t open_at_once = 64;
  flow_mix mix{};
};

/// Packets in memory; `packets` look into `bytes`, hence it moves but is not copied.
class traffic {
 public:
  explicit traffic(const traffic_options& options);
  traffic(traffic&&) = default;
  traffic& operator=(traffic&&) = default;

  std::span<const skb> packets() const { return packets_; }
  std::size_t flow_count() const { return flow_count_; }

 private:
  std::size_t flow_count_;
  std::vector<std::byte> bytes_;
  std::vector<skb> packets_;
};

}  // namespace ct::workloads
