// SPDX-License-Identifier: BSD-2-Clause
/// Headers: what is refused, what is read, also of captures that were cut.
#include "impls/core/proto/tcp_segment.h"

#include "impls/core/proto/tcp_connection_suite.h"

#include <catch2/catch.hpp>
#include <memory>

namespace ct::core::tcp_test {

namespace {

tcp_segment read(const build::bytes& l4, std::size_t captured = SIZE_MAX) {
  tcp_segment segment;
  REQUIRE(read_segment(tcp_packet(l4, captured), segment) == segment_status::ok);
  return segment;
}

segment_status status_of(const build::bytes& l4, std::size_t captured = SIZE_MAX) {
  tcp_segment segment;
  return read_segment(tcp_packet(l4, captured), segment);
}

}  // namespace

TEST_CASE("comparisons of sequence numbers hold across the wrap") {
  CHECK(is_before(0xffff'fff0, 5));
  CHECK_FALSE(is_before(5, 0xffff'fff0));
  CHECK_FALSE(is_before(7, 7));
  CHECK(is_after(5, 0xffff'fff0));
  CHECK(is_at_most(7, 7));
  CHECK(is_at_least(7, 7));
  CHECK(is_at_most(0xffff'ffff, 0));
  CHECK_FALSE(is_at_most(0, 0xffff'ffff));
  CHECK_FALSE(is_at_most(0, 0x8000'0000));
  CHECK_FALSE(is_at_least(0, 0x8000'0000));
}

TEST_CASE("the end of a segment counts payload, SYN and FIN") {
  CHECK(read(tcp_bytes({.flags = ack, .seq = 100})).end == 100);
  CHECK(read(tcp_bytes({.flags = ack, .seq = 100, .payload = 7})).end == 107);
  CHECK(read(tcp_bytes({.flags = syn, .seq = 0xffff'ffff})).end == 0);
  CHECK(read(tcp_bytes({.flags = fin_ack, .seq = 100, .payload = 7})).end == 108);
  CHECK(read(tcp_bytes({.flags = ack, .seq = 1, .payload = 7, .options = timestamps()})).end == 8);
}

TEST_CASE("a payload that the capture cut is counted by its length on the wire") {
  const build::bytes l4 = tcp_bytes({.flags = ack, .seq = 100, .payload = 1000});
  CHECK(read(l4, 20).end == 1100);
  CHECK(read(l4, 500).end == 1100);
}

TEST_CASE("a header of which less than 20 bytes are there is cut") {
  const build::bytes l4 = tcp_bytes({.flags = ack, .payload = 30});
  for (std::size_t captured = 0; captured < 20; ++captured) {
    CHECK(status_of(l4, captured) == segment_status::cut);
  }
  CHECK(status_of(l4, 20) == segment_status::ok);

  packet short_on_the_wire = tcp_packet(l4);
  short_on_the_wire.l4_bytes = 19;
  tcp_segment segment;
  CHECK(read_segment(short_on_the_wire, segment) == segment_status::cut);
}

TEST_CASE("a header length below 20 or beyond the packet is impossible") {
  build::bytes l4 = tcp_bytes({.flags = ack, .payload = 4});
  for (unsigned words = 0; words < 16; ++words) {
    build::put8(l4, 12, words << 4);
    INFO(words);
    CHECK((status_of(l4) == segment_status::ok) == (words == 5 || words == 6));
  }
}

TEST_CASE("a header whose options the capture cut is whole by its length on the wire") {
  const build::bytes l4 = tcp_bytes({.flags = syn, .options = window_scale(7)});
  const tcp_segment segment = read(l4, 20);
  CHECK(segment.has_options);
  CHECK(segment.options.empty());
  CHECK_FALSE(read_syn_options(segment).window_scale);
}

TEST_CASE("options of a SYN are window scale, at most 14, and SACK permitted") {
  const auto options = [](const build::bytes& bytes) {
    const build::bytes l4 = tcp_bytes({.flags = syn, .options = bytes});
    return read_syn_options(read(l4));
  };
  CHECK(options(window_scale(7)).window_scale);
  CHECK(options(window_scale(7)).scale == 7);
  CHECK(options(window_scale(14)).scale == 14);
  CHECK(options(window_scale(15)).scale == 14);
  CHECK(options(window_scale(255)).scale == 14);
  CHECK_FALSE(options(window_scale(7)).sack_permitted);
  CHECK(options(sack_permitted()).sack_permitted);
  CHECK_FALSE(options(sack_permitted()).window_scale);
  CHECK(options(timestamps() + sack_permitted() + window_scale(3)).scale == 3);
  CHECK(options(build::raw({2, 4, 5, 180}) + window_scale(3)).scale == 3);
}

TEST_CASE(
    "options end at end-of-list, at a length below two, and at one that is longer than the rest") {
  const auto sees_scale = [](const build::bytes& before) {
    const build::bytes l4 = tcp_bytes({.flags = syn, .options = before + window_scale(7)});
    return read_syn_options(read(l4)).window_scale;
  };
  CHECK(sees_scale({}));
  CHECK(sees_scale(build::raw({1, 1, 1})));
  CHECK_FALSE(sees_scale(build::raw({0})));
  CHECK_FALSE(sees_scale(build::raw({8, 1})));
  CHECK_FALSE(sees_scale(build::raw({8, 0})));
  CHECK_FALSE(sees_scale(build::raw({8, 40})));
  CHECK_FALSE(sees_scale(build::raw({8, 5})));  // swallows the scale option
}

TEST_CASE("options of another length than theirs are passed over") {
  const auto options = [](const build::bytes& bytes) {
    const build::bytes l4 = tcp_bytes({.flags = syn, .options = bytes});
    return read_syn_options(read(l4));
  };
  CHECK_FALSE(options(build::raw({3, 4, 7, 7})).window_scale);
  CHECK_FALSE(options(build::raw({4, 3, 0})).sack_permitted);
}

TEST_CASE("the highest right edge of the first SACK option counts, if it is beyond the ACK") {
  const auto highest = [](std::uint32_t acked, const build::bytes& options) {
    const build::bytes l4 = tcp_bytes({.flags = ack, .ack = acked, .options = options});
    return highest_sack(read(l4));
  };
  CHECK(highest(100, {}) == 100);
  CHECK(highest(100, timestamps()) == 100);
  CHECK(highest(100, sack({{200, 300}})) == 300);
  CHECK(highest(100, sack({{200, 300}, {500, 600}, {400, 450}})) == 600);
  CHECK(highest(100, sack({{20, 30}})) == 100);  // duplicate SACK, RFC 2883
  CHECK(highest(0xffff'ff00, sack({{5, 10}})) == 10);
  CHECK(highest(100, build::raw({1, 1}) + sack({{200, 300}}) + sack({{200, 400}})) == 300);
  CHECK(highest(100, timestamps() + build::raw({1, 1}) + sack({{200, 300}})) == 300);
}

TEST_CASE("a SACK option whose length is no whole number of blocks is passed over") {
  const build::bytes l4 =
      tcp_bytes({.flags = ack,
                 .ack = 100,
                 .options = build::raw({5, 6, 0, 0, 9, 9, 5, 2}) + sack({{1, 300}})});
  CHECK(highest_sack(read(l4)) == 300);
}

TEST_CASE("no header read passes the captured bytes, wherever the capture ends") {
  const build::bytes l4 =
      tcp_bytes({.flags = syn_ack,
                 .payload = 5,
                 .options = timestamps() + window_scale(7) + sack_permitted() + sack({{1, 2}})});
  for (std::size_t captured = 0; captured <= l4.size(); ++captured) {
    // A heap block of that very size: AddressSanitizer sees one byte too far.
    const auto exact = std::make_unique<std::byte[]>(captured);
    std::copy_n(l4.begin(), captured, exact.get());
    packet pkt = tcp_packet(l4);
    pkt.l4 = std::span(exact.get(), captured);
    tcp_segment segment;
    const segment_status status = read_segment(pkt, segment);
    CHECK((status == segment_status::ok) == (captured >= 20));
    if (status != segment_status::ok) continue;
    CHECK(read_syn_options(segment).window_scale == (captured >= 20 + 15));
    CHECK((highest_sack(segment) == 2) == (captured >= 20 + 27));
  }
}

TEST_CASE("ports make the tuple, swapped they make the reply's") {
  const build::bytes l4 = build::tcp({.source_port = 40000, .dest_port = 443}).data;
  tuple original;
  REQUIRE(tcp_l4proto.pkt_to_tuple(tcp_packet(l4), {}, original));
  CHECK(original.src.id == 40000);
  CHECK(original.dst.id == 443);
  tuple reply;
  REQUIRE(tcp_l4proto.invert(original, reply));
  CHECK(reply.src.id == 443);
  CHECK(reply.dst.id == 40000);

  for (std::size_t captured = 0; captured < 4; ++captured) {
    CHECK_FALSE(tcp_l4proto.pkt_to_tuple(tcp_packet(l4, captured), {}, original));
  }
  CHECK(tcp_l4proto.pkt_to_tuple(tcp_packet(l4, 4), {}, original));
}

}  // namespace ct::core::tcp_test
