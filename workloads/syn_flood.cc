// SPDX-License-Identifier: BSD-2-Clause
/// The calendar of a flood, and the bytes of its packets.
#include "workloads/syn_flood.h"

#include "workloads/traffic.h"

#include <algorithm>

namespace ct::workloads {
namespace {

constexpr std::uint32_t request_bytes = 120;
constexpr std::uint32_t answer_bytes = 400;

/// Of a packet: who sends it, what is in it, and how far both sides have counted.
struct step_shape {
  bool is_reply = false;
  std::uint8_t flags = 0;
  std::uint32_t sent_by_client = 0;  ///< sequence numbers used up before this packet
  std::uint32_t sent_by_server = 0;
  std::uint32_t payload_bytes = 0;
};

constexpr std::array<step_shape, flood_steps> shapes = {{
    {false, tcp_flag::syn, 0, 0, 0},
    {true, tcp_flag::syn | tcp_flag::ack, 1, 0, 0},
    {false, tcp_flag::ack, 1, 1, 0},
    {false, tcp_flag::psh | tcp_flag::ack, 1, 1, request_bytes},
    {true, tcp_flag::psh | tcp_flag::ack, 1 + request_bytes, 1, answer_bytes},
    {false, tcp_flag::fin | tcp_flag::ack, 1 + request_bytes, 1 + answer_bytes, 0},
    {true, tcp_flag::fin | tcp_flag::ack, 2 + request_bytes, 1 + answer_bytes, 0},
    {false, tcp_flag::ack, 2 + request_bytes, 2 + answer_bytes, 0},
}};

segment segment_of(const tuple& original, std::uint64_t number, const step_shape& shape) {
  random_source random(number ^ 0x666c6f6f64ULL);
  const auto client = static_cast<std::uint32_t>(random.next()) + shape.sent_by_client;
  const auto server = static_cast<std::uint32_t>(random.next()) + shape.sent_by_server;
  segment out;
  out.flow = shape.is_reply ? reply_of(original) : original;
  out.flags = shape.flags;
  out.seq = shape.is_reply ? server : client;
  if ((shape.flags & tcp_flag::ack) != 0) out.ack = shape.is_reply ? client : server;
  out.payload_bytes = shape.payload_bytes;
  return out;
}

}  // namespace

syn_flood::syn_flood(const syn_flood_options& options)
    : options_(options),
      flows_(options.seed, {.ipv6 = 0, .udp = 0}),
      random_(options.seed ^ 0x73796e666c6f6f64ULL),
      now_(options.begin) {
  options_.connections_per_s = std::max(options_.connections_per_s, 1U);
  options_.step_jiffies = std::max(options_.step_jiffies, 1U);
}

std::uint64_t syn_flood::begun_by(std::uint64_t jiffies64, std::uint64_t per_s) const {
  return (jiffies64 - options_.begin + 1) * per_s / hz;
}

flood_batch syn_flood::next() {
  bytes_.clear();
  lengths_.clear();
  packets_.clear();
  about_.clear();
  const std::uint64_t flood_total = options_.connections * options_.syns_per_connection;
  while (about_.empty()) {
    if (started_ == options_.connections && flooded_ == flood_total && open_.empty()) return {};
    make_packets_of(now_++);
  }
  // The bytes have their final place only now.
  std::size_t at = 0;
  for (const std::size_t length : lengths_) {
    skb packet;
    packet.frame = std::span<const std::byte>(bytes_).subspan(at, length);
    packet.wire_bytes = static_cast<std::uint32_t>(length);
    packet.link = link_type::ethernet;
    packet.jiffies64 = now_ - 1;
    packets_.push_back(packet);
    at += length;
  }
  return {.jiffies64 = now_ - 1, .packets = packets_, .about = about_};
}

/// The flood's share of the jiffy around each packet of the others, so that neither has the first
/// or the last word in it.
void syn_flood::make_packets_of(std::uint64_t jiffies64) {
  const std::uint64_t per_s = options_.connections_per_s;
  const std::uint64_t started = std::min(begun_by(jiffies64, per_s), options_.connections);
  const std::uint64_t flooded = std::min(begun_by(jiffies64, per_s * options_.syns_per_connection),
                                         options_.connections * options_.syns_per_connection);
  std::vector<flood_packet> theirs;
  while (!open_.empty() && open_.front().jiffies64 <= jiffies64) {
    const flood_packet what = open_.front().what;
    open_.pop_front();
    if (given_up_.erase(what.connection) == 0) theirs.push_back(what);
  }
  for (; started_ < started; ++started_) theirs.push_back({.connection = started_});
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    make_flood((flooded - flooded_) / (theirs.size() - i + 1));
    make_step(theirs[i].connection, theirs[i].step);
    const auto step = static_cast<std::size_t>(theirs[i].step);
    if (step + 1 == flood_steps) continue;
    open_.push_back({.jiffies64 = jiffies64 + options_.step_jiffies,
                     .what = {theirs[i].connection, static_cast<flood_step>(step + 1)}});
  }
  make_flood(flooded - flooded_);
}

/// Sources are from 16.0.0.0 to 111.255.255.255, where no client of flows.h is.
void syn_flood::make_flood(std::uint64_t count) {
  flooded_ += count;
  for (; count > 0; --count) {
    segment one;
    const std::uint64_t random = random_.next();
    one.flow = flows_.original(flow_pool::traffic, random_.below(1U << 20));  // its server
    one.flow.src.addr = {static_cast<std::uint8_t>(16 + (random & 0xff) % 96),
                         static_cast<std::uint8_t>(random >> 8),
                         static_cast<std::uint8_t>(random >> 16),
                         static_cast<std::uint8_t>(random >> 24)};
    one.flow.src.id = static_cast<std::uint16_t>(1024 + (random >> 32 & 0x7fff));
    one.flags = tcp_flag::syn;
    one.seq = static_cast<std::uint32_t>(random >> 32);
    const std::size_t begin = bytes_.size();
    append_frame(one, bytes_);
    lengths_.push_back(bytes_.size() - begin);
    about_.push_back({});
  }
}

void syn_flood::make_step(std::uint64_t connection, flood_step step) {
  const tuple original = flows_.original(flow_pool::traffic, connection);
  const std::size_t begin = bytes_.size();
  append_frame(segment_of(original, connection, shapes[static_cast<std::size_t>(step)]), bytes_);
  lengths_.push_back(bytes_.size() - begin);
  about_.push_back({.connection = connection, .step = step});
}

}  // namespace ct::workloads
