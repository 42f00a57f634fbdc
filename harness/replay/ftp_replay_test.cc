// SPDX-License-Identifier: BSD-2-Clause
/// Real FTP through every implementation: its data connections are RELATED and have a master.
///
/// The figures are what Linux 6.18 with its FTP helper attached by a rule makes of the same packets
/// (workloads/traces/README.md says what the capture holds).
#include "harness/format/conntrack.h"
#include "harness/replay/replay.h"
#include "spec/impl.h"
#include "workloads/playback.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace ct::harness {
namespace {

const std::vector<std::string> capture = {CT_TRACES "/ftp.pcap.gz"};
const system_options with_helper = {.helpers = {{.helper = "ftp", .port = 21}}};

/// What one implementation says of each packet, and what it is left with.
struct heard {
  std::map<ctinfo, int> packets;
  std::vector<std::size_t> dropped;  // packet numbers, from 1
  std::map<std::uint64_t, conn> entries;
  ip_conntrack_stat stat;
  std::string broken;
};

heard play(const impl& which, const system_options& options) {
  heard all;
  const auto system = which.make(options);
  const auto on = system->attach();
  workloads::playback player(capture);
  for (std::size_t number = 1;;) {
    const workloads::played_batch batch = player.next(workloads::batch_packets_max);
    if (batch.packets.empty()) break;
    std::vector<skb> packets(batch.packets.begin(), batch.packets.end());
    on->pass(packets);
    for (const skb& packet : packets) {
      if (packet.verdict == verdict::drop) {
        all.dropped.push_back(number);
      } else {
        ++all.packets[packet.info];
      }
      ++number;
    }
  }
  system->dump(*on, [&](const conn& c) { all.entries.emplace(c.id, c); });
  for (const ip_conntrack_stat& row : system->statistics()) all.stat += row;
  all.broken = system->broken_invariant(*on);
  return all;
}

template <class Check>
void for_each_impl(Check&& check) {
  int checked = 0;
  for (const impl& which : implementations()) {
    if (which.is_timing_only()) continue;
    DYNAMIC_SECTION(which.name) { check(which); }
    ++checked;
  }
  REQUIRE(checked >= 4);
}

TEST_CASE("with the helper, data connections of the FTP capture are RELATED, as Linux says") {
  for_each_impl([](const impl& which) {
    const heard all = play(which, with_helper);
    CHECK(all.packets == std::map<ctinfo, int>{{ctinfo::new_, 33},
                                               {ctinfo::related, 39},
                                               {ctinfo::established, 745},
                                               {ctinfo::established_reply, 803}});
    // Offers that break off: within the word, within the port, before the line's end.
    CHECK(all.dropped == std::vector<std::size_t>{1234, 1254, 1274, 1436, 1456});
    CHECK(all.stat.expect_new == 39);
    CHECK(all.stat.expect_create == 41);
    CHECK(all.stat.expect_delete == 41);
    CHECK(all.broken == "");
  });
}

TEST_CASE("each expected entry has a living master with the helper, which counts its children") {
  for_each_impl([](const impl& which) {
    const heard all = play(which, with_helper);
    std::map<std::uint64_t, std::uint32_t> children;
    for (const auto& [id, c] : all.entries) {
      const tuple& original = c.tuples[0];
      CHECK(c.has(status::expected) == (c.master_id != 0));
      CHECK(c.has(status::helper) == (original.dst.id == 21));
      CHECK(c.helper == (original.dst.id == 21 ? "ftp" : ""));
      if (c.master_id == 0) continue;
      ++children[c.master_id];
      REQUIRE(all.entries.count(c.master_id) == 1);
      const conn& master = all.entries.at(c.master_id);
      CHECK(master.helper == "ftp");
      // Between the same two hosts, either way round.
      CHECK((original.src.addr == master.tuples[0].src.addr ||
             original.src.addr == master.tuples[0].dst.addr));
    }
    CHECK(children.size() > 15);
    for (const auto& [id, c] : all.entries) CHECK(c.use == 1 + children[id]);
  });
}

TEST_CASE("without the helper nothing is expected, and no packet of the capture is dropped") {
  for_each_impl([](const impl& which) {
    const heard all = play(which, {});
    CHECK(all.packets.at(ctinfo::new_) == 72);
    CHECK(!all.packets.contains(ctinfo::related));
    CHECK(all.dropped.empty());
    CHECK(all.stat.expect_create == 0);
    for (const auto& [id, c] : all.entries) CHECK(c.master_id == 0);
  });
}

TEST_CASE("all implementations agree on the FTP capture, with and without the helper") {
  for (const bool is_helped : {true, false}) {
    workloads::playback player(capture);
    std::vector<impl> all;
    for (const impl& one : implementations()) {
      if (!one.is_timing_only()) all.push_back(one);
    }
    const replay_result result =
        replay(all, player, {.system = is_helped ? with_helper : system_options{}});
    for (const replay_row& row : result.rows) CHECK(row.difference == "");
    CHECK(result.connections == 72);
    CHECK(std::ranges::count(result.dump, "ftp", &conn::helper) == (is_helped ? 26 : 0));
  }
}

}  // namespace
}  // namespace ct::harness
