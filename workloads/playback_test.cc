// SPDX-License-Identifier: BSD-2-Clause
/// Order, gaps and steps of the clock over one capture and several.
#include "workloads/playback.h"

#include "workloads/capture_maker.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace ct::workloads {
namespace {

using testing::made_packet;
using testing::make_pcap;
using testing::scratch;

constexpr std::int64_t second = 1'000'000'000;
constexpr std::int64_t day = 24 * 3600 * second;

/// Arrival of every packet in jiffies after the first.
std::vector<std::uint64_t> arrivals(playback& player) {
  std::vector<std::uint64_t> all;
  for (;;) {
    const played_batch batch = player.next(2);
    if (batch.packets.empty()) return all;
    for (const skb& packet : batch.packets) all.push_back(packet.jiffies64 - initial_jiffies);
  }
}

std::string capture_at(const scratch& files,
                       const std::string& name,
                       std::vector<std::int64_t> times) {
  std::vector<made_packet> packets;
  for (const std::int64_t time_ns : times) packets.push_back({time_ns, name});
  return files.write(name, make_pcap(packets));
}

TEST_CASE("the clock starts at initial_jiffies with the first packet, and ticks every 4 ms") {
  const scratch files;
  const std::int64_t start = 1000 * day;
  playback player(
      {capture_at(files, "a", {start, start + 3'999'999, start + 4'000'000, start + second})});
  CHECK(arrivals(player) == std::vector<std::uint64_t>{0, 0, 1, hz});
  CHECK(player.jiffies64() == initial_jiffies + hz);
  CHECK(player.elapsed_ns() == second);
  CHECK(player.reordered_count() == 0);
}

TEST_CASE(
    "a capture that begins later keeps its real gap, one that begins earlier follows at once") {
  const scratch files;
  const std::string a = capture_at(files, "a", {100 * second, 110 * second});
  const std::string later = capture_at(files, "later", {130 * second, 131 * second});
  const std::string earlier = capture_at(files, "earlier", {50 * second, 55 * second});
  const std::string middle = capture_at(files, "middle", {120 * second, 121 * second});
  SECTION("later") {
    playback player({a, later});
    CHECK(arrivals(player) == std::vector<std::uint64_t>{0, 10 * hz, 30 * hz, 31 * hz});
  }
  SECTION("earlier") {
    playback player({a, earlier});
    CHECK(arrivals(player) == std::vector<std::uint64_t>{0, 10 * hz, 10 * hz, 15 * hz});
    CHECK(player.reordered_count() == 0);
  }
  SECTION("the clock that a later capture is compared with is the shifted one") {
    playback player({a, earlier, middle});  // a ends at 110, earlier at 115
    CHECK(arrivals(player) ==
          std::vector<std::uint64_t>{0, 10 * hz, 10 * hz, 15 * hz, 20 * hz, 21 * hz});
  }
}

TEST_CASE("checksums of a capture are said to be right, unless they are to be verified") {
  const scratch files;
  const std::string a = capture_at(files, "a", {10 * second});
  playback believed({a});
  CHECK(believed.next().packets[0].ip_summed == ip_summed::unnecessary);
  playback doubted({a}, ip_summed::none);
  CHECK(doubted.next().packets[0].ip_summed == ip_summed::none);
}

TEST_CASE("within a capture time never goes back") {
  const scratch files;
  playback player({capture_at(files, "a", {10 * second, 12 * second, 11 * second, 13 * second})});
  CHECK(arrivals(player) == std::vector<std::uint64_t>{0, 2 * hz, 2 * hz, 3 * hz});
  CHECK(player.reordered_count() == 1);
}

TEST_CASE("a gap that nothing tracked outlives is shortened and counted") {
  const scratch files;
  playback player({capture_at(files, "a", {0, 6 * day}), capture_at(files, "b", {4000 * day})});
  const std::uint64_t longest = static_cast<std::uint64_t>(gap_s_max) * hz;
  CHECK(arrivals(player) == std::vector<std::uint64_t>{0, longest, 2 * longest});
  CHECK(player.shortened_gap_count() == 1);
}

TEST_CASE("stamps at the end of their range neither overflow nor move the clock back") {
  const scratch files;
  const std::int64_t last = ((std::int64_t{1} << 32) - 1) * second;
  std::vector<std::string> paths;
  for (const char* name : {"a", "b", "c", "d"}) paths.push_back(capture_at(files, name, {0, last}));
  playback player(paths);
  const std::uint64_t step = static_cast<std::uint64_t>(gap_s_max) * hz;
  CHECK(
      arrivals(player) ==
      std::vector<std::uint64_t>{0, step, step, 2 * step, 2 * step, 3 * step, 3 * step, 4 * step});
}

TEST_CASE("packets are numbered within their capture") {
  const scratch files;
  playback player({capture_at(files, "a", {0, 1, 2}),
                   capture_at(files, "none", {}),
                   capture_at(files, "b", {3, 4})});
  std::vector<std::pair<std::size_t, std::uint64_t>> seen;
  for (;;) {
    const played_batch batch = player.next(2);
    if (batch.packets.empty()) break;
    seen.emplace_back(batch.capture_index, batch.first_packet);
  }
  CHECK(seen == std::vector<std::pair<std::size_t, std::uint64_t>>{{0, 1}, {0, 3}, {2, 1}});
  CHECK(player.packet_count() == 5);
  CHECK(player.wire_bytes() == 5);
}

TEST_CASE("a cut capture is named and the next one is played all the same") {
  const scratch files;
  const std::string whole = make_pcap({{0, "one"}, {1, "two"}});
  const std::string cut = files.write("cut", whole.substr(0, whole.size() - 1));
  playback player({cut, capture_at(files, "b", {3, 4})});
  CHECK(arrivals(player).size() == 3);
  REQUIRE(player.damages().size() == 1);
  CHECK_THAT(player.damages()[0], Catch::Contains("cut after packet 1 ("));
}

TEST_CASE("every capture is looked at before the first is played") {
  const scratch files;
  const std::string good = capture_at(files, "good", {0});
  CHECK_THROWS_AS(playback({good, files.path("missing")}), input_error);
  CHECK_THROWS_AS(playback({good, files.write("text", "text")}), input_error);
  CHECK_THROWS_WITH(playback({"-", good, "-"}), Catch::Contains("named twice"));
}

TEST_CASE("the share that was read is known when every size is") {
  const scratch files;
  playback player({capture_at(files, "a", {0, 1}), capture_at(files, "b", {2})});
  CHECK(player.fraction() == 0.0);
  arrivals(player);
  CHECK(player.fraction() == 1.0);
  const testing::stdin_from input(files.path("a"));
  CHECK_FALSE(playback({files.path("a"), "-"}).fraction().has_value());
}

}  // namespace
}  // namespace ct::workloads
