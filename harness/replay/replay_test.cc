// SPDX-License-Identifier: BSD-2-Clause
/// Planted faults that the comparison has to find and name; good systems that it has to pass.
#include "harness/replay/replay.h"

#include "harness/replay/fake_system.h"
#include "workloads/capture_maker.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace ct::harness {
namespace {

using testing::fake;
using testing::fault;
using workloads::playback;
using workloads::testing::made_packet;
using workloads::testing::make_pcap;
using workloads::testing::scratch;

constexpr std::int64_t second = 1'000'000'000;

std::string frame(char flow, bool is_back = false) { return {flow, is_back ? '\1' : '\0', '-'}; }

/// Ten packets of four connections and an invalid one, 100 ms apart.
std::vector<made_packet> ten_packets() {
  const std::vector<std::string> frames = {frame(1),
                                           frame(2),
                                           frame(1, true),
                                           frame(1),
                                           "x",
                                           frame(3),
                                           frame(2, true),
                                           frame(2),
                                           frame(4),
                                           frame(1)};
  std::vector<made_packet> packets;
  for (const std::string& bytes : frames) {
    packets.push_back({static_cast<std::int64_t>(packets.size()) * second / 10, bytes});
  }
  return packets;
}

replay_result replay_ten(const std::vector<impl>& impls, std::size_t batch_packets = 4) {
  const scratch files;
  playback player({files.write("ten.pcap", make_pcap(ten_packets()))});
  replay_result result =
      replay(impls, player, {.system = {}, .zone = {}, .batch_packets = batch_packets});
  for (replay_row& row : result.rows) {  // the directory differs from run to run
    const std::size_t at = row.difference.find(files.path(""));
    if (at != std::string::npos) row.difference.erase(at, files.path("").size());
  }
  return result;
}

/// What replay says of an implementation with `planted` among good ones.
template <fault Planted>
std::string difference_found() {
  const replay_result result =
      replay_ten({fake("locked_map"), fake("rcu"), fake<Planted>("faulty"), fake("tbb")});
  CHECK_FALSE(result.all_agree());
  REQUIRE(result.rows.size() == 4);
  for (const std::size_t good : {0U, 1U, 3U}) {
    CHECK(result.rows[good].agrees == true);
    CHECK(result.rows[good].difference.empty());
    CHECK(result.rows[good].packets == 10);
  }
  CHECK(result.rows[2].agrees == false);
  CHECK(result.rows[2].impl == "faulty");
  return result.rows[2].difference;
}

TEST_CASE("implementations that do the same agree") {
  const replay_result result = replay_ten({fake("locked_map"), fake("rcu")});
  CHECK(result.all_agree());
  for (const replay_row& row : result.rows) {
    CHECK(row.packets == 10);
    CHECK(row.connections == 4);
    CHECK(row.agrees == true);
  }
  CHECK(result.connections == 4);
  CHECK(result.dump.size() == 4);
  REQUIRE(result.statistics.size() == 1);
  CHECK(result.statistics[0].invalid == 1);
}

TEST_CASE("a wrong ctinfo is found, with implementation, packet, capture and both values") {
  CHECK(difference_found<fault::wrong_ctinfo_at_7>() ==
        "packet 7 of ten.pcap: ctinfo RELATED (locked_map: ESTABLISHED_REPLY)");
}

TEST_CASE("a wrong verdict and a wrong connection are found") {
  CHECK(difference_found<fault::wrong_verdict_at_7>() ==
        "packet 7 of ten.pcap: verdict drop (locked_map: accept)");
  CHECK(difference_found<fault::wrong_id_at_7>() ==
        "packet 7 of ten.pcap: connection 102 (locked_map: 2)");
}

TEST_CASE("the packet is found whatever the size of the batches") {
  for (const std::size_t batch : {1U, 6U, 7U, 256U}) {
    const auto result = replay_ten({fake("a"), fake<fault::wrong_ctinfo_at_7>("b")}, batch);
    CHECK_THAT(result.rows[1].difference, Catch::StartsWith("packet 7 of ten.pcap: "));
  }
}

TEST_CASE("a dump that differs is found, also by what its lines do not show") {
  const std::string one_jiffy = difference_found<fault::wrong_dump>();
  CHECK_THAT(one_jiffy, Catch::StartsWith("dump: shows \"ipv4     2 udp      17 29 src=10.0.0.1 "));
  CHECK_THAT(one_jiffy, Catch::Contains("jiffies=7498 net=0, locked_map shows "));
  CHECK_THAT(one_jiffy, Catch::EndsWith("jiffies=7499 net=0"));
  CHECK_THAT(difference_found<fault::wrong_labels>(), Catch::Contains("net=0 labels=0:20:0:0, "));
  CHECK_THAT(difference_found<fault::wrong_start>(), Catch::Contains("net=0 start_ns=4, "));
  CHECK_THAT(difference_found<fault::lost_in_dump>(),
             Catch::StartsWith("dump: lacks ") && Catch::Contains("src=10.0.0.1 ") &&
                 Catch::EndsWith("which locked_map shows"));
  CHECK_THAT(difference_found<fault::extra_in_dump>(),
             Catch::StartsWith("dump: shows ") && Catch::Contains("src=10.0.0.255 ") &&
                 Catch::EndsWith("which locked_map does not"));
}

TEST_CASE("a wrong count, wrong counters and a broken invariant are found") {
  CHECK(difference_found<fault::wrong_count>() == "count: 5 entries (locked_map: 4)");
  CHECK(difference_found<fault::wrong_statistics>() == "statistics: early_drop=1 (locked_map: 0)");
  CHECK(difference_found<fault::broken_invariant>() ==
        "breaks an invariant: a bucket points nowhere");
}

TEST_CASE("the first implementation is not above its own invariants") {
  const replay_result result = replay_ten({fake<fault::broken_invariant>("first"), fake("second")});
  CHECK(result.rows[0].agrees == false);
  CHECK(result.rows[1].agrees == true);
}

TEST_CASE("expired entries that gc_worker has not come to yet are no difference") {
  const scratch files;
  std::vector<made_packet> packets = ten_packets();
  packets.push_back({100 * second, frame(9)});
  playback player({files.write("long.pcap", make_pcap(packets))});
  const std::vector<impl> impls = {fake("eager"), fake<fault::none, true>("lazy")};
  const replay_result result = replay(impls, player, {});
  CHECK(result.all_agree());
  CHECK(result.rows[1].difference.empty());
  CHECK(result.dump.size() == 1);
  CHECK(result.connections == 5);
}

TEST_CASE("what takes part in timing only is driven and never compared") {
  const replay_result result = replay_ten({testing::fake_noop(), fake("a"), fake("b")});
  CHECK(result.all_agree());
  CHECK_FALSE(result.rows[0].agrees.has_value());
  CHECK(result.rows[0].packets == 10);
  CHECK(result.rows[1].agrees == true);
}

TEST_CASE("a replay that is stopped compares what was done so far") {
  const scratch files;
  playback player({files.write("ten.pcap", make_pcap(ten_packets()))});
  const std::vector<impl> impls = {fake("a"), fake("b")};
  int batches = 0;
  const replay_result result = replay(impls,
                                      player,
                                      {.system = {}, .zone = {}, .batch_packets = 4},
                                      {.should_stop = [&] { return batches == 2; },
                                       .progress = [&](const playback&) { ++batches; }});
  CHECK(result.was_stopped);
  CHECK(result.all_agree());
  CHECK(result.rows[0].packets == 8);
  CHECK(result.rows[1].packets == 8);
}

TEST_CASE("a connection that comes again after its end is a second connection") {
  const scratch files;
  playback player({files.write("again.pcap", make_pcap({{0, frame(1)}, {31 * second, frame(1)}}))});
  const std::vector<impl> impls = {fake("a")};
  CHECK(replay(impls, player, {}).connections == 2);
}

}  // namespace
}  // namespace ct::harness
