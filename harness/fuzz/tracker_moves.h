// SPDX-License-Identifier: BSD-2-Clause
/// What one end of a conversation may send next, by a few bytes: the moves of target `tracker`.
///
/// Numbers are chosen relative to what the ends have sent so far (next, repeated, at the edge of a
/// window, from before), so that a few bytes lead deep into a tracker; anything else can be said
/// too.
#pragma once

#include "harness/fuzz/input.h"
#include "spec/nf_conn.h"
#include "workloads/packet_builder.h"

#include <array>
#include <cstdint>

namespace ct::harness::fuzz {

/// What the ends of one conversation have come to.
struct conversation {
  struct end {
    std::uint32_t begun = 0;   ///< first sequence number
    std::uint32_t before = 0;  ///< where the last packet began
    std::uint32_t next = 0;
    std::uint32_t window = 65535;
    std::uint32_t tag = 0;  ///< SCTP: what it wants to read
  };
  std::uint16_t client_port = 1000;
  std::uint16_t server_port = 80;
  std::array<end, 2> ends{{{.begun = 1000, .before = 1000, .next = 1000, .tag = 0x11},
                           {.begun = 0xffff'ff00,  // wraps soon
                            .before = 0xffff'ff00,
                            .next = 0xffff'ff00,
                            .tag = 0x22}}};

  std::uint16_t port(bool is_source, dir d) const {
    return is_source == (d == dir::original) ? client_port : server_port;
  }
};

/// The protocols of the target, in the order of their numbers in an input.
inline constexpr std::array<std::uint8_t, 10> move_protocols = {ipproto::tcp,
                                                                ipproto::sctp,
                                                                ipproto::dccp,
                                                                ipproto::udp,
                                                                ipproto::icmp,
                                                                ipproto::icmpv6,
                                                                ipproto::gre,
                                                                ipproto::udplite,
                                                                ipproto::tcp,
                                                                0};  // whatever has no tracker

/// The next thing that is sent in that direction.
build::layer4 next_move(std::uint8_t protonum, conversation& talk, dir d, input_reader& input);

}  // namespace ct::harness::fuzz
