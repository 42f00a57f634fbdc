// SPDX-License-Identifier: BSD-2-Clause
/// RFC 7693, section 3, for one length of output.
#include "harness/model/blake2b.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

namespace ct::model {
namespace {

static_assert(std::endian::native == std::endian::little, "words are read as they lie");

using words = std::array<std::uint64_t, 8>;
constexpr std::size_t block_bytes = 128;

constexpr words start = {0x6a09e667f3bcc908,
                         0xbb67ae8584caa73b,
                         0x3c6ef372fe94f82b,
                         0xa54ff53a5f1d36f1,
                         0x510e527fade682d1,
                         0x9b05688c2b3e6c1f,
                         0x1f83d9abfb41bd6b,
                         0x5be0cd19137e2179};

constexpr std::array<std::array<std::uint8_t, 16>, 10> order = {{
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
}};

void mix(std::uint64_t& a,
         std::uint64_t& b,
         std::uint64_t& c,
         std::uint64_t& d,
         std::uint64_t x,
         std::uint64_t y) {
  a += b + x;
  d = std::rotr(d ^ a, 32);
  c += d;
  b = std::rotr(b ^ c, 24);
  a += b + y;
  d = std::rotr(d ^ a, 16);
  c += d;
  b = std::rotr(b ^ c, 63);
}

void compress(words& h, std::string_view part, std::uint64_t length, bool is_last) {
  std::array<std::uint64_t, 16> m{};
  std::memcpy(m.data(), part.data(), part.size());
  std::array<std::uint64_t, 16> v{};
  std::ranges::copy(h, v.begin());
  std::ranges::copy(start, v.begin() + 8);
  v[12] ^= length;
  if (is_last) v[14] = ~v[14];
  constexpr std::size_t rounds = 12;
  for (std::size_t round = 0; round < rounds; ++round) {
    const auto& s = order[round % order.size()];
    for (std::size_t i = 0; i < 4; ++i) {
      mix(v[i], v[4 + i], v[8 + i], v[12 + i], m[s[2 * i]], m[s[2 * i + 1]]);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      mix(v[i],
          v[4 + (i + 1) % 4],
          v[8 + (i + 2) % 4],
          v[12 + (i + 3) % 4],
          m[s[8 + 2 * i]],
          m[s[9 + 2 * i]]);
    }
  }
  for (std::size_t i = 0; i < h.size(); ++i) h[i] ^= v[i] ^ v[i + 8];
}

}  // namespace

std::array<std::uint8_t, 16> blake2b_128(std::string_view data) {
  std::array<std::uint8_t, 16> digest{};
  words h = start;
  h[0] ^= 0x01010000 ^ digest.size();  // no key, fan-out and depth 1
  std::uint64_t length = 0;
  for (; data.size() > block_bytes; data.remove_prefix(block_bytes)) {
    length += block_bytes;
    compress(h, data.substr(0, block_bytes), length, false);
  }
  compress(h, data, length + data.size(), true);
  std::memcpy(digest.data(), h.data(), digest.size());
  return digest;
}

}  // namespace ct::model
