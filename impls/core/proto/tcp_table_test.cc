// SPDX-License-Identifier: BSD-2-Clause
/// The transition table against the written one (tcp_table.tsv): as data, and as real packets drive
/// it.
#include "impls/core/proto/tcp_table.h"

#include "impls/core/proto/tcp_connection_suite.h"

#include <array>
#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

namespace ct::core::tcp_test {

namespace {

struct cell {
  dir d = dir::original;
  tcp_kind kind = tcp_kind::none;
  tcp_state from = tcp_state::none;
  tcp_state to = tcp_state::none;
};

tcp_kind kind_named(const std::string& text) {
  const std::map<std::string, tcp_kind> kinds = {{"syn", tcp_kind::syn},
                                                 {"synack", tcp_kind::synack},
                                                 {"fin", tcp_kind::fin},
                                                 {"ack", tcp_kind::ack},
                                                 {"rst", tcp_kind::rst},
                                                 {"none", tcp_kind::none}};
  return kinds.at(text);
}

tcp_state state_named(const std::string& text) {
  if (text == "INVALID") return tcp_state::max;
  if (text == "IGNORE") return tcp_state::ignore;
  for (std::size_t i = 0; i < tcp_state_count; ++i) {
    if (name(static_cast<tcp_state>(i)) == text) return static_cast<tcp_state>(i);
  }
  throw std::runtime_error("tcp_table.tsv: no such state: " + text);
}

std::vector<cell> read_written_table() {
  std::ifstream file(CT_TCP_TABLE);
  REQUIRE(file.is_open());
  std::string line;
  std::getline(file, line);
  REQUIRE(line == "dir\tpacket\told_state\tnew_state");
  std::vector<cell> cells;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string d;
    std::string kind;
    std::string from;
    std::string to;
    words >> d >> kind >> from >> to;
    cells.push_back({d == "REPLY" ? dir::reply : dir::original,
                     kind_named(kind),
                     state_named(from),
                     state_named(to)});
  }
  return cells;
}

/// A connection and what each side sends next, so that every packet is exactly in order.
struct conversation {
  tcp_connection c;
  std::array<std::uint32_t, 2> next = {1000, 0xffff'ffff};  // [dir]; the reply side's wraps at once

  track say(dir d, tcp_kind kind) {
    const std::uint8_t flags = flags_of(kind);
    const track answer = c.send(d, {.flags = flags, .seq = next[index(d)], .ack = next[index(!d)]});
    if (answer == track::accept && (flags & (tcp_header::syn | tcp_header::fin)) != 0) {
      ++next[index(d)];
    }
    return answer;
  }
};

/// Brings a connection into `state` by packets alone.
conversation in_state(tcp_state state) {
  constexpr dir o = dir::original;
  constexpr dir r = dir::reply;
  using script = std::vector<std::pair<dir, tcp_kind>>;
  const script handshake = {{o, tcp_kind::syn}, {r, tcp_kind::synack}, {o, tcp_kind::ack}};
  const script goodbye = {{o, tcp_kind::fin},
                          {r, tcp_kind::ack},
                          {r, tcp_kind::fin},
                          {o, tcp_kind::ack}};
  const auto talk = [](conversation& with, const script& lines, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) with.say(lines[i].first, lines[i].second);
  };
  conversation v;
  switch (state) {
    case tcp_state::none:
      break;
    case tcp_state::syn_sent:
      talk(v, handshake, 1);
      break;
    case tcp_state::syn_recv:
      talk(v, handshake, 2);
      break;
    case tcp_state::syn_sent2:
      talk(v, {{o, tcp_kind::syn}, {r, tcp_kind::syn}}, 2);
      break;
    case tcp_state::established:
      talk(v, handshake, 3);
      break;
    case tcp_state::fin_wait:
      talk(v, handshake, 3);
      talk(v, goodbye, 1);
      break;
    case tcp_state::close_wait:
      talk(v, handshake, 3);
      talk(v, goodbye, 2);
      break;
    case tcp_state::last_ack:
      talk(v, handshake, 3);
      talk(v, goodbye, 3);
      break;
    case tcp_state::time_wait:
      talk(v, handshake, 3);
      talk(v, goodbye, 4);
      break;
    case tcp_state::close:
      talk(v, handshake, 3);
      talk(v, {{o, tcp_kind::rst}}, 1);
      break;
    case tcp_state::max:
    case tcp_state::ignore:
      break;
  }
  return v;
}

/// Cells that a rule of tcp.cc overrules, each with a test of its own there.
bool is_overruled(const cell& at) {
  return at.kind == tcp_kind::syn && at.to == tcp_state::syn_sent &&
         (at.from == tcp_state::time_wait || at.from == tcp_state::close);
}

std::string describe(const cell& at) {
  std::ostringstream out;
  out << (at.d == dir::reply ? "reply " : "original ") << static_cast<int>(at.kind) << " in "
      << name(at.from) << " -> " << static_cast<int>(at.to);
  return out.str();
}

}  // namespace

TEST_CASE("all 120 cells of the transition table are those of the written table") {
  const std::vector<cell> cells = read_written_table();
  std::map<std::tuple<dir, tcp_kind, tcp_state>, int> seen;
  for (const cell& at : cells) {
    INFO(describe(at));
    CHECK(next_state(at.d, at.kind, at.from) == at.to);
    ++seen[{at.d, at.kind, at.from}];
  }
  CHECK(cells.size() == 120);
  CHECK(seen.size() == 120);  // none twice, so none missing
}

TEST_CASE("each state can be reached by packets") {
  for (std::size_t i = 0; i < tcp_state_count; ++i) {
    const auto state = static_cast<tcp_state>(i);
    INFO(name(state));
    CHECK(in_state(state).c.state() == state);
  }
}

TEST_CASE("packets in order move a connection as the written table says, cell by cell") {
  std::size_t driven = 0;
  for (const cell& at : read_written_table()) {
    if (is_overruled(at)) continue;
    INFO(describe(at));
    conversation v = in_state(at.from);
    REQUIRE(v.c.state() == at.from);
    const track answer = v.say(at.d, at.kind);
    ++driven;
    if (at.to == tcp_state::max) {
      CHECK(answer == track::invalid);
      CHECK(v.c.state() == at.from);
      continue;
    }
    CHECK(answer == track::accept);
    CHECK(v.c.state() == (at.to == tcp_state::ignore ? at.from : at.to));
  }
  CHECK(driven == 117);
}

TEST_CASE("of several flags RST decides the kind, then SYN, FIN, ACK") {
  using tcp_header::cwr, tcp_header::ece, tcp_header::fin, tcp_header::psh, tcp_header::urg;
  CHECK(kind_of(rst | syn | fin | ack) == tcp_kind::rst);
  CHECK(kind_of(syn | fin | ack) == tcp_kind::synack);
  CHECK(kind_of(syn | fin) == tcp_kind::syn);
  CHECK(kind_of(fin | ack) == tcp_kind::fin);
  CHECK(kind_of(fin) == tcp_kind::fin);
  CHECK(kind_of(ack | psh) == tcp_kind::ack);
  CHECK(kind_of(psh | urg | ece | cwr) == tcp_kind::none);
}

TEST_CASE("nine sets of flags are valid, whatever PSH, ECE and CWR say") {
  using tcp_header::cwr, tcp_header::ece, tcp_header::fin, tcp_header::psh, tcp_header::urg;
  const std::vector<unsigned> valid =
      {syn, syn | urg, syn | ack, rst, rst | ack, fin | ack, fin | ack | urg, ack, ack | urg};
  for (unsigned flags = 0; flags < 256; ++flags) {
    const unsigned judged = flags & ~static_cast<unsigned>(psh | ece | cwr);
    const bool expected = std::find(valid.begin(), valid.end(), judged) != valid.end();
    INFO(flags);
    CHECK(are_valid_flags(static_cast<std::uint8_t>(flags)) == expected);
  }
}

TEST_CASE("closing states are the five after a FIN or RST") {
  for (std::size_t i = 0; i < tcp_state_count; ++i) {
    CHECK(is_closing(static_cast<tcp_state>(i)) == (i >= 4 && i <= 8));
  }
}

}  // namespace ct::core::tcp_test
