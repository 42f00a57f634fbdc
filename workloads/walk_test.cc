// SPDX-License-Identifier: BSD-2-Clause
/// Walks: what a seed gives, and that each protocol sends what it is called for.
#include "workloads/walk.h"

#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <string>

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
  for (const walked_packet& p : take({.kinds = {walk_kinds()[0]}}, 20'000)) {
    REQUIRE(protocol_of(p.ip) == ipproto::tcp);
    const std::size_t at = (std::to_integer<unsigned>(p.ip[0]) >> 4 == 4 ? 20U : 40U) + 13U;
    if (at < p.ip.size()) flags.insert(std::to_integer<unsigned>(p.ip[at]) & 0x3f);
  }
  for (const unsigned wanted : {0x02U, 0x12U, 0x10U, 0x11U, 0x04U, 0x14U, 0x00U, 0x3fU}) {
    CHECK(flags.contains(wanted));
  }
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
