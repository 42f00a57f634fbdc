// SPDX-License-Identifier: BSD-2-Clause
/// See harness/bench/key_set.h.
#include "harness/bench/key_set.h"

#include <algorithm>

namespace ct::bench {

using workloads::flow_pool;
using workloads::reply_of;

key_set::key_set(std::uint64_t seed, std::size_t connections, int threads) {
  const workloads::flow_source source(seed);
  originals_ = source.originals(flow_pool::resident, 0, connections);
  for (const std::uint32_t flow : workloads::shuffled(connections, seed)) {
    const tuple& original = originals_[flow];
    const tuple reply = reply_of(original);
    const bool is_reply = both_.keys.size() % 2 != 0;
    hit_orig_.keys.push_back(original);
    hit_orig_.meant.push_back(2 * flow);
    hit_reply_.keys.push_back(reply);
    hit_reply_.meant.push_back(2 * flow + 1);
    both_.keys.push_back(is_reply ? reply : original);
    both_.meant.push_back(2 * flow + (is_reply ? 1 : 0));
  }
  miss_.keys = source.originals(flow_pool::absent, 0, connections);
  for (std::size_t i = 1; i < connections; i += 2) miss_.keys[i] = reply_of(miss_.keys[i]);
  fresh_ =
      source.originals(flow_pool::fresh, 0, std::clamp<std::size_t>(connections / 8, 256, 65536));
  ring_ = source.originals(flow_pool::churn, 0, ring_tuples * static_cast<std::size_t>(threads));
}

std::span<const tuple> key_set::fresh(int thread, int threads) const {
  const std::size_t share = fresh_.size() / static_cast<std::size_t>(threads);
  return std::span(fresh_).subspan(share * static_cast<std::size_t>(thread), share);
}

std::span<const tuple> key_set::ring(int thread) const {
  return std::span(ring_).subspan(ring_tuples * static_cast<std::size_t>(thread), ring_tuples);
}

stream_walk::stream_walk(const key_stream& over, std::size_t batch, int thread, int threads)
    : stream_(&over), batch_(batch), end_(over.keys.size() / batch * batch) {
  const std::size_t all = end_ / batch_;
  begin_ = all * static_cast<std::size_t>(thread) / static_cast<std::size_t>(threads) * batch_;
  at_ = begin_;
}

answer_sum stream_walk::expected(std::span<const std::uint64_t> ids) const {
  if (stream_->meant.empty()) return {};
  const std::uint64_t keys = batches_ * batch_;
  const std::uint64_t laps = keys / end_;
  const std::size_t rest = begin_ + keys % end_;
  answer_sum sum = expected_between(0, end_, ids);
  sum.found *= laps;
  sum.ids *= laps;
  const answer_sum head = expected_between(begin_, std::min(rest, end_), ids);
  const answer_sum wrapped = expected_between(0, rest > end_ ? rest - end_ : 0, ids);
  return {sum.found + head.found + wrapped.found, sum.ids + head.ids + wrapped.ids};
}

answer_sum stream_walk::expected_between(std::size_t from,
                                         std::size_t to,
                                         std::span<const std::uint64_t> ids) const {
  answer_sum sum{.found = to - from};
  for (std::size_t i = from; i < to; ++i) {
    const std::uint32_t meant = stream_->meant[i];
    sum.ids += 2 * ids[meant / 2] + meant % 2;
  }
  return sum;
}

}  // namespace ct::bench
