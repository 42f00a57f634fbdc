// SPDX-License-Identifier: BSD-2-Clause
/// Tuples out of nothing but a seed: connections that are in a table, and others that never are.
///
/// Flow number i of a pool is a pure function of (seed, pool, i), so every contender gets the same
/// keys and a run can be repeated. No two flows of one seed share a tuple, in either direction: the
/// number goes through a permutation of 32 bits whose image is the client's address and port, and
/// clients (10.0.0.0/14, 2001:db8:c::/96) and servers (198.18.0.0/16, 2001:db8:5::/96) are
/// different networks. Pools are disjoint ranges of the number; hence "must hit" and "must never
/// hit" are facts and not likelihoods. Source: RFC 2544 and RFC 3849 for the networks; lowbias32
/// (C. Wellons, public domain) for the permutation. Limit: 2^29 flows a pool.
#pragma once

#include "spec/random.h"
#include "spec/tuple.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ct::workloads {

/// What a flow is for. The pools of one seed have no tuple in common.
enum class flow_pool : std::uint8_t {
  resident,  ///< in the table from the beginning to the end
  absent,    ///< never in the table
  fresh,     ///< enters the table while the clock runs
  churn,     ///< comes and goes
  traffic,   ///< seen as packets only
};

inline constexpr std::size_t flows_per_pool = std::size_t{1} << 29;

/// Shares of the flows, in percent.
struct flow_mix {
  unsigned ipv6 = 25;
  unsigned udp = 25;  ///< the others are TCP
};

class flow_source {
 public:
  explicit flow_source(std::uint64_t seed, flow_mix mix = {}) : seed_(seed), mix_(mix) {}

  /// The original tuple of flow `i`; i < flows_per_pool.
  tuple original(flow_pool pool, std::size_t i) const noexcept;
  /// Flows first .. first + count - 1.
  std::vector<tuple> originals(flow_pool pool, std::size_t first, std::size_t count) const;

 private:
  std::uint64_t seed_;
  flow_mix mix_;
};

/// The tuple of the way back of a TCP or UDP flow: ends exchanged, direction turned.
tuple reply_of(const tuple& original) noexcept;

/// 0 .. count - 1 in an order that only the seed decides.
std::vector<std::uint32_t> shuffled(std::size_t count, std::uint64_t seed);

}  // namespace ct::workloads
