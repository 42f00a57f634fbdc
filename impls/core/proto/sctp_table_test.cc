// SPDX-License-Identifier: BSD-2-Clause
/// The transition table against the written one (sctp_table.tsv): as data, and as real packets
/// drive it.
#include "impls/core/proto/sctp_table.h"

#include "impls/core/proto/sctp_flow_suite.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

namespace ct::core::sctp_test {

namespace {

struct cell {
  dir d = dir::original;
  std::uint8_t chunk = 0;
  sctp_state from = sctp_state::none;
  sctp_state to = sctp_state::none;
};

std::uint8_t chunk_named(const std::string& text) {
  const std::map<std::string, std::uint8_t> chunks = {
      {"INIT", type::init},
      {"INIT_ACK", type::init_ack},
      {"ABORT", type::abort},
      {"SHUTDOWN", type::shutdown},
      {"SHUTDOWN_ACK", type::shutdown_ack},
      {"ERROR", type::error},
      {"COOKIE_ECHO", type::cookie_echo},
      {"COOKIE_ACK", type::cookie_ack},
      {"SHUTDOWN_COMPLETE", type::shutdown_complete},
      {"HEARTBEAT", type::heartbeat},
      {"HEARTBEAT_ACK", type::heartbeat_ack}};
  return chunks.at(text);
}

sctp_state state_named(const std::string& text) {
  if (text == "INVALID") return sctp_state::max;
  for (std::size_t i = 0; i < sctp_state_count; ++i) {
    if (name(static_cast<sctp_state>(i)) == text) return static_cast<sctp_state>(i);
  }
  throw std::runtime_error("sctp_table.tsv: no such state: " + text);
}

std::vector<cell> read_written_table() {
  std::ifstream file(CT_SCTP_TABLE);
  REQUIRE(file.is_open());
  std::string line;
  std::getline(file, line);
  REQUIRE(line == "dir\tpacket\told_state\tnew_state");
  std::vector<cell> cells;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string d;
    std::string chunk_name;
    std::string from;
    std::string to;
    words >> d >> chunk_name >> from >> to;
    cells.push_back({d == "REPLY" ? dir::reply : dir::original,
                     chunk_named(chunk_name),
                     state_named(from),
                     state_named(to)});
  }
  return cells;
}

/// Cells that no packet reaches: a reply before there is an entry, and first packets with a chunk
/// that cannot begin one.
bool is_out_of_reach(const cell& at) {
  return at.from == sctp_state::none &&
         (at.d == dir::reply || at.chunk == type::abort || at.chunk == type::shutdown_complete ||
          at.chunk == type::cookie_ack);
}

std::string describe(const cell& at) {
  std::ostringstream out;
  out << (at.d == dir::reply ? "reply " : "original ") << static_cast<int>(at.chunk) << " in "
      << name(at.from) << " -> " << name(at.to);
  return out.str();
}

}  // namespace

TEST_CASE("all 198 cells of SCTP's transition table are those of the written table") {
  const std::vector<cell> cells = read_written_table();
  std::map<std::tuple<dir, std::uint8_t, sctp_state>, int> seen;
  for (const cell& at : cells) {
    INFO(describe(at));
    CHECK(next_state(at.d, at.chunk, at.from) == at.to);
    ++seen[{at.d, at.chunk, at.from}];
  }
  CHECK(cells.size() == 198);
  CHECK(seen.size() == 198);  // none twice, so none missing
}

TEST_CASE("each state of an association can be reached by packets") {
  for (std::size_t i = 0; i < sctp_state_count; ++i) {
    const auto state = static_cast<sctp_state>(i);
    INFO(name(state));
    CHECK(in_state(state).state() == state);
  }
}

TEST_CASE("chunks with right tags move an association as the written table says, cell by cell") {
  std::size_t driven = 0;
  for (const cell& at : read_written_table()) {
    if (is_out_of_reach(at)) continue;
    INFO(describe(at));
    sctp_flow f = in_state(at.from);
    REQUIRE(f.state() == at.from);
    const track answer = f.say(at.d, at.chunk);
    ++driven;
    CHECK(answer == (at.to == sctp_state::max ? track::invalid : track::accept));
    CHECK(f.state() == (at.to == sctp_state::max ? at.from : at.to));
  }
  CHECK(driven == 184);
}

TEST_CASE("a chunk that is not in the table keeps the state") {
  for (unsigned chunk_type = 0; chunk_type < 256; ++chunk_type) {
    const bool is_listed = sctp_cells::row_of_type[chunk_type] != sctp_cells::no_row;
    CHECK(is_listed == (chunk_type == 1 || chunk_type == 2 ||
                        (chunk_type >= 4 && chunk_type <= 11) || chunk_type == 14));
    if (is_listed) continue;
    for (std::size_t i = 0; i < sctp_state_count; ++i) {
      const auto state = static_cast<sctp_state>(i);
      CHECK(next_state(dir::original, static_cast<std::uint8_t>(chunk_type), state) == state);
      CHECK(next_state(dir::reply, static_cast<std::uint8_t>(chunk_type), state) == state);
    }
  }
}

TEST_CASE("closing states of an association are the three of its shutdown") {
  for (std::size_t i = 0; i < sctp_state_count; ++i) {
    const auto state = static_cast<sctp_state>(i);
    CHECK(is_closing(state) == (i >= 5 && i <= 7));
    if (state != sctp_state::none) {
      const sctp_flow f = in_state(state);
      CHECK(sctp_l4proto.can_early_drop(f.flow.ct) == is_closing(state));
    }
  }
}

}  // namespace ct::core::sctp_test
