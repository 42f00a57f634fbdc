// SPDX-License-Identifier: BSD-2-Clause
/// The list of trackers, and what all of them share: tuples from packets, their inverses, refresh,
/// counting.
///
/// A protocol number finds its tracker under IPv4 and IPv6 alike, as in the kernel: ICMP inside
/// IPv6 has a tuple like any other, and its tracker refuses the packet. Source: nf_ct_get_tuple(),
/// nf_ct_invert_tuple(), nf_ct_l4proto_find(), __nf_ct_refresh_acct(), nf_ct_acct_add(),
/// Linux 6.18.
#include "impls/core/proto/l4proto.h"

#include "impls/core/nf_conn.h"
#include "impls/core/packet.h"
#include "impls/faults/planted.h"
#include "spec/tuple.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace ct::core {
namespace {

struct listed {
  std::uint8_t protonum;
  const l4proto* tracker;
};

/// One line a protocol.
constexpr std::array trackers = {
    listed{ipproto::tcp, &tcp_l4proto},
    listed{ipproto::udp, &udp_l4proto},
    listed{ipproto::icmp, &icmp_l4proto},
    listed{ipproto::gre, &gre_l4proto},
    listed{ipproto::icmpv6, &icmpv6_l4proto},
    listed{ipproto::sctp, &sctp_l4proto},
    listed{ipproto::udplite, &udplite_l4proto},
};

consteval l4proto_list list_trackers() {
  l4proto_list table{};
  table.fill(&generic_l4proto);
  for (const listed& l : trackers) table[l.protonum] = l.tracker;
  return table;
}

consteval l4proto_list with_dccp(l4proto_list table) {
  table[ipproto::dccp] = &dccp_l4proto;
  return table;
}

}  // namespace

constinit const l4proto_list default_l4protos = list_trackers();
constinit const l4proto_list dccp_l4protos = with_dccp(list_trackers());

bool get_tuple(const packet& pkt, tuple& out, const tuple_scope& scope) noexcept {
  if (!pkt.has_l4) return false;
  out = tuple{};
  out.src.addr = pkt.src;
  out.src.l3num = pkt.l3num;
  out.dst.addr = pkt.dst;
  out.dst.protonum = pkt.protonum;
  return find_l4proto(pkt.protonum, scope.l4protos).pkt_to_tuple(pkt, scope, out);
}

std::optional<tuple> invert_tuple(const tuple& in, const l4proto_list& among) noexcept {
  tuple out;
  out.src.addr = in.dst.addr;
  out.src.l3num = in.src.l3num;
  out.dst.addr = in.src.addr;
  out.dst.protonum = in.dst.protonum;
  out.dst.dir = !in.dst.dir;
  if (!find_l4proto(in.dst.protonum, among).invert(in, out)) return std::nullopt;
  return out;
}

bool ports_to_tuple(const packet& pkt, const tuple_scope&, tuple& out) noexcept {
  constexpr std::size_t port_bytes = 4;  // both ports: all that a tuple needs
  if (pkt.l4.size() < port_bytes) return false;
  out.src.id = read_be16(pkt.l4, 0);
  out.dst.id = read_be16(pkt.l4, 2);
  return true;
}

bool invert_ports(const tuple& in, tuple& out) noexcept {
  out.src.id = in.dst.id;
  out.dst.id = in.src.id;
  return true;
}

void refresh_acct(nf_conn& ct,
                  const packet& pkt,
                  track_context& context,
                  std::uint32_t timeout_jiffies) noexcept {
  if (!ct.has(status::fixed_timeout)) {
    const std::uint32_t timeout =
        ct.is_confirmed() ? context.now + timeout_jiffies : timeout_jiffies;
    // Most packets come in the same jiffy as the one before: the cache line then stays shared.
    // relaxed, load and store: a timeout stands for itself; of two packets at once either may win.
    if (ct.timeout.load(std::memory_order_relaxed) != timeout) {
      ct.timeout.store(timeout, std::memory_order_relaxed);  // relaxed: see above
    }
  }
  count_acct(ct, pkt, context);
}

void count_acct(nf_conn& ct, const packet& pkt, const track_context& context) noexcept {
  if (!ct.has_extension(ext::acct)) return;
  conn_counter& counter = ct.counters[index(context.dir())];
  counter.packets.fetch_add(1, std::memory_order_relaxed);  // relaxed: a statistic
  const std::uint64_t bytes = planted("counts_without_ip_header") ? pkt.l4_bytes : pkt.l3_bytes;
  counter.bytes.fetch_add(bytes, std::memory_order_relaxed);  // relaxed: a statistic
}

}  // namespace ct::core
