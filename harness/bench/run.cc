// SPDX-License-Identifier: BSD-2-Clause
/// Chooses the cells, hands them to Google Benchmark, and turns what it reports into rows.
///
/// Google's console output is replaced: Debian's libbenchmark warns at every run that it "was built
/// as DEBUG", which says nothing about what is measured here. Its JSON is kept as it is, in a file
/// of its own. Sizes are measured one after another, so that only the tables of one size are in
/// memory; within a size all repetitions of all cells are shuffled.
#include "harness/bench/bench.h"
#include "harness/bench/cell.h"
#include "harness/bench/replay_cell.h"
#include "workloads/traffic.h"

#include <algorithm>
#include <array>
#include <benchmark/benchmark.h>
#include <chrono>
#include <fmt/format.h>
#include <fstream>
#include <map>
#include <memory>
#include <regex>
#include <sstream>
#include <tuple>
#include <utility>

namespace ct::bench {
namespace {

constexpr std::array<std::string_view, 8> names = {"lookup_hit_orig",
                                                   "lookup_hit_reply",
                                                   "lookup_miss",
                                                   "confirm",
                                                   "gc",
                                                   "gc_live",
                                                   "mixed",
                                                   "replay"};

/// What a cell has shown so far.
struct record {
  std::vector<double> ops_per_second{};
  std::string error{};
};
using record_key = std::pair<std::string, int>;  // family, threads
using records = std::map<record_key, record>;

/// Collects runs, and passes everything on to Google's JSON writer if there is one. One instance
/// over several calls of RunSpecifiedBenchmarks: context and closing are written once.
class collector : public benchmark::BenchmarkReporter {
 public:
  collector() {
    SetErrorStream(&silence_);
    SetOutputStream(&silence_);
    json_.SetOutputStream(&google_json_);
    json_.SetErrorStream(&silence_);
  }

  bool ReportContext(const Context& context) override {
    if (!std::exchange(has_context_, true)) json_.ReportContext(context);
    return true;
  }
  void ReportRuns(const std::vector<Run>& runs) override {
    json_.ReportRuns(runs);
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration) continue;
      record& to = records_[{run.run_name.function_name, static_cast<int>(run.threads)}];
      if (run.error_occurred) {
        to.error = run.error_message;
      } else if (const auto items = run.counters.find("items_per_second");
                 items != run.counters.end()) {
        to.ops_per_second.push_back(items->second.value);
      }
    }
  }
  /// After the last run.
  std::string google_json() {
    json_.Finalize();
    return google_json_.str();
  }
  const records& all() const { return records_; }

 private:
  records records_;
  std::ostringstream google_json_;
  std::ofstream silence_;  // no file: swallows
  benchmark::JSONReporter json_;
  bool has_context_ = false;
};

/// How much of the run is done: calls of the benchmark function, of which each cell needs at least
/// repetitions + 1 (one or more to find the number of iterations).
class progress_meter {
 public:
  progress_meter(const options& of, std::size_t cells)
      : tell_(of.progress), total_(cells * static_cast<std::size_t>(of.repetitions + 1)) {}
  void step(const cell_name& name) {
    if (!tell_) return;
    tell_(std::min(1.0, static_cast<double>(++calls_) / static_cast<double>(total_)), name.text());
  }

 private:
  std::function<void(double, std::string_view)> tell_;
  std::size_t total_;
  std::size_t calls_ = 0;
};

void check(const options& of) {
  if (of.impls.empty()) throw bad_options("no implementation to measure; name one with --impl");
  if (of.threads.empty()) throw bad_options("--threads: the list is empty; give 1,2");
  for (const int threads : of.threads) {
    if (threads < 1 || threads > threads_max) {
      throw bad_options(fmt::format("--threads {}: must be 1 to {}", threads, threads_max));
    }
  }
  if (of.connections.empty()) throw bad_options("--connections: the list is empty; give 65536");
  for (const std::size_t connections : of.connections) {
    if (connections < connections_min || connections > connections_max) {
      throw bad_options(fmt::format("--connections {}: must be {} to {}",
                                    connections,
                                    connections_min,
                                    connections_max));
    }
  }
  if (of.repetitions < 1) throw bad_options("--repetitions: must be at least 1");
  if (of.min_time_s < 0) throw bad_options("--min-time: must not be negative");
}

std::regex filter_of(const options& of) {
  try {
    return std::regex(of.filter);
  } catch (const std::regex_error& error) {
    throw bad_options(fmt::format("--filter '{}': {}; give an ECMAScript regular expression",
                                  of.filter,
                                  error.what()));
  }
}

/// gc_worker is one worker, and what stores nothing gives it nothing to do (make_table_cell says
/// the same).
bool takes_part(std::string_view benchmark, const impl& of, int threads) {
  return !benchmark.starts_with("gc") || (threads == 1 && !of.is_timing_only());
}

/// The cells that were asked for, by size; the capture's own size comes first.
struct selection {
  std::vector<cell_name> replay;
  std::vector<std::vector<cell_name>> by_size;  ///< [connections]
  std::size_t count() const {
    std::size_t sum = replay.size();
    for (const auto& size : by_size) sum += size.size();
    return sum;
  }
};

selection select(const options& of, std::size_t replay_connections) {
  const std::regex filter = filter_of(of);
  selection out;
  const auto choose = [&](std::string_view benchmark, std::size_t connections, auto& to) {
    for (const impl& one : of.impls) {
      for (const int threads : of.threads) {
        cell_name name{std::string(benchmark), std::string(one.name), connections, threads};
        if (takes_part(benchmark, one, threads) && std::regex_search(name.text(), filter)) {
          to.push_back(std::move(name));
        }
      }
    }
  };
  choose("replay", replay_connections, out.replay);
  for (const std::size_t connections : of.connections) {
    auto& to = out.by_size.emplace_back();
    for (const std::string_view benchmark : names) {
      if (benchmark != "replay") choose(benchmark, connections, to);
    }
  }
  if (out.count() == 0) {
    throw bad_options(fmt::format("--filter '{}' matches no benchmark; their names are like {}",
                                  of.filter,
                                  "lookup_hit_orig/rcu/connections:65536/threads:1"));
  }
  return out;
}

const impl& impl_of(const options& of, const std::string& name) {
  return *std::ranges::find(of.impls, name, &impl::name);
}

/// Google Benchmark takes its settings from flags alone; those of an earlier run would stay.
void set_flags(const options& of) {
  static std::string program = "ctbench";  // the library keeps a pointer to it
  std::vector<std::string> flags = {
      "--benchmark_filter=.",
      fmt::format("--benchmark_min_time={}", of.min_time_s),
      fmt::format("--benchmark_repetitions={}", of.repetitions),
      "--benchmark_enable_random_interleaving=true",
      "--benchmark_out=",
  };
  std::vector<char*> argv = {program.data()};
  for (std::string& flag : flags) argv.push_back(flag.data());
  auto argc = static_cast<int>(argv.size());
  argv.push_back(nullptr);
  benchmark::Initialize(&argc, argv.data());
}

/// Lets Google Benchmark run these cells, shuffled.
void measure(const std::vector<std::unique_ptr<cell>>& cells,
             progress_meter& meter,
             collector& into) {
  for (const auto& one : cells) {
    auto* registered =
        benchmark::RegisterBenchmark(one->name().family().c_str(),
                                     [&meter, cell = one.get()](benchmark::State& state) {
                                       if (state.thread_index() == 0) meter.step(cell->name());
                                       cell->run(state);
                                     });
    registered->Threads(one->name().threads);
    if (one->times_laps()) {
      registered->UseManualTime();
    } else {
      registered->UseRealTime();
    }
  }
  if (!cells.empty()) benchmark::RunSpecifiedBenchmarks(&into);
  benchmark::ClearRegisteredBenchmarks();
}

figure figure_of(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t half = values.size() / 2;
  const double median =
      values.size() % 2 != 0 ? values[half] : (values[half - 1] + values[half]) / 2;
  return {median, values.front(), values.back()};
}

row row_of(const cell_name& name, const records& from, const std::string& broken_invariant) {
  row out{name.impl, name.benchmark, name.threads, name.connections};
  const auto found = from.find({name.family(), name.threads});
  if (found != from.end()) out.error = found->second.error;
  if (out.error.empty()) out.error = broken_invariant;
  if (!out.error.empty()) return out;
  if (found == from.end() || found->second.ops_per_second.empty()) {
    out.error = "Google Benchmark reported no run";
  } else {
    out.ops_per_second = figure_of(found->second.ops_per_second);
  }
  return out;
}

std::size_t place(std::string_view benchmark) {
  return static_cast<std::size_t>(std::ranges::find(names, benchmark) - names.begin());
}

void measure_replay(const options& what,
                    replay_arena& replay,
                    const std::vector<cell_name>& chosen,
                    progress_meter& meter,
                    collector& into,
                    report& out) {
  std::map<std::string, std::vector<int>> threads_of;
  for (const cell_name& name : chosen) threads_of[name.impl].push_back(name.threads);
  for (const auto& [name, threads] : threads_of) replay.prepare(impl_of(what, name), threads);
  replay.compare();
  std::vector<std::unique_ptr<cell>> cells;
  for (const cell_name& name : chosen) {
    cells.push_back(replay.make_cell(impl_of(what, name.impl), name.threads));
  }
  measure(cells, meter, into);
  for (const cell_name& name : chosen) out.rows.push_back(row_of(name, into.all(), {}));
}

void measure_size(const options& what,
                  const std::vector<cell_name>& chosen,
                  progress_meter& meter,
                  collector& into,
                  report& out) {
  if (chosen.empty()) return;
  arena shared(what.seed,
               chosen.front().connections,
               *std::ranges::max_element(what.threads),
               what.sysctls);
  std::vector<std::unique_ptr<cell>> cells;
  for (const cell_name& name : chosen) {
    cells.push_back(
        make_table_cell(name.benchmark, impl_of(what, name.impl), name.threads, shared));
  }
  measure(cells, meter, into);
  std::map<std::string, std::string> broken = shared.broken_invariants();
  for (const cell_name& name : chosen) {
    out.rows.push_back(row_of(name, into.all(), broken[name.impl]));
  }
}

}  // namespace

void make_quick(options& of) {
  of.connections = {1024, 65536};
  of.repetitions = 3;
  of.min_time_s = 0.02;
}

std::span<const std::string_view> benchmark_names() { return names; }

std::size_t report::invalid_count() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(rows, [](const row& r) { return !r.ops_per_second; }));
}

report run(const options& what) {
  check(what);
  const auto begin = std::chrono::steady_clock::now();
  const workloads::traffic generated({.seed = what.seed});
  replay_arena replay(what.seed,
                      what.capture.empty() ? generated.packets() : what.capture,
                      what.sysctls,
                      what.verify_checksums ? ip_summed::none : ip_summed::unnecessary);
  const selection chosen = select(what, replay.connections());
  collector into;
  set_flags(what);
  progress_meter meter(what, chosen.count());

  report out{.rows = {},
             .seed = what.seed,
             .repetitions = what.repetitions,
             .min_time_s = what.min_time_s,
             .capture_name = what.capture_name,
             .replay_packets = chosen.replay.empty() ? 0 : replay.packet_count()};
  measure_replay(what, replay, chosen.replay, meter, into, out);
  for (const auto& size : chosen.by_size) measure_size(what, size, meter, into, out);
  out.google_json = into.google_json();
  std::ranges::stable_sort(out.rows, [](const row& a, const row& b) {
    return std::tuple(place(a.benchmark), std::string_view(a.impl), a.connections, a.threads) <
           std::tuple(place(b.benchmark), std::string_view(b.impl), b.connections, b.threads);
  });
  out.elapsed_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return out;
}

}  // namespace ct::bench
