// SPDX-License-Identifier: BSD-2-Clause
/// DCCP: plans of packets from REQUEST to RESET, left at random; and probes, which take the
/// shortest way to a state of its tracker and then try type after type in it.
///
/// Linux tracks DCCP as it does any protocol since 6.15; a system can still have the tracker of
/// before (system_options::dccp), whose every state these walks reach, with the roles as they began
/// and turned round. Side steps have other sequence numbers, short ones, offsets and coverages that
/// are impossible, and types that do not exist. Source: RFC 4340, sections 5 and 8.
#include "workloads/walks/walks.h"

#include <array>
#include <utility>
#include <vector>

namespace ct::workloads {
namespace {

using build::bytes;

namespace type {
constexpr std::uint8_t request = 0;
constexpr std::uint8_t response = 1;
constexpr std::uint8_t data = 2;
constexpr std::uint8_t ack = 3;
constexpr std::uint8_t dataack = 4;
constexpr std::uint8_t closereq = 5;
constexpr std::uint8_t close = 6;
constexpr std::uint8_t reset = 7;
constexpr std::uint8_t sync = 8;
constexpr std::uint8_t syncack = 9;
constexpr std::uint32_t count = 10;
}  // namespace type

constexpr dir o = dir::original;
constexpr dir r = dir::reply;

struct step {
  dir d = o;
  std::uint8_t type = type::request;
};
using plan = std::vector<step>;

/// A connection from its beginning to its end, and the next one that the server begins: the first n
/// of them are the shortest way to a state.
const plan whole = {{o, type::request},
                    {r, type::response},
                    {o, type::ack},
                    {r, type::dataack},
                    {r, type::closereq},
                    {o, type::close},
                    {r, type::reset},
                    {r, type::request},
                    {o, type::response},
                    {r, type::ack},
                    {o, type::dataack}};

const plan more[] = {
    {{o, type::data}, {r, type::ack}, {r, type::data}, {o, type::dataack}},
    {{o, type::sync}, {r, type::syncack}, {r, type::sync}, {o, type::syncack}},
    // Begun anew while the old one is still there, by either end.
    {{o, type::request}, {r, type::response}, {o, type::dataack}, {r, type::ack}},
    {{r, type::request}, {o, type::response}, {r, type::ack}, {o, type::data}},
    {{r, type::request}, {o, type::sync}, {o, type::response}},
    {{o, type::close}, {r, type::reset}, {o, type::request}, {o, type::reset}},
    {{r, type::close}, {o, type::reset}, {o, type::request}, {r, type::reset}},
    {{o, type::reset}, {o, type::reset}, {r, type::reset}, {r, type::request}},
};

class dccp_walk final : public walk {
 public:
  dccp_walk(walk_place place, random_source& random)
      : place_(std::move(place)), client_port_(static_cast<std::uint16_t>(random.below(65536))) {
    side_percent_ = one_of(random, {0U, 10U, 30U});
    begin(random);
  }

  bytes next(random_source& random) override {
    if (at_ >= plan_.size()) begin(random);
    if (happens(random, side_percent_)) return side_step(random);
    const step& s = plan_[at_++];
    return place_.wrap(s.d, packet_of(s.d, s.type));
  }

 private:
  /// Another connection, on other ports.
  void begin(random_source& random) {
    ++client_port_;
    for (std::uint64_t& seq : seq_) seq = random.next() & seq_max;
    plan_ = whole;
    at_ = 0;
    plan_.resize(random.below(static_cast<std::uint32_t>(whole.size() + 1)));
    if (happens(random, 60)) {
      for (std::uint32_t i = 1 + random.below(5); i > 0; --i) plan_.push_back(any_step(random));
      return;
    }
    for (std::uint32_t i = 1 + random.below(3); i > 0; --i) {
      const plan& one = more[random.below(static_cast<std::uint32_t>(std::size(more)))];
      plan_.insert(plan_.end(), one.begin(), one.end());
    }
  }

  static step any_step(random_source& random) {
    return {.d = any_dir(random), .type = static_cast<std::uint8_t>(random.below(type::count))};
  }

  build::layer4 packet_of(dir d, std::uint8_t packet_type, std::size_t payload = 0) {
    const bool is_original = d == o;
    seq_[index(d)] = (seq_[index(d)] + 1) & seq_max;
    return build::dccp({.source_port = is_original ? client_port_ : server_port,
                        .dest_port = is_original ? server_port : client_port_,
                        .type = packet_type,
                        .seq = seq_[index(d)],
                        .ack = seq_[index(!d)]},
                       build::payload(payload));
  }

  bytes side_step(random_source& random) {
    const step s = any_step(random);
    if (happens(random, 20)) seq_[index(s.d)] = random.next() & seq_max;
    build::layer4 l4 = packet_of(s.d, s.type, one_of(random, {0U, 0U, 8U, 100U}));
    if (happens(random, 40)) spoil(l4, random);
    return place_.wrap(s.d, std::move(l4));
  }

  static void spoil(build::layer4& l4, random_source& random) {
    switch (random.below(6)) {
      case 0:
        build::put8(l4.data, 4, random.below(40));  // where the data begin
        break;
      case 1: {
        const std::uint32_t coverage = random.below(16);
        build::put8(l4.data, 5, coverage);
        const std::size_t covered = coverage < 2 ? 0 : (coverage - 1) * 4;
        if (covered <= l4.data.size()) l4.checksum_bytes = covered;
        break;
      }
      case 2:
        build::put8(l4.data, 8, random.below(32));  // type, and how long the numbers are
        break;
      case 3:
        break_checksum(l4, random);
        break;
      case 4:
        cut(l4, random.below(static_cast<std::uint32_t>(l4.data.size())));
        break;
      default:
        build::put8(l4.data, random.below(16), random.below(256));
    }
  }

  static constexpr std::uint64_t seq_max = 0xffff'ffff'ffff;  // 48 bits
  static constexpr std::uint16_t server_port = 5001;

  walk_place place_;
  std::uint16_t client_port_;
  std::uint32_t side_percent_ = 0;
  std::array<std::uint64_t, 2> seq_{};  // [dir], sent last
  plan plan_;
  std::size_t at_ = 0;
};

}  // namespace

std::unique_ptr<walk> begin_dccp(walk_place place, random_source& random) {
  return std::make_unique<dccp_walk>(std::move(place), random);
}

}  // namespace ct::workloads
