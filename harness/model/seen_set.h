// SPDX-License-Identifier: BSD-2-Clause
/// The states that a search has seen, as fingerprints: 30 to 38 bytes each, and the way back.
///
/// 64 shards, each an open-addressed table of its own under its own lock, so that threads rarely
/// meet and only a 64th is ever copied at once. A place in it follows from the fingerprint's first
/// bits by multiplication, so that a table can grow by a quarter and its entries stay in order.
/// Insertion is in batches: every cache line that a batch will touch is asked for before the first
/// one is read.
///
/// An entry is the fingerprint, its level, and the first 48 bits of the least fingerprint among
/// those states of the level before that led here: the same for any number of threads.
#pragma once

#include "harness/model/fingerprint.h"
#include "harness/model/memory_budget.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

namespace ct::model {

class seen_set {
 public:
  static constexpr std::size_t shard_bits = 6;
  static constexpr std::size_t shard_count = std::size_t{1} << shard_bits;
  static constexpr std::size_t batch_max = 64;  ///< one bit each in what insert() returns

  struct candidate {
    fingerprint of;
    std::uint64_t parent = 0;  ///< fingerprint::high of the state it was reached from
  };

  explicit seen_set(memory_budget& budget);
  ~seen_set();
  seen_set(const seen_set&) = delete;
  seen_set& operator=(const seen_set&) = delete;

  static std::size_t shard_of(const fingerprint& f) {
    return static_cast<std::size_t>(f.high >> (64 - shard_bits));
  }

  /// Candidates of one shard, found while `level` is made (the first is 1). Bit i of the result:
  /// candidate i was not there before. Throws stopped_by_limit, the set unchanged.
  std::uint64_t insert(std::size_t shard, std::span<const candidate> some, std::uint64_t level);

  /// Was it there before `level` was begun? Any number of threads get the same answer.
  bool is_older(const fingerprint& f, std::uint64_t level);

  /// Fingerprints from an initial state to `f`; to be called when nobody inserts.
  std::vector<fingerprint> path_to(const fingerprint& f) const;

 private:
  static constexpr std::uint64_t level_bits = 16;
  /// That of every deeper state too: the parent of such a one is the first that was found.
  static constexpr std::uint64_t level_max = (std::uint64_t{1} << level_bits) - 1;

  struct entry {
    fingerprint of;
    std::uint64_t parent_and_level;

    bool is_empty() const { return (of.high | of.low) == 0; }
    std::uint64_t level() const { return parent_and_level & level_max; }
    std::uint64_t parent() const { return parent_and_level >> level_bits; }
  };
  static_assert(sizeof(entry) == 24);

  struct alignas(64) shard {
    std::mutex lock;
    // Guarded by lock.
    std::unique_ptr<entry[]> entries;
    std::size_t capacity = 0;
    std::size_t count = 0;
  };

  static std::size_t home(std::uint64_t high, std::size_t capacity);
  static entry* find(const shard& in, const fingerprint& f);
  void make_room(shard& in, std::size_t more);
  const entry* parent_of(const entry& child) const;

  memory_budget& budget_;
  std::array<shard, shard_count> shards_;
};

}  // namespace ct::model
