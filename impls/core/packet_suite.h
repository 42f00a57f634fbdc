// SPDX-License-Identifier: BSD-2-Clause
/// For tests below the ct system: packets by readable descriptions, decoded.
///
///     const packet pkt = build::view(ip_packet);   // the bytes must outlive it
#pragma once

#include "impls/core/packet.h"
#include "workloads/packet_builder.h"

#include <cstdint>
#include <cstdlib>

namespace ct::build {

/// The decoded packet of right IP bytes, which must outlive it.
inline core::packet view(const bytes& ip) {
  core::packet pkt;
  const auto wire_bytes = static_cast<std::uint32_t>(ip.size());
  if (core::decode_ip(ip, wire_bytes, pkt) != core::decode_status::ok) std::abort();
  return pkt;
}
core::packet view(const bytes&& ip) = delete;

}  // namespace ct::build

namespace ct::core {
namespace build = ct::build;
}
