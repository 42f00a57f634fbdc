// SPDX-License-Identifier: BSD-2-Clause
/// One function a protocol.
#include "harness/fuzz/tracker_moves.h"

#include <algorithm>

namespace ct::harness::fuzz {
namespace {

using build::bytes;
using build::layer4;
using build::raw;
using build::tcp_bit::fin;
using build::tcp_bit::syn;

/// A byte as a small number of either sign.
std::uint32_t near(input_reader& input) {
  return static_cast<std::uint32_t>(static_cast<std::int8_t>(input.u8()));
}

/// 0, 1, a few or many bytes.
std::size_t length_of(unsigned choice, input_reader& input) {
  switch (choice % 4) {
    case 0:
      return 0;
    case 1:
      return 1;
    case 2:
      return input.u8();
    default:
      return 1400;
  }
}

std::uint32_t sequence_of(unsigned choice, const conversation::end& own, input_reader& input) {
  switch (choice % 8) {
    case 0:
      return own.next;
    case 1:
      return own.next - 1;
    case 2:
      return own.before;
    case 3:
      return own.next + own.window;
    case 4:
      return own.begun;
    case 5:
      return input.u32();
    case 6:
      return own.next + near(input);
    default:
      return own.next + 0x8000'0000;
  }
}

std::uint32_t acknowledgment_of(unsigned choice,
                                const conversation::end& other,
                                input_reader& input) {
  switch (choice % 8) {
    case 0:
      return other.next;
    case 1:
      return other.next - 1;
    case 2:
      return other.begun + 1;
    case 3:
      return other.next + near(input);
    case 4:
      return 0;
    case 5:
      return other.next + 66'000;
    case 6:
      return other.before;
    default:
      return input.u32();
  }
}

bytes sack_block(std::uint32_t from, std::uint32_t to) {
  bytes block = raw({1, 1, 5, 10, 0, 0, 0, 0, 0, 0, 0, 0});
  build::put32(block, 4, from);
  build::put32(block, 8, to);
  return block;
}

bytes tcp_options(unsigned choice, const conversation::end& other, input_reader& input) {
  constexpr std::size_t options_max = 40;
  switch (choice % 8) {
    case 1:
      return raw({3, 3, input.below(17)});
    case 2:
      return raw({4, 2});
    case 3:
      return raw({1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2});
    case 4:
      return sack_block(other.next + near(input), other.next + input.u8());
    case 5:
      return raw({2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, input.below(15)});
    case 6: {
      const auto any = input.bytes(input.below(options_max + 1));
      return bytes(any.begin(), any.end());
    }
    default:
      return {};
  }
}

layer4 tcp_move(conversation& talk, dir d, input_reader& input) {
  constexpr std::uint32_t window_unit = 257;
  conversation::end& own = talk.ends[index(d)];
  const conversation::end& other = talk.ends[index(!d)];
  const std::uint8_t flags = input.u8();
  const unsigned numbers = input.u8();
  const unsigned shape = input.u8();
  const std::uint32_t window = input.u8() * window_unit;
  const std::uint32_t seq = sequence_of(numbers, own, input);
  const std::uint32_t ack = acknowledgment_of(numbers >> 3, other, input);
  const std::size_t length = length_of(numbers >> 6, input);
  layer4 l4 = build::tcp({.source_port = talk.port(true, d),
                          .dest_port = talk.port(false, d),
                          .seq = seq,
                          .ack = ack,
                          .flags = flags,
                          .window = static_cast<std::uint16_t>(window),
                          .options = tcp_options(shape, other, input)},
                         bytes(length));
  const auto sent = static_cast<std::uint32_t>(length);
  if ((flags & syn) != 0) own.begun = seq;
  own.before = seq;
  own.next = seq + sent + ((flags & (syn | fin)) != 0 ? 1 : 0);
  own.window = window;
  if ((shape & 8) == 0) return l4;
  // Wrong on purpose: a header length that is not right, or a packet that breaks off.
  constexpr std::size_t data_offset_at = 12;
  if ((shape & 16) != 0) build::put8(l4.data, data_offset_at, input.u8());
  if ((shape & 16) == 0) l4.data.resize(std::min<std::size_t>(l4.data.size(), input.u8()));
  if (l4.data.size() < l4.checksum_at + 2) l4.checksum_at = 0;
  return l4;
}

/// A chunk of any type; INIT and INIT_ACK tell the tag that their sender wants to read.
bytes any_chunk(conversation& talk, dir d, input_reader& input) {
  constexpr std::uint8_t init = 1;
  constexpr std::uint8_t init_ack = 2;
  constexpr unsigned chunk_types = 17;
  const std::uint8_t type = input.below(chunk_types);
  const std::uint8_t flags = input.u8();
  bytes out;
  if (type == init || type == init_ack) {
    talk.ends[index(d)].tag = flags;
    out = build::init_chunk(type, flags);
  } else {
    out = build::chunk({.type = type == chunk_types - 1 ? std::uint8_t{0xc1} : type,
                        .flags = static_cast<std::uint8_t>(flags & 3)},
                       bytes(flags >> 4));
  }
  if ((flags & 8) != 0) build::put16(out, 2, input.u8());  // a length that is not right
  return out;
}

layer4 sctp_move(conversation& talk, dir d, input_reader& input) {
  const unsigned choice = input.u8();
  bytes chunks;
  // With the tags that were known before this packet.
  const std::uint32_t theirs = talk.ends[index(!d)].tag;
  const std::uint32_t own = talk.ends[index(d)].tag;
  const std::array<std::uint32_t, 4> tags = {theirs, 0, own, theirs + 1};
  for (unsigned i = 0; i <= (choice >> 2) % 3; ++i) {
    build::append(chunks, any_chunk(talk, d, input));
  }
  layer4 l4 = build::sctp({.source_port = talk.port(true, d),
                           .dest_port = talk.port(false, d),
                           .vtag = tags[choice % tags.size()]},
                          chunks);
  if ((choice & 128) != 0) l4.data.resize(std::min<std::size_t>(l4.data.size(), input.u8()));
  return l4;
}

layer4 dccp_move(conversation& talk, dir d, input_reader& input) {
  constexpr unsigned types = 12;
  conversation::end& own = talk.ends[index(d)];
  const std::uint8_t type = input.below(types);
  const unsigned numbers = input.u8();
  const std::uint32_t seq = sequence_of(numbers, own, input);
  const std::uint32_t ack = acknowledgment_of(numbers >> 3, talk.ends[index(!d)], input);
  layer4 l4 = build::dccp({.source_port = talk.port(true, d),
                           .dest_port = talk.port(false, d),
                           .type = type,
                           .seq = seq,
                           .ack = ack});
  own.before = seq;
  own.next = seq + 1;
  if ((numbers & 128) != 0) l4.data.resize(std::min<std::size_t>(l4.data.size(), input.u8()));
  if (l4.data.size() < l4.checksum_at + 2) l4.checksum_at = 0;
  return l4;
}

layer4 udp_move(std::uint8_t protonum, const conversation& talk, dir d, input_reader& input) {
  const unsigned choice = input.u8();
  const std::size_t length = length_of(choice, input);
  const std::uint16_t from = talk.port(true, d);
  const std::uint16_t to = talk.port(false, d);
  const auto coverage = static_cast<std::uint16_t>((choice & 4) != 0 ? 8 : 0);
  layer4 l4 = protonum == ipproto::udp
                  ? build::udp({.source_port = from, .dest_port = to}, bytes(length))
                  : build::udplite({.source_port = from, .dest_port = to, .coverage = coverage},
                                   bytes(length));
  if ((choice & 8) != 0) build::put16(l4.data, 4, input.u8());  // length, or coverage
  if ((choice & 16) != 0) l4.checksum_at = 0;                   // none
  if ((choice & 32) != 0) l4.data.resize(std::min<std::size_t>(l4.data.size(), input.u8()));
  if (l4.data.size() < std::max<std::size_t>(l4.checksum_at + 2, l4.checksum_bytes)) {
    l4.checksum_at = 0;
  }
  return l4;
}

layer4 icmp_move(std::uint8_t protonum, const conversation& talk, dir d, input_reader& input) {
  const unsigned choice = input.u8();
  const bool is_icmp = protonum == ipproto::icmp;
  const unsigned request = is_icmp ? 8 : 128;
  const unsigned answer = is_icmp ? 0 : 129;
  const unsigned type = (choice & 1) != 0 ? input.u8() : (d == dir::original ? request : answer);
  const auto code = static_cast<std::uint8_t>((choice & 2) != 0 ? input.u8() : 0);
  layer4 l4 = build::icmp_of(
      protonum,
      {.type = static_cast<std::uint8_t>(type), .code = code, .id = talk.client_port},
      bytes(length_of(choice >> 2, input)));
  if ((choice & 16) != 0) l4.data.resize(std::min<std::size_t>(l4.data.size(), input.u8()));
  if (l4.data.size() < l4.checksum_at + 2) l4.checksum_at = 0;
  return l4;
}

layer4 gre_move(const conversation& talk, dir d, input_reader& input) {
  const unsigned choice = input.u8();
  layer4 l4 = (choice & 1) != 0
                  ? build::gre(bytes(length_of(choice >> 2, input)),
                               static_cast<std::uint8_t>((choice & 2) != 0 ? input.u8() & 7 : 0))
                  : build::pptp({.call_id = talk.port(false, d), .sequence = 1});
  if ((choice & 16) != 0) l4.data.resize(std::min<std::size_t>(l4.data.size(), input.u8()));
  return l4;
}

}  // namespace

build::layer4 next_move(std::uint8_t protonum, conversation& talk, dir d, input_reader& input) {
  switch (protonum) {
    case ipproto::tcp:
      return tcp_move(talk, d, input);
    case ipproto::sctp:
      return sctp_move(talk, d, input);
    case ipproto::dccp:
      return dccp_move(talk, d, input);
    case ipproto::udp:
    case ipproto::udplite:
      return udp_move(protonum, talk, d, input);
    case ipproto::icmp:
    case ipproto::icmpv6:
      return icmp_move(protonum, talk, d, input);
    case ipproto::gre:
      return gre_move(talk, d, input);
    default:
      return build::other(input.u8(), bytes(input.below(64)));
  }
}

}  // namespace ct::harness::fuzz
