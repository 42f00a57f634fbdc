// SPDX-License-Identifier: BSD-2-Clause
/// What couples partitions: how many entries there are, and who holds them. Bounds, not answers: an
/// alarm is always right, silence is not.
///
/// Of each netns an upper and a lower bound of nf_conntrack_count are kept. An entry counts from
/// the call of what may make it; it is gone for certain when it is in no configuration linked,
/// nobody holds it, and everything that was under way at that moment (and may have held it in
/// passing) has ended. It is there for certain while a packet certainly holds it.
#pragma once

#include "harness/check/checker.h"
#include "harness/check/history_spec.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace ct::check {

class ledger {
 public:
  explicit ledger(const run_facts& facts);

  /// What has ended before this is over for certain; all that was fed so far ends by `ret_max`.
  void advance_to(std::uint64_t stamp, std::uint64_t ret_max);

  // An operation begins, or ends; empty, or what is wrong with it.
  void begin(called& c, std::vector<entry>& entries);
  std::string end(const called& c, std::vector<entry>& entries);
  /// The entry is neither linked nor held.
  void gone(const entry& e);

  /// May an entry of that netns have been dropped before its time that was linked at that stamp at
  /// the earliest?
  bool may_have_dropped(std::uint32_t key, std::uint64_t linked) const {
    const net& n = nets_[net_of(key)];
    return max_ != 0 && (is_nearly_full(n) || linked < n.dropped_before);
  }
  void exiting(std::uint32_t number) { nets_[number % nets_.size()].has_exited = true; }
  bool has_limit() const { return max_ != 0; }
  bool has_exited(std::uint32_t key) const { return nets_[net_of(key)].has_exited; }
  std::size_t net_of(std::uint32_t key) const {
    const std::size_t flow = key / 2;
    return flow < net_of_flow_.size() ? net_of_flow_[flow] % nets_.size() : 0;
  }

 private:
  struct net {
    std::int64_t most = 0;         // upper bound of the count
    std::int64_t least = 0;        // lower bound
    std::int64_t unconfirmed = 0;  // of `least`: those of which no confirm was called
    std::int64_t confirmed = 0;    // upper bound of those that may be dropped
    std::uint64_t full_at = 0;     // the last stamp at which it may have been full
    std::uint64_t room_at = 0;     // the last one at which it may not have been, or have made room
    std::uint64_t dropped_before = 0;  // what is linked later is not dropped yet
    bool has_exited = false;
  };
  struct count_reading {
    std::uint64_t number;
    std::vector<std::int64_t> most;   // [netns]
    std::vector<std::int64_t> least;  // [netns]
  };
  struct freeing {
    std::uint64_t after;
    std::uint32_t net;
  };
  bool may_be_full(const net& n) const {
    return max_ != 0 && n.most > static_cast<std::int64_t>(max_);
  }
  bool is_nearly_full(const net& n) const {
    const auto max = static_cast<std::int64_t>(max_);
    return max >= 100 ? n.most >= max / 100 * 95 : 20 * n.most >= 19 * max;
  }
  bool is_surely_full(const net& n) const {
    return max_ != 0 && n.unconfirmed >= static_cast<std::int64_t>(max_) && n.confirmed == 0;
  }
  void may_count(std::uint32_t key, std::int64_t change);
  void note(net& n);
  void hold(entry& e, std::int32_t change);
  void begin_confirm(const called& c, std::vector<entry>& entries);
  std::string end_packet(const called& c, std::vector<entry>& entries);
  std::string check_count(const called& c);

  const std::uint64_t max_;
  const bool refuses_destroy_;
  const std::vector<std::uint32_t> net_of_flow_;
  std::uint64_t now_ = 0;
  std::uint64_t ret_max_ = 0;
  std::vector<net> nets_;
  std::vector<count_reading> readings_;
  std::deque<freeing> freeings_;
};

}  // namespace ct::check
