// SPDX-License-Identifier: BSD-2-Clause
/// What holds for any packets: bounds of memory, states and timeouts; and that sequence numbers
/// matter by difference only.
#include "impls/core/proto/tcp_connection_suite.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <memory>
#include <ostream>
#include <rapidcheck.h>
#include <vector>

namespace ct::core::tcp_test {

/// A segment near the edges of what the connection knows: seq and ack are given by a known number
/// and a distance.
struct near_segment {
  dir d = dir::original;
  std::uint8_t flags = 0;
  unsigned seq_anchor =
      0;  // td_end, td_maxend of the sender, what the receiver acknowledged, last_end
  unsigned ack_anchor =
      0;  // td_end, td_maxend of the receiver, what the sender acknowledged, last_end
  std::int32_t seq_distance = 0;
  std::int32_t ack_distance = 0;
  std::uint16_t window = 0;
  std::uint32_t payload = 0;
  unsigned options = 0;
  std::uint32_t pause_s = 0;
};

void showValue(const near_segment& s, std::ostream& out) {
  out << (s.d == dir::reply ? "reply" : "original") << " flags " << int{s.flags} << " seq "
      << s.seq_anchor << "+" << s.seq_distance << " ack " << s.ack_anchor << "+" << s.ack_distance
      << " win " << s.window << " len " << s.payload << " opt " << s.options << " after "
      << s.pause_s << " s";
}

namespace {

rc::Gen<std::int32_t> distance() {
  return rc::gen::oneOf(rc::gen::just(0),
                        rc::gen::inRange(-3, 4),
                        rc::gen::inRange(-2000, 2001),
                        rc::gen::inRange(-200'000, 200'001),
                        rc::gen::element(-66001, -66000, -65999, 65535, 65536, 65537));
}

rc::Gen<near_segment> segment_near_edges() {
  using rc::gen::element;
  using rc::gen::inRange;
  using rc::gen::set;
  return rc::gen::build<near_segment>(
      set(&near_segment::d, element(dir::original, dir::reply)),
      set(&near_segment::flags,
          rc::gen::weightedElement<std::uint8_t>(
              {{8, ack}, {2, fin_ack}, {2, syn}, {2, syn_ack}, {2, rst}, {2, rst_ack}, {1, 0}})),
      set(&near_segment::seq_anchor, inRange(0u, 4u)),
      set(&near_segment::ack_anchor, inRange(0u, 4u)),
      set(&near_segment::seq_distance, distance()),
      set(&near_segment::ack_distance, distance()),
      set(&near_segment::window, element<std::uint16_t>(0, 1, 100, 1000, 30000, 65535)),
      set(&near_segment::payload, element<std::uint32_t>(0, 0, 0, 1, 10, 1460)),
      set(&near_segment::options, inRange(0u, 5u)),
      set(&near_segment::pause_s, element<std::uint32_t>(0, 0, 1, 100)));
}

/// The numbers a segment stands for, given what the tracker knows.
segment_fields resolve(const near_segment& s, const tcp_data& tcp) {
  const tcp_direction& sender = tcp.seen[index(s.d)];
  const tcp_direction& receiver = tcp.seen[index(!s.d)];
  // What was remembered last belongs to the side that sent it.
  const bool last_is_own = tcp.last_dir == s.d;
  const std::array<std::uint32_t, 4> seq = {sender.td_end,
                                            sender.td_maxend,
                                            receiver.td_maxack,
                                            last_is_own ? tcp.last_end : tcp.last_ack};
  const std::array<std::uint32_t, 4> acked = {receiver.td_end,
                                              receiver.td_maxend,
                                              sender.td_maxack,
                                              last_is_own ? tcp.last_ack : tcp.last_end};
  segment_fields f{.flags = s.flags,
                   .seq = seq[s.seq_anchor] + static_cast<std::uint32_t>(s.seq_distance),
                   .ack = acked[s.ack_anchor] + static_cast<std::uint32_t>(s.ack_distance),
                   .window = s.window,
                   .payload = s.payload};
  if (s.options == 1) f.options = timestamps();
  if (s.options == 2) f.options = window_scale(2) + sack_permitted();
  if (s.options == 3) f.options = sack({{f.ack + 100, f.ack + 200}, {f.ack + 300, f.ack + 1400}});
  if (s.options == 4) f.options = window_scale(14);
  return f;
}

/// Adds a constant to every number of each side: `by[dir]`.
segment_fields shifted(segment_fields f, dir d, const std::array<std::uint32_t, 2>& by) {
  f.seq += by[index(d)];
  f.ack += by[index(!d)];
  for (std::size_t at = 2; at + 4 <= f.options.size() && f.options[0] == std::byte{5}; at += 4) {
    build::put32(f.options, at, read_be32(f.options, at) + by[index(!d)]);
  }
  return f;
}

bool is_timeout_of(const policy& settings, double seconds_left) {
  return std::any_of(settings.tcp_timeout.begin(),
                     settings.tcp_timeout.end(),
                     [&](std::uint32_t t) { return t / static_cast<double>(hz) == seconds_left; });
}

/// Any number, every other time one near the wrap of 2^32; never shrunk, so that the two sides'
/// numbers are not equal by chance.
rc::Gen<std::uint32_t> any_number() {
  return rc::gen::noShrink(
      rc::gen::oneOf(rc::gen::resize(rc::kNominalSize, rc::gen::arbitrary<std::uint32_t>()),
                     rc::gen::map(rc::gen::inRange(-70'000, 70'001), [](int distance_to_wrap) {
                       return static_cast<std::uint32_t>(distance_to_wrap);
                     })));
}

/// A connection that knows both sides' numbers.
tcp_connection opened(const std::array<std::uint32_t, 2>& start,
                      bool with_options,
                      bool is_liberal) {
  tcp_connection c;
  c.settings.tcp_be_liberal = is_liberal;
  const build::bytes options = with_options ? window_scale(2) + sack_permitted() : build::bytes{};
  c.client({.flags = syn, .seq = start[0], .window = 30000, .options = options});
  c.server({.flags = syn_ack,
            .seq = start[1],
            .ack = start[0] + 1,
            .window = 20000,
            .options = options});
  c.client({.flags = ack, .seq = start[0] + 1, .ack = start[1] + 1, .window = 25000});
  return c;
}

/// The rules that know the number zero itself: RSTs that answer a SYN, and RSTs that acknowledge
/// nothing.
bool means_zero(const segment_fields& f) {
  return (f.flags & tcp_header::rst) != 0 && (f.seq == 0 || f.ack == 0);
}

/// The rules that compare with the numbers remembered last do not ask whose they are: a packet that
/// a liberal tracker lets pass outside of the window is remembered without its numbers, so those of
/// the other side stay. Equality across the sides is chance, and a shift ends it.
bool is_equal_by_chance(const segment_fields& f,
                        const tcp_data& plain,
                        const segment_fields& g,
                        const tcp_data& moved) {
  const auto equal = [](const segment_fields& s, const tcp_data& tcp) {
    std::array<bool, 6> pattern{};
    std::size_t at = 0;
    for (const std::uint32_t last : {tcp.last_seq, tcp.last_ack, tcp.last_end}) {
      pattern[at++] = s.seq == last;
      pattern[at++] = s.ack == last;
    }
    return pattern;
  };
  return equal(f, plain) != equal(g, moved);
}

void check_same_but_shifted(const tcp_connection& a,
                            const tcp_connection& b,
                            const std::array<std::uint32_t, 2>& by) {
  const tcp_data& x = a.tcp();
  const tcp_data& y = b.tcp();
  for (const dir d : {dir::original, dir::reply}) {
    const tcp_direction& p = x.seen[index(d)];
    const tcp_direction& q = y.seen[index(d)];
    RC_ASSERT(p.td_end + by[index(d)] == q.td_end);
    RC_ASSERT(p.td_maxend + by[index(d)] == q.td_maxend);
    RC_ASSERT(p.td_maxwin == q.td_maxwin);
    RC_ASSERT(p.td_scale == q.td_scale);
    RC_ASSERT(p.flags == q.flags);
    if ((p.flags & tcp_flag::maxack_set) != 0) {
      RC_ASSERT(p.td_maxack + by[index(!d)] == q.td_maxack);
    }
  }
  RC_ASSERT(x.state == y.state);
  RC_ASSERT(x.last_dir == y.last_dir);
  RC_ASSERT(x.last_index == y.last_index);
  RC_ASSERT(x.last_flags == y.last_flags);
  RC_ASSERT(x.retrans == y.retrans);
  RC_ASSERT(a.timeout_s() == b.timeout_s());
  RC_ASSERT(a.is_assured() == b.is_assured());
  RC_ASSERT(a.kills == b.kills);
}

}  // namespace

TEST_CASE("any packets leave a state that exists and a timeout of the policy") {
  CHECK(rc::check([] {
    tcp_connection c;
    c.settings.tcp_be_liberal = *rc::gen::arbitrary<bool>();
    const auto segments = *rc::gen::container<std::vector<near_segment>>(segment_near_edges());
    for (const near_segment& s : segments) {
      const bool was_confirmed = c.ct().is_confirmed();
      const tcp_state before = c.state();
      const std::uint32_t deadline = c.deadline();
      c.wait_s(s.pause_s);
      const dir d = was_confirmed ? s.d : dir::original;
      const track answer = c.send(d, resolve(s, c.tcp()));
      RC_ASSERT(static_cast<std::size_t>(c.state()) < tcp_state_count);
      RC_ASSERT(c.deadline() == deadline || is_timeout_of(c.settings, c.timeout_s()));
      RC_ASSERT((answer == track::invalid) == !c.reason.empty());
      if (answer != track::accept) RC_ASSERT(c.state() == before);
      if (answer == track::repeat || c.kills != 0) break;  // the entry is gone
      RC_ASSERT(c.ct().lock.try_lock());
      c.ct().lock.unlock();
    }
  }));
}

TEST_CASE("random bytes of any length are judged without a read beyond them") {
  CHECK(rc::check([] {
    tcp_connection c;
    if (*rc::gen::arbitrary<bool>()) c.shake_hands(1000, 5000);
    auto bytes = *rc::gen::container<std::vector<std::uint8_t>>(rc::gen::arbitrary<std::uint8_t>());
    if (bytes.size() > 13 && *rc::gen::arbitrary<bool>()) {  // mostly plausible headers
      bytes[12] = *rc::gen::element<std::uint8_t>(0x50, 0x60, 0x80, 0xf0);
      bytes[13] =
          *rc::gen::elementOf(std::vector<std::uint8_t>{syn, syn_ack, ack, fin_ack, rst, rst_ack});
    }
    const auto exact = std::make_unique<std::byte[]>(bytes.size());
    std::transform(bytes.begin(), bytes.end(), exact.get(), [](std::uint8_t b) {
      return std::byte{b};
    });
    packet pkt;
    pkt.protonum = ipproto::tcp;
    pkt.l4 = std::span(exact.get(), bytes.size());
    pkt.l4_bytes = static_cast<std::uint32_t>(bytes.size()) + *rc::gen::inRange(0u, 100u);
    tuple ports;
    (void)tcp_l4proto.pkt_to_tuple(pkt, {}, ports);
    const track answer = c.handle(c.ct().is_confirmed() ? dir::reply : dir::original, pkt);
    if (bytes.size() < 20) RC_ASSERT(answer == track::invalid);
    RC_ASSERT(static_cast<std::size_t>(c.state()) < tcp_state_count);
  }));
}

TEST_CASE(
    "adding a constant to all numbers of a side changes no judgement and shifts what is known") {
  CHECK(rc::check([] {
    const std::array<std::uint32_t, 2> start = {*any_number(), *any_number()};
    const std::array<std::uint32_t, 2> by = {*any_number(), *any_number()};
    const bool with_options = *rc::gen::arbitrary<bool>();
    const bool is_liberal = *rc::gen::weightedElement<bool>({{4, false}, {1, true}});
    tcp_connection plain = opened(start, with_options, is_liberal);
    tcp_connection moved = opened({start[0] + by[0], start[1] + by[1]}, with_options, is_liberal);
    check_same_but_shifted(plain, moved, by);

    const auto segments = *rc::gen::container<std::vector<near_segment>>(segment_near_edges());
    for (const near_segment& s : segments) {
      const segment_fields f = resolve(s, plain.tcp());
      const segment_fields g = shifted(f, s.d, by);
      if (means_zero(f) || means_zero(g)) continue;
      if (is_equal_by_chance(f, plain.tcp(), g, moved.tcp())) continue;
      plain.wait_s(s.pause_s);
      moved.wait_s(s.pause_s);
      const track first = plain.send(s.d, f);
      RC_ASSERT(first == moved.send(s.d, g));
      check_same_but_shifted(plain, moved, by);
      if (first == track::repeat) break;
    }
  }));
}

}  // namespace ct::core::tcp_test
