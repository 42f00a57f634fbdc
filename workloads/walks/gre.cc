// SPDX-License-Identifier: BSD-2-Clause
/// GRE: tunnels of version 0 with every set of optional fields, PPTP's version 1 with a few call
/// ids, versions that do not exist, and headers that are cut, all between the same two hosts.
///
/// Nobody watches a PPTP control connection here, so that the two directions of a version 1 tunnel
/// are strangers, but for call id 0, which is that of version 0 too. Source: RFC 2784, RFC 2890,
/// RFC 2637 section 4.1.
#include "workloads/walks/walks.h"

#include <array>
#include <utility>

namespace ct::workloads {
namespace {

using build::bytes;

class gre_walk final : public walk {
 public:
  gre_walk(walk_place place, random_source& random) : place_(std::move(place)) {
    reply_percent_ = one_of(random, {0U, 20U, 50U});
    pptp_percent_ = one_of(random, {0U, 50U, 90U});
    for (std::uint16_t& id : call_ids_) id = static_cast<std::uint16_t>(random.below(65536));
  }

  bytes next(random_source& random) override {
    const dir d = happens(random, reply_percent_) ? dir::reply : dir::original;
    bytes header = happens(random, pptp_percent_) ? pptp(random) : tunnel(random);
    build::append(header, bytes(random.below(40)));
    if (happens(random, 8)) build::put8(header, 1, random.below(256));  // flags and version
    if (happens(random, 8)) header.resize(random.below(16));
    return place_.wrap(d, build::other(ipproto::gre, header));
  }

 private:
  static constexpr unsigned has_checksum = 0x8000;
  static constexpr unsigned has_key = 0x2000;
  static constexpr unsigned has_sequence = 0x1000;
  static constexpr unsigned has_ack = 0x0080;  // version 1 alone
  static constexpr unsigned ppp = 0x880b;

  static bytes begin(unsigned flags_and_version, unsigned protocol) {
    bytes out(4);
    build::put16(out, 0, flags_and_version);
    build::put16(out, 2, protocol);
    return out;
  }

  static bytes tunnel(random_source& random) {
    const unsigned flags = one_of(random, {0U, has_checksum}) | one_of(random, {0U, has_key}) |
                           one_of(random, {0U, has_sequence});
    bytes out = begin(flags, one_of(random, {0x0800U, 0x86ddU, 0x6558U, ppp}));
    for (const unsigned flag : {has_checksum, has_key, has_sequence}) {
      if ((flags & flag) == 0) continue;
      bytes field(4);
      build::put32(field, 0, random.below(1000));
      build::append(out, field);
    }
    return out;
  }

  bytes pptp(random_source& random) {
    const unsigned flags = has_key | one_of(random, {0U, has_sequence}) | has_ack;
    bytes out = begin((happens(random, 95) ? flags : has_sequence) | 1U,
                      happens(random, 90) ? ppp : one_of(random, {0x0800U, 0U, 0x880cU}));
    bytes more(12);
    build::put16(more, 0, random.below(1500));  // length of the payload
    build::put16(more, 2, happens(random, 20) ? 0U : one_of_ids(random));
    build::put32(more, 4, random.below(1000));
    build::append(out, more);
    return out;
  }

  std::uint16_t one_of_ids(random_source& random) const {
    return call_ids_[random.below(static_cast<std::uint32_t>(call_ids_.size()))];
  }

  walk_place place_;
  std::uint32_t reply_percent_ = 0;
  std::uint32_t pptp_percent_ = 0;
  std::array<std::uint16_t, 3> call_ids_{};
};

}  // namespace

std::unique_ptr<walk> begin_gre(walk_place place, random_source& random) {
  return std::make_unique<gre_walk>(std::move(place), random);
}

}  // namespace ct::workloads
