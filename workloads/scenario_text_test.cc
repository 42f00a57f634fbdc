// SPDX-License-Identifier: BSD-2-Clause
/// Scenarios and packets as text.
#include "workloads/packet_builder.h"
#include "workloads/packet_text.h"
#include "workloads/scenario.h"

#include <catch2/catch.hpp>
#include <sstream>
#include <string>

namespace ct::workloads {
namespace {

const text_packet* no_packet(std::string_view) { return nullptr; }

std::vector<text_packet> packets(const std::string& line) {
  return parse_packets(split_words(line), no_packet);
}
text_packet packet(const std::string& line) { return packets(line).at(0); }

TEST_CASE("a line is split at blanks; quotations keep them, a # begins a comment") {
  using words = std::vector<std::string>;
  CHECK(split_words("  a b=c\t-> d ") == words{"a", "b=c", "->", "d"});
  CHECK(split_words("say \"PORT 1,2\\r\\n\" # why") == words{"say", "PORT 1,2\r\n"});
  CHECK(split_words("a#b \"\\\"\\\\\"") == words{"a#b", "\"\\"});
  CHECK(split_words("# all").empty());
  CHECK_THROWS_AS(split_words("say \"no end"), text_error);
}

TEST_CASE("packets of text are those of the builder, with the tuple that they are looked up by") {
  const text_packet tcp =
      packet("tcp 10.0.0.1:5000 > 192.0.2.7:80 SA seq 7 ack 0xffffffff win 3 data 2");
  CHECK(tcp.ip == build::ipv4({.src = "10.0.0.1", .dst = "192.0.2.7"},
                              build::tcp({.source_port = 5000,
                                          .dest_port = 80,
                                          .seq = 7,
                                          .ack = 0xffff'ffff,
                                          .flags = build::tcp_bit::syn | build::tcp_bit::ack,
                                          .window = 3},
                                         build::payload(2))));
  CHECK(tcp.tuple.src.id == 5000);
  CHECK(tcp.tuple.dst.id == 80);
  CHECK(tcp.tuple.dst.protonum == ipproto::tcp);
  CHECK(tcp.tuple.src.addr == build::addr("10.0.0.1"));

  const text_packet echo = packet("icmp [2001:db8::1] > [2001:db8::2] echo id 7");
  CHECK(echo.tuple.src.l3num == l3num::ipv6);
  CHECK(echo.tuple.dst.protonum == ipproto::icmpv6);
  CHECK(echo.tuple.src.id == 7);
  CHECK(echo.tuple.dst.id == icmp_id(128, 0));
  CHECK(echo.ip == build::ipv6({.src = "2001:db8::1", .dst = "2001:db8::2"},
                               build::icmpv6({.type = 128, .id = 7})));

  const text_packet said = packet("tcp 10.0.0.1:1 > 10.0.0.2:21 PA say \"HI\\r\\n\"");
  CHECK(said.ip.size() == 44);
  CHECK(said.ip.back() == std::byte{'\n'});
}

TEST_CASE("netns, zone, mark, policy and a cut stand behind the packet") {
  const text_packet p =
      packet("udp 10.0.0.1:1 > 10.0.0.2:2 data 4 net 3 zone 9 reply mark 0x10 policy short cut 21");
  CHECK(p.net == 3);
  CHECK(p.zone == zone{.id = 9, .directions = 2});
  CHECK(p.mark == 0x10);
  CHECK(p.policy == "short");
  CHECK(p.ip.size() == 21);
}

TEST_CASE("a bare protocol has no header but its data, TCP and UDP too") {
  const text_packet early = packet("proto 17 10.0.0.1 > 10.0.0.2 data 3");
  CHECK(early.ip.size() == 23);
  CHECK(early.tuple.dst.protonum == ipproto::udp);
  CHECK(early.tuple.dst.id == 0);
  CHECK(packet("proto 6 10.0.0.1 > 10.0.0.2 data 13").ip.size() == 33);
  CHECK_THROWS_AS(packet("proto 6 10.0.0.1 > 10.0.0.2 S"), text_error);
  CHECK_THROWS_AS(packet("proto 1 10.0.0.1 > 10.0.0.2 echo"), text_error);
}

TEST_CASE("a part of a packet is a fragment of it") {
  const text_packet whole = packet("udp 10.0.0.1:1 > 10.0.0.2:2 data 24");
  const text_packet end = packet("udp 10.0.0.1:1 > 10.0.0.2:2 data 24 part 16 99");
  CHECK(end.ip == build::ipv4({.src = "10.0.0.1", .dst = "10.0.0.2", .fragment_offset = 2},
                              build::other(ipproto::udp, {whole.ip.begin() + 36, whole.ip.end()})));
  const text_packet begin = packet("udp [::1]:1 > [::2]:2 data 24 part 0 16");
  CHECK(begin.ip.size() == 40 + 8 + 16);
  CHECK_THROWS_AS(packet("udp 10.0.0.1:1 > 10.0.0.2:2 data 24 part 4 16"), text_error);
}

TEST_CASE("a port range is a packet each") {
  const std::vector<text_packet> many = packets("udp 10.0.0.1:65534-65535 > 10.0.0.2:2");
  REQUIRE(many.size() == 2);
  CHECK(many[0].tuple.src.id == 65534);
  CHECK(many[1].tuple.src.id == 65535);
}

TEST_CASE("an ICMP error quotes the packet that it is about") {
  const text_packet request = packet("udp 10.0.0.1:1 > 10.0.0.2:2");
  const auto lookup = [&](std::string_view name) { return name == "it" ? &request : nullptr; };
  const text_packet error =
      parse_packets(split_words("icmp 10.9.9.9 > 10.0.0.1 unreachable code 3 about it"), lookup)
          .at(0);
  CHECK(error.ip.size() == 28 + request.ip.size());
  CHECK(std::equal(request.ip.begin(), request.ip.end(), error.ip.begin() + 28));
  CHECK(error.tuple == tuple{});
  CHECK_THROWS_AS(parse_packets(split_words("icmp 1.1.1.1 > 2.2.2.2 echo about her"), lookup),
                  text_error);
}

TEST_CASE("what is no packet is refused") {
  for (const char* const line : {"",
                                 "ucp 1.1.1.1 > 2.2.2.2",
                                 "udp 1.1.1 > 2.2.2.2",
                                 "udp 1.1.1.1:1 2.2.2.2:2",
                                 "udp 1.1.1.1:70000 > 2.2.2.2:2",
                                 "udp 1.1.1.1:9-8 > 2.2.2.2:2",
                                 "udp [::1]:9 > 2.2.2.2:2",
                                 "udp [::1:9 > [::2]:2",
                                 "tcp 1.1.1.1:1 > 2.2.2.2:2",
                                 "tcp 1.1.1.1:1 > 2.2.2.2:2 X",
                                 "udp 1.1.1.1:1 > 2.2.2.2:2 seq 1",
                                 "udp 1.1.1.1:1 > 2.2.2.2:2 data x"}) {
    INFO(line);
    CHECK_THROWS_AS(packets(line), text_error);
  }
}

scenario read(const std::string& text) {
  std::istringstream from(text);
  return read_scenario(from, "x.scn");
}

TEST_CASE("a scenario has title, rules, options, packets, and steps with outcomes and lines") {
  const scenario s = read(
      "# A title.\n# more\nrule a.b c\nneeds F.2 resize\nwith buckets=8 udp_timeout=5\n"
      "packet p = udp 1.1.1.1:1 > 2.2.2.2:2\n\npass p -> NEW entry=new # so\nlist\n  | x  y\n"
      "  | z\nwait 3s\n");
  CHECK(s.title == "A title.");
  CHECK(s.rules == std::vector<std::string>{"a.b", "c"});
  CHECK(s.needs == std::vector<letter>{letter::f2});
  CHECK(s.needs_resize);
  REQUIRE(s.with.size() == 2);
  CHECK(s.with[1].name == "udp_timeout");
  CHECK(s.packets.count("p") == 1);
  REQUIRE(s.steps.size() == 3);
  CHECK(s.steps[0].line == 8);
  CHECK(s.steps[0].text == "pass p");
  CHECK(s.steps[0].outcome == std::vector<std::string>{"NEW", "entry=new"});
  CHECK_FALSE(s.steps[0].lines);
  CHECK(s.steps[1].lines == std::vector<std::string>{"x  y", "z"});
  CHECK_FALSE(s.steps[2].outcome);
}

TEST_CASE("a scenario that is not whole is refused with its line") {
  const std::string packet_line = "packet p = udp 1.1.1.1:1 > 2.2.2.2:2\n";
  CHECK_THROWS_WITH(read("rule a\ncount\n"), Catch::Contains("x.scn:2: no title"));
  CHECK_THROWS_WITH(read("# t\ncount\n"), Catch::Contains("no rule"));
  CHECK_THROWS_WITH(read("# t\nrule a\n"), Catch::Contains("no step"));
  CHECK_THROWS_WITH(read("# t\nrule a\n| x\n"), Catch::Contains("x.scn:3: a line with |"));
  CHECK_THROWS_WITH(read("# t\nneeds Z.9\n"), Catch::Contains("x.scn:2: 'Z.9' is no letter"));
  CHECK_THROWS_WITH(read("# t\nwith x\n"), Catch::Contains("write NAME=VALUE"));
  CHECK_THROWS_WITH(read("# t\n" + packet_line + packet_line), Catch::Contains("defined twice"));
  CHECK_THROWS_WITH(read("# t\ncount ->\n"), Catch::Contains("no outcome behind"));
  CHECK_THROWS_WITH(read_scenario_file("/nowhere.scn"), Catch::Contains("cannot be opened"));
}

}  // namespace
}  // namespace ct::workloads
