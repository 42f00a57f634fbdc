// SPDX-License-Identifier: BSD-2-Clause
/// RSTs, rule by rule, and FINs and RSTs that do not fit.
#include "impls/core/proto/tcp_connection_suite.h"

#include <catch2/catch.hpp>
#include <string>

namespace ct::core::tcp_test {

namespace {

/// Established and assured; the client's numbers go on at 1001, the server's at 5001.
tcp_connection established() {
  tcp_connection c;
  c.shake_hands(1000, 5000);
  return c;
}

/// SYN, SYN/ACK: the client's ACK has not come.
tcp_connection half_open() {
  tcp_connection c;
  c.client({.flags = syn, .seq = 1000});
  c.server({.flags = syn_ack, .seq = 5000, .ack = 1001});
  return c;
}

}  // namespace

TEST_CASE("a RST with the number that was acknowledged last closes an established connection") {
  tcp_connection c = established();
  CHECK(c.server({.flags = rst, .seq = 5001}) == track::accept);
  CHECK(c.state() == tcp_state::close);
  CHECK(c.timeout_s() == 10);
  CHECK(c.kills == 0);
  CHECK(c.ct().has(status::assured));
}

TEST_CASE(
    "a RST before the acknowledged number is invalid, unless invalid RSTs are to be ignored") {
  tcp_connection c = established();
  CHECK(c.server({.flags = rst, .seq = 5000}) == track::invalid);
  CHECK(c.reason == "tcp: RST is older than what was acknowledged");
  CHECK(c.state() == tcp_state::established);
  CHECK(c.timeout_s() == 432000);

  c.settings.tcp_be_liberal = true;  // does not concern RSTs
  CHECK(c.server({.flags = rst, .seq = 5000}) == track::invalid);

  c.settings.tcp_ignore_invalid_rst = true;
  CHECK(c.server({.flags = rst, .seq = 5000}) == track::accept);
  CHECK(c.state() == tcp_state::established);  // in the window, but not exact
}

TEST_CASE(
    "a RST in the window but not exact keeps ESTABLISHED for 10 s, and the next packet restores "
    "it") {
  tcp_connection c = established();
  c.server({.flags = ack, .seq = 5001, .ack = 1001, .payload = 20});
  c.client({.flags = ack, .seq = 1001, .ack = 5011});
  CHECK(c.server({.flags = rst, .seq = 5012}) == track::accept);
  CHECK(c.state() == tcp_state::established);
  CHECK(c.timeout_s() == 10);
  CHECK(c.client({.flags = ack, .seq = 1001, .ack = 5021}) == track::accept);
  CHECK(c.timeout_s() == 432000);

  // Beyond the data that was seen, the RST counts as data of no length, and nobody acknowledges it.
  CHECK(c.server({.flags = rst, .seq = 5022}) == track::accept);
  CHECK(c.state() == tcp_state::established);
  CHECK(c.client({.flags = ack, .seq = 1001, .ack = 5021}) == track::accept);
  CHECK(c.timeout_s() == 300);
}

TEST_CASE("a RST beyond the window is invalid") {
  tcp_connection c = established();
  CHECK(c.server({.flags = rst, .seq = 5001 + 65535 + 70000}) == track::invalid);
  CHECK(c.reason == "tcp: data beyond the receiver's window");
  CHECK(c.timeout_s() == 432000);
}

TEST_CASE("a RST right after its own side's data closes though the data was not acknowledged") {
  tcp_connection c = established();
  c.server({.flags = ack, .seq = 5001, .ack = 1001, .payload = 19});
  CHECK(c.server({.flags = rst_ack, .seq = 5020, .ack = 1001}) == track::accept);
  CHECK(c.state() == tcp_state::close);
  CHECK(c.timeout_s() == 10);

  tcp_connection other_side_spoke = established();
  other_side_spoke.server({.flags = ack, .seq = 5001, .ack = 1001, .payload = 19});
  other_side_spoke.client({.flags = ack, .seq = 1001, .ack = 5001});
  other_side_spoke.server({.flags = rst_ack, .seq = 5020, .ack = 1001});
  CHECK(other_side_spoke.state() == tcp_state::established);

  tcp_connection gap = established();
  gap.server({.flags = ack, .seq = 5001, .ack = 1001, .payload = 19});
  gap.server({.flags = rst_ack, .seq = 5021, .ack = 1001});
  CHECK(gap.state() == tcp_state::established);
}

TEST_CASE("a RST on a closing connection is believed whatever its numbers") {
  const auto closing = [](unsigned packets) {
    tcp_connection c = established();
    if (packets > 0) c.client({.flags = fin_ack, .seq = 1001, .ack = 5001});
    if (packets > 1) c.server({.flags = ack, .seq = 5001, .ack = 1002});
    if (packets > 2) c.server({.flags = fin_ack, .seq = 5001, .ack = 1002});
    if (packets > 3) c.client({.flags = ack, .seq = 1002, .ack = 5002});
    if (packets > 4) c.client({.flags = rst, .seq = 1002});
    return c;
  };
  for (unsigned packets = 1; packets <= 5; ++packets) {
    for (const dir d : {dir::original, dir::reply}) {
      tcp_connection c = closing(packets);
      INFO(name(c.state()));
      CHECK(c.send(d, {.flags = rst, .seq = 3'000'000'000}) == track::accept);
      CHECK(c.state() == tcp_state::close);
      CHECK(c.timeout_s() == 10);
    }
  }
  tcp_connection open = closing(0);
  CHECK(open.server({.flags = rst, .seq = 3'000'000'000}) == track::invalid);
}

TEST_CASE("a RST in answer to a SYN that nobody else answered kills the entry at once") {
  tcp_connection c;
  c.settings.acct = true;
  c.client({.flags = syn, .seq = 1000});
  CHECK(c.server({.flags = rst_ack, .seq = 0, .ack = 1001}) == track::accept);
  CHECK(c.kills == 1);
  CHECK_FALSE(c.was_locked_at_kill);
  CHECK(c.packets(dir::reply) == 1);
  CHECK(c.state() == tcp_state::close);

  tcp_connection lost;
  lost.kill_wins = false;
  lost.client({.flags = syn, .seq = 1000});
  CHECK(lost.server({.flags = rst_ack, .seq = 0, .ack = 1001}) == track::accept);
}

TEST_CASE("a RST that acknowledges more than the SYN does not refuse it, but for one byte") {
  tcp_connection c;
  c.client({.flags = syn, .seq = 1000});
  CHECK(c.server({.flags = rst_ack, .seq = 0, .ack = 1003}) == track::invalid);
  CHECK(c.kills == 0);
  CHECK(c.state() == tcp_state::syn_sent);

  // One byte more looks like the answer to a keep-alive, here too.
  tcp_connection one_more;
  one_more.client({.flags = syn, .seq = 1000});
  CHECK(one_more.server({.flags = rst_ack, .seq = 0, .ack = 1002}) == track::accept);
  CHECK(one_more.kills == 1);
}

TEST_CASE("the client's own RST before any answer kills the entry") {
  tcp_connection c;
  c.client({.flags = syn, .seq = 1000});
  CHECK(c.client({.flags = rst, .seq = 1001}) == track::accept);
  CHECK(c.kills == 1);
}

TEST_CASE("a RST in the half-open connection closes it without a kill") {
  tcp_connection c = half_open();
  CHECK(c.client({.flags = rst, .seq = 1001}) == track::accept);
  CHECK(c.state() == tcp_state::close);
  CHECK(c.timeout_s() == 10);
  CHECK(c.kills == 0);
}

TEST_CASE("before the connection is established a RST with number zero goes to the window check") {
  tcp_connection c =
      half_open();  // the client's SYN is acknowledged, its RST would be older than that
  REQUIRE((c.tcp().seen[1].flags & tcp_flag::maxack_set) != 0);
  const std::uint32_t client_start = 0u - 100u;  // numbers so that zero lies inside the window
  tcp_connection near;
  near.client({.flags = syn, .seq = client_start});
  near.server({.flags = syn_ack, .seq = 5000, .ack = 101});
  CHECK(near.client({.flags = rst, .seq = 0}) == track::accept);

  CHECK(c.client({.flags = rst, .seq = 1000}) == track::invalid);  // not zero: too old
  CHECK(c.reason == "tcp: RST is older than what was acknowledged");
  CHECK(c.client({.flags = rst, .seq = 0}) == track::accept);
  CHECK(c.state() == tcp_state::close);

  tcp_connection assured = established();
  CHECK(assured.client({.flags = rst, .seq = 0}) == track::invalid);
}

TEST_CASE("a RST that answers a passed SYN closes without a look at the window") {
  tcp_connection c = established();
  c.client({.flags = syn, .seq = 900'000});
  CHECK(c.server({.flags = rst_ack, .seq = 0, .ack = 900'001}) == track::accept);
  CHECK(c.state() == tcp_state::close);
  CHECK(c.timeout_s() == 10);

  tcp_connection other_number = established();
  other_number.client({.flags = syn, .seq = 900'000});
  CHECK(other_number.server({.flags = rst_ack, .seq = 0, .ack = 900'002}) != track::accept);
  CHECK(other_number.state() == tcp_state::established);
}

TEST_CASE("a RST of the SYN's own side does not answer it") {
  tcp_connection c = established();
  c.client({.flags = syn, .seq = 900'000});
  CHECK(c.client({.flags = rst_ack, .seq = 3'000'000'000, .ack = 900'001}) == track::invalid);
  CHECK(c.state() == tcp_state::established);
}

TEST_CASE("before any answer the RST to a passed SYN goes through the window check") {
  tcp_connection c;
  c.client({.flags = ack, .seq = 1001, .ack = 5001});
  c.client({.flags = syn, .seq = 900'000});
  CHECK(c.server({.flags = rst_ack, .seq = 5001, .ack = 900'001}) == track::accept);
  CHECK(c.tcp().seen[1].td_maxwin != 0);  // the check has learnt from it
  CHECK(c.kills == 1);
}

TEST_CASE("an assured connection's RST is not believed for acknowledging what an ACK ended with") {
  tcp_connection c = established();
  c.client({.flags = syn, .seq = 900'000});
  c.server({.flags = syn_ack, .seq = 700'000, .ack = 900'001});
  c.server({.flags = ack, .seq = 700'001, .ack = 900'001});
  REQUIRE(c.tcp().last_end == 700'001);
  REQUIRE((c.tcp().seen[0].flags & tcp_flag::maxack_set) == 0);
  CHECK(c.server({.flags = rst_ack, .seq = 2'000'000'000, .ack = 700'001}) == track::invalid);
  CHECK(c.state() == tcp_state::syn_recv);
}

TEST_CASE("a RST to an ACK that was let pass in SYN_SENT ends the half-open connection") {
  tcp_connection c;
  c.client({.flags = syn, .seq = 1000});
  c.server({.flags = ack, .seq = 700'000, .ack = 4711});  // not about this SYN: passed unjudged
  CHECK(c.client({.flags = rst_ack, .seq = 3'000'000'000, .ack = 700'000}) == track::accept);
  CHECK(c.state() == tcp_state::close);

  tcp_connection challenged;  // as RFC 9293 says: the RST's number is what the ACK acknowledged
  challenged.client({.flags = syn, .seq = 1000});
  challenged.server({.flags = ack, .seq = 700'000, .ack = 4711});
  CHECK(challenged.client({.flags = rst, .seq = 4711}) == track::accept);
  CHECK(challenged.state() == tcp_state::close);

  tcp_connection neither;
  neither.client({.flags = syn, .seq = 1000});
  neither.server({.flags = ack, .seq = 700'000, .ack = 4711});
  CHECK(neither.client({.flags = rst, .seq = 4712}) == track::invalid);
  CHECK(neither.state() == tcp_state::syn_sent);
}

TEST_CASE("FINs or RSTs of both sides that do not fit shorten the remaining time to 300 s") {
  const segment_fields bad_from_server = {.flags = rst, .seq = 5000};
  const segment_fields bad_from_client = {.flags = fin_ack, .seq = 1001, .ack = 9000};
  tcp_connection c = established();
  c.wait_s(7);
  CHECK(c.server(bad_from_server) == track::invalid);  // "invalid rst" is not the window's verdict
  CHECK(c.tcp().last_index == tcp_kind::ack);
  CHECK(c.client(bad_from_client) == track::invalid);
  CHECK(c.timeout_s() == 432000 - 7);
  CHECK(c.tcp().last_index == tcp_kind::fin);
  CHECK(c.client(bad_from_client) == track::invalid);  // the same side again says nothing new
  CHECK(c.timeout_s() == 432000 - 7);
  CHECK(c.server({.flags = fin_ack, .seq = 5001, .ack = 9000}) == track::invalid);
  CHECK(c.timeout_s() == 300);
  CHECK(c.state() == tcp_state::established);
}

TEST_CASE(
    "the remaining time is not shortened below two minutes, never lengthened, nor if it is fixed") {
  const segment_fields bad = {.flags = fin_ack, .seq = 1001, .ack = 9000};
  const segment_fields answer = {.flags = fin_ack, .seq = 5001, .ack = 9000};
  const auto after_both = [&](std::uint32_t left_s, std::uint32_t unack_s, std::uint32_t bits) {
    tcp_connection c = established();
    c.settings.tcp_timeout[tcp_timeout_unack] = seconds(unack_s);
    c.client(bad);
    c.ct().set(bits);
    c.set_time_left_s(left_s);
    c.server(answer);
    return c.timeout_s();
  };
  CHECK(after_both(1000, 300, 0) == 300);
  CHECK(after_both(301, 300, 0) == 300);
  CHECK(after_both(200, 300, 0) == 200);
  CHECK(after_both(120, 60, 0) == 60);
  CHECK(after_both(119, 60, 0) == 119);
  CHECK(after_both(1000, 300, status::fixed_timeout) == 1000);
}

TEST_CASE("a connection that is not assured keeps its time when a FIN does not fit") {
  tcp_connection c = half_open();
  c.settings.tcp_timeout[tcp_timeout_unack] = seconds(20);
  c.set_time_left_s(1000);
  CHECK(c.client({.flags = fin_ack, .seq = 1001, .ack = 9000}) == track::invalid);
  CHECK(c.server({.flags = fin_ack, .seq = 5001, .ack = 9000}) == track::invalid);
  CHECK(c.timeout_s() == 1000);
}

TEST_CASE("other packets that do not fit are not remembered") {
  tcp_connection c = established();
  c.client({.flags = fin_ack, .seq = 1001, .ack = 9000});
  CHECK(c.server({.flags = ack, .seq = 5001, .ack = 9000}) == track::invalid);
  CHECK(c.tcp().last_index == tcp_kind::fin);
  CHECK(c.tcp().last_dir == dir::original);
  CHECK(c.timeout_s() == 432000);
}

}  // namespace ct::core::tcp_test
