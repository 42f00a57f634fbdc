// SPDX-License-Identifier: BSD-2-Clause
/// The connections of a run, and their names in its history: keys.
///
/// Flow f is of netns f mod N, and of zone (f / N) mod Z; its addresses follow from the rest, so
/// that flows of different netns and zones have equal tuples.
#pragma once

#include "spec/ct_system.h"
#include "workloads/packet_builder.h"
#include "workloads/run_plan.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ct::check {

struct flow_of_run {
  std::array<tuple, 2> tuples{};  ///< [key mod 2]
  std::array<build::bytes, 2> packets{};
  netns_id net = 0;
  std::uint16_t zone = 0;

  skb packet(std::size_t way) const {
    skb s;
    s.frame = packets[way];
    s.wire_bytes = static_cast<std::uint32_t>(packets[way].size());
    s.link = link_type::raw;
    s.net = net;
    s.zone = {.id = zone};
    return s;
  }
};

class flows_of_run {
 public:
  explicit flows_of_run(const workloads::run_plan& plan)
      : groups_(plan.netns * plan.zones), netns_(plan.netns), flows_(plan.flows) {
    for (std::uint32_t f = 0; f < plan.flows; ++f) {
      const std::uint32_t place = f / groups_;
      flow_of_run& flow = flows_[f];
      flow.net = static_cast<netns_id>(f % netns_);
      flow.zone = static_cast<std::uint16_t>(f / netns_ % plan.zones);
      const std::string client = "10." + std::to_string(place >> 16 & 0xff) + "." +
                                 std::to_string(place >> 8 & 0xff) + "." +
                                 std::to_string(place & 0xff);
      flow.packets = {packet(client, server, client_port, server_port),
                      packet(server, client, server_port, client_port)};
      flow.tuples[0] = udp_tuple(client, server, client_port, server_port);
      flow.tuples[1] = udp_tuple(server, client, server_port, client_port);
    }
  }

  const flow_of_run& operator[](std::size_t flow) const { return flows_[flow]; }

  /// The key of an entry's tuple; every tuple of the run names its place in its client's address.
  std::uint32_t key_of(const conn& c, dir d) const {
    const tuple& t = c.tuples[static_cast<std::size_t>(d)];
    const bool is_answer = t.src.id == server_port;
    const address& client = is_answer ? t.dst.addr : t.src.addr;
    const auto byte = [&](std::size_t i) { return std::uint32_t{client[i]}; };
    const std::uint32_t place = byte(1) << 16 | byte(2) << 8 | byte(3);
    const std::uint32_t flow = place * groups_ + c.zone.id * netns_ + c.net;
    return 2 * flow + (is_answer ? 1 : 0);
  }

  /// A key of the netns and zone of the first: that of the second, moved there.
  std::uint32_t beside(std::uint32_t key, std::uint32_t wanted) const {
    const std::uint32_t flow = wanted / 2 / groups_ * groups_ + key / 2 % groups_;
    return flow < flows_.size() ? 2 * flow + wanted % 2 : key;
  }

 private:
  static constexpr const char* server = "192.0.2.1";
  static constexpr std::uint16_t client_port = 4000;
  static constexpr std::uint16_t server_port = 53;

  static build::bytes packet(const std::string& from,
                             const std::string& to,
                             std::uint16_t source,
                             std::uint16_t dest) {
    return build::ipv4({.src = from, .dst = to},
                       build::udp({.source_port = source, .dest_port = dest}, build::payload(8)));
  }
  static tuple udp_tuple(const std::string& from,
                         const std::string& to,
                         std::uint16_t source,
                         std::uint16_t dest) {
    tuple t;
    t.src.addr = build::addr(from);
    t.src.id = source;
    t.dst.addr = build::addr(to);
    t.dst.id = dest;
    t.dst.protonum = ipproto::udp;
    return t;
  }

  std::uint32_t groups_;
  std::uint32_t netns_;
  std::vector<flow_of_run> flows_;
};

}  // namespace ct::check
