// SPDX-License-Identifier: BSD-2-Clause
/// Breadth first search of a machine's states: does a promise break, and how soon?
///
/// Level by level, each by all threads: they take blocks of the level's states, generate the steps
/// and collect the states behind them by shard of the seen set, which they enter in batches; what
/// was not there yet is the next level. Whole states are kept of two levels only, of the others a
/// fingerprint. Action properties are checked on every step, invariants on every new state.
///
/// A level is always finished, and of what broke in it the least by fingerprint is shown; so the
/// behaviour is a shortest one, and the same for any number of threads. It is rebuilt from an
/// initial state along the recorded fingerprints.
///
/// Source: Stern and Dill, "Improved probabilistic verification by hash compaction", 1995 (states
/// as fingerprints); Lamport, Specifying Systems, chapter 14 (what TLC counts).
#pragma once

#include "harness/model/behaviour.h"
#include "harness/model/fingerprint.h"
#include "harness/model/local_steps.h"
#include "harness/model/memory_budget.h"
#include "harness/model/promises.h"
#include "harness/model/report.h"
#include "harness/model/seen_set.h"
#include "harness/model/symmetry.h"
#include "harness/model/thread_team.h"
#include "spec/model/machine.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fmt/format.h>
#include <iterator>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <utility>
#include <vector>

namespace ct::model {

template <machine M>
class search {
 public:
  search(const M& m,
         const configuration& asked,
         const check_options& options,
         const check_hooks& hooks)
      : machine_(m),
        promises_(asked),
        options_(options),
        hooks_(hooks),
        symmetry_(m, options.uses_symmetry),
        budget_(options.memory_bytes_max) {}

  report run();

 private:
  using state = typename M::state;

  struct queued {
    state of;
    std::uint64_t origin;  ///< fingerprint::high of it
  };
  using block = std::vector<queued>;

  /// Candidates for one shard; states[i] is what keys[i] stands for.
  struct batch {
    std::vector<seen_set::candidate> keys;
    std::vector<state> states;
  };

  enum class breach : std::uint8_t { deadlock, step_property, invariant };

  struct finding {
    breach kind;
    fingerprint at;  ///< of the state; of a step property: of the state before
    std::size_t which;

    auto key() const { return std::tie(kind, at, which); }
  };

  struct worker {
    std::vector<batch> batches{seen_set::shard_count};
    std::vector<block> next;
    std::vector<possible_step<M>> steps;  ///< of one state, when they are chosen from
    std::vector<std::uint64_t> taken;     ///< steps of each action
    std::uint64_t fresh = 0;
    std::optional<finding> found;

    std::uint64_t generated() const {
      return std::accumulate(taken.begin(), taken.end(), std::uint64_t{0});
    }
    void note(const finding& f) {
      if (!found || f.key() < found->key()) found = f;
    }
  };

  static constexpr std::size_t batch_bytes =
      seen_set::batch_max * (sizeof(seen_set::candidate) + sizeof(state));

  fingerprint fingerprint_at(const state& s) const {
    return fingerprint_of(symmetry_.canonical(s));
  }

  void prepare_workers();
  void make_first_level();
  void make_next_level();
  void expand_blocks(unsigned index);
  void expand(worker& w, const queued& from);
  void expand_ample(worker& w, const queued& from);
  void judge_step(worker& w, const state& before, const step& taken, const state& after);
  void offer(worker& w, const state& s, std::uint64_t origin);
  void enter(worker& w, std::size_t shard);
  void keep(worker& w, const queued& fresh);
  void finish_level();
  bool must_stop();
  report conclude(std::string stopped);
  broken_promise described(const finding& f) const;
  state follow(const std::vector<fingerprint>& path, behaviour& into) const;

  const M& machine_;
  const promises<M> promises_;
  const check_options options_;
  const check_hooks& hooks_;
  const symmetry<M> symmetry_;
  memory_budget budget_;
  std::optional<seen_set> seen_;
  std::vector<worker> workers_;
  std::vector<block> level_;
  check_counts counts_;
  std::uint64_t first_generated_ = 0;  ///< initial states
  std::uint64_t making_ = 1;           ///< the level that is being made
  std::optional<finding> found_;
  bool was_interrupted_ = false;
  std::atomic<std::size_t> next_block_{0};
  std::atomic<std::uint64_t> fresh_now_{0};  ///< of the level that is being made
  std::atomic<std::uint64_t> generated_now_{0};
  std::atomic<bool> must_end_{false};
};

template <machine M>
report search<M>::run() {
  std::string stopped;
  try {
    seen_.emplace(budget_);
    prepare_workers();
    make_first_level();
    while (!level_.empty() && !found_ && stopped.empty()) {
      make_next_level();
      if (was_interrupted_) stopped = "it was interrupted";
    }
  } catch (const stopped_by_limit& limit) {
    for (const worker& w : workers_) counts_.distinct += w.fresh;
    stopped = limit.what();
  }
  return conclude(std::move(stopped));
}

template <machine M>
void search<M>::prepare_workers() {
  const std::size_t count = std::max(1U, options_.threads);
  budget_.take(count * seen_set::shard_count * batch_bytes, "the threads' buffers");
  workers_.resize(count);
  for (worker& w : workers_) {
    w.taken.resize(std::span<const action<M>>(M::actions()).size());
    for (batch& b : w.batches) {
      b.keys.reserve(seen_set::batch_max);
      b.states.reserve(seen_set::batch_max);
    }
  }
}

template <machine M>
void search<M>::make_first_level() {
  for (const state& s : machine_.initial()) {
    ++first_generated_;
    offer(workers_[0], s, 0);
  }
  for (std::size_t shard = 0; shard < seen_set::shard_count; ++shard) enter(workers_[0], shard);
  finish_level();
  counts_.initial = counts_.distinct;
}

template <machine M>
void search<M>::make_next_level() {
  next_block_.store(0, std::memory_order_relaxed);     // relaxed: no other thread runs
  fresh_now_.store(0, std::memory_order_relaxed);      // relaxed: likewise
  generated_now_.store(0, std::memory_order_relaxed);  // relaxed: likewise
  const std::size_t useful = std::min<std::size_t>(workers_.size(), level_.size());
  run_team(
      static_cast<unsigned>(useful),
      [this](unsigned index) { expand_blocks(index); },
      [this] {
        // relaxed: a request; the exception itself is handed over by a lock.
        must_end_.store(true, std::memory_order_relaxed);
      });
  finish_level();
}

template <machine M>
void search<M>::expand_blocks(unsigned index) {
  worker& w = workers_[index];
  while (!(index == 0 && must_stop())) {
    // relaxed: a request.
    if (must_end_.load(std::memory_order_relaxed)) return;
    // relaxed: shares out numbers; the blocks were made before the threads.
    const std::size_t mine = next_block_.fetch_add(1, std::memory_order_relaxed);
    if (mine >= level_.size()) break;
    const std::uint64_t before = w.generated();
    for (const queued& from : level_[mine]) {
      if (options_.uses_ample) {
        expand_ample(w, from);
      } else {
        expand(w, from);
      }
    }
    block().swap(level_[mine]);
    // relaxed: for a progress bar.
    generated_now_.fetch_add(w.generated() - before, std::memory_order_relaxed);
    budget_.give_back(options_.block_states * sizeof(queued));
  }
  for (std::size_t shard = 0; shard < seen_set::shard_count; ++shard) enter(w, shard);
}

/// Asked by the calling thread before each of its blocks.
template <machine M>
bool search<M>::must_stop() {
  // relaxed: for a progress bar and a limit that is met roughly.
  const std::uint64_t distinct = counts_.distinct + fresh_now_.load(std::memory_order_relaxed);
  if (hooks_.progress) {
    check_counts now = counts_;
    now.distinct = distinct;
    now.depth = making_;
    now.generated += generated_now_.load(std::memory_order_relaxed);  // relaxed: likewise
    hooks_.progress("searching", now);
  }
  if (options_.states_max != 0 && distinct > options_.states_max) {
    throw stopped_by_limit(
        fmt::format("the limit is {} states; raise --states or take a smaller configuration",
                    options_.states_max));
  }
  if (hooks_.should_stop && hooks_.should_stop()) {
    was_interrupted_ = true;
    must_end_.store(true, std::memory_order_relaxed);  // relaxed: a request
  }
  return was_interrupted_;
}

template <machine M>
void search<M>::expand(worker& w, const queued& from) {
  bool is_stuck = true;
  for_each_step(machine_, from.of, [&](const step& taken, const state& after) {
    is_stuck = false;
    ++w.taken[taken.action];
    judge_step(w, from.of, taken, after);
    if (std::memcmp(&after, &from.of, sizeof after) != 0) offer(w, after, from.origin);
  });
  if (is_stuck && promises_.checks_deadlock) {
    w.note({breach::deadlock, fingerprint_at(from.of), 0});
  }
}

template <machine M>
void search<M>::expand_ample(worker& w, const queued& from) {
  w.steps.clear();
  for_each_step(machine_, from.of, [&](const step& taken, const state& after) {
    w.steps.push_back({taken, after});
  });
  const std::size_t count = ample_of<M>(w.steps, [&](const state& after) {
    return !seen_->is_older(fingerprint_at(after), making_);
  });
  for (std::size_t i = 0; i < count; ++i) {
    ++w.taken[w.steps[i].taken.action];
    judge_step(w, from.of, w.steps[i].taken, w.steps[i].after);
    offer(w, w.steps[i].after, from.origin);
  }
  if (w.steps.empty() && promises_.checks_deadlock) {
    w.note({breach::deadlock, fingerprint_at(from.of), 0});
  }
}

template <machine M>
void search<M>::judge_step(worker& w, const state& before, const step& taken, const state& after) {
  for (std::size_t i = 0; i < promises_.step_properties.size(); ++i) {
    if (promises_.step_properties[i]->holds(machine_, before, taken, after)) continue;
    w.note({breach::step_property, fingerprint_at(before), i});
  }
}

template <machine M>
void search<M>::offer(worker& w, const state& s, std::uint64_t origin) {
  const fingerprint f = fingerprint_at(s);
  const std::size_t shard = seen_set::shard_of(f);
  batch& b = w.batches[shard];
  b.keys.push_back({f, origin});
  b.states.push_back(s);
  if (b.keys.size() == seen_set::batch_max) enter(w, shard);
}

template <machine M>
void search<M>::enter(worker& w, std::size_t shard) {
  batch& b = w.batches[shard];
  if (b.keys.empty()) return;
  const std::uint64_t fresh = seen_->insert(shard, b.keys, making_);
  for (std::size_t i = 0; i < b.keys.size(); ++i) {
    if ((fresh >> i & 1) == 0) continue;
    for (std::size_t p = 0; p < promises_.invariants.size(); ++p) {
      if (!promises_.invariants[p]->holds(machine_, b.states[i])) {
        w.note({breach::invariant, b.keys[i].of, p});
      }
    }
    keep(w, {b.states[i], b.keys[i].of.high});
  }
  b.keys.clear();
  b.states.clear();
}

template <machine M>
void search<M>::keep(worker& w, const queued& fresh) {
  if (w.next.empty() || w.next.back().size() == options_.block_states) {
    // relaxed: for a progress bar and a limit that is met roughly.
    if (!w.next.empty()) fresh_now_.fetch_add(options_.block_states, std::memory_order_relaxed);
    budget_.take(options_.block_states * sizeof(queued), "the next level");
    w.next.emplace_back().reserve(options_.block_states);
  }
  w.next.back().push_back(fresh);
  ++w.fresh;
}

template <machine M>
void search<M>::finish_level() {
  level_.clear();
  counts_.generated = first_generated_;
  for (worker& w : workers_) {
    counts_.distinct += std::exchange(w.fresh, 0);
    std::ranges::move(w.next, std::back_inserter(level_));
    w.next.clear();
    counts_.generated += w.generated();
    if (w.found && (!found_ || w.found->key() < found_->key())) found_ = w.found;
  }
  if (!level_.empty()) counts_.depth = making_++;
}

template <machine M>
report search<M>::conclude(std::string stopped) {
  report done;
  done.counts = counts_;
  done.memory_bytes_peak = budget_.peak();
  done.was_interrupted = was_interrupted_;
  const std::span<const action<M>> actions = M::actions();
  for (std::size_t a = 0; a < actions.size(); ++a) {
    std::uint64_t sum = 0;
    for (const worker& w : workers_) sum += w.taken.empty() ? 0 : w.taken[a];
    done.steps.emplace_back(actions[a].name, sum);
  }
  if (!stopped.empty()) {
    done.stopped = fmt::format("stopped at {} states: {}", counts_.distinct, stopped);
    return done;
  }
  done.verdict = found_ ? verdict::violated : verdict::holds;
  if (found_) done.broken = described(*found_);
  return done;
}

template <machine M>
broken_promise search<M>::described(const finding& f) const {
  broken_promise broken{"deadlock", "", "no step is possible", {}};
  const state last = follow(seen_->path_to(f.at), broken.behaviour);
  if (f.kind == breach::invariant) {
    const invariant<M>& which = *promises_.invariants[f.which];
    broken.name = which.name;
    broken.letter = which.letter;
    broken.says = which.says;
  }
  if (f.kind != breach::step_property) return broken;
  const step_property<M>& which = *promises_.step_properties[f.which];
  broken.name = which.name;
  broken.letter = which.letter;
  broken.says = which.says;
  bool is_shown = false;
  for_each_step(machine_, last, [&](const step& taken, const state& after) {
    if (is_shown || which.holds(machine_, last, taken, after)) return;
    append_step(machine_, broken.behaviour, taken, after);
    is_shown = true;
  });
  return broken;
}

/// Walks from an initial state along `path`; the state where it ends.
template <machine M>
auto search<M>::follow(const std::vector<fingerprint>& path, behaviour& into) const -> state {
  std::optional<state> at;
  for (const state& s : machine_.initial()) {
    if (!at && !path.empty() && fingerprint_at(s) == path[0]) at = s;
  }
  if (at) append_state(machine_, into, *at);
  for (std::size_t i = 1; i < path.size() && at; ++i) {
    const state before = *at;
    at.reset();
    for_each_step(machine_, before, [&](const step& taken, const state& after) {
      if (at || fingerprint_at(after) != path[i]) return;
      at = after;
      append_step(machine_, into, taken, after);
    });
  }
  if (!at) {
    throw std::logic_error(
        "the behaviour cannot be rebuilt from its fingerprints: a step depends on more than the "
        "state and its arguments, or two states share one; check that M::state has no byte without "
        "meaning");
  }
  return *at;
}

}  // namespace ct::model
