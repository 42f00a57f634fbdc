// SPDX-License-Identifier: BSD-2-Clause
/// Window tracking: each condition on both sides of its edge, and how accepted segments move the
/// edges.
#include "impls/core/proto/tcp_window.h"

#include "impls/core/proto/tcp_connection_suite.h"

#include <catch2/catch.hpp>

namespace ct::core::tcp_test {

namespace {

/// An established connection with round numbers, each side's counted from its base:
/// the client sent 20000, may send up to 50000, offered 1000; the server sent 80000, may send up to
/// 90000, offered 30000.
struct established_pair {
  std::uint32_t client;
  std::uint32_t server;
  tcp_data tcp{};

  established_pair(std::uint32_t client_base, std::uint32_t server_base)
      : client(client_base), server(server_base) {
    tcp.state = tcp_state::established;
    tcp.seen[0] = {.td_end = client + 20000,
                   .td_maxend = client + 50000,
                   .td_maxwin = 1000,
                   .td_maxack = server + 80000,
                   .td_scale = 0,
                   .flags = tcp_flag::maxack_set};
    tcp.seen[1] = {.td_end = server + 80000,
                   .td_maxend = server + 90000,
                   .td_maxwin = 30000,
                   .td_maxack = client + 20000,
                   .td_scale = 0,
                   .flags = tcp_flag::maxack_set};
  }

  /// A segment of the client; seq and ack count from the bases.
  window_finding sends(segment_fields fields) {
    fields.seq += client;
    fields.ack += server;
    const build::bytes l4 = tcp_bytes(fields);
    tcp_segment segment;
    REQUIRE(read_segment(tcp_packet(l4), segment) == segment_status::ok);
    return check_window(tcp, dir::original, segment);
  }
};

window_finding judge(tcp_data& tcp, dir d, const segment_fields& fields) {
  const build::bytes l4 = tcp_bytes(fields);
  tcp_segment segment;
  REQUIRE(read_segment(tcp_packet(l4), segment) == segment_status::ok);
  return check_window(tcp, d, segment);
}

tcp_segment as_segment(const build::bytes& l4) {
  tcp_segment segment;
  REQUIRE(read_segment(tcp_packet(l4), segment) == segment_status::ok);
  return segment;
}

/// Bases such that each edge of the pair lies at the wrap of 2^32 once, and plain ones.
const std::vector<std::uint32_t> bases = {0,
                                          1'000'000,
                                          0u - 20000u,
                                          0u - 50000u,
                                          0u - 80000u,
                                          0u - 14000u,
                                          0u - 79200u,
                                          0x7fff'ffff - 50000u};

template <class Test>
void for_each_base(Test test) {
  for (const std::uint32_t client : bases) {
    for (const std::uint32_t server : bases) {
      INFO("client " << client << " server " << server);
      test(established_pair(client, server));
    }
  }
}

}  // namespace

TEST_CASE("window condition I: a segment may start at the edge of the window, not beyond") {
  for_each_base([](established_pair p) {
    auto beyond = p;
    CHECK(p.sends({.flags = ack, .seq = 50000, .ack = 80000}) == window_finding::in_window);
    CHECK(beyond.sends({.flags = ack, .seq = 50001, .ack = 80000}) != window_finding::in_window);
  });
}

TEST_CASE("window condition II: a segment may end one window before the known end, not earlier") {
  for_each_base([](established_pair p) {
    auto older = p;
    const std::uint32_t lowest = 20000u - 30000u;
    CHECK(p.sends({.flags = ack, .seq = lowest - 5, .ack = 80000, .payload = 5}) ==
          window_finding::in_window);
    CHECK(older.sends({.flags = ack, .seq = lowest - 6, .ack = 80000, .payload = 5}) ==
          window_finding::seq_too_low);
  });
}

TEST_CASE("window condition II holds for any segment while the receiver's window is unknown") {
  established_pair p(0, 0);
  p.tcp.seen[1].td_maxwin = 0;
  CHECK(p.sends({.flags = ack, .seq = 0u - 1'000'000u, .ack = 80000}) == window_finding::in_window);
}

TEST_CASE("window condition III: a segment acknowledges all that was sent, not a byte more") {
  for_each_base([](established_pair p) {
    auto more = p;
    CHECK(p.sends({.flags = ack, .seq = 20000, .ack = 80000}) == window_finding::in_window);
    CHECK(more.sends({.flags = ack, .seq = 20000, .ack = 80001}) == window_finding::ack_too_high);
  });
}

TEST_CASE(
    "window condition IV: an ACK may lag 66000 bytes, or the sender's own window if that is "
    "larger") {
  for_each_base([](established_pair p) {
    auto older = p;
    CHECK(p.sends({.flags = ack, .seq = 20000, .ack = 80000 - 66000}) == window_finding::in_window);
    CHECK(older.sends({.flags = ack, .seq = 20000, .ack = 80000 - 66001}) ==
          window_finding::ack_too_low);
  });
  for_each_base([](established_pair p) {
    p.tcp.seen[0].td_maxwin = 70000;
    auto older = p;
    CHECK(p.sends({.flags = ack, .seq = 20000, .ack = 80000 - 70000}) == window_finding::in_window);
    CHECK(older.sends({.flags = ack, .seq = 20000, .ack = 80000 - 70001}) ==
          window_finding::ack_too_low);
  });
}

TEST_CASE("a segment that fails III and II is invalid, for III is asked first") {
  established_pair p(0, 0);
  CHECK(p.sends({.flags = ack, .seq = 20000u - 30001u, .ack = 80001}) ==
        window_finding::ack_too_high);
}

TEST_CASE("a segment beyond the window by no more than the receiver's window overshoots") {
  for_each_base([](established_pair p) {
    auto more = p;
    // end - td_maxend + 1 = 30000, the server's window
    CHECK(p.sends({.flags = ack, .seq = 50001, .ack = 80000, .payload = 29998}) ==
          window_finding::overshoot);
    CHECK(p.tcp.seen[0].td_end == p.client + 79999);
    CHECK((p.tcp.seen[0].flags & tcp_flag::data_unacknowledged) != 0);

    const tcp_data before = more.tcp;
    CHECK(more.sends({.flags = ack, .seq = 50001, .ack = 80000, .payload = 29999}) ==
          window_finding::seq_too_high);
    CHECK(more.tcp.seen[0].td_end == before.seen[0].td_end);
  });
}

TEST_CASE("an overshoot that fails another condition too is beyond the window") {
  const segment_fields good = {.flags = ack, .seq = 50100, .ack = 80000, .payload = 100};
  established_pair p(0, 0);
  segment_fields bad = good;
  bad.ack = 80001;
  CHECK(p.sends(bad) == window_finding::seq_too_high);
  bad.ack = 80000 - 66001;
  CHECK(p.sends(bad) == window_finding::seq_too_high);

  established_pair unknown(0, 0);
  unknown.tcp.seen[1].td_maxwin = 0;
  CHECK(unknown.sends(good) == window_finding::seq_too_high);

  established_pair allowed_more(0, 0);  // II fails: far more was sent than the window reaches back
  allowed_more.tcp.seen[0].td_end = 90000;
  CHECK(allowed_more.sends(good) == window_finding::seq_too_high);

  CHECK(p.sends(good) == window_finding::overshoot);
}

TEST_CASE("findings accept, ignore or invalidate") {
  CHECK(result_of(window_finding::in_window) == window_result::accept);
  CHECK(result_of(window_finding::opening) == window_result::accept);
  CHECK(result_of(window_finding::overshoot) == window_result::ignore);
  CHECK(result_of(window_finding::seq_too_low) == window_result::ignore);
  CHECK(result_of(window_finding::ack_too_low) == window_result::ignore);
  CHECK(result_of(window_finding::seq_too_high) == window_result::invalid);
  CHECK(result_of(window_finding::ack_too_high) == window_result::invalid);
}

TEST_CASE("a segment out of the window changes nothing that is known") {
  for (const segment_fields& fields :
       {segment_fields{.flags = ack, .seq = 0u - 10001u, .ack = 80000},
        segment_fields{.flags = ack, .seq = 20000, .ack = 80001},
        segment_fields{.flags = ack, .seq = 20000, .ack = 13999},
        segment_fields{.flags = ack, .seq = 90000, .ack = 80000}}) {
    established_pair p(0, 0);
    REQUIRE(p.sends(fields) != window_finding::in_window);
    CHECK(p.tcp.seen[0].td_end == 20000);
    CHECK(p.tcp.seen[0].td_maxwin == 1000);
    CHECK(p.tcp.seen[0].flags == tcp_flag::maxack_set);
    CHECK(p.tcp.seen[1].td_maxend == 90000);
    CHECK(p.tcp.last_end == 0);
  }
}

TEST_CASE("new data moves its sender's end and is unacknowledged until the other side says so") {
  for_each_base([](established_pair p) {
    CHECK(p.sends({.flags = ack, .seq = 20000, .ack = 80000, .payload = 500}) ==
          window_finding::in_window);
    CHECK(p.tcp.seen[0].td_end == p.client + 20500);
    CHECK((p.tcp.seen[0].flags & tcp_flag::data_unacknowledged) != 0);
    // less than all: stays; all: clears
    REQUIRE(judge(p.tcp,
                  dir::reply,
                  {.flags = ack, .seq = p.server + 80000, .ack = p.client + 20499}) ==
            window_finding::in_window);
    CHECK((p.tcp.seen[0].flags & tcp_flag::data_unacknowledged) != 0);
    REQUIRE(judge(p.tcp,
                  dir::reply,
                  {.flags = ack, .seq = p.server + 80000, .ack = p.client + 20500}) ==
            window_finding::in_window);
    CHECK((p.tcp.seen[0].flags & tcp_flag::data_unacknowledged) == 0);
    CHECK(p.tcp.seen[1].td_maxack == p.client + 20500);
  });
}

TEST_CASE("the highest acknowledgement is kept, older ones do not lower it") {
  for_each_base([](established_pair p) {
    p.tcp.seen[0].td_maxack = p.server + 79000;
    p.sends({.flags = ack, .seq = 20000, .ack = 79500});
    CHECK(p.tcp.seen[0].td_maxack == p.server + 79500);
    p.sends({.flags = ack, .seq = 20000, .ack = 79400});
    CHECK(p.tcp.seen[0].td_maxack == p.server + 79500);
    p.tcp.seen[0].flags = 0;  // none seen yet: whatever comes is the highest
    p.sends({.flags = ack, .seq = 20000, .ack = 79400});
    CHECK(p.tcp.seen[0].td_maxack == p.server + 79400);
    CHECK((p.tcp.seen[0].flags & tcp_flag::maxack_set) != 0);
  });
}

TEST_CASE("an ACK allows the other side its window, scaled, and one byte of a closed window") {
  established_pair p(0, 0);
  p.sends({.flags = ack, .seq = 20000, .ack = 80000, .window = 9000});
  CHECK(p.tcp.seen[1].td_maxend == 90000);  // 89000 is not more
  p.sends({.flags = ack, .seq = 20000, .ack = 80000, .window = 11000});
  CHECK(p.tcp.seen[1].td_maxend == 91000);
  CHECK(p.tcp.seen[0].td_maxwin == 11000);
  p.tcp.seen[0].td_scale = 4;
  p.sends({.flags = ack, .seq = 20000, .ack = 80000, .window = 1000});
  CHECK(p.tcp.seen[1].td_maxend == 96000);
  CHECK(p.tcp.seen[0].td_maxwin == 16000);

  established_pair closed(0, 0);
  closed.tcp.seen[1].td_maxend = 80000;
  closed.sends({.flags = ack, .seq = 20000, .ack = 80000, .window = 0});
  CHECK(closed.tcp.seen[1].td_maxend == 80001);
  closed.tcp.seen[1].td_maxend = 80002;
  closed.sends({.flags = ack, .seq = 20000, .ack = 80000, .window = 0});
  CHECK(closed.tcp.seen[1].td_maxend == 80002);
}

TEST_CASE("data that crosses the edge of the window widens what the receiver is known to take") {
  established_pair p(0, 0);
  CHECK(p.sends({.flags = ack, .seq = 49900, .ack = 80000, .payload = 300}) ==
        window_finding::in_window);
  CHECK(p.tcp.seen[1].td_maxwin == 30200);
  CHECK(p.tcp.seen[0].td_end == 50200);

  established_pair unknown(0, 0);
  unknown.tcp.seen[1].td_maxwin = 0;
  unknown.sends({.flags = ack, .seq = 49900, .ack = 80000, .payload = 300});
  CHECK(unknown.tcp.seen[1].td_maxwin == 0);
}

TEST_CASE("SACK counts as acknowledgement only if the receiver permitted it") {
  const segment_fields fields = {.flags = ack,
                                 .seq = 20000,
                                 .ack = 70000,
                                 .window = 10000,
                                 .options = sack({{75000, 79000}})};
  established_pair without(0, 0);
  without.sends(fields);
  CHECK(without.tcp.seen[1].td_maxend == 90000);
  CHECK(without.tcp.seen[0].td_maxwin == 10000);

  established_pair with(0, 0);
  with.tcp.seen[1].flags |= tcp_flag::sack_perm;
  with.tcp.seen[1].td_maxend = 88000;
  CHECK(with.sends(fields) == window_finding::in_window);
  CHECK(with.tcp.seen[1].td_maxend == 89000);  // 79000 + 10000
  CHECK(with.tcp.seen[0].td_maxwin == 19000);  // the gap is inside the window
  CHECK(with.tcp.seen[0].td_maxack == 80000);  // ACKs move it, SACKs do not

  segment_fields unsent = fields;
  unsent.options = sack({{75000, 80001}});
  established_pair permitted(0, 0);
  permitted.tcp.seen[1].flags |= tcp_flag::sack_perm;
  CHECK(permitted.sends(unsent) == window_finding::ack_too_high);
}

TEST_CASE("a segment without ACK is judged as if it acknowledged all") {
  established_pair p(0, 0);
  CHECK(p.sends({.flags = rst, .seq = 20000, .ack = 123}) == window_finding::in_window);
  CHECK(p.tcp.seen[0].td_maxack == 80000);
  p.tcp.seen[0].flags = 0;
  CHECK(p.sends({.flags = rst, .seq = 20000, .ack = 123}) == window_finding::in_window);
  CHECK((p.tcp.seen[0].flags & tcp_flag::maxack_set) == 0);
}

TEST_CASE("a RST that acknowledges zero is judged as if it acknowledged all, other zeros are not") {
  established_pair p(0, 1'000'000);
  const std::uint32_t zero = 0u - 1'000'000u;  // counted from the server's base
  CHECK(p.sends({.flags = rst_ack, .seq = 20000, .ack = zero}) == window_finding::in_window);
  CHECK(p.sends({.flags = rst_ack, .seq = 20000, .ack = zero + 1}) == window_finding::ack_too_low);
  CHECK(p.sends({.flags = ack, .seq = 20000, .ack = zero}) == window_finding::ack_too_low);
}

TEST_CASE("a RST with sequence number zero fits while the handshake's SYN waits, and then only") {
  established_pair p(1'000'000, 0);
  const segment_fields zero = {.flags = rst, .seq = 0u - 1'000'000u};
  CHECK(p.sends(zero) == window_finding::seq_too_low);
  p.tcp.state = tcp_state::syn_sent;
  CHECK(p.sends(zero) == window_finding::in_window);
  segment_fields one = zero;
  one.seq += 1;
  CHECK(p.sends(one) == window_finding::seq_too_low);
}

TEST_CASE("a SYN opens with its own window, unscaled, and a SYN/ACK answers") {
  const auto l4 = tcp_bytes(
      {.flags = syn, .seq = 999, .window = 500, .options = window_scale(7) + sack_permitted()});
  tcp_data tcp = opened_by(as_segment(l4));
  CHECK(tcp.seen[0].td_end == 1000);
  CHECK(tcp.seen[0].td_maxend == 1000);
  CHECK(tcp.seen[0].td_maxwin == 500);
  CHECK(tcp.seen[0].td_scale == 7);
  CHECK(tcp.seen[0].flags == (tcp_flag::window_scale | tcp_flag::sack_perm));
  CHECK(tcp.seen[1].td_maxwin == 0);
  CHECK(tcp.last_index == tcp_kind::none);

  tcp.state = tcp_state::syn_sent;
  CHECK(judge(tcp,
              dir::reply,
              {.flags = syn_ack,
               .seq = 4999,
               .ack = 1000,
               .window = 600,
               .options = window_scale(2)}) == window_finding::in_window);
  CHECK(tcp.seen[1].td_end == 5000);
  CHECK(tcp.seen[1].td_maxwin == 600);
  CHECK(tcp.seen[1].td_scale == 2);
  CHECK(tcp.seen[0].td_scale == 7);
  CHECK(tcp.seen[0].td_maxend == 1600);  // the window of a SYN/ACK is not scaled either
}

TEST_CASE("a window of zero in a SYN counts as one") {
  const auto l4 = tcp_bytes({.flags = syn, .seq = 999, .window = 0});
  CHECK(opened_by(as_segment(l4)).seen[0].td_maxwin == 1);
  const auto middle = tcp_bytes({.flags = ack, .seq = 999, .window = 0});
  CHECK(picked_up_at(as_segment(middle)).seen[0].td_maxwin == 1);
}

TEST_CASE("windows are scaled only if SYN and SYN/ACK both ask for it") {
  for (const bool client_asks : {false, true}) {
    for (const bool server_asks : {false, true}) {
      const auto options = [](bool asks) { return asks ? window_scale(3) : sack_permitted(); };
      const auto l4 = tcp_bytes({.flags = syn, .seq = 0, .options = options(client_asks)});
      tcp_data tcp = opened_by(as_segment(l4));
      tcp.state = tcp_state::syn_sent;
      judge(tcp,
            dir::reply,
            {.flags = syn_ack, .seq = 0, .ack = 1, .options = options(server_asks)});
      const unsigned expected = client_asks && server_asks ? 3 : 0;
      CHECK(tcp.seen[0].td_scale == expected);
      CHECK(tcp.seen[1].td_scale == expected);
    }
  }
}

TEST_CASE("a repeated SYN of the original side keeps its scale until the answer decides") {
  const auto l4 = tcp_bytes({.flags = syn, .seq = 10, .options = window_scale(3)});
  tcp_data tcp = opened_by(as_segment(l4));
  tcp.state = tcp_state::syn_sent;
  judge(tcp, dir::original, {.flags = syn, .seq = 5000, .options = window_scale(5)});
  CHECK(tcp.seen[0].td_scale == 5);
  CHECK(tcp.seen[0].td_end == 5001);
  CHECK(tcp.seen[0].td_maxend == 5001);
}

TEST_CASE("a SYN begins its side again only with larger numbers and only during the handshake") {
  const auto repeated = [](tcp_state state, std::uint32_t seq) {
    established_pair p(0, 0);
    p.tcp.state = state;
    p.sends({.flags = syn, .seq = seq});
    return p.tcp.seen[0].td_maxend == seq + 1;
  };
  CHECK(repeated(tcp_state::syn_sent, 20000));
  CHECK(repeated(tcp_state::syn_recv, 20000));
  CHECK_FALSE(repeated(tcp_state::syn_sent, 19999));  // ends at the known end
  CHECK_FALSE(repeated(tcp_state::established, 20000));
  CHECK_FALSE(repeated(tcp_state::syn_sent2, 20000));

  established_pair data(0, 0);
  data.tcp.state = tcp_state::syn_recv;
  data.sends({.flags = ack, .seq = 20000, .ack = 80000, .payload = 5});
  CHECK(data.tcp.seen[0].td_maxend == 50000);
}

TEST_CASE("a SYN of the reply side that begins again has nothing to be compared with") {
  established_pair p(0, 0);
  p.tcp.state = tcp_state::syn_sent;
  CHECK(judge(p.tcp, dir::reply, {.flags = syn, .seq = 300'000}) == window_finding::opening);
  CHECK(p.tcp.seen[1].td_end == 300'001);
  established_pair original(0, 0);
  original.tcp.state = tcp_state::syn_sent;
  CHECK(original.sends({.flags = syn, .seq = 300'000}) == window_finding::in_window);
}

TEST_CASE(
    "options without a place in the header change nothing; with one they replace what was known") {
  tcp_direction side{.td_scale = 5,
                     .flags = tcp_flag::be_liberal | tcp_flag::sack_perm | tcp_flag::window_scale |
                              tcp_flag::maxack_set};
  const tcp_direction before = side;
  const auto bare = tcp_bytes({.flags = syn});
  apply_options(side, as_segment(bare));
  CHECK(side.td_scale == before.td_scale);
  CHECK(side.flags == before.flags);

  const auto other = tcp_bytes({.flags = syn, .options = timestamps()});
  apply_options(side, as_segment(other));
  CHECK(side.td_scale == 0);
  CHECK(side.flags == tcp_flag::be_liberal);
}

TEST_CASE("the first packet of a side in the middle of a connection is its measure") {
  established_pair p(0, 0);
  p.tcp.seen[0] = {};
  p.tcp.seen[0].td_scale = 2;
  CHECK(p.sends({.flags = ack, .seq = 123456, .ack = 80000, .window = 100, .payload = 10}) ==
        window_finding::in_window);
  CHECK(p.tcp.seen[0].td_end == 123466);
  CHECK(p.tcp.seen[0].td_maxwin == 400);
  CHECK(p.tcp.seen[0].td_maxend == 123866);
  CHECK(p.tcp.seen[1].td_end == 80000);
}

TEST_CASE("with neither side known, what is acknowledged was sent") {
  tcp_data tcp;
  tcp.state = tcp_state::established;
  CHECK(judge(tcp, dir::reply, {.flags = ack, .seq = 5000, .ack = 777, .window = 100}) ==
        window_finding::in_window);
  CHECK(tcp.seen[0].td_end == 777);
  CHECK(tcp.seen[0].td_maxend == 877);
  CHECK(tcp.seen[0].td_maxwin == 0);
}

TEST_CASE("the answer to a keep-alive may acknowledge one byte more than was seen, not two") {
  const auto answers = [](std::uint32_t beyond) {
    established_pair p(0, 0);
    p.tcp.seen[0] = {};
    return p.sends({.flags = ack, .seq = 1, .ack = 80000 + beyond});
  };
  CHECK(answers(0) == window_finding::in_window);
  CHECK(answers(1) == window_finding::in_window);
  CHECK(answers(2) == window_finding::ack_too_high);
}

TEST_CASE("a picked-up connection is liberal on both sides and takes SACK") {
  const auto l4 = tcp_bytes({.flags = ack, .seq = 100, .ack = 5, .window = 200, .payload = 50});
  const tcp_data tcp = picked_up_at(as_segment(l4));
  CHECK(tcp.seen[0].td_end == 150);
  CHECK(tcp.seen[0].td_maxwin == 200);
  CHECK(tcp.seen[0].td_maxend == 350);
  for (const tcp_direction& side : tcp.seen) {
    CHECK(side.flags == (tcp_flag::sack_perm | tcp_flag::be_liberal));
  }
  CHECK(tcp.seen[1].td_maxwin == 0);
}

TEST_CASE("identical ACKs are counted as retransmissions, any difference starts over") {
  const segment_fields same = {.flags = ack, .seq = 20000, .ack = 80000, .window = 1000};
  established_pair p(0, 0);
  p.tcp.last_dir = dir::original;
  p.sends(same);
  CHECK(p.tcp.retrans == 0);
  p.sends(same);
  p.sends(same);
  CHECK(p.tcp.retrans == 2);

  for (unsigned field = 0; field < 4; ++field) {
    established_pair other = p;
    segment_fields changed = same;
    if (field == 0) changed.seq -= 1;
    if (field == 1) changed.ack -= 1;
    if (field == 2) changed.window += 1;
    if (field == 3) changed.payload = 1;
    other.sends(changed);
    INFO(field);
    CHECK(other.tcp.retrans == 0);
  }

  established_pair turned = p;
  turned.tcp.last_dir = dir::reply;
  turned.sends(same);
  CHECK(turned.tcp.retrans == 0);

  // Other kinds neither count nor reset.
  p.sends({.flags = fin_ack, .seq = 20000, .ack = 80000, .window = 1000});
  CHECK(p.tcp.retrans == 2);
  CHECK(p.tcp.last_end == 20000);
}

}  // namespace ct::core::tcp_test
