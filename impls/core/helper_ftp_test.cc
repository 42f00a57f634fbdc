// SPDX-License-Identifier: BSD-2-Clause
/// The FTP helper over one entry: what it remembers of lines, and that no packet makes it read
/// beyond the captured bytes.
#include "impls/core/helper_ftp.h"

#include "impls/core/expect.h"
#include "impls/core/packet_suite.h"
#include "impls/core/policy.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <rapidcheck.h>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace ct::core {
namespace {

TEST_CASE("two line begins are remembered a direction, the newest ones, across the wrap") {
  ftp_lines lines;
  CHECK(!is_line_begin(lines, dir::original, 0));
  remember_line_begin(lines, dir::original, 0xffff'fff0);
  remember_line_begin(lines, dir::original, 0xffff'fff0);
  CHECK(lines.count[0] == 1);
  remember_line_begin(lines, dir::original, 5);
  CHECK(is_line_begin(lines, dir::original, 0xffff'fff0));
  CHECK(is_line_begin(lines, dir::original, 5));
  CHECK(!is_line_begin(lines, dir::reply, 5));
  remember_line_begin(lines, dir::original, 9);  // the one before the wrap is the oldest
  CHECK(!is_line_begin(lines, dir::original, 0xffff'fff0));
  CHECK(is_line_begin(lines, dir::original, 5));
  CHECK(is_line_begin(lines, dir::original, 9));
  remember_line_begin(lines, dir::original, 0xffff'ff00);  // older than both
  CHECK(!is_line_begin(lines, dir::original, 0xffff'ff00));
  CHECK(is_line_begin(lines, dir::original, 5));
}

/// An entry with the helper, whose client's lines begin at 1000.
class control {
 public:
  control() {
    tuple t;
    t.src.addr = build::addr("10.0.0.1");
    t.src.id = 5000;
    t.dst.addr = build::addr("10.0.0.2");
    t.dst.id = 21;
    t.dst.protonum = ipproto::tcp;
    set(t, dir::original);
    std::swap(t.src.addr, t.dst.addr);
    std::swap(t.src.id, t.dst.id);
    set(t, dir::reply);
    ct.net = &net_;
    ct.help.reset(new nf_conn_help(ftp_helper));
    remember_line_begin(ct.help->ftp, dir::original, 1000);
  }
  ~control() { expects.remove_all_of(ct, stat); }
  control(const control&) = delete;
  control& operator=(const control&) = delete;

  verdict read(const packet& pkt, ctinfo info = ctinfo::established, std::uint32_t now = 0) {
    help_context context{.pkt = pkt,
                         .info = info,
                         .now = now,
                         .ftp_loose = false,
                         .expects = expects,
                         .stat = stat};
    return ftp_helper.help(ct, context);
  }
  static build::bytes segment(const std::string& text) {
    build::bytes data;
    for (const char c : text) data.push_back(static_cast<std::byte>(c));
    return build::ipv4(
        {},
        build::tcp(
            {.source_port = 5000, .dest_port = 21, .seq = 1000, .flags = build::tcp_bit::ack},
            data));
  }

  cpu_statistics stat;
  setting<std::size_t> max = std::size_t{4};
  expect_table expects{64, max, 1};
  nf_conn ct;

 private:
  void set(const tuple& t, dir d) {
    key k;
    k.words = words(t);
    k.words[4] &= ~direction_bits;
    ct.hash_node(d).set(k, d);
  }
  core::policy policy_;
  event_channel::listener_count listening_{0};
  netns net_{0, 3, policy_, listening_};
};

constexpr const char* offer = "PORT 10,0,0,1,20,1\r\n";

TEST_CASE("only packets of an established connection are read") {
  const build::bytes ip = control::segment(offer);
  for (const ctinfo info : {ctinfo::new_, ctinfo::related, ctinfo::related_reply}) {
    control c;
    CHECK(c.read(build::view(ip), info) == verdict::accept);
    CHECK(c.expects.count() == 0);
  }
  control c;
  CHECK(c.read(build::view(ip)) == verdict::accept);
  CHECK(c.expects.count() == 1);
}

TEST_CASE("a segment that the capture cut, a fragment, and one without text are passed over") {
  const build::bytes ip = control::segment(offer);
  const std::size_t headers = 40;
  for (std::size_t captured = headers; captured < ip.size(); ++captured) {
    control c;
    packet pkt;
    REQUIRE(decode_ip(std::span(ip).first(captured), static_cast<std::uint32_t>(ip.size()), pkt) ==
            decode_status::ok);
    CHECK(c.read(pkt) == verdict::accept);
    CHECK(c.expects.count() == 0);
  }
  control c;
  packet fragment = build::view(ip);
  fragment.is_fragment = true;
  CHECK(c.read(fragment) == verdict::accept);
  const build::bytes empty = control::segment("");
  CHECK(c.read(build::view(empty)) == verdict::accept);
  CHECK(c.expects.count() == 0);
}

TEST_CASE("a retransmitted offer replaces its own expectation") {
  const build::bytes ip = control::segment(offer);
  control c;
  for (int i = 0; i < 3; ++i) CHECK(c.read(build::view(ip)) == verdict::accept);
  CHECK(c.expects.count() == 1);
  CHECK(c.stat.expect_create.get() == 3);
  CHECK(c.stat.expect_delete.get() == 2);
}

TEST_CASE("an offer that cannot be expected is dropped") {
  control first;
  control c;
  nf_conn& stranger = first.ct;
  expectation* const exp = expect_table::alloc(stranger);
  exp->tuple.src.addr = {};
  exp->tuple.dst.addr = build::addr("10.0.0.1");
  exp->tuple.dst.id = 20 << 8 | 1;
  exp->tuple.dst.protonum = ipproto::tcp;
  stranger.net = c.ct.net;
  REQUIRE(c.expects.insert(*exp, 0, c.stat) == expect_status::inserted);
  expect_table::put(*exp);
  const build::bytes ip = control::segment(offer);
  CHECK(c.read(build::view(ip)) == verdict::drop);  // it overlaps with another connection's
  CHECK(c.expects.count() == 1);
  c.expects.remove_all_of(stranger, c.stat);
}

TEST_CASE("whatever a TCP packet holds, the helper reads nothing beyond it") {
  const bool holds = rc::check("headers and text changed and cut anywhere", [] {
    const build::bytes whole = control::segment(offer);
    std::vector<std::byte> l4(whole.begin() + 20, whole.end());
    l4.resize(*rc::gen::inRange<std::size_t>(0, l4.size() + 1));
    l4.shrink_to_fit();
    const auto changes = *rc::gen::inRange(0, 4);
    for (int i = 0; i < changes && !l4.empty(); ++i) {
      l4[*rc::gen::inRange<std::size_t>(0, l4.size())] =
          static_cast<std::byte>(*rc::gen::inRange(0, 256));
    }
    packet pkt;
    pkt.protonum = ipproto::tcp;
    pkt.has_l4 = true;
    pkt.l4 = l4;
    pkt.l4_bytes = static_cast<std::uint32_t>(l4.size());
    control c;
    (void)c.read(pkt, *rc::gen::element(ctinfo::established, ctinfo::established_reply));
    RC_ASSERT(c.expects.count() <= 1);
    RC_ASSERT(c.expects.is_valid());
  });
  CHECK(holds);
}

}  // namespace
}  // namespace ct::core
