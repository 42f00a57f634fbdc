// SPDX-License-Identifier: BSD-2-Clause
/// What every implementation must do with the same packets: the life of an entry, seen from
/// outside.
///
/// Each case runs for every registered implementation that stores anything.
#include "impls/core/system_suite.h"

#include <array>
#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace ct::system_test {
namespace {

using build::tcp_bit::ack;
using build::tcp_bit::fin;
using build::tcp_bit::rst;
using build::tcp_bit::syn;

TEST_CASE("a flow is NEW, then a reply, then ESTABLISHED, under one entry") {
  for_each_impl([](const impl& which) {
    host h(which);
    const skb first = h.pass(request());
    CHECK(first.info == ctinfo::new_);
    CHECK(first.conn_id != 0);
    CHECK(h.system().count() == 1);
    const skb second = h.pass(answer());
    CHECK(second.info == ctinfo::established_reply);
    CHECK(second.conn_id == first.conn_id);
    const skb third = h.pass(request());
    CHECK(third.info == ctinfo::established);
    CHECK(third.conn_id == first.conn_id);
    const skb other = h.pass(request(4001));
    CHECK(other.info == ctinfo::new_);
    CHECK(other.conn_id != first.conn_id);
    CHECK(h.system().count() == 2);
    CHECK(h.broken() == "");
  });
}

TEST_CASE("an unconfirmed entry is found by nobody and dies with its packet") {
  for_each_impl([](const impl& which) {
    host h(which);
    skb first = h.in(request());
    CHECK(first.info == ctinfo::new_);
    skb second = h.in(request());
    CHECK(second.info == ctinfo::new_);
    CHECK(second.conn_id != first.conn_id);
    CHECK(h.system().count() == 2);
    CHECK(h.dump().empty());
    CHECK(h.broken() != "");  // not at rest: two entries in flight
    h.free(first);
    h.free(second);
    CHECK(h.system().count() == 0);
    CHECK(h.broken() == "");
  });
}

TEST_CASE("packets hold references, and the last put destroys") {
  for_each_impl([](const impl& which) {
    host h(which);
    skb first = h.in(request());
    h.confirm(first);
    CHECK(first.verdict == verdict::accept);
    REQUIRE(h.dump().size() == 1);
    CHECK(h.dump()[0].use == 2);
    CHECK(h.broken() != "");  // a packet holds it
    skb second = h.in(answer());
    CHECK(h.dump()[0].use == 3);
    h.free(first);
    CHECK(h.dump()[0].use == 2);

    const tuple key = h.dump()[0].tuples[0];
    CHECK(h.cpu().kill({&key, 1}) == 1);
    CHECK(h.cpu().kill({&key, 1}) == 0);
    CHECK(h.dump().empty());
    CHECK(h.system().count() == 1);  // dying, held by the second packet
    skb third = h.in(answer());
    CHECK(third.info == ctinfo::new_);
    CHECK(third.conn_id != second.conn_id);
    h.free(third);
    h.free(second);
    CHECK(h.system().count() == 0);
    CHECK(h.broken() == "");
  });
}

TEST_CASE("of two packets that race for a tuple one confirms, the other is dropped") {
  for_each_impl([](const impl& which) {
    host h(which);
    skb winner = h.in(tcp(true, syn, 1000, 0));
    skb loser = h.in(tcp(true, syn, 1000, 0));
    h.confirm(winner);
    h.confirm(loser);
    CHECK(winner.verdict == verdict::accept);
    CHECK(loser.verdict == verdict::drop);
    CHECK(h.stat().insert_failed == 1);
    CHECK(h.stat().drop == 1);
    h.free(winner);
    h.free(loser);
    CHECK(h.system().count() == 1);
    CHECK(h.broken() == "");
  });
}

TEST_CASE("an entry is found until the jiffy of its timeout and not in it") {
  for_each_impl([](const impl& which) {
    host h(which);
    const skb first = h.pass(request());
    h.wait(seconds(30) - 1);
    skb last = h.in(request());
    CHECK(last.conn_id == first.conn_id);
    h.free(last);  // dropped or not, the tracker refreshed it
    h.wait(seconds(30));
    const skb next = h.pass(request());
    CHECK(next.info == ctinfo::new_);
    CHECK(next.conn_id != first.conn_id);
    CHECK(h.system().count() == 1);
    CHECK(h.broken() == "");
  });
}

TEST_CASE("gc_worker frees what nobody asks for any more, across the wrap of jiffies") {
  for_each_impl([](const impl& which) {
    host h(which);
    h.wait(seconds(290));  // the 32-bit counter wraps in ten seconds
    for (std::uint16_t port = 1; port <= 1000; ++port) h.pass(request(port));
    CHECK(h.system().count() == 1000);
    h.wait(seconds(29));
    CHECK(h.system().count() == 1000);
    CHECK(h.dump().size() == 1000);
    h.wait(seconds(1));
    CHECK(h.dump().empty());
    h.wait(seconds(60));  // gc runs at least once a minute
    CHECK(h.system().count() == 0);
    CHECK(h.broken() == "");
  });
}

TEST_CASE("one run of gc_worker reaps at most 257 entries and goes on where it stopped") {
  for_each_impl([](const impl& which) {
    host h(which);
    std::vector<tuple> many(1000);
    for (std::size_t i = 0; i < many.size(); ++i) {
      many[i].src.addr = build::addr(client);
      many[i].dst.addr = build::addr(server);
      many[i].src.id = static_cast<std::uint16_t>(i + 1);
      many[i].dst.protonum = ipproto::udp;
    }
    REQUIRE(h.cpu().create(many, 0) == 1000);  // expired at once
    std::size_t left = 1000;
    for (int run = 0; left != 0; ++run) {
      REQUIRE(run < 6);
      const gc_report report = h.cpu().gc_worker();
      CHECK(report.reaped <= 257);
      if (report.next_run != 1) CHECK(report.reaped == left);
      // A table that hands over several at a time may count an entry twice, once for each
      // tuplehash.
      if (report.reaped < left) CHECK(report.reaped > 240);
      left -= report.reaped;
      CHECK(h.system().count() == left);
    }
    CHECK(h.broken() == "");
  });
}

TEST_CASE("a reset kills an unreplied connection; a new SYN reopens TIME_WAIT as a new entry") {
  for_each_impl([](const impl& which) {
    host h(which);
    h.pass(tcp(true, syn, 1000, 0));
    const skb refused = h.pass(tcp(false, rst | ack, 0, 1001));
    CHECK(refused.info == ctinfo::established_reply);
    CHECK(h.system().count() == 0);

    const skb opened = h.pass(tcp(true, syn, 1000, 0));
    h.pass(tcp(false, syn | ack, 9000, 1001));
    h.pass(tcp(true, ack, 1001, 9001));
    h.pass(tcp(true, fin | ack, 1001, 9001));
    h.pass(tcp(false, fin | ack, 9001, 1002));
    h.pass(tcp(true, ack, 1002, 9002));
    REQUIRE(h.dump().size() == 1);
    CHECK(h.dump()[0].tcp == tcp_state::time_wait);
    CHECK(h.dump()[0].has(status::assured));
    const skb again = h.pass(tcp(true, syn, 70000, 0));
    CHECK(again.info == ctinfo::new_);
    CHECK(again.conn_id != opened.conn_id);
    REQUIRE(h.dump().size() == 1);
    CHECK(h.dump()[0].tcp == tcp_state::syn_sent);
    CHECK(h.broken() == "");
  });
}

TEST_CASE("an ICMP error is RELATED to the connection it quotes, if it goes to its sender") {
  for_each_impl([](const impl& which) {
    host h(which);
    const skb first = h.pass(request());
    const auto error_to = [&](const char* dst, const bytes& quoted) {
      return h.pass(build::ipv4({.src = "203.0.113.9", .dst = dst},
                                build::icmp({.type = 3, .code = 3}, quoted)));
    };
    const skb related = error_to(client, request());
    CHECK(related.info == ctinfo::related_reply);  // it travels as the connection's replies do
    CHECK(related.conn_id == first.conn_id);
    CHECK_FALSE(h.dump()[0].has(status::seen_reply));
    CHECK(error_to("10.9.9.9", request()).info == ctinfo::invalid);
    CHECK(error_to(client, request(4444)).info == ctinfo::invalid);
    const skb about_reply = error_to(server, answer());
    CHECK(about_reply.info == ctinfo::related);
    CHECK(about_reply.conn_id == first.conn_id);
    CHECK(h.stat().error == 2);
    CHECK(h.stat().invalid == 0);
    CHECK(h.broken() == "");
  });
}

TEST_CASE("zones and network namespaces keep equal tuples apart") {
  for_each_impl([](const impl& which) {
    host h(which);
    const auto pass_in = [&](netns_id net, zone z, const bytes& ip) {
      skb s = h.packet(ip);
      s.net = net;
      s.zone = z;
      return h.pass(s);
    };
    const skb plain = pass_in(0, {}, request());
    const skb zone_5 = pass_in(0, {.id = 5}, request());
    const skb net_1 = pass_in(1, {}, request());
    CHECK(zone_5.info == ctinfo::new_);
    CHECK(net_1.info == ctinfo::new_);
    CHECK(h.system().count() == 3);
    CHECK(pass_in(0, {.id = 5}, answer()).conn_id == zone_5.conn_id);
    CHECK(pass_in(1, {}, answer()).conn_id == net_1.conn_id);
    CHECK(pass_in(0, {}, answer()).conn_id == plain.conn_id);
    CHECK(pass_in(2, {}, answer()).info == ctinfo::new_);
    // A zone of the original direction alone: replies are looked for in zone 0.
    const skb one_way = pass_in(0, {.id = 7, .directions = 1}, request(4007));
    CHECK(one_way.info == ctinfo::new_);
    CHECK(pass_in(0, {.id = 7, .directions = 1}, answer(4007)).conn_id == one_way.conn_id);
    CHECK(pass_in(0, {}, answer(4007)).conn_id == one_way.conn_id);
    CHECK(h.broken() == "");
  });
}

TEST_CASE("a full table drops new connections and keeps old ones") {
  for_each_impl([](const impl& which) {
    host h(which, {.buckets = 64, .max_entries = 2});
    for (const int round : {0, 1}) {  // both ASSURED: no victims of early drop
      h.wait(seconds(3) * static_cast<std::uint32_t>(round));
      for (const std::uint16_t port : {std::uint16_t{1}, std::uint16_t{2}}) {
        h.pass(request(port));
        h.pass(answer(port));
      }
    }
    const skb refused = h.pass(request(3));
    CHECK(refused.verdict == verdict::drop);
    CHECK(refused.conn_id == 0);
    CHECK(h.system().count() == 2);
    CHECK(h.stat().drop == 1);
    CHECK(h.stat().early_drop == 0);
    CHECK(h.pass(answer(1)).info == ctinfo::established_reply);
    CHECK(h.broken() == "");
  });
}

TEST_CASE("accounting counts packets and layer-3 bytes per direction, if it is on") {
  for_each_impl([](const impl& which) {
    for (const bool on : {false, true}) {
      host h(which, {.buckets = 64, .acct = on});
      h.pass(request());
      h.pass(request());
      h.pass(answer());
      REQUIRE(h.dump().size() == 1);
      const conn c = h.dump()[0];
      CHECK(c.packets ==
            (on ? std::array<std::uint64_t, 2>{2, 1} : std::array<std::uint64_t, 2>{}));
      CHECK(c.bytes ==
            (on ? std::array<std::uint64_t, 2>{64, 32} : std::array<std::uint64_t, 2>{}));
    }
  });
}

TEST_CASE("a system is reproducible from its seed and its packets") {
  for_each_impl([](const impl& which) {
    host one(which, {.buckets = 64, .seed = 7});
    host two(which, {.buckets = 64, .seed = 7});
    for (std::uint16_t port = 1; port <= 50; ++port) {
      CHECK(one.pass(request(port)).conn_id == two.pass(request(port)).conn_id);
    }
  });
}

TEST_CASE("CPUs come and go; their counters stay, ids are never used twice") {
  for_each_impl([](const impl& which) {
    const std::unique_ptr<ct_system> system = which.make({.buckets = 64});
    const bytes ip = request();
    std::vector<std::uint64_t> ids;
    for (int i = 0; i < 3; ++i) {
      const std::unique_ptr<ct::cpu> cpu = system->attach();
      skb s{.frame = ip,
            .wire_bytes = static_cast<std::uint32_t>(ip.size()),
            .link = link_type::raw};
      cpu->in({&s, 1});
      ids.push_back(s.conn_id);
      cpu->free_skb({&s, 1});
    }
    CHECK(ids[0] != ids[1]);
    CHECK(ids[1] != ids[2]);
    CHECK(system->statistics().size() == 1);
    CHECK(system->count() == 0);
  });
}

TEST_CASE("threads with packets of the same flows leave a table that drains to nothing") {
  constexpr int threads = 4;
  constexpr int rounds = 3000;
  constexpr std::uint16_t flows = 23;
  for_each_impl([&](const impl& which) {
    const std::unique_ptr<ct_system> system = which.make({.buckets = 16});
    std::atomic<std::uint64_t> wrong{0};
    std::vector<bytes> packets;
    for (std::uint16_t port = 1; port <= flows; ++port) {
      packets.push_back(request(port));
      packets.push_back(answer(port));
    }
    std::vector<std::thread> workers;
    for (int t = 0; t < threads; ++t) {
      workers.emplace_back([&, t] {
        const std::unique_ptr<ct::cpu> cpu = system->attach();
        for (int i = 0; i < rounds; ++i) {
          const bytes& ip = packets[static_cast<std::size_t>(i * 7 + t * 5) % packets.size()];
          skb s{.frame = ip,
                .wire_bytes = static_cast<std::uint32_t>(ip.size()),
                .link = link_type::raw};
          cpu->in({&s, 1});
          if (s.conn_id == 0) ++wrong;  // every one of these packets belongs to some entry
          if (i % 11 != 0) cpu->confirm({&s, 1});
          cpu->free_skb({&s, 1});
          // Kill now and then, and let time pass, so that memory is reused while others look.
          if (i % 13 == 0 && t == 0) cpu->advance(system->jiffies64() + seconds(7));
          if (i % 5 == 0) {
            tuple key;
            key.src.addr = build::addr(client);
            key.dst.addr = build::addr(server);
            key.src.id = static_cast<std::uint16_t>(i % flows + 1);
            key.dst.id = 53;
            key.dst.protonum = ipproto::udp;
            cpu->kill({&key, 1});
          }
        }
      });
    }
    for (std::thread& w : workers) w.join();
    CHECK(wrong == 0);
    const std::unique_ptr<ct::cpu> cpu = system->attach();
    CHECK(system->broken_invariant(*cpu) == "");
    CHECK(system->count() <= flows);
    cpu->advance(system->jiffies64() + seconds(200));
    CHECK(system->count() == 0);
    CHECK(system->broken_invariant(*cpu) == "");
  });
}

}  // namespace
}  // namespace ct::system_test
