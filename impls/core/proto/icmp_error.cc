// SPDX-License-Identifier: BSD-2-Clause
/// Sorts ICMP and ICMPv6 messages into queries, errors, untracked and invalid ones, and reads what
/// errors quote.
///
/// An error carries the head of the packet that caused it, as that packet was on the wire: an entry
/// knows it by the inverse of its tuple, from the side that receives the error. Position alone
/// finds the quoted headers; their version and lengths are not checked (decode_quoted_ip).
///
/// Checksums come first: a wrong one makes neighbour discovery INVALID, too.
///
/// An ICMPv6 redirect is an error only with code 0 and a Redirected Header as its first option.
/// Otherwise it goes the way of a query, where no redirect can be tracked, for its type has no
/// inverse: INVALID as well, but not counted as an error. Source: nf_conntrack_icmpv4_error(),
/// nf_conntrack_icmpv6_error(), nf_conntrack_icmpv6_redirect(), nf_conntrack_inet_error(),
/// Linux 6.18; RFC 4861 section 4.5 and 4.6.3.
#include "impls/core/proto/icmp_error.h"

#include "impls/core/checksum.h"
#include "impls/core/packet.h"
#include "impls/core/proto/l4proto.h"
#include "impls/faults/planted.h"
#include "spec/tuple.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace ct::core {
namespace {

constexpr std::size_t header_bytes = 8;  // of ICMP and ICMPv6 alike
constexpr std::uint8_t icmp_type_max = 18;

icmp_message invalid(const char* why) {
  return {.kind = icmp_class::invalid, .looked_up = {}, .reason = why};
}

icmp_message of_kind(icmp_class kind) { return {.kind = kind, .looked_up = {}, .reason = nullptr}; }

/// The entry that a quoted packet belongs to.
icmp_message quoted_error(std::span<const std::byte> quoted,
                          ct::l3num family,
                          const tuple_scope& scope) {
  packet inner;
  tuple inner_tuple;
  if (!decode_quoted_ip(quoted, family, inner) || !get_tuple(inner, inner_tuple, scope)) {
    return invalid("icmp: quoted packet cut, a later fragment, or without layer 4");
  }
  const std::optional<tuple> inverse = invert_tuple(inner_tuple, scope.l4protos);
  if (!inverse) return invalid("icmp: quoted packet cannot belong to a connection");
  return {.kind = icmp_class::error, .looked_up = *inverse, .reason = nullptr};
}

constexpr bool is_error_type(std::uint8_t type) {
  switch (type) {
    case 3:   // destination unreachable
    case 4:   // source quench
    case 5:   // redirect
    case 11:  // time exceeded
    case 12:  // parameter problem
      return true;
    default:
      return false;
  }
}

icmp_message classify_v4(const packet& pkt, const tuple_scope& scope) {
  if (pkt.l4.size() < header_bytes) return invalid("icmp: header cut");
  if (!is_icmp_checksum_right(pkt)) return invalid("icmp: bad checksum");
  const auto type = std::to_integer<std::uint8_t>(pkt.l4[0]);
  if (type > icmp_type_max) return invalid("icmp: unknown type");
  if (!is_error_type(type)) return of_kind(icmp_class::query);
  return quoted_error(pkt.l4.subspan(header_bytes), l3num::ipv4, scope);
}

/// What a network says about itself belongs to no connection.
constexpr bool is_untracked_type(std::uint8_t type) {
  switch (type) {
    case 130:  // multicast listener query
    case 131:  // multicast listener report
    case 132:  // multicast listener done
    case 133:  // router solicitation
    case 134:  // router advertisement
    case 135:  // neighbour solicitation
    case 136:  // neighbour advertisement
    case 143:  // multicast listener report, version 2
    case 151:  // multicast router advertisement
    case 152:  // multicast router solicitation
      return true;
    default:
      return false;
  }
}

constexpr std::uint8_t redirect_type = 137;
constexpr std::size_t redirect_bytes = header_bytes + 16 + 16;  // target and destination address
constexpr std::size_t option_header_bytes = 2;                  // type, length in units of 8 bytes
constexpr std::uint8_t redirected_header_option = 4;
constexpr std::size_t redirected_packet_offset = 8;  // in that option, behind 6 reserved bytes

/// fe80::/10
bool is_link_local(const address& addr) { return addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80; }

icmp_message classify_redirect(const packet& pkt, const tuple_scope& scope) {
  if (pkt.l4.size() < redirect_bytes) return invalid("icmpv6: redirect cut");
  if (std::to_integer<std::uint8_t>(pkt.l4[1]) != 0) return of_kind(icmp_class::query);
  // A router on this link sent it: nobody else's packet arrives with 255 hops left.
  if (pkt.hop_limit != 255) return invalid("icmpv6: redirect with a hop limit that is not 255");
  if (!is_link_local(pkt.src))
    return invalid("icmpv6: redirect from an address that is not link-local");

  const std::span<const std::byte> option = pkt.l4.subspan(redirect_bytes);
  if (option.size() < option_header_bytes || option[1] == std::byte{0}) {
    return invalid("icmpv6: redirect without options");
  }
  if (std::to_integer<std::uint8_t>(option[0]) != redirected_header_option) {
    return of_kind(icmp_class::query);
  }
  if (option.size() < redirected_packet_offset) return invalid("icmpv6: redirected header cut");
  return quoted_error(option.subspan(redirected_packet_offset), l3num::ipv6, scope);
}

icmp_message classify_v6(const packet& pkt, const tuple_scope& scope) {
  if (pkt.l4.size() < header_bytes) return invalid("icmpv6: header cut");
  if (!is_checksum_right(pkt, ipproto::icmpv6)) return invalid("icmpv6: bad checksum");
  const auto type = std::to_integer<std::uint8_t>(pkt.l4[0]);
  if (is_untracked_type(type) && !planted("icmpv6_nd_tracked")) {
    return of_kind(icmp_class::untracked);
  }
  if (type == redirect_type) return classify_redirect(pkt, scope);
  if (type >= 128) return of_kind(icmp_class::query);
  return quoted_error(pkt.l4.subspan(header_bytes), l3num::ipv6, scope);
}

}  // namespace

icmp_message classify_icmp(const packet& pkt, const tuple_scope& scope) noexcept {
  if (!pkt.has_l4) return of_kind(icmp_class::query);  // which then has no tuple
  if (pkt.l3num == l3num::ipv4 && pkt.protonum == ipproto::icmp) return classify_v4(pkt, scope);
  if (pkt.l3num == l3num::ipv6 && pkt.protonum == ipproto::icmpv6) return classify_v6(pkt, scope);
  // ICMP inside the other IP: a tuple like any other, which its tracker then refuses.
  return of_kind(icmp_class::query);
}

}  // namespace ct::core
