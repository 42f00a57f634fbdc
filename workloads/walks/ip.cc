// SPDX-License-Identifier: BSD-2-Clause
/// What lies around the transport: IPv4 options, IPv6 extension headers, protocols that have no
/// tracker, and IP headers that contradict themselves.
#include "workloads/walks/walks.h"

#include <utility>

namespace ct::workloads {
namespace {

/// IGMP, IP in IP, EGP, RSVP, ESP, OSPF, and two for experiments.
constexpr std::uint8_t untracked_protocols[] = {2, 4, 8, 46, 50, 89, 253, 254};

class ip_walk final : public walk {
 public:
  ip_walk(walk_place place, random_source& random)
      : place_(std::move(place)),
        protonum_(one_of(random, untracked_protocols)),
        port_(static_cast<std::uint16_t>(1024 + random.below(60000))) {}

  build::bytes next(random_source& random) override {
    const dir d = any_dir(random);
    build::bytes packet = place_.is_ipv6 ? ipv6_packet(d, random) : ipv4_packet(d, random);
    if (happens(random, 10)) spoil(packet, random);
    return packet;
  }

 private:
  build::layer4 payload(dir d, random_source& random) const {
    const build::bytes data(random.below(40));
    if (happens(random, 50)) return build::other(protonum_, data);
    const bool is_original = d == dir::original;
    return build::udp({.source_port = is_original ? port_ : std::uint16_t{9},
                       .dest_port = is_original ? std::uint16_t{9} : port_},
                      data);
  }

  build::bytes ipv4_packet(dir d, random_source& random) const {
    build::ipv4_fields fields = {.src = place_.from(d), .dst = place_.to(d)};
    if (happens(random, 40)) fields.options = build::bytes(random.below(41), std::byte{1});
    return build::ipv4(fields, payload(d, random));
  }

  build::bytes ipv6_packet(dir d, random_source& random) const {
    build::ipv6_fields fields = {.src = place_.from(d), .dst = place_.to(d)};
    if (happens(random, 20)) fields.extensions.push_back(build::options_header(0));
    for (std::uint32_t i = random.below(3); i > 0; --i) {
      const auto more = static_cast<std::uint8_t>(random.below(3));
      fields.extensions.push_back(happens(random, 70) ? build::options_header(60, more)
                                                      : build::authentication_header());
    }
    if (happens(random, 5)) return build::ipv6(fields, build::other(59));  // no next header
    return build::ipv6(fields, payload(d, random));
  }

  /// Lengths and versions: what the IP layer refuses, or reads another way.
  void spoil(build::bytes& packet, random_source& random) const {
    switch (random.below(3)) {
      case 0:
        build::put16(packet, place_.is_ipv6 ? 4 : 2, random.below(200));
        break;
      case 1:
        packet.resize(1 + random.below(static_cast<std::uint32_t>(packet.size())));
        break;
      default:
        build::put8(packet, 0, random.below(256));
    }
    if (place_.is_ipv6 || packet.size() < 20) return;
    build::put16(packet, 10, 0);  // its checksum is right again, where that can be
    const std::size_t header =
        std::min<std::size_t>((std::to_integer<unsigned>(packet[0]) & 15) * 4, packet.size());
    build::put16(packet,
                 10,
                 build::checksum_fold(build::checksum_add(0, std::span(packet).first(header))));
  }

  walk_place place_;
  std::uint8_t protonum_;
  std::uint16_t port_;
};

}  // namespace

std::unique_ptr<walk> begin_ip(walk_place place, random_source& random) {
  return std::make_unique<ip_walk>(std::move(place), random);
}

}  // namespace ct::workloads
