// SPDX-License-Identifier: BSD-2-Clause
/// A cell: one benchmark of one implementation at one size with one number of threads.
///
/// Google Benchmark calls a cell from `threads` threads at once, once a repetition and some times
/// more to find out how many iterations fill the minimum time. Thread 0 prepares (begin) and judges
/// (end); in between every thread attaches its own cpu and runs the body. What a body has to
/// complain about goes to fail(); the first complaint makes the row invalid.
#pragma once

#include "harness/bench/filled_system.h"
#include "harness/bench/key_set.h"
#include "spec/ct_system.h"
#include "spec/impl.h"

#include <barrier>
#include <benchmark/benchmark.h>
#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace ct::bench {

/// What cells of one size share: keys, and per implementation a filled system. Filled when first
/// wanted.
class arena {
 public:
  arena(std::uint64_t seed,
        std::size_t connections,
        int threads,
        const std::vector<sysctl_setting>& sysctls = {})
      : options_(options_for(connections, seed, sysctls)), keys_(seed, connections, threads) {}

  /// Of every system in it.
  const system_options& options() const { return options_; }
  const key_set& keys() const { return keys_; }
  filled_system& filled(const impl& of);
  /// After all cells ran: name of each implementation whose system broke an invariant -> which.
  std::map<std::string, std::string> broken_invariants();

 private:
  system_options options_;
  key_set keys_;
  std::map<std::string, filled_system> filled_;
};

struct cell_name {
  std::string benchmark;
  std::string impl;
  std::size_t connections = 0;
  int threads = 1;

  /// benchmark/impl/connections:N; Google Benchmark appends /real_time/threads:T or the like.
  std::string family() const;
  std::string text() const;
};

class cell {
 public:
  cell(cell_name name, const impl& of);
  virtual ~cell() = default;
  cell(const cell&) = delete;
  cell& operator=(const cell&) = delete;

  const cell_name& name() const { return name_; }
  /// Does the body time itself (laps), with work between laps that does not count?
  virtual bool times_laps() const { return false; }
  void run(benchmark::State& state);

 protected:
  /// Thread 0, before the others: the system to attach to, or nullptr after fail().
  virtual ct_system* begin() = 0;
  /// Each thread. Runs through all iterations of `state`, whatever goes wrong, and reports items.
  virtual void body(benchmark::State& state, cpu& on) = 0;
  /// Thread 0, when all others have detached.
  virtual void end(cpu& on) = 0;

  bool stores_nothing() const { return stores_nothing_; }
  const impl& subject() const { return impl_; }
  int threads() const { return name_.threads; }
  void fail(const std::string& what);
  bool has_failed() const { return !error_.empty(); }
  /// Gives up the iterations that are left. Only where there is one thread: others would wait for
  /// it.
  void skip(benchmark::State& state) const { state.SkipWithError(error_.c_str()); }

  /// All threads meet; grace periods may end meanwhile.
  void meet(cpu& on);
  /// Runs `work` in all threads at once, and sets the iteration's time: first begin to last end.
  template <class Work>
  void lap(benchmark::State& state, cpu& on, Work work) {
    using clock = std::chrono::steady_clock;
    lap_times& mine = laps_[static_cast<std::size_t>(state.thread_index())];
    meet(on);
    mine.begin = clock::now();
    work();
    mine.end = clock::now();
    meet(on);
    state.SetIterationTime(lap_seconds());
  }

  /// Entries that a thread made and removed in its body.
  void book(std::size_t created, std::size_t killed);
  /// Thread 0, in end(): the law, starting at `before`.
  void judge_conservation(const ct_system& system, cpu& on, std::size_t before);
  /// The answers of a thread against what they must be.
  void judge_answers(const answer_sum& got, const answer_sum& expected, std::uint64_t asked);

 private:
  struct alignas(64) lap_times {
    std::chrono::steady_clock::time_point begin{};
    std::chrono::steady_clock::time_point end{};
  };
  double lap_seconds() const;

  cell_name name_;
  impl impl_;
  bool stores_nothing_;
  std::barrier<> gate_;
  std::vector<lap_times> laps_;  ///< [thread]
  ct_system* system_ = nullptr;  ///< written by thread 0 ahead of the gate

  std::mutex mutex_;  ///< guards what follows
  ledger ledger_{};
  std::string error_{};
};

/// The cells over a filled table: lookup_*, confirm, gc, gc_live, mixed. nullptr if `of` cannot
/// take part in this benchmark, or not with so many threads.
std::unique_ptr<cell> make_table_cell(std::string_view benchmark,
                                      const impl& of,
                                      int threads,
                                      arena& in);

}  // namespace ct::bench
