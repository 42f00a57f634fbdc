// SPDX-License-Identifier: BSD-2-Clause
/// Bounds-checked reads of a TCP header and its options; promises and source in tcp_segment.h.
#include "impls/core/proto/tcp_segment.h"

#include <algorithm>
#include <optional>

namespace ct::core {

namespace {

constexpr std::size_t header_bytes_min = 20;
constexpr std::uint8_t scale_max = 14;  // RFC 7323, section 2.3

// Option kinds and lengths (RFC 9293, 7323, 2018).
constexpr unsigned option_end = 0;
constexpr unsigned option_nop = 1;
constexpr unsigned option_window_scale = 3;
constexpr unsigned option_sack_permitted = 4;
constexpr unsigned option_sack = 5;
constexpr std::size_t window_scale_bytes = 3;
constexpr std::size_t sack_permitted_bytes = 2;
constexpr std::size_t sack_block_bytes = 8;

struct option {
  unsigned kind = 0;
  std::span<const std::byte> value;  // what follows kind and length
};

/// Takes the next option off `rest`. None: the list ends here, in good order or not.
std::optional<option> take_option(std::span<const std::byte>& rest) {
  while (!rest.empty() && std::to_integer<unsigned>(rest[0]) == option_nop) rest = rest.subspan(1);
  if (rest.size() < 2 || std::to_integer<unsigned>(rest[0]) == option_end) return std::nullopt;
  const auto bytes = std::to_integer<std::size_t>(rest[1]);
  if (bytes < 2 || bytes > rest.size()) return std::nullopt;
  const option taken{std::to_integer<unsigned>(rest[0]), rest.subspan(2, bytes - 2)};
  rest = rest.subspan(bytes);
  return taken;
}

}  // namespace

segment_status read_segment(const packet& pkt, tcp_segment& out) noexcept {
  const std::span<const std::byte> l4 = pkt.l4;
  if (l4.size() < header_bytes_min || pkt.l4_bytes < header_bytes_min) return segment_status::cut;
  const std::uint32_t header_bytes = (std::to_integer<std::uint32_t>(l4[12]) >> 4) * 4;
  if (header_bytes < header_bytes_min || header_bytes > pkt.l4_bytes) {
    return segment_status::bad_length;
  }
  out.flags = std::to_integer<std::uint8_t>(l4[13]);
  if (!are_valid_flags(out.flags)) return segment_status::bad_flags;

  out.kind = kind_of(out.flags);
  out.seq = read_be32(l4, 4);
  out.ack = read_be32(l4, 8);
  out.window = read_be16(l4, 14);
  out.end = out.seq + (pkt.l4_bytes - header_bytes) + (out.has(tcp_header::syn) ? 1U : 0U) +
            (out.has(tcp_header::fin) ? 1U : 0U);
  out.has_options = header_bytes > header_bytes_min;
  const std::size_t captured = std::min<std::size_t>(header_bytes, l4.size());
  out.options = l4.subspan(header_bytes_min, captured - header_bytes_min);
  return segment_status::ok;
}

syn_options read_syn_options(const tcp_segment& segment) noexcept {
  syn_options found;
  std::span<const std::byte> rest = segment.options;
  while (const std::optional<option> next = take_option(rest)) {
    const std::size_t bytes = next->value.size() + 2;
    if (next->kind == option_sack_permitted && bytes == sack_permitted_bytes) {
      found.sack_permitted = true;
    } else if (next->kind == option_window_scale && bytes == window_scale_bytes) {
      found.window_scale = true;
      found.scale = std::min(std::to_integer<std::uint8_t>(next->value[0]), scale_max);
    }
  }
  return found;
}

std::uint32_t highest_sack(const tcp_segment& segment) noexcept {
  std::uint32_t highest = segment.ack;
  std::span<const std::byte> rest = segment.options;
  while (const std::optional<option> next = take_option(rest)) {
    const std::span<const std::byte> blocks = next->value;
    if (next->kind != option_sack || blocks.empty() || blocks.size() % sack_block_bytes != 0)
      continue;
    for (std::size_t at = 0; at < blocks.size(); at += sack_block_bytes) {
      const std::uint32_t right_edge = read_be32(blocks, at + 4);
      if (is_after(right_edge, highest)) highest = right_edge;
    }
    break;  // only the first list of blocks counts
  }
  return highest;
}

}  // namespace ct::core
