// SPDX-License-Identifier: BSD-2-Clause
/// The hash of a tuple: keyed SipHash-2-4 as the kernel's, or XXH3 as a faster one without its
/// promise.
///
/// Hashes the 39 bytes of a tuple ahead of its direction. Zone and netns do not enter as data but
/// change the key: equal tuples of two zones or namespaces hash apart, at no cost. SipHash
/// withstands a sender who chooses tuples to fill one bucket; XXH3 does not claim to, even seeded.
/// Both are specialised for the one length there is; SipHash reads five words, no loop, no tail.
/// Ids are hashed in host byte order (spec/tuple.h), so hashes differ from the kernel's for one
/// key.
///
/// Source: hash_conntrack_raw(), Linux 6.18; Aumasson and Bernstein, "SipHash: a fast short-input
/// PRF", 2012; XXH3_64bits_withSeed() of libxxhash.
#pragma once

#include "spec/ct_system.h"
#include "spec/tuple.h"

#define XXH_INLINE_ALL  // the constant length then leaves one path of the many
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <xxhash.h>

namespace ct::core {

/// The 128-bit key of SipHash.
using hash_key = std::array<std::uint64_t, 2>;

/// SipHash-2-4 of the first 39 bytes of `words`; the 40th, the direction, is not looked at.
constexpr std::uint64_t siphash_tuple(const hash_key& key, const tuple_words& words) noexcept {
  std::uint64_t v0 = key[0] ^ 0x736f6d6570736575ULL;  // "somepseudorandomlygeneratedbytes"
  std::uint64_t v1 = key[1] ^ 0x646f72616e646f6dULL;
  std::uint64_t v2 = key[0] ^ 0x6c7967656e657261ULL;
  std::uint64_t v3 = key[1] ^ 0x7465646279746573ULL;
  const auto round = [&] {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  };
  const auto compress = [&](std::uint64_t word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  };
  for (std::size_t i = 0; i < 4; ++i) compress(words[i]);
  // The last word: seven bytes that are left, and the length in the eighth, where the direction
  // was.
  compress((words[4] & ~direction_bits) | std::uint64_t{tuple_key_bytes} << 56);
  v2 ^= 0xff;
  for (int i = 0; i < 4; ++i) round();
  return v0 ^ v1 ^ v2 ^ v3;
}

/// XXH3 of the same 39 bytes.
inline std::uint64_t xxh3_tuple(std::uint64_t seed, const tuple_words& words) noexcept {
  return XXH3_64bits_withSeed(words.data(), tuple_key_bytes, seed);
}

/// A system's hash. Immutable, shared by all threads.
class tuple_hash {
 public:
  /// Every bit of the keys depends on every bit of `seed`.
  tuple_hash(hash_kind kind, std::uint64_t seed) noexcept;

  /// `zone_id` is the zone's id for the direction of the tuple, `hash_mix` that of its netns.
  std::uint32_t operator()(const tuple_words& words,
                           std::uint16_t zone_id,
                           std::uint32_t hash_mix) const noexcept {
    if (kind_ == hash_kind::siphash) {
      return static_cast<std::uint32_t>(
          siphash_tuple({key_[0] ^ zone_id, key_[1] ^ hash_mix}, words));
    }
    // Zone and mix in different halves, so that they cannot cancel each other.
    const std::uint64_t seed = key_[0] ^ zone_id ^ std::uint64_t{hash_mix} << 32;
    return static_cast<std::uint32_t>(xxh3_tuple(seed, words));
  }

  hash_kind kind() const noexcept { return kind_; }

 private:
  hash_kind kind_;
  hash_key key_;
};

}  // namespace ct::core
