// SPDX-License-Identifier: BSD-2-Clause
/// Walks: what a seed gives, and that each protocol sends what it is called for.
#include "workloads/walk.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace ct::workloads {
namespace {

std::vector<walked_packet> take(const mix_options& options, std::size_t count) {
  walk_mix mix(options);
  std::vector<walked_packet> packets;
  for (std::size_t i = 0; i < count; ++i) packets.push_back(mix.next());
  return packets;
}

unsigned protocol_of(const build::bytes& ip) {
  return std::to_integer<unsigned>(std::to_integer<unsigned>(ip[0]) >> 4 == 4 ? ip[9] : ip[6]);
}

const walk_kind& kind_named(std::string_view name) {
  return *std::ranges::find(walk_kinds(), name, &walk_kind::name);
}

/// Transports of so many packets of one kind of walk, and that each is of `protonum`.
std::vector<build::bytes> transports(std::string_view kind, unsigned protonum, std::size_t count) {
  std::vector<build::bytes> all;
  for (const walked_packet& p : take({.kinds = {kind_named(kind)}}, count)) {
    REQUIRE(protocol_of(p.ip) == protonum);
    const std::ptrdiff_t header = std::to_integer<unsigned>(p.ip[0]) >> 4 == 4 ? 20 : 40;
    all.emplace_back(p.ip.begin() + header, p.ip.end());
  }
  return all;
}

unsigned number_at(const build::bytes& l4, std::size_t at) {
  return std::to_integer<unsigned>(l4[at]) << 8 | std::to_integer<unsigned>(l4[at + 1]);
}

}  // namespace

TEST_CASE("a mix follows from its seed") {
  const mix_options options = {.kinds = {walk_kinds().begin(), walk_kinds().end()}, .seed = 7};
  mix_options other = options;
  other.seed = 8;
  const auto a = take(options, 500);
  const auto b = take(options, 500);
  const auto c = take(other, 500);
  bool differs = false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i].ip == b[i].ip);
    differs |= a[i].ip != c[i].ip;
  }
  CHECK(differs);
}

TEST_CASE("each kind of walk has a name of its own, and sends over both IPs") {
  std::set<std::string_view> names;
  for (const walk_kind& kind : walk_kinds()) {
    CAPTURE(std::string(kind.name));
    CHECK(names.insert(kind.name).second);
    std::map<unsigned, int> versions;
    for (const walked_packet& p : take({.kinds = {kind}}, 2000)) {
      REQUIRE_FALSE(p.ip.empty());
      ++versions[std::to_integer<unsigned>(p.ip[0]) >> 4];
    }
    CHECK(versions[4] > 500);
    CHECK(versions[6] > 300);
  }
}

TEST_CASE("a TCP walk sends TCP, with every usual and unusual set of flags") {
  std::set<unsigned> flags;
  for (const walked_packet& p : take({.kinds = {kind_named("tcp")}}, 20'000)) {
    REQUIRE(protocol_of(p.ip) == ipproto::tcp);
    const std::size_t at = (std::to_integer<unsigned>(p.ip[0]) >> 4 == 4 ? 20U : 40U) + 13U;
    if (at < p.ip.size()) flags.insert(std::to_integer<unsigned>(p.ip[at]) & 0x3f);
  }
  for (const unsigned wanted : {0x02U, 0x12U, 0x10U, 0x11U, 0x04U, 0x14U, 0x00U, 0x3fU}) {
    CHECK(flags.contains(wanted));
  }
}

TEST_CASE("an SCTP walk sends each kind of chunk, both ways, and most with a right CRC32c") {
  std::set<std::pair<unsigned, unsigned>> seen;  // chunk, source port is the server's
  std::set<unsigned> lengths;
  std::size_t right = 0;
  std::size_t wrong = 0;
  for (const build::bytes& l4 : transports("sctp", ipproto::sctp, 20'000)) {
    if (l4.size() < 16) continue;
    seen.insert({std::to_integer<unsigned>(l4[12]), number_at(l4, 0) == 3868 ? 1U : 0U});
    lengths.insert(number_at(l4, 14));
    build::bytes zeroed = l4;
    build::put32(zeroed, 8, 0);
    const std::uint32_t crc = build::crc32c(zeroed);
    const bool is_right = std::to_integer<unsigned>(l4[8]) == (crc & 0xff) &&
                          std::to_integer<unsigned>(l4[11]) == crc >> 24;
    ++(is_right ? right : wrong);
  }
  for (const unsigned chunk : {0U, 1U, 2U, 3U, 4U, 5U, 6U, 7U, 8U, 9U, 10U, 11U, 14U, 193U}) {
    CHECK(seen.contains({chunk, 0}));
    CHECK(seen.contains({chunk, 1}));
  }
  CHECK(lengths.contains(0));
  CHECK(lengths.contains(3));
  CHECK(right > 18'000);
  CHECK(wrong > 50);
}

TEST_CASE("a GRE walk has versions 0, 1 and others; UDP-Lite every coverage; DCCP every type") {
  std::set<unsigned> versions;
  for (const build::bytes& l4 : transports("gre", ipproto::gre, 5000)) {
    if (l4.size() >= 2) versions.insert(std::to_integer<unsigned>(l4[1]) & 7);
  }
  CHECK(versions.size() == 8);
  std::set<int> coverages;  // 0; less than the header, the header, a part, all, too much
  for (const build::bytes& l4 : transports("udplite", ipproto::udplite, 5000)) {
    if (l4.size() < 6) continue;
    const unsigned coverage = number_at(l4, 4);
    const int kind = coverage == 0           ? 0
                     : coverage < 8          ? 1
                     : coverage == 8         ? 2
                     : coverage < l4.size()  ? 3
                     : coverage == l4.size() ? 4
                                             : 5;
    coverages.insert(kind);
  }
  CHECK(coverages.size() == 6);
  std::set<unsigned> types;
  for (const build::bytes& l4 : transports("dccp", ipproto::dccp, 5000)) {
    if (l4.size() >= 9) types.insert(std::to_integer<unsigned>(l4[8]) >> 1 & 15);
  }
  CHECK(types.size() == 16);
}

TEST_CASE("half of the walks of a default mix are TCP's") {
  std::uint32_t all = 0;
  for (const walk_kind& kind : walk_kinds()) all += kind.weight;
  CHECK(kind_named("tcp").weight * 100 / all >= 45);
  CHECK(kind_named("tcp").weight * 100 / all <= 60);
}

TEST_CASE("a mix pauses once in its middle if it is asked to, and gives zones and marks if asked") {
  const mix_options options = {.kinds = {walk_kinds().begin(), walk_kinds().end()},
                               .packets = 1000,
                               .has_pause = true,
                               .has_zones_and_marks = true};
  const auto packets = take(options, 1000);
  std::size_t pauses = 0;
  std::size_t zoned = 0;
  std::size_t marked = 0;
  for (const walked_packet& p : packets) {
    pauses += p.pause_ms != 0 ? 1 : 0;
    zoned += p.zone_id != 0 ? 1 : 0;
    marked += p.mark != 0 ? 1 : 0;
  }
  CHECK(pauses == 1);
  CHECK(packets[499].pause_ms == pause_ms);
  CHECK(zoned > 0);
  CHECK(marked > 0);
  for (const walked_packet& p : take({.kinds = options.kinds}, 1000)) {
    CHECK(p.pause_ms == 0);
    CHECK(p.zone_id == 0);
  }
}

}  // namespace ct::workloads
