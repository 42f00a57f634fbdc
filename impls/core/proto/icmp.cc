// SPDX-License-Identifier: BSD-2-Clause
/// ICMP queries: request and reply are inverse types of one identifier; 30 s, never ASSURED.
///
/// Every packet tests the entry's original type: a reply type that nothing asked for has an
/// inverse, but may not begin an entry. One reply does not end the entry, so that duplicates of it
/// still belong to it. Errors never come here; they are RELATED to what they quote (icmp_error.h).
/// Source: icmp_pkt_to_tuple(), nf_conntrack_invert_icmp_tuple(), nf_conntrack_icmp_packet(),
/// Linux 6.18.
#include "impls/core/nf_conn.h"
#include "impls/core/packet.h"
#include "impls/core/proto/l4proto.h"
#include "impls/faults/planted.h"
#include "spec/tuple.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace ct::core {
namespace {

constexpr std::size_t header_bytes = 8;

constexpr std::uint8_t echo_reply = 0;
constexpr std::uint8_t echo = 8;
constexpr std::uint8_t timestamp = 13;
constexpr std::uint8_t timestamp_reply = 14;
constexpr std::uint8_t info_request = 15;
constexpr std::uint8_t info_reply = 16;
constexpr std::uint8_t address_mask = 17;
constexpr std::uint8_t address_mask_reply = 18;

struct pair {
  std::uint8_t request;
  std::uint8_t reply;
};
constexpr std::array pairs = {
    pair{echo, echo_reply},
    pair{timestamp, timestamp_reply},
    pair{info_request, info_reply},
    pair{address_mask, address_mask_reply},
};

bool pkt_to_tuple(const packet& pkt, const tuple_scope&, tuple& out) noexcept {
  if (pkt.l4.size() < header_bytes) return false;
  out.src.id = read_be16(pkt.l4, 4);
  out.dst.id = read_be16(pkt.l4, 0);  // type << 8 | code
  return true;
}

bool invert(const tuple& in, tuple& out) noexcept {
  const std::uint8_t type = icmp_type(in);
  for (const pair& p : pairs) {
    if (type != p.request && type != p.reply) continue;
    out.src.id = in.src.id;
    out.dst.id = icmp_id(type == p.request ? p.reply : p.request, icmp_code(in));
    return true;
  }
  return false;
}

bool may_create(std::uint8_t type) {
  for (const pair& p : pairs) {
    if (type == p.request || (type == p.reply && planted("icmp_reply_begins"))) return true;
  }
  return false;
}

track handle(nf_conn& ct, const packet& pkt, track_context& context) noexcept {
  if (pkt.l3num != l3num::ipv4) return context.invalid("icmp: inside IPv6");
  if (!may_create(icmp_type(ct.tuple(dir::original)))) {
    return context.invalid("icmp: a reply that was not asked for");
  }
  refresh_acct(ct, pkt, context, context.timeouts.icmp_timeout);
  return track::accept;
}

bool can_early_drop(const nf_conn&) noexcept { return false; }

}  // namespace

const l4proto icmp_l4proto = {
    .protonum = ipproto::icmp,
    .name = "icmp",
    .pkt_to_tuple = pkt_to_tuple,
    .invert = invert,
    .handle = handle,
    .resolves_clash = false,
    .can_early_drop = can_early_drop,
};

}  // namespace ct::core
