// SPDX-License-Identifier: BSD-2-Clause
/// What belongs together stays together; what does not is spread.
#include "workloads/flow_groups.h"

#include "workloads/traffic.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

namespace ct::workloads {
namespace {

struct frames {
  std::vector<std::vector<std::byte>> bytes{};
  std::vector<link_type> links{};

  void add(std::vector<std::byte> frame, link_type link = link_type::ethernet) {
    bytes.push_back(std::move(frame));
    links.push_back(link);
  }
  void add(const segment& what) { add(frame_of(what)); }
  static std::vector<std::byte> frame_of(const segment& what) {
    std::vector<std::byte> out;
    append_frame(what, out);
    return out;
  }
  std::vector<skb> packets() const {
    std::vector<skb> out(bytes.size());
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      out[i].frame = bytes[i];
      out[i].link = links[i];
    }
    return out;
  }
  std::vector<std::size_t> groups() const { return flow_groups(packets()); }
};

tuple plain(std::size_t i) {
  return flow_source(1, {.ipv6 = 0, .udp = 0}).original(flow_pool::traffic, i);
}

TEST_CASE("every flow of generated traffic is one group") {
  const traffic all({.seed = 3, .flows = 100});
  const auto groups = flow_groups(all.packets());
  CHECK(std::set<std::size_t>(groups.begin(), groups.end()).size() == 100);
  CHECK(groups[0] == 0);
  CHECK(flow_count(all.packets()) == 100);
}

TEST_CASE("both directions are one group, another port is another") {
  frames all;
  tuple other = plain(0);
  other.src.id ^= 1;
  all.add({.flow = plain(0)});
  all.add({.flow = reply_of(plain(0))});
  all.add({.flow = other});
  CHECK(all.groups() == std::vector<std::size_t>{0, 0, 1});
}

TEST_CASE("a fragment draws everything of its protocol between its two addresses into one group") {
  frames all;
  tuple other = plain(0);
  other.src.id ^= 1;
  all.add({.flow = plain(0)});
  all.add({.flow = other});
  all.add({.flow = plain(1)});
  other.dst.protonum = ipproto::udp;
  all.add({.flow = other});
  auto fragment = frames::frame_of({.flow = reply_of(plain(0))});
  fragment[14 + 6] = std::byte{0x20};  // more fragments
  all.add(fragment);
  CHECK(all.groups() == std::vector<std::size_t>{0, 0, 1, 2, 0});
  CHECK(flow_count(all.packets()) == 4);
}

TEST_CASE("an ICMP error belongs to the flow that it quotes, not to who sent it") {
  frames all;
  all.add({.flow = plain(0)});
  all.add({.flow = plain(1)});
  auto error = frames::frame_of({.flow = reply_of(plain(2))});  // a router's addresses
  error.resize(14 + 20);
  error[14 + 9] = std::byte{ipproto::icmp};
  for (const unsigned value : {3U, 1U, 0U, 0U, 0U, 0U, 0U, 0U}) {
    error.push_back(static_cast<std::byte>(value));
  }
  const auto& quoted = all.bytes[1];
  error.insert(error.end(), quoted.begin() + 14, quoted.begin() + 14 + 28);
  all.add(error);
  CHECK(all.groups() == std::vector<std::size_t>{0, 1, 1});
}

TEST_CASE("the link header does not matter") {
  frames all;
  const auto ethernet = frames::frame_of({.flow = plain(0)});
  all.add(ethernet);
  const auto with_header = [&](const std::vector<unsigned>& header, link_type link) {
    std::vector<std::byte> frame;
    for (const unsigned value : header) frame.push_back(static_cast<std::byte>(value));
    frame.insert(frame.end(), ethernet.begin() + 14, ethernet.end());
    all.add(frame, link);
  };
  with_header({}, link_type::raw);
  with_header({2, 0, 0, 0}, link_type::null);
  with_header({0, 0, 0, 1, 0, 6, 1, 1, 1, 1, 1, 1, 0, 0, 8, 0}, link_type::linux_sll);
  with_header({8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 1, 1, 1, 1, 1, 1, 0, 0}, link_type::linux_sll2);
  with_header({1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 0x81, 0, 0, 5, 8, 0}, link_type::ethernet);
  CHECK(all.groups() == std::vector<std::size_t>(6, 0));
}

TEST_CASE("frames cut at every length are dealt out too") {
  const traffic all({.seed = 3, .flows = 4});
  for (const skb& packet : all.packets()) {
    for (std::size_t length = 0; length < packet.frame.size(); ++length) {
      skb cut = packet;
      cut.frame = packet.frame.first(length);
      CHECK(flow_groups(std::span(&cut, 1)) == std::vector<std::size_t>{0});
    }
  }
}

TEST_CASE("threads get whole groups and about the same load") {
  const traffic all({.seed = 3, .flows = 100});
  const auto groups = flow_groups(all.packets());
  const auto threads = deal_out(all.packets(), 2);
  std::vector<int> of_group(100, -1);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (of_group[groups[i]] < 0) of_group[groups[i]] = threads[i];
    CHECK(of_group[groups[i]] == threads[i]);
  }
  const auto first = static_cast<std::size_t>(std::ranges::count(threads, 0));
  CHECK(first >= threads.size() / 2 - 20);
  CHECK(first <= threads.size() / 2 + 20);
}

}  // namespace
}  // namespace ct::workloads
