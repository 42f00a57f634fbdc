// SPDX-License-Identifier: BSD-2-Clause
/// UDP-Lite: unreplied 30 s; replied 120 s and ASSURED at once, without UDP's two seconds.
///
/// The length field says how many bytes the checksum covers, 0 for all. The kernel's pseudo-header
/// has UDP's number and not UDP-Lite's, so that right checksums are bad ones to it, and to us; and
/// in IPv4 the low byte of the length alone, so that those of 256 bytes and more are another time.
/// Linux 7.1 has no such tracker any more: UDP-Lite is generic there. Source:
/// nf_conntrack_udplite_packet(), udplite_error(), Linux 6.18; RFC 3828 section 3.1.
#include "impls/core/checksum.h"
#include "impls/core/nf_conn.h"
#include "impls/core/packet.h"
#include "impls/core/proto/l4proto.h"
#include "impls/faults/planted.h"
#include "spec/nf_conn.h"
#include "spec/tuple.h"

#include <cstddef>
#include <cstdint>

namespace ct::core {
namespace {

constexpr std::size_t header_bytes = 8;

/// Why the header is wrong, or nullptr.
const char* header_error(const packet& pkt) {
  if (pkt.l4.size() < header_bytes) return "udplite: header cut";
  const std::uint32_t coverage = read_be16(pkt.l4, 4);
  if ((coverage != 0 || planted("udplite_no_coverage_refused")) && coverage < header_bytes) {
    return "udplite: checksum coverage shorter than the header";
  }
  // As UDP's length: a first fragment may count what the later ones carry.
  if (coverage > pkt.l4_bytes && !pkt.is_fragment) {
    return "udplite: checksum coverage passes the end of the packet";
  }
  if (read_be16(pkt.l4, 6) == 0) return "udplite: no checksum";
  const std::size_t covered = coverage == 0 ? pkt.l4_bytes : coverage;
  if (!is_partial_checksum_right(pkt, ipproto::udp, covered)) return "udplite: bad checksum";
  return nullptr;
}

track handle(nf_conn& ct, const packet& pkt, track_context& context) noexcept {
  if (const char* why = header_error(pkt); why != nullptr) return context.invalid(why);
  if (!ct.has(status::seen_reply)) {
    refresh_acct(ct, pkt, context, context.timeouts.udp_timeout);
    return track::accept;
  }
  refresh_acct(ct, pkt, context, context.timeouts.udp_timeout_stream);
  // The loser of a resolved clash times out soon, whatever it sees.
  if (!ct.has(status::nat_clash) && ct.set(status::assured)) ct.ecache.cache(event::assured);
  return track::accept;
}

bool can_early_drop(const nf_conn&) noexcept { return false; }

}  // namespace

const l4proto udplite_l4proto = {
    .protonum = ipproto::udplite,
    .name = "udplite",
    .pkt_to_tuple = ports_to_tuple,
    .invert = invert_ports,
    .handle = handle,
    .resolves_clash = true,
    .can_early_drop = can_early_drop,
};

}  // namespace ct::core
