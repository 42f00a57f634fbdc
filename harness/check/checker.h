// SPDX-License-Identifier: BSD-2-Clause
/// Is a recorded history one that the contract allows?
#pragma once

#include "harness/check/history.h"
#include "spec/guarantees.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ct::check {

/// What is not atomic, or not certain; each may be switched off. The words are those of the
/// contract machine (spec/model/conntrack.h), where it has the same freedom.
enum class allowance : std::uint8_t {
  two_phase_delete,     ///< a kill unlinks the original tuple first, the reply tuple later
  loser_returns_early,  ///< a kill that lost to another returns before the entry is unlinked
  lazy_expiry,          ///< an expired entry stands in the way of a confirm until it is removed
  miss_during_resize,   ///< a lookup that overlaps a resize may miss
  chain_too_long,       ///< a confirm may be refused though nobody has its keys
  clash_merge,          ///< a confirm may go over to the entry of its flow that came first
  clash_reply_only,     ///< a confirm may insert the reply tuple alone, where the other is taken
  half_confirm,         ///< a confirm makes one tuple visible before the other; B.2 forbids it
};
constexpr std::size_t allowance_count = 8;

/// A set of allowances.
class allowances {
 public:
  constexpr allowances() = default;
  constexpr bool has(allowance a) const { return (bits_ >> static_cast<unsigned>(a) & 1U) != 0; }
  constexpr allowances with(allowance a) const {
    return allowances(bits_ | 1U << static_cast<unsigned>(a));
  }
  constexpr allowances without(allowance a) const {
    return allowances(bits_ & ~(1U << static_cast<unsigned>(a)));
  }
  static constexpr allowances all() { return allowances((1U << allowance_count) - 1U); }
  friend constexpr bool operator==(allowances, allowances) = default;

 private:
  explicit constexpr allowances(unsigned bits) : bits_(bits) {}
  unsigned bits_ = 0;
};
std::string_view name_of(allowance a);

/// What the run was made with.
struct run_facts {
  std::uint32_t netns = 1;
  std::vector<std::uint32_t> netns_of_flow{};  ///< [flow]; empty: all in netns 0
  std::uint64_t max = 0;                       ///< nf_conntrack_max a netns; 0: no limit
  /// Somebody listens who may refuse: a kill that answers `lost` may have unlinked its entry.
  bool refuses_destroy = false;
};

struct check_options {
  check::allowances allows = allowances::all().without(allowance::half_confirm);
  std::uint32_t configurations_max = 1U << 16;  ///< of one partition at once; more: unknown
};

enum class outcome : std::uint8_t { allowed, violated, unknown };

/// What cannot be explained.
struct finding {
  check::outcome outcome = outcome::violated;
  std::string what;                       ///< one line: what no order of steps explains
  ct::letter letter = ct::letter::a1;     ///< the promise that it breaks
  std::vector<std::size_t> operations{};  ///< that contradict each other: indices into the history
};

struct check_report {
  check::outcome outcome = outcome::allowed;  ///< the worst of all partitions
  std::size_t operations = 0;
  std::size_t partitions = 0;
  std::size_t unknown = 0;             ///< partitions
  std::size_t configurations_max = 0;  ///< the most at once
  std::vector<finding> findings;       ///< the first of each partition
};

/// Judges a history. Its operations are sorted by `call`.
check_report check(std::span<const operation> history,
                   const run_facts& facts,
                   const check_options& options = {});

}  // namespace ct::check
