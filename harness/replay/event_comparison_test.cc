// SPDX-License-Identifier: BSD-2-Clause
/// Events with planted faults among good ones: each is found and named, an order that is free is
/// not.
#include "harness/replay/event_comparison.h"

#include "harness/replay/fake_system.h"
#include "harness/replay/replay.h"
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

/// Three connections; the first two expire, the first comes again.
replay_result replay_seven(const std::vector<impl>& impls,
                           bool listens = true,
                           const replay_hooks& hooks = {}) {
  const auto frame = [](char flow, bool is_back) {
    return std::string{flow, is_back ? '\1' : '\0', '-'};
  };
  const scratch files;
  playback player({files.write("seven.pcap",
                               make_pcap({{0, frame(1, false)},
                                          {1 * second, frame(1, true)},
                                          {2 * second, frame(2, false)},
                                          {3 * second, frame(2, true)},
                                          {4 * second, frame(1, true)},
                                          {40 * second, frame(1, false)},
                                          {41 * second, frame(3, false)}}))});
  return replay(impls,
                player,
                {.system = {}, .zone = {}, .batch_packets = 2, .events = listens},
                hooks);
}

/// What replay says of an implementation with `Planted` among good ones.
template <fault Planted>
std::string difference_found() {
  const replay_result result = replay_seven({fake("locked_map"), fake<Planted>("faulty")});
  CHECK_FALSE(result.all_agree());
  CHECK(result.rows[0].agrees == true);
  CHECK(replay_seven({fake("locked_map"), fake<Planted>("faulty")}, false).all_agree());
  return result.rows[1].difference;
}

TEST_CASE("implementations that tell the same agree, whenever each one reaps") {
  std::vector<std::uint32_t> told;
  const replay_hooks hooks = {.should_stop = {},
                              .progress = {},
                              .events = [&](std::span<const event_message> some) {
                                for (const event_message& m : some) told.push_back(m.bits);
                              }};
  const replay_result result =
      replay_seven({fake("eager"), fake<fault::none, true>("lazy")}, true, hooks);
  CHECK(result.rows[1].difference.empty());
  CHECK(result.all_agree());
  CHECK(told == std::vector<std::uint32_t>{bit(event::new_),
                                           bit(event::reply),
                                           bit(event::new_),
                                           bit(event::reply),
                                           bit(event::destroy),
                                           bit(event::destroy),
                                           bit(event::new_),
                                           bit(event::new_)});
  CHECK(result.event_count == told.size());
  CHECK(replay_seven({fake<fault::none, true>("lazy"), fake("eager")}).all_agree());
}

TEST_CASE("an update that is lost, told twice or altered is found where it should stand") {
  CHECK_THAT(difference_found<fault::lost_update>(),
             Catch::StartsWith("event 2: lacks \" [UPDATE] ") && Catch::Contains("src=10.0.0.1 ") &&
                 Catch::EndsWith(", which locked_map tells"));
  CHECK_THAT(difference_found<fault::doubled_update>(),
             Catch::StartsWith("event 3: tells \" [UPDATE] ") &&
                 Catch::EndsWith(", which locked_map does not"));
  CHECK_THAT(difference_found<fault::altered_event>(),
             Catch::StartsWith("event 2: tells \" [UPDATE] ") &&
                 Catch::Contains("jiffies=7499 net=0, locked_map tells \" [UPDATE] "));
}

TEST_CASE("a DESTROY that is lost, told twice, too early or altered is found") {
  CHECK(difference_found<fault::lost_destroy>() ==
        "events: 2 DESTROY are lost: 4 entries live by the events, 2 are in the table");
  CHECK(difference_found<fault::doubled_destroy>() == "events: entry 1: DESTROY twice");
  CHECK(difference_found<fault::destroy_before_new>() == "events: entry 1: DESTROY before NEW");
  CHECK_THAT(difference_found<fault::altered_destroy>(),
             Catch::StartsWith("event: tells \"[DESTROY] ") && Catch::Contains(" mark=5 "));
  CHECK(difference_found<fault::update_after_destroy>() ==
        "events: entry 1: an update after DESTROY");
}

TEST_CASE("the first implementation is not above the order of events") {
  const replay_result result =
      replay_seven({fake<fault::doubled_destroy>("first"), fake<fault::doubled_destroy>("second")});
  CHECK(result.rows[0].difference == "events: entry 1: DESTROY twice");
  CHECK(result.rows[1].difference == "events: entry 1: DESTROY twice");
}

TEST_CASE("DESTROY is compared by connection: told by one alone it is missing at the end") {
  const auto destroyed = [](std::uint64_t id) {
    event_message m{.bits = bit(event::destroy), .entry = {}};
    m.entry.id = id;
    return m;
  };
  const std::vector<event_message> one = {destroyed(1)};
  const std::vector<event_message> two = {destroyed(2)};
  event_comparison c;
  CHECK(c.next(one, two, "x") == "");
  CHECK_THAT(c.at_end("x"), Catch::StartsWith("event: tells ") && Catch::EndsWith("x does not"));
  CHECK(c.next(two, {}, "x") == "");
  CHECK_THAT(c.at_end("x"), Catch::StartsWith("event: tells ") && Catch::Contains("id=1"));
  CHECK(c.next({}, one, "x") == "");
  CHECK(c.at_end("x") == "");
  CHECK(c.next({}, one, "x") == "");
  CHECK_THAT(c.at_end("x"), Catch::StartsWith("event: lacks ") && Catch::EndsWith("x tells"));
}

}  // namespace
}  // namespace ct::harness
