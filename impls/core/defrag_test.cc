// SPDX-License-Identifier: BSD-2-Clause
/// Fragments and what becomes of them.
#include "impls/core/defrag.h"

#include "impls/core/packet_suite.h"
#include "spec/jiffies.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <rapidcheck.h>
#include <string>
#include <vector>

namespace ct::core {
namespace {

using build::bytes;

constexpr std::uint64_t start = 1000;

/// A UDP packet of `size` bytes behind the IP header, and its fragments cut at multiples of 8.
struct original_packet {
  explicit original_packet(std::size_t size, bool is_ipv6 = false, std::uint16_t id = 7)
      : is_ipv6_(is_ipv6), id_(id) {
    const build::layer4 l4 =
        build::udp({.source_port = 4000, .dest_port = 53}, build::payload(size - 8));
    whole = is_ipv6 ? build::ipv6({}, l4) : build::ipv4({}, l4);
    if (!is_ipv6) set_identifier(whole);
    payload.assign(whole.begin() + (is_ipv6 ? 40 : 20), whole.end());
  }

  bytes fragment(std::size_t begin, std::size_t end, bool has_more) const {
    const build::layer4 part =
        build::other(ipproto::udp,
                     bytes(payload.begin() + static_cast<std::ptrdiff_t>(begin),
                           payload.begin() + static_cast<std::ptrdiff_t>(end)));
    const auto units = static_cast<std::uint16_t>(begin / 8);
    if (is_ipv6_)
      return build::ipv6({.extensions = {build::fragment_header(units, has_more)}}, part);
    bytes ip = build::ipv4({.more_fragments = has_more, .fragment_offset = units}, part);
    set_identifier(ip);
    return ip;
  }

  bytes whole;
  bytes payload;

 private:
  void set_identifier(bytes& ip) const {
    build::put16(ip, 4, id_);
    build::put16(ip, 10, 0);
    build::put16(ip, 10, build::checksum_fold(build::checksum_add(0, std::span(ip).first(20))));
  }
  bool is_ipv6_;
  std::uint16_t id_;
};

struct result {
  defrag_outcome outcome;
  whole_packet whole;
  std::string reason;
};

result add(defragmenter& to,
           const bytes& ip,
           std::uint64_t at = start,
           netns_id net = 0,
           std::uint16_t zone = 0) {
  result r{};
  const char* reason = nullptr;
  const packet pkt = build::view(ip);
  REQUIRE(pkt.is_fragment);
  r.outcome = to.add(pkt, net, zone, at, r.whole, reason);
  r.reason = reason == nullptr ? "" : reason;
  return r;
}

bool is_queued(const result& r) { return r.outcome == defrag_outcome::queued; }
bool is_dropped(const result& r, const std::string& why) {
  INFO(r.reason);
  return r.outcome == defrag_outcome::dropped && r.reason.find(why) != std::string::npos;
}
bool is_whole(const result& r, const bytes& as) {
  return r.outcome == defrag_outcome::whole && r.whole && *r.whole == as;
}

TEST_CASE("fragments in any order make the packet that they were") {
  for (const bool is_ipv6 : {false, true}) {
    const original_packet packet(200, is_ipv6);
    std::vector<bytes> parts = {packet.fragment(0, 64, true),
                                packet.fragment(64, 128, true),
                                packet.fragment(128, 136, true),
                                packet.fragment(136, 200, false)};
    std::vector<std::size_t> order = {0, 1, 2, 3};
    do {
      defragmenter d;
      for (std::size_t i = 0; i < 3; ++i) CHECK(is_queued(add(d, parts[order[i]])));
      CHECK(d.waiting() == 1);
      CHECK(is_whole(add(d, parts[order[3]]), packet.whole));
      CHECK(d.waiting() == 0);
    } while (std::ranges::next_permutation(order).found);
  }
}

TEST_CASE("any cuts in any order make the packet that they were") {
  CHECK(rc::check([] {
    const auto size = static_cast<std::size_t>(*rc::gen::inRange(16, 3000));
    const original_packet packet(size, *rc::gen::arbitrary<bool>());
    std::vector<std::size_t> cuts = {0, size};
    for (const int unit : *rc::gen::container<std::vector<int>>(rc::gen::inRange(1, 375))) {
      if (static_cast<std::size_t>(unit) * 8 < size)
        cuts.push_back(static_cast<std::size_t>(unit) * 8);
    }
    cuts.push_back(8);
    std::ranges::sort(cuts);
    cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
    std::vector<bytes> parts;
    for (std::size_t i = 1; i < cuts.size(); ++i) {
      parts.push_back(packet.fragment(cuts[i - 1], cuts[i], cuts[i] != size));
    }
    for (std::size_t i = parts.size() - 1; i > 0; --i) {
      std::swap(parts[i],
                parts[static_cast<std::size_t>(*rc::gen::inRange(0, static_cast<int>(i) + 1))]);
    }
    defragmenter d;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) RC_ASSERT(is_queued(add(d, parts[i])));
    RC_ASSERT(is_whole(add(d, parts.back()), packet.whole));
  }));
}

TEST_CASE("a fragment that repeats another one goes alone, one that overlaps ends the packet") {
  for (const bool is_ipv6 : {false, true}) {
    const original_packet packet(64, is_ipv6);
    const bytes begin = packet.fragment(0, 32, true);
    const bytes end = packet.fragment(32, 64, false);
    defragmenter d;
    CHECK(is_queued(add(d, begin)));
    CHECK(is_dropped(add(d, begin), "repeats"));
    CHECK(is_dropped(add(d, packet.fragment(8, 24, true)), "repeats"));
    CHECK(is_whole(add(d, end), packet.whole));

    CHECK(is_queued(add(d, begin)));
    CHECK(is_dropped(add(d, packet.fragment(24, 64, false)), "overlaps"));
    CHECK(d.waiting() == 0);
    CHECK(is_queued(add(d, end)));  // what is left of it begins anew
    CHECK(is_dropped(add(d, packet.fragment(24, 40, true)), "overlaps"));
    CHECK(d.waiting() == 0);
  }
}

TEST_CASE("fragments that contradict the end that is known end the packet, in IPv4") {
  const original_packet packet(64);
  defragmenter d;
  CHECK(is_queued(add(d, packet.fragment(32, 48, false))));
  CHECK(is_dropped(add(d, packet.fragment(48, 64, false)), "ends elsewhere"));
  CHECK(is_queued(add(d, packet.fragment(32, 48, false))));
  CHECK(is_dropped(add(d, packet.fragment(48, 64, true)), "behind the last one"));
  CHECK(is_queued(add(d, packet.fragment(32, 48, true))));
  CHECK(is_dropped(add(d, packet.fragment(8, 16, false)), "ends elsewhere"));
  CHECK(d.waiting() == 0);
}

TEST_CASE("in IPv6 they are dropped alone") {
  const original_packet packet(64, true);
  defragmenter d;
  CHECK(is_queued(add(d, packet.fragment(0, 32, true))));
  CHECK(is_dropped(add(d, packet.fragment(8, 16, false)), "ends elsewhere"));
  CHECK(is_queued(add(d, packet.fragment(48, 64, false))));
  CHECK(is_dropped(add(d, packet.fragment(32, 48, false)), "ends elsewhere"));
  CHECK(is_dropped(add(d, packet.fragment(40, 40, true)), "carries nothing"));
  CHECK(is_whole(add(d, packet.fragment(32, 48, true)), packet.whole));
}

TEST_CASE("an IPv6 packet of one fragment is whole at once") {
  const original_packet packet(64, true);
  defragmenter d;
  CHECK(is_whole(add(d, packet.fragment(0, 64, false)), packet.whole));
  CHECK(d.waiting() == 0);
}

TEST_CASE("a first IPv6 fragment without the whole header of its layer 4 goes on by itself") {
  const original_packet packet(64, true);  // UDP
  defragmenter d;
  CHECK(is_queued(add(d, packet.fragment(0, 8, true))));
  CHECK(add(d, original_packet(64, true).fragment(0, 0, true)).outcome == defrag_outcome::passed);
  bytes as_tcp = packet.fragment(0, 16, true);
  build::put8(as_tcp, 40, ipproto::tcp);
  CHECK(add(d, as_tcp).outcome == defrag_outcome::passed);
  build::put8(as_tcp, 40, ipproto::sctp);  // of which Linux knows no header here
  CHECK(is_dropped(add(d, as_tcp), "overlaps"));
}

TEST_CASE("IPv4 cuts what passes a multiple of eight; an IPv6 fragment goes on by itself") {
  const original_packet four(40);
  defragmenter d;
  CHECK(is_queued(add(d, four.fragment(0, 19, true))));
  CHECK(is_whole(add(d, four.fragment(16, 40, false)), four.whole));
  CHECK(is_dropped(add(d, four.fragment(0, 7, true)), "carries nothing"));
  const original_packet six(40, true);
  CHECK(is_queued(add(d, six.fragment(24, 40, false))));
  CHECK(add(d, six.fragment(0, 19, true)).outcome == defrag_outcome::passed);
  CHECK(d.waiting() == 0);
}

TEST_CASE("fragments of other packets, zones and netns stay apart") {
  const original_packet packet(32);
  const original_packet other(32, false, 8);
  defragmenter d;
  CHECK(is_queued(add(d, packet.fragment(0, 16, true))));
  CHECK(is_queued(add(d, other.fragment(16, 32, false))));
  CHECK(is_queued(add(d, packet.fragment(16, 32, false), start, 1)));
  CHECK(is_queued(add(d, packet.fragment(16, 32, false), start, 0, 3)));
  CHECK(d.waiting() == 4);
  d.forget(1);
  CHECK(d.waiting() == 3);
  CHECK(is_whole(add(d, packet.fragment(16, 32, false)), packet.whole));
}

TEST_CASE("what is not whole in time is gone: 30 s for IPv4, 60 s for IPv6") {
  const original_packet four(32);
  const original_packet six(32, true);
  defragmenter d;
  CHECK(is_queued(add(d, four.fragment(0, 16, true))));
  CHECK(is_queued(add(d, six.fragment(0, 16, true))));
  CHECK(is_whole(add(d, four.fragment(16, 32, false), start + seconds(30) - 1), four.whole));
  CHECK(is_queued(add(d, four.fragment(0, 16, true))));
  CHECK(is_queued(add(d, four.fragment(16, 32, false), start + seconds(30))));
  CHECK(is_whole(add(d, six.fragment(16, 32, false), start + seconds(60) - 1), six.whole));
  CHECK(is_queued(add(d, six.fragment(0, 16, true), start + seconds(60))));
  CHECK(is_queued(add(d, six.fragment(16, 32, false), start + seconds(120))));
}

TEST_CASE("no packet is longer than 65,535 bytes") {
  const original_packet packet(48);
  bytes far = packet.fragment(0, 48, false);
  build::put16(far, 6, 8191);  // 65,528 bytes in
  defragmenter d;
  CHECK(is_queued(add(d, far)));
  constexpr std::size_t step = 32'768;
  const original_packet large(2 * step);
  CHECK(is_queued(add(d, large.fragment(0, step, true))));
  CHECK(is_dropped(add(d, large.fragment(step, 2 * step - 8, true)), "too long"));
  CHECK(d.waiting() == 0);

  const original_packet six(48, true);
  bytes far_six = six.fragment(0, 48, false);
  build::put16(far_six, 42, 0xfff8);
  CHECK(add(d, far_six).outcome == defrag_outcome::passed);
}

TEST_CASE("fragments with and without ECN make no packet") {
  for (const bool is_ipv6 : {false, true}) {
    const original_packet packet(32, is_ipv6);
    bytes marked = packet.fragment(16, 32, false);
    build::put8(marked, 1, is_ipv6 ? 0x30 : 0x03);
    defragmenter d;
    CHECK(is_queued(add(d, packet.fragment(0, 16, true))));
    CHECK(is_dropped(add(d, marked), "ECN"));
    CHECK(d.waiting() == 0);
  }
}

TEST_CASE("what waits is bounded: above that no new packet begins, until some went") {
  defragmenter d;
  std::size_t queued = 0;
  result last{};
  for (std::uint16_t id = 1; id != 0; ++id) {
    last = add(d, original_packet(1480, false, id).fragment(0, 1472, true));
    if (!is_queued(last)) break;
    ++queued;
  }
  CHECK(is_dropped(last, "too many others"));
  CHECK(queued * 1492 > defragmenter::bytes_max);
  CHECK((queued - 1) * 1492 <= defragmenter::bytes_max);
  const original_packet one(32, false, 9999);
  CHECK(is_queued(add(d, one.fragment(0, 16, true), start, 1)));  // another netns has its own
  CHECK(is_queued(add(d, one.fragment(0, 16, true), start + seconds(30))));
}

TEST_CASE("bytes that a capture cut are zero") {
  const original_packet packet(64);
  const bytes begin = packet.fragment(0, 32, true);
  bytes end = packet.fragment(32, 64, false);
  defragmenter d;
  CHECK(is_queued(add(d, begin)));
  struct packet cut;
  REQUIRE(decode_ip(std::span(end).first(24), static_cast<std::uint32_t>(end.size()), cut) ==
          decode_status::ok);
  whole_packet whole;
  const char* reason = nullptr;
  REQUIRE(d.add(cut, 0, 0, start, whole, reason) == defrag_outcome::whole);
  bytes expected = packet.whole;
  std::fill(expected.begin() + 20 + 36, expected.end(), std::byte{0});
  CHECK(*whole == expected);
}

}  // namespace
}  // namespace ct::core
