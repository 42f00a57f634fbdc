// SPDX-License-Identifier: BSD-2-Clause
/// Judges a history while it comes in: operations are fed in the order in which they were called,
/// and memory is that of what is under way and of what is in the table.
///
/// Whoever feeds merges what the threads recorded; that every operation with an earlier call has
/// come is the low-water mark. A beginning and an end at one stamp: the beginning comes first, so
/// that the two overlap, unless they are of one thread.
///
/// Keys that have nothing to do with each other are judged apart (partition.h); an operation that
/// names two of them, or an entry of another, joins their partitions from then on, until nothing of
/// them is left. That loses nothing: what is linked by other keys is never asked. What does couple
/// them, the limit and the references, is watched by the ledger (ledger.h).
#pragma once

#include "harness/check/checker.h"
#include "harness/check/history.h"
#include "harness/check/id_map.h"
#include "harness/check/ledger.h"
#include "harness/check/partition.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <queue>
#include <string>
#include <utility>
#include <vector>

namespace ct::check {

/// A finding, and where to look for what contradicts it.
struct judged_finding {
  finding found;
  std::vector<std::uint32_t> flows;  ///< of its partition; empty: of the ledger
  std::uint64_t until = 0;           ///< stamp
};

class judge {
 public:
  judge(const run_facts& facts, const check_options& options, planted_rule planted = {});
  /// `is_optional`: an operation that may have had its effect or not.
  void feed(const operation& op, bool is_optional = false);
  /// Nothing more comes.
  check_report finish();
  const std::vector<judged_finding>& findings() const { return findings_; }
  /// Partitions and entries that are kept.
  std::size_t kept() const { return partitions_.size() - free_partitions_.size() + ids_.size(); }

 private:
  struct fed {
    operation op;
    std::uint64_t number;
    bool is_optional;
  };
  struct open_operation {
    called c;
    std::uint32_t partition = no_partition;
    std::uint32_t place = 0;
  };
  struct gc_target {
    std::uint32_t entry;
    std::uint64_t id;
  };
  static constexpr std::uint32_t no_partition = id_map::none;
  static constexpr std::size_t idle_partitions = 4096;  // kept though nothing is left of them

  void drain(bool is_last);
  void end_own(const operation& next);
  void begin(const fed& f);
  void end(std::uint32_t open);
  // What an operation is to its partition.
  void read_answer(called& c);
  void read_packet(called& c);
  void read_confirm(called& c);
  void read_create(called& c);
  void begin_in_partition(std::uint32_t open);
  void begin_walk(std::uint32_t open);
  void begin_walk_in(std::uint32_t partition, const called& c);
  void end_walk(const called& c);
  void begin_gc(const called& c);
  void end_gc(const called& c);
  void end_in_partition(open_operation& o);
  bool beside_resize(const operation& op) const;

  std::uint32_t partition_of(std::uint32_t key);
  std::uint32_t join(std::uint32_t a, std::uint32_t b);
  void retire(std::uint32_t partition);
  void age(partition& p);
  void sweep(partition& p);
  std::uint32_t entry_of(std::uint64_t id) const { return ids_.find(id); }
  std::uint32_t new_entry(std::uint64_t id, std::uint32_t key_original, std::uint32_t key_reply);
  std::uint32_t new_foundling(std::uint64_t id,
                              std::uint32_t key_original,
                              std::uint32_t key_reply);
  void forget_if_dead(std::uint32_t e);
  void remember(std::uint64_t id);
  std::int64_t unwrapped(std::uint32_t jiffies) const;
  void violated(std::uint32_t partition, std::size_t place);
  void add_finding(letter l, std::string what, std::uint64_t number, std::uint64_t until);

  const run_facts facts_;
  const check_options options_;
  const planted_rule planted_;
  std::uint64_t fed_ = 0;
  std::uint64_t last_call_ = 0;
  std::deque<fed> waiting_;
  // Under way.
  std::vector<open_operation> open_;
  std::vector<std::uint32_t> free_open_;
  std::priority_queue<std::pair<std::uint64_t, std::uint32_t>,
                      std::vector<std::pair<std::uint64_t, std::uint32_t>>,
                      std::greater<>>
      ends_;  // {ret, open}
  std::vector<std::uint32_t> walks_;
  std::vector<gc_target> gc_targets_;
  std::uint64_t gc_number_ = 0;  // whose targets these are
  // Entries and partitions.
  std::vector<entry> entries_;
  std::vector<std::uint32_t> free_entries_;
  id_map ids_;
  id_map forgotten_;
  std::deque<std::uint64_t> forgotten_in_order_;
  bool has_created_ = false;
  std::vector<std::unique_ptr<partition>> partitions_;
  std::vector<std::uint32_t> free_partitions_;
  id_map flows_;  // flow: its partition
  // Of all partitions.
  std::int64_t clock_ = 0;  // the highest that anybody can have read so far
  std::uint64_t ret_max_ = 0;
  std::uint64_t resize_ret_max_ = 0;
  bool has_resized_ = false;
  ledger ledger_;
  check_report report_;
  std::vector<judged_finding> findings_;
};

}  // namespace ct::check
