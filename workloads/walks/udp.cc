// SPDX-License-Identifier: BSD-2-Clause
/// UDP: requests and answers in any order, and headers that are cut or lie about their length.
#include "workloads/walks/walks.h"

#include <utility>

namespace ct::workloads {
namespace {

class udp_walk final : public walk {
 public:
  udp_walk(walk_place place, random_source& random) : place_(std::move(place)) {
    client_port_ = static_cast<std::uint16_t>(random.below(65536));
    server_port_ = static_cast<std::uint16_t>(random.below(1024));
    reply_percent_ = one_of(random, {0U, 10U, 50U});
  }

  build::bytes next(random_source& random) override {
    const dir d = happens(random, reply_percent_) ? dir::reply : dir::original;
    const bool is_original = d == dir::original;
    build::layer4 l4 = build::udp({.source_port = is_original ? client_port_ : server_port_,
                                   .dest_port = is_original ? server_port_ : client_port_},
                                  build::bytes(one_of(random, {0U, 1U, 30U, 500U})));
    if (happens(random, 12)) spoil(l4, random);
    return place_.wrap(d, std::move(l4));
  }

 private:
  static void spoil(build::layer4& l4, random_source& random) {
    const auto bytes = static_cast<std::uint32_t>(l4.data.size());
    switch (random.below(5)) {
      case 0:
        build::put16(l4.data, 4, random.below(8));  // shorter than the header
        break;
      case 1:
        build::put16(l4.data, 4, bytes + 1 + random.below(2000));  // beyond the end
        break;
      case 2:
        break_checksum(l4, random);
        break;
      case 3:
        build::put16(l4.data, 4, bytes);
        l4.checksum_at = 0;  // not computed by the sender
        break;
      default:
        cut(l4, random.below(8));
    }
  }

  walk_place place_;
  std::uint16_t client_port_ = 0;
  std::uint16_t server_port_ = 0;
  std::uint32_t reply_percent_ = 0;
};

}  // namespace

std::unique_ptr<walk> begin_udp(walk_place place, random_source& random) {
  return std::make_unique<udp_walk>(std::move(place), random);
}

}  // namespace ct::workloads
