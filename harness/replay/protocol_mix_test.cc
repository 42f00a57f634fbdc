// SPDX-License-Identifier: BSD-2-Clause
/// Frames of every link type, whole and cut short, are counted under the right name.
#include "harness/replay/protocol_mix.h"

#include <catch2/catch.hpp>
#include <initializer_list>
#include <string>
#include <vector>

namespace ct::harness {
namespace {

using std::string;

string bytes(std::initializer_list<unsigned> values) {
  string text;
  for (const unsigned value : values) text += static_cast<char>(value);
  return text;
}

string ipv4(unsigned protonum) {
  string header(20, '\0');
  header[0] = '\x45';
  header[9] = static_cast<char>(protonum);
  return header;
}

string ipv6(unsigned next, const string& rest = "") {
  string header(40, '\0');
  header[0] = '\x60';
  header[6] = static_cast<char>(next);
  return header + rest;
}

string ethernet(unsigned type, const string& rest) {
  return string(12, 'e') + bytes({type >> 8, type & 0xff}) + rest;
}

skb packet(link_type link, const string& frame) {
  skb made;
  made.link = link;
  made.frame = std::as_bytes(std::span(frame));
  return made;
}

/// What a frame counts as: "4 tcp", "6 other", or "-".
string kind(link_type link, const string& frame) {
  const frame_kind k = kind_of(packet(link, frame));
  if (!k.is_ip) return "-";
  const std::vector<string> names = {"tcp", "udp", "icmp", "icmpv6", "other"};
  return (k.family == l3num::ipv4 ? "4 " : "6 ") + names[static_cast<std::size_t>(k.transport)];
}

TEST_CASE("every link type leads to the IP header") {
  const string v4 = ipv4(6);
  const string v6 = ipv6(17);
  CHECK(kind(link_type::ethernet, ethernet(0x0800, v4)) == "4 tcp");
  CHECK(kind(link_type::ethernet, ethernet(0x86dd, v6)) == "6 udp");
  CHECK(kind(link_type::ethernet, ethernet(0x0806, v4)) == "-");  // ARP
  const string tag = bytes({0, 5, 0x08, 0x00});
  CHECK(kind(link_type::ethernet, ethernet(0x8100, tag + v4)) == "4 tcp");
  CHECK(kind(link_type::ethernet, ethernet(0x88a8, bytes({0, 5, 0x81, 0x00}) + tag + v4)) ==
        "4 tcp");
  CHECK(kind(link_type::raw, v4) == "4 tcp");
  CHECK(kind(link_type::raw, v6) == "6 udp");
  CHECK(kind(link_type::raw, bytes({0x10})) == "-");
  CHECK(kind(link_type::ipv4, v4) == "4 tcp");
  CHECK(kind(link_type::ipv6, v6) == "6 udp");
  CHECK(kind(link_type::linux_sll, string(14, 's') + bytes({0x08, 0x00}) + v4) == "4 tcp");
  CHECK(kind(link_type::linux_sll2, bytes({0x86, 0xdd}) + string(18, 's') + v6) == "6 udp");
  CHECK(kind(link_type::null, bytes({2, 0, 0, 0}) + v4) == "4 tcp");
  CHECK(kind(link_type::loop, bytes({0, 0, 0, 2}) + v4) == "4 tcp");
  CHECK(kind(link_type::null, bytes({30, 0, 0, 0}) + v6) == "6 udp");
  CHECK(kind(link_type::loop, bytes({0, 0, 0, 24}) + v6) == "6 udp");
  CHECK(kind(link_type::null, bytes({7, 0, 0, 0}) + v4) == "-");
}

TEST_CASE("protocols are told apart, and what is none of them is other") {
  CHECK(kind(link_type::raw, ipv4(1)) == "4 icmp");
  CHECK(kind(link_type::raw, ipv4(132)) == "4 other");
  CHECK(kind(link_type::raw, ipv6(58)) == "6 icmpv6");
  CHECK(kind(link_type::raw, ipv6(59)) == "6 other");
}

TEST_CASE("IPv6 extension headers are passed") {
  const string options = bytes({6, 1}) + string(14, 'o');  // next TCP, 16 bytes
  CHECK(kind(link_type::raw, ipv6(0, options)) == "6 tcp");
  CHECK(kind(link_type::raw, ipv6(60, options)) == "6 tcp");
  const string fragment = bytes({17, 0, 0, 1, 0, 0, 0, 1});
  CHECK(kind(link_type::raw, ipv6(44, fragment)) == "6 udp");
  const string authentication = bytes({58, 4}) + string(22, 'a');
  CHECK(kind(link_type::raw, ipv6(51, authentication)) == "6 icmpv6");
  CHECK(kind(link_type::raw, ipv6(0, bytes({44, 0}) + string(6, 'o') + fragment)) == "6 udp");
}

TEST_CASE("a frame cut at any length is counted without reading past it") {
  const string whole = ethernet(
      0x8100,
      bytes({0, 5, 0x86, 0xdd}) +
          ipv6(0,
               bytes({60, 0}) + string(6, 'o') + bytes({6, 0}) + string(6, 'd') + string(20, 't')));
  for (std::size_t length = 0; length <= whole.size(); ++length) {
    const std::vector<char> exact(whole.begin(),
                                  whole.begin() + static_cast<std::ptrdiff_t>(length));
    skb cut = packet(link_type::ethernet, "");
    cut.frame = std::as_bytes(std::span(exact));
    for (const auto link : {link_type::ethernet,
                            link_type::raw,
                            link_type::null,
                            link_type::linux_sll,
                            link_type::linux_sll2}) {
      cut.link = link;
      static_cast<void>(kind_of(cut));
    }
  }
  CHECK(kind(link_type::ethernet, whole) == "6 tcp");
}

TEST_CASE("the sums hold: protocols make up the families, families and the rest make up all") {
  protocol_mix mix;
  const auto add = [&mix](const string& frame, ctinfo info) {
    skb one = packet(link_type::raw, frame);
    one.info = info;
    mix.add(one);
  };
  add(ipv4(6), ctinfo::new_);
  add(ipv4(1), ctinfo::invalid);
  add(ipv6(58), ctinfo::untracked);
  add(ipv6(17), ctinfo::established);
  add(ipv4(50), ctinfo::new_);
  add("?", ctinfo::invalid);
  CHECK(mix.tcp + mix.udp + mix.icmp + mix.icmpv6 + mix.other == mix.ipv4 + mix.ipv6);
  CHECK(mix.ipv4 == 3);
  CHECK(mix.ipv6 == 2);
  CHECK(mix.not_ip == 1);
  CHECK(mix.invalid == 1);
  CHECK(mix.untracked == 1);
}

}  // namespace
}  // namespace ct::harness
