// SPDX-License-Identifier: BSD-2-Clause
/// The sums themselves.
///
/// The Internet checksum is added in the machine's byte order, 32 bits at a time: a ones'
/// complement sum of swapped bytes is the swapped sum, and all ones is all ones either way (RFC
/// 1071, section 2). CRC32c takes 8 bytes a step from eight tables (Kounavis and Berry, "Novel
/// table lookup-based algorithms for high-performance CRC generation", 2008).
#include "impls/core/checksum.h"

#include "spec/tuple.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace ct::core {
namespace {

static_assert(std::endian::native == std::endian::little, "as spec/tuple.h");

template <class Word>
Word load(const std::byte* at) {
  Word word;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

/// Not folded. At most 64 KiB: 2^14 words of 32 bits do not fill 64.
std::uint64_t add_up(std::span<const std::byte> data) {
  std::uint64_t sum = 0;
  const std::byte* at = data.data();
  std::size_t left = data.size();
  for (; left >= 4; left -= 4, at += 4) sum += load<std::uint32_t>(at);
  if (left >= 2) {
    sum += load<std::uint16_t>(at);
    left -= 2;
    at += 2;
  }
  if (left != 0) sum += std::to_integer<std::uint64_t>(*at);  // padded with a zero behind it
  return sum;
}

/// As the machine adds up two bytes in network order.
constexpr std::uint64_t swapped(std::uint32_t value) {
  return (value >> 8 & 0xff) | (value << 8 & 0xff00);
}

constexpr bool is_all_ones(std::uint64_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return sum == 0xffff;
}

/// Is there nothing to verify, or nothing to verify it by?
bool is_believed(const packet& pkt) {
  return !pkt.is_unverified || pkt.is_fragment || pkt.l4.size() < pkt.l4_bytes;
}

/// Its addresses.
std::uint64_t pseudo_header(const packet& pkt) {
  const std::size_t address_bytes = pkt.l3num == l3num::ipv4 ? 4 : 16;
  return add_up(std::as_bytes(std::span(pkt.src)).first(address_bytes)) +
         add_up(std::as_bytes(std::span(pkt.dst)).first(address_bytes));
}

constexpr std::uint32_t crc32c_polynomial = 0x82f6'3b78;  // 0x1edc6f41, reflected
constexpr std::size_t crc_step = 8;

/// [n][byte]: what the byte does to the remainder, n bytes further on.
constexpr std::array<std::array<std::uint32_t, 256>, crc_step> crc_tables = [] {
  std::array<std::array<std::uint32_t, 256>, crc_step> tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? crc32c_polynomial : 0);
    tables[0][byte] = crc;
  }
  for (std::size_t n = 1; n < crc_step; ++n) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = tables[n - 1][byte];
      tables[n][byte] = before >> 8 ^ tables[0][before & 0xff];
    }
  }
  return tables;
}();

std::uint32_t crc_update(std::uint32_t crc, std::span<const std::byte> data) {
  const std::byte* at = data.data();
  std::size_t left = data.size();
  for (; left >= crc_step; left -= crc_step, at += crc_step) {
    const std::uint64_t eight = load<std::uint64_t>(at) ^ crc;
    crc = 0;
    for (std::size_t n = 0; n < crc_step; ++n) {
      crc ^= crc_tables[crc_step - 1 - n][eight >> (8 * n) & 0xff];
    }
  }
  for (; left != 0; --left, ++at) {
    crc = crc >> 8 ^ crc_tables[0][(crc ^ std::to_integer<std::uint32_t>(*at)) & 0xff];
  }
  return crc;
}

}  // namespace

bool is_sum_right(const packet& pkt, std::uint8_t summed_protonum) noexcept {
  if (is_believed(pkt)) return true;
  return is_all_ones(add_up(pkt.l4) + pseudo_header(pkt) + swapped(summed_protonum) +
                     swapped(pkt.l4_bytes));
}

bool is_partial_checksum_right(const packet& pkt,
                               std::uint8_t summed_protonum,
                               std::size_t covered) noexcept {
  if (is_believed(pkt)) return true;
  const std::uint32_t length = pkt.l3num == l3num::ipv4 ? pkt.l4_bytes & 0xff : pkt.l4_bytes;
  return is_all_ones(add_up(pkt.l4.first(std::min(covered, pkt.l4.size()))) + pseudo_header(pkt) +
                     swapped(summed_protonum) + swapped(length));
}

bool is_icmp_checksum_right(const packet& pkt) noexcept {
  return is_believed(pkt) || is_all_ones(add_up(pkt.l4));
}

std::uint32_t crc32c(std::span<const std::byte> data) noexcept {
  return ~crc_update(~std::uint32_t{0}, data);
}

bool is_crc32c_right(const packet& pkt) noexcept {
  constexpr std::size_t crc_at = 8;
  constexpr std::size_t behind = crc_at + 4;
  if (is_believed(pkt)) return true;
  if (pkt.l4.size() < behind) return false;
  constexpr std::array<std::byte, 4> zeros{};  // in place of the checksum itself
  std::uint32_t crc = crc_update(~std::uint32_t{0}, pkt.l4.first(crc_at));
  crc = crc_update(crc, zeros);
  crc = ~crc_update(crc, pkt.l4.subspan(behind));
  return crc == load<std::uint32_t>(pkt.l4.data() + crc_at);  // least byte first
}

bool is_ipv4_header_sum_right(const packet& pkt) noexcept {
  if (pkt.l3num != l3num::ipv4) return true;
  const std::size_t header_bytes = std::to_integer<std::size_t>(pkt.l3[0] & std::byte{0x0f}) * 4;
  return is_all_ones(add_up(pkt.l3.first(header_bytes)));
}

}  // namespace ct::core
