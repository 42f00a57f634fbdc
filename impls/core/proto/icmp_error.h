// SPDX-License-Identifier: BSD-2-Clause
/// ICMP and ICMPv6 messages ahead of the normal lookup: errors, which belong to the connection that
/// they quote, and what is not tracked at all.
///
/// Source: nf_conntrack_icmpv4_error(), nf_conntrack_icmpv6_error(), nf_conntrack_inet_error(),
/// Linux 6.18.
#pragma once

#include "impls/core/packet.h"
#include "impls/core/proto/l4proto.h"
#include "spec/tuple.h"

#include <cstdint>

namespace ct::core {

enum class icmp_class : std::uint8_t {
  query,      ///< echo and its like: tracked by its own tuple
  error,      ///< RELATED to the connection that `looked_up` finds
  untracked,  ///< neighbour discovery, multicast listener reports: no entry (ctinfo UNTRACKED)
  invalid,
};

struct icmp_message {
  icmp_class kind = icmp_class::query;
  tuple looked_up{};  ///< error: inverse of the quoted packet's tuple, as it must be in the table
  const char* reason = nullptr;  ///< invalid: why, a static string
};

/// Classifies an ICMP or ICMPv6 packet. The caller looks `looked_up` up, and checks that the tuple
/// found has the destination address of the error packet itself.
[[nodiscard]] icmp_message classify_icmp(const packet& pkt, const tuple_scope& scope = {}) noexcept;

}  // namespace ct::core
