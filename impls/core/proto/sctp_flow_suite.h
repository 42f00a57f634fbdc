// SPDX-License-Identifier: BSD-2-Clause
/// For tests: an SCTP association between 10.0.0.1:4000 and 10.0.0.2:3868, chunk by chunk.
///
///     sctp_flow f;
///     f.send({.d = dir::original, .vtag = 0}, init_chunk(1, 0x11));   // confirms the entry
///     f.state();  // closed
#pragma once

#include "impls/core/packet_suite.h"
#include "impls/core/proto/sctp_chunks.h"
#include "impls/core/proto/sctp_table.h"
#include "impls/core/proto/tracked_flow_suite.h"
#include "spec/nf_conn.h"
#include "spec/tuple.h"

#include <cstdint>
#include <utility>
#include <vector>

namespace ct::core::sctp_test {

namespace type = sctp_chunk_type;
using build::bytes;
using build::chunk;
using build::init_chunk;

inline constexpr std::uint32_t client_tag = 0x1111;  // what the server has to send
inline constexpr std::uint32_t server_tag = 0x2222;  // what the client has to send

inline bytes sctp_packet(dir d, std::uint32_t vtag, const bytes& chunks) {
  return d == dir::original
             ? build::ipv4(
                   {.src = "10.0.0.1", .dst = "10.0.0.2"},
                   build::sctp({.source_port = 4000, .dest_port = 3868, .vtag = vtag}, chunks))
             : build::ipv4(
                   {.src = "10.0.0.2", .dst = "10.0.0.1"},
                   build::sctp({.source_port = 3868, .dest_port = 4000, .vtag = vtag}, chunks));
}

class sctp_flow {
 public:
  tracked_flow flow{sctp_packet(dir::original, 0, {})};

  explicit sctp_flow(sctp_state state = sctp_state::none) { reach(state); }

  struct way {
    dir d = dir::original;
    std::uint32_t vtag = 0;
  };
  track send(way w, const bytes& chunks) {
    const bytes ip = sctp_packet(w.d, w.vtag, chunks);
    const track answer = flow.handle(build::view(ip), w.d);
    if (answer == track::accept && !flow.ct.is_confirmed()) flow.confirm();
    return answer;
  }
  /// A chunk with the tag that its side has to send, and nothing new in it.
  track say(dir d, std::uint8_t chunk_type) {
    const std::uint32_t tag = chunk_type == type::init ? 0 : vtag(d);
    if (chunk_type != type::init && chunk_type != type::init_ack) {
      return send({d, tag}, chunk({.type = chunk_type}));
    }
    const std::uint32_t fresh = d == dir::original ? client_tag : server_tag;
    return send({d, tag}, init_chunk(chunk_type, vtag(!d) != 0 ? vtag(!d) : fresh));
  }
  void talk(const std::vector<std::pair<dir, std::uint8_t>>& lines) {
    for (const auto& [d, chunk_type] : lines) say(d, chunk_type);
  }

  sctp_data& data() { return flow.ct.proto.sctp; }
  sctp_state state() { return data().state; }
  std::uint32_t vtag(dir d) { return data().vtag[index(d)]; }

 private:
  void reach(sctp_state state) {
    constexpr dir o = dir::original;
    constexpr dir r = dir::reply;
    using script = std::vector<std::pair<dir, std::uint8_t>>;
    const script handshake = {{o, type::init},
                              {r, type::init_ack},
                              {o, type::cookie_echo},
                              {r, type::cookie_ack}};
    switch (state) {
      case sctp_state::none:
      case sctp_state::max:
        return;
      case sctp_state::closed:
      case sctp_state::cookie_wait:
      case sctp_state::cookie_echoed:
      case sctp_state::established:
        talk(script(handshake.begin(), handshake.begin() + static_cast<std::ptrdiff_t>(state)));
        return;
      case sctp_state::shutdown_sent:
        talk(handshake);
        talk({{o, type::shutdown}});
        return;
      case sctp_state::shutdown_recd:
        talk(handshake);
        talk({{r, type::shutdown}});
        return;
      case sctp_state::shutdown_ack_sent:
        talk(handshake);
        talk({{o, type::shutdown}, {r, type::shutdown_ack}});
        return;
      case sctp_state::heartbeat_sent:
        send({o, server_tag}, chunk({.type = type::heartbeat}));
        return;
    }
  }
};

/// An association that packets alone brought into `state`.
inline sctp_flow in_state(sctp_state state) { return sctp_flow(state); }

}  // namespace ct::core::sctp_test
