// SPDX-License-Identifier: BSD-2-Clause
/// The operations on keys that have to do with each other, followed by just-in-time linearization.
///
/// Kept are all configurations that explain the answers so far. An operation that returns has to
/// have happened: where it has not, steps of the operations under way are tried until it has, and
/// configurations in which it cannot are dropped. None left: no order explains the history.
///
/// An answer that changes nothing is taken as soon as it fits: whatever can come later with it
/// still open can come with it done (read dominance). So of two configurations with the same links
/// and the same writers done, the one with more readers done is kept.
/// Source: Lowe, Testing for linearizability, 2017 (just-in-time); the dominance is ours.
///
/// Limits: 120 operations under way and 8 walks at once; more, or more than `configurations_max`
/// configurations, and the partition is given up: unknown.
#pragma once

#include "harness/check/history_spec.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ct::check {

/// Configurations, each once, and none that another one dominates.
class configuration_set {
 public:
  void clear();
  /// `readers`: places whose `done` may only help.
  void add(configuration&& c, const place_set& readers);
  std::size_t size() const { return items_.size(); }
  configuration& operator[](std::size_t i) { return items_[i]; }
  bool is_dominated(std::size_t i) const { return is_dominated_[i] != 0; }

 private:
  static std::uint64_t hash(const configuration& c, const place_set& readers);
  void grow(const place_set& readers);
  static constexpr std::uint32_t none = ~std::uint32_t{0};
  std::vector<configuration> items_;
  std::vector<std::uint8_t> is_dominated_;
  std::vector<std::uint32_t> next_;   // [item] in the same chain
  std::vector<std::uint32_t> heads_;  // [hash]
};

class partition {
 public:
  static constexpr std::size_t places_max = 120;
  enum class state : std::uint8_t { open, violated, unknown };

  partition(std::vector<entry>& entries,
            allowances allows,
            std::size_t configurations_max,
            planted_rule planted,
            bool refuses_destroy);

  /// The place of an operation that begins. Not if is_full().
  std::size_t call(called&& c);
  std::size_t next_place() const { return spec_.active.lowest_free(); }
  bool is_full() const;
  /// It ends. False: nothing explains that; the configurations are as they were before.
  bool ret(std::size_t place);
  /// Takes over everything of `o`, which shares no key with it.
  void join(partition& o);
  /// Nothing is asked of that operation any more.
  void excuse(std::size_t place) { spec_.calls[place].deed = deed::nothing; }
  /// A whole pass of gc_worker met the entry, and nobody else is at it: it is gone.
  void remove_reaped(std::uint32_t entry);

  bool is_idle() const { return spec_.active.is_empty(); }
  bool is_empty() const {
    return configurations_.size() == 1 && configurations_[0].slots.size() == 0;
  }
  /// In no configuration is it linked, or can it become so again.
  bool is_gone(std::uint32_t entry) const;
  const history_spec& spec() const { return spec_; }
  const std::vector<configuration>& configurations() const { return configurations_; }
  std::size_t configurations_peak() const { return peak_; }
  void give_up(state s);

  check::partition::state verdict = state::open;
  std::vector<std::uint32_t> flows;
  std::vector<std::uint32_t> members;  ///< entries that are, or may become, linked

 private:
  void take_reads(configuration& c) const;
  void step_too_early(configuration& c) const;
  bool explain(std::size_t place);
  void leave(std::size_t place);

  history_spec spec_;
  std::vector<configuration> configurations_;
  place_set readers_;
  std::size_t configurations_max_;
  std::size_t peak_ = 1;
  std::uint8_t walks_ = 0;  // bits in use
  configuration_set tried_;
};

}  // namespace ct::check
