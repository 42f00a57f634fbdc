// SPDX-License-Identifier: BSD-2-Clause
/// TCP: a plan of segments that two ends would exchange, left and taken up again at random.
///
/// The ends are modelled only as far as their numbers go: next to send, acknowledged, window. Plans
/// reach every state of the tracker (handshake, simultaneous open, pick-up, resynchronisation,
/// challenge ACKs, every order of FINs, RSTs, reopening); side steps then try each kind of segment
/// with numbers at, just inside and just outside of each bound.
#include "workloads/walks/walks.h"

#include <array>
#include <utility>
#include <vector>

namespace ct::workloads {
namespace {

using build::bytes;
using build::raw;
namespace bit = build::tcp_bit;

constexpr std::uint8_t syn = bit::syn;
constexpr std::uint8_t ack = bit::ack;
constexpr std::uint8_t syn_ack = bit::syn | bit::ack;
constexpr std::uint8_t fin_ack = bit::fin | bit::ack;
constexpr std::uint8_t psh_ack = bit::psh | bit::ack;
constexpr std::uint8_t rst = bit::rst;
constexpr std::uint8_t rst_ack = bit::rst | bit::ack;

constexpr dir o = dir::original;
constexpr dir r = dir::reply;

/// A segment of a plan: numbers are what the sender has come to.
struct step {
  dir d = o;
  std::uint8_t flags = 0;
  std::uint16_t payload = 0;
  bool is_restart = false;  ///< the sender begins with a new sequence number
};
using plan = std::vector<step>;

const plan openings[] = {
    {{o, syn}, {r, syn_ack}, {o, ack}},
    {{o, syn}, {r, syn_ack}, {o, psh_ack, 100}},
    {{o, syn}, {o, syn}, {r, syn_ack}, {r, syn_ack}, {o, ack}},
    {{o, syn}, {r, syn}, {o, syn_ack}, {r, syn_ack}, {o, ack}},  // simultaneous
    {{o, syn}, {r, syn}, {r, ack}, {o, ack}},
    {{o, syn}, {o, syn, 0, true}, {r, syn_ack}, {o, ack}},
    {{o, syn}, {r, ack}, {o, rst}},  // a challenge ACK, and the RST to it
    {{o, syn}, {r, rst_ack}},
    {{o, ack, 50}, {r, ack, 60}, {o, ack}},  // picked up in the middle
    {{o, psh_ack, 1000}, {r, ack}},
    {{o, syn}, {r, syn_ack}},
    {{o, syn}},
};

const plan exchanges[] = {
    {{o, psh_ack, 100}, {r, ack}},
    {{r, psh_ack, 1400}, {r, ack, 1400}, {o, ack}},
    {{o, psh_ack, 1}, {r, psh_ack, 1}, {o, ack}},
    {{o, ack}, {o, ack}, {o, ack}, {o, ack}, {o, ack}},
    {{r, ack}, {r, ack}, {r, ack}, {r, ack}},
    {{o, syn, 0, true}, {r, syn_ack, 0, true}, {o, ack}},  // the ends begin again, unseen
    {{o, syn, 0, true}, {r, ack}, {o, rst}},
    {{r, syn, 0, true}, {o, ack}},
};

const plan closings[] = {
    {{o, fin_ack}, {r, ack}, {r, fin_ack}, {o, ack}},
    {{r, fin_ack}, {o, ack}, {o, fin_ack}, {r, ack}},
    {{o, fin_ack}, {r, fin_ack}, {o, ack}, {r, ack}},
    {{o, fin_ack}, {r, fin_ack}, {o, syn, 0, true}, {r, ack}},
    {{r, fin_ack}, {r, fin_ack}, {o, fin_ack}},
    {{o, fin_ack, 10}, {r, ack, 20}, {o, ack}},
    {{o, rst}},
    {{r, rst}},
    {{o, rst_ack}},
    {{r, rst_ack}, {o, rst}},
    {{o, fin_ack}, {o, rst}},
    {{r, fin_ack}, {r, rst_ack}},
};

/// One end, as far as its own numbers go.
struct end {
  std::uint32_t first = 0;  ///< initial sequence number
  std::uint32_t next = 0;   ///< to send
  std::uint32_t acked = 0;  ///< the highest number that it has acknowledged of the other
  std::uint16_t window = 0;
  std::uint8_t scale = 0;
  bool has_scale = false;
  bool has_sack = false;
  bool has_timestamp = false;
};

class tcp_walk final : public walk {
 public:
  tcp_walk(walk_place place, random_source& random) : place_(std::move(place)) {
    client_port_ = static_cast<std::uint16_t>(1024 + random.below(60000));
    server_port_ = static_cast<std::uint16_t>(1 + random.below(1023));
    side_percent_ = one_of(random, {5U, 20U, 40U, 70U});
    for (end& one : ends_) restart(one, random);
    const auto add = [this](const plan& more) {
      plan_.insert(plan_.end(), more.begin(), more.end());
    };
    // The first opening is the usual one: it gets a third.
    add(happens(random, 33) ? openings[0] : one_of(random, openings));
    for (std::uint32_t i = random.below(4); i > 0; --i) add(one_of(random, exchanges));
    add(one_of(random, closings));
    if (happens(random, 50)) {
      plan_.push_back({o, syn, 0, true});
      plan_.push_back({r, syn_ack, 0, true});
      plan_.push_back({o, ack});
      add(one_of(random, closings));
    }
  }

  bytes next(random_source& random) override {
    if (at_ >= plan_.size() || happens(random, side_percent_)) return side_step(random);
    return follow(plan_[at_++], random);
  }

 private:
  struct segment {
    dir d = o;
    std::uint8_t flags = 0;
    std::uint32_t seq = 0;
    std::uint32_t ack = 0;
    std::uint16_t window = 0;
    std::uint16_t payload = 0;
    bytes options{};
  };

  end& of(dir d) { return ends_[index(d)]; }

  static void restart(end& one, random_source& random) {
    one = {};
    // Near the wrap of the numbers one time in four.
    one.first =
        happens(random, 25) ? 0U - random.below(3000) : static_cast<std::uint32_t>(random.next());
    one.next = one.first;
    one.window = one_of<std::uint16_t>(random, {65535, 8192, 29200, 1000, 0, 1});
    one.has_scale = happens(random, 60);
    one.scale =
        static_cast<std::uint8_t>(happens(random, 80) ? random.below(9) : random.below(256));
    one.has_sack = happens(random, 60);
    one.has_timestamp = happens(random, 40);
  }

  static void append(bytes& to, const bytes& more) { build::append(to, more); }

  static bytes timestamp() { return raw({1, 1, 8, 10, 0, 0, 1, 2, 0, 0, 3, 4}); }

  bytes syn_options(const end& one) const {
    bytes options;
    if (one.has_sack) append(options, raw({4, 2}));
    if (one.has_timestamp) append(options, timestamp());
    if (one.has_scale) append(options, raw({3, 3, one.scale}));
    return options;
  }

  bytes sack_blocks(dir d, random_source& random) {
    bytes options = raw({1, 1});
    const std::uint32_t count = 1 + random.below(3);
    append(options, raw({5, 2 + 8 * count}));
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t left =
          of(!d).next + one_of<std::uint32_t>(random, {0, 1, 1400, 0U - 1400, 70000});
      const std::uint32_t right = left + one_of<std::uint32_t>(random, {0, 1, 1400, 0U - 1});
      bytes block(8);
      build::put32(block, 0, left);
      build::put32(block, 4, right);
      append(options, block);
    }
    return options;
  }

  bytes odd_options(dir d, random_source& random) {
    switch (random.below(8)) {
      case 0:
        return sack_blocks(d, random);
      case 1:
        return timestamp();
      case 2:
        return syn_options(of(d));
      case 3:
        return raw({3, 3, random.below(256)});
      case 4:
        return raw({5, 9, 0, 0, 0, 0, 0, 1, 2, 3});  // a length that no SACK option has
      case 5:
        return raw({2, 4, 5, 180, 3, 0, 0, 0});  // an option of length 0
      case 6:
        return raw({8, 40, 1, 1});  // an option that is longer than the rest
      default:
        return raw({0, 0, 0, 0});
    }
  }

  bytes send(const segment& s, random_source& random) {
    const std::uint16_t from = s.d == o ? client_port_ : server_port_;
    const std::uint16_t to = s.d == o ? server_port_ : client_port_;
    build::layer4 l4 = build::tcp({.source_port = from,
                                   .dest_port = to,
                                   .seq = s.seq,
                                   .ack = s.ack,
                                   .flags = s.flags,
                                   .window = s.window,
                                   .options = s.options},
                                  bytes(s.payload));
    (void)random;
    last_[index(s.d)] = place_.wrap(s.d, std::move(l4));
    return last_[index(s.d)];
  }

  /// What the sender of a segment knows afterwards.
  void note(const segment& s) {
    end& sender = of(s.d);
    const std::uint32_t length =
        s.payload + ((s.flags & bit::syn) != 0 ? 1U : 0U) + ((s.flags & bit::fin) != 0 ? 1U : 0U);
    sender.next = s.seq + length;
    if ((s.flags & bit::ack) != 0) sender.acked = s.ack;
  }

  bytes follow(const step& wanted, random_source& random) {
    end& sender = of(wanted.d);
    if (wanted.is_restart) restart(sender, random);
    segment s = {.d = wanted.d,
                 .flags = wanted.flags,
                 .seq = sender.next,
                 .ack = (wanted.flags & bit::ack) != 0 ? of(!wanted.d).next : 0,
                 .window = sender.window,
                 .payload = wanted.payload};
    if ((s.flags & bit::syn) != 0) {
      s.options = syn_options(sender);
    } else if (sender.has_timestamp) {
      s.options = timestamp();
    }
    note(s);
    return send(s, random);
  }

  std::uint32_t odd_seq(dir d, random_source& random) {
    const end& sender = of(d);
    const end& receiver = of(!d);
    const std::uint32_t edge =
        receiver.acked + (std::uint32_t{receiver.window} << (receiver.scale % 15));
    switch (random.below(12)) {
      case 0:
        return sender.next - 1;
      case 1:
        return sender.next - random.below(3000);
      case 2:
        return sender.first;
      case 3:
        return sender.first + 1;
      case 4:
        return sender.next + random.below(3000);
      case 5:
        return edge + one_of<std::uint32_t>(random, {0U - 1, 0, 1, 2, 100, 70000});
      case 6:
        return receiver.acked + one_of<std::uint32_t>(random, {0U - 1, 0, 1});
      case 7:
        return static_cast<std::uint32_t>(random.next());
      case 8:
        return happens(random, 50) ? 0 : sender.next - 100000;
      default:
        return sender.next;
    }
  }

  std::uint32_t odd_ack(dir d, random_source& random) {
    const end& receiver = of(!d);
    switch (random.below(12)) {
      case 0:
        return receiver.next + one_of<std::uint32_t>(random, {1, 2, 100, 70000, 0U - 1});
      case 1:
        return receiver.next - one_of<std::uint32_t>(random, {65535, 65999, 66000, 66001, 70000});
      case 2:
        return receiver.first;
      case 3:
        return receiver.first + 1;
      case 4:
        return static_cast<std::uint32_t>(random.next());
      case 5:
        return 0;
      case 6:
        return of(d).acked;
      default:
        return receiver.next;
    }
  }

  bytes side_step(random_source& random) {
    static constexpr std::uint8_t usual[] =
        {syn, syn, syn_ack, ack, ack, ack, psh_ack, fin_ack, rst, rst, rst_ack};
    static constexpr std::uint8_t odd[] = {0,
                                           bit::fin,
                                           bit::syn | bit::fin,
                                           bit::syn | bit::rst,
                                           bit::syn | bit::ack | bit::urg,
                                           bit::syn | bit::urg,
                                           bit::fin | bit::ack | bit::urg,
                                           bit::ack | bit::urg,
                                           bit::urg,
                                           bit::psh,
                                           bit::rst | bit::fin,
                                           0x3f};
    const dir d = any_dir(random);
    if (happens(random, 12) && !last_[index(d)].empty()) return last_[index(d)];
    if (happens(random, 4)) return broken(d, random);
    segment s = {.d = d,
                 .flags = happens(random, 85) ? one_of(random, usual) : one_of(random, odd),
                 .seq = odd_seq(d, random),
                 .ack = odd_ack(d, random),
                 .window = of(d).window};
    if (happens(random, 10))
      s.flags |= one_of<std::uint8_t>(random, {bit::ece, bit::cwr, bit::psh});
    if (happens(random, 30)) s.window = one_of<std::uint16_t>(random, {0, 1, 500, 65535});
    if (happens(random, 30)) s.payload = one_of<std::uint16_t>(random, {1, 100, 1400});
    if ((s.flags & bit::syn) != 0 && happens(random, 70)) {
      s.options = syn_options(of(d));
    } else if (happens(random, 20)) {
      s.options = odd_options(d, random);
    }
    if (happens(random, 40)) note(s);
    return send(s, random);
  }

  /// A header that contradicts itself, is cut, or has a wrong checksum.
  bytes broken(dir d, random_source& random) {
    const std::uint16_t from = d == o ? client_port_ : server_port_;
    const std::uint16_t to = d == o ? server_port_ : client_port_;
    build::layer4 l4 = build::tcp({.source_port = from,
                                   .dest_port = to,
                                   .seq = of(d).next,
                                   .ack = of(!d).next,
                                   .flags = ack});
    if (happens(random, 30)) {
      break_checksum(l4, random);
    } else if (happens(random, 50)) {
      build::put8(l4.data, 12, random.below(16) << 4);  // header length
    } else {
      cut(l4, random.below(20));
    }
    return place_.wrap(d, std::move(l4));
  }

  walk_place place_;
  std::uint16_t client_port_ = 0;
  std::uint16_t server_port_ = 0;
  std::uint32_t side_percent_ = 0;
  std::array<end, 2> ends_{};    // [dir]
  std::array<bytes, 2> last_{};  // [dir], sent last
  plan plan_;
  std::size_t at_ = 0;
};

}  // namespace

std::unique_ptr<walk> begin_tcp(walk_place place, random_source& random) {
  return std::make_unique<tcp_walk>(std::move(place), random);
}

}  // namespace ct::workloads
