// SPDX-License-Identifier: BSD-2-Clause
/// A system with all resident flows of a key set in its table, checked before anybody times it; and
/// the conservation law.
#pragma once

#include "harness/bench/key_set.h"
#include "spec/ct_system.h"
#include "spec/impl.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace ct::bench {

/// Tuples, or packets, in one call: what a NIC queue is polled for at a time.
inline constexpr std::size_t batch_size = 32;

/// Timeout of entries that must stay: five days, as an established TCP connection.
inline constexpr std::uint32_t lasting_s = 5 * 24 * 3600;

/// Options of a system that is to hold `connections`: at most one a bucket.
system_options options_for(std::size_t connections,
                           std::uint64_t seed,
                           const std::vector<sysctl_setting>& sysctls = {});

/// create() of all, in batches. Returns how many were created.
std::size_t create_all(cpu& on, std::span<const tuple> originals, std::uint32_t timeout_s);
/// kill() of all, in batches. Returns how many kills were won.
std::size_t kill_all(cpu& on, std::span<const tuple> tuples);

/// What happened to a system since it held `before` entries.
struct ledger {
  std::size_t before = 0;
  std::size_t created = 0;
  std::size_t killed = 0;
  std::size_t reaped = 0;
};

/// Empty, or by how much the count misses the ledger. At rest; waits a while for frees that are
/// deferred.
std::string broken_conservation(const ct_system& system, cpu& on, const ledger& is);

class filled_system {
 public:
  filled_system(const impl& of, const key_set& keys, const system_options& options);

  ct_system& system() { return *system_; }
  /// [resident flow] conn_id; zeros if the implementation takes part in timing only.
  std::span<const std::uint64_t> ids() const { return ids_; }
  /// Empty, or why nothing can be measured on it.
  const std::string& problem() const { return problem_; }
  /// At rest, after all benchmarks: empty, or the invariant that broke.
  std::string broken_invariant();

 private:
  std::string fill(const key_set& keys);
  std::string learn_ids(cpu& on, const key_set& keys);
  std::string compare_with_dump(cpu& on, const key_set& keys);

  bool stores_nothing_;
  std::unique_ptr<ct_system> system_;
  std::vector<std::uint64_t> ids_;
  std::string problem_;
};

}  // namespace ct::bench
