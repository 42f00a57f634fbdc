// SPDX-License-Identifier: BSD-2-Clause
/// Link layers by their fixed lengths.
#include "harness/conform/capture_list.h"

#include "harness/conform/packet_reading.h"
#include "workloads/capture.h"
#include "workloads/packet_builder.h"

#include <algorithm>
#include <array>
#include <utility>

namespace ct::harness::conform {
namespace {

using view = std::span<const std::byte>;

constexpr std::int64_t ns_per_ms = 1'000'000;
constexpr std::int64_t gap_ms_min = 1000;
constexpr std::int64_t gap_ms_max = 3000;

unsigned u16(view bytes, std::size_t at) {
  return std::to_integer<unsigned>(bytes[at]) << 8 | std::to_integer<unsigned>(bytes[at + 1]);
}

/// An ethertype at `at`, VLAN tags after it.
std::optional<std::size_t> behind_ethertype(view frame, std::size_t at, std::size_t header) {
  while (frame.size() >= header && frame.size() >= at + 2) {
    const unsigned ethertype = u16(frame, at);
    if (ethertype == 0x0800 || ethertype == 0x86dd) return header;
    if (ethertype != 0x8100 && ethertype != 0x88a8) return std::nullopt;
    at = header + 2;
    header += 4;
  }
  return std::nullopt;
}

/// The length that the IP header gives, or what is there.
std::size_t ip_bytes(view ip) {
  if (ip.size() >= 20 && std::to_integer<unsigned>(ip[0]) >> 4 == 4) return u16(ip, 2);
  if (ip.size() >= 40 && std::to_integer<unsigned>(ip[0]) >> 4 == 6) return 40 + u16(ip, 4);
  return ip.size();
}

/// 127/8, which a router does not forward, becomes 126/8; in the packet that an ICMP error quotes
/// too.
void move_loopback(std::span<std::byte> ip) {
  constexpr std::byte loopback{127};
  if (ip.size() < 20 || std::to_integer<unsigned>(ip[0]) >> 4 != 4) return;
  for (const std::size_t at : {12U, 16U}) {
    if (ip[at] == loopback) ip[at] = std::byte{126};
  }
  constexpr std::byte icmp{1};
  constexpr std::array errors = {std::byte{3},
                                 std::byte{4},
                                 std::byte{5},
                                 std::byte{11},
                                 std::byte{12}};
  const std::size_t header = (std::to_integer<unsigned>(ip[0]) & 15U) * 4;
  if (ip[9] != icmp || header + 8 > ip.size()) return;
  if (std::ranges::find(errors, ip[header]) != errors.end()) move_loopback(ip.subspan(header + 8));
}

void fill_in_checksum(build::bytes& ip) {
  if (ip.size() < 20 || std::to_integer<unsigned>(ip[0]) >> 4 != 4) return;
  const std::size_t header = (std::to_integer<unsigned>(ip[0]) & 15U) * 4;
  if (header < 20 || header > ip.size()) return;
  build::put16(ip, 10, 0);
  build::put16(ip, 10, build::checksum_fold(build::checksum_add(0, view(ip).first(header))));
}

}  // namespace

std::optional<std::size_t> ip_offset(view frame, link_type link) {
  switch (link) {
    case link_type::ethernet:
      return behind_ethertype(frame, 12, 14);
    case link_type::linux_sll:
      return behind_ethertype(frame, 14, 16);
    case link_type::linux_sll2:
      return behind_ethertype(frame, 0, 20);
    case link_type::null:
    case link_type::loop:
      return frame.size() > 4 ? std::optional<std::size_t>(4) : std::nullopt;
    case link_type::raw:
    case link_type::ipv4:
    case link_type::ipv6:
      return 0;
  }
  return std::nullopt;
}

captured_list read_capture(const std::string& path, bool keeps_gaps) {
  workloads::capture from(path);
  captured_list list = {.name = workloads::shown_path(path), .packets = {}};
  std::int64_t last_ns = 0;
  for (auto batch = from.next(); !batch.empty(); batch = from.next()) {
    for (const workloads::captured_packet& one : batch) {
      const auto offset = ip_offset(one.frame, from.link());
      const view ip = offset ? one.frame.subspan(*offset) : view{};
      walked_packet packet = {.ip = build::bytes(ip.begin(), ip.end())};
      move_loopback(packet.ip);
      if (!offset || ip.empty() || !is_forwarded(packet.ip)) {
        ++list.left_out;
        continue;
      }
      const std::size_t on_wire = one.wire_bytes - *offset;
      packet.ip.resize(std::max(ip.size(), std::min(ip_bytes(ip), on_wire)));
      fill_in_checksum(packet.ip);
      const std::int64_t gap_ms = (one.time_ns - last_ns) / ns_per_ms;
      if (keeps_gaps && !list.packets.empty() && gap_ms >= gap_ms_min) {
        packet.pause_ms = static_cast<std::uint32_t>(std::min(gap_ms, gap_ms_max));
      }
      last_ns = one.time_ns;
      list.packets.push_back(std::move(packet));
    }
  }
  if (!from.damage().empty()) throw workloads::input_error(from.damage());
  return list;
}

}  // namespace ct::harness::conform
