// SPDX-License-Identifier: BSD-2-Clause
/// Bodies of conntrack: helpers at work, expectations that come true.
#pragma once

#include "impls/core/conntrack.h"

namespace ct::core {

/// Attaches the helper that the rules have for a new connection. Runs after the tracker, as rules
/// do; without memory for it the connection goes on without its helper. Source:
/// nft_ct_helper_obj_eval(), Linux 6.18.
template <ct::table Table>
void conntrack<Table>::attach_helper(nf_conn& ct) noexcept {
  if (ct.has(status::confirmed) || ct.help != nullptr) return;
  const tuple original = ct.tuple(dir::original);
  for (const helper_attachment& rule : helpers_) {
    if (rule.port != original.dst.id || rule.helper->protonum != original.dst.protonum) continue;
    ct.help.reset(new (std::nothrow) nf_conn_help(*rule.helper));
    if (ct.help != nullptr) ct.set(status::helper);
    return;
  }
}

/// A new entry that was announced: EXPECTED, with the master's mark, and a reference on it.
///
/// The reference that find_get took on the master is the entry's from here on; its last put gives
/// it back. Source: init_conntrack(), Linux 6.18.
template <ct::table Table>
void conntrack<Table>::fulfil_expectation(cpu_state& cpu, nf_conn& ct) noexcept {
  // relaxed: who sends what was announced has learnt of it through a packet that was inserted
  // first.
  if (ct.net->expect_count.load(std::memory_order_relaxed) == 0) return;
  expectation* const exp =
      expects_.find_get(ct.tuple(dir::original), ct.zone.id, *ct.net, now(), *cpu.stat);
  if (exp == nullptr) return;
  ct.set(status::expected);
  ct.master = exp->master;
  // relaxed, both: a mark stands for itself; the entry is published by confirm.
  ct.mark.store(ct.master->mark.load(std::memory_order_relaxed), std::memory_order_relaxed);
  ++cpu.stat->expect_new;
  expect_table::put(*exp);
}

/// Lets the entry's helper read the packet. False: the packet is dropped, and confirms nothing.
///
/// The frame is read once more: `in` and `confirm` are calls of their own, and few packets have a
/// helper. Source: nf_confirm(), Linux 6.18 (before it: the hook of priority CONNTRACK_HELPER).
template <ct::table Table>
bool conntrack<Table>::run_helper(cpu_state& cpu, nf_conn& ct, skb& s) noexcept {
  packet pkt;
  if (s.info == ctinfo::related_reply || s.verdict != verdict::accept) return true;
  const decode_status status =
      s.whole ? decode_ip(*s.whole, static_cast<std::uint32_t>(s.whole->size()), pkt)
              : decode(s.frame, s.wire_bytes, s.link, pkt);
  if (status != decode_status::ok) return true;
  help_context packet_context{.pkt = pkt,
                              .info = s.info,
                              .now = now(),
                              .ftp_loose = options_.ftp_loose,
                              .expects = expects_,
                              .stat = *cpu.stat};
  if (ct.help->helper.help(ct, packet_context) == verdict::accept) return true;
  s.verdict = verdict::drop;
  s.reason = packet_context.reason;
  return false;
}

}  // namespace ct::core
