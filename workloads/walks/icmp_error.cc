// SPDX-License-Identifier: BSD-2-Clause
/// ICMP errors about packets of this conversation: quoted whole, cut, altered, from a third host or
/// the peer, to the sender or somebody else.
#include "workloads/walks/walks.h"

#include <algorithm>
#include <utility>

namespace ct::workloads {
namespace {

constexpr std::uint8_t errors[] = {3, 3, 4, 5, 11, 11, 12};
constexpr std::uint8_t errors6[] = {1, 1, 2, 3, 3, 4, 0, 100, 127, 137};

class icmp_error_walk final : public walk {
 public:
  icmp_error_walk(walk_place place, random_source& random)
      : place_(std::move(place)),
        port_(static_cast<std::uint16_t>(1024 + random.below(60000))),
        kind_(random.below(4)) {}

  build::bytes next(random_source& random) override {
    if (sent_ < 2 || happens(random, 25)) {
      ++sent_;
      return talk(happens(random, 30) ? dir::reply : dir::original, 20);
    }
    return error(random);
  }

 private:
  /// A packet of the conversation itself.
  build::bytes talk(dir d, std::size_t payload_bytes) const {
    return place_.wrap(d, inner(d, port_, payload_bytes));
  }

  build::layer4 inner(dir d, std::uint16_t port, std::size_t payload_bytes) const {
    const bool is_original = d == dir::original;
    const build::bytes data(payload_bytes);
    const auto from = is_original ? port : std::uint16_t{53};
    const auto to = is_original ? std::uint16_t{53} : port;
    switch (kind_) {
      case 0: {
        build::icmp_fields echo = {.type = is_original ? std::uint8_t{8} : std::uint8_t{0},
                                   .id = port};
        if (place_.is_ipv6) echo.type = is_original ? std::uint8_t{128} : std::uint8_t{129};
        return place_.is_ipv6 ? build::icmpv6(echo, data) : build::icmp(echo, data);
      }
      case 1:
        return build::tcp({.source_port = from,
                           .dest_port = to,
                           .seq = is_original ? 1000U : 5000U,
                           .ack = is_original ? 0U : 1001U,
                           .flags = is_original ? build::tcp_bit::syn
                                                : static_cast<std::uint8_t>(build::tcp_bit::syn |
                                                                            build::tcp_bit::ack)});
      case 2:
        return build::other(253, data);
      default:
        return build::udp({.source_port = from, .dest_port = to}, data);
    }
  }

  /// What is quoted: mostly a packet that was sent.
  build::bytes quoted(dir d, random_source& random) const {
    if (happens(random, 5)) {  // an error about an error
      const build::layer4 nested = place_.is_ipv6 ? build::icmpv6({.type = 1}, talk(!d, 8))
                                                  : build::icmp({.type = 3}, talk(!d, 8));
      return place_.wrap(d, nested);
    }
    const bool is_other = happens(random, 12);
    build::bytes packet =
        place_.wrap(d, inner(d, static_cast<std::uint16_t>(port_ + (is_other ? 1 : 0)), 40));
    if (happens(random, 12)) {  // anything in its header, its lengths too
      const auto header = static_cast<std::uint32_t>(place_.is_ipv6 ? 40 : 20);
      build::put8(packet, random.below(header), static_cast<unsigned>(random.below(256)));
    }
    if (happens(random, 35)) {
      const auto whole = static_cast<std::uint32_t>(packet.size());
      packet.resize(happens(random, 40) ? std::min(whole, place_.is_ipv6 ? 48U : 28U)
                                        : random.below(whole));
    }
    return packet;
  }

  build::bytes error(random_source& random) const {
    const dir about = any_dir(random);
    build::icmp_fields fields = {
        .type = place_.is_ipv6 ? one_of(random, errors6) : one_of(random, errors),
        .code = static_cast<std::uint8_t>(random.below(5))};
    build::layer4 l4 = place_.is_ipv6 ? build::icmpv6(fields, quoted(about, random))
                                      : build::icmp(fields, quoted(about, random));
    if (happens(random, 4)) cut(l4, random.below(12));
    const std::string& src = happens(random, 50) ? place_.router : place_.to(about);
    const std::string& dst = happens(random, 85)   ? place_.from(about)
                             : happens(random, 50) ? place_.to(about)
                                                   : place_.router;
    return place_.wrap(src, dst, std::move(l4));
  }

  walk_place place_;
  std::uint16_t port_;
  std::uint32_t kind_;
  std::uint32_t sent_ = 0;
};

}  // namespace

std::unique_ptr<walk> begin_icmp_error(walk_place place, random_source& random) {
  return std::make_unique<icmp_error_walk>(std::move(place), random);
}

}  // namespace ct::workloads
