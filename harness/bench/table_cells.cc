// SPDX-License-Identifier: BSD-2-Clause
/// The cells over a filled table: lookup_hit_orig, lookup_hit_reply, lookup_miss, confirm, gc,
/// gc_live, mixed.
///
/// Lookups and `mixed` are timed by Google Benchmark as they run; their answers are added up in the
/// loop (two additions each, which noop pays too) and compared with what they must add up to when
/// the clock has stopped. `confirm` and `gc` are timed by the lap, because each lap has to be
/// undone or prepared outside the clock.
#include "harness/bench/bench.h"
#include "harness/bench/cell.h"
#include "spec/jiffies.h"

#include <array>
#include <condition_variable>
#include <fmt/format.h>
#include <stop_token>
#include <thread>

namespace ct::bench {
namespace {

/// Batches between two calls of quiescent(): a poll loop says so now and then, and the call must
/// not be what is measured.
constexpr std::uint64_t batches_per_quiescent = 16;

void add(answer_sum& sum, std::span<const lookup_answer> answers) {
  for (const lookup_answer& answer : answers) {
    const bool is_found = answer.conn_id != 0;
    sum.found += is_found ? 1 : 0;
    sum.ids += 2 * answer.conn_id + (is_found ? index(answer.dir) : 0);
  }
}

/// A cell whose table holds all resident flows at the beginning and at the end.
class filled_cell : public cell {
 public:
  filled_cell(cell_name name, const impl& of, arena& in) : cell(std::move(name), of), arena_(in) {}

 protected:
  ct_system* begin() override {
    filled_ = &arena_.filled(subject());
    if (filled_->problem().empty()) return &filled_->system();
    fail("the table to be measured: " + filled_->problem());
    return nullptr;
  }
  void end(cpu& on) override { judge_conservation(filled_->system(), on, keys().connections()); }

  const key_set& keys() const { return arena_.keys(); }
  filled_system& filled() { return *filled_; }

 private:
  arena& arena_;
  filled_system* filled_ = nullptr;
};

class lookup_cell : public filled_cell {
 public:
  using pick = const key_stream& (key_set::*)() const;
  lookup_cell(cell_name name, const impl& of, arena& in, pick stream)
      : filled_cell(std::move(name), of, in), stream_((keys().*stream)()) {}

 private:
  void body(benchmark::State& state, cpu& on) override {
    stream_walk walk(stream_, batch_size, state.thread_index(), threads());
    std::array<lookup_answer, batch_size> answers{};
    answer_sum got;
    for ([[maybe_unused]] auto iteration : state) {
      on.find(walk.next(), answers);
      add(got, answers);
      if (walk.batches() % batches_per_quiescent == 0) on.quiescent();
    }
    const std::uint64_t asked = walk.batches() * batch_size;
    state.SetItemsProcessed(static_cast<std::int64_t>(asked));
    judge_answers(got, walk.expected(filled().ids()), asked);
  }

  const key_stream& stream_;
};

/// New entries beside the resident ones, killed again between two laps.
class confirm_cell : public filled_cell {
 public:
  using filled_cell::filled_cell;
  bool times_laps() const override { return true; }

 private:
  void body(benchmark::State& state, cpu& on) override {
    const std::span<const tuple> fresh = keys().fresh(state.thread_index(), threads());
    std::size_t asked = 0;
    std::size_t created = 0;
    std::size_t killed = 0;
    for ([[maybe_unused]] auto iteration : state) {
      lap(state, on, [&] { created += create_all(on, fresh, lasting_s); });
      killed += kill_all(on, fresh);
      asked += fresh.size();
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(asked));
    book(created, killed);
    if (!stores_nothing() && (created != asked || killed != asked)) {
      fail(fmt::format("of {} new entries {} were created and {} killed", asked, created, killed));
    }
  }
};

/// A system of its own: everything in it expires.
class gc_cell : public cell {
 public:
  gc_cell(cell_name name, const impl& of, arena& in) : cell(std::move(name), of), arena_(in) {}
  bool times_laps() const override { return true; }

 private:
  /// Runs of gc_worker that may reap nothing before it is taken to be stuck.
  static constexpr int idle_runs_max = 200;

  ct_system* begin() override {
    system_.reset();
    system_ = subject().make(arena_.options());
    return system_.get();
  }

  void body(benchmark::State& state, cpu& on) override {
    const std::span<const tuple> all = arena_.keys().originals();
    std::size_t reaped = 0;
    for ([[maybe_unused]] auto iteration : state) {
      const std::size_t created = create_all(on, all, 1);
      const std::size_t count = system_->count();
      if (created != all.size() || count != all.size()) {
        fail(fmt::format("of {} entries {} were created, {} are there before they expire",
                         all.size(),
                         created,
                         count));
      }
      lap(state, on, [&] { reap(on); });
      if (system_->count() != 0) {
        fail(fmt::format("gc_worker ran {} times and left {} of {} expired entries",
                         idle_runs_max,
                         system_->count(),
                         all.size()));
      }
      reaped += all.size();
      if (has_failed()) {
        skip(state);
        break;
      }
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(reaped));
  }

  void reap(cpu& on) {
    on.advance(system_->jiffies64() + seconds(1) + 1);
    std::size_t left = system_->count();
    for (int idle_runs = 0; left != 0 && idle_runs < idle_runs_max; ++idle_runs) {
      on.gc_worker();
      on.quiescent();
      const std::size_t now = system_->count();
      if (now < left) idle_runs = 0;
      left = now;
    }
  }

  void end(cpu& on) override {
    judge_conservation(*system_, on, 0);
    const std::string broken = system_->broken_invariant(on);
    if (!broken.empty()) fail("at rest: " + broken);
  }

  arena& arena_;
  std::unique_ptr<ct_system> system_;
};

class gc_live_cell : public filled_cell {
 public:
  using filled_cell::filled_cell;

 private:
  void body(benchmark::State& state, cpu& on) override {
    std::size_t seen = 0;
    std::size_t reaped = 0;
    for ([[maybe_unused]] auto iteration : state) {
      const gc_report did = on.gc_worker();
      seen += did.entries;
      reaped += did.reaped;
      on.quiescent();
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(seen));
    if (seen == 0) fail("gc_worker looked at no entry of a full table");
    if (reaped != 0) fail(fmt::format("gc_worker reaped {} entries that had not expired", reaped));
  }
};

/// The kernel's timer interrupt: a CPU that moves the clock by real time, which makes gc_worker run
/// when due.
class ticker {
 public:
  explicit ticker(ct_system& system)
      : thread_([&system, this](const std::stop_token& stop) { tick(system, stop); }) {}

 private:
  static constexpr std::chrono::nanoseconds jiffy{1'000'000'000 / hz};
  static_assert(1'000'000'000 % hz == 0);

  void tick(ct_system& system, const std::stop_token& stop) {
    using clock = std::chrono::steady_clock;
    const std::unique_ptr<cpu> on = system.attach();
    const std::uint64_t first = system.jiffies64();
    const clock::time_point begin = clock::now();
    std::unique_lock lock(mutex_);
    for (std::uint64_t next = 1; !stop.stop_requested();) {
      on->quiescent();
      wake_.wait_until(lock, stop, begin + next * jiffy, [] { return false; });
      const auto elapsed = static_cast<std::uint64_t>((clock::now() - begin) / jiffy);
      on->advance(first + elapsed);
      next = elapsed + 1;
    }
  }

  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;  // last: it ends before what it uses
};

/// 36 lookups, 4 creates, 36 lookups, 4 kills: 90, 5 and 5 percent.
class mixed_cell : public filled_cell {
 public:
  using filled_cell::filled_cell;

 private:
  static constexpr std::size_t lookups = 36;
  static constexpr std::size_t changes = 4;
  static constexpr std::size_t alive =
      64;  ///< entries that a thread has in the table beside the resident
  static_assert(lookups * 2 * 10 == (lookups * 2 + changes * 2) * 9);
  static_assert(ring_tuples % changes == 0 && alive % changes == 0 &&
                alive + changes < ring_tuples);
  static_assert(lookups <= connections_min, "a batch fits into every stream");

  ct_system* begin() override {
    ct_system* system = filled_cell::begin();
    if (system != nullptr) ticker_ = std::make_unique<ticker>(*system);
    return system;
  }

  void body(benchmark::State& state, cpu& on) override {
    const std::span<const tuple> ring = keys().ring(state.thread_index());
    stream_walk walk(keys().both(), lookups, state.thread_index(), threads());
    std::array<lookup_answer, lookups> answers{};
    answer_sum got;
    std::size_t born = alive;  // asked for so far; those killed are `alive` behind
    std::size_t created = create_all(on, ring.first(alive), lasting_s);
    std::size_t killed = 0;
    for ([[maybe_unused]] auto iteration : state) {
      on.find(walk.next(), answers);
      add(got, answers);
      created += on.create(ring.subspan(born % ring_tuples, changes), lasting_s);
      on.find(walk.next(), answers);
      add(got, answers);
      killed += on.kill(ring.subspan((born - alive) % ring_tuples, changes));
      born += changes;
      if (walk.batches() % batches_per_quiescent == 0) on.quiescent();
    }
    state.SetItemsProcessed(
        static_cast<std::int64_t>(walk.batches() * lookups + (born - alive) * 2));
    for (std::size_t at = born - alive; at < born; at += changes) {
      killed += on.kill(ring.subspan(at % ring_tuples, changes));
    }
    book(created, killed);
    judge_answers(got, walk.expected(filled().ids()), walk.batches() * lookups);
    if (!stores_nothing() && (created != born || killed != born)) {
      fail(fmt::format("of {} new entries {} were created and {} killed", born, created, killed));
    }
  }

  void end(cpu& on) override {
    ticker_.reset();
    filled_cell::end(on);
  }

  std::unique_ptr<ticker> ticker_;
};

}  // namespace

std::unique_ptr<cell> make_table_cell(std::string_view benchmark,
                                      const impl& of,
                                      int threads,
                                      arena& in) {
  cell_name name{std::string(benchmark), std::string(of.name), in.keys().connections(), threads};
  // gc_worker is one worker, and what stores nothing gives it nothing to do.
  const bool can_collect = threads == 1 && !of.is_timing_only();
  if (benchmark == "lookup_hit_orig") {
    return std::make_unique<lookup_cell>(name, of, in, &key_set::hit_orig);
  }
  if (benchmark == "lookup_hit_reply") {
    return std::make_unique<lookup_cell>(name, of, in, &key_set::hit_reply);
  }
  if (benchmark == "lookup_miss") {
    return std::make_unique<lookup_cell>(name, of, in, &key_set::miss);
  }
  if (benchmark == "confirm") return std::make_unique<confirm_cell>(name, of, in);
  if (benchmark == "gc" && can_collect) return std::make_unique<gc_cell>(name, of, in);
  if (benchmark == "gc_live" && can_collect) return std::make_unique<gc_live_cell>(name, of, in);
  if (benchmark == "mixed") return std::make_unique<mixed_cell>(name, of, in);
  return nullptr;
}

}  // namespace ct::bench
