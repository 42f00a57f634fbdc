// SPDX-License-Identifier: BSD-2-Clause
/// Two systems of this program side by side: those that agree must, and each planted fault is found
/// and shrunk.
#include "harness/conform/altered_impl.h"
#include "harness/conform/campaign.h"
#include "harness/conform/capture_list.h"
#include "harness/conform/explained.h"
#include "harness/conform/lanes.h"
#include "harness/conform/packet_reading.h"
#include "harness/conform/shrink.h"
#include "spec/jiffies.h"
#include "workloads/packet_builder.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <set>
#include <sstream>
#include <string>
#include <unistd.h>

namespace ct::harness::conform {
namespace {

using testing::altered_impl;
using testing::fault;
using testing::plain_impl;

const impl& other_impl() { return *std::ranges::find(implementations(), "spinlock", &impl::name); }

/// A clock that a test moves by pausing alone.
shared_clock virtual_clock() {
  const auto now = std::make_shared<std::uint64_t>(initial_jiffies);
  return {.jiffies64 = [now] { return *now; },
          .pause = [now](std::uint32_t ms) { *now += std::uint64_t{ms} * hz / 1000; }};
}

campaign_options small_campaign(std::uint64_t packets) {
  campaign_options options;
  options.packets = packets;
  options.kinds.assign(workloads::walk_kinds().begin(), workloads::walk_kinds().end());
  options.system = {.buckets = 1024, .acct = true};
  options.clock = virtual_clock;
  options.findings_max = 1;
  return options;
}

/// Of one protocol.
campaign_options campaign_of(std::string_view protocol, std::uint64_t packets) {
  campaign_options options = small_campaign(packets);
  std::erase_if(options.kinds, [&](const auto& kind) { return kind.name != protocol; });
  return options;
}

template <fault Planted>
campaign_result judge(std::uint64_t packets = 3000) {
  return run_campaign(altered_impl<Planted>(), other_impl(), small_campaign(packets), {});
}
template <fault Planted>
campaign_result judge(std::string_view protocol) {
  return run_campaign(altered_impl<Planted>(), other_impl(), campaign_of(protocol, 3000), {});
}

walked_packet sctp_reply(std::uint8_t chunk) {
  return {.ip = build::ipv4({}, build::sctp({.vtag = 1}, build::chunk({.type = chunk})))};
}

/// The first finding's field, and how short its list is.
struct found_text {
  std::string field;
  std::size_t packets = 0;
};
found_text first(const campaign_result& result) {
  if (result.findings.empty()) return {};
  return {std::string(result.findings[0].what.field), result.findings[0].packets.size()};
}

}  // namespace

TEST_CASE("shrinking keeps what a failure needs and nothing else") {
  index_list all(1000);
  std::iota(all.begin(), all.end(), std::size_t{0});
  const auto needs = [](const index_list& kept) {
    return std::ranges::count_if(kept,
                                 [](std::size_t i) { return i == 3 || i == 500 || i == 999; }) == 3;
  };
  CHECK(shrink(all, needs, 10000) == index_list{3, 500, 999});
  const auto any_two = [](const index_list& kept) { return kept.size() >= 2; };
  CHECK(shrink(all, any_two, 10000).size() == 2);
  CHECK(shrink(all, needs, 3).size() > 3);
}

TEST_CASE("two views of an entry differ in the field that was changed, and in no other") {
  conn plain;
  plain.status = status::confirmed;
  plain.timeout_jiffies = 1000;
  plain.has_acct = true;
  CHECK_FALSE(compare(plain, plain));
  const auto field_after = [&plain](auto&& change) {
    conn other = plain;
    change(other);
    const auto found = compare(plain, other);
    return found ? std::string(found->field) : "";
  };
  CHECK(field_after([](conn& c) { c.tuples[1].src.id = 1; }) == "tuples");
  CHECK(field_after([](conn& c) { c.status |= status::assured; }) == "status");
  CHECK(field_after([](conn& c) { c.tcp = tcp_state::close; }) == "state");
  CHECK(field_after([](conn& c) { c.tcp_scale[1] = 3; }) == "scale");
  CHECK(field_after([](conn& c) { c.tcp_flags[0] = 1; }) == "flags");
  CHECK(field_after([](conn& c) { c.bytes[1] = 1; }) == "counters");
  CHECK(field_after([](conn& c) { c.has_acct = false; }) == "counters");
  CHECK(field_after([](conn& c) { c.mark = 1; }) == "mark");
  CHECK(field_after([](conn& c) { c.zone.id = 1; }) == "zone");
  CHECK(field_after([](conn& c) { c.timeout_jiffies += seconds(1); }).empty());
  CHECK(field_after([](conn& c) { c.timeout_jiffies += seconds(2); }) == "timeout");
  CHECK(compare(std::optional(plain), std::nullopt)->field == "entry");
  CHECK_FALSE(compare(std::nullopt, std::optional<conn>{}));
}

TEST_CASE("two systems that agree have no difference, and a campaign reaches what it promises") {
  const campaign_result result =
      run_campaign(plain_impl(), other_impl(), small_campaign(50'000), {});
  for (const finding& one : result.findings) FAIL(lanes_text(one, "locked_map", "spinlock"));
  CHECK(result.packets() == 50'000);
  CHECK(result.states.packets == episode_packets);
  CHECK(result.seen.count(tcp_cells) > 100);
  CHECK(result.seen.count(tcp_cells) <= tcp_cells.reachable());
  CHECK(result.seen.count(sctp_cells) > 100);
  CHECK_FALSE(result.seen.has(dccp_cells));
  CHECK(result.seen.icmp_count() > 15);
  CHECK(result.seen.icmpv6_count() > 20);
  CHECK(result.seen.sysctl_count() == 3);
  CHECK(result.sysctls_varied > 30);
}

TEST_CASE("walks reach every cell of SCTP's and DCCP's tables that can be reached, and no other") {
  const auto seen_of = [](std::string_view protocol) {
    campaign_options options = campaign_of(protocol, 60'000);
    options.system.dccp = true;
    options.is_always_deep = true;
    const campaign_result result = run_campaign(plain_impl(), other_impl(), options, {});
    for (const finding& one : result.findings) FAIL(lanes_text(one, "locked_map", "spinlock"));
    return result.seen;
  };
  const coverage sctp = seen_of("sctp");
  CHECK(sctp.missing(sctp_cells).empty());
  CHECK(sctp.count(sctp_cells) == sctp_cells.reachable());
  const coverage dccp = seen_of("dccp");
  CHECK(dccp.missing(dccp_cells).empty());
  CHECK(dccp.count(dccp_cells) == dccp_cells.reachable());
}

TEST_CASE("tables have as many cells as the trackers', less those that cannot be reached") {
  CHECK(tcp_cells.size() == 120);
  CHECK(tcp_cells.reachable() == 120 - 6);
  CHECK(sctp_cells.size() == 198);
  CHECK(sctp_cells.reachable() == 198 - 11 - 3);
  CHECK(dccp_cells.size() == 160);
  CHECK(dccp_cells.reachable() == 160 - 10);
  std::set<std::string_view> keys;
  for (const cell_table* const table : cell_tables()) {
    CHECK(keys.insert(table->key).second);
    CHECK(coverage({.dccp = true}).has(*table));
    // What was not reached is named.
    CHECK(coverage({.dccp = true}).missing(*table).size() == table->reachable());
  }
  CHECK_FALSE(coverage().has(dccp_cells));
  CHECK(coverage().missing(dccp_cells).empty());
  CHECK(coverage().missing(tcp_cells).back() == "reply none SYN_SENT2");
  CHECK(coverage().missing(sctp_cells).front() == "original INIT NONE");
}

TEST_CASE("an SCTP chunk counts where the table judged it, and not where its tag was wrong") {
  const walked_packet heartbeat_ack = sctp_reply(5);
  const walked_packet error = sctp_reply(9);
  conn entry;
  entry.tuples[0] = tuple_of(*read_packet(error.ip)).value();
  std::swap(entry.tuples[0].src.addr, entry.tuples[0].dst.addr);
  std::swap(entry.tuples[0].src.id, entry.tuples[0].dst.id);
  const auto counts = [&](const walked_packet& packet, sctp_state before, ctinfo info) {
    entry.sctp = before;
    seen_packet seen = {.packet = &packet, .about = tuple_of(*read_packet(packet.ip))};
    seen.before = entry;
    seen.our_skb.info = info;
    coverage covered;
    covered.note(seen);
    return covered.count(sctp_cells) == 1;
  };
  CHECK(counts(error, sctp_state::established, ctinfo::established_reply));
  CHECK_FALSE(counts(error, sctp_state::established, ctinfo::invalid));
  CHECK(counts(error, sctp_state::heartbeat_sent, ctinfo::invalid));
  CHECK_FALSE(counts(error, sctp_state::heartbeat_sent, ctinfo::established_reply));
  CHECK(counts(heartbeat_ack, sctp_state::heartbeat_sent, ctinfo::established_reply));
  CHECK_FALSE(counts(heartbeat_ack, sctp_state::heartbeat_sent, ctinfo::invalid));
  const walked_packet data = sctp_reply(0);
  CHECK_FALSE(counts(data, sctp_state::established, ctinfo::established_reply));
}

TEST_CASE("each planted fault is found, named by its field, and shrunk to a few packets") {
  const found_text reply = first(judge<fault::reply_is_new>());
  CHECK(reply.field == "outcome");
  CHECK(reply.packets == 2);
  const found_text dropped = first(judge<fault::drops_fourth>());
  CHECK(dropped.field == "outcome");
  CHECK(dropped.packets == 4);
  const found_text timeout = first(judge<fault::short_timeout>());
  CHECK(timeout.field == "timeout");
  CHECK(timeout.packets <= 3);
  const found_text assured = first(judge<fault::lost_assured>());
  CHECK(assured.field == "status");
  CHECK(assured.packets <= 3);
  const found_text uncounted = first(judge<fault::uncounted>());
  CHECK(uncounted.field == "statistics");
  CHECK(uncounted.packets == 1);
  const found_text untold = first(judge<fault::untold>());
  CHECK(untold.field == "events");
  CHECK(untold.packets == 2);
  const found_text chunk = first(judge<fault::wrong_chunk>("sctp"));
  CHECK(chunk.field == "state");
  CHECK(chunk.packets <= 5);
  const found_text call = first(judge<fault::wrong_call>("gre"));
  CHECK(call.field == "tuples");
  CHECK(call.packets == 1);
  CHECK(judge<fault::none>().findings.empty());
}

TEST_CASE("an episode follows from seed and number alone") {
  const campaign_options options = small_campaign(45'000);
  const auto bytes_of = [&](std::uint64_t number) {
    std::vector<build::bytes> all;
    for (const walked_packet& p : episode_of(options, number)) all.push_back(p.ip);
    return all;
  };
  CHECK(bytes_of(0) == bytes_of(0));
  CHECK(bytes_of(0) != bytes_of(1));
  CHECK(bytes_of(2).size() == 5'000);
  const auto second = episode_of(options, 1);
  CHECK(std::ranges::count_if(second, [](const walked_packet& p) { return p.pause_ms != 0; }) == 1);
}

TEST_CASE("a packet concerns its own entry, an ICMP error that of the packet it quotes") {
  const auto about = [](const build::bytes& ip) { return tuple_of(read_packet(ip).value()); };
  const build::bytes request = build::ipv4({}, build::udp({.source_port = 1000, .dest_port = 53}));
  REQUIRE(about(request));
  CHECK(about(request)->src.id == 1000);
  CHECK(about(request)->dst.id == 53);
  const build::bytes error =
      build::ipv4({.src = "192.0.2.1", .dst = "10.0.0.1"}, build::icmp({.type = 3}, request));
  CHECK(same_flow(*about(error), *about(request)));
  CHECK(addresses_of(error).size() == 4);
  const build::bytes echo6 = build::ipv6({.extensions = {build::options_header(60)}},
                                         build::icmpv6({.type = 128, .id = 9}));
  CHECK(about(echo6)->src.id == 9);
  CHECK(icmp_type(*about(echo6)) == 128);
  CHECK(about(build::ipv4({}, build::pptp({.call_id = 77})))->dst.id == 77);
  CHECK(about(build::ipv4({}, build::gre(build::payload(8))))->dst.id == 0);
  const build::bytes dccp = build::ipv4({}, build::dccp({.source_port = 1, .dest_port = 2}));
  CHECK(about(dccp)->dst.id == 0);
  CHECK(tuple_of(*read_packet(dccp), true)->dst.id == 2);
  CHECK_FALSE(about(build::ipv4({}, build::other(ipproto::tcp, build::payload(3)))));
  CHECK_FALSE(read_packet(build::raw({0x45, 0})));
}

TEST_CASE("what a router does not forward is known") {
  const auto goes = [](const char* src, const char* dst) {
    return is_forwarded(build::ipv4({.src = src, .dst = dst}, build::udp({})));
  };
  CHECK(goes("10.0.0.1", "10.0.0.2"));
  for (const char* dst : {"127.0.0.1", "224.0.0.1", "255.255.255.255", "0.1.2.3", "169.254.1.1"}) {
    CHECK_FALSE(goes("10.0.0.1", dst));
    CHECK_FALSE(goes(dst, "10.0.0.1"));
  }
  for (const char* dst : {"ff02::1", "fe80::1", "::1", "::"}) {
    CHECK_FALSE(is_forwarded(build::ipv6({.dst = dst}, build::udp({}))));
  }
  CHECK(is_forwarded(build::ipv4({.options = build::raw({1, 1})}, build::udp({}))));
  CHECK_FALSE(is_forwarded(build::ipv4({.options = build::raw({7, 4, 4, 0})}, build::udp({}))));
}

TEST_CASE("a saved list is read again as it was, link layers are taken off") {
  const build::bytes one = build::ipv4({}, build::udp({}, build::payload(9)));
  const build::bytes two = build::ipv6({}, build::tcp({}));
  const std::vector<walked_packet> packets = {{.ip = one}, {.ip = two, .pause_ms = 2200}};
  const auto path = std::filesystem::temp_directory_path() /
                    ("ctbench-conform-" + std::to_string(getpid()) + ".pcap");
  std::ofstream(path, std::ios::binary) << pcap_of(packets);
  const captured_list read = read_capture(path.string(), true);
  std::filesystem::remove(path);
  REQUIRE(read.packets.size() == 2);
  CHECK(read.packets[0].ip == one);
  CHECK(read.packets[1].ip == two);
  CHECK(read.packets[1].pause_ms >= 2200);
  CHECK(ip_offset(build::ethernet(one, {0x8100}), link_type::ethernet) == 18);
  CHECK(ip_offset(build::linux_sll(two), link_type::linux_sll) == 16);
  CHECK_FALSE(
      ip_offset(build::raw({2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 6}), link_type::ethernet));
}

TEST_CASE("a capture of the loopback device is sent from other addresses, what errors quote too") {
  const build::bytes sent = build::ipv4({.src = "127.0.0.1", .dst = "127.0.0.2"}, build::udp({}));
  const build::bytes error =
      build::ipv4({.src = "10.0.0.9", .dst = "127.0.0.1"}, build::icmp({.type = 3}, sent));
  const build::bytes query =
      build::ipv4({.src = "10.0.0.9", .dst = "10.0.0.8"}, build::icmp({.type = 8}, sent));
  const auto path = std::filesystem::temp_directory_path() /
                    ("ctbench-conform-lo-" + std::to_string(getpid()) + ".pcap");
  std::ofstream(path, std::ios::binary)
      << pcap_of(std::vector<walked_packet>{{.ip = sent}, {.ip = error}, {.ip = query}});
  const captured_list read = read_capture(path.string(), false);
  std::filesystem::remove(path);
  REQUIRE(read.packets.size() == 3);
  CHECK(read.left_out == 0);
  const build::bytes& moved = read.packets[0].ip;
  CHECK(build::checksum_fold(build::checksum_add(0, std::span(moved).first(20))) == 0);
  CHECK(text_of(read_packet(moved)->src, l3num::ipv4) == "126.0.0.1");
  CHECK(text_of(read_packet(moved)->dst, l3num::ipv4) == "126.0.0.2");
  CHECK(tuple_of(*read_packet(read.packets[1].ip)) == tuple_of(*read_packet(moved)));
  CHECK(read.packets[2].ip == query);
}

TEST_CASE("every known difference has its row in the document, and the document no other") {
  std::ifstream file(CT_DIFFERENCES);
  REQUIRE(file);
  std::set<std::string> rows;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("| `")) continue;
    rows.insert(line.substr(3, line.find('`', 3) - 3));
  }
  std::set<std::string> known;
  for (const explanation& one : explanations()) known.insert(std::string(one.id));
  CHECK(rows == known);
  CHECK(known.size() <= explanations_max);
}

TEST_CASE("the row of the tick covers that border, and nothing beside it") {
  const auto covered = [](std::uint8_t flags, std::uint32_t our_s, std::uint32_t their_s) {
    const walked_packet packet = {.ip = build::ipv4({}, build::tcp({.flags = flags}))};
    conn ours;
    ours.timeout_jiffies = static_cast<std::int32_t>(seconds(our_s));
    conn theirs;
    theirs.timeout_jiffies = static_cast<std::int32_t>(seconds(their_s));
    const difference found = {.field = "timeout",
                              .ours = {},
                              .theirs = {},
                              .our_entry = ours,
                              .their_entry = theirs};
    return explain(found, &packet) != nullptr;
  };
  constexpr std::uint8_t fin_ack = 0x11;
  constexpr std::uint8_t rst = 0x04;
  constexpr std::uint8_t ack = 0x10;
  CHECK(covered(fin_ack, 40, 119));
  CHECK(covered(rst, 120, 40));
  CHECK_FALSE(covered(ack, 40, 119));
  CHECK_FALSE(covered(rst, 40, 121));
  CHECK_FALSE(covered(rst, 40, 117));
  CHECK_FALSE(covered(rst, 118, 119));

  const walked_packet packet = {.ip = build::ipv4({}, build::tcp({.flags = rst}))};
  difference other = {.field = "status",
                      .ours = {},
                      .theirs = {},
                      .our_entry = conn{},
                      .their_entry = conn{}};
  other.our_entry->timeout_jiffies = static_cast<std::int32_t>(seconds(40));
  other.their_entry->timeout_jiffies = static_cast<std::int32_t>(seconds(119));
  CHECK(explain(other, &packet) == nullptr);
  other.field = "timeout";
  CHECK(explain(other, &packet) != nullptr);
  CHECK(explain(other, nullptr) == nullptr);
  other.our_entry->tcp = tcp_state::time_wait;
  other.their_entry->tcp = tcp_state::time_wait;
  CHECK(explain(other, nullptr) != nullptr);
  other.their_entry->timeout_jiffies = static_cast<std::int32_t>(seconds(109));
  CHECK(explain(other, nullptr) == nullptr);
  other.their_entry->timeout_jiffies = static_cast<std::int32_t>(seconds(119));
  other.their_info = ctinfo::established;
  CHECK(explain(other, &packet) == nullptr);
}

}  // namespace ct::harness::conform
