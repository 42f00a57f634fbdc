// SPDX-License-Identifier: BSD-2-Clause
/// Text of packets and entries; the capture format is pcap's classic one, by hand.
#include "harness/conform/lanes.h"

#include "harness/conform/packet_reading.h"
#include "spec/jiffies.h"

#include <algorithm>
#include <fmt/format.h>

namespace ct::harness::conform {
namespace {

std::string cell_text(const skb& s, const std::optional<conn>& entry) {
  std::string text = s.verdict == verdict::accept ? std::string(name(s.info)) : "DROP";
  if (!entry) return text + ", no entry";
  text += ",";
  if (entry->tuples[0].dst.protonum == ipproto::tcp) {
    text += fmt::format(" {}", name(entry->tcp));
    text += fmt::format(" flags {:#x}/{:#x} scale {}/{}",
                        entry->tcp_flags[0],
                        entry->tcp_flags[1],
                        entry->tcp_scale[0],
                        entry->tcp_scale[1]);
  }
  if (entry->tuples[0].dst.protonum == ipproto::sctp) text += fmt::format(" {}", name(entry->sctp));
  text += fmt::format(" {} s status {:#x}",
                      entry->timeout_jiffies / static_cast<std::int32_t>(hz),
                      entry->status);
  if (entry->mark != 0) text += fmt::format(" mark {}", entry->mark);
  return text;
}

std::string packet_text(const walked_packet& packet) {
  std::string text;
  if (packet.pause_ms != 0) text += fmt::format("(after {} ms) ", packet.pause_ms);
  text += describe(packet.ip);
  if (packet.zone_id != 0) text += fmt::format(" zone {}", packet.zone_id);
  if (packet.mark != 0) text += fmt::format(" mark {}", packet.mark);
  return text;
}

void put(std::string& to, std::uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) to += static_cast<char>(value >> (8 * i) & 0xff);
}

}  // namespace

std::vector<lane> make_lanes(lockstep& pair, std::span<const walked_packet> packets) {
  std::vector<lane> lanes;
  run_options options = {.is_deep = true};
  options.seen = [&lanes](const seen_packet& seen) {
    std::string reason = seen.our_skb.reason == nullptr ? "" : seen.our_skb.reason;
    if (!reason.empty()) reason = " (" + reason + ")";
    lanes.push_back({.packet = packet_text(*seen.packet),
                     .ours = cell_text(seen.our_skb, seen.our_entry) + reason,
                     .theirs = cell_text(seen.their_skb, seen.their_entry)});
  };
  (void)pair.run(packets, options);
  return lanes;
}

std::string lanes_text(const finding& of, std::string_view our_name, std::string_view their_name) {
  std::string text;
  for (std::size_t i = 0; i < of.lanes.size(); ++i) {
    const lane& one = of.lanes[i];
    text += fmt::format("  {:>3}  {}\n", i + 1, one.packet);
    const auto width = static_cast<int>(std::max(our_name.size(), their_name.size()));
    text += fmt::format("         {:<{}}  {}\n", our_name, width, one.ours);
    text += fmt::format("         {:<{}}  {}\n", their_name, width, one.theirs);
  }
  text +=
      fmt::format("       {} of {}: {} {}; {} {}\n",
                  of.what.field,
                  of.what.packet < of.packets.size() ? fmt::format("packet {}", of.what.packet + 1)
                                                     : std::string("the end"),
                  our_name,
                  of.what.ours,
                  their_name,
                  of.what.theirs);
  return text;
}

std::string pcap_of(std::span<const walked_packet> packets) {
  constexpr std::uint32_t magic_us = 0xa1b2c3d4;
  constexpr std::uint32_t ms_per_s = 1000;
  std::string file;
  put(file, magic_us, 4);
  put(file, 2, 2);
  put(file, 4, 2);
  put(file, 0, 4);
  put(file, 0, 4);
  put(file, 65535, 4);
  put(file, static_cast<std::uint32_t>(link_type::raw), 4);
  std::uint32_t at_ms = 0;
  for (const walked_packet& packet : packets) {
    at_ms += 1 + packet.pause_ms;
    put(file, at_ms / ms_per_s, 4);
    put(file, at_ms % ms_per_s * 1000, 4);
    put(file, static_cast<std::uint32_t>(packet.ip.size()), 4);
    put(file, static_cast<std::uint32_t>(packet.ip.size()), 4);
    for (const std::byte byte : packet.ip) file += static_cast<char>(byte);
  }
  return file;
}

}  // namespace ct::harness::conform
