// SPDX-License-Identifier: BSD-2-Clause
/// Every protocol without a tracker: one entry per address pair and protocol number, 600 s, no
/// ports.
///
/// Any packet is accepted and refreshes the entry, which never becomes ASSURED.
/// Source: the default branches of nf_ct_get_tuple(), nf_ct_invert_tuple() and
/// nf_conntrack_handle_packet(), generic_packet(), Linux 6.18.
#include "impls/core/nf_conn.h"
#include "impls/core/packet.h"
#include "impls/core/proto/l4proto.h"
#include "spec/tuple.h"

#include <cstdint>

namespace ct::core {
namespace {

bool pkt_to_tuple(const packet&, const tuple_scope&, tuple&) noexcept { return true; }

bool invert(const tuple&, tuple&) noexcept { return true; }

track handle(nf_conn& ct, const packet& pkt, track_context& context) noexcept {
  refresh_acct(ct, pkt, context, context.timeouts.generic_timeout);
  return track::accept;
}

bool can_early_drop(const nf_conn&) noexcept { return false; }

}  // namespace

const l4proto generic_l4proto = {
    .protonum = 255,  // reserved: stands for every number that is not listed
    .name = "unknown",
    .pkt_to_tuple = pkt_to_tuple,
    .invert = invert,
    .handle = handle,
    .resolves_clash = false,
    .can_early_drop = can_early_drop,
};

}  // namespace ct::core
