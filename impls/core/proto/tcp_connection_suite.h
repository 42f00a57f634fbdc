// SPDX-License-Identifier: BSD-2-Clause
/// One entry and its TCP tracker, driven packet by packet: what the core does around a tracker,
/// reduced to one connection.
///
///     tcp_connection c;
///     c.client({.flags = syn, .seq = 1000});  // the first packet that is accepted confirms the
///     entry c.server({.flags = syn_ack, .seq = 5000, .ack = 1001}); c.state();      // syn_recv
///     c.timeout_s();  // 60
#pragma once

#include "impls/core/extensions.h"
#include "impls/core/nf_conn.h"
#include "impls/core/packet.h"
#include "impls/core/packet_suite.h"
#include "impls/core/policy.h"
#include "impls/core/proto/l4proto.h"
#include "impls/core/proto/tcp_table.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>

namespace ct::core::tcp_test {

inline constexpr std::uint8_t syn = tcp_header::syn;
inline constexpr std::uint8_t syn_ack = tcp_header::syn | tcp_header::ack;
inline constexpr std::uint8_t ack = tcp_header::ack;
inline constexpr std::uint8_t fin_ack = tcp_header::fin | tcp_header::ack;
inline constexpr std::uint8_t rst = tcp_header::rst;
inline constexpr std::uint8_t rst_ack = tcp_header::rst | tcp_header::ack;

/// Flags of a packet of this kind.
constexpr std::uint8_t flags_of(tcp_kind kind) {
  switch (kind) {
    case tcp_kind::syn:
      return syn;
    case tcp_kind::synack:
      return syn_ack;
    case tcp_kind::fin:
      return fin_ack;
    case tcp_kind::ack:
      return ack;
    case tcp_kind::rst:
      return rst;
    case tcp_kind::none:
      return 0;
  }
  return 0;
}

/// A segment as a test says it; `payload` bytes of data, options padded with NOPs.
struct segment_fields {
  std::uint8_t flags = 0;
  std::uint32_t seq = 0;
  std::uint32_t ack = 0;
  std::uint16_t window = 65535;
  std::uint32_t payload = 0;
  build::bytes options{};
};

inline build::bytes tcp_bytes(const segment_fields& f) {
  return build::tcp({.source_port = 40000,
                     .dest_port = 80,
                     .seq = f.seq,
                     .ack = f.ack,
                     .flags = f.flags,
                     .window = f.window,
                     .options = f.options},
                    build::payload(f.payload))
      .data;
}

/// Layer 4 alone, as a decoder shows it; of its bytes the first `captured` are there.
inline packet tcp_packet(const build::bytes& l4, std::size_t captured = SIZE_MAX) {
  packet pkt;
  pkt.protonum = ipproto::tcp;
  pkt.l4 = std::span(l4).first(std::min(captured, l4.size()));
  pkt.l4_bytes = static_cast<std::uint32_t>(l4.size());
  pkt.l3_bytes = 20 + pkt.l4_bytes;
  return pkt;
}

// Options as they stand in a header.
inline build::bytes window_scale(unsigned shift) { return build::raw({3, 3, shift}); }
inline build::bytes sack_permitted() { return build::raw({4, 2}); }
inline build::bytes timestamps() { return build::raw({1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}); }
struct sack_block {
  std::uint32_t left;
  std::uint32_t right;
};
inline build::bytes sack(std::initializer_list<sack_block> blocks) {
  build::bytes out(2 + 8 * blocks.size());
  build::put8(out, 0, 5);
  build::put8(out, 1, static_cast<unsigned>(out.size()));
  std::size_t at = 2;
  for (const sack_block& block : blocks) {
    build::put32(out, at, block.left);
    build::put32(out, at + 4, block.right);
    at += 8;
  }
  return out;
}
inline build::bytes operator+(build::bytes a, const build::bytes& b) {
  build::append(a, b);
  return a;
}

class tcp_connection {
 public:
  policy settings;
  std::uint32_t now = 0xffff'f000;  // wraps after 16 s
  bool kill_wins = true;            // does kill() find the entry still alive?
  unsigned kills = 0;
  bool was_locked_at_kill = false;
  std::string reason;  // of the last packet, if it was invalid

  track send(dir d, const segment_fields& fields) {
    const build::bytes l4 = tcp_bytes(fields);
    return handle(d, tcp_packet(l4));
  }
  track client(const segment_fields& fields) { return send(dir::original, fields); }
  track server(const segment_fields& fields) { return send(dir::reply, fields); }

  /// The tracker, then what the core does with an accepted packet.
  track handle(dir d, const packet& pkt) {
    if (!has_begun_) add_extensions(*ct_, settings);
    has_begun_ = true;
    tracked_packet context(*this, d);
    const track answer = tcp_l4proto.handle(*ct_, pkt, context);
    reason = context.reason != nullptr ? context.reason : "";
    if (answer != track::accept) return answer;
    if (d == dir::reply) ct_->set(status::seen_reply);
    if (!ct_->is_confirmed()) {
      ct_->timeout.fetch_add(now, std::memory_order_relaxed);  // relaxed: one thread
      ct_->set(status::confirmed);
    }
    return answer;
  }

  /// SYN, SYN/ACK, ACK without options; the sides' numbers go on at client + 1 and server + 1.
  void shake_hands(std::uint32_t client, std::uint32_t server, std::uint16_t window = 65535) {
    send(dir::original, {.flags = syn, .seq = client, .window = window});
    send(dir::reply, {.flags = syn_ack, .seq = server, .ack = client + 1, .window = window});
    send(dir::original, {.flags = ack, .seq = client + 1, .ack = server + 1, .window = window});
  }

  void wait_s(std::uint32_t s) { now += seconds(s); }

  nf_conn& ct() { return *ct_; }
  tcp_data& tcp() { return ct_->proto.tcp; }
  const tcp_data& tcp() const { return ct_->proto.tcp; }
  tcp_state state() const { return ct_->proto.tcp.state; }
  bool is_assured() const { return ct_->has(status::assured); }
  /// As the entry has it: absolute once it is confirmed.
  std::uint32_t deadline() const {
    return ct_->timeout.load(std::memory_order_relaxed);  // relaxed: one thread
  }
  void set_time_left_s(std::uint32_t s) {
    ct_->timeout.store(now + seconds(s), std::memory_order_relaxed);  // relaxed: one thread
  }
  /// Left until it expires.
  double timeout_s() const { return jiffies_between(now, deadline()) / static_cast<double>(hz); }
  std::uint64_t packets(dir d) const {
    // relaxed: one thread
    return ct_->counters[index(d)].packets.load(std::memory_order_relaxed);
  }
  std::uint64_t bytes(dir d) const {
    return ct_->counters[index(d)].bytes.load(std::memory_order_relaxed);  // relaxed: one thread
  }

 private:
  bool has_begun_ = false;

  class tracked_packet final : public track_context {
   public:
    tracked_packet(tcp_connection& owner, ct::dir d)
        : track_context(owner.settings,
                        timeouts_of(*owner.ct_, owner.settings),
                        owner.now,
                        d == dir::reply                      ? ctinfo::established_reply
                        : owner.ct_->has(status::seen_reply) ? ctinfo::established
                                                             : ctinfo::new_),
          owner_(owner) {}

    bool kill(nf_conn& ct) override {
      ++owner_.kills;
      if (ct.lock.try_lock()) {
        ct.lock.unlock();
      } else {
        owner_.was_locked_at_kill = true;
      }
      return owner_.kill_wins;
    }

   private:
    tcp_connection& owner_;
  };

  std::unique_ptr<nf_conn> ct_ = std::make_unique<nf_conn>();
};

}  // namespace ct::core::tcp_test
