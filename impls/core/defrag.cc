// SPDX-License-Identifier: BSD-2-Clause
/// The rules of reassembly; see the header.
#include "impls/core/defrag.h"

#include "spec/jiffies.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <new>
#include <utility>

namespace ct::core {
namespace {

constexpr std::uint32_t packet_bytes_max = 65'535;
constexpr std::uint32_t ipv4_wait_s = 30;  // net.ipv4.ipfrag_time
constexpr std::uint32_t ipv6_wait_s = 60;  // nf_conntrack_frag6_timeout
constexpr std::size_t fragment_header_bytes = 8;
constexpr std::size_t ipv6_header_bytes = 40;

void write_be16(std::vector<std::byte>& bytes, std::size_t at, std::size_t value) {
  bytes[at] = static_cast<std::byte>(value >> 8);
  bytes[at + 1] = static_cast<std::byte>(value & 0xff);
}

/// Where the payload of a fragment begins.
std::uint32_t payload_at(const packet& pkt) {
  if (pkt.l3num == l3num::ipv4) {
    return (std::to_integer<std::uint32_t>(pkt.l3[0]) & 0x0f) * 4;
  }
  return pkt.fragment_at + static_cast<std::uint32_t>(fragment_header_bytes);
}

/// Does this first IPv6 fragment end inside the header of its layer 4? As far as Linux knows one.
bool is_l4_header_cut(const packet& pkt) {
  const auto header_bytes = [&]() -> std::uint32_t {
    switch (pkt.protonum) {
      case ipproto::tcp:
        return 20;
      case ipproto::udp:
      case ipproto::icmpv6:
        return 8;
      default:
        return 1;
    }
  };
  return pkt.has_l4 && pkt.l4_bytes < header_bytes();
}

void write_ipv4_checksum(std::vector<std::byte>& head) {
  write_be16(head, 10, 0);
  std::uint32_t sum = 0;
  for (std::size_t at = 0; at + 1 < head.size(); at += 2) sum += read_be16(head, at);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  write_be16(head, 10, ~sum & 0xffff);
}

}  // namespace

/// False: it cannot be part of any packet.
bool defragmenter::read_extent(const packet& pkt, extent& out, const char*& reason) {
  const bool is_ipv4 = pkt.l3num == l3num::ipv4;
  if (!is_ipv4 && pkt.l3.size() < pkt.fragment_at + fragment_header_bytes) {
    reason = "fragment: its header is cut";
    return false;
  }
  const std::uint16_t field = read_be16(pkt.l3, is_ipv4 ? 6 : pkt.fragment_at + 2);
  out.begin = is_ipv4 ? (field & 0x1fffU) * 8 : field & 0xfff8U;
  out.is_last = (field & (is_ipv4 ? 0x2000U : 0x0001U)) == 0;
  out.end = out.begin + (pkt.l3_bytes - std::min(payload_at(pkt), pkt.l3_bytes));
  const auto class_byte = std::to_integer<unsigned>(pkt.l3[1]);
  out.ecn = static_cast<std::uint8_t>((is_ipv4 ? class_byte : class_byte >> 4) & 3);
  if (is_ipv4 && !out.is_last) out.end &= ~7U;
  return true;
}

/// What becomes of a fragment by its ends alone; the queue knows what it says of its length.
defragmenter::refusal defragmenter::refuse(queue& q, const extent& part, const char*& reason) {
  const bool is_ipv4 = q.of.family == l3num::ipv4;
  const refusal usual = is_ipv4 ? refusal::with_queue : refusal::alone;
  if (part.is_last) {
    if (part.end < q.length || (q.is_end_known && part.end != q.length)) {
      reason = "fragment: the last one ends elsewhere than was known";
      return usual;
    }
    q.is_end_known = true;
    q.length = part.end;
  } else {
    if (part.end % 8 != 0) return refusal::passed_with_queue;
    if (part.end > q.length) {
      if (q.is_end_known) {
        reason = "fragment: it lies behind the last one";
        return usual;
      }
      q.length = part.end;
    }
  }
  if (part.begin != part.end) return refusal::none;
  reason = "fragment: it carries nothing";
  return usual;
}

/// Behind everything that is there, fragments join the last run; those in between stay by
/// themselves. Only what lies in one run repeats it.
defragmenter::fit defragmenter::place(queue& q, const extent& part) {
  const run added = {.begin = part.begin, .end = part.end};
  if (q.runs.empty() || q.runs.back().end < part.end) {
    if (q.runs.empty() || part.begin > q.runs.back().end) {
      q.runs.push_back(added);
    } else if (part.begin == q.runs.back().end) {
      q.runs.back().end = part.end;
    } else {
      return fit::overlaps;
    }
    return fit::fits;
  }
  const auto next = std::ranges::find_if(q.runs, [&](const run& r) { return part.begin < r.end; });
  if (next == q.runs.end() || part.end <= next->begin) {
    q.runs.insert(next, added);
    return fit::fits;
  }
  return part.begin >= next->begin && part.end <= next->end ? fit::repeats : fit::overlaps;
}

/// Everything ahead of the payload, for a packet that is no fragment; its length is still open.
std::vector<std::byte> defragmenter::head_of(const packet& pkt) {
  if (pkt.l3num == l3num::ipv4) {
    std::vector<std::byte> head(pkt.l3.begin(), pkt.l3.begin() + payload_at(pkt));
    write_be16(head, 6, read_be16(head, 6) & 0x4000);  // DF alone stays
    return head;
  }
  std::vector<std::byte> head(pkt.l3.begin(), pkt.l3.begin() + pkt.fragment_at);
  head[pkt.fragment_link_at] = pkt.l3[pkt.fragment_at];
  return head;
}

void defragmenter::store(queue& q, const packet& pkt, const extent& part) {
  if (q.payload.size() < part.end) q.payload.resize(part.end);
  const std::size_t at = std::min<std::size_t>(payload_at(pkt), pkt.l3.size());
  const std::size_t captured = std::min<std::size_t>(pkt.l3.size() - at, part.end - part.begin);
  if (captured != 0) std::memcpy(&q.payload[part.begin], &pkt.l3[at], captured);
  if (part.begin == 0) q.head = head_of(pkt);
  q.there += part.end - part.begin;
  q.ecn_seen = static_cast<std::uint8_t>(q.ecn_seen | 1U << part.ecn);
}

whole_packet defragmenter::join(const queue& q) {
  auto bytes = std::make_shared<std::vector<std::byte>>(q.head);
  bytes->insert(bytes->end(), q.payload.begin(), q.payload.end());
  if (q.of.family == l3num::ipv6) {
    write_be16(*bytes, 4, bytes->size() - ipv6_header_bytes);
    return bytes;
  }
  write_be16(*bytes, 2, bytes->size());
  std::vector<std::byte> head(bytes->begin(),
                              bytes->begin() + static_cast<std::ptrdiff_t>(q.head.size()));
  write_ipv4_checksum(head);
  std::ranges::copy(head, bytes->begin());
  return bytes;
}

void defragmenter::end(std::map<key, queues::iterator>::iterator at) {
  const queues::iterator q = at->second;
  bytes_[q->of.net] -= q->counted;
  by_age_[q->of.family == l3num::ipv4 ? 0 : 1].erase(q);
  by_key_.erase(at);
}

void defragmenter::expire(std::uint64_t jiffies64) {
  for (queues& of_family : by_age_) {
    while (!of_family.empty() && of_family.front().deadline <= jiffies64) {
      end(by_key_.find(of_family.front().of));
    }
  }
}

defrag_outcome defragmenter::add_locked(const packet& pkt,
                                        const key& of,
                                        const extent& part,
                                        std::uint64_t jiffies64,
                                        whole_packet& whole,
                                        const char*& reason) {
  const bool is_ipv4 = of.family == l3num::ipv4;
  const auto found = by_key_.find(of);
  if (found == by_key_.end()) {
    if (bytes_[of.net] > bytes_max) {
      reason = "fragment: too many others wait";
      return defrag_outcome::dropped;
    }
    queues& of_family = by_age_[is_ipv4 ? 0 : 1];
    const std::uint32_t wait_s = is_ipv4 ? ipv4_wait_s : ipv6_wait_s;
    queues fresh;
    fresh.push_back({.of = of, .deadline = jiffies64 + seconds(wait_s)});
    by_key_.emplace(of, fresh.begin());
    of_family.splice(of_family.end(), fresh);
  }
  const auto at = by_key_.find(of);
  queue& q = *at->second;
  switch (refuse(q, part, reason)) {
    case refusal::none:
      break;
    case refusal::alone:
      return defrag_outcome::dropped;
    case refusal::with_queue:
      end(at);
      return defrag_outcome::dropped;
    case refusal::passed_with_queue:
      end(at);
      return defrag_outcome::passed;
  }
  switch (place(q, part)) {
    case fit::repeats:
      reason = "fragment: it repeats what is there";
      return defrag_outcome::dropped;
    case fit::overlaps:
      reason = "fragment: it overlaps with another one";
      end(at);
      return defrag_outcome::dropped;
    case fit::fits:
      break;
  }
  store(q, pkt, part);
  const std::size_t bytes = q.head.size() + q.payload.size();
  bytes_[of.net] += bytes - std::exchange(q.counted, bytes);
  if (!q.is_end_known || q.head.empty() || q.there != q.length) return defrag_outcome::queued;

  // Fragments with and without ECN make no packet (RFC 3168, section 5.3).
  constexpr std::uint8_t not_ect = 1;
  const bool is_ecn_mixed = (q.ecn_seen & not_ect) != 0 && q.ecn_seen != not_ect;
  if (is_ecn_mixed ||
      q.head.size() + q.length > packet_bytes_max + (is_ipv4 ? 0 : ipv6_header_bytes)) {
    reason = is_ecn_mixed ? "fragment: with and without ECN" : "fragment: the packet is too long";
    end(at);
    return defrag_outcome::dropped;
  }
  whole = join(q);
  end(at);
  return defrag_outcome::whole;
}

defrag_outcome defragmenter::add(const packet& pkt,
                                 netns_id net,
                                 std::uint16_t zone_id,
                                 std::uint64_t jiffies64,
                                 whole_packet& whole,
                                 const char*& reason) noexcept {
  extent part;
  if (!read_extent(pkt, part, reason)) return defrag_outcome::dropped;
  const bool is_ipv4 = pkt.l3num == l3num::ipv4;
  // A payload length of 0 stands for a jumbogram, which cannot be a fragment.
  if (!is_ipv4 &&
      (part.end > packet_bytes_max || read_be16(pkt.l3, 4) == 0 || is_l4_header_cut(pkt))) {
    return defrag_outcome::passed;
  }
  const key of = {.src = pkt.src,
                  .dst = pkt.dst,
                  .net = net,
                  .id = is_ipv4 ? read_be16(pkt.l3, 4) : read_be32(pkt.l3, pkt.fragment_at + 4),
                  .zone = zone_id,
                  .family = pkt.l3num,
                  .protonum = is_ipv4 ? pkt.protonum : std::uint8_t{0}};
  const std::lock_guard guard(lock_);
  try {
    expire(jiffies64);
    return add_locked(pkt, of, part, jiffies64, whole, reason);
  } catch (const std::bad_alloc&) {
    reason = "fragment: no memory";
    return defrag_outcome::dropped;
  }
}

void defragmenter::forget(netns_id net) noexcept {
  const std::lock_guard guard(lock_);
  for (auto at = by_key_.begin(); at != by_key_.end();) {
    const auto next = std::next(at);
    if (at->first.net == net) end(at);
    at = next;
  }
}

std::size_t defragmenter::waiting() const noexcept {
  const std::lock_guard guard(lock_);
  return by_key_.size();
}

}  // namespace ct::core
