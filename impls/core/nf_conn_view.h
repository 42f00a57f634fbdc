// SPDX-License-Identifier: BSD-2-Clause
/// A copy of an entry, for dumps and events.
#pragma once

#include "impls/core/extensions.h"
#include "impls/core/helper.h"
#include "impls/core/nf_conn.h"
#include "spec/nf_conn.h"

#include <atomic>
#include <cstdint>
#include <mutex>

namespace ct::core {

/// Of a protocol whose tracker keeps one.
inline void show_state(const nf_conn& ct, conn& c) {
  switch (c.tuples[0].dst.protonum) {
    case ipproto::tcp: {
      const std::lock_guard guard(ct.lock);
      c.tcp = ct.proto.tcp.state;
      for (const dir d : {dir::original, dir::reply}) {
        c.tcp_scale[index(d)] = ct.proto.tcp.seen[index(d)].td_scale;
        c.tcp_flags[index(d)] = ct.proto.tcp.seen[index(d)].flags;
      }
      break;
    }
    case ipproto::sctp: {
      const std::lock_guard guard(ct.lock);
      c.sctp = ct.proto.sctp.state;
      break;
    }
    case ipproto::dccp: {
      // Where DCCP is generic nobody writes it: NONE.
      const std::lock_guard guard(ct.lock);
      c.dccp = ct.proto.dccp.state;
      c.dccp_client = ct.proto.dccp.client;
      break;
    }
    default:
      break;
  }
}

/// What an observer may know of `ct` at `now`; the caller holds a reference, which `use` counts.
inline conn view_of(const nf_conn& ct, netns_id net, std::uint32_t now) {
  conn c;
  c.id = ct.id;
  c.tuples = {ct.tuple(dir::original), ct.tuple(dir::reply)};
  // relaxed, all of these: a view is no snapshot.
  c.status = ct.status.load(std::memory_order_relaxed);
  c.timeout_jiffies =
      jiffies_between(now, ct.timeout.load(std::memory_order_relaxed));  // relaxed: see above
  c.use = ct.use.load(std::memory_order_relaxed);                        // relaxed: see above
  c.mark = ct.mark.load(std::memory_order_relaxed);                      // relaxed: see above
  c.net = net;
  c.zone = ct.zone;
  show_state(ct, c);
  show_extensions(ct, c);
  if (ct.master != nullptr) c.master_id = ct.master->id;
  if (ct.help != nullptr) c.helper = ct.help->helper.name;
  return c;
}

}  // namespace ct::core
