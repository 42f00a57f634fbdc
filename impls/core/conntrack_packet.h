// SPDX-License-Identifier: BSD-2-Clause
/// Bodies of conntrack: a packet's way, from its bytes to its ctinfo.
#pragma once

#include "impls/core/conntrack.h"
#include "impls/faults/planted.h"

namespace ct::core {

/// What a tracker may ask of the core while it judges a packet.
template <ct::table Table>
class conntrack<Table>::context final : public track_context {
 public:
  context(conntrack& owner, cpu_state& cpu, const nf_conn& ct, ctinfo packet_info)
      : track_context(ct.net->policy, timeouts_of(ct, ct.net->policy), owner.now(), packet_info),
        owner_(owner),
        cpu_(cpu) {}

  bool kill(nf_conn& ct) override { return owner_.kill_found(cpu_, ct); }

 private:
  conntrack& owner_;
  cpu_state& cpu_;
};

/// False: it is a fragment that waits or was dropped. Source: nf_defrag_ipv4,
/// nf_defrag_ipv6, at their hooks of priority -400, Linux 6.18.
template <ct::table Table>
bool conntrack<Table>::defragment(skb& s, parsed_packet& out) noexcept {
  const char* reason = nullptr;
  switch (
      defrag_.add(out.pkt, s.net, s.zone.id, std::max(s.jiffies64, jiffies64()), s.whole, reason)) {
    case defrag_outcome::whole:
      out.status = decode_ip(*s.whole, static_cast<std::uint32_t>(s.whole->size()), out.pkt);
      out.pkt.is_fragment = false;  // another fragment header would be nobody's any more
      return out.status == decode_status::ok;
    case defrag_outcome::passed:
      out.pkt.is_fragment = false;  // judged as if it were a packet
      return true;
    case defrag_outcome::queued:
      out.fragment = verdict::stolen;
      out.pkt.reason = "fragment: others of its packet are awaited";
      return false;
    case defrag_outcome::dropped:
      out.fragment = verdict::drop;
      out.pkt.reason = reason;
      return false;
  }
  return false;
}

template <ct::table Table>
void conntrack<Table>::parse(skb& s, parsed_packet& out) noexcept {
  out.has_tuple = false;
  out.fragment.reset();
  if (s.nfct == nullptr) s.whole.reset();
  out.status = decode(s.frame, s.wire_bytes, s.link, out.pkt);
  if (out.status != decode_status::ok) return;
  // The IP layer looks at its own checksum whatever the sysctl says.
  const bool is_unverified = s.ip_summed == ip_summed::none;
  if (is_unverified && !is_ipv4_header_sum_right(out.pkt)) {
    out.pkt.reason = "ipv4: wrong header checksum";
    out.status = decode_status::malformed;
    return;
  }
  if (out.pkt.is_fragment && s.nfct == nullptr && !defragment(s, out)) return;
  out.icmp.kind = icmp_class::query;
  netns& in_net = net(s.net);
  out.pkt.is_unverified = is_unverified && in_net.policy.checksum;
  const tuple_scope scope{.l4protos = l4protos_, .gre_keys = &in_net.gre_keys};
  // ICMPv6 in IPv4, and ICMP in IPv6, have no errors: their trackers see them as they see queries.
  const bool is_ipv4 = out.pkt.l3num == l3num::ipv4;
  if (out.pkt.protonum == (is_ipv4 ? ipproto::icmp : ipproto::icmpv6)) {
    out.icmp = classify_icmp(out.pkt, scope);
  }
  if (out.icmp.kind != icmp_class::query) return;
  tuple t;
  out.has_tuple = get_tuple(out.pkt, t, scope);
  if (!out.has_tuple) return;
  out.key = key_of(t, planted("zone_forgotten") ? 0 : s.zone.id_for(dir::original), in_net);
}

/// Why a packet has none.
inline const char* reason_without_tuple(const packet& pkt) {
  if (pkt.reason != nullptr) return pkt.reason;
  return "no tuple: the transport header is cut, or GRE of an unknown kind";
}

/// A packet that goes on without an entry. What ICMP messages say wrong counts as `error`, all else
/// as `invalid`.
template <ct::table Table>
void conntrack<Table>::invalid(counter& counted_as, skb& s, const char* reason) noexcept {
  ++counted_as;
  s.info = ctinfo::invalid;
  s.reason = reason;
}

template <ct::table Table>
void conntrack<Table>::in(cpu_state& cpu, const parsed_packet& parsed, skb& s) noexcept {
  if (s.nfct != nullptr) return;  // tracked already (loopback)
  s.conn_id = 0;
  s.info = ctinfo::invalid;
  s.verdict = verdict::accept;
  s.reason = nullptr;
  if (parsed.status == decode_status::not_ip) {
    s.info = ctinfo::untracked;
    s.reason = "not IP";
    return;
  }
  if (parsed.status == decode_status::malformed) {
    // The IP layer drops these before conntrack sees them: no counter.
    s.verdict = verdict::drop;
    s.reason = parsed.pkt.reason;
    return;
  }
  if (parsed.fragment) {
    s.verdict = *parsed.fragment;
    s.info = ctinfo::untracked;
    s.reason = parsed.pkt.reason;
    return;
  }
  switch (parsed.icmp.kind) {
    case icmp_class::query:
      break;
    case icmp_class::error:
      return in_icmp_error(cpu, parsed, s);
    case icmp_class::untracked:
      s.info = ctinfo::untracked;
      return;
    case icmp_class::invalid:
      return invalid(cpu.stat->error, s, parsed.icmp.reason);
  }
  if (!parsed.has_tuple) return invalid(cpu.stat->invalid, s, reason_without_tuple(parsed.pkt));

  // A tracker may kill the entry and ask for another round (a connection reopened): that one meets
  // a fresh entry, which no tracker refuses so. Three are more than can be needed.
  for (int round = 0; round < 3; ++round) {
    nf_conn* const ct = resolve(cpu, parsed, s);
    if (ct == nullptr) return;
    context ctx(*this, cpu, *ct, s.info);
    const l4proto& tracker = find_l4proto(parsed.pkt.protonum, l4protos_);
    if (planted("seen_reply_before_tracker") && ctx.dir() == dir::reply) {
      ct->set(status::seen_reply);
    }
    const track outcome = tracker.handle(*ct, parsed.pkt, ctx);
    mark(cpu.local, action::track, *ct);
    if (planted("seen_reply_by_invalid") && ctx.dir() == dir::reply) ct->set(status::seen_reply);
    if (outcome == track::accept) {
      if (s.info == ctinfo::established_reply && ct->set(status::seen_reply)) {
        ct->ecache.cache(event::reply);
      }
      if (!helpers_.empty()) attach_helper(*ct);
      s.nfct = ct;
      s.conn_id = ct->id;
      apply_rules(s);
      return;
    }
    put(cpu, *ct);
    if (outcome == track::repeat) continue;
    invalid(cpu.stat->invalid, s, ctx.reason);
    if (outcome == track::drop) {
      ++cpu.stat->drop;
      s.verdict = verdict::drop;
    }
    return;
  }
  invalid(cpu.stat->invalid, s, "the entry kept being reopened");
}

/// The packet's entry, referenced, and its ctinfo. nullptr: `s` says why there is none.
/// Source: resolve_normal_ct(), Linux 6.18.
template <ct::table Table>
nf_conn* conntrack<Table>::resolve(cpu_state& cpu, const parsed_packet& parsed, skb& s) noexcept {
  found<nf_conn> hit = find_get(cpu, parsed.key);
  const std::uint16_t reply_zone = s.zone.id_for(dir::reply);
  if (hit.entry == nullptr && reply_zone != parsed.key.zone) {
    const auto t = std::bit_cast<tuple>(parsed.key.words);
    hit = find_get(cpu, key_of(t, reply_zone, net(s.net)));
  }
  if (hit.entry == nullptr) return init_conntrack(cpu, parsed, s);
  if (hit.dir == dir::reply) {
    s.info = ctinfo::established_reply;
  } else if (hit.entry->has(status::seen_reply)) {
    s.info = ctinfo::established;
  } else {
    s.info = hit.entry->has(status::expected) ? ctinfo::related : ctinfo::new_;
  }
  return hit.entry;
}

template <ct::table Table>
nf_conn* conntrack<Table>::init_conntrack(cpu_state& cpu,
                                          const parsed_packet& parsed,
                                          skb& s) noexcept {
  const std::optional<tuple> reply =
      invert_tuple(std::bit_cast<tuple>(parsed.key.words), l4protos_);
  if (!reply) {
    invalid(cpu.stat->invalid, s, "the tuple has no inverse");
    return nullptr;
  }
  nf_conn* const ct = alloc(cpu, net(s.net), s.zone, *reply, parsed.key);
  if (ct == nullptr) {
    ++cpu.stat->drop;
    s.verdict = verdict::drop;
    s.reason = "no entry: nf_conntrack_max is reached, or the netns is going away";
    return nullptr;
  }
  add_timeouts(*ct, s.timeouts);
  fulfil_expectation(cpu, *ct);
  s.info = ct->has(status::expected) ? ctinfo::related : ctinfo::new_;
  return ct;
}

/// An ICMP error belongs to the connection that it quotes: no tracker, no refresh, no counters.
/// Source: nf_conntrack_inet_error(), Linux 6.18.
template <ct::table Table>
void conntrack<Table>::in_icmp_error(cpu_state& cpu, const parsed_packet& parsed, skb& s) noexcept {
  const tuple& looked_up = parsed.icmp.looked_up;
  const found<nf_conn> hit =
      find_get(cpu, key_of(looked_up, s.zone.id_for(dir::original), net(s.net)));
  if (hit.entry == nullptr)
    return invalid(cpu.stat->error, s, "icmp error: it quotes no known connection");
  const dir from = planted("error_to_wrong_host") ? !hit.dir : hit.dir;
  if (hit.entry->tuple(from).dst.addr != parsed.pkt.dst) {
    put(cpu, *hit.entry);
    return invalid(cpu.stat->error,
                   s,
                   "icmp error: it goes to another host than the packet it quotes came from");
  }
  mark(cpu.local, action::track, *hit.entry);
  s.nfct = hit.entry;
  s.conn_id = hit.entry->id;
  const dir goes = planted("error_direction_swapped") ? !hit.dir : hit.dir;
  s.info = goes == dir::original ? ctinfo::related : ctinfo::related_reply;
  apply_rules(s);
}

/// Source: nf_conntrack_confirm(), __nf_conntrack_confirm(), Linux 6.18.
template <ct::table Table>
void conntrack<Table>::confirm(cpu_state& cpu, skb& s) noexcept {
  if (s.nfct == nullptr) return;
  auto& ct = *static_cast<nf_conn*>(s.nfct);
  if (ct.help != nullptr && !run_helper(cpu, ct, s)) return;
  if (ct.has(status::confirmed)) {
    mark(cpu.local, action::deliver, ct);
    return deliver(ct);
  }
  if (direction(s.info) == dir::reply) return;
  const l4proto& tracker = find_l4proto(ct.tuple(dir::original).dst.protonum, l4protos_);
  confirm_steps steps(jiffies64(), cpu.random.below(30), tracker.resolves_clash);
  const insert_status outcome = insert(cpu, ct, steps);
  if (outcome == insert_status::inserted) {
    if (steps.is_reply_only()) ++cpu.stat->clash_resolve;
    mark(cpu.local, action::deliver, ct);
    deliver(ct);
  } else if (steps.winner() != nullptr) {
    merge(cpu, s, *steps.winner());
    mark(cpu.local, action::deliver, *steps.winner());
    deliver(*steps.winner());
  } else {
    s.verdict = verdict::drop;
  }
}

/// The packet goes over to the entry that was first, with its ctinfo and what it counted.
/// Takes over the reference on `winner`. Source: __nf_ct_resolve_clash(), Linux 6.18.
template <ct::table Table>
void conntrack<Table>::merge(cpu_state& cpu, skb& s, nf_conn& winner) noexcept {
  auto& loser = *static_cast<nf_conn*>(s.nfct);
  mark(cpu.local, action::merge, winner);
  if (loser.has_extension(ext::acct) && winner.has_extension(ext::acct)) {
    const std::size_t d = index(direction(s.info));
    // relaxed, all: statistics.
    const std::uint64_t bytes = loser.counters[d].bytes.load(std::memory_order_relaxed);
    winner.counters[d].packets.fetch_add(1, std::memory_order_relaxed);    // relaxed: see above
    winner.counters[d].bytes.fetch_add(bytes, std::memory_order_relaxed);  // relaxed: see above
  }
  s.nfct = &winner;
  s.conn_id = winner.id;
  ++cpu.stat->clash_resolve;
  loser.net->lists[cpu.index].dying.add(loser);
  unref(cpu, loser);
}

/// Gives an unconfirmed entry another reply tuple, as NAT does. False: it is too late for that.
/// Source: nf_conntrack_alter_reply(), nf_nat_setup_info(), Linux 6.18.
template <ct::table Table>
bool conntrack<Table>::alter_reply(skb& s, const tuple& reply) noexcept {
  auto* const ct = static_cast<nf_conn*>(s.nfct);
  if (ct == nullptr || ct->has(status::confirmed | status::dying)) return false;
  const tuple original = ct->tuple(dir::original);
  const bool is_source = reply.dst.addr != original.src.addr || reply.dst.id != original.src.id;
  const bool is_destination =
      reply.src.addr != original.dst.addr || reply.src.id != original.dst.id;
  ct->hash_node(dir::reply).set(key_of(reply, ct->zone.id_for(dir::reply), *ct->net), dir::reply);
  ct->set((is_source ? status::src_nat : 0U) | (is_destination ? status::dst_nat : 0U) |
          status::src_nat_done | status::dst_nat_done);
  return true;
}

}  // namespace ct::core
