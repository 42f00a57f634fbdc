// SPDX-License-Identifier: BSD-2-Clause
/// One entry and its tracker, for tests: does around a tracker what the core does, with nothing
/// else there.
///
///     tracked_flow flow(request);            // tuples from the packet; not confirmed
///     CHECK(flow.send(request) == track::accept);
///     flow.confirm();
///     flow.advance(seconds(1));
///     CHECK(flow.reply(answer) == track::accept);
///     CHECK(flow.left() == seconds(30));
#pragma once

#include "impls/core/extensions.h"
#include "impls/core/nf_conn.h"
#include "impls/core/packet.h"
#include "impls/core/packet_suite.h"
#include "impls/core/policy.h"
#include "impls/core/proto/l4proto.h"
#include "spec/jiffies.h"
#include "spec/nf_conn.h"
#include "spec/tuple.h"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <optional>

namespace ct::core {

class tracked_flow {
 public:
  core::policy policy{};
  std::uint32_t now = 1000;
  nf_conn ct;
  const char* reason = nullptr;  ///< of the last packet that was INVALID
  unsigned kills = 0;            ///< asked for by the tracker

  explicit tracked_flow(const build::bytes& first, const l4proto_list& among = default_l4protos)
      : among_(among) {
    const packet pkt = build::view(first);
    tuple original;
    if (!get_tuple(pkt, original, {.l4protos = among})) std::abort();
    const std::optional<tuple> reply = invert_tuple(original, among);
    if (!reply) std::abort();
    set(original, dir::original);
    set(*reply, dir::reply);
  }

  track send(const build::bytes& ip) { return handle(build::view(ip), dir::original); }
  track reply(const build::bytes& ip) { return handle(build::view(ip), dir::reply); }

  /// The tracker, then SEEN_REPLY as nf_conntrack_in() sets it.
  track handle(const packet& pkt, dir d) {
    const ctinfo info = d == dir::reply              ? ctinfo::established_reply
                        : ct.has(status::seen_reply) ? ctinfo::established
                                                     : ctinfo::new_;
    if (!ct.is_confirmed() && !has_begun_) add_extensions(ct, policy);
    has_begun_ = true;
    context ctx(policy, timeouts_of(ct, policy), now, info);
    const track verdict = find_l4proto(pkt.protonum, among_).handle(ct, pkt, ctx);
    kills += ctx.kills;
    reason = ctx.reason;
    if (verdict == track::accept && d == dir::reply) ct.set(status::seen_reply);
    return verdict;
  }

  void confirm() {
    ct.timeout.store(timeout() + now, std::memory_order_relaxed);  // relaxed: one thread
    ct.set(status::confirmed);
  }
  void advance(std::uint32_t jiffies) { now += jiffies; }

  std::uint32_t timeout() const {
    return ct.timeout.load(std::memory_order_relaxed);  // relaxed: one thread
  }
  /// Jiffies until a confirmed entry expires.
  std::uint32_t left() const { return timeout() - now; }
  bool is_assured() const { return ct.has(status::assured); }

 private:
  const l4proto_list& among_;
  bool has_begun_ = false;

  class context final : public track_context {
   public:
    using track_context::track_context;
    unsigned kills = 0;
    bool kill(nf_conn&) override {
      ++kills;
      return true;
    }
  };

  void set(const tuple& t, dir d) {
    key k;
    k.words = words(t);
    k.words[4] &= ~direction_bits;
    ct.hash_node(d).set(k, d);
  }
};

}  // namespace ct::core
