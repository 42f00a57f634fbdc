// SPDX-License-Identifier: BSD-2-Clause
/// Decoding of frames that are cut at every length, damaged, or random: no read beyond the captured
/// bytes, and never an answer that contradicts itself.
///
/// Every frame lies in a heap block of exactly its size, so that AddressSanitizer sees a read
/// beyond it.
#include "impls/core/packet.h"

#include "impls/core/packet_suite.h"
#include "impls/core/proto/icmp_error.h"
#include "impls/core/proto/l4proto.h"
#include "spec/ct_system.h"
#include "spec/tuple.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <rapidcheck/catch.h>
#include <span>
#include <string>
#include <vector>

namespace ct::core {
namespace {

using build::authentication_header;
using build::bytes;
using build::ethernet;
using build::ethertype_of;
using build::extension;
using build::fragment_header;
using build::icmp;
using build::icmpv6;
using build::ipv4;
using build::ipv6;
using build::layer4;
using build::linux_sll;
using build::linux_sll2;
using build::loopback;
using build::options_header;
using build::other;
using build::payload;
using build::tcp;
using build::udp;
using build::view;

constexpr std::array links = {link_type::null,
                              link_type::ethernet,
                              link_type::raw,
                              link_type::loop,
                              link_type::linux_sll,
                              link_type::ipv4,
                              link_type::ipv6,
                              link_type::linux_sll2};

/// The first bytes of a frame, alone in their block.
class exact_copy {
 public:
  explicit exact_copy(std::span<const std::byte> from)
      : size_(from.size()), block_(new std::byte[from.size()]) {
    std::copy(from.begin(), from.end(), block_.get());
  }
  std::span<const std::byte> span() const { return {block_.get(), size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<std::byte[]> block_;
};

bool is_inside(std::span<const std::byte> part, std::span<const std::byte> whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

/// Empty, or what is wrong with the decoded packet. Reads all that anybody would read of it.
std::string contradiction(decode_status s,
                          const packet& pkt,
                          std::span<const std::byte> frame,
                          std::uint32_t wire_bytes) {
  if (s == decode_status::malformed)
    return pkt.reason == nullptr ? "malformed without a reason" : "";
  if (s == decode_status::not_ip) return "";
  if (!is_inside(pkt.l3, frame)) return "l3 passes the frame";
  if (!is_inside(pkt.l4, pkt.l3)) return "l4 passes l3";
  if (pkt.l3.size() > pkt.l3_bytes || pkt.l4.size() > pkt.l4_bytes) return "more than there is";
  if (pkt.l4_bytes > pkt.l3_bytes) return "l4 longer than l3";
  if (pkt.l3_bytes > std::max<std::size_t>(wire_bytes, frame.size())) return "longer than the wire";
  if (!pkt.has_l4 && (!pkt.l4.empty() || pkt.reason == nullptr)) return "no l4, no reason";
  if (pkt.is_later_fragment && (pkt.has_l4 || !pkt.is_fragment)) return "fragment with a header";
  tuple t;
  const bool has_tuple = get_tuple(pkt, t);
  if (has_tuple && !pkt.has_l4) return "tuple of nothing";
  if (has_tuple) (void)invert_tuple(t);
  const icmp_message message = classify_icmp(pkt);
  if ((message.kind == icmp_class::invalid) != (message.reason != nullptr)) return "reason";
  return "";
}

struct sample {
  std::string name;
  bytes ip;
  std::size_t header_bytes;  ///< of IP, to layer 4
  std::size_t tuple_bytes;   ///< of layer 4 that a tuple needs
};

std::vector<sample> samples() {
  const layer4 query = udp({.source_port = 4000, .dest_port = 53}, payload(12));
  const layer4 segment = tcp({.source_port = 1, .dest_port = 2, .options = payload(8)}, payload(5));
  const bytes quoted4 = ipv4({.options = payload(8)}, query);
  const bytes quoted6 = ipv6({.extensions = {options_header(60)}}, query);
  const std::vector<extension> chain = {options_header(0),
                                        options_header(43, 1),
                                        fragment_header(0, true),
                                        authentication_header(),
                                        options_header(60)};
  const std::size_t chain_bytes = 8 + 16 + 8 + 24 + 8;
  return {
      {"udp4", ipv4({}, query), 20, 4},
      {"udp4 options", ipv4({.options = payload(40)}, query), 60, 4},
      {"udp6", ipv6({}, query), 40, 4},
      {"udp6 extensions", ipv6({.extensions = chain}, query), 40 + chain_bytes, 4},
      {"tcp4", ipv4({}, segment), 20, 4},
      {"tcp6", ipv6({}, segment), 40, 4},
      {"icmp", ipv4({}, icmp({.id = 1}, payload(4))), 20, 8},
      {"icmpv6", ipv6({}, icmpv6({.type = 128, .id = 1}, payload(4))), 40, 8},
      {"icmp error", ipv4({}, icmp({.type = 3}, quoted4)), 20, 8},
      {"icmpv6 error", ipv6({}, icmpv6({.type = 1}, quoted6)), 40, 8},
      {"generic", ipv4({}, other(47, payload(6))), 20, 0},
      {"generic options", ipv4({.options = payload(8)}, other(47, payload(6))), 28, 0},
      {"esp", ipv6({}, other(50, payload(6))), 40, 0},
  };
}

bool is_carried(link_type link, const bytes& ip) {
  const bool is_v6 = ethertype_of(ip) == 0x86dd;
  return !(link == link_type::ipv4 && is_v6) && !(link == link_type::ipv6 && !is_v6);
}

bytes framed(link_type link, const bytes& ip) {
  const bool is_v6 = ethertype_of(ip) == 0x86dd;
  switch (link) {
    case link_type::ethernet:
      return ethernet(ip, {0x88a8, 0x8100});
    case link_type::null:
      return loopback(is_v6 ? 0x1e000000 : 0x02000000, ip);
    case link_type::loop:
      return loopback(is_v6 ? 24 : 2, ip);
    case link_type::linux_sll:
      return linux_sll(ip);
    case link_type::linux_sll2:
      return linux_sll2(ip);
    case link_type::raw:
    case link_type::ipv4:
    case link_type::ipv6:
      return ip;
  }
  return {};
}

/// Decodes the first `length` bytes of a frame that was whole on the wire, and says what must come
/// out.
void check_cut_capture(const sample& s, link_type link, const bytes& frame, std::size_t length) {
  const exact_copy cut{std::span(frame).first(length)};
  const auto wire_bytes = static_cast<std::uint32_t>(frame.size());
  packet pkt;
  const decode_status status = decode(cut.span(), wire_bytes, link, pkt);
  CHECK(contradiction(status, pkt, cut.span(), wire_bytes).empty());
  const std::size_t link_bytes = frame.size() - s.ip.size();
  const std::size_t l4_at = link_bytes + s.header_bytes;
  if (ethertype_of(s.ip) == 0x0800) {
    CHECK(status == (length < l4_at ? decode_status::malformed : decode_status::ok));
  } else if (length >= l4_at) {  // of the last extension header its length field is enough
    CHECK(status == decode_status::ok);
  }
  if (status != decode_status::ok) {
    CHECK(status == decode_status::malformed);
    return;
  }
  CHECK(pkt.l3_bytes == s.ip.size());
  CHECK(pkt.l4_bytes == s.ip.size() - s.header_bytes);
  CHECK(pkt.l4.size() == (length > l4_at ? length - l4_at : 0));
  tuple t;
  CHECK(get_tuple(pkt, t) == (pkt.l4.size() >= s.tuple_bytes));
}

/// Decodes a frame that really ended after `length` bytes.
void check_cut_packet(link_type link, const bytes& frame, std::size_t length) {
  const exact_copy cut{std::span(frame).first(length)};
  packet pkt;
  const decode_status status = decode(cut.span(), static_cast<std::uint32_t>(length), link, pkt);
  CHECK(contradiction(status, pkt, cut.span(), static_cast<std::uint32_t>(length)).empty());
  CHECK(status == (length == frame.size() ? decode_status::ok : decode_status::malformed));
}

}  // namespace

TEST_CASE("a frame cut at any length is decoded as far as it goes, on every link type") {
  for (const sample& s : samples()) {
    for (const link_type link : links) {
      if (!is_carried(link, s.ip)) continue;
      const bytes frame = framed(link, s.ip);
      for (std::size_t length = 0; length <= frame.size(); ++length) {
        CAPTURE(s.name, static_cast<int>(link), length);
        check_cut_capture(s, link, frame, length);
        check_cut_packet(link, frame, length);
      }
    }
  }
}

TEST_CASE("a quoted packet is read no further than it goes") {
  for (const sample& s : samples()) {
    for (std::size_t length = 0; length <= s.ip.size(); ++length) {
      CAPTURE(s.name, length);
      const exact_copy cut{std::span(s.ip).first(length)};
      const auto family = ethertype_of(s.ip) == 0x86dd ? l3num::ipv6 : l3num::ipv4;
      packet pkt;
      tuple t;
      const bool is_readable = decode_quoted_ip(cut.span(), family, pkt) && get_tuple(pkt, t);
      // A generic packet needs no byte of layer 4, but its IP header whole.
      CHECK(is_readable == (length >= s.header_bytes + s.tuple_bytes));
    }
  }
}

TEST_CASE("random bytes never crash the decoder, nor make it contradict itself") {
  rc::prop("for every link type", [](const std::vector<std::uint8_t>& noise, std::uint16_t wire) {
    const exact_copy frame(std::as_bytes(std::span(noise)));
    for (const link_type link : links) {
      packet pkt;
      const decode_status s = decode(frame.span(), wire, link, pkt);
      RC_ASSERT(contradiction(s, pkt, frame.span(), wire).empty());
    }
  });
}

TEST_CASE("damaged frames never crash the decoder, nor make it contradict itself") {
  // Random bytes seldom reach layer 4; frames with a few wrong bytes, cut somewhere, do.
  const std::vector<sample> all = samples();
  rc::prop("for every sample and link type", [&all] {
    const sample& s = *rc::gen::elementOf(all);
    const link_type link = *rc::gen::elementOf(links);
    bytes frame = framed(link, s.ip);
    const auto faults = *rc::gen::inRange(0, 4);
    for (int i = 0; i < faults; ++i) {
      const auto at = *rc::gen::inRange<std::size_t>(0, frame.size());
      frame[at] = static_cast<std::byte>(*rc::gen::arbitrary<std::uint8_t>());
    }
    const auto wire_bytes = static_cast<std::uint32_t>(frame.size());
    if (*rc::gen::arbitrary<bool>()) {
      frame.resize(*rc::gen::inRange<std::size_t>(0, frame.size() + 1));
    }
    const exact_copy cut(frame);
    packet pkt;
    const decode_status status = decode(cut.span(), wire_bytes, link, pkt);
    RC_CLASSIFY(status == decode_status::ok, "ok");
    RC_ASSERT(contradiction(status, pkt, cut.span(), wire_bytes).empty());
  });
}

TEST_CASE("the checker of contradictions finds each of them") {
  const bytes ip = ipv4({}, udp({.source_port = 1, .dest_port = 2}, payload(8)));
  const auto wire = static_cast<std::uint32_t>(ip.size());
  const packet right = view(ip);
  REQUIRE(contradiction(decode_status::ok, right, ip, wire).empty());
  CHECK_FALSE(contradiction(decode_status::malformed, right, ip, wire).empty());
  packet wrong = right;
  wrong.l4_bytes = 3;
  CHECK_FALSE(contradiction(decode_status::ok, wrong, ip, wire).empty());
  wrong = right;
  wrong.l3_bytes = wire + 1;
  CHECK_FALSE(contradiction(decode_status::ok, wrong, ip, wire).empty());
  wrong = right;
  wrong.has_l4 = false;
  CHECK_FALSE(contradiction(decode_status::ok, wrong, ip, wire).empty());
  CHECK_FALSE(contradiction(decode_status::ok, right, std::span(ip).first(30), wire).empty());
}

}  // namespace ct::core
