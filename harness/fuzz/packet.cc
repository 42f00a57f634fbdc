// SPDX-License-Identifier: BSD-2-Clause
/// Target `packet`: frames of any bytes, of every link type, through the whole way of a packet.
///
/// An input is a byte of settings, then packets: a byte that says how it comes (link type, zone,
/// cut, held back between `in` and confirm), a byte of time since the last one, two bytes of
/// length, the frame. Checksums of the outermost IPv4 header can be put right on request: no fuzzer
/// guesses them.
#include "harness/fuzz/jury.h"
#include "harness/fuzz/target.h"
#include "spec/jiffies.h"
#include "spec/random.h"
#include "workloads/capture.h"
#include "workloads/packet_builder.h"
#include "workloads/walk.h"

#include <array>

namespace ct::harness::fuzz {
namespace {

constexpr std::array<link_type, 8> links = {link_type::raw,
                                            link_type::ethernet,
                                            link_type::linux_sll,
                                            link_type::linux_sll2,
                                            link_type::null,
                                            link_type::loop,
                                            link_type::ipv4,
                                            link_type::ipv6};
/// So many that batches of 32 are met; few enough to be quick.
constexpr std::size_t packets_max = 40;
constexpr std::size_t held_max = 4;

// Bits of the settings.
constexpr unsigned has_acct = 1;
constexpr unsigned has_dccp = 2;
constexpr unsigned has_events = 4;
constexpr unsigned is_unverified = 8;  ///< nobody has looked at checksums yet
constexpr unsigned is_liberal = 16;
constexpr unsigned has_helper = 32;
// Bits of how a packet comes, above the three of its link type.
constexpr unsigned is_zoned = 8;
constexpr unsigned is_cut = 16;
constexpr unsigned is_summed = 32;  ///< its IPv4 header checksum is put right
constexpr unsigned is_held = 64;
constexpr unsigned is_elsewhere = 128;  ///< in another netns

/// Jiffies of a byte: some jiffies, some seconds, or some minutes.
std::uint64_t wait_of(std::uint8_t code) {
  if (code < 128) return code;
  if (code < 192) return seconds(code - 127U);
  return seconds(60) * (code - 191U);
}

std::size_t link_header_bytes(link_type link) {
  switch (link) {
    case link_type::ethernet:
      return 14;
    case link_type::linux_sll:
      return 16;
    case link_type::linux_sll2:
      return 20;
    case link_type::null:
    case link_type::loop:
      return 4;
    default:
      return 0;
  }
}

/// Only where there is an IPv4 header without options: what is asked for most.
void put_header_sum_right(input_bytes& frame, link_type link) {
  constexpr std::size_t header_bytes = 20;
  constexpr std::size_t sum_at = 10;
  const std::size_t begin = link_header_bytes(link);
  if (frame.size() < begin + header_bytes || frame[begin] != std::byte{0x45}) return;
  build::put16(frame, begin + sum_at, 0);
  const auto header = std::span(frame).subspan(begin, header_bytes);
  build::put16(frame, begin + sum_at, build::checksum_fold(build::checksum_add(0, header)));
}

void read_packets(input_reader& input, jury& all, ip_summed summed) {
  std::size_t held = 0;
  for (std::size_t i = 0; i < packets_max && !input.is_empty() && !all.has_finding(); ++i) {
    const unsigned how = input.u8();
    all.wait(wait_of(input.u8()));
    const std::size_t length = input.u16();
    const auto bytes = input.bytes(length);
    input_bytes frame(bytes.begin(), bytes.end());
    skb packet{.frame = {}, .link = links[how % links.size()], .ip_summed = summed};
    if ((how & is_zoned) != 0) packet.zone = {.id = 1, .directions = std::uint8_t(1 + length % 3)};
    if ((how & is_elsewhere) != 0) packet.net = 1;
    if ((how & is_summed) != 0) put_header_sum_right(frame, packet.link);
    if ((how & is_cut) != 0) packet.wire_bytes = static_cast<std::uint32_t>(frame.size() + 64);
    if ((how & is_held) != 0 && held < held_max) {
      all.hold(packet, frame);
      ++held;
    } else {
      all.add(packet, frame);
    }
  }
}

input_writer& put_packet(input_writer& out,
                         unsigned how,
                         unsigned wait,
                         std::span<const std::byte> frame) {
  return out.u8(how).u8(wait).u16(static_cast<unsigned>(frame.size())).bytes(frame);
}

/// Every protocol that walks know, a mix an input.
void add_walks(std::vector<input_bytes>& seeds) {
  constexpr std::uint64_t mixes = 24;
  constexpr std::size_t bytes_max = 2048;
  for (const workloads::walk_kind& kind : workloads::walk_kinds()) {
    for (std::uint64_t seed = 1; seed <= mixes; ++seed) {
      workloads::walk_mix mix({.kinds = {kind}, .seed = seed, .packets = packets_max});
      input_writer out;
      out.u8(seed % 2 == 0 ? has_acct | has_dccp | has_events : is_unverified | has_events);
      for (std::size_t i = 0; i < packets_max && out.size() < bytes_max; ++i) {
        const unsigned held = i % 8 == 3 ? is_held : 0;
        put_packet(out, held, 1, mix.next().ip);
      }
      seeds.push_back(out.done());
    }
  }
}

/// The first packets of a capture and some of its middle, as they came.
void add_capture(std::vector<input_bytes>& seeds, const std::string& path) {
  constexpr std::size_t inputs_max = 12;
  constexpr std::size_t bytes_max = 1600;
  workloads::capture from(path);
  const auto* const link = std::ranges::find(links, from.link());
  if (link == links.end()) return;
  const auto how = static_cast<unsigned>(link - links.begin());
  input_writer out;
  out.u8(has_acct | has_helper);
  for (std::size_t made = 0; made < inputs_max;) {
    const auto packets = from.next(64);
    if (packets.empty()) break;
    for (const workloads::captured_packet& one : packets) {
      const bool is_short = one.frame.size() <= 200;
      const auto shown = one.frame.first(is_short ? one.frame.size() : 80);
      put_packet(out, how | (is_short ? 0 : is_cut), 2, shown);
      if (out.size() < bytes_max) continue;
      seeds.push_back(out.done());
      ++made;
      out = {};
      out.u8(static_cast<unsigned>(made) % 64);
    }
  }
  if (out.size() > 1) seeds.push_back(out.done());
}

}  // namespace

std::string run_packet(court& from, std::span<const std::byte> input) {
  input_reader reader(input);
  const unsigned settings = reader.u8();
  std::vector<sysctl_setting> sysctls;
  if ((settings & has_acct) != 0) sysctls.push_back({.name = "acct", .value = "1"});
  if ((settings & is_liberal) != 0) sysctls.push_back({.name = "tcp_be_liberal", .value = "1"});
  jury all(from,
           {.has_dccp = (settings & has_dccp) != 0, .has_ftp = (settings & has_helper) != 0},
           sysctls,
           (settings & has_events) != 0);
  read_packets(reader,
               all,
               (settings & is_unverified) != 0 ? ip_summed::none : ip_summed::unnecessary);
  return all.finish();
}

std::vector<input_bytes> packet_seeds(std::span<const std::string> captures) {
  std::vector<input_bytes> seeds;
  add_walks(seeds);
  for (const std::string& path : captures) add_capture(seeds, path);
  return seeds;
}

}  // namespace ct::harness::fuzz
