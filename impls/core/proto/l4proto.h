// SPDX-License-Identifier: BSD-2-Clause
/// The place of a protocol tracker: how its tuples are read and inverted, and what a packet does to
/// its entry.
///
/// A new protocol is one file that defines an l4proto, and one line in l4proto.cc.
/// Trackers see the entry, the packet and the policy of its netns; they know no table. What they
/// need of the life cycle they ask of `track_context`. Source: struct nf_conntrack_l4proto and
/// nf_conntrack_handle_packet(), Linux 6.18.
#pragma once

#include "impls/core/nf_conn.h"
#include "impls/core/packet.h"
#include "impls/core/policy.h"
#include "spec/tuple.h"

#include <array>
#include <cstdint>
#include <optional>

namespace ct::core {

class gre_keymap;
struct tuple_scope;

/// What a tracker says of a packet.
enum class track : std::uint8_t {
  accept,   ///< the packet belongs to its entry
  invalid,  ///< the packet goes on without an entry; an unconfirmed one dies
  repeat,   ///< the entry was killed: look the packet up again
  drop,     ///< the packet is dropped
};

/// What a tracker knows and may ask for while it judges one packet.
class track_context {
 public:
  /// `own`: the timeouts of the entry, or of its netns.
  track_context(const core::policy& settings,
                const core::timeouts& own,
                std::uint32_t jiffies,
                ctinfo packet_info)
      : policy(settings), timeouts(own), now(jiffies), info(packet_info) {}
  track_context(const track_context&) = delete;
  track_context& operator=(const track_context&) = delete;

  const core::policy& policy;
  const core::timeouts& timeouts;
  const std::uint32_t now;
  const ctinfo info;
  const char* reason = nullptr;  ///< set by invalid(): a static string such as "tcp: bad checksum"

  ct::dir dir() const { return direction(info); }

  /// Claims the entry's deletion and unlinks it. False: somebody else did. Call without the entry's
  /// lock.
  virtual bool kill(nf_conn& ct) = 0;

  track invalid(const char* why) {
    reason = why;
    return track::invalid;
  }

 protected:
  ~track_context() = default;
};

struct l4proto {
  std::uint8_t protonum;
  const char* name;  ///< as `conntrack -L` prints it
  /// Writes src.id and dst.id from the packet's layer-4 header. False: cut or not trackable.
  bool (*pkt_to_tuple)(const packet& pkt, const tuple_scope& scope, tuple& out) noexcept;
  /// Writes src.id and dst.id of the other direction. False: this tuple has no inverse.
  bool (*invert)(const tuple& in, tuple& out) noexcept;
  /// Judges a packet that was matched to `ct` (confirmed or new).
  track (*handle)(nf_conn& ct, const packet& pkt, track_context& context) noexcept;
  /// May a packet whose entry lost at confirm go over to the winner's?
  bool resolves_clash;
  /// May an ASSURED entry be dropped early, because it is closing?
  bool (*can_early_drop)(const nf_conn& ct) noexcept;
};

extern const l4proto dccp_l4proto;
extern const l4proto gre_l4proto;
extern const l4proto tcp_l4proto;
extern const l4proto udp_l4proto;
extern const l4proto icmp_l4proto;
extern const l4proto icmpv6_l4proto;
extern const l4proto sctp_l4proto;
extern const l4proto udplite_l4proto;
extern const l4proto generic_l4proto;

/// Trackers by protocol number, under IPv4 and IPv6 alike; generic where there is none.
using l4proto_list = std::array<const l4proto*, 256>;
/// Those of Linux 6.18.
extern const l4proto_list default_l4protos;
/// The same with DCCP, as until Linux 6.14.
extern const l4proto_list dccp_l4protos;

/// What a tuple depends on beside its packet.
struct tuple_scope {
  const l4proto_list& l4protos = default_l4protos;
  const gre_keymap* gre_keys = nullptr;  ///< of the netns; nullptr: no key is known
};

/// One load a packet.
inline const l4proto& find_l4proto(std::uint8_t protonum,
                                   const l4proto_list& among = default_l4protos) noexcept {
  return *among[protonum];
}

/// The tuple of a packet, direction original. False: no tuple (fragment, cut header ...).
[[nodiscard]] bool get_tuple(const packet& pkt, tuple& out, const tuple_scope& scope = {}) noexcept;

/// The tuple of the other direction, its direction inverted too. An involution where it is defined.
[[nodiscard]] std::optional<tuple> invert_tuple(
    const tuple& in,
    const l4proto_list& among = default_l4protos) noexcept;

/// Tuples of protocols that begin with two ports: what pkt_to_tuple and invert of these are.
bool ports_to_tuple(const packet& pkt, const tuple_scope& scope, tuple& out) noexcept;
bool invert_ports(const tuple& in, tuple& out) noexcept;

/// Sets the timeout of `ct` (relative while unconfirmed) and counts the packet; FIXED_TIMEOUT only
/// counts. Source: __nf_ct_refresh_acct().
void refresh_acct(nf_conn& ct,
                  const packet& pkt,
                  track_context& context,
                  std::uint32_t timeout_jiffies) noexcept;

/// Counts the packet without a refresh (nf_conntrack_acct). Source: nf_ct_acct_update().
void count_acct(nf_conn& ct, const packet& pkt, const track_context& context) noexcept;

}  // namespace ct::core
