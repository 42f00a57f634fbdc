// SPDX-License-Identifier: BSD-2-Clause
/// Settings and changes on request, seen from outside: in force at once, for what they are meant
/// for and nothing else.
///
/// Each case runs for every registered implementation that stores anything.
#include "impls/core/system_suite.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace ct::system_test {
namespace {

bytes syn() { return tcp(true, build::tcp_bit::syn, 1000, 0); }
bytes syn_ack() { return tcp(false, build::tcp_bit::syn | build::tcp_bit::ack, 9000, 1001); }

TEST_CASE("a sysctl is in force from the next packet on, in its netns alone") {
  for_each_impl([](const impl& which) {
    host h(which);
    const skb here = h.pass(request());
    const skb there = h.pass(request(), 1);
    REQUIRE(h.left_s(here) == 30);
    CHECK(h.set("net.netfilter.nf_conntrack_udp_timeout", "5") == "");
    CHECK(h.left_s(here) == 30);  // what was set before stays until the next packet
    h.pass(request());
    CHECK(h.left_s(here) == 5);
    h.pass(request(), 1);
    CHECK(h.left_s(there) == 30);
    CHECK(h.sysctls(0)["nf_conntrack_udp_timeout"] == 5);
    CHECK(h.sysctls(1)["nf_conntrack_udp_timeout"] == 30);
    CHECK(h.set("udp_timeout", "6", 1) == "");
    h.pass(request(), 1);
    CHECK(h.left_s(there) == 6);
    CHECK(h.set("udp_timeout", "-6").find("give a number from 0 to") != std::string::npos);
    CHECK(h.set("udp_timeoutt", "6").find("unknown sysctl") == 0);
    CHECK(h.sysctls(0)["nf_conntrack_udp_timeout"] == 5);
    CHECK(h.broken() == "");
  });
}

TEST_CASE("sysctls of the options hold in every netns; a wrong one is thrown") {
  for_each_impl([](const impl& which) {
    host h(which, {.buckets = 64, .sysctls = {{"udp_timeout", "7"}, {"nf_conntrack_max", "9"}}});
    CHECK(h.left_s(h.pass(request())) == 7);
    CHECK(h.left_s(h.pass(request(), 5)) == 7);
    CHECK(h.sysctls(0)["nf_conntrack_max"] == 9);
    CHECK(h.sysctls(5)["nf_conntrack_max"] == 9);
    CHECK_THROWS_AS(which.make({.sysctls = {{"udp_timeout", "x"}}}), std::invalid_argument);
    CHECK_THROWS_WITH(which.make({.sysctls = {{"nf_conntrack_count", "1"}}}),
                      Catch::Contains("read only"));
  });
}

TEST_CASE("count and buckets are read; max is one for all netns, counts in each, at once") {
  for_each_impl([](const impl& which) {
    host h(which);
    h.pass(request(1));
    h.pass(request(2));
    h.pass(request(3), 1);
    for (const netns_id net : {netns_id{0}, netns_id{1}}) {  // ASSURED: early drop finds nothing
      for (std::uint16_t port = 1; port <= 3; ++port) {
        tuple t;
        t.src = {.addr = build::addr(client), .id = port};
        t.dst = {.addr = build::addr(server), .id = 53, .protonum = ipproto::udp};
        h.cpu().update(t, {.net = net, .status = status::confirmed | status::assured});
      }
    }
    CHECK(h.sysctls(0)["nf_conntrack_count"] == 2);
    CHECK(h.sysctls(1)["nf_conntrack_count"] == 1);
    CHECK(h.sysctls(0)["nf_conntrack_buckets"] >= 1);
    CHECK(h.set("nf_conntrack_count", "0").find("read only") != std::string::npos);
    CHECK(h.set("nf_conntrack_max", "2", 1).find("netns 0") != std::string::npos);
    CHECK(h.set("nf_conntrack_max", "2") == "");
    CHECK(h.pass(request(4)).verdict == verdict::drop);
    CHECK(h.pass(request(5), 1).verdict == verdict::accept);
    CHECK(h.pass(request(6), 1).verdict == verdict::drop);
    CHECK(h.set("nf_conntrack_max", "0") == "");
    CHECK(h.pass(request(7)).verdict == verdict::accept);
    CHECK(h.broken() == "");
  });
}

TEST_CASE("entries are counted for all their life or not at all, as it was when they were made") {
  for_each_impl([](const impl& which) {
    host h(which);
    const skb before = h.pass(request(1));
    CHECK(h.set("nf_conntrack_acct", "1") == "");
    h.pass(request(1));
    const skb meanwhile = h.pass(request(2));
    h.pass(answer(2));
    CHECK(h.set("nf_conntrack_acct", "0") == "");
    h.pass(request(2));
    const skb after = h.pass(request(3));
    CHECK_FALSE(h.entry(before).has_acct);
    CHECK(h.entry(before).packets == std::array<std::uint64_t, 2>{});
    CHECK(h.entry(meanwhile).has_acct);
    CHECK(h.entry(meanwhile).packets == std::array<std::uint64_t, 2>{2, 1});
    CHECK(h.entry(meanwhile).bytes == std::array<std::uint64_t, 2>{64, 32});
    CHECK_FALSE(h.entry(after).has_acct);
  });
}

TEST_CASE("timestamps: from confirm to deletion, in ns; an expired entry ended when it expired") {
  constexpr std::uint64_t second_ns = 1'000'000'000;
  for_each_impl([](const impl& which) {
    host h(which);
    const skb without = h.pass(request(1));
    CHECK(h.set("nf_conntrack_timestamp", "1") == "");
    h.wait(seconds(10));
    skb s = h.in(h.packet(request(2)));
    h.wait(seconds(5));
    CHECK(h.system().entry_of(s)->start_ns == 0);
    h.confirm(s);
    CHECK(h.entry(s).start_ns == 15 * second_ns);
    CHECK(h.entry(s).stop_ns == 0);
    CHECK(h.entry(without).start_ns == 0);
    h.wait(seconds(4));
    const tuple key = h.entry(s).tuples[0];
    REQUIRE(h.cpu().kill({&key, 1}) == 1);
    CHECK(h.system().entry_of(s)->stop_ns == 19 * second_ns);
    h.free(s);

    skb idle = h.in(h.packet(request(3)));  // at 19 s, 30 s to live
    h.confirm(idle);
    h.wait(seconds(30) - 1);
    CHECK(h.system().entry_of(idle)->stop_ns == 0);
    h.wait(seconds(100));
    CHECK(h.system().entry_of(idle)->has(status::dying));
    CHECK(h.system().entry_of(idle)->stop_ns == 49 * second_ns);
    h.free(idle);
    CHECK(h.broken() == "");
  });
}

TEST_CASE("a timeout policy rules the entry that it was given to, for its protocol") {
  for_each_impl([](const impl& which) {
    host h(which);
    std::string error;
    const std::array<timeout_setting, 2> udp_values = {{{"unreplied", 3}, {"replied", 4}}};
    const timeout_policy* const own = h.system().add_timeouts(0, ipproto::udp, udp_values, error);
    REQUIRE(own != nullptr);
    const auto with = [&](const bytes& ip) {
      skb s = h.packet(ip);
      s.timeouts = own;
      return h.pass(s);
    };
    const skb plain = h.pass(request(1));
    const skb ruled = with(request(2));
    const skb other = with(syn());
    with(request(1));  // an entry that exists keeps what it was made with
    CHECK(h.left_s(plain) == 30);
    CHECK(h.left_s(ruled) == 3);
    CHECK(h.left_s(other) == 120);
    CHECK(h.set("udp_timeout", "20") == "");
    h.pass(answer(2));
    CHECK(h.left_s(ruled) == 3);
    h.wait(seconds(2) + 1);
    h.pass(request(2));
    CHECK(h.left_s(ruled) == 4);
    CHECK(h.entry(ruled).has(status::assured));
    h.pass(request(1));
    CHECK(h.left_s(plain) == 20);

    const std::array<timeout_setting, 2> tcp_values = {{{"syn_sent", 8}, {"syn_recv", 9}}};
    skb first = h.packet(build::ipv4(
        {.src = client, .dst = server},
        build::tcp(
            {.source_port = 6000, .dest_port = 80, .seq = 1000, .flags = build::tcp_bit::syn})));
    first.timeouts = h.system().add_timeouts(0, ipproto::tcp, tcp_values, error);
    CHECK(h.left_s(h.pass(first)) == 8);
    CHECK(h.system().add_timeouts(0, ipproto::udp, tcp_values, error) == nullptr);
    CHECK(error.find("udp has unreplied, replied") != std::string::npos);
    CHECK(h.broken() == "");
  });
}

TEST_CASE("FIXED_TIMEOUT: no packet of any protocol refreshes the entry") {
  struct flow {
    bytes there;
    bytes back;
  };
  const auto echo = [](bool is_reply) {
    return build::ipv4({.src = is_reply ? server : client, .dst = is_reply ? client : server},
                       build::icmp({.type = std::uint8_t(is_reply ? 0 : 8), .code = 0}));
  };
  const auto gre = [](bool is_reply) {
    return build::ipv4({.src = is_reply ? server : client, .dst = is_reply ? client : server},
                       build::other(50, build::payload(8)));
  };
  const std::vector<flow> flows = {{request(), answer()},
                                   {syn(), syn_ack()},
                                   {echo(false), echo(true)},
                                   {gre(false), gre(true)}};
  for_each_impl([&](const impl& which) {
    for (const bool is_fixed : {false, true}) {
      for (const flow& f : flows) {
        host h(which);
        const skb first = h.pass(f.there);
        const conn made = h.entry(first);
        conn_update change;
        change.status = made.status | (is_fixed ? status::fixed_timeout : 0);
        REQUIRE(h.cpu().update(made.tuples[0], change) == update_status::updated);
        CHECK(h.entry(first).timeout_jiffies == made.timeout_jiffies);
        h.wait(seconds(1));
        CHECK(h.pass(f.back).conn_id == first.conn_id);
        h.pass(f.there);
        const std::int32_t aged = made.timeout_jiffies - static_cast<std::int32_t>(seconds(1));
        CHECK((h.entry(first).timeout_jiffies == aged) == is_fixed);
        CHECK(h.entry(first).has(status::seen_reply));
        change = {.timeout_s = 3};
        CHECK(h.cpu().update(made.tuples[0], change) ==
              (is_fixed ? update_status::fixed_timeout : update_status::updated));
        CHECK(h.left_s(first) == (is_fixed ? static_cast<std::uint32_t>(aged) / hz : 3));
        CHECK(h.broken() == "");
      }
    }
  });
}

TEST_CASE("an update finds an entry by either tuple, in its netns and zone, or nothing") {
  for_each_impl([](const impl& which) {
    host h(which);
    const skb s = h.pass(request());
    skb far = h.packet(request(), 2);
    far.zone = {.id = 9};
    far = h.pass(far);
    const conn made = h.entry(s);
    CHECK(h.cpu().update(made.tuples[0], {.timeout_s = 77}) == update_status::updated);
    CHECK(h.left_s(s) == 77);
    CHECK(h.cpu().update(made.tuples[1], {.timeout_s = 78}) == update_status::updated);
    CHECK(h.left_s(s) == 78);
    CHECK(h.left_s(far) == 30);
    const conn_update in_zone = {.net = 2, .zone = {.id = 9}, .mark = 4};
    CHECK(h.cpu().update(made.tuples[1], in_zone) == update_status::updated);
    CHECK(h.entry(far).mark == 4);
    CHECK(h.entry(s).mark == 0);
    CHECK(h.cpu().update(made.tuples[0], {.net = 2, .mark = 5}) == update_status::not_found);
    tuple unknown = made.tuples[0];
    unknown.src.id = 1;
    CHECK(h.cpu().update(unknown, {.mark = 5}) == update_status::not_found);
    // The longest timeout there is; then none is left, and the entry is gone.
    CHECK(h.cpu().update(made.tuples[0], {.timeout_s = 0xffff'ffff}) == update_status::updated);
    CHECK(h.entry(s).timeout_jiffies == 0x7fff'ffff);
    CHECK(h.cpu().update(made.tuples[0], {.timeout_s = 0}) == update_status::updated);
    CHECK(h.cpu().update(made.tuples[0], {.mark = 5}) == update_status::not_found);
    CHECK(h.broken() == "");
  });
}

TEST_CASE("an update may set SEEN_REPLY, ASSURED, FIXED_TIMEOUT and HELPER; it clears nothing") {
  for_each_impl([](const impl& which) {
    host h(which);
    const skb s = h.pass(request());
    const conn made = h.entry(s);
    REQUIRE(made.status == status::confirmed);
    const auto set = [&](std::uint32_t wanted) {
      return h.cpu().update(made.tuples[0], {.status = wanted});
    };
    CHECK(set(0) == update_status::busy);
    CHECK(set(status::confirmed | status::expected) == update_status::busy);
    CHECK(set(status::confirmed | status::dying) == update_status::busy);
    CHECK(h.entry(s).status == status::confirmed);
    // NAT, sequence adjustment, template, offload: neither changed nor refused.
    constexpr std::uint32_t ignored = 0x1f0U | 1U << 11 | 1U << 12 | 1U << 14 | 1U << 15;
    CHECK(set(status::confirmed | ignored) == update_status::updated);
    CHECK(h.entry(s).status == status::confirmed);
    constexpr std::uint32_t all = status::confirmed | status::seen_reply | status::assured |
                                  status::fixed_timeout | status::helper;
    CHECK(set(all) == update_status::updated);
    CHECK(h.entry(s).status == all);
    CHECK(set(all & ~status::seen_reply) == update_status::busy);
    CHECK(set(all & ~status::assured) == update_status::busy);
    CHECK(set(all & ~(status::fixed_timeout | status::helper)) == update_status::updated);
    CHECK(h.entry(s).status == all);
    // What stands ahead of the refusal is done, what stands behind it is not.
    CHECK(h.cpu().update(made.tuples[0], {.status = 0, .mark = 8}) == update_status::busy);
    CHECK(h.entry(s).mark == 0);
    CHECK(h.broken() == "");
  });
}

TEST_CASE("marks come from packets and from updates, bit by bit") {
  for_each_impl([](const impl& which) {
    host h(which);
    skb s = h.packet(request());
    s.ct_mark = 0x0f;
    s = h.in(s);
    CHECK(h.system().entry_of(s)->mark == 0x0f);
    h.confirm(s);
    h.free(s);
    h.pass(request());
    CHECK(h.entry(s).mark == 0x0f);
    const conn_update masked = {.mark = 0xa0, .mark_mask = 0xf0};
    CHECK(h.cpu().update(h.entry(s).tuples[0], masked) == update_status::updated);
    CHECK(h.entry(s).mark == 0xaf);
    skb back = h.packet(answer());
    back.ct_mark = 0;
    h.pass(back);
    CHECK(h.entry(s).mark == 0);
    // A packet without an entry has nothing to mark.
    bytes cut = request();
    cut.resize(22);
    skb broken = h.packet(cut);
    broken.ct_mark = 1;
    CHECK(h.pass(broken).conn_id == 0);
    CHECK(h.broken() == "");
  });
}

TEST_CASE("labels are there for entries made while they were used, and change under a mask") {
  for_each_impl([](const impl& which) {
    host h(which);
    const skb without = h.pass(request(1));
    h.system().use_labels(0, true);
    const skb with = h.pass(request(2));
    const skb elsewhere = h.pass(request(3), 1);
    const conn_update set = {.labels = labels{1, 2, 3, 4}};
    CHECK(h.cpu().update(h.entry(without).tuples[0], set) == update_status::no_labels);
    CHECK(h.entry(without).labels == labels{});
    CHECK(h.cpu().update(h.entry(with).tuples[0], set) == update_status::updated);
    CHECK(h.entry(with).labels == labels{1, 2, 3, 4});
    conn_update there = set;
    there.net = 1;
    CHECK(h.cpu().update(h.entry(elsewhere).tuples[0], there) == update_status::no_labels);
    const conn_update masked = {.labels = labels{0, 0, 0, 0x70}, .labels_mask = {1, 0, 0, 0xf0}};
    CHECK(h.cpu().update(h.entry(with).tuples[0], masked) == update_status::updated);
    CHECK(h.entry(with).labels == labels{0, 2, 3, 0x74});
    h.system().use_labels(0, false);
    CHECK(h.cpu().update(h.entry(with).tuples[0], set) == update_status::updated);
    const skb later = h.pass(request(4));
    CHECK(h.cpu().update(h.entry(later).tuples[0], set) == update_status::no_labels);
    CHECK(h.broken() == "");
  });
}

TEST_CASE("each attached CPU has its own row of counters") {
  for_each_impl([](const impl& which) {
    host h(which);
    const std::unique_ptr<ct::cpu> second = h.system().attach();
    CHECK(h.set("nf_conntrack_max", "1") == "");
    skb first = h.in(request(1));  // unconfirmed: early drop does not find it
    const bytes ip = request(2);
    skb s{.frame = ip, .wire_bytes = static_cast<std::uint32_t>(ip.size()), .link = link_type::raw};
    second->pass({&s, 1});
    CHECK(s.verdict == verdict::drop);
    const std::vector<ip_conntrack_stat> rows = h.system().statistics();
    REQUIRE(rows.size() == 2);
    CHECK(rows[0] == ip_conntrack_stat{});
    CHECK(rows[1] == ip_conntrack_stat{.drop = 1});
    h.free(first);
  });
}

TEST_CASE("label bits that threads set in one word at the same time are all there") {
  constexpr int threads = 4;
  for_each_impl([](const impl& which) {
    host h(which);
    h.system().use_labels(0, true);
    const tuple key = h.entry(h.pass(request())).tuples[0];
    std::vector<std::thread> workers;
    for (int t = 0; t < threads; ++t) {
      workers.emplace_back([&h, &key, t] {
        const std::unique_ptr<ct::cpu> on = h.system().attach();
        for (int bit = 0; bit < 32; ++bit) {
          const std::uint32_t mine = 1U << bit;
          if (bit % threads != t) continue;
          (void)on->update(key, {.labels = labels{mine, mine}, .labels_mask = {mine, mine}});
        }
      });
    }
    for (std::thread& w : workers) w.join();
    std::vector<conn> all;
    h.system().dump(h.cpu(), [&](const conn& c) { all.push_back(c); });
    REQUIRE(all.size() == 1);
    CHECK(all[0].labels == labels{0xffff'ffff, 0xffff'ffff, 0, 0});
  });
}

TEST_CASE("settings and updates while packets pass: no value is torn, the table drains") {
  constexpr int rounds = 500;
  constexpr std::uint16_t flows = 16;
  for_each_impl([&](const impl& which) {
    const std::unique_ptr<ct_system> system = which.make({.buckets = 64});
    std::atomic<bool> is_done{false};
    std::atomic<int> wrong{0};   // of the traffic
    std::atomic<int> passed{0};  // packets
    int mistakes = 0;            // of the settings
    std::vector<bytes> packets;
    for (std::uint16_t port = 1; port <= flows; ++port) packets.push_back(request(port));
    std::thread traffic([&] {
      const std::unique_ptr<ct::cpu> on = system->attach();
      while (!is_done.load(std::memory_order_relaxed)) {  // relaxed: an end, not an order
        for (const bytes& ip : packets) {
          skb s{.frame = ip,
                .wire_bytes = static_cast<std::uint32_t>(ip.size()),
                .link = link_type::raw};
          on->in({&s, 1});
          on->confirm({&s, 1});
          const std::optional<conn> seen = system->entry_of(s);
          // relaxed: a tally
          if (s.verdict != verdict::accept || !seen) wrong.fetch_add(1, std::memory_order_relaxed);
          on->free_skb({&s, 1});
          passed.fetch_add(1, std::memory_order_relaxed);  // relaxed: a tally
        }
      }
    });
    {
      const std::unique_ptr<ct::cpu> on = system->attach();
      std::vector<tuple> keys;
      // relaxed: only that it has begun
      while (passed.load(std::memory_order_relaxed) < flows) std::this_thread::yield();
      for (int i = 0; i < rounds; ++i) {
        const std::string number = std::to_string(i % 2);
        for (const char* name : {"acct", "timestamp", "tcp_loose"}) {
          if (!system->set_sysctl(0, name, number).empty()) ++mistakes;
        }
        if (!system->set_sysctl(0, "udp_timeout", i % 2 == 0 ? "30" : "40").empty()) ++mistakes;
        system->use_labels(0, i % 3 == 0);
        keys.clear();
        system->dump(*on, [&](const conn& c) {
          keys.push_back(c.tuples[0]);
          const std::int32_t left = c.timeout_jiffies / static_cast<std::int32_t>(hz);
          if (left != 30 && left != 40 && left != 50) ++mistakes;
        });
        for (const tuple& key : keys) {
          (void)on->update(key, {.timeout_s = 50, .mark = 7, .labels = labels{1}});
          if (i % 10 == 0) on->kill({&key, 1});
        }
      }
      is_done.store(true, std::memory_order_relaxed);  // relaxed: see above
      traffic.join();
      CHECK(wrong.load(std::memory_order_relaxed) == 0);  // relaxed: at rest
      CHECK(mistakes == 0);
      on->advance(system->jiffies64() + seconds(200));
      on->quiescent();
      CHECK(system->count() == 0);
      CHECK(system->broken_invariant(*on) == "");
    }
  });
}

}  // namespace
}  // namespace ct::system_test
