// SPDX-License-Identifier: BSD-2-Clause
/// The list of sysctls against Linux's, timeout policies, and what single entries have.
#include "impls/core/sysctl.h"

#include "impls/core/extensions.h"
#include "impls/core/timeout_policy.h"
#include "spec/jiffies.h"
#include "spec/nf_conn.h"

#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

namespace ct::core {
namespace {

/// Names and defaults as a Linux 6.18 with these trackers shows them; what depends on the size of
/// the table is that of 65536 buckets.
const std::map<std::string, std::uint64_t> linux_defaults = {
    {"nf_conntrack_max", 0},  // there: as many as buckets; here no limit unless one is set
    {"nf_conntrack_count", 7},
    {"nf_conntrack_buckets", 65536},
    {"nf_conntrack_checksum", 1},
    {"nf_conntrack_log_invalid", 0},
    {"nf_conntrack_expect_max", 1024},
    {"nf_conntrack_acct", 0},
    {"nf_conntrack_events", 2},
    {"nf_conntrack_timestamp", 0},
    {"nf_conntrack_generic_timeout", 600},
    {"nf_conntrack_tcp_timeout_syn_sent", 120},
    {"nf_conntrack_tcp_timeout_syn_recv", 60},
    {"nf_conntrack_tcp_timeout_established", 432000},
    {"nf_conntrack_tcp_timeout_fin_wait", 120},
    {"nf_conntrack_tcp_timeout_close_wait", 60},
    {"nf_conntrack_tcp_timeout_last_ack", 30},
    {"nf_conntrack_tcp_timeout_time_wait", 120},
    {"nf_conntrack_tcp_timeout_close", 10},
    {"nf_conntrack_tcp_timeout_max_retrans", 300},
    {"nf_conntrack_tcp_timeout_unacknowledged", 300},
    {"nf_conntrack_tcp_loose", 1},
    {"nf_conntrack_tcp_be_liberal", 0},
    {"nf_conntrack_tcp_ignore_invalid_rst", 0},
    {"nf_conntrack_tcp_max_retrans", 3},
    {"nf_conntrack_udp_timeout", 30},
    {"nf_conntrack_udp_timeout_stream", 120},
    {"nf_conntrack_icmp_timeout", 30},
    {"nf_conntrack_icmpv6_timeout", 30},
    {"nf_conntrack_sctp_timeout_closed", 10},
    {"nf_conntrack_sctp_timeout_cookie_wait", 3},
    {"nf_conntrack_sctp_timeout_cookie_echoed", 3},
    {"nf_conntrack_sctp_timeout_established", 210},
    {"nf_conntrack_sctp_timeout_shutdown_sent", 3},
    {"nf_conntrack_sctp_timeout_shutdown_recd", 3},
    {"nf_conntrack_sctp_timeout_shutdown_ack_sent", 3},
    {"nf_conntrack_sctp_timeout_heartbeat_sent", 30},
    {"nf_conntrack_gre_timeout", 30},
    {"nf_conntrack_gre_timeout_stream", 180},
};

struct settings {
  policy own;
  global_policy global{.expect_max = global_policy::default_expect_max(65536)};
  netns_id net = 0;
  std::uint64_t buckets = 65536;
  bool dccp = false;

  sysctl_target target() {
    return {.own = own, .global = global, .net = net, .count = 7, .buckets = buckets, .dccp = dccp};
  }
  std::string write(std::string_view name, std::string_view value) {
    sysctl_target to = target();
    const std::string error = write_sysctl(to, name, value);
    buckets = to.wanted_buckets.value_or(buckets);
    return error;
  }
  std::map<std::string, std::uint64_t> values() {
    std::map<std::string, std::uint64_t> all;
    for (const sysctl& one : read_sysctls(target())) all[std::string(one.name)] = one.value;
    return all;
  }
};

TEST_CASE("the sysctls have the names and defaults of Linux") {
  CHECK(settings{}.values() == linux_defaults);
}

TEST_CASE("the sysctls of DCCP are there if it is tracked, with the defaults of Linux 5.10") {
  const std::map<std::string, std::uint64_t> of_dccp = {{"timeout_request", 240},
                                                        {"timeout_respond", 480},
                                                        {"timeout_partopen", 480},
                                                        {"timeout_open", 43200},
                                                        {"timeout_closereq", 64},
                                                        {"timeout_closing", 64},
                                                        {"timeout_timewait", 240},
                                                        {"loose", 1}};
  settings with{.own = {}, .dccp = true};
  std::map<std::string, std::uint64_t> expected = linux_defaults;
  for (const auto& [name, value] : of_dccp) expected["nf_conntrack_dccp_" + name] = value;
  CHECK(with.values() == expected);
  settings without;
  for (const auto& [name, value] : of_dccp) {
    CHECK(with.write("dccp_" + name, "0") == "");
    CHECK(without.write("dccp_" + name, "0").starts_with("unknown sysctl"));
  }
}

TEST_CASE("each sysctl takes its whole range, changes nothing else, and refuses the rest") {
  settings s{.own = {}, .dccp = true};
  int written = 0;
  for (const sysctl& one : read_sysctls(s.target())) {
    const std::string name(one.name);
    CAPTURE(name);
    CHECK_FALSE(one.meaning.empty());
    auto expected = s.values();
    if (!one.is_writable) {
      CHECK(s.write(name, "1") == name + " is read only; leave it out");
      CHECK(s.values() == expected);
      continue;
    }
    ++written;
    for (const std::uint64_t value : {one.max, one.min}) {
      CHECK(s.write(name, std::to_string(value)) == "");
      expected[name] = value;
      CHECK(s.values() == expected);
    }
    const std::string range =
        "give a number from " + std::to_string(one.min) + " to " + std::to_string(one.max);
    if (one.min > 0) {
      CHECK(s.write(name, std::to_string(one.min - 1)).find(name + "=0: " + range) == 0);
    }
    const std::string above = std::to_string(one.max + 1);
    for (const std::string& wrong : {above,
                                     std::string("-1"),
                                     std::string(),
                                     std::string("x"),
                                     std::string("1s"),
                                     std::string(" 1"),
                                     std::string("1.5"),
                                     std::string("99999999999999999999")}) {
      CAPTURE(wrong);
      CHECK(s.write(name, wrong).find(name + "=" + wrong + ": " + range) == 0);
    }
    CHECK(s.values() == expected);
  }
  CHECK(written == 45);
}

TEST_CASE("a name may leave its prefixes out; an unknown one is named") {
  settings s;
  CHECK(s.write("net.netfilter.nf_conntrack_udp_timeout", "5") == "");
  CHECK(s.own.udp_timeout == seconds(5));
  CHECK(s.write("nf_conntrack_udp_timeout", "6") == "");
  CHECK(s.own.udp_timeout == seconds(6));
  CHECK(s.write("udp_timeout", "7") == "");
  CHECK(s.own.udp_timeout == seconds(7));
  for (const char* wrong : {"udp_timeou", "", "net.netfilter.", "net.ipv4.udp_timeout", "udp"}) {
    CHECK(s.write(wrong, "5").find("unknown sysctl '" + std::string(wrong) + "'") == 0);
  }
  CHECK(s.own.udp_timeout == seconds(7));
}

TEST_CASE("what a resize refuses is said in a line that names the number") {
  CHECK(refusal_of(resize_status::resized, 100) == "");
  CHECK(refusal_of(resize_status::same_size, 100) == "");
  CHECK(refusal_of(resize_status::not_supported, 100) ==
        "nf_conntrack_buckets=100: this table chooses its size by itself once it is made; "
        "leave it out");
  CHECK(refusal_of(resize_status::no_memory, 100) ==
        "nf_conntrack_buckets=100: no memory for so many; give a smaller number");
}

TEST_CASE("what is one for all netns is set in netns 0 alone") {
  settings s{.own = {}, .net = 3};
  for (const char* name : {"nf_conntrack_max", "nf_conntrack_expect_max"}) {
    CHECK(s.write(name, "5") == std::string(name) + " is one for all netns; set it in netns 0");
  }
  CHECK(s.global.max_entries == 0);
  CHECK(s.write("nf_conntrack_acct", "1") == "");
  CHECK(s.own.acct);
}

TEST_CASE("each TCP timeout has its own slot") {
  const std::map<std::string, std::size_t> slots = {{"syn_sent", 1},
                                                    {"syn_recv", 2},
                                                    {"established", 3},
                                                    {"fin_wait", 4},
                                                    {"close_wait", 5},
                                                    {"last_ack", 6},
                                                    {"time_wait", 7},
                                                    {"close", 8},
                                                    {"max_retrans", 12},
                                                    {"unacknowledged", 13}};
  for (const auto& [name, slot] : slots) {
    settings s;
    const timeouts before = s.own;
    CHECK(s.write("tcp_timeout_" + name, "77") == "");
    for (std::size_t i = 0; i < tcp_timeout_count; ++i) {
      CHECK(s.own.tcp_timeout[i] == (i == slot ? seconds(77) : before.tcp_timeout[i].get()));
    }
  }
}

TEST_CASE("a timeout policy has what it was given, and its netns' values of that moment") {
  policy own;
  own.udp_timeout_stream = seconds(99);
  std::string error;
  const std::vector<timeout_setting> given = {{"unreplied", 5}};
  const auto made = make_timeout_policy(own, ipproto::udp, given, error);
  REQUIRE(made != nullptr);
  own.udp_timeout_stream = seconds(1);
  own.udp_timeout = seconds(1);
  CHECK(made->values().udp_timeout == seconds(5));
  CHECK(made->values().udp_timeout_stream == seconds(99));
  CHECK(made->is_for(ipproto::udp));
  CHECK_FALSE(made->is_for(ipproto::tcp));
  CHECK(make_timeout_policy(own, 255, {}, error)->is_for(50));
  CHECK_FALSE(make_timeout_policy(own, 255, {}, error)->is_for(ipproto::icmp));
  CHECK(error.empty());
}

TEST_CASE("a timeout policy is refused for a name of another protocol, or a time too long") {
  const policy own;
  std::string error;
  const auto refused = [&](std::uint8_t protonum, timeout_setting one) {
    error.clear();
    CHECK(make_timeout_policy(own, protonum, {&one, 1}, error) == nullptr);
    return error;
  };
  CHECK(refused(ipproto::udp, {"established", 5}) ==
        "udp timeout 'established' does not exist; udp has unreplied, replied");
  CHECK(refused(ipproto::icmp, {"", 5}).find("icmp has timeout") != std::string::npos);
  CHECK(refused(ipproto::tcp, {"close", 8589935}) ==
        "tcp timeout 'close': 8589935 s is too long; give 0 to 8589934 s");
  const timeout_setting longest = {"close", 8589934};
  CHECK(make_timeout_policy(own, ipproto::tcp, {&longest, 1}, error) != nullptr);
}

TEST_CASE("labels and marks change by mask, and say whether they did") {
  nf_conn ct;
  policy own;
  own.labels_used = true;
  add_extensions(ct, own);
  constexpr labels all = {~0U, ~0U, ~0U, ~0U};
  CHECK(replace_labels(ct, {1, 2, 3, 4}, all));
  CHECK_FALSE(replace_labels(ct, {1, 2, 3, 4}, all));
  CHECK_FALSE(replace_labels(ct, {}, {}));
  CHECK(replace_labels(ct, {0, 0, 0, 0xff00}, {0, 0, 0, 0xffff}));
  CHECK(ct.labels[3].load(std::memory_order_relaxed) == 0xff00);  // relaxed: one thread
  CHECK(ct.labels[0].load(std::memory_order_relaxed) == 1);       // relaxed: one thread
  CHECK(set_mark(ct, 5));
  CHECK_FALSE(set_mark(ct, 5));
}

TEST_CASE("an entry that is made anew keeps nothing of what its memory held") {
  nf_conn ct;
  policy own;
  own.acct = own.timestamp = own.labels_used = true;
  add_extensions(ct, own);
  // relaxed, all of these: one thread
  ct.counters[1].packets.store(9, std::memory_order_relaxed);
  ct.start_ns.store(9, std::memory_order_relaxed);   // relaxed: see above
  ct.stop_ns.store(9, std::memory_order_relaxed);    // relaxed: see above
  ct.labels[2].store(9, std::memory_order_relaxed);  // relaxed: see above
  add_extensions(ct, own);
  CHECK(ct.counters[1].packets.load(std::memory_order_relaxed) == 0);  // relaxed: see above
  CHECK(ct.start_ns.load(std::memory_order_relaxed) == 0);             // relaxed: see above
  CHECK(ct.stop_ns.load(std::memory_order_relaxed) == 0);              // relaxed: see above
  CHECK(ct.labels[2].load(std::memory_order_relaxed) == 0);            // relaxed: see above
  add_extensions(ct, policy{});
  CHECK(ct.extensions == 0);
}

}  // namespace
}  // namespace ct::core
