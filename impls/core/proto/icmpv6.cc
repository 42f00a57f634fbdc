// SPDX-License-Identifier: BSD-2-Clause
/// ICMPv6 queries: echo and node information; 30 s, never ASSURED.
///
/// Like ICMP, but the test whether a type may begin an entry is made only while the entry is
/// unconfirmed. Errors and neighbour discovery never come here (icmp_error.h). Source:
/// icmpv6_pkt_to_tuple(), nf_conntrack_invert_icmpv6_tuple(), nf_conntrack_icmpv6_packet(), Linux
/// 6.18.
#include "impls/core/nf_conn.h"
#include "impls/core/packet.h"
#include "impls/core/proto/l4proto.h"
#include "spec/tuple.h"

#include <cstddef>
#include <cstdint>

namespace ct::core {
namespace {

constexpr std::size_t header_bytes = 8;

constexpr std::uint8_t echo_request = 128;
constexpr std::uint8_t echo_reply = 129;
constexpr std::uint8_t node_information_query = 139;
constexpr std::uint8_t node_information_reply = 140;

bool pkt_to_tuple(const packet& pkt, const tuple_scope&, tuple& out) noexcept {
  if (pkt.l4.size() < header_bytes) return false;
  out.src.id = read_be16(pkt.l4, 4);
  out.dst.id = read_be16(pkt.l4, 0);  // type << 8 | code
  return true;
}

/// 0 where there is none: no type maps to 0.
constexpr std::uint8_t inverse_type(std::uint8_t type) {
  switch (type) {
    case echo_request:
      return echo_reply;
    case echo_reply:
      return echo_request;
    case node_information_query:
      return node_information_reply;
    case node_information_reply:
      return node_information_query;
    default:
      return 0;
  }
}

bool invert(const tuple& in, tuple& out) noexcept {
  const std::uint8_t type = inverse_type(icmp_type(in));
  if (type == 0) return false;
  out.src.id = in.src.id;
  out.dst.id = icmp_id(type, icmp_code(in));
  return true;
}

constexpr bool may_create(std::uint8_t type) {
  return type == echo_request || type == node_information_query;
}

track handle(nf_conn& ct, const packet& pkt, track_context& context) noexcept {
  if (pkt.l3num != l3num::ipv6) return context.invalid("icmpv6: inside IPv4");
  if (!ct.is_confirmed() && !may_create(icmp_type(ct.tuple(dir::original)))) {
    return context.invalid("icmpv6: a reply that was not asked for");
  }
  refresh_acct(ct, pkt, context, context.timeouts.icmpv6_timeout);
  return track::accept;
}

bool can_early_drop(const nf_conn&) noexcept { return false; }

}  // namespace

const l4proto icmpv6_l4proto = {
    .protonum = ipproto::icmpv6,
    .name = "icmpv6",
    .pkt_to_tuple = pkt_to_tuple,
    .invert = invert,
    .handle = handle,
    .resolves_clash = false,
    .can_early_drop = can_early_drop,
};

}  // namespace ct::core
