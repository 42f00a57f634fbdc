// SPDX-License-Identifier: BSD-2-Clause
/// GRE: one entry an address pair; of version 1 (PPTP) one a tunnel, told apart by call ids.
///
/// A PPTP packet names its receiver's call id; the sender's is asked of the netns' key map
/// (gre_keymap.h). Without a pair in that map the two directions of a tunnel are two entries.
/// Whatever is not version 1, or too short to say, has keys 0 and 0. Unreplied 30 s, replied 180 s
/// and ASSURED at once; an entry keeps the two times that its first packet found, since a helper
/// may give it others. No checksum is looked at. Source: gre_pkt_to_tuple(),
/// nf_conntrack_gre_packet(), Linux 6.18; RFC 2637 section 4.1.
#include "impls/core/nf_conn.h"
#include "impls/core/packet.h"
#include "impls/core/proto/gre_keymap.h"
#include "impls/core/proto/l4proto.h"
#include "impls/faults/planted.h"
#include "spec/nf_conn.h"
#include "spec/tuple.h"

#include <cstddef>
#include <cstdint>

namespace ct::core {
namespace {

constexpr std::size_t base_bytes = 4;   // flags and version, protocol
constexpr std::size_t pptp_bytes = 8;   // behind them payload length, call id
constexpr unsigned version_mask = 0x7;  // of flags and version
constexpr unsigned version_pptp = 1;
constexpr unsigned protocol_ppp = 0x880b;

bool pkt_to_tuple(const packet& pkt, const tuple_scope& scope, tuple& out) noexcept {
  out.src.id = 0;
  out.dst.id = 0;
  if (pkt.l4.size() < base_bytes) return true;
  if ((read_be16(pkt.l4, 0) & version_mask) != version_pptp) return true;
  if (pkt.l4.size() < pptp_bytes) return true;
  if (read_be16(pkt.l4, 2) != protocol_ppp) return false;
  out.dst.id = read_be16(pkt.l4, 6);
  if (scope.gre_keys != nullptr) out.src.id = scope.gre_keys->find(out);
  return true;
}

track handle(nf_conn& ct, const packet& pkt, track_context& context) noexcept {
  auto& gre = ct.proto.gre;
  // Written while the entry is private to this packet, and only read from confirm on: no lock.
  if (!ct.is_confirmed()) {
    gre = {.timeout = context.timeouts.gre_timeout,
           .stream_timeout = context.timeouts.gre_timeout_stream};
  }
  if (!ct.has(status::seen_reply)) {
    refresh_acct(ct, pkt, context, gre.timeout);
    return track::accept;
  }
  refresh_acct(ct, pkt, context, planted("gre_never_stream") ? gre.timeout : gre.stream_timeout);
  // The loser of a resolved clash times out soon, whatever it sees.
  if (!ct.has(status::nat_clash) && ct.set(status::assured)) ct.ecache.cache(event::assured);
  return track::accept;
}

bool can_early_drop(const nf_conn&) noexcept { return false; }

}  // namespace

const l4proto gre_l4proto = {
    .protonum = ipproto::gre,
    .name = "gre",
    .pkt_to_tuple = pkt_to_tuple,
    .invert = invert_ports,
    .handle = handle,
    .resolves_clash = true,
    .can_early_drop = can_early_drop,
};

}  // namespace ct::core
