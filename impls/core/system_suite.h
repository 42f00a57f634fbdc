// SPDX-License-Identifier: BSD-2-Clause
/// For tests over whole systems: every implementation in turn, and packets by a line each.
#pragma once

#include "impls/core/packet_suite.h"
#include "spec/impl.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ct::system_test {

namespace build = core::build;
using build::bytes;

inline constexpr const char* client = "10.0.0.1";
inline constexpr const char* server = "192.0.2.7";

/// One implementation, one CPU, and packets by a line each.
class host {
 public:
  explicit host(const impl& which, const system_options& options = {.buckets = 64})
      : system_(which.make(options)), cpu_(system_->attach()) {}

  ct_system& system() { return *system_; }
  ct::cpu& cpu() { return *cpu_; }

  skb packet(const bytes& ip, netns_id net = 0) {
    kept_.push_back(std::make_unique<bytes>(ip));
    skb s;
    s.frame = *kept_.back();
    s.wire_bytes = static_cast<std::uint32_t>(ip.size());
    s.link = link_type::raw;
    s.net = net;
    return s;
  }
  skb in(const bytes& ip) { return in(packet(ip)); }
  skb in(skb s) {
    cpu_->in({&s, 1});
    return s;
  }
  void confirm(skb& s) { cpu_->confirm({&s, 1}); }
  void free(skb& s) { cpu_->free_skb({&s, 1}); }
  skb pass(const bytes& ip, netns_id net = 0) { return pass(packet(ip, net)); }
  skb pass(skb s) {
    cpu_->pass({&s, 1});
    return s;
  }
  void wait(std::uint32_t jiffies) { cpu_->advance(system_->jiffies64() + jiffies); }

  std::vector<conn> dump() {
    std::vector<conn> all;
    system_->dump(*cpu_, [&](const conn& c) { all.push_back(c); });
    return all;
  }
  /// The one entry with the id that this packet had.
  conn entry(const skb& of) {
    const std::vector<conn> all = dump();
    const auto at = std::ranges::find(all, of.conn_id, &conn::id);
    REQUIRE(at != all.end());
    return *at;
  }
  std::uint32_t left_s(const skb& of) {
    return static_cast<std::uint32_t>(entry(of).timeout_jiffies) / hz;
  }
  std::string set(std::string_view name, std::string_view value, netns_id net = 0) {
    return system_->set_sysctl(net, name, value);
  }
  std::map<std::string, std::uint64_t> sysctls(netns_id net = 0) {
    std::map<std::string, std::uint64_t> all;
    for (const sysctl& one : system_->sysctls(net)) all[std::string(one.name)] = one.value;
    return all;
  }
  ip_conntrack_stat stat() {
    ip_conntrack_stat sum;
    for (const ip_conntrack_stat& row : system_->statistics()) sum += row;
    return sum;
  }
  std::string broken() { return system_->broken_invariant(*cpu_); }
  /// The one entry of the table.
  conn only() {
    const std::vector<conn> all = dump();
    REQUIRE(all.size() == 1);
    return all[0];
  }

 private:
  std::unique_ptr<ct_system> system_;
  std::unique_ptr<ct::cpu> cpu_;
  std::vector<std::unique_ptr<bytes>> kept_;
};

inline bytes udp(const char* src, std::uint16_t sport, const char* dst, std::uint16_t dport) {
  return build::ipv4({.src = src, .dst = dst},
                     build::udp({.source_port = sport, .dest_port = dport}, build::payload(4)));
}
inline bytes request(std::uint16_t port = 4000) { return udp(client, port, server, 53); }
inline bytes answer(std::uint16_t port = 4000) { return udp(server, 53, client, port); }

inline bytes tcp(bool from_client, std::uint8_t flags, std::uint32_t seq, std::uint32_t acked) {
  const build::layer4 segment = build::tcp({.source_port = std::uint16_t(from_client ? 5000 : 80),
                                            .dest_port = std::uint16_t(from_client ? 80 : 5000),
                                            .seq = seq,
                                            .ack = acked,
                                            .flags = flags});
  return build::ipv4({.src = from_client ? client : server, .dst = from_client ? server : client},
                     segment);
}

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

}  // namespace ct::system_test
