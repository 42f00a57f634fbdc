// SPDX-License-Identifier: BSD-2-Clause
/// Do the targets find what is planted? Every fault is one that a table, a tracker or a helper
/// could have: beside a sound implementation they must not agree; alone, a law must be broken.
#include "harness/fuzz/campaign.h"
#include "harness/fuzz/target.h"
#include "harness/scenario/wrapped_system.h"
#include "spec/jiffies.h"
#include "workloads/packet_builder.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

namespace ct::harness::fuzz {
namespace {

/// Of the systems that are made next.
hooks planted;

impl sound() { return *std::ranges::find(implementations(), "locked_map", &impl::name); }

impl altered() {
  impl one = sound();
  one.name = "altered";
  one.make = [](const system_options& options) -> std::unique_ptr<ct_system> {
    return std::make_unique<wrapped_system>(planted, sound(), options);
  };
  return one;
}

const target& the(std::string_view name) {
  return *std::ranges::find(targets(), name, &target::name);
}

input_bytes bytes_of(std::initializer_list<unsigned> values) {
  input_writer out;
  for (const unsigned value : values) out.u8(value);
  return out.done();
}

/// UDP there and back, counted and told; then once more after 29 s.
const input_bytes udp_talk = bytes_of({3, 80, 0, 0, 1, 0, 2, 7, 0, 0});
/// A handshake; counted and told.
const input_bytes tcp_talk =
    bytes_of({0, 80, 0, 0x02, 0, 0, 255, 1, 0x12, 0, 0, 255, 0, 0x10, 0, 0, 255});
/// An INIT.
const input_bytes sctp_talk = bytes_of({1, 0, 0, 1, 1, 0x31});
/// A PORT that nobody takes up, told.
const input_bytes ftp_talk = bytes_of({16, 4, 0, 0x9c, 0x40});

struct fault {
  const char* what;
  std::string_view target;
  const input_bytes& input;
  bool is_alone;  ///< no other implementation to compare with
  const char* finding;
  hooks (*plant)();
};

/// Without a reply nothing is ASSURED.
void claim_assured(conn& c) { c.status = (c.status | status::assured) & ~status::seen_reply; }

const fault disagreements[] = {
    {"replies are NEW",
     "tracker",
     udp_talk,
     false,
     "packet 2: ctinfo NEW (locked_map: ESTABLISHED_REPLY)",
     [] {
       return hooks{.after_in = [](ct_system&, skb& s) {
         if (s.info == ctinfo::established_reply) s.info = ctinfo::new_;
       }};
     }},
    {"a packet is dropped",
     "helper",
     ftp_talk,
     false,
     "verdict drop (locked_map: accept)",
     [] { return hooks{.after_in = [](ct_system&, skb& s) { s.verdict = verdict::drop; }}; }},
    {"an entry is not shown",
     "tracker",
     udp_talk,
     false,
     "dump: lacks",
     [] { return hooks{.listed = [](std::vector<conn>& all) { all.clear(); }}; }},
    {"a timeout is a jiffy too long",
     "tracker",
     tcp_talk,
     false,
     "dump: shows",
     [] { return hooks{.shown = [](conn& c) { ++c.timeout_jiffies; }}; }},
    {"an expectation is lost",
     "helper",
     ftp_talk,
     false,
     "expectations: no more",
     [] { return hooks{.expected = [](std::vector<expect>& all) { all.clear(); }}; }},
    {"a counter is wrong",
     "helper",
     ftp_talk,
     false,
     "statistics: found=1",
     [] { return hooks{.counted = [](ip_conntrack_stat& s) { ++s.found; }}; }},
    {"an event is lost",
     "tracker",
     tcp_talk,
     false,
     "events: ",
     [] {
       return hooks{.told = [](listener& to, const event_message& m) {
         return m.has(event::reply) || to.deliver(m);
       }};
     }},
};

const fault broken_laws[] = {
    {"a lookup misses",
     "tracker",
     udp_talk,
     true,
     "lookup: the original tuple",
     [] { return hooks{.found = [](lookup_answer& a) { a = {}; }}; }},
    {"a lookup finds the wrong side",
     "tracker",
     udp_talk,
     true,
     "lookup: the original tuple",
     [] { return hooks{.found = [](lookup_answer& a) { a.dir = !a.dir; }}; }},
    {"a state that does not exist",
     "tracker",
     tcp_talk,
     true,
     "state does not exist",
     [] { return hooks{.shown = [](conn& c) { c.tcp = tcp_state::max; }}; }},
    {"a state of another protocol",
     "tracker",
     sctp_talk,
     true,
     "state does not exist",
     [] { return hooks{.shown = [](conn& c) { c.tcp = tcp_state::syn_sent; }}; }},
    {"an entry that lives too long",
     "tracker",
     sctp_talk,
     true,
     "longer than its protocol's longest timeout",
     [] { return hooks{.shown = [](conn& c) { c.timeout_jiffies += 210 * int{hz}; }}; }},
    {"an expired entry is shown",
     "tracker",
     udp_talk,
     true,
     "has expired",
     [] { return hooks{.shown = [](conn& c) { c.timeout_jiffies = 0; }}; }},
    {"ASSURED without a reply",
     "tracker",
     udp_talk,
     true,
     "ASSURED and has had no reply",
     [] { return hooks{.shown = claim_assured}; }},
    {"a packet counted twice",
     "tracker",
     udp_talk,
     true,
     "more packets than it was given",
     [] { return hooks{.shown = [](conn& c) { c.packets[1] += 1; }}; }},
    {"a byte counted twice",
     "tracker",
     udp_talk,
     true,
     "more bytes than it was given",
     [] { return hooks{.shown = [](conn& c) { c.bytes[1] += 1; }}; }},
    {"an INVALID packet is counted that there was not",
     "tracker",
     sctp_talk,
     true,
     "1 packets counted as invalid or error, 0 to 0 were INVALID",
     [] {
       return hooks{
           .counted = [looks = 0U](ip_conntrack_stat& s) mutable { s.invalid += looks++; }};
     }},
    {"an expectation of a third host",
     "helper",
     ftp_talk,
     true,
     "it goes to a third host",
     [] {
       return hooks{.expected = [](std::vector<expect>& all) {
         for (expect& one : all) one.tuple.dst.addr[3] = 3;
       }};
     }},
    {"an expectation that anybody may fulfil",
     "helper",
     ftp_talk,
     true,
     "its mask is not one address",
     [] {
       return hooks{.expected = [](std::vector<expect>& all) {
         for (expect& one : all) one.mask = {};
       }};
     }},
    {"an expectation of the side that offered nothing",
     "helper",
     ftp_talk,
     true,
     "that the server has not offered",
     [] {
       return hooks{.expected = [](std::vector<expect>& all) {
         for (expect& one : all) std::swap(one.tuple.src.addr, one.tuple.dst.addr);
       }};
     }},
    {"two expectations of one master",
     "helper",
     ftp_talk,
     true,
     "FTP may have one",
     [] {
       return hooks{.expected = [](std::vector<expect>& all) {
         if (!all.empty()) all.push_back(all.front());
       }};
     }},
    {"an entry that outlives its netns",
     "tracker",
     udp_talk,
     true,
     "netns 0 cannot end: entry 7 is dying",
     [] {
       return hooks{.holders = [](std::vector<netns_holder>& left) {
         left.push_back({.conn_id = 7, .use = 1, .where = "dying"});
       }};
     }},
};

std::string finding_of(const fault& one) {
  planted = one.plant();
  std::vector<impl> impls = {altered()};
  if (!one.is_alone) impls.insert(impls.begin(), sound());
  court from(impls);
  std::string finding = the(one.target).run(from, one.input);
  planted = {};
  return finding;
}

TEST_CASE("a sound implementation keeps every law, alone and beside a wrapper that does nothing") {
  planted = {};
  court alone(std::vector<impl>{sound()});
  court both(std::vector<impl>{sound(), altered()});
  for (const input_bytes& input : {udp_talk, tcp_talk, sctp_talk}) {
    CHECK(the("tracker").run(alone, input) == "");
    CHECK(the("tracker").run(both, input) == "");
  }
  CHECK(the("helper").run(alone, ftp_talk) == "");
  CHECK(the("helper").run(both, ftp_talk) == "");
}

TEST_CASE("each planted disagreement is found, and named") {
  for (const fault& one : disagreements) {
    INFO(one.what);
    CHECK_THAT(finding_of(one), Catch::Contains(one.finding));
  }
}

TEST_CASE("each planted breach of a law is found, and named") {
  for (const fault& one : broken_laws) {
    INFO(one.what);
    CHECK_THAT(finding_of(one), Catch::Contains(one.finding));
  }
}

TEST_CASE("a fault in what frames become is found by the target packet") {
  planted = hooks{.before_in = [](skb& s) { s.link = link_type::ethernet; }};
  court both(std::vector<impl>{sound(), altered()});
  const input_bytes input = the("packet").seeds({}).front();
  CHECK_THAT(the("packet").run(both, input), Catch::Contains("altered: packet 1: ctinfo"));
  planted = {};  // the court makes its systems anew after a finding
  CHECK(the("packet").run(both, input) == "");
}

TEST_CASE("who talks to himself from the port that he talks to is found from the reply's side") {
  const build::bytes ip =
      build::ipv4({.src = "10.0.0.1", .dst = "10.0.0.1"}, build::udp({5, 5}, build::payload(4)));
  input_writer input;
  input.u8(0);
  for (int times = 0; times < 2; ++times) {
    input.u8(0).u8(1).u16(static_cast<unsigned>(ip.size())).bytes(ip);
  }
  court all(implementations());
  CHECK(the("packet").run(all, input.done()) == "");
  // A table that links the reply first would answer as this one does.
  planted = hooks{.found = [](lookup_answer& a) { a.dir = dir::original; }};
  court alone(std::vector<impl>{altered()});
  CHECK_THAT(the("packet").run(alone, input.done()), Catch::Contains("from its original side"));
  planted = {};
}

TEST_CASE("a reply of SCTP that assures and then turns INVALID breaks no law") {
  // HEARTBEAT; HEARTBEAT_ACK and, in the same packet, an ABORT that reflects a wrong tag.
  const input_bytes input = bytes_of({1, 0, 0, 0, 4, 0, 1, 4, 5, 0, 6, 1});
  court all(implementations());
  CHECK(the("tracker").run(all, input) == "");
  bool is_reached = false;
  planted = hooks{.shown = [&is_reached](conn& c) {
    is_reached = is_reached || (c.has(status::assured) && !c.has(status::seen_reply));
  }};
  court alone(std::vector<impl>{altered()});
  CHECK(the("tracker").run(alone, input) == "");
  CHECK(is_reached);
  planted = {};
}

TEST_CASE("an entry that expired does not live again when its deadline is 99 days past") {
  input_bytes input = bytes_of({3, 0, 0, 0});  // one UDP packet
  constexpr int waits = 21;                    // of five days: 2^31 jiffies are 99.4 days
  for (int i = 0; i < waits; ++i) {
    const input_bytes wait = bytes_of({2, 23});
    input.insert(input.end(), wait.begin(), wait.end());
  }
  court all(implementations());
  CHECK(the("tracker").run(all, input) == "");
}

TEST_CASE("an input has the same outcome whatever ran before it, and none is too short") {
  court alone(std::vector<impl>{sound()});
  for (const target& one : targets()) {
    INFO(one.name);
    CHECK(one.run(alone, {}) == "");
    CHECK(one.run(alone, bytes_of({0xff})) == "");
    const input_bytes any(100, std::byte{0x55});
    CHECK(one.run(alone, any) == one.run(alone, any));
  }
}

TEST_CASE("what does not track takes no part") {
  std::vector<impl> impls(implementations().begin(), implementations().end());
  const auto noop = std::ranges::find(impls, "noop", &impl::name);
  std::iter_swap(impls.begin(), noop);
  court from(impls);
  CHECK(the("tracker").run(from, tcp_talk) == "");
  CHECK_THROWS_WITH(court(std::span(impls).first(1)), Catch::Contains("none of these"));
}

TEST_CASE("a line of libFuzzer's progress is read, any other one is not") {
  const auto status = read_status(
      "#4096\tNEW    cov: 1234 ft: 5678 corp: 90/12Kb lim: 48 exec/s: 1024 rss: 61Mb L: 4/48");
  REQUIRE(status);
  CHECK(status->executions == 4096);
  CHECK(status->edges == 1234);
  CHECK(status->features == 5678);
  CHECK(status->inputs == 90);
  CHECK_FALSE(read_status("INFO: Running with entropic power schedule (0xFF, 100)."));
  CHECK_FALSE(read_status("#0\tREAD units: 1"));
  CHECK_FALSE(read_status("#x cov: 1 ft: 2 corp: 3"));
}

}  // namespace
}  // namespace ct::harness::fuzz
