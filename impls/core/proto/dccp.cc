// SPDX-License-Identifier: BSD-2-Clause
/// DCCP, as Linux 5.10 tracked it: the type of a packet and the role of its sender move the
/// connection through the table (dccp_table.h).
///
/// Off unless a system asks for it (system_options::dccp): Linux dropped this tracker after 6.14,
/// and DCCP is generic since. Sequence numbers are compared once, in the client's first ACK, which
/// makes the entry ASSURED; windows are not tracked. A RESET that is the first answer ends the
/// entry. A REQUEST that the table ignores may be a connection that begins anew; if a RESPONSE
/// answers it, it was. The server's REQUEST after the end of a connection turns the roles round.
/// Difference to the kernel: it reads numbers behind a header that is cut; here such a packet is
/// dropped, as in its later versions, and an acknowledgement that is not there acknowledges
/// nothing. Source: nf_conntrack_dccp_packet(), dccp_new(), dccp_error(), Linux 5.10; RFC 4340.
#include "impls/core/checksum.h"
#include "impls/core/nf_conn.h"
#include "impls/core/packet.h"
#include "impls/core/proto/dccp_data.h"
#include "impls/core/proto/dccp_table.h"
#include "impls/core/proto/l4proto.h"
#include "spec/nf_conn.h"
#include "spec/tuple.h"

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>

namespace ct::core {
namespace {

constexpr std::size_t header_bytes_min = 12;
constexpr std::size_t extended_header_bytes = 16;  // with 48-bit sequence numbers

struct dccp_packet {
  dccp_type type = dccp_type::request;
  std::uint64_t seq = 0;
  std::optional<std::uint64_t> ack{};
};

bool is_extended(const packet& pkt) { return (std::to_integer<unsigned>(pkt.l4[8]) & 1) != 0; }
std::size_t header_bytes(const packet& pkt) {
  return is_extended(pkt) ? extended_header_bytes : header_bytes_min;
}
bool is_header_cut(const packet& pkt) {
  return pkt.l4.size() < header_bytes_min || pkt.l4.size() < header_bytes(pkt);
}

/// Why the header is wrong, or nullptr. Requires: it is not cut.
const char* header_error(const packet& pkt) {
  const std::uint32_t data_offset = std::to_integer<std::uint32_t>(pkt.l4[4]) * 4;
  if (data_offset < header_bytes_min || data_offset > pkt.l4_bytes) {
    return "dccp: data offset is impossible";
  }
  const std::uint32_t coverage = std::to_integer<std::uint32_t>(pkt.l4[5]) & 0xf;
  if (coverage != 0 && (coverage - 1) * 4 > pkt.l4_bytes) {
    return "dccp: checksum coverage passes the end of the packet";
  }
  const std::size_t covered = coverage == 0 ? pkt.l4_bytes : (coverage - 1) * 4;
  if (!is_partial_checksum_right(pkt, ipproto::dccp, covered)) return "dccp: bad checksum";
  const unsigned type = std::to_integer<unsigned>(pkt.l4[8]) >> 1 & 0xf;
  return type < dccp_type_count ? nullptr : "dccp: reserved packet type";
}

/// Requires: header_error() found nothing.
dccp_packet read(const packet& pkt) {
  const std::span<const std::byte> l4 = pkt.l4;
  dccp_packet out;
  out.type = static_cast<dccp_type>(std::to_integer<unsigned>(l4[8]) >> 1 & 0xf);
  out.seq = is_extended(pkt)
                ? std::uint64_t{read_be16(l4, 10)} << 32 | read_be32(l4, 12)
                : std::uint64_t{std::to_integer<std::uint8_t>(l4[9])} << 16 | read_be16(l4, 10);
  const std::size_t at = header_bytes(pkt);
  if (l4.size() >= at + 8)
    out.ack = std::uint64_t{read_be16(l4, at + 2)} << 32 | read_be32(l4, at + 4);
  return out;
}

/// One packet on its entry; alive while the entry's lock is held.
struct judged {
  nf_conn& ct;
  dccp_data& dccp;
  const dccp_packet& seen;
  const dir d;

  dccp_role sender() const { return d == dccp.client ? dccp_role::client : dccp_role::server; }
};

/// Takes the first packet of an entry. nullptr, or why it cannot begin a connection.
const char* begin(nf_conn& ct, dccp_type type, const policy& settings) {
  const dccp_state to = next_state(dccp_role::client, type, dccp_state::none);
  if (to == dccp_state::invalid) return "dccp: does not begin a connection";
  // No cell of the table gets here: loose or not, only a REQUEST begins one.
  if (to != dccp_state::request && !settings.dccp_loose) {
    return "dccp: belongs to a connection that was not seen to begin";
  }
  ct.proto.dccp = dccp_data{};
  return nullptr;
}

/// Does a RESPONSE answer the REQUEST of the other side that was ignored just before? Then it was a
/// new beginning.
bool answers_ignored_request(const judged& j) {
  return j.dccp.last_dir == !j.d && j.dccp.last_type == dccp_type::request &&
         j.seen.type == dccp_type::response;
}

/// The rules beside the table; the state that results, which may be `ignore` or `invalid`.
dccp_state rule_on(judged& j) {
  const dccp_state from = j.dccp.state;
  const dccp_state to = next_state(j.sender(), j.seen.type, from);
  switch (to) {
    case dccp_state::request:
      if (from == dccp_state::timewait) j.dccp.client = j.d;
      return to;
    case dccp_state::respond:
      if (from == dccp_state::request) j.dccp.handshake_seq = j.seen.seq;
      return to;
    case dccp_state::partopen:
      // No event, unlike that of other trackers.
      if (from == dccp_state::respond && j.seen.type == dccp_type::ack &&
          j.seen.ack == j.dccp.handshake_seq) {
        j.ct.set(status::assured);
      }
      return to;
    case dccp_state::ignore:
      if (!answers_ignored_request(j)) return to;
      j.dccp.client = !j.d;
      j.dccp.handshake_seq = j.seen.seq;
      return dccp_state::respond;
    case dccp_state::none:
    case dccp_state::open:
    case dccp_state::closereq:
    case dccp_state::closing:
    case dccp_state::timewait:
    case dccp_state::invalid:
      return to;
  }
  return dccp_state::invalid;
}

track handle(nf_conn& ct, const packet& pkt, track_context& context) noexcept {
  if (is_header_cut(pkt)) {
    context.invalid("dccp: header is cut");
    return track::drop;
  }
  if (const char* const why = header_error(pkt); why != nullptr) return context.invalid(why);
  const dccp_packet seen = read(pkt);
  std::unique_lock lock(ct.lock);
  if (!ct.is_confirmed()) {
    const char* const why = begin(ct, seen.type, context.policy);
    if (why != nullptr) return context.invalid(why);
  }
  if (seen.type == dccp_type::reset && !ct.has(status::seen_reply)) {
    lock.unlock();
    count_acct(ct, pkt, context);
    // Lost against another kill: the entry is going all the same.
    (void)context.kill(ct);
    return track::accept;
  }
  judged j{.ct = ct, .dccp = ct.proto.dccp, .seen = seen, .d = context.dir()};
  const dccp_state from = j.dccp.state;
  const dccp_state to = rule_on(j);
  if (to == dccp_state::invalid) return context.invalid("dccp: impossible in this state");
  j.dccp.last_dir = j.d;
  j.dccp.last_type = seen.type;
  if (to == dccp_state::ignore) return track::accept;
  j.dccp.state = to;
  lock.unlock();
  if (from != to) ct.ecache.cache(event::protoinfo);
  refresh_acct(ct, pkt, context, context.timeouts.dccp_timeout[static_cast<std::size_t>(to)]);
  return track::accept;
}

bool can_early_drop(const nf_conn& ct) noexcept {
  const std::lock_guard guard(ct.lock);
  return is_closing(ct.proto.dccp.state);
}

}  // namespace

const l4proto dccp_l4proto = {
    .protonum = ipproto::dccp,
    .name = "dccp",
    .pkt_to_tuple = ports_to_tuple,
    .invert = invert_ports,
    .handle = handle,
    .resolves_clash = false,
    .can_early_drop = can_early_drop,
};

}  // namespace ct::core
