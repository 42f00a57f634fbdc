// SPDX-License-Identifier: BSD-2-Clause
/// Defragmentation ahead of tracking: fragments wait until their packet is whole.
///
/// A queue collects the fragments of one packet: those of equal netns, zone, addresses, identifier,
/// and in IPv4 protocol. Fragments may come in any order. One that repeats what is there is dropped
/// alone; one that overlaps in any other way, or makes the packet longer than 65,535 bytes, ends
/// its queue; one that contradicts the end that is known or carries nothing does so in IPv4, and is
/// dropped alone in IPv6. An IPv6 fragment that nothing can be made of, for its length is no
/// multiple of 8 (which ends its queue), it lies behind 65,535, or is a first one without its whole
/// layer-4 header, goes on as the packet that it is: the kernel leaves it to the host to complain.
/// What is not whole 30 s (IPv4) or 60 s (IPv6) after its first fragment came is dropped, and so is
/// whatever would begin a queue while `bytes_max` wait: memory is bounded.
///
/// A whole packet has the first fragment's header without its fragment field, and for IPv6 without
/// the fragment header. Bytes that a capture cut are zero in it.
///
/// One spinlock over all queues: fragments are few, and those of one packet may come on any CPU.
/// Cost: O(fragments of the packet) each. Limits: no count of fragments by peer (ipfrag_max_dist),
/// memory is counted in bytes of packets. Source: ip_frag_queue(), nf_ct_frag6_queue(),
/// inet_frag_queue_insert(), ipv6frag_thdr_truncated(), Linux 6.18; RFC 791, RFC 5722, RFC 8200
/// section 4.5.
#pragma once

#include "impls/core/packet.h"
#include "impls/sync/spinlock.h"
#include "spec/tuple.h"

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <vector>

namespace ct::core {

/// The bytes of a packet that came in fragments.
using whole_packet = std::shared_ptr<const std::vector<std::byte>>;

enum class defrag_outcome : std::uint8_t {
  whole,    ///< with this fragment the packet is there
  queued,   ///< the fragment was kept
  passed,   ///< it goes on by itself
  dropped,  ///< the fragment was dropped, and perhaps those that waited for it
};

class defragmenter {
 public:
  static constexpr std::size_t bytes_max = 4 << 20;  ///< of each netns: high_thresh

  /// Takes a fragment (pkt.is_fragment) that comes at `jiffies64`. `whole` is written when that is
  /// the outcome, `reason` when it was dropped.
  defrag_outcome add(const packet& pkt,
                     netns_id net,
                     std::uint16_t zone_id,
                     std::uint64_t jiffies64,
                     whole_packet& whole,
                     const char*& reason) noexcept;

  /// Drops what waits in a netns that exits.
  void forget(netns_id net) noexcept;

  /// Packets that are not whole yet.
  std::size_t waiting() const noexcept;

 private:
  struct key {
    address src{};
    address dst{};
    netns_id net = 0;
    std::uint32_t id = 0;
    std::uint16_t zone = 0;
    ct::l3num family = ct::l3num::ipv4;
    std::uint8_t protonum = 0;  // IPv6: 0
    auto operator<=>(const key&) const = default;
  };
  /// What of its packet a fragment carries.
  struct extent {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    bool is_last = false;
    std::uint8_t ecn = 0;
  };
  /// Fragments that lie without a gap behind one another, as they came.
  struct run {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
  };
  struct queue {
    key of;
    std::uint64_t deadline = 0;
    std::uint32_t length = 0;  // of the payload, as far as is known
    std::uint32_t there = 0;   // bytes of it that came
    bool is_end_known = false;
    std::uint8_t ecn_seen = 0;      // a bit a codepoint
    std::vector<run> runs{};        // sorted
    std::vector<std::byte> head{};  // of the first fragment, without what marks it as one
    std::vector<std::byte> payload{};
    std::size_t counted = 0;  // of its bytes, in bytes_
  };
  using queues = std::list<queue>;
  enum class fit : std::uint8_t { fits, repeats, overlaps };
  enum class refusal : std::uint8_t { none, alone, with_queue, passed_with_queue };

  // All that change a queue: under lock_.
  static bool read_extent(const packet& pkt, extent& out, const char*& reason);
  static std::vector<std::byte> head_of(const packet& pkt);
  static fit place(queue& q, const extent& part);
  static refusal refuse(queue& q, const extent& part, const char*& reason);
  static void store(queue& q, const packet& pkt, const extent& part);
  static whole_packet join(const queue& q);
  defrag_outcome add_locked(const packet& pkt,
                            const key& of,
                            const extent& part,
                            std::uint64_t jiffies64,
                            whole_packet& whole,
                            const char*& reason);
  void expire(std::uint64_t jiffies64);
  void end(std::map<key, queues::iterator>::iterator at);

  mutable sync::spinlock lock_;
  // Guarded by lock_.
  std::array<queues, 2> by_age_;  // [IPv4, IPv6], the oldest first
  std::map<key, queues::iterator> by_key_;
  std::map<netns_id, std::size_t> bytes_;  // [netns] that wait
};

}  // namespace ct::core
