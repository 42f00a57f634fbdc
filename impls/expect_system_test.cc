// SPDX-License-Identifier: BSD-2-Clause
/// Expectations on two CPUs at once, for every implementation; what one shows stands in
/// workloads/scenarios/.
#include "impls/core/packet_suite.h"
#include "spec/impl.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace ct {
namespace {

namespace build = core::build;
using build::bytes;
using build::tcp_bit::ack;
using build::tcp_bit::fin;
using build::tcp_bit::psh;
using build::tcp_bit::syn;

constexpr const char* client = "10.0.0.1";
constexpr const char* server = "192.0.2.7";

system_options with_helper() {
  system_options options;
  options.buckets = 64;
  options.helpers = {{.helper = "ftp", .port = 21}};
  return options;
}

/// A system and one control connection through it.
class ftp_session {
 public:
  ftp_session(std::shared_ptr<ct_system> system, std::uint16_t client_port)
      : system_(std::move(system)), cpu_(system_->attach()), client_port_(client_port) {}

  void open() {
    (void)segment(true, syn);
    (void)segment(false, syn | ack);
    (void)segment(true, ack);
    (void)say(false, "220 ready\r\n");
    (void)say(true, "USER anonymous\r\n");
    (void)say(false, "230 Login successful.\r\n");
  }
  /// A line of one side, in one segment.
  skb say(bool from_client, const std::string& line) {
    return segment(from_client, psh | ack, line);
  }
  skb segment(bool from_client, std::uint8_t flags, const std::string& text = "") {
    bytes data;
    for (const char c : text) data.push_back(static_cast<std::byte>(c));
    std::uint32_t& seq = from_client ? client_seq_ : server_seq_;
    const std::uint32_t acked = from_client ? server_seq_ : client_seq_;
    const skb s = tcp(from_client,
                      {.source_port = from_client ? client_port_ : std::uint16_t{21},
                       .dest_port = from_client ? std::uint16_t{21} : client_port_,
                       .seq = seq,
                       .ack = (flags & ack) != 0 ? acked : 0,
                       .flags = flags},
                      data);
    // What was dropped comes again.
    if (s.verdict == verdict::accept) {
      seq += static_cast<std::uint32_t>(data.size()) + ((flags & (syn | fin)) != 0 ? 1 : 0);
    }
    return s;
  }
  /// The SYN of a data connection.
  skb data_syn(bool from_client, std::uint16_t source_port, std::uint16_t dest_port) {
    return tcp(from_client,
               {.source_port = source_port, .dest_port = dest_port, .seq = 7, .flags = syn});
  }
  skb tcp(bool from_client, const build::tcp_fields& fields, const bytes& data = {}) {
    const bytes ip =
        build::ipv4({.src = from_client ? client : server, .dst = from_client ? server : client},
                    build::tcp(fields, data));
    skb s;
    s.frame = ip;
    s.wire_bytes = static_cast<std::uint32_t>(ip.size());
    s.link = link_type::raw;
    cpu_->pass({&s, 1});
    return s;
  }

  ct_system& system() { return *system_; }
  ct::cpu& cpu() { return *cpu_; }
  void wait(std::uint32_t jiffies) { cpu_->advance(system_->jiffies64() + jiffies); }
  tuple control_tuple() const {
    tuple t;
    t.src.addr = build::addr(client);
    t.src.id = client_port_;
    t.dst.addr = build::addr(server);
    t.dst.id = 21;
    t.dst.protonum = ipproto::tcp;
    return t;
  }
  std::size_t kill_control() {
    const tuple t = control_tuple();
    return cpu_->kill({&t, 1});
  }
  std::string broken() { return system_->broken_invariant(*cpu_); }

 private:
  std::shared_ptr<ct_system> system_;
  std::unique_ptr<ct::cpu> cpu_;
  std::uint16_t client_port_;
  std::uint32_t client_seq_ = 0xffff'ffe0;  // lines begin before and behind the wrap
  std::uint32_t server_seq_ = 1000;
};

template <class Check>
void for_each_impl(Check&& check) {
  int checked = 0;
  for (const impl& which : implementations()) {
    if (which.is_timing_only()) continue;
    DYNAMIC_SECTION(which.name) { check(which); }
    ++checked;
  }
  REQUIRE(checked >= 4);
}

/// The events of each entry's first message.
class births final : public listener {
 public:
  bool deliver(const event_message& m) noexcept override {
    bits.emplace(m.entry.id, m.bits);
    return true;
  }
  std::map<std::uint64_t, std::uint32_t> bits;  // [id]
};

/// Offers on one CPU, and their masters' ends; packets that fulfil them, or come too late, on
/// another one. Whoever wins, nothing is left in the end.
TEST_CASE("offers, matches and the masters' ends on two CPUs leave nothing behind") {
  for_each_impl([](const impl& which) {
    constexpr static std::uint16_t rounds = 150;
    system_options options = with_helper();
    options.buckets = 16384;  // room for 256 expectations
    const std::shared_ptr<ct_system> system = which.make(options);
    std::atomic<std::uint16_t> offered{0};
    std::atomic<std::uint16_t> tried{0};
    std::thread server_side([&] {
      ftp_session data(system, 1);
      for (std::uint16_t seen = 0; seen < rounds;) {
        // acquire: pairs with the release below: the offer of that port was made.
        seen = offered.load(std::memory_order_acquire);
        (void)data.data_syn(false, seen, static_cast<std::uint16_t>(20 << 8 | seen));
        data.cpu().quiescent();
        // release: pairs with the acquire below: this port was tried.
        tried.store(seen, std::memory_order_release);
      }
    });
    for (std::uint16_t round = 1; round <= rounds; ++round) {
      ftp_session ftp(system, static_cast<std::uint16_t>(6000 + round));
      ftp.open();
      (void)ftp.say(true, "PORT 10,0,0,1,20," + std::to_string(round) + "\r\n");
      // release: pairs with the acquire above.
      offered.store(round, std::memory_order_release);
      if (round % 3 == 0) {
        // acquire: pairs with the release above.
        while (tried.load(std::memory_order_acquire) < round) std::this_thread::yield();
      } else {
        CHECK(ftp.kill_control() == 1);
      }
      (void)ftp.say(true, "PORT 10,0,0,1,21," + std::to_string(round) + "\r\n");
    }
    server_side.join();
    ftp_session last(system, 1);
    CHECK(last.broken() == "");
    ip_conntrack_stat stat;
    for (const ip_conntrack_stat& row : system->statistics()) stat += row;
    CHECK(stat.expect_create >= rounds);
    CHECK(stat.expect_new >= rounds / 3);
    last.wait(432'000 * hz + 1);
    while (last.cpu().gc_worker().reaped != 0) {
    }
    CHECK(system->count() == 0);
    CHECK(system->expectations().empty());
    CHECK(last.broken() == "");
  });
}

TEST_CASE("a helper that there is not is refused by name") {
  system_options options = with_helper();
  options.helpers = {{.helper = "telnet", .port = 23}};
  for (const impl& which : implementations()) {
    CHECK_THROWS_WITH(which.make(options), "no helper is named telnet; there is ftp");
  }
}

}  // namespace
}  // namespace ct
