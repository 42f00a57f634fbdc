// SPDX-License-Identifier: BSD-2-Clause
/// `ctbench verify`: are real multi-core runs histories that the contract allows?
///
/// A run is many rounds, each on a new system, judged whole: so memory is that of one round, and
/// the laws at rest are asked often.
#include "harness/check/checker.h"
#include "harness/check/diagram.h"
#include "harness/check/fingerprint.h"
#include "harness/check/history_text.h"
#include "harness/check/run.h"
#include "harness/cli/choice.h"
#include "harness/cli/interrupt.h"
#include "harness/cli/progress.h"
#include "harness/cli/verb.h"
#include "harness/format/number.h"
#include "harness/trace/trace_writer.h"
#include "workloads/run_plan.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <memory>
#include <utility>

namespace ct::harness {
namespace {

using check::operation;
using workloads::run_plan;

struct verify_arguments {
  std::vector<std::string> plans;
  std::string folder = CT_RUNS;
  std::size_t operations = 100'000;
  std::size_t round = 50'000;
  std::vector<std::size_t> threads = {2};
  std::uint32_t jitter = 200;
  std::string save = "build/counterexamples";
  std::string trace;
  bool is_listed = false;
  bool is_fingerprint = false;
};

/// What came of one implementation, one plan, one number of threads.
struct verify_row {
  std::string_view impl;
  std::string plan;
  std::size_t threads = 0;
  std::size_t rounds = 0;
  std::size_t operations = 0;
  std::size_t partitions = 0;
  double run_s = 0;
  double judged_s = 0;
  check::outcome outcome = check::outcome::allowed;
  std::string what;  ///< if not allowed: one line
};

std::string_view word_of(check::outcome o) {
  switch (o) {
    case check::outcome::allowed:
      return "allowed";
    case check::outcome::violated:
      return "VIOLATED";
    case check::outcome::unknown:
      break;
  }
  return "UNKNOWN";
}

std::vector<run_plan> chosen_plans(const verify_arguments& arguments) {
  if (arguments.plans.empty()) return workloads::read_run_plans(arguments.folder);
  std::vector<run_plan> chosen;
  for (const std::string& name : arguments.plans) {
    const bool is_file = name.ends_with(".run");
    chosen.push_back(
        workloads::read_run_plan_file(is_file ? name : arguments.folder + "/" + name + ".run"));
  }
  return chosen;
}

/// The operations of a finding, and its place among them; all of them if it names none.
std::pair<std::vector<operation>, check::finding> cut_out(const std::vector<operation>& history,
                                                          const check::finding& found) {
  std::vector<operation> part;
  check::finding moved = found;
  moved.operations.clear();
  for (const std::size_t i : found.operations) {
    moved.operations.push_back(part.size());
    part.push_back(history[i]);
  }
  return {std::move(part), std::move(moved)};
}

/// Whole or not at all.
void write_file(const std::filesystem::path& path, const std::string& text) {
  const std::filesystem::path partial = path.string() + ".partial";
  {
    std::ofstream file(partial, std::ios::binary);
    file << text;
    if (!file.flush()) throw usage_error("verify: " + partial.string() + ": cannot be written");
  }
  std::filesystem::rename(partial, path);
}

/// One implementation under one plan.
class verification {
 public:
  verification(const impl& which,
               const run_plan& plan,
               std::size_t threads,
               const verify_arguments& arguments,
               std::uint64_t seed)
      : which_(which), plan_(plan), arguments_(arguments), seed_(seed) {
    row.impl = which.name;
    row.plan = plan.name;
    row.threads = threads;
  }

  bool is_done() const {
    return row.operations >= arguments_.operations || row.outcome != check::outcome::allowed;
  }

  void play_round() {
    std::vector<operation> history;
    const std::size_t left = arguments_.operations - row.operations;
    const check::run_options options{.threads = row.threads,
                                     .operations = std::min(left, arguments_.round),
                                     .seed = seed_ + row.rounds,
                                     .jitter = arguments_.jitter};
    const check::run_outcome came =
        check::run(which_, plan_, options, [&](std::span<const operation> slice) {
          history.insert(history.end(), slice.begin(), slice.end());
          return true;
        });
    const auto begin = std::chrono::steady_clock::now();
    const check::check_report judged = check::check(history, check::facts_of(plan_));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    ++row.rounds;
    row.operations += history.size();
    row.partitions += judged.partitions;
    row.run_s += came.seconds;
    row.judged_s += took.count();
    if (judged.outcome != check::outcome::allowed) {
      row.outcome = judged.outcome;
      row.what = judged.findings.empty() ? "too many orders to try" : judged.findings[0].what;
      tell(history, judged, options.seed);
    } else if (!came.broken_law.empty()) {
      row.outcome = check::outcome::violated;
      row.what = "at rest: " + came.broken_law;
    }
  }

  verify_row row;

 private:
  void tell(const std::vector<operation>& history,
            const check::check_report& judged,
            std::uint64_t seed) {
    if (judged.findings.empty()) return;
    const auto [part, found] = cut_out(history, judged.findings[0]);
    fmt::print("\n{}", check::lanes_of(part, found));
    const std::filesystem::path folder = arguments_.save;
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) throw usage_error(fmt::format("verify: {}: {}", folder.string(), error.message()));
    const std::string name = fmt::format("{}-{}-{}-{}", row.impl, row.plan, row.threads, seed);
    const std::filesystem::path saved = folder / (name + ".history");
    write_file(saved, check::write_history(history));
    write_file(
        folder / (name + ".html"),
        check::html_of(
            {.title = fmt::format("{}, {}: violated", row.impl, row.plan),
             .facts = {{"question", plan_.question},
                       {"threads", std::to_string(row.threads)},
                       {"seed", std::to_string(seed)},
                       {"operations", grouped(history.size())}},
             .command = fmt::format("ctbench verify {} --replay {}", row.plan, saved.string())},
            part,
            found));
    fmt::print("  saved: {0}.history, {0}.html\n", (folder / name).string());
  }

  const impl& which_;
  const run_plan& plan_;
  const verify_arguments& arguments_;
  std::uint64_t seed_;
};

void print_row(const verify_row& row) {
  const double million = 1e6;
  fmt::print("{:<12} {:<16} {:>7} {:>12} {:>9.2f} {:>9.2f} {:>10}  {}\n",
             row.impl,
             row.plan,
             row.threads,
             grouped(row.operations),
             static_cast<double>(row.operations) / row.run_s / million,
             static_cast<double>(row.operations) / row.judged_s / million,
             grouped(row.partitions),
             word_of(row.outcome));
  if (!row.what.empty()) fmt::print("  {}\n", row.what);
}

nlohmann::json json_row(const verify_row& row) {
  nlohmann::json json = {{"impl", row.impl},
                         {"plan", row.plan},
                         {"threads", row.threads},
                         {"rounds", row.rounds},
                         {"operations", row.operations},
                         {"partitions", row.partitions},
                         {"run_s", row.run_s},
                         {"judged_s", row.judged_s},
                         {"outcome", word_of(row.outcome)}};
  if (!row.what.empty()) json["what"] = row.what;
  return json;
}

outcome verdict_of(const std::vector<verify_row>& rows, bool was_stopped) {
  outcome found;
  std::size_t operations = 0;
  std::size_t bad = 0;
  for (const verify_row& row : rows) {
    operations += row.operations;
    bad += row.outcome != check::outcome::allowed ? 1 : 0;
    found.rows.push_back(json_row(row));
  }
  found.figures = {{"runs", rows.size()}, {"operations", operations}, {"not_allowed", bad}};
  found.verdict = bad == 0 ? "all allowed" : "not allowed";
  found.exit = bad == 0 ? exit_code::good : exit_code::bad;
  if (bad == 0 && was_stopped) {
    found.verdict = "all allowed until it was stopped";
    found.exit = exit_code::interrupted;
  }
  found.closing =
      bad == 0
          ? fmt::format("{}: {} runs, {} operations",
                        found.verdict,
                        grouped(rows.size()),
                        grouped(operations))
          : fmt::format("{}: {} of {} runs", found.verdict, grouped(bad), grouped(rows.size()));
  return found;
}

std::vector<impl> contestants_of(const context& with) {
  std::vector<impl> contestants = with.chosen;
  std::erase_if(contestants, [](const impl& one) { return one.is_timing_only() || one.is_live(); });
  if (contestants.empty()) {
    throw usage_error("verify: none of these has a table of its own; ctbench list names some");
  }
  return contestants;
}

outcome verify_all(const verify_arguments& arguments, const context& with) {
  const std::vector<impl> contestants = contestants_of(with);
  const std::vector<run_plan> plans = chosen_plans(arguments);
  const std::size_t runs = plans.size() * contestants.size() * arguments.threads.size();
  fmt::print("{:<12} {:<16} {:>7} {:>12} {:>9} {:>9} {:>10}\n",
             "table",
             "workload",
             "threads",
             "operations",
             "run M/s",
             "judged",
             "partitions");
  const interrupt_listener stop;
  progress_bar bar;
  std::vector<verify_row> rows;
  for (const impl& which : contestants) {
    for (const run_plan& plan : plans) {
      for (const std::size_t threads : arguments.threads) {
        verification one(which, plan, threads, arguments, with.seed);
        while (!one.is_done() && !stop.was_interrupted()) {
          one.play_round();
          if (bar.is_due()) {
            const double share =
                static_cast<double>(one.row.operations) / static_cast<double>(arguments.operations);
            bar.draw((static_cast<double>(rows.size()) + std::min(share, 1.0)) /
                         static_cast<double>(runs),
                     fmt::format("{}, {}", which.name, plan.name));
          }
        }
        bar.clear();
        if (one.row.rounds != 0) {
          print_row(one.row);
          rows.push_back(one.row);
        }
        if (stop.was_interrupted()) return verdict_of(rows, true);
      }
    }
  }
  return verdict_of(rows, false);
}

/// An allowance that a letter forbids to need.
struct claim {
  check::allowance allowance;
  ct::letter letter;
};
constexpr claim claims_against[] = {{check::allowance::half_confirm, letter::b2},
                                    {check::allowance::two_phase_delete, letter::d3},
                                    {check::allowance::miss_during_resize, letter::f2}};

/// One line: what it needs though it promises not to; empty: nothing.
std::string broken_claim(const impl& which, check::allowances needs) {
  for (const claim& one : claims_against) {
    if (!which.promises.has(one.letter) || !needs.has(one.allowance)) continue;
    const auto* const promise = std::ranges::find(guarantees, one.letter, &guarantee::letter);
    return fmt::format("needs {}, and claims {}: {}",
                       check::name_of(one.allowance),
                       promise->name,
                       promise->promises);
  }
  return {};
}

/// A run of each plan, recorded.
std::vector<check::recorded> histories_of(const impl& which,
                                          const std::vector<run_plan>& plans,
                                          const verify_arguments& arguments,
                                          std::uint64_t seed) {
  std::vector<check::recorded> histories;
  for (const run_plan& plan : plans) {
    for (const std::size_t threads : arguments.threads) {
      check::recorded& one = histories.emplace_back();
      one.facts = check::facts_of(plan);
      (void)check::run(which,
                       plan,
                       {.threads = threads,
                        .operations = arguments.operations,
                        .seed = seed,
                        .jitter = arguments.jitter},
                       [&](std::span<const operation> slice) {
                         one.operations.insert(one.operations.end(), slice.begin(), slice.end());
                         return true;
                       });
    }
  }
  return histories;
}

/// What each table needs, by experiment, beside what it claims.
outcome fingerprint_all(const verify_arguments& arguments, const context& with) {
  const std::vector<run_plan> plans = chosen_plans(arguments);
  const std::vector<impl> contestants = contestants_of(with);
  outcome found;
  std::size_t bad = 0;
  for (const impl& which : contestants) {
    const auto histories = histories_of(which, plans, arguments, with.seed);
    const check::fingerprint print = check::fingerprint_of(histories);
    std::vector<std::string_view> names;
    for (const check::needed& one : print.because) names.push_back(check::name_of(one.allowance));
    std::string wrong = broken_claim(which, print.needs);
    if (print.outcome != check::outcome::allowed)
      wrong = "not allowed at all: " + print.broken.what;
    bad += wrong.empty() ? 0 : 1;
    fmt::print("{:<12} needs {}\n",
               which.name,
               names.empty() ? "nothing" : fmt::format("{}", fmt::join(names, ", ")));
    for (const check::needed& one : print.because) {
      const auto [part, moved] = cut_out(histories[one.history].operations, one.witness);
      fmt::print("  {}: {}\n{}",
                 check::name_of(one.allowance),
                 one.witness.what,
                 check::lanes_of(part, moved));
    }
    if (!wrong.empty()) fmt::print("  WRONG: {}\n", wrong);
    found.rows.push_back({{"impl", which.name}, {"needs", names}, {"wrong", wrong}});
  }
  found.exit = bad == 0 ? exit_code::good : exit_code::bad;
  found.verdict = bad == 0 ? "no table needs what it promises not to" : "a claim is broken";
  found.closing = fmt::format("{}: {} tables", found.verdict, contestants.size());
  return found;
}

/// One run of one thread, in the contract machine's actions.
outcome trace_run(const verify_arguments& arguments, const context& with) {
  const std::vector<impl> contestants = contestants_of(with);
  const std::vector<run_plan> plans = chosen_plans(arguments);
  if (contestants.size() != 1 || contestants[0].make_observed == nullptr || plans.size() != 1 ||
      arguments.threads != std::vector<std::size_t>{1}) {
    throw usage_error(
        "verify: --trace records one workload, by one thread (--threads 1), on one implementation "
        "that can be observed (--impl rcu); name them");
  }
  trace_writer trace(arguments.trace, begun_trace(contestants[0], plans[0].max));
  std::vector<operation> history;
  const check::run_outcome came = check::run(
      contestants[0],
      plans[0],
      {.threads = 1, .operations = arguments.operations, .seed = with.seed, .trace = &trace},
      [&](std::span<const operation> slice) {
        history.insert(history.end(), slice.begin(), slice.end());
        return true;
      });
  trace.finish();
  const check::check_report judged = check::check(history, check::facts_of(plans[0]));
  const bool is_good = judged.outcome == check::outcome::allowed && came.broken_law.empty();
  outcome found;
  found.exit = is_good ? exit_code::good : exit_code::bad;
  found.verdict = is_good ? "allowed" : "not allowed";
  found.closing = fmt::format("{}: {} operations, {} actions in {}",
                              found.verdict,
                              grouped(history.size()),
                              grouped(trace.header().actions),
                              arguments.trace);
  found.figures = {{"operations", history.size()}, {"trace_actions", trace.header().actions}};
  return found;
}

outcome list_plans(const verify_arguments& arguments) {
  outcome found;
  for (const run_plan& plan : chosen_plans(arguments)) {
    fmt::print("{:<16} {}\n", plan.name, plan.question);
    found.rows.push_back({{"plan", plan.name}, {"question", plan.question}});
  }
  found.verdict = "listed";
  found.closing = fmt::format("listed: {} workloads", found.rows.size());
  return found;
}

/// A history that was saved, under the facts of the one workload that is named.
outcome judge_again(const verify_arguments& arguments, const std::string& path) {
  if (arguments.plans.size() != 1) {
    throw usage_error("verify: name the workload that " + path + " is of");
  }
  const run_plan plan = chosen_plans(arguments)[0];
  std::ifstream file(path, std::ios::binary);
  if (!file) throw usage_error("verify: " + path + ": cannot be read; name a saved history");
  std::vector<operation> history;
  try {
    history = check::read_history({std::istreambuf_iterator<char>(file), {}});
  } catch (const std::invalid_argument& error) {
    throw usage_error("verify: " + path + ": " + error.what());
  }
  const check::check_report judged = check::check(history, check::facts_of(plan));
  for (const check::finding& one : judged.findings) {
    const auto [part, found] = cut_out(history, one);
    fmt::print("{}\n{}\n", one.what, check::lanes_of(part, found));
  }
  outcome found;
  found.verdict = word_of(judged.outcome);
  found.exit = judged.outcome == check::outcome::allowed ? exit_code::good : exit_code::bad;
  found.closing = fmt::format("{}: {} operations", found.verdict, grouped(history.size()));
  found.figures = {{"operations", history.size()}, {"findings", judged.findings.size()}};
  return found;
}

}  // namespace

std::function<outcome(const context&)> add_verify(CLI::App& options) {
  const auto arguments = std::make_shared<verify_arguments>();
  const auto replayed = std::make_shared<std::string>();
  options.add_option("workloads", arguments->plans, "names (--list) or files; without: all")
      ->type_name("NAME|FILE.run...");
  options.add_flag("--list", arguments->is_listed, "only name the workloads");
  options
      .add_option("--ops",
                  arguments->operations,
                  "operations of each workload on each table, about")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  options
      .add_option("--threads", arguments->threads, "threads; more than one number: each of them")
      ->delimiter(',')
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  options.add_option("--round", arguments->round, "operations until it begins anew, and is judged")
      ->check(CLI::Range(1, 50'000'000))
      ->capture_default_str();
  options.add_option("--jitter", arguments->jitter, "a pause before one of N operations; 0: never")
      ->capture_default_str();
  options.add_option("--save", arguments->save, "where counterexamples go")
      ->type_name("FOLDER")
      ->capture_default_str();
  options.add_option("--replay", *replayed, "judge a saved history again")->type_name("FILE");
  options
      .add_option("--trace",
                  arguments->trace,
                  "write the steps of one implementation and one thread, in the contract machine's "
                  "words (ctbench model --accept reads it)")
      ->type_name("FILE");
  options.add_flag("--fingerprint",
                   arguments->is_fingerprint,
                   "which allowances each table needs, with a witness for each");
  return [arguments, replayed](const context& with) {
    if (arguments->is_fingerprint) return fingerprint_all(*arguments, with);
    if (arguments->is_listed) return list_plans(*arguments);
    if (!replayed->empty()) return judge_again(*arguments, *replayed);
    if (!arguments->trace.empty()) return trace_run(*arguments, with);
    return verify_all(*arguments, with);
  };
}

}  // namespace ct::harness
