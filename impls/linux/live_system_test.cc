// SPDX-License-Identifier: BSD-2-Clause
/// The live kernel behind the face. On a machine that cannot have it, these tests say so and pass.
#include "impls/linux/packet_path.h"
#include "impls/linux/ruleset.h"
#include "spec/impl.h"
#include "workloads/packet_builder.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

namespace {

using ct::ctinfo;
using ct::verdict;
using ct::build::bytes;
using ct::build::icmp;
using ct::build::icmpv6;
using ct::build::ipv4;
using ct::build::ipv6;
using ct::build::put8;
using ct::build::tcp;
using ct::build::udp;
namespace tcp_bit = ct::build::tcp_bit;

const char* const client = "10.0.0.1";
const char* const server = "10.128.0.1";

/// A system with its CPU; none where the machine lacks something.
struct live {
  std::unique_ptr<ct::ct_system> system;
  std::unique_ptr<ct::cpu> cpu;

  ct::skb pass(const bytes& ip, std::uint16_t zone_id = 0, std::optional<std::uint32_t> mark = {}) {
    ct::skb s;
    s.frame = ip;
    s.wire_bytes = static_cast<std::uint32_t>(ip.size());
    s.link = ct::link_type::raw;
    s.zone = {.id = zone_id};
    s.ct_mark = mark;
    cpu->pass({&s, 1});
    return s;
  }
};

std::optional<live> make_live(const ct::system_options& options = {}) {
  const ct::impl& one = ct::live_implementations().front();
  const std::string missing = one.lacks();
  if (!missing.empty()) {
    WARN("skipped: " << one.name << " (needs " << missing << ")");
    return std::nullopt;
  }
  live made;
  made.system = one.make(options);
  made.cpu = made.system->attach();
  return made;
}

bytes segment(bool is_reply, std::uint32_t seq, std::uint32_t ack, unsigned flags) {
  return ipv4({.src = is_reply ? server : client, .dst = is_reply ? client : server},
              tcp({.source_port = static_cast<std::uint16_t>(is_reply ? 80 : 1000),
                   .dest_port = static_cast<std::uint16_t>(is_reply ? 1000 : 80),
                   .seq = seq,
                   .ack = ack,
                   .flags = static_cast<std::uint8_t>(flags)}));
}

ct::tuple tuple_of_connection() {
  ct::tuple t;
  t.src.addr = ct::build::addr(client);
  t.dst.addr = ct::build::addr(server);
  t.src.id = 1000;
  t.dst.id = 80;
  t.dst.protonum = ct::ipproto::tcp;
  return t;
}

unsigned header_sum(const bytes& ip) {
  return ct::build::checksum_fold(ct::build::checksum_add(0, std::span(ip).first(20)));
}

}  // namespace

TEST_CASE("the live kernel is registered, and apart from those of this program") {
  REQUIRE(ct::live_implementations().size() == 1);
  CHECK(ct::live_implementations().front().is_live());
  for (const ct::impl& one : ct::implementations()) CHECK_FALSE(one.is_live());
}

TEST_CASE("each code of the rules means one ctinfo, and others none") {
  std::map<ctinfo, int> times;
  for (unsigned code = 0; code < 64; ++code) {
    if (const auto info = ct::live::outcome_of(static_cast<std::uint8_t>(code))) ++times[*info];
  }
  CHECK(times.size() == 7);
  for (const auto& [info, count] : times) CHECK(count == 1);
  CHECK_FALSE(ct::live::outcome_of(0));
}

TEST_CASE("a request in an IPv4 header keeps a right checksum right and a wrong one wrong") {
  bytes ip = ipv4({.ttl = 1}, udp({}));
  ct::live::prepare_header(ip, 63);
  CHECK(std::to_integer<unsigned>(ip[1]) == 63 << 2);
  CHECK(std::to_integer<unsigned>(ip[8]) == 64);
  CHECK(header_sum(ip) == 0);
  bytes wrong = ipv4({}, udp({}));
  put8(wrong, 10, std::to_integer<unsigned>(wrong[10]) + 1);
  ct::live::prepare_header(wrong, 5);
  CHECK(header_sum(wrong) != 0);
}

TEST_CASE("a request in an IPv6 header is its traffic class, and the flow label stays") {
  bytes ip = ipv6({}, udp({}));
  put8(ip, 1, 0x1f);
  ct::live::prepare_header(ip, 0x2a);
  CHECK(std::to_integer<unsigned>(ip[0]) == (0x60 | 0x2a >> 2));
  CHECK(std::to_integer<unsigned>(ip[1]) == ((0x2a & 3) << 6 | 0x1f));
}

TEST_CASE("the live kernel says what each packet of a handshake is, and what the entry became") {
  std::optional<live> k = make_live({.acct = true});
  if (!k) return;
  CHECK(k->pass(segment(false, 100, 0, tcp_bit::syn)).info == ctinfo::new_);
  CHECK(k->pass(segment(true, 500, 101, tcp_bit::syn | tcp_bit::ack)).info ==
        ctinfo::established_reply);
  CHECK(k->pass(segment(false, 101, 501, tcp_bit::ack)).info == ctinfo::established);
  CHECK(k->pass(segment(false, 101, 501, 0)).info == ctinfo::invalid);
  const std::optional<ct::conn> entry = k->cpu->get(tuple_of_connection(), 0);
  REQUIRE(entry);
  CHECK(entry->tcp == ct::tcp_state::established);
  CHECK(entry->has(ct::status::assured | ct::status::confirmed));
  CHECK(entry->packets[0] == 2);
  CHECK(entry->packets[1] == 1);
  CHECK(entry->tuples[1].dst.id == 1000);
  CHECK(k->system->count() == 1);
  CHECK(k->cpu->kill_if([](const ct::conn&) { return true; }) == 1);
  CHECK_FALSE(k->cpu->get(tuple_of_connection(), 0));
}

TEST_CASE("what the live kernel drops is a drop, and the next packet is told apart from it") {
  std::optional<live> k = make_live();
  if (!k) return;
  bytes bad = ipv4({.src = client, .dst = server}, icmp({.type = 8, .id = 1}));
  put8(bad, 10, std::to_integer<unsigned>(bad[10]) ^ 0xff);
  CHECK(k->pass(bad).verdict == verdict::drop);
  const ct::skb good = k->pass(ipv4({.src = client, .dst = server}, icmp({.type = 8, .id = 1})));
  CHECK(good.verdict == verdict::accept);
  CHECK(good.info == ctinfo::new_);
  CHECK(k->pass({}).verdict == verdict::drop);
}

TEST_CASE("IPv6, untracked messages, zones and marks reach the live kernel") {
  std::optional<live> k = make_live();
  if (!k) return;
  const bytes echo = ipv6({.src = "fd00::1", .dst = "fd00::2"}, icmpv6({.type = 128, .id = 7}));
  CHECK(k->pass(echo, 2, 5).info == ctinfo::new_);
  CHECK(k->pass(ipv6({.src = "fd00::1", .dst = "fd00::2"}, icmpv6({.type = 135}))).info ==
        ctinfo::untracked);
  std::size_t entries = 0;
  k->system->dump(*k->cpu, [&](const ct::conn& c) {
    ++entries;
    CHECK(c.zone.id == 2);
    CHECK(c.mark == 5);
  });
  CHECK(entries == 1);
}

TEST_CASE("a sysctl of the live kernel's namespace is not that of the machine") {
  const auto machine = [] {
    std::ifstream file("/proc/sys/net/netfilter/nf_conntrack_udp_timeout");
    std::string value;
    file >> value;
    return value;
  };
  const std::string before = machine();
  std::optional<live> k = make_live();
  if (!k) return;
  CHECK(k->system->set_sysctl(0, "udp_timeout", "7").empty());
  k->pass(ipv4({.src = client, .dst = server}, udp({.source_port = 1, .dest_port = 2})));
  k->system->dump(*k->cpu, [](const ct::conn& c) {
    CHECK(c.timeout_jiffies <= static_cast<std::int32_t>(ct::seconds(7)));
  });
  CHECK(k->system->set_sysctl(0, "udp_timeou", "7").find("no sysctl") != std::string::npos);
  CHECK_FALSE(k->system->set_sysctl(0, "nf_conntrack_max", "7").empty());
  CHECK(machine() == before);
}

TEST_CASE("the live kernel has one CPU, and tells its events") {
  struct counter final : ct::listener {
    bool deliver(const ct::event_message& message) noexcept override {
      ++kinds[message.kind()];
      return true;
    }
    std::map<ct::event_kind, int> kinds;
  };
  std::optional<live> k = make_live();
  if (!k) return;
  CHECK_THROWS_AS(k->system->attach(), std::runtime_error);
  counter told;
  k->system->listen(0, &told, ct::all_events);
  k->pass(segment(false, 100, 0, tcp_bit::syn));
  k->pass(segment(true, 500, 101, tcp_bit::syn | tcp_bit::ack));
  k->cpu->kill_if([](const ct::conn&) { return true; });
  CHECK(told.kinds[ct::event_kind::new_] == 1);
  CHECK(told.kinds[ct::event_kind::update] == 1);
  CHECK(told.kinds[ct::event_kind::destroy] == 1);
}
