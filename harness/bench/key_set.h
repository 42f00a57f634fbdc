// SPDX-License-Identifier: BSD-2-Clause
/// The keys of one table size, in the order in which they are asked for: made once, shared by all
/// contenders.
#pragma once

#include "spec/tuple.h"
#include "workloads/flows.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ct::bench {

/// Keys in the order of asking, walked round and round in batches.
struct key_stream {
  std::vector<tuple> keys;
  /// [key] 2 * number of the resident flow + direction; empty: keys that must never hit.
  std::vector<std::uint32_t> meant;
};

/// Tuples of one thread that come and go.
struct churn_tuples {
  std::vector<tuple> fresh;  ///< `confirm`: all created, then all killed
  std::vector<tuple> ring;   ///< `mixed`: each is killed before its turn comes again
};

class key_set {
 public:
  key_set(std::uint64_t seed, std::size_t connections, int threads);

  std::size_t connections() const { return originals_.size(); }
  std::span<const tuple> originals() const { return originals_; }
  const key_stream& hit_orig() const { return hit_orig_; }
  const key_stream& hit_reply() const { return hit_reply_; }
  const key_stream& miss() const { return miss_; }
  /// Hits, directions alternating.
  const key_stream& both() const { return both_; }
  /// `confirm` creates connections / 8 entries a lap, at least 256 and at most 65536, all threads
  /// together.
  std::span<const tuple> fresh(int thread, int threads) const;
  std::span<const tuple> ring(int thread) const;

 private:
  std::vector<tuple> originals_;  ///< [flow]
  key_stream hit_orig_;
  key_stream hit_reply_;
  key_stream miss_;
  key_stream both_;
  std::vector<tuple> fresh_;
  std::vector<tuple> ring_;
};

/// Tuples a ring holds: more than `mixed` keeps alive at once.
inline constexpr std::size_t ring_tuples = 4096;

/// What the answers to a part of a stream must add up to.
struct answer_sum {
  std::uint64_t found = 0;
  std::uint64_t ids = 0;  ///< sum of 2 * conn_id + direction, modulo 2^64

  friend bool operator==(const answer_sum&, const answer_sum&) = default;
};

/// A reader of a stream: where it begins and how it wraps. `ids` are those of the resident flows.
class stream_walk {
 public:
  /// Threads begin at different places, so that they do not walk in step.
  stream_walk(const key_stream& over, std::size_t batch, int thread, int threads);

  std::span<const tuple> next() {
    const std::span<const tuple> keys(stream_->keys.data() + at_, batch_);
    at_ += batch_;
    if (at_ == end_) at_ = 0;
    ++batches_;
    return keys;
  }
  std::uint64_t batches() const { return batches_; }
  /// Of all batches taken so far.
  answer_sum expected(std::span<const std::uint64_t> ids) const;

 private:
  answer_sum expected_between(std::size_t from,
                              std::size_t to,
                              std::span<const std::uint64_t> ids) const;

  const key_stream* stream_;
  std::size_t batch_;
  std::size_t begin_;
  std::size_t end_;  ///< the last whole batch ends here
  std::size_t at_;
  std::uint64_t batches_ = 0;
};

}  // namespace ct::bench
