// SPDX-License-Identifier: BSD-2-Clause
/// UDP-Lite: requests, answers and streams, whose checksum covers all, the header, a part, or what
/// is not there. Checksums are right as Linux has them (its pseudo-header is not quite the RFC's).
/// Source: RFC 3828, section 3.1.
#include "workloads/walks/walks.h"

#include <utility>

namespace ct::workloads {
namespace {

constexpr std::uint32_t header_bytes = 8;

class udplite_walk final : public walk {
 public:
  udplite_walk(walk_place place, random_source& random) : place_(std::move(place)) {
    client_port_ = static_cast<std::uint16_t>(random.below(65536));
    server_port_ = static_cast<std::uint16_t>(random.below(1024));
    reply_percent_ = one_of(random, {0U, 10U, 50U});
  }

  build::bytes next(random_source& random) override {
    const dir d = happens(random, reply_percent_) ? dir::reply : dir::original;
    const bool is_original = d == dir::original;
    const std::uint32_t payload = one_of(random, {0U, 1U, 30U, 500U});
    const std::uint32_t whole = header_bytes + payload;
    const std::uint32_t coverage =
        one_of(random, {0U, 0U, header_bytes, header_bytes + random.below(payload + 1), whole});
    build::layer4 l4 = build::udplite({.source_port = is_original ? client_port_ : server_port_,
                                       .dest_port = is_original ? server_port_ : client_port_,
                                       .coverage = static_cast<std::uint16_t>(coverage)},
                                      build::payload(payload));
    if (happens(random, 15)) spoil(l4, random);
    return place_.wrap(d, std::move(l4));
  }

 private:
  static void spoil(build::layer4& l4, random_source& random) {
    const auto bytes = static_cast<std::uint32_t>(l4.data.size());
    switch (random.below(8)) {
      case 0:
        build::put16(l4.data, 4, 1 + random.below(header_bytes - 1));  // less than the header
        break;
      case 1:
        build::put16(l4.data, 4, bytes + 1 + random.below(2000));  // beyond the end
        break;
      case 2:
        break_checksum(l4, random);
        break;
      case 3:
        l4.checksum_at = 0;  // 0: not computed, which UDP-Lite forbids
        break;
      case 4:
        l4.summed_protonum = 0;  // with its own number in the pseudo-header, as the RFC has it
        break;
      case 5:
        l4.has_short_length = false;  // and with the whole length
        break;
      case 6:
        // Right over another part than it says.
        l4.checksum_bytes = header_bytes + random.below(bytes - header_bytes + 1);
        break;
      default:
        l4.checksum_bytes = 0;
        cut(l4, random.below(header_bytes));
    }
  }

  walk_place place_;
  std::uint16_t client_port_ = 0;
  std::uint16_t server_port_ = 0;
  std::uint32_t reply_percent_ = 0;
};

}  // namespace

std::unique_ptr<walk> begin_udplite(walk_place place, random_source& random) {
  return std::make_unique<udplite_walk>(std::move(place), random);
}

}  // namespace ct::workloads
