// SPDX-License-Identifier: BSD-2-Clause
/// Protocols over whole systems: their entries, their checksums, and a reason for every INVALID.
#include "impls/core/system_suite.h"
#include "spec/random.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace ct::system_test {
namespace {

using build::layer4;

bytes there(const layer4& l4) { return build::ipv4({.src = client, .dst = server}, l4); }
bytes back(const layer4& l4) { return build::ipv4({.src = server, .dst = client}, l4); }

layer4 sctp(bool from_client, std::uint32_t vtag, const bytes& chunks) {
  return build::sctp({.source_port = std::uint16_t(from_client ? 4000 : 3868),
                      .dest_port = std::uint16_t(from_client ? 3868 : 4000),
                      .vtag = vtag},
                     chunks);
}
layer4 dccp(std::uint8_t type) {
  return build::dccp({.source_port = 4000, .dest_port = 5001, .type = type});
}

/// A first packet of every protocol that is tracked, in both families.
std::vector<bytes> first_packets() {
  std::vector<bytes> all;
  const bytes data = build::payload(12);
  for (const layer4& l4 : {build::tcp({.source_port = 4000, .dest_port = 80, .flags = 2}, data),
                           build::udp({.source_port = 4000, .dest_port = 53}, data),
                           build::udplite({.source_port = 4000, .dest_port = 53}, data),
                           sctp(true, 0, build::init_chunk(1, 0x1111)),
                           sctp(true, 0x2222, build::chunk({.type = 4}, data)),
                           dccp(0),
                           build::gre(data),
                           build::pptp({.call_id = 7}, data),
                           build::other(50, data)}) {
    all.push_back(there(l4));
    all.push_back(build::ipv6({}, l4));
  }
  all.push_back(there(build::icmp({.type = 8, .id = 1}, data)));
  all.push_back(there(build::icmp({.type = 3}, request())));
  all.push_back(build::ipv6({}, build::icmpv6({.type = 128, .id = 1}, data)));
  all.push_back(build::ipv6({}, build::icmpv6({.type = 1}, all[1])));
  all.push_back(build::ipv6({.src = "fe80::1", .hop_limit = 255},
                            build::icmpv6({.type = 137}, build::payload(120))));
  all.push_back(build::ipv6({}, build::icmpv6({.type = 135}, data)));
  return all;
}

/// Which of its bytes carry the transport header's checksum is the packet's own business: the last
/// byte is always covered.
bytes with_wrong_sum(bytes ip) {
  ip.back() ^= std::byte{1};
  return ip;
}

bool has_checksum(const bytes& ip) {
  const core::packet pkt = build::view(ip);
  return pkt.protonum != ipproto::gre && pkt.protonum != 50;
}

}  // namespace

TEST_CASE("an SCTP association, its state in dumps and events of every implementation") {
  for_each_impl([](const impl& which) {
    host h(which);
    const skb first = h.pass(there(sctp(true, 0, build::init_chunk(1, 0x1111))));
    CHECK(first.info == ctinfo::new_);
    CHECK(h.only().sctp == sctp_state::closed);
    h.pass(back(sctp(false, 0x1111, build::init_chunk(2, 0x2222))));
    h.pass(there(sctp(true, 0x2222, build::chunk({.type = 10}))));
    h.pass(back(sctp(false, 0x1111, build::chunk({.type = 11}))));
    CHECK(h.only().sctp == sctp_state::established);
    CHECK(h.only().has(status::assured));
    CHECK(h.left_s(first) == 210);
    CHECK(h.pass(there(sctp(true, 0x9999, build::chunk({})))).info == ctinfo::invalid);
    CHECK(h.broken().empty());
  });
}

TEST_CASE("the two directions of a PPTP tunnel are one entry where its call ids are known") {
  for_each_impl([](const impl& which) {
    const bytes from_client = there(build::pptp({.call_id = 2}, build::payload(4)));
    const bytes from_server = back(build::pptp({.call_id = 1}, build::payload(4)));
    host h(which);
    h.pass(from_client);
    CHECK(h.pass(from_server).info == ctinfo::new_);
    CHECK(h.dump().size() == 2);
    h.cpu().kill_if([](const conn&) { return true; });

    tuple original = {.src = {.addr = build::addr(client), .id = 1},
                      .dst = {.addr = build::addr(server), .id = 2, .protonum = ipproto::gre}};
    tuple reply = {
        .src = {.addr = original.dst.addr, .id = 2},
        .dst = {.addr = original.src.addr, .id = 1, .protonum = ipproto::gre, .dir = dir::reply}};
    REQUIRE(h.system().add_gre_keys(0, original, reply));
    const skb first = h.pass(from_client);
    CHECK(h.pass(from_server).info == ctinfo::established_reply);
    CHECK(h.pass(from_server).conn_id == first.conn_id);
    CHECK(h.only().tuples[0] == original);
    CHECK(h.only().tuples[1] == reply);
    CHECK(h.only().has(status::assured));
    CHECK(h.left_s(first) == 180);
    // Those of another netns are none of its business, and they end with their netns.
    CHECK(h.pass(from_client, 1).info == ctinfo::new_);
    CHECK(h.pass(from_server, 1).info == ctinfo::new_);
    h.system().remove_gre_keys(0, original, reply);
    CHECK(h.pass(from_server).info == ctinfo::new_);
    REQUIRE(h.system().add_gre_keys(1, original, reply));
    CHECK(h.cpu().exit_netns(1).empty());
    h.pass(from_client, 1);
    CHECK(h.pass(from_server, 1).info == ctinfo::new_);
  });
}

TEST_CASE("DCCP is generic, or tracked if the system was made so") {
  for_each_impl([](const impl& which) {
    host generic(which);
    CHECK(generic.pass(there(dccp(3))).info == ctinfo::new_);
    CHECK(generic.only().tuples[0].src.id == 0);
    CHECK(generic.only().dccp == dccp_state::none);
    CHECK_FALSE(generic.set("dccp_loose", "0").empty());

    host tracked(which, {.buckets = 64, .dccp = true});
    CHECK(tracked.pass(there(dccp(3))).info == ctinfo::invalid);
    const skb first = tracked.pass(there(dccp(0)));
    CHECK(tracked.only().tuples[0].src.id == 4000);
    CHECK(tracked.only().dccp == dccp_state::request);
    CHECK(tracked.left_s(first) == 240);
    CHECK(tracked.set("dccp_timeout_request", "7").empty());
    CHECK(tracked.left_s(tracked.pass(there(dccp(0)))) == 7);
    tracked.pass(there(dccp(7)));  // RESET, unanswered
    CHECK(tracked.dump().empty());
    CHECK(tracked.broken().empty());
    std::string error;
    const std::vector<timeout_setting> given = {{"request", 5}};
    CHECK(tracked.system().add_timeouts(0, ipproto::dccp, given, error) != nullptr);
    CHECK(generic.system().add_timeouts(0, ipproto::dccp, given, error) == nullptr);
  });
}

TEST_CASE("a wrong checksum makes a packet INVALID, unless it is believed or not asked for") {
  for_each_impl([](const impl& which) {
    for (const bytes& ip : first_packets()) {
      const core::packet pkt = build::view(ip);
      CAPTURE(static_cast<int>(pkt.protonum));
      const auto outcome_of = [&](const bytes& sent, bool is_asked, ip_summed summed) {
        host h(which, {.buckets = 64, .dccp = true});
        if (!is_asked) REQUIRE(h.set("checksum", "0").empty());
        skb s = h.packet(sent);
        s.ip_summed = summed;
        s = h.pass(s);
        CHECK((s.info == ctinfo::invalid) == (s.reason != nullptr));
        return std::pair(s.info, std::string(s.reason != nullptr ? s.reason : ""));
      };
      const auto right = outcome_of(ip, true, ip_summed::none);
      const bytes wrong = with_wrong_sum(ip);
      CHECK(outcome_of(ip, true, ip_summed::unnecessary) == right);
      CHECK(outcome_of(wrong, true, ip_summed::unnecessary).first == right.first);
      CHECK(outcome_of(wrong, false, ip_summed::none).first == right.first);
      const auto refused = outcome_of(wrong, true, ip_summed::none);
      if (!has_checksum(ip)) {
        CHECK(refused == right);
        continue;
      }
      CHECK(refused.first == ctinfo::invalid);
      CHECK(refused.second.ends_with(": bad checksum"));
    }
  });
}

TEST_CASE("nf_conntrack_checksum is one of each netns") {
  for_each_impl([](const impl& which) {
    host h(which);
    const bytes wrong = with_wrong_sum(request());
    REQUIRE(h.set("checksum", "0", 1).empty());
    CHECK(h.pass(wrong).info == ctinfo::invalid);
    CHECK(h.pass(wrong, 1).info == ctinfo::new_);
    CHECK(h.stat().invalid == 1);
    bytes ping = with_wrong_sum(there(build::icmp({.type = 8}, build::payload(4))));
    CHECK(h.pass(ping).info == ctinfo::invalid);
    CHECK(h.stat().error == 1);
  });
}

TEST_CASE("a wrong IPv4 header checksum is IP's to refuse, whatever the sysctl says") {
  for_each_impl([](const impl& which) {
    host h(which);
    bytes ip = request();
    build::put8(ip, 8, 63);  // another TTL, the same sum
    REQUIRE(h.set("checksum", "0").empty());
    const skb refused = h.pass(ip);
    CHECK(refused.verdict == verdict::drop);
    CHECK(refused.reason == std::string("ipv4: wrong header checksum"));
    CHECK(h.stat().invalid == 0);
    skb believed = h.packet(ip);
    believed.ip_summed = ip_summed::unnecessary;
    CHECK(h.pass(believed).info == ctinfo::new_);
  });
}

TEST_CASE("no packet is INVALID without a reason, and none has one that is not") {
  // Each mutation changes up to three bytes of the transport header, or cuts the packet: of 6,000,
  // a reason that one in 500 meets is missed with p < 1e-5.
  constexpr int packets = 6000;
  const impl& which = implementations().front();
  host h(which, {.buckets = 1024, .dccp = true});
  random_source random(20261123);
  const std::vector<bytes> firsts = first_packets();
  std::vector<bytes> kept = firsts;
  std::set<std::string> reasons;
  int tracked = 0;
  for (int i = 0; i < packets; ++i) {
    bytes ip = kept[random.below(static_cast<std::uint32_t>(kept.size()))];
    const bool is_v4 = std::to_integer<unsigned>(ip[0]) >> 4 == 4;
    const std::size_t l4_at = is_v4 ? 20 : 40;
    if (random.below(4) == 0) {  // cut, with an IP header that knows of it
      ip.resize(l4_at + random.below(static_cast<std::uint32_t>(ip.size() - l4_at + 1)));
      build::put16(ip, is_v4 ? 2 : 4, static_cast<unsigned>(ip.size() - (is_v4 ? 0 : 40)));
    }
    const auto l4_bytes = static_cast<std::uint32_t>(ip.size() - l4_at);
    for (std::uint32_t n = random.below(4); n > 0 && l4_bytes > 0; --n) {
      const std::size_t at = l4_at + random.below(std::min<std::uint32_t>(l4_bytes, 24));
      build::put8(ip, at, random.below(3) == 0 ? random.below(256) : random.below(16));
    }
    skb s = h.packet(ip);
    s.ip_summed = random.below(8) == 0 ? ip_summed::none : ip_summed::unnecessary;
    s = h.pass(s);
    CAPTURE(i, static_cast<int>(s.info), s.reason);
    const bool has_reason = s.reason != nullptr && s.reason[0] != '\0';
    REQUIRE((s.info == ctinfo::invalid) == has_reason);
    if (has_reason) reasons.insert(s.reason);
    tracked += s.conn_id != 0 ? 1 : 0;
  }
  CHECK(tracked > packets / 10);
  CHECK(h.broken().empty());
  for (const char* const tracker :
       {"tcp: ", "udp: ", "udplite: ", "sctp: ", "dccp: ", "icmp: ", "icmpv6: ", "no tuple: "}) {
    CAPTURE(tracker);
    CHECK(
        std::ranges::any_of(reasons, [&](const std::string& r) { return r.starts_with(tracker); }));
  }
  CHECK(reasons.size() >= 30);
}

}  // namespace ct::system_test
