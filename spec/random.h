// SPDX-License-Identifier: BSD-2-Clause
/// The one generator of random numbers: everything random in a run follows from one printed seed.
///
/// splitmix64 gives the same numbers everywhere, has no bad seeds, and is a jump away from any
/// point of its sequence. Not for secrets. Source: Steele, Lea and Flood, "Fast splittable
/// pseudorandom number generators", OOPSLA 2014.
#pragma once

#include <cstdint>

namespace ct {

class random_source {
 public:
  constexpr explicit random_source(std::uint64_t seed) : state_(seed) {}

  /// 64 random bits; the sequence repeats after 2^64.
  constexpr std::uint64_t next() noexcept {
    state_ += 0x9e3779b97f4a7c15ULL;  // 2^64 / golden ratio, odd
    std::uint64_t z = state_;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
  }

  /// Evenly from [0, bound), but for a bias of less than bound / 2^32; bound > 0.
  constexpr std::uint32_t below(std::uint32_t bound) noexcept {
    return static_cast<std::uint32_t>((next() >> 32) * bound >> 32);
  }

 private:
  std::uint64_t state_;
};

}  // namespace ct
