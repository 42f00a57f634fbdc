// SPDX-License-Identifier: BSD-2-Clause
/// SCTP beside its table: tags, collisions, heartbeats, what may stand in a packet, timeouts.
///
/// What a live 6.18.44 answers to the same packets.
#include "impls/core/proto/sctp_flow_suite.h"
#include "spec/jiffies.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <rapidcheck/catch.h>
#include <string>
#include <vector>

namespace ct::core::sctp_test {

namespace {

constexpr dir o = dir::original;
constexpr dir r = dir::reply;
constexpr std::uint32_t strange_tag = 0x7777;

bytes one(std::uint8_t chunk_type, std::uint8_t flags = 0) {
  return chunk({.type = chunk_type, .flags = flags}, build::payload(4));
}
bytes both(const bytes& first, const bytes& second) {
  bytes out = first;
  build::append(out, second);
  return out;
}
sctp_flow established() { return in_state(sctp_state::established); }
std::string reason(const sctp_flow& f) { return f.flow.reason != nullptr ? f.flow.reason : ""; }

}  // namespace

TEST_CASE("an association from INIT to SHUTDOWN_COMPLETE: states, timeouts, ASSURED") {
  struct line {
    dir d;
    std::uint8_t chunk_type;
    sctp_state state;
    std::uint32_t timeout_s;
    bool is_assured;
  };
  sctp_flow f;
  for (const line& at : {line{o, type::init, sctp_state::closed, 10, false},
                         line{r, type::init_ack, sctp_state::cookie_wait, 3, false},
                         line{o, type::cookie_echo, sctp_state::cookie_echoed, 3, false},
                         line{r, type::cookie_ack, sctp_state::established, 210, true},
                         line{o, type::data, sctp_state::established, 210, true},
                         line{o, type::shutdown, sctp_state::shutdown_sent, 3, true},
                         line{r, type::shutdown_ack, sctp_state::shutdown_ack_sent, 3, true},
                         line{o, type::shutdown_complete, sctp_state::closed, 10, true}}) {
    CAPTURE(static_cast<int>(at.chunk_type));
    f.flow.advance(seconds(1));
    CHECK(f.say(at.d, at.chunk_type) == track::accept);
    CHECK(f.state() == at.state);
    CHECK(f.flow.left() == seconds(at.timeout_s));
    CHECK(f.flow.is_assured() == at.is_assured);
  }
  CHECK(f.vtag(r) == client_tag);
  CHECK(f.vtag(o) == server_tag);
}

TEST_CASE("a path that begins with a heartbeat waits 30 s and is established by the answer") {
  sctp_flow f = in_state(sctp_state::heartbeat_sent);
  CHECK(f.flow.left() == seconds(30));
  CHECK(f.vtag(o) == server_tag);
  CHECK(f.send({r, client_tag}, one(type::heartbeat_ack)) == track::accept);
  CHECK(f.state() == sctp_state::established);
  CHECK(f.flow.left() == seconds(210));
  CHECK(f.flow.is_assured());
  CHECK(f.vtag(r) == client_tag);
}

TEST_CASE("timeouts of SCTP come from the policy of the netns, one for each state") {
  for (std::size_t i = 1; i < sctp_state_count; ++i) {
    sctp_flow f = in_state(static_cast<sctp_state>(i));
    f.flow.policy.sctp_timeout[i] = 77;
    // Its state stays, and so does its timeout but for this.
    CHECK(f.send({o, f.vtag(o)}, one(type::data)) == track::accept);
    CHECK(f.flow.left() == 77);
  }
}

TEST_CASE("what cannot begin an association is INVALID") {
  for (const std::uint8_t chunk_type :
       {type::data, type::abort, type::shutdown_complete, type::cookie_ack, std::uint8_t{3}}) {
    CAPTURE(static_cast<int>(chunk_type));
    sctp_flow f;
    CHECK(f.say(o, chunk_type) == track::invalid);
    CHECK(reason(f) == "sctp: does not begin an association");
  }
  sctp_flow with_data;
  CHECK(with_data.send({o, 0}, both(one(type::heartbeat), one(type::data))) == track::invalid);
  sctp_flow tagged;
  CHECK(tagged.send({o, 1}, init_chunk(type::init, client_tag)) == track::invalid);
  CHECK(reason(tagged) == "sctp: INIT with a verification tag");
  sctp_flow late_ack;
  CHECK(late_ack.send({o, 5}, one(type::shutdown_ack)) == track::accept);
  CHECK(late_ack.state() == sctp_state::shutdown_ack_sent);
  CHECK(late_ack.send({r, 5}, one(type::shutdown_complete)) == track::accept);
}

TEST_CASE("a packet must carry the tag of its direction, the other one does not do") {
  for (const dir d : {o, r}) {
    sctp_flow f = established();
    f.flow.advance(seconds(5));
    for (const std::uint32_t wrong : {f.vtag(!d), strange_tag, 0U}) {
      for (const std::uint8_t chunk_type :
           {type::data, type::shutdown, type::error, type::cookie_echo}) {
        CHECK(f.send({d, wrong}, one(chunk_type)) == track::invalid);
        CHECK(reason(f) == "sctp: wrong verification tag");
      }
      CHECK(f.send({d, wrong}, one(type::cookie_ack)) == track::invalid);
      CHECK(f.send({d, wrong}, init_chunk(type::init_ack, 1)) == track::invalid);
    }
    CHECK(f.state() == sctp_state::established);
    CHECK(f.flow.left() == seconds(205));
    CHECK(f.send({d, f.vtag(d)}, one(type::data)) == track::accept);
  }
}

TEST_CASE("ABORT and SHUTDOWN_COMPLETE carry their own tag, or with T the tag that came") {
  for (const std::uint8_t chunk_type : {type::abort, type::shutdown_complete}) {
    for (const dir d : {o, r}) {
      for (const bool is_reflected : {false, true}) {
        for (const bool is_own : {false, true}) {
          sctp_flow f = in_state(sctp_state::shutdown_ack_sent);
          const std::uint32_t tag = f.vtag(is_own ? d : !d);
          const bool is_right = is_own != is_reflected;
          CHECK(f.send({d, tag}, one(chunk_type, is_reflected ? 1 : 0)) ==
                (is_right ? track::accept : track::invalid));
          CHECK((f.state() == sctp_state::closed) == is_right);
        }
      }
      sctp_flow f = in_state(sctp_state::shutdown_ack_sent);
      CHECK(f.send({d, strange_tag}, one(chunk_type, 0)) == track::invalid);
      CHECK(f.send({d, strange_tag}, one(chunk_type, 1)) == track::invalid);
    }
  }
}

TEST_CASE("an INIT repeated in CLOSED does not keep the entry alive, with a new tag neither") {
  sctp_flow f = in_state(sctp_state::closed);
  for (const std::uint32_t tag : {client_tag, strange_tag}) {
    f.flow.advance(seconds(2));
    CHECK(f.send({o, 0}, init_chunk(type::init, tag)) == track::accept);
    CHECK(f.vtag(r) == tag);
  }
  CHECK(f.flow.left() == seconds(6));
  CHECK(f.send({o, 1}, init_chunk(type::init, client_tag)) == track::invalid);
}

TEST_CASE("a late INIT_ACK cannot change a tag that was agreed on") {
  sctp_flow f = established();
  CHECK(f.send({r, f.vtag(r)}, init_chunk(type::init_ack, strange_tag)) == track::invalid);
  CHECK(reason(f) == "sctp: INIT_ACK changes a tag that is agreed on");
  CHECK(f.vtag(o) == server_tag);
  CHECK(f.send({r, f.vtag(r)}, init_chunk(type::init_ack, server_tag)) == track::accept);
  CHECK(f.state() == sctp_state::established);
}

TEST_CASE("INITs that cross are told apart by the tags that their answers confirm") {
  sctp_flow f = in_state(sctp_state::closed);
  CHECK(f.send({r, 0}, init_chunk(type::init, server_tag)) == track::accept);
  CHECK(f.data().has_init[0]);
  CHECK(f.data().has_init[1]);
  // Each answers the other's INIT: its own tag is known by its own INIT.
  CHECK(f.send({r, client_tag}, init_chunk(type::init_ack, strange_tag)) == track::invalid);
  CHECK(f.send({r, client_tag}, init_chunk(type::init_ack, server_tag)) == track::accept);
  CHECK(f.send({o, server_tag}, init_chunk(type::init_ack, strange_tag)) == track::invalid);
  CHECK(f.send({o, server_tag}, init_chunk(type::init_ack, client_tag)) == track::accept);
  CHECK(f.send({o, server_tag}, one(type::cookie_echo)) == track::accept);
  CHECK(f.send({r, client_tag}, one(type::cookie_ack)) == track::accept);
  CHECK(f.state() == sctp_state::established);
  CHECK_FALSE(f.data().has_init[0]);
  CHECK_FALSE(f.data().has_init[1]);
}

TEST_CASE("of crossed INITs a repeated one changes nothing, a new one ends the collision") {
  sctp_flow f = in_state(sctp_state::closed);
  CHECK(f.send({r, 0}, init_chunk(type::init, server_tag)) == track::accept);
  SECTION("repeated") {
    CHECK(f.send({o, 0}, init_chunk(type::init, client_tag)) == track::accept);
    CHECK(f.data().has_init[0]);
    CHECK(f.data().has_init[1]);
    CHECK(f.send({r, client_tag}, init_chunk(type::init_ack, strange_tag)) == track::invalid);
  }
  SECTION("new: the other side's answer is now believed, whatever its tag") {
    CHECK(f.send({o, 0}, init_chunk(type::init, 0x8888)) == track::accept);
    CHECK(f.data().has_init[0]);
    CHECK_FALSE(f.data().has_init[1]);
    CHECK(f.send({r, 0x8888}, init_chunk(type::init_ack, strange_tag)) == track::accept);
    CHECK(f.vtag(o) == strange_tag);
  }
}

TEST_CASE("a change of state is an event, and so is becoming ASSURED") {
  sctp_flow f = in_state(sctp_state::cookie_echoed);
  f.flow.ct.ecache.init(all_events);
  CHECK(f.say(r, type::cookie_ack) == track::accept);
  CHECK(f.flow.ct.ecache.take() == (bit(event::protoinfo) | bit(event::assured)));
  CHECK(f.say(o, type::data) == track::accept);
  CHECK(f.flow.ct.ecache.take() == 0);
  CHECK(f.say(o, type::shutdown) == track::accept);
  CHECK(f.flow.ct.ecache.take() == bit(event::protoinfo));
}

TEST_CASE("an INIT of an established association may renew its tag, if an INIT_ACK answers") {
  sctp_flow f = established();
  f.flow.advance(seconds(10));
  CHECK(f.send({o, 0}, init_chunk(type::init, strange_tag)) == track::accept);
  CHECK(f.state() == sctp_state::established);
  CHECK(f.flow.left() == seconds(210));
  CHECK(f.vtag(r) == strange_tag);
  CHECK(f.send({r, strange_tag}, init_chunk(type::init_ack, 0x8888)) == track::accept);
  CHECK(f.vtag(o) == 0x8888);
}

TEST_CASE("a strange heartbeat passes without a refresh, and the answer to it renews the tags") {
  sctp_flow f = established();
  f.flow.policy.acct = true;
  f.flow.advance(seconds(10));
  CHECK(f.send({o, strange_tag}, one(type::heartbeat)) == track::accept);
  CHECK(f.flow.left() == seconds(200));
  CHECK(f.vtag(o) == server_tag);
  SECTION("answered by the other side with a tag of its own") {
    CHECK(f.send({r, 0x8888}, one(type::heartbeat_ack)) == track::accept);
    CHECK(f.vtag(r) == 0x8888);
    CHECK(f.vtag(o) == 0);  // until its next heartbeat
    CHECK(f.flow.left() == seconds(210));
    CHECK(f.send({o, strange_tag}, one(type::data)) == track::invalid);
    CHECK(f.send({o, strange_tag}, one(type::heartbeat)) == track::accept);
    CHECK(f.vtag(o) == strange_tag);
    CHECK(f.send({o, strange_tag}, one(type::data)) == track::accept);
  }
  SECTION("answered by its own side") {
    CHECK(f.send({o, 0x8888}, one(type::heartbeat_ack)) == track::invalid);
    CHECK(f.vtag(o) == server_tag);
  }
  SECTION("forgotten once a heartbeat with the right tag came") {
    CHECK(f.send({o, server_tag}, one(type::heartbeat)) == track::accept);
    CHECK(f.send({r, 0x8888}, one(type::heartbeat_ack)) == track::invalid);
  }
  SECTION("forgotten once an answer with the right tag came") {
    CHECK(f.send({r, client_tag}, one(type::heartbeat_ack)) == track::accept);
    CHECK(f.send({r, 0x8888}, one(type::heartbeat_ack)) == track::invalid);
  }
}

TEST_CASE("a strange heartbeat or answer beside DATA, or twice, is INVALID") {
  sctp_flow f = established();
  CHECK(f.send({r, 0x8888}, one(type::heartbeat_ack)) == track::invalid);
  CHECK(f.send({o, strange_tag}, both(one(type::heartbeat), one(type::data))) == track::invalid);
  CHECK_FALSE(f.data().heartbeat_failed);
  CHECK(f.send({o, strange_tag}, both(one(type::heartbeat), one(type::heartbeat))) ==
        track::invalid);
  CHECK(f.data().heartbeat_failed);
  CHECK(f.send({r, 0x8888}, both(one(type::heartbeat_ack), one(type::data))) == track::invalid);
  CHECK(f.vtag(r) == client_tag);
}

TEST_CASE(
    "chunks that may have no company, must be first, or have no length make a packet INVALID") {
  sctp_flow f = established();
  const bytes data = one(type::data);
  const auto refused = [&](const bytes& chunks, const char* why) {
    CHECK(f.send({o, server_tag}, chunks) == track::invalid);
    CHECK(reason(f) == why);
  };
  const char* const lonely = "sctp: INIT, INIT_ACK or SHUTDOWN_COMPLETE with another chunk";
  for (const std::uint8_t chunk_type : {type::init, type::init_ack, type::shutdown_complete}) {
    refused(both(one(chunk_type), data), lonely);
    refused(both(data, one(chunk_type)), lonely);
  }
  for (const std::uint8_t chunk_type : {type::cookie_echo, type::cookie_ack}) {
    refused(both(data, one(chunk_type)), "sctp: COOKIE_ECHO or COOKIE_ACK is not the first chunk");
    CHECK(f.send({o, server_tag}, both(one(chunk_type), data)) == track::accept);
  }
  bytes empty = data;
  build::put16(empty, 2, 0);
  refused(empty, "sctp: chunk of length 0");
  refused(both(data, empty), "sctp: chunk of length 0");
  refused({}, "sctp: no chunk");
  refused(build::payload(3), "sctp: no chunk");
  CHECK(f.state() == sctp_state::established);
}

TEST_CASE("the walk goes by lengths, rounded up, and ends where no header fits any more") {
  sctp_flow f = established();
  bytes longer = one(type::data);
  build::put16(longer, 2, 5000);  // claims what follows, and more
  CHECK(f.send({o, server_tag}, both(longer, one(type::abort))) == track::accept);
  CHECK(f.state() == sctp_state::established);
  bytes shorter = one(type::data);
  build::put16(shorter, 2, 1);  // moves the walk by 4: its value is read as a chunk
  CHECK(f.send({o, server_tag}, shorter) == track::accept);
  const bytes odd = chunk({.type = type::data}, build::payload(5));
  CHECK(f.send({o, server_tag}, both(odd, one(type::shutdown))) == track::accept);
  CHECK(f.state() == sctp_state::shutdown_sent);
  CHECK(f.send({o, server_tag}, both(one(type::data), build::payload(3))) == track::accept);
}

TEST_CASE("what the first chunks of an INVALID packet did stays done") {
  sctp_flow f = established();
  CHECK(f.send({o, server_tag}, both(one(type::shutdown), one(type::abort, 1))) == track::invalid);
  CHECK(f.state() == sctp_state::shutdown_sent);
  CHECK(f.flow.left() == seconds(210));

  // ASSURED too, ahead of any reply that was taken; seen so on a live 6.18.44.
  sctp_flow g = in_state(sctp_state::heartbeat_sent);
  CHECK(g.send({r, client_tag}, both(one(type::heartbeat_ack), one(type::abort, 1))) ==
        track::invalid);
  CHECK(g.state() == sctp_state::established);
  CHECK(g.flow.ct.has(status::assured));
  CHECK_FALSE(g.flow.ct.has(status::seen_reply));
}

TEST_CASE("a header or INIT that is cut is INVALID, and never read behind its end") {
  const bytes l4 =
      build::sctp({.source_port = 4000, .dest_port = 3868}, init_chunk(type::init, client_tag))
          .data;
  for (std::size_t length = 4; length <= l4.size(); ++length) {
    CAPTURE(length);
    bytes cut = l4;
    cut.resize(length);
    const bytes ip = build::ipv4({.src = "10.0.0.1", .dst = "10.0.0.2"}, build::other(132, cut));
    tracked_flow flow(ip);
    CHECK(flow.send(ip) == (length == l4.size() ? track::accept : track::invalid));
    CHECK((flow.reason == nullptr) == (length == l4.size()));
  }
}

TEST_CASE("any bytes as SCTP: accepted, or INVALID with a reason") {
  rc::prop("for every packet", [](std::vector<std::uint8_t> noise) {
    sctp_flow f = established();
    bytes chunks;
    for (const std::uint8_t byte : noise) chunks.push_back(static_cast<std::byte>(byte % 16));
    const dir d = *rc::gen::element(o, r);
    const std::uint32_t tag = *rc::gen::element(0U, client_tag, server_tag, strange_tag);
    const track answer = f.send({d, tag}, chunks);
    RC_ASSERT(answer == track::accept || answer == track::invalid);
    RC_ASSERT((answer == track::accept) == (f.flow.reason == nullptr));
    RC_ASSERT(f.state() < sctp_state::max);
    RC_CLASSIFY(answer == track::accept, "accepted");
  });
}

}  // namespace ct::core::sctp_test
