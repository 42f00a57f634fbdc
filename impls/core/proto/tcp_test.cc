// SPDX-License-Identifier: BSD-2-Clause
/// The tracker on whole conversations: openings, timeouts, reopening, resynchronisation, pick-up.
/// RSTs: tcp_rst_test.cc.
#include "impls/core/proto/tcp_connection_suite.h"

#include <catch2/catch.hpp>
#include <string>

namespace ct::core::tcp_test {

namespace {

/// A connection that both sides have closed in good order; the client first. Numbers as
/// established() + 1.
tcp_connection closed_in_order() {
  tcp_connection c;
  c.shake_hands(1000, 5000);
  c.client({.flags = fin_ack, .seq = 1001, .ack = 5001});
  c.server({.flags = ack, .seq = 5001, .ack = 1002});
  c.server({.flags = fin_ack, .seq = 5001, .ack = 1002});
  c.client({.flags = ack, .seq = 1002, .ack = 5002});
  return c;
}

/// Up to the second FIN: the server waits for the ACK of it.
tcp_connection in_last_ack() {
  tcp_connection c;
  c.shake_hands(1000, 5000);
  c.client({.flags = fin_ack, .seq = 1001, .ack = 5001});
  c.server({.flags = ack, .seq = 5001, .ack = 1002});
  c.server({.flags = fin_ack, .seq = 5001, .ack = 1002});
  return c;
}

}  // namespace

TEST_CASE("a connection's life sets the states and timeouts of the kernel") {
  tcp_connection c;
  CHECK(c.client({.flags = syn, .seq = 1000}) == track::accept);
  CHECK(c.state() == tcp_state::syn_sent);
  CHECK(c.timeout_s() == 120);
  CHECK(c.server({.flags = syn_ack, .seq = 5000, .ack = 1001}) == track::accept);
  CHECK(c.state() == tcp_state::syn_recv);
  CHECK(c.timeout_s() == 60);
  CHECK_FALSE(c.is_assured());
  CHECK(c.client({.flags = ack, .seq = 1001, .ack = 5001}) == track::accept);
  CHECK(c.state() == tcp_state::established);
  CHECK(c.timeout_s() == 432000);
  CHECK(c.is_assured());
  c.client({.flags = fin_ack, .seq = 1001, .ack = 5001});
  CHECK(c.state() == tcp_state::fin_wait);
  CHECK(c.timeout_s() == 120);
  c.server({.flags = ack, .seq = 5001, .ack = 1002});
  CHECK(c.state() == tcp_state::close_wait);
  CHECK(c.timeout_s() == 60);
  c.server({.flags = fin_ack, .seq = 5001, .ack = 1002});
  CHECK(c.state() == tcp_state::last_ack);
  CHECK(c.timeout_s() == 30);
  c.client({.flags = ack, .seq = 1002, .ack = 5002});
  CHECK(c.state() == tcp_state::time_wait);
  CHECK(c.timeout_s() == 120);
  CHECK(c.kills == 0);
}

TEST_CASE("the side that sends the first FIN is remembered, the second is not") {
  tcp_connection c = in_last_ack();
  CHECK((c.tcp().seen[0].flags & tcp_flag::close_init) != 0);
  CHECK((c.tcp().seen[1].flags & tcp_flag::close_init) == 0);
}

TEST_CASE("packets that cannot begin a connection are invalid as first packet") {
  for (const std::uint8_t flags : {syn_ack, rst, rst_ack, fin_ack}) {
    tcp_connection c;
    CHECK(c.client({.flags = flags, .seq = 1, .ack = 1}) == track::invalid);
    CHECK(c.reason == "tcp: does not begin a connection");
    CHECK_FALSE(c.ct().is_confirmed());
  }
}

TEST_CASE("malformed headers are invalid whatever the state, and change nothing") {
  for (const bool is_open : {false, true}) {
    tcp_connection c;
    if (is_open) c.shake_hands(1000, 5000);
    const double timeout = c.timeout_s();
    const build::bytes l4 = tcp_bytes({.flags = ack, .seq = 1001, .ack = 5001});
    CHECK(c.handle(dir::original, tcp_packet(l4, 19)) == track::invalid);
    CHECK(c.reason == "tcp: header is cut");
    build::bytes long_header = l4;
    build::put8(long_header, 12, 6 << 4);
    CHECK(c.handle(dir::original, tcp_packet(long_header)) == track::invalid);
    CHECK(c.reason == "tcp: header length is impossible");
    for (const int flags : {0x00, 0x01, 0x03, 0x32, 0x06}) {  // null, F, SF, SAU, SR
      CHECK(c.client({.flags = static_cast<std::uint8_t>(flags)}) == track::invalid);
      CHECK(c.reason == "tcp: flags that do not go together");
    }
    CHECK(c.state() == (is_open ? tcp_state::established : tcp_state::none));
    CHECK(c.timeout_s() == timeout);
  }
}

TEST_CASE("a SYN with URG begins a connection") {
  tcp_connection c;
  CHECK(c.client({.flags = tcp_header::syn | tcp_header::urg, .seq = 1}) == track::accept);
  CHECK(c.state() == tcp_state::syn_sent);
}

TEST_CASE("a repeated SYN without an answer does not renew the timeout") {
  tcp_connection c;
  c.client({.flags = syn, .seq = 1000});
  c.wait_s(2);
  CHECK(c.client({.flags = syn, .seq = 1000}) == track::accept);
  CHECK(c.timeout_s() == 118);
  c.server({.flags = ack, .seq = 1, .ack = 1});  // any reply
  CHECK(c.client({.flags = syn, .seq = 1000}) == track::accept);
  CHECK(c.timeout_s() == 120);
}

TEST_CASE("the other side's SYN does not renew the timeout of an unanswered one either") {
  tcp_connection c;
  c.client({.flags = syn, .seq = 1000});
  c.wait_s(2);
  CHECK(c.server({.flags = syn, .seq = 5000}) == track::accept);
  CHECK(c.state() == tcp_state::syn_sent2);
  CHECK(c.timeout_s() == 118);
}

TEST_CASE("packets and bytes are counted where the kernel counts: not for what it passes by") {
  tcp_connection c;
  c.settings.acct = true;
  c.client({.flags = syn, .seq = 1000});
  CHECK(c.packets(dir::original) == 1);
  CHECK(c.bytes(dir::original) == 40);
  c.client({.flags = syn, .seq = 1000});  // repeated, unanswered
  CHECK(c.packets(dir::original) == 1);
  c.server({.flags = ack, .seq = 1, .ack = 1});  // ignored
  CHECK(c.packets(dir::reply) == 0);
  c.server({.flags = syn_ack, .seq = 5000, .ack = 1001});
  c.client({.flags = ack, .seq = 1001, .ack = 5001, .payload = 100});
  CHECK(c.packets(dir::reply) == 1);
  CHECK(c.packets(dir::original) == 2);
  CHECK(c.bytes(dir::original) == 180);
}

TEST_CASE("a picked-up connection has 300 s until the first answer, which assures it") {
  tcp_connection c;
  CHECK(c.client({.flags = ack, .seq = 1001, .ack = 5001, .payload = 10}) == track::accept);
  CHECK(c.state() == tcp_state::established);
  CHECK(c.timeout_s() == 300);
  CHECK_FALSE(c.is_assured());
  CHECK(c.server({.flags = ack, .seq = 5001, .ack = 1011}) == track::accept);
  CHECK_FALSE(c.is_assured());  // SEEN_REPLY comes after the tracker
  CHECK(c.timeout_s() == 300);
  CHECK(c.client({.flags = ack, .seq = 1011, .ack = 5001}) == track::accept);
  CHECK(c.is_assured());
  CHECK(c.timeout_s() == 432000);
}

TEST_CASE("without tcp_loose the middle of a connection is invalid") {
  tcp_connection c;
  c.settings.tcp_loose = false;
  CHECK(c.client({.flags = ack, .seq = 1001, .ack = 5001}) == track::invalid);
  CHECK(c.client({.flags = syn, .seq = 1001}) == track::accept);
}

TEST_CASE("a picked-up connection takes segments far out of its window") {
  tcp_connection c;
  c.client({.flags = ack, .seq = 1001, .ack = 5001});
  c.server({.flags = ack, .seq = 5001, .ack = 1001});
  CHECK(c.client({.flags = ack, .seq = 9'000'000, .ack = 5001}) == track::accept);
  CHECK(c.client({.flags = ack, .seq = 1001, .ack = 9'000'000}) == track::accept);
}

TEST_CASE("out of window: beyond it invalid, older than it accepted without effect") {
  tcp_connection c;
  c.shake_hands(1000, 500'000);
  c.wait_s(100);
  const tcp_data before = c.tcp();
  CHECK(c.client({.flags = ack, .seq = 1001 + 65535 + 70000, .ack = 500'001}) == track::invalid);
  CHECK(c.reason == "tcp: data beyond the receiver's window");
  CHECK(c.client({.flags = ack, .seq = 1001, .ack = 500'002}) == track::invalid);
  CHECK(c.reason == "tcp: acknowledges data that was not seen");
  CHECK(c.client({.flags = ack, .seq = 1001u - 65536u, .ack = 500'001}) == track::accept);
  CHECK(c.client({.flags = fin_ack, .seq = 1001, .ack = 500'001 - 66001}) == track::accept);
  CHECK(c.state() == tcp_state::established);
  CHECK(c.timeout_s() == 432000 - 100);
  CHECK(c.tcp().last_seq == before.last_seq);
  CHECK(c.tcp().seen[0].td_end == before.seen[0].td_end);
}

TEST_CASE("data 200 bytes beyond the edge passes, and the next packet sets 300 s") {
  tcp_connection c;
  c.shake_hands(1000, 5000);
  const std::uint32_t edge = c.tcp().seen[0].td_maxend;
  CHECK(c.client({.flags = ack, .seq = edge + 200, .ack = 5001, .payload = 10}) == track::accept);
  CHECK(c.timeout_s() == 432000);
  CHECK(c.client({.flags = ack, .seq = 2001, .ack = 5001}) == track::accept);
  CHECK(c.timeout_s() == 300);
  CHECK(c.client({.flags = ack, .seq = edge + 70000, .ack = 5001}) == track::invalid);
}

TEST_CASE("liberal settings accept what is out of the window but learn nothing from it") {
  tcp_connection c;
  c.settings.tcp_be_liberal = true;
  c.shake_hands(1000, 5000);
  c.wait_s(100);
  const tcp_data before = c.tcp();
  CHECK(c.client({.flags = ack, .seq = 1001 + 65535 + 70000, .ack = 5001}) == track::accept);
  CHECK(c.client({.flags = ack, .seq = 1001, .ack = 9999}) == track::accept);
  CHECK(c.tcp().seen[0].td_end == before.seen[0].td_end);
  CHECK(c.tcp().seen[0].td_maxack == before.seen[0].td_maxack);
  CHECK(c.timeout_s() == 432000);  // but the packet counts as one
}

TEST_CASE("data that waits for its acknowledgement shortens the timeout to 300 s") {
  tcp_connection c;
  c.shake_hands(1000, 5000);
  c.client({.flags = ack, .seq = 1001, .ack = 5001, .payload = 10});
  CHECK(c.timeout_s() == 300);
  c.server({.flags = ack, .seq = 5001, .ack = 1010});
  CHECK(c.timeout_s() == 300);
  c.server({.flags = ack, .seq = 5001, .ack = 1011});
  CHECK(c.timeout_s() == 432000);
}

TEST_CASE("the handshake's ACK and three identical ones shorten the timeout to 300 s") {
  tcp_connection c;
  c.shake_hands(1000, 5000);
  for (unsigned repetition = 1; repetition <= 3; ++repetition) {
    CHECK(c.timeout_s() == 432000);
    c.client({.flags = ack, .seq = 1001, .ack = 5001});
  }
  CHECK(c.timeout_s() == 300);
  c.server({.flags = ack, .seq = 5001, .ack = 1001});
  CHECK(c.timeout_s() == 432000);

  c.settings.tcp_max_retrans = 1;
  c.server({.flags = ack, .seq = 5001, .ack = 1001});
  CHECK(c.timeout_s() == 300);
}

TEST_CASE("a closed window shortens the timeout to 300 s") {
  tcp_connection c;
  c.shake_hands(1000, 5000);
  c.server({.flags = ack, .seq = 5001, .ack = 1001, .window = 0});
  CHECK(c.timeout_s() == 300);
  c.server({.flags = ack, .seq = 5001, .ack = 1001, .window = 1});
  CHECK(c.timeout_s() == 432000);
}

TEST_CASE("of several reasons for a timeout the first in the list decides") {
  tcp_connection c;
  c.settings.tcp_timeout[tcp_timeout_retrans] = seconds(200);
  c.settings.tcp_timeout[tcp_timeout_unack] = seconds(250);
  c.shake_hands(1000, 5000);
  c.client({.flags = ack, .seq = 1001, .ack = 5001, .window = 0, .payload = 10});
  CHECK(c.timeout_s() == 250);  // unacknowledged before closed window
  for (unsigned i = 0; i < 3; ++i) {
    c.client({.flags = ack, .seq = 1001, .ack = 5001, .window = 0, .payload = 10});
  }
  CHECK(c.timeout_s() == 200);  // retransmissions before unacknowledged
  c.server({.flags = ack, .seq = 5001, .ack = 1011, .window = 0});
  CHECK(c.timeout_s() == 200);  // closed window

  c.settings.tcp_timeout[static_cast<std::size_t>(tcp_state::established)] = seconds(100);
  c.server({.flags = ack, .seq = 5001, .ack = 1011, .window = 0});
  CHECK(c.timeout_s() == 100);  // none of them makes a timeout longer
}

TEST_CASE("a SYN in TIME_WAIT makes room for a new connection") {
  for (const dir d : {dir::original, dir::reply}) {
    tcp_connection c = closed_in_order();
    REQUIRE(c.state() == tcp_state::time_wait);
    CHECK(c.send(d, {.flags = syn, .seq = 77}) == track::repeat);
    CHECK(c.kills == 1);
    CHECK_FALSE(c.was_locked_at_kill);
  }
}

TEST_CASE("a SYN that makes room but comes second to another kill is dropped") {
  tcp_connection c = closed_in_order();
  c.kill_wins = false;
  CHECK(c.client({.flags = syn, .seq = 77}) == track::drop);
  CHECK(c.kills == 1);
}

TEST_CASE("after a RST its own side may open again, the other side's SYN is ignored") {
  tcp_connection own;
  own.shake_hands(1000, 5000);
  own.client({.flags = rst, .seq = 1001});
  REQUIRE(own.state() == tcp_state::close);
  CHECK(own.client({.flags = syn, .seq = 77}) == track::repeat);
  CHECK(own.kills == 1);

  tcp_connection peer;
  peer.shake_hands(1000, 5000);
  peer.server({.flags = rst, .seq = 5001});
  REQUIRE(peer.state() == tcp_state::close);
  peer.wait_s(1);
  CHECK(peer.client({.flags = syn, .seq = 77}) == track::accept);
  CHECK(peer.kills == 0);
  CHECK(peer.state() == tcp_state::close);
  CHECK(peer.timeout_s() == 9);

  tcp_connection closing;  // a FIN came first: anybody may
  closing.shake_hands(1000, 5000);
  closing.client({.flags = fin_ack, .seq = 1001, .ack = 5001});
  closing.server({.flags = rst, .seq = 5001});
  REQUIRE(closing.state() == tcp_state::close);
  CHECK(closing.client({.flags = syn, .seq = 77}) == track::repeat);
}

TEST_CASE("a SYN on an established connection is ignored, and its SYN/ACK resynchronises") {
  tcp_connection c;
  c.shake_hands(1000, 5000);
  c.wait_s(100);
  CHECK(c.client({.flags = syn,
                  .seq = 900'000,
                  .window = 100,
                  .options = window_scale(3) + sack_permitted()}) == track::accept);
  CHECK(c.state() == tcp_state::established);
  CHECK(c.timeout_s() == 432000 - 100);
  CHECK(c.server({.flags = syn_ack,
                  .seq = 700'000,
                  .ack = 900'001,
                  .window = 200,
                  .options = window_scale(4)}) == track::accept);
  CHECK(c.state() == tcp_state::syn_recv);
  CHECK(c.timeout_s() == 60);
  CHECK(c.tcp().seen[0].td_end == 900'001);
  CHECK(c.tcp().seen[0].td_maxend == 900'201);
  CHECK(c.tcp().seen[0].td_maxwin == 100);
  CHECK(c.tcp().seen[0].td_scale == 3);
  CHECK(c.tcp().seen[1].td_end == 700'001);
  CHECK(c.tcp().seen[1].td_scale == 4);
  CHECK(c.client({.flags = ack, .seq = 900'001, .ack = 700'001}) == track::accept);
  CHECK(c.state() == tcp_state::established);
  CHECK(c.client({.flags = ack, .seq = 1001, .ack = 700'001}) == track::accept);
  CHECK(c.tcp().last_seq == 900'001);  // the old numbers are out of the window now
}

TEST_CASE("a SYN/ACK that does not answer the ignored SYN resynchronises nothing") {
  tcp_connection other_number;
  other_number.shake_hands(1000, 5000);
  other_number.client({.flags = syn, .seq = 900'000});
  CHECK(other_number.server({.flags = syn_ack, .seq = 700'000, .ack = 900'002}) == track::accept);
  CHECK(other_number.state() == tcp_state::established);

  tcp_connection not_last;  // something came between
  not_last.shake_hands(1000, 5000);
  not_last.client({.flags = syn, .seq = 900'000});
  not_last.client({.flags = ack, .seq = 1001, .ack = 5001});
  CHECK(not_last.server({.flags = syn_ack, .seq = 700'000, .ack = 900'001}) == track::accept);
  CHECK(not_last.state() == tcp_state::established);
}

TEST_CASE("resynchronisation keeps a liberal side liberal and nothing else of it") {
  tcp_connection c;
  c.client({.flags = ack, .seq = 1001, .ack = 5001});
  c.server({.flags = ack, .seq = 5001, .ack = 1001});
  c.client({.flags = syn, .seq = 900'000});
  c.server({.flags = syn_ack, .seq = 700'000, .ack = 900'001});
  CHECK(c.state() == tcp_state::syn_recv);
  CHECK((c.tcp().seen[1].flags & tcp_flag::be_liberal) != 0);
  CHECK((c.tcp().seen[1].flags & tcp_flag::sack_perm) == 0);
  CHECK((c.tcp().seen[0].flags & tcp_flag::be_liberal) == 0);
}

TEST_CASE("a SYN of window zero resynchronises with a window of one") {
  tcp_connection c;
  c.shake_hands(1000, 5000);
  c.client({.flags = syn, .seq = 900'000, .window = 0});
  c.server({.flags = syn_ack, .seq = 700'000, .ack = 900'001});
  CHECK(c.tcp().seen[0].td_maxwin == 1);
}

TEST_CASE("a reply ACK to a SYN is ignored but counts as an answer") {
  tcp_connection c;
  c.client({.flags = syn, .seq = 1000});
  c.wait_s(1);
  CHECK(c.server({.flags = ack, .seq = 9999, .ack = 4711}) == track::accept);
  CHECK(c.state() == tcp_state::syn_sent);
  CHECK(c.timeout_s() == 119);
  CHECK(c.ct().has(status::seen_reply));
  CHECK(c.tcp().last_ack == 4711);
}

TEST_CASE("in LAST_ACK the challenge ACK to a passed SYN is not taken for the ACK of the FIN") {
  tcp_connection c = in_last_ack();
  REQUIRE(c.state() == tcp_state::last_ack);
  CHECK(c.client({.flags = syn, .seq = 900'000}) == track::accept);
  CHECK(c.state() == tcp_state::last_ack);
  CHECK(c.server({.flags = ack, .seq = 5002, .ack = 1002}) == track::accept);
  CHECK(c.state() == tcp_state::last_ack);
  // Only once, and only the other side's.
  CHECK(c.server({.flags = ack, .seq = 5002, .ack = 1002}) == track::accept);
  CHECK(c.state() == tcp_state::time_wait);

  tcp_connection same_side = in_last_ack();
  same_side.client({.flags = syn, .seq = 900'000});
  same_side.client({.flags = ack, .seq = 1002, .ack = 5002});
  CHECK(same_side.state() == tcp_state::time_wait);
}

TEST_CASE("a simultaneous open ends in ESTABLISHED with the reply side's ACK") {
  tcp_connection c;
  c.client({.flags = syn, .seq = 1000});
  CHECK(c.server({.flags = syn, .seq = 5000}) == track::accept);
  CHECK(c.state() == tcp_state::syn_sent2);
  CHECK(c.client({.flags = syn_ack, .seq = 1000, .ack = 5001}) == track::accept);
  CHECK(c.state() == tcp_state::syn_recv);
  CHECK(c.timeout_s() == 60);
  CHECK(c.server({.flags = ack, .seq = 5001, .ack = 1001}) == track::accept);
  CHECK(c.state() == tcp_state::established);
  CHECK(c.is_assured());
  CHECK(c.client({.flags = ack, .seq = 1001, .ack = 5001, .payload = 10}) == track::accept);

  tcp_connection plain;  // without one, the server's ACK proves nothing
  plain.client({.flags = syn, .seq = 1000});
  plain.server({.flags = syn_ack, .seq = 5000, .ack = 1001});
  plain.server({.flags = ack, .seq = 5001, .ack = 1001});
  CHECK(plain.state() == tcp_state::syn_recv);
}

TEST_CASE("a handshake may cross the wrap of sequence numbers") {
  tcp_connection c;
  c.shake_hands(0xffff'ffff, 0xffff'fffe);
  CHECK(c.state() == tcp_state::established);
  CHECK(c.client({.flags = ack, .seq = 0, .ack = 0xffff'ffff, .payload = 100}) == track::accept);
  CHECK(c.server({.flags = ack, .seq = 0xffff'ffff, .ack = 100, .payload = 100}) == track::accept);
  CHECK(c.client({.flags = ack, .seq = 100, .ack = 99}) == track::accept);
  CHECK(c.timeout_s() == 432000);
}

TEST_CASE("a fixed timeout is not refreshed") {
  tcp_connection c;
  c.shake_hands(1000, 5000);
  c.ct().set(status::fixed_timeout);
  c.wait_s(5);
  CHECK(c.client({.flags = fin_ack, .seq = 1001, .ack = 5001}) == track::accept);
  CHECK(c.state() == tcp_state::fin_wait);
  CHECK(c.timeout_s() == 432000 - 5);
}

TEST_CASE("an assured connection may be dropped early in the closing states only") {
  tcp_connection c;
  for (std::size_t i = 0; i < tcp_state_count; ++i) {
    c.tcp().state = static_cast<tcp_state>(i);
    CHECK(tcp_l4proto.can_early_drop(c.ct()) == (i >= 4 && i <= 8));
  }
}

}  // namespace ct::core::tcp_test
