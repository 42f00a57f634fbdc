// SPDX-License-Identifier: BSD-2-Clause
/// Keys of the tuple hash from a seed: two steps of the generator.
#include "impls/core/hash.h"

#include "spec/random.h"

namespace ct::core {
namespace {

constexpr hash_key expand(std::uint64_t seed) {
  random_source random(seed);
  const std::uint64_t first = random.next();
  return {first, random.next()};
}

}  // namespace

tuple_hash::tuple_hash(hash_kind kind, std::uint64_t seed) noexcept
    : kind_(kind), key_(expand(seed)) {}

}  // namespace ct::core
