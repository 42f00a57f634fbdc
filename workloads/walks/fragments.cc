// SPDX-License-Identifier: BSD-2-Clause
/// Fragments of UDP, TCP and ICMP packets, IPv4 and IPv6: in order, shuffled, doubled, overlapping,
/// with parts missing, and of lengths that no fragment may have.
#include "workloads/walks/walks.h"

#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

namespace ct::workloads {
namespace {

/// A part of a packet's payload.
struct part {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool has_wrong_flag = false;  ///< "more fragments" is set in the last one, or not in another
};

class fragment_walk final : public walk {
 public:
  fragment_walk(walk_place place, random_source& random)
      : place_(std::move(place)),
        port_(static_cast<std::uint16_t>(1024 + random.below(60000))),
        kind_(random.below(3)) {}

  build::bytes next(random_source& random) override {
    while (waiting_.empty()) break_up(any_dir(random), random);
    build::bytes packet = std::move(waiting_.front());
    waiting_.pop_front();
    return packet;
  }

 private:
  build::layer4 transport(dir d, std::size_t bytes) const {
    const auto from = d == dir::original ? port_ : std::uint16_t{53};
    const auto to = d == dir::original ? std::uint16_t{53} : port_;
    const build::bytes data = build::payload(bytes);
    if (kind_ == 1) {
      return build::tcp({.source_port = from, .dest_port = to, .seq = 1, .ack = 1, .flags = 0x10},
                        data);
    }
    if (kind_ == 2) {
      const bool is_request = d == dir::original;
      if (place_.is_ipv6) {
        return build::icmpv6(
            {.type = static_cast<std::uint8_t>(is_request ? 128 : 129), .id = port_},
            data);
      }
      return build::icmp({.type = static_cast<std::uint8_t>(is_request ? 8 : 0), .id = port_},
                         data);
    }
    return build::udp({.source_port = from, .dest_port = to}, data);
  }

  static std::vector<part> cut_up(std::size_t bytes, random_source& random) {
    std::vector<part> parts;
    for (std::size_t at = 0; at < bytes;) {
      const std::size_t length = 8 * (1 + random.below(20));
      parts.push_back({at, std::min(at + length, bytes)});
      at += length;
    }
    return parts;
  }

  /// One thing that goes wrong on the way, or none.
  static void disturb(std::vector<part>& parts, random_source& random) {
    const auto any = [&] { return random.below(static_cast<std::uint32_t>(parts.size())); };
    switch (random.below(12)) {
      case 0:
      case 1:
        std::swap(parts[any()], parts[any()]);
        break;
      case 2:
        std::ranges::reverse(parts);
        break;
      case 3:
        parts.push_back(parts[any()]);  // doubled, after all others
        break;
      case 4: {
        const part again = parts[any()];
        parts.insert(parts.begin(), again);
        break;
      }
      case 5:
        parts.erase(parts.begin() + any());  // missing
        break;
      case 6: {
        part& one = parts[any()];  // overlaps the one before
        if (one.begin >= 8) one.begin -= 8;
        break;
      }
      case 7:
        parts[any()].has_wrong_flag = true;
        break;
      case 8: {
        const part& one = parts[any()];
        parts.insert(parts.begin() + any(), {one.begin, one.begin});  // carries nothing
        break;
      }
      default:
        break;
    }
  }

  void break_up(dir d, random_source& random) {
    const build::bytes whole = place_.wrap(d, transport(d, 40 + random.below(600)));
    const std::size_t header = place_.is_ipv6 ? 40 : 20;
    const std::size_t bytes = whole.size() - header;
    std::vector<part> parts =
        happens(random, 10) ? std::vector<part>{{.begin = 0, .end = bytes}} : cut_up(bytes, random);
    disturb(parts, random);
    const auto id = static_cast<std::uint32_t>(random.next());
    for (const part& one : parts) {
      const bool is_last = (one.end == bytes) != one.has_wrong_flag;
      waiting_.push_back(place_.is_ipv6 ? fragment6(whole, one, is_last, id)
                                        : fragment4(whole, one, is_last, id));
    }
    if (happens(random, 5) && !waiting_.empty()) spoil(waiting_.front());
  }

  static build::bytes slice(const build::bytes& whole, std::size_t begin, std::size_t end) {
    return {whole.begin() + static_cast<std::ptrdiff_t>(begin),
            whole.begin() + static_cast<std::ptrdiff_t>(end)};
  }

  static build::bytes fragment4(const build::bytes& whole,
                                part one,
                                bool is_last,
                                std::uint32_t id) {
    build::bytes out = slice(whole, 0, 20);
    build::append(out, slice(whole, 20 + one.begin, 20 + one.end));
    build::put16(out, 2, static_cast<unsigned>(out.size()));
    build::put16(out, 4, id & 0xffff);
    build::put16(out, 6, static_cast<unsigned>(one.begin / 8) | (is_last ? 0U : 0x2000U));
    build::put16(out, 10, 0);
    build::put16(out, 10, build::checksum_fold(build::checksum_add(0, std::span(out).first(20))));
    return out;
  }

  static build::bytes fragment6(const build::bytes& whole,
                                part one,
                                bool is_last,
                                std::uint32_t id) {
    build::bytes out = slice(whole, 0, 40);
    build::extension header =
        build::fragment_header(static_cast<std::uint16_t>(one.begin / 8), !is_last);
    header.data[0] = whole[6];
    build::put32(header.data, 4, id);
    build::put8(out, 6, header.number);
    build::append(out, header.data);
    build::append(out, slice(whole, 40 + one.begin, 40 + one.end));
    build::put16(out, 4, static_cast<unsigned>(out.size() - 40));
    return out;
  }

  /// Ends in the middle of a unit of eight bytes.
  void spoil(build::bytes& packet) const {
    const std::size_t header = place_.is_ipv6 ? 48 : 20;
    if (packet.size() < header + 8) return;
    packet.resize(packet.size() - 3);
    if (place_.is_ipv6) {
      build::put16(packet, 4, static_cast<unsigned>(packet.size() - 40));
      return;
    }
    build::put16(packet, 2, static_cast<unsigned>(packet.size()));
    build::put16(packet, 10, 0);
    build::put16(packet,
                 10,
                 build::checksum_fold(build::checksum_add(0, std::span(packet).first(20))));
  }

  walk_place place_;
  std::uint16_t port_;
  std::uint32_t kind_;
  std::deque<build::bytes> waiting_;
};

}  // namespace

std::unique_ptr<walk> begin_fragments(walk_place place, random_source& random) {
  return std::make_unique<fragment_walk>(std::move(place), random);
}

}  // namespace ct::workloads
