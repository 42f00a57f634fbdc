// SPDX-License-Identifier: BSD-2-Clause
/// ICMP and ICMPv6 queries: every type, asked for and not, both ways, with ids that come again.
#include "workloads/walks/walks.h"

#include <utility>

namespace ct::workloads {
namespace {

struct query {
  std::uint8_t request;
  std::uint8_t reply;
};
constexpr query queries[] = {{8, 0}, {8, 0}, {13, 14}, {15, 16}, {17, 18}};
constexpr query queries6[] = {{128, 129}, {128, 129}, {139, 140}};

/// Beyond those that the trackers know by name: the ends of the ranges, and types in use elsewhere.
constexpr std::uint8_t other_types[] = {1, 2, 6, 7, 9, 10, 19, 30, 40, 42, 253, 255};
constexpr std::uint8_t other_types6[] = {127, 130, 131, 132, 133, 134, 135, 136, 137,
                                         138, 141, 142, 143, 144, 145, 146, 147, 148,
                                         149, 150, 151, 152, 153, 155, 160, 200, 255};

class icmp_walk final : public walk {
 public:
  icmp_walk(walk_place place, random_source& random)
      : place_(std::move(place)),
        asked_(place_.is_ipv6 ? one_of(random, queries6) : one_of(random, queries)),
        id_(static_cast<std::uint16_t>(random.below(65536))) {}

  build::bytes next(random_source& random) override {
    dir d = any_dir(random);
    build::icmp_fields fields = {.type = d == dir::original ? asked_.request : asked_.reply,
                                 .id = id_,
                                 .sequence = ++sequence_};
    if (happens(random, 15)) d = !d;  // the wrong way round
    if (happens(random, 10)) fields.code = static_cast<std::uint8_t>(random.below(4));
    if (happens(random, 10)) fields.id = static_cast<std::uint16_t>(id_ + random.below(3));
    if (happens(random, 20)) fields.type = any_type(random);
    build::bytes data(one_of(random, {0U, 8U, 56U}));
    build::layer4 l4 = place_.is_ipv6 ? build::icmpv6(fields, data) : build::icmp(fields, data);
    if (happens(random, 5)) cut(l4, random.below(8));
    if (happens(random, 4)) break_checksum(l4, random);
    // ICMP in IPv6, and ICMPv6 in IPv4, are protocols like any other to the router.
    if (happens(random, 2)) {
      l4 = place_.is_ipv6 ? build::icmp(fields, data) : build::icmpv6(fields, data);
    }
    return place_.wrap(d, std::move(l4));
  }

 private:
  std::uint8_t any_type(random_source& random) const {
    if (happens(random, 40))
      return place_.is_ipv6 ? one_of(random, other_types6) : one_of(random, other_types);
    const query other = place_.is_ipv6 ? one_of(random, queries6) : one_of(random, queries);
    return happens(random, 50) ? other.request : other.reply;
  }

  walk_place place_;
  query asked_;
  std::uint16_t id_;
  std::uint16_t sequence_ = 0;
};

}  // namespace

std::unique_ptr<walk> begin_icmp(walk_place place, random_source& random) {
  return std::make_unique<icmp_walk>(std::move(place), random);
}

}  // namespace ct::workloads
