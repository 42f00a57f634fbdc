// SPDX-License-Identifier: BSD-2-Clause
/// UDP: a flow is unreplied (30 s), replied (30 s), or, from its third second on, a stream (120 s,
/// ASSURED).
///
/// SEEN_REPLY is set after the tracker has judged the first reply; so the first packet that counts
/// as replied is the one after it, usually the third. A query with its answer thus never becomes a
/// stream, however often the answer is repeated within two seconds.
///
/// A checksum of 0 means that there is none, under IPv6 too. As in the kernel the sum runs over all
/// that IP carries, and not only as far as UDP's length goes.
///
/// Difference to the kernel: stream_ts has 32 bits here and a machine word there. An ASSURED flow
/// stays a stream, so that one which lives for 2^31 jiffies (99 days) does not fall back when the
/// difference wraps. Source: nf_conntrack_udp_packet(), udp_error(), Linux 6.18.
#include "impls/core/checksum.h"
#include "impls/core/nf_conn.h"
#include "impls/core/packet.h"
#include "impls/core/proto/l4proto.h"
#include "impls/faults/planted.h"
#include "spec/jiffies.h"
#include "spec/nf_conn.h"
#include "spec/tuple.h"

#include <cstddef>
#include <cstdint>

namespace ct::core {
namespace {

constexpr std::size_t header_bytes = 8;
constexpr std::uint32_t stream_after = seconds(2);

/// Why the header is wrong, or nullptr.
const char* header_error(const packet& pkt) {
  if (pkt.l4.size() < header_bytes) return "udp: header cut";
  const std::uint32_t length = read_be16(pkt.l4, 4);
  if (length < header_bytes) return "udp: length field shorter than the header";
  // The length field of a first fragment counts what the later ones carry. The kernel sees none of
  // them.
  if (length > pkt.l4_bytes && !pkt.is_fragment) {
    return "udp: length field passes the end of the packet";
  }
  if (read_be16(pkt.l4, 6) != 0 && !is_checksum_right(pkt, ipproto::udp)) {
    return "udp: bad checksum";
  }
  return nullptr;
}

track handle(nf_conn& ct, const packet& pkt, track_context& context) noexcept {
  if (const char* why = header_error(pkt); why != nullptr) return context.invalid(why);
  const timeouts& timeouts = context.timeouts;

  // Written while the entry is private to this packet, and only read from confirm on: no lock.
  if (!ct.is_confirmed()) ct.proto.udp.stream_ts = context.now + stream_after;

  if (!ct.has(status::seen_reply)) {
    refresh_acct(ct, pkt, context, timeouts.udp_timeout);
    return track::accept;
  }
  const bool is_stream = ct.has(status::assured) ||
                         jiffies_between(ct.proto.udp.stream_ts, context.now) > 0 ||
                         planted("udp_stream_at_once");
  refresh_acct(ct, pkt, context, is_stream ? timeouts.udp_timeout_stream : timeouts.udp_timeout);
  // The loser of a resolved clash times out soon, whatever it sees.
  if (is_stream && !ct.has(status::nat_clash) && ct.set(status::assured)) {
    ct.ecache.cache(event::assured);
  }
  return track::accept;
}

bool can_early_drop(const nf_conn&) noexcept { return false; }

}  // namespace

const l4proto udp_l4proto = {
    .protonum = ipproto::udp,
    .name = "udp",
    .pkt_to_tuple = ports_to_tuple,
    .invert = invert_ports,
    .handle = handle,
    .resolves_clash = true,
    .can_early_drop = can_early_drop,
};

}  // namespace ct::core
