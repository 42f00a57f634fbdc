// SPDX-License-Identifier: BSD-2-Clause
/// 128 bits that stand for a state: its bytes under XXH3.
///
/// Two of n states share one with probability below n * n / 2^129: for 10^9 states 1.5e-21. Source:
/// XXH3_128bits() of libxxhash.
#pragma once

#define XXH_INLINE_ALL  // the constant length then leaves one path of the many
#include <compare>
#include <cstdint>
#include <type_traits>
#include <xxhash.h>

namespace ct::model {

/// Never both 0.
struct fingerprint {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  friend auto operator<=>(const fingerprint&, const fingerprint&) = default;
};

template <class State>
fingerprint fingerprint_of(const State& s) {
  static_assert(std::has_unique_object_representations_v<State>);
  const XXH128_hash_t hash = XXH3_128bits(&s, sizeof s);
  return {hash.high64, hash.low64 | static_cast<std::uint64_t>((hash.high64 | hash.low64) == 0)};
}

}  // namespace ct::model
