// SPDX-License-Identifier: BSD-2-Clause
/// The tuple hash: right against a second implementation and published vectors, blind for the
/// direction, apart for zones and namespaces, even over buckets.
#include "impls/core/hash.h"

#include <array>
#include <bit>
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <rapidcheck/catch.h>
#include <span>
#include <vector>

namespace ct::core {
namespace {

/// SipHash-2-4 of any length, written byte by byte as the paper says it.
std::uint64_t siphash_of(const hash_key& key, std::span<const std::uint8_t> data) {
  std::array<std::uint64_t, 4> v = {key[0] ^ 0x736f6d6570736575ULL,
                                    key[1] ^ 0x646f72616e646f6dULL,
                                    key[0] ^ 0x6c7967656e657261ULL,
                                    key[1] ^ 0x7465646279746573ULL};
  const auto rounds = [&v](int count) {
    for (int i = 0; i < count; ++i) {
      v[0] += v[1];
      v[2] += v[3];
      v[1] = std::rotl(v[1], 13);
      v[3] = std::rotl(v[3], 16);
      v[1] ^= v[0];
      v[3] ^= v[2];
      v[0] = std::rotl(v[0], 32);
      v[2] += v[1];
      v[0] += v[3];
      v[1] = std::rotl(v[1], 17);
      v[3] = std::rotl(v[3], 21);
      v[1] ^= v[2];
      v[3] ^= v[0];
      v[2] = std::rotl(v[2], 32);
    }
  };
  std::vector<std::uint8_t> padded(data.begin(), data.end());
  while (padded.size() % 8 != 7) padded.push_back(0);
  padded.push_back(static_cast<std::uint8_t>(data.size()));
  for (std::size_t at = 0; at < padded.size(); at += 8) {
    std::uint64_t word = 0;
    for (std::size_t i = 8; i-- > 0;) word = word << 8 | padded[at + i];
    v[3] ^= word;
    rounds(2);
    v[0] ^= word;
  }
  v[2] ^= 0xff;
  rounds(4);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/// Key and input of the paper's appendix: 00 01 02 ...
constexpr hash_key paper_key = {0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL};

std::vector<std::uint8_t> counting(std::size_t count) {
  std::vector<std::uint8_t> out(count);
  for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<std::uint8_t>(i);
  return out;
}

tuple_words from_bytes(const std::vector<std::uint8_t>& bytes) {
  tuple_words out{};
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

tuple sample(std::uint32_t flow) {
  tuple t;
  t.src.addr = {10, 0, 0, 1};
  t.dst.addr = {10,
                0,
                static_cast<std::uint8_t>(flow >> 24),
                static_cast<std::uint8_t>(flow >> 16)};
  t.src.id = static_cast<std::uint16_t>(flow);
  t.dst.id = 80;
  t.dst.protonum = ipproto::tcp;
  return t;
}

}  // namespace

TEST_CASE("the test's own SipHash gives the published vectors") {
  CHECK(siphash_of(paper_key, counting(15)) == 0xa129ca6149be45e5ULL);  // the paper, appendix A
  CHECK(siphash_of(paper_key, counting(0)) == 0x726fdb47dd0e0e31ULL);   // first of the 64 vectors
  CHECK(siphash_of(paper_key, counting(39)) == 0x9abfd8766a33735cULL);  // as OpenSSL 3 computes it
}

TEST_CASE("the SipHash of a tuple is SipHash-2-4 of its first 39 bytes") {
  CHECK(siphash_tuple(paper_key, from_bytes(counting(39))) == 0x9abfd8766a33735cULL);
  rc::prop("for every key and tuple", [](std::uint64_t key0, std::uint64_t key1) {
    const auto bytes =
        *rc::gen::container<std::vector<std::uint8_t>>(40, rc::gen::arbitrary<std::uint8_t>());
    const hash_key key = {key0, key1};
    RC_ASSERT(siphash_tuple(key, from_bytes(bytes)) == siphash_of(key, std::span(bytes).first(39)));
  });
}

TEST_CASE("XXH3 of a tuple is libxxhash's of its first 39 bytes") {
  rc::prop("for every seed and tuple", [](std::uint64_t seed) {
    const auto bytes =
        *rc::gen::container<std::vector<std::uint8_t>>(40, rc::gen::arbitrary<std::uint8_t>());
    RC_ASSERT(xxh3_tuple(seed, from_bytes(bytes)) == XXH3_64bits_withSeed(bytes.data(), 39, seed));
  });
}

TEST_CASE("the direction does not influence the hash, any other byte does") {
  const auto kind = GENERATE(hash_kind::siphash, hash_kind::xxh3);
  const tuple_hash hash(kind, 1);
  tuple_words w = from_bytes(counting(40));
  const std::uint32_t before = hash(w, 0, 0);
  for (std::size_t byte = 0; byte < 40; ++byte) {
    CAPTURE(byte);
    tuple_words changed = w;
    changed[byte / 8] ^= std::uint64_t{0xa5} << byte % 8 * 8;
    // Odds of an accidental equality: 2^-32 a byte; seed and input are fixed, so it is decided.
    CHECK((hash(changed, 0, 0) == before) == (byte == 39));
  }
}

TEST_CASE("zone, netns and seed each give another hash, and do not cancel") {
  const auto kind = GENERATE(hash_kind::siphash, hash_kind::xxh3);
  const tuple_hash hash(kind, 1);
  const tuple_words w = words(sample(7));
  const std::uint32_t plain = hash(w, 0, 0);
  CHECK(hash(w, 1, 0) != plain);
  CHECK(hash(w, 0, 1) != plain);
  CHECK(hash(w, 1, 1) != plain);
  CHECK(hash(w, 1, 1) != hash(w, 1, 0));
  CHECK(hash(w, 1, 1) != hash(w, 0, 1));
  CHECK(hash(w, 0, 0x10000) != plain);
  CHECK(tuple_hash(kind, 2)(w, 0, 0) != plain);
  CHECK(tuple_hash(kind, 1)(w, 0, 0) == plain);
  const auto other = kind == hash_kind::siphash ? hash_kind::xxh3 : hash_kind::siphash;
  CHECK(tuple_hash(other, 1)(w, 0, 0) != plain);
}

TEST_CASE("the SipHash key is the kernel's: zone in its first half, hash_mix in its second") {
  // The keys of seed 1 by splitmix64, computed apart.
  const hash_key key = {0x910a2dec89025cc1ULL, 0xbeeb8da1658eec67ULL};
  const tuple_words w = words(sample(7));
  const tuple_hash hash(hash_kind::siphash, 1);
  CHECK(hash(w, 0, 0) == static_cast<std::uint32_t>(siphash_tuple(key, w)));
  CHECK(hash(w, 0x1234, 0x89abcdef) ==
        static_cast<std::uint32_t>(siphash_tuple({key[0] ^ 0x1234, key[1] ^ 0x89abcdef}, w)));
}

TEST_CASE("sequential tuples spread evenly over buckets") {
  const auto kind = GENERATE(hash_kind::siphash, hash_kind::xxh3);
  const tuple_hash hash(kind, 1);
  constexpr std::size_t buckets = 1024;
  constexpr std::size_t tuples = 64 * buckets;
  std::array<std::size_t, buckets> counts{};
  for (std::uint32_t i = 0; i < tuples; ++i) {
    ++counts[std::uint64_t{hash(words(sample(i)), 0, 0)} * buckets >> 32];
  }
  double chi_square = 0;
  for (const std::size_t count : counts) {
    const double off = static_cast<double>(count) - 64.0;
    chi_square += off * off / 64.0;
  }
  CAPTURE(chi_square);
  // 1023 degrees of freedom: mean 1023, deviation sqrt(2 * 1023) = 45. Within six deviations but
  // for p < 1e-8 for a random function; the seed is fixed, so the test does not flicker.
  CHECK(chi_square > 1023 - 6 * 45.2);  // more even than chance is suspicious too
  CHECK(chi_square < 1023 + 6 * 45.2);
}

TEST_CASE("each input bit flips half of the output bits") {
  const auto kind = GENERATE(hash_kind::siphash, hash_kind::xxh3);
  const tuple_hash hash(kind, 1);
  constexpr int samples = 64;
  for (std::size_t bit = 0; bit < 39 * 8; ++bit) {
    int flipped = 0;
    for (std::uint32_t i = 0; i < samples; ++i) {
      tuple_words w = words(sample(i * 2654435761U));
      const std::uint32_t before = hash(w, 0, 0);
      w[bit / 64] ^= 1ULL << bit % 64;
      flipped += std::popcount(before ^ hash(w, 0, 0));
    }
    CAPTURE(bit, flipped);
    // 2048 output bits, half expected: 1024, deviation sqrt(2048) / 2 = 22.6. Seven deviations and
    // 312 bits: a random function fails with p < 1e-9.
    CHECK(flipped > 1024 - 7 * 22.7);
    CHECK(flipped < 1024 + 7 * 22.7);
  }
}

}  // namespace ct::core
