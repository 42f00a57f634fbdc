// SPDX-License-Identifier: BSD-2-Clause
/// DCCP's table against the written one (dccp_table.tsv), as data and as packets drive it; and the
/// rules beside it.
#include "impls/core/packet_suite.h"
#include "impls/core/proto/dccp_table.h"
#include "impls/core/proto/l4proto.h"
#include "impls/core/proto/tracked_flow_suite.h"
#include "spec/jiffies.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace ct::core {

namespace {

using build::bytes;

constexpr dir o = dir::original;
constexpr dir r = dir::reply;
using type = dccp_type;
using script = std::vector<std::pair<dir, type>>;

/// Numbers of the two handshake packets; the client's first ACK acknowledges the RESPONSE.
constexpr std::uint64_t response_seq = 0x1234'5678'9abc;

bytes packet_of(dir d, type t, std::uint64_t seq = response_seq, std::uint64_t ack = response_seq) {
  const auto number = static_cast<std::uint8_t>(t);
  return d == o ? build::ipv4({.src = "10.0.0.1", .dst = "10.0.0.2"},
                              build::dccp({.source_port = 4000,
                                           .dest_port = 5001,
                                           .type = number,
                                           .seq = seq,
                                           .ack = ack}))
                : build::ipv4({.src = "10.0.0.2", .dst = "10.0.0.1"},
                              build::dccp({.source_port = 5001,
                                           .dest_port = 4000,
                                           .type = number,
                                           .seq = seq,
                                           .ack = ack}));
}

class connection {
 public:
  tracked_flow flow{packet_of(o, type::request), dccp_l4protos};

  explicit connection(const script& lines = {}) {
    for (const auto& [d, t] : lines) say(d, t);
  }
  /// One in `state`, by packets alone.
  explicit connection(dccp_state state) : connection(lines_to(state)) {}

  track send(dir d, const bytes& ip) {
    const track answer = flow.handle(build::view(ip), d);
    if (answer == track::accept && !flow.ct.is_confirmed()) flow.confirm();
    return answer;
  }
  track say(dir d, type t) { return send(d, packet_of(d, t)); }
  dccp_data& data() { return flow.ct.proto.dccp; }
  dccp_state state() { return data().state; }

 private:
  static script lines_to(dccp_state state) {
    const script whole = {{o, type::request},
                          {r, type::response},
                          {o, type::ack},
                          {r, type::dataack},
                          {r, type::closereq},
                          {o, type::close},
                          {r, type::reset}};
    return {whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(state)};
  }
};

struct cell {
  dccp_role sender = dccp_role::client;
  type t = type::request;
  dccp_state from = dccp_state::none;
  dccp_state to = dccp_state::none;
};

type type_named(const std::string& text) {
  const std::map<std::string, type> types = {{"REQUEST", type::request},
                                             {"RESPONSE", type::response},
                                             {"DATA", type::data},
                                             {"ACK", type::ack},
                                             {"DATAACK", type::dataack},
                                             {"CLOSEREQ", type::closereq},
                                             {"CLOSE", type::close},
                                             {"RESET", type::reset},
                                             {"SYNC", type::sync},
                                             {"SYNCACK", type::syncack}};
  return types.at(text);
}

dccp_state state_named(const std::string& text) {
  for (unsigned i = 0; i <= static_cast<unsigned>(dccp_state::invalid); ++i) {
    if (name(static_cast<dccp_state>(i)) == text) return static_cast<dccp_state>(i);
  }
  throw std::runtime_error("dccp_table.tsv: no such state: " + text);
}

std::vector<cell> read_written_table() {
  std::ifstream file(CT_DCCP_TABLE);
  REQUIRE(file.is_open());
  std::string line;
  std::getline(file, line);
  REQUIRE(line == "role\tpacket\told_state\tnew_state");
  std::vector<cell> cells;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string role;
    std::string packet_name;
    std::string from;
    std::string to;
    words >> role >> packet_name >> from >> to;
    cells.push_back({role == "SERVER" ? dccp_role::server : dccp_role::client,
                     type_named(packet_name),
                     state_named(from),
                     state_named(to)});
  }
  return cells;
}

/// Before there is an entry there is no server; and a RESET that is the first answer ends the
/// entry.
bool is_out_of_reach(const cell& at) {
  return (at.from == dccp_state::none && at.sender == dccp_role::server) ||
         (at.from == dccp_state::request && at.t == type::reset);
}
std::string describe(const cell& at) {
  std::ostringstream out;
  out << (at.sender == dccp_role::server ? "server " : "client ") << static_cast<int>(at.t)
      << " in " << name(at.from) << " -> " << name(at.to);
  return out.str();
}

}  // namespace

TEST_CASE("all 160 cells of DCCP's transition table are those of the written table") {
  const std::vector<cell> cells = read_written_table();
  std::map<std::tuple<dccp_role, type, dccp_state>, int> seen;
  for (const cell& at : cells) {
    INFO(describe(at));
    CHECK(next_state(at.sender, at.t, at.from) == at.to);
    ++seen[{at.sender, at.t, at.from}];
  }
  CHECK(cells.size() == 160);
  CHECK(seen.size() == 160);  // none twice, so none missing
}

TEST_CASE("DCCP packets move a connection as the written table says, cell by cell") {
  std::size_t driven = 0;
  for (const cell& at : read_written_table()) {
    if (is_out_of_reach(at)) continue;
    INFO(describe(at));
    connection c(at.from);
    REQUIRE(c.state() == at.from);
    const track answer = c.say(at.sender == dccp_role::client ? o : r, at.t);
    ++driven;
    const bool is_refused = at.to == dccp_state::invalid;
    CHECK(answer == (is_refused ? track::invalid : track::accept));
    CHECK(c.state() == (is_refused || at.to == dccp_state::ignore ? at.from : at.to));
  }
  CHECK(driven == 148);
}

TEST_CASE("a DCCP connection from REQUEST to RESET: states, timeouts, ASSURED") {
  struct line {
    dir d;
    type t;
    dccp_state state;
    std::uint32_t timeout_s;
    bool is_assured;
  };
  connection c;
  for (const line& at : {line{o, type::request, dccp_state::request, 240, false},
                         line{r, type::response, dccp_state::respond, 480, false},
                         line{o, type::ack, dccp_state::partopen, 480, true},
                         line{r, type::dataack, dccp_state::open, 43200, true},
                         line{o, type::data, dccp_state::open, 43200, true},
                         line{r, type::closereq, dccp_state::closereq, 64, true},
                         line{o, type::close, dccp_state::closing, 64, true},
                         line{r, type::reset, dccp_state::timewait, 240, true}}) {
    CAPTURE(static_cast<int>(at.t));
    c.flow.advance(seconds(1));
    CHECK(c.say(at.d, at.t) == track::accept);
    CHECK(c.state() == at.state);
    CHECK(c.flow.left() == seconds(at.timeout_s));
    CHECK(c.flow.is_assured() == at.is_assured);
    CHECK(dccp_l4proto.can_early_drop(c.flow.ct) == is_closing(at.state));
  }
}

TEST_CASE("timeouts of DCCP come from the policy of the netns, one for each state") {
  for (std::size_t i = 1; i + 1 < dccp_state_count; ++i) {
    const script whole = {{o, type::request},
                          {r, type::response},
                          {o, type::ack},
                          {r, type::dataack},
                          {r, type::closereq},
                          {o, type::close}};
    connection c(static_cast<dccp_state>(i - 1));
    c.flow.policy.dccp_timeout[i] = 77;
    CHECK(c.say(whole[i - 1].first, whole[i - 1].second) == track::accept);
    CHECK((i == 1 ? c.flow.timeout() - c.flow.now : c.flow.left()) == 77);
  }
}

TEST_CASE("only an ACK of the RESPONSE makes a DCCP entry ASSURED") {
  connection wrong({{o, type::request}, {r, type::response}});
  CHECK(wrong.send(o, packet_of(o, type::ack, 1, response_seq + 1)) == track::accept);
  CHECK(wrong.state() == dccp_state::partopen);
  CHECK_FALSE(wrong.flow.is_assured());

  connection data({{o, type::request}, {r, type::response}, {o, type::dataack}});
  CHECK(data.state() == dccp_state::partopen);
  CHECK_FALSE(data.flow.is_assured());

  connection cut({{o, type::request}, {r, type::response}});
  bytes l4 = build::dccp({.source_port = 4000, .dest_port = 5001, .type = 3}).data;
  l4.resize(16);  // no acknowledgement there
  build::put8(l4, 4, 4);
  CHECK(cut.send(o, build::ipv4({}, build::other(ipproto::dccp, l4))) == track::accept);
  CHECK(cut.state() == dccp_state::partopen);
  CHECK_FALSE(cut.flow.is_assured());
}

TEST_CASE("a change of DCCP's state is an event; becoming ASSURED is none") {
  connection c({{o, type::request}, {r, type::response}});
  c.flow.ct.ecache.init(all_events);
  CHECK(c.say(o, type::ack) == track::accept);
  CHECK(c.flow.is_assured());
  CHECK(c.flow.ct.ecache.take() == bit(event::protoinfo));
  CHECK(c.say(o, type::ack) == track::accept);
  CHECK(c.say(r, type::sync) == track::accept);
  CHECK(c.flow.ct.ecache.take() == 0);
}

TEST_CASE("short sequence numbers have 24 bits, in another order") {
  connection c({{o, type::request}});
  bytes l4 = build::dccp({.source_port = 5001, .dest_port = 4000, .type = 1}).data;
  build::put8(l4, 8, 1 << 1);  // RESPONSE, not extended
  build::put8(l4, 9, 0x12);
  build::put16(l4, 10, 0x3456);
  CHECK(c.send(r,
               build::ipv4({.src = "10.0.0.2", .dst = "10.0.0.1"},
                           build::other(ipproto::dccp, l4))) == track::accept);
  CHECK(c.data().handshake_seq == 0x12'3456);
}

TEST_CASE("a RESET that is the first answer ends the entry") {
  for (const dir d : {o, r}) {
    connection c({{o, type::request}});
    CHECK(c.say(d, type::reset) == track::accept);
    CHECK(c.flow.kills == 1);
  }
  connection answered({{o, type::request}, {r, type::response}});
  CHECK(answered.say(r, type::reset) == track::accept);
  CHECK(answered.flow.kills == 0);
  CHECK(answered.state() == dccp_state::timewait);
}

TEST_CASE("the server's REQUEST after the end turns the roles round") {
  connection c(dccp_state::timewait);
  CHECK(c.say(r, type::request) == track::accept);
  CHECK(c.state() == dccp_state::request);
  CHECK(c.data().client == r);
  CHECK(c.say(o, type::response) == track::accept);
  CHECK(c.state() == dccp_state::respond);
  CHECK(c.say(r, type::ack) == track::accept);
  CHECK(c.state() == dccp_state::partopen);
}

TEST_CASE("a REQUEST that is ignored was a new beginning if a RESPONSE answers it") {
  connection c(dccp_state::open);
  c.flow.advance(seconds(10));
  CHECK(c.say(r, type::request) == track::accept);
  CHECK(c.state() == dccp_state::open);
  CHECK(c.flow.left() == seconds(43190));  // ignored: no refresh
  SECTION("by the other side, at once") {
    CHECK(c.say(o, type::response) == track::accept);
    CHECK(c.state() == dccp_state::respond);
    CHECK(c.data().client == r);
    CHECK(c.flow.left() == seconds(480));
  }
  SECTION("not by its own side") {
    CHECK(c.say(r, type::response) == track::accept);
    CHECK(c.state() == dccp_state::open);
  }
  SECTION("not after something else") {
    CHECK(c.say(o, type::sync) == track::accept);
    CHECK(c.say(o, type::response) == track::accept);
    CHECK(c.state() == dccp_state::open);
  }
}

TEST_CASE("only a REQUEST begins a DCCP connection, loose or not") {
  for (unsigned t = 0; t < dccp_type_count; ++t) {
    for (const bool is_loose : {false, true}) {
      connection c;
      c.flow.policy.dccp_loose = is_loose;
      const bool begins = t == 0;
      CHECK(c.say(o, static_cast<type>(t)) == (begins ? track::accept : track::invalid));
      CHECK((c.flow.reason == nullptr) == begins);
    }
  }
}

TEST_CASE("DCCP headers that are cut are dropped, impossible ones INVALID") {
  const bytes whole = build::dccp({.source_port = 4000, .dest_port = 5001}, build::payload(8)).data;
  const auto outcome = [&](std::size_t at, unsigned value) {
    bytes l4 = whole;
    build::put8(l4, at, value);
    const bytes ip = build::ipv4({}, build::other(ipproto::dccp, l4));
    connection c;
    const track answer = c.send(o, ip);
    CHECK((c.flow.reason == nullptr) == (answer == track::accept));
    return answer;
  };
  for (unsigned offset = 0; offset < 20; ++offset) {  // in units of 4; 24 bytes are there
    CHECK(outcome(4, offset) == (offset >= 3 && offset <= 6 ? track::accept : track::invalid));
  }
  for (unsigned coverage = 0; coverage < 16; ++coverage) {  // 0 all, else the rest in units of 4
    CHECK(outcome(5, coverage) == (coverage <= 7 ? track::accept : track::invalid));
  }
  for (unsigned t = 0; t < 16; ++t) {
    CHECK(outcome(8, t << 1 | 1) == (t == 0 ? track::accept : track::invalid));
  }
  for (std::size_t length = 4; length < 16; ++length) {
    bytes cut = whole;
    cut.resize(length);
    const bytes ip = build::ipv4({}, build::other(ipproto::dccp, cut));
    connection c;
    CHECK(c.send(o, ip) == track::drop);
    CHECK(c.flow.reason == std::string("dccp: header is cut"));
  }
}

}  // namespace ct::core
