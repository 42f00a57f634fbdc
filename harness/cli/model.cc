// SPDX-License-Identifier: BSD-2-Clause
/// `ctbench model`: does the reference machine keep its promises, in every order of steps?
#include "harness/cli/choice.h"
#include "harness/cli/interrupt.h"
#include "harness/cli/progress.h"
#include "harness/cli/verb.h"
#include "harness/format/number.h"
#include "harness/model/accept.h"
#include "harness/model/behaviour.h"
#include "harness/model/configuration_file.h"
#include "harness/model/machines.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <memory>
#include <thread>

namespace ct::harness {
namespace {

namespace fs = std::filesystem;

struct model_arguments {
  std::vector<std::string> names;
  std::string folder = CT_MODELS;
  bool lists = false;
  bool all = false;
  model::check_options options;
  std::string itf;
  std::string trace;
};

/// A configuration, the machine that it is for, and what came out.
struct model_run {
  model::configuration_file file;
  const model::checked_machine* machine = nullptr;
  model::report done = {};
  double elapsed_s = 0;

  const model::configuration& configuration() const { return file.configuration; }
  std::string name() const { return configuration().module + "/" + configuration().name; }
  std::string broken() const { return done.broken ? done.broken->name : ""; }
  bool is_as_expected() const {
    return done.verdict != model::verdict::unknown && broken() == configuration().expected;
  }
};

model_run read_run(const std::string& path) {
  model_run run{.file = model::read_configuration(path)};
  run.machine = model::find_machine(run.configuration().module);
  if (run.machine == nullptr) {
    std::vector<std::string_view> known;
    for (const model::checked_machine& one : model::machines()) known.push_back(one.name);
    throw usage_error(
        fmt::format("{}: there is no machine '{}'{} (a configuration lies in the folder of its "
                    "module; there are: {})",
                    path,
                    run.configuration().module,
                    suggestion(run.configuration().module, known),
                    fmt::join(known, ", ")));
  }
  std::vector<std::string_view> properties = run.machine->properties;
  model::expect_known(run.file, run.machine->invariants, properties);
  properties.insert(properties.end(),
                    run.machine->invariants.begin(),
                    run.machine->invariants.end());
  properties.push_back("deadlock");
  const std::string& expected = run.configuration().expected;
  if (!expected.empty() && std::ranges::find(properties, expected) == properties.end()) {
    throw usage_error(fmt::format("{}: 'Expect: {}' names nothing that {} promises{}",
                                  path,
                                  expected,
                                  run.machine->name,
                                  suggestion(expected, properties)));
  }
  return run;
}

std::vector<std::string> found_paths(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> paths;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    // With a recorded run of its name it is for TLC; --accept reads that run.
    if (at->path().extension() == ".cfg" &&
        !fs::exists(fs::path(at->path()).replace_extension(".ndjson"))) {
      paths.push_back(at->path().string());
    }
  }
  if (error) {
    throw usage_error(
        fmt::format("--models {}: {}; name the folder of the modules", folder, error.message()));
  }
  std::ranges::sort(paths);
  return paths;
}

/// "Peterson/good", or "good" if no other is called so.
std::string path_of(const std::string& name, const std::vector<std::string>& paths) {
  std::vector<std::string> names;
  std::string found;
  for (const std::string& path : paths) {
    const std::string stem = fs::path(path).stem().string();
    const std::string full = fs::path(path).parent_path().filename().string() + "/" + stem;
    names.insert(names.end(), {full, stem});
    if (name != stem && name != full) continue;
    if (!found.empty()) {
      throw usage_error(
          fmt::format("model: there are {} and {}; name the module too", found, path));
    }
    found = path;
  }
  if (!found.empty()) return found;
  const std::vector<std::string_view> known(names.begin(), names.end());
  throw usage_error(fmt::format("model: unknown configuration '{}'{} (ctbench model --list)",
                                name,
                                suggestion(name, known)));
}

std::vector<model_run> chosen_runs(const model_arguments& arguments) {
  std::vector<model_run> runs;
  std::vector<std::string> paths;
  const bool needs_folder =
      arguments.names.empty() || std::ranges::any_of(arguments.names, [](const std::string& name) {
        return !name.ends_with(".cfg");
      });
  if (needs_folder) paths = found_paths(arguments.folder);
  if (arguments.names.empty()) {
    for (const std::string& path : paths) {
      runs.push_back(read_run(path));
      const bool takes_large = arguments.all || arguments.lists;
      if (runs.back().configuration().is_large && !takes_large) runs.pop_back();
    }
  }
  for (const std::string& name : arguments.names) {
    runs.push_back(read_run(name.ends_with(".cfg") ? name : path_of(name, paths)));
  }
  if (runs.empty()) {
    throw usage_error(
        fmt::format("model: no configuration (*.cfg) in {}; name another folder "
                    "(--models) or a file",
                    arguments.folder));
  }
  if (!arguments.itf.empty() && runs.size() != 1) {
    throw usage_error("model: --itf is for the behaviour of one configuration; name one");
  }
  return runs;
}

std::string with_letter(const model::broken_promise& broken) {
  return broken.letter.empty() ? broken.name : fmt::format("{} ({})", broken.name, broken.letter);
}

std::string result_of(const model_run& run) {
  const std::string& expected = run.configuration().expected;
  if (run.done.verdict == model::verdict::unknown) return run.done.stopped;
  if (!run.done.broken) {
    return expected.empty() ? "no invariant broken"
                            : fmt::format("NOT broken: {}, which it should break", expected);
  }
  return fmt::format("{}: {}",
                     run.is_as_expected() ? "broken as expected" : "broken",
                     with_letter(*run.done.broken));
}

double rate_of(const model_run& run) {
  return run.elapsed_s > 0 ? static_cast<double>(run.done.counts.distinct) / run.elapsed_s : 0;
}

void print_head(std::size_t width) {
  fmt::print("{:<{}}  {:>13}  {:>15}  {:>5}  {:>8}  {:>10}\n",
             "configuration",
             width,
             "states",
             "generated",
             "depth",
             "seconds",
             "states/s");
}

void print_line(const model_run& run, std::size_t width) {
  fmt::print("{:<{}}  {:>13}  {:>15}  {:>5}  {:>8.2f}  {:>10}  {}\n",
             run.name(),
             width,
             grouped(run.done.counts.distinct),
             grouped(run.done.counts.generated),
             run.done.counts.depth,
             run.elapsed_s,
             grouped(static_cast<std::uint64_t>(rate_of(run))),
             result_of(run));
  if (run.done.digest) {
    fmt::print("{:<{}}  {} edges, digest {}; states, digest {}\n",
               "",
               width,
               grouped(run.done.digest->edges),
               run.done.digest->edges_hash,
               run.done.digest->states_hash);
  }
  std::fflush(stdout);
}

void print_behaviour(const model_run& run) {
  const model::broken_promise& broken = *run.done.broken;
  fmt::print("\n{}: {} is broken: {}\n{}\n",
             run.name(),
             with_letter(broken),
             broken.says,
             model::behaviour_text(broken.behaviour));
}

void write_itf(const model_run& run, const std::string& path) {
  if (!run.done.broken) {
    fmt::print(stderr, "{} not written: no behaviour breaks anything\n", path);
    return;
  }
  std::ofstream file(path, std::ios::binary);
  file << model::behaviour_itf(run.done.broken->behaviour,
                               fmt::format("{} breaks {}", run.name(), run.broken()));
  if (!file.flush()) {
    throw usage_error(fmt::format("--itf {}: cannot be written; name another file", path));
  }
}

nlohmann::json json_row(const model_run& run) {
  const model::check_counts& counts = run.done.counts;
  nlohmann::json row = {{"configuration", run.name()},
                        {"expected", run.configuration().expected},
                        {"result", result_of(run)},
                        {"is_as_expected", run.is_as_expected()},
                        {"initial", counts.initial},
                        {"distinct", counts.distinct},
                        {"generated", counts.generated},
                        {"depth", counts.depth},
                        {"elapsed_s", run.elapsed_s},
                        {"states_per_s", rate_of(run)},
                        {"memory_bytes_peak", run.done.memory_bytes_peak}};
  for (const auto& [name, count] : run.done.steps) row["steps"][std::string(name)] = count;
  if (run.done.digest) {
    row["edges"] = run.done.digest->edges;
    row["edges_hash"] = run.done.digest->edges_hash;
    row["states_hash"] = run.done.digest->states_hash;
  }
  if (!run.done.broken) return row;
  row["broken"] = run.done.broken->name;
  row["letter"] = run.done.broken->letter;
  row["steps_to_break"] = run.done.broken->behaviour.states.size() - 1;
  return row;
}

void check(model_run& run,
           const model_arguments& arguments,
           const interrupt_listener& listener,
           progress_bar& bar) {
  const auto begin = std::chrono::steady_clock::now();
  const auto elapsed_s = [begin] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  const model::check_hooks hooks = {
      .should_stop = [&listener] { return listener.was_interrupted(); },
      .progress =
          [&](std::string_view what, const model::check_counts& counts) {
            if (!bar.is_due()) return;
            bar.draw(std::nullopt,
                     fmt::format("{}: {}, {} states, level {}, {:.2f} M states/s",
                                 run.name(),
                                 what,
                                 grouped(counts.distinct),
                                 counts.depth,
                                 static_cast<double>(counts.distinct) / elapsed_s() / 1e6));
          }};
  run.done = run.machine->check(run.configuration(), arguments.options, hooks);
  run.elapsed_s = elapsed_s();
  bar.clear();
}

outcome list_runs(const std::vector<model_run>& runs) {
  outcome found;
  std::size_t width = 0;
  for (const model_run& run : runs) width = std::max(width, run.name().size());
  for (const model_run& run : runs) {
    const model::configuration& c = run.configuration();
    const std::string expected = c.expected.empty() ? "" : "breaks " + c.expected;
    fmt::print("  {:<{}}  {:<5}  {}\n",
               run.name(),
               width,
               c.is_large ? "large" : "small",
               expected.empty() ? "breaks nothing" : expected);
    found.rows.push_back({{"configuration", run.name()},
                          {"machine", run.machine->name},
                          {"is_large", c.is_large},
                          {"expected", c.expected},
                          {"path", run.file.path}});
  }
  found.verdict =
      fmt::format("{} configurations of {} machines", runs.size(), model::machines().size());
  return found;
}

outcome concluded(const std::vector<model_run>& runs, std::size_t begun, bool was_interrupted) {
  outcome found;
  std::size_t bad = 0;
  std::size_t unknown = 0;
  for (std::size_t i = 0; i < begun; ++i) {
    const bool is_unknown = runs[i].done.verdict == model::verdict::unknown;
    unknown += is_unknown ? 1 : 0;
    bad += !is_unknown && !runs[i].is_as_expected() ? 1 : 0;
    found.rows.push_back(json_row(runs[i]));
  }
  found.verdict = bad != 0       ? "not as expected"
                  : unknown != 0 ? "unknown: stopped before the end"
                                 : "all as expected";
  if (bad != 0) {
    found.exit = exit_code::bad;
  } else if (was_interrupted) {
    found.exit = exit_code::interrupted;
  } else if (unknown != 0) {
    found.exit = exit_code::usage;
  }
  found.closing = fmt::format("{}: {} configurations, {} not as expected, {} stopped",
                              found.verdict,
                              begun,
                              bad,
                              unknown);
  if (was_interrupted) found.closing += "; interrupted";
  return found;
}

outcome accept_trace(const std::string& path) {
  const auto begin = std::chrono::steady_clock::now();
  const acceptance is = accept(path);
  const double elapsed_s =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  outcome found;
  found.exit = is.rejected.empty() ? exit_code::good : exit_code::bad;
  found.verdict = is.rejected.empty() ? "accepted" : "rejected";
  found.closing = fmt::format("{}: {} actions of {}, {} entries",
                              found.verdict,
                              grouped(is.actions),
                              is.impl,
                              grouped(is.entries));
  fmt::print("{}", is.rejected);
  found.figures = {{"trace", path},
                   {"impl", is.impl},
                   {"actions", is.actions},
                   {"entries", is.entries},
                   {"rejected", is.rejected},
                   {"elapsed_s", elapsed_s}};
  return found;
}

outcome run_model(const model_arguments& arguments) {
  if (!arguments.trace.empty()) return accept_trace(arguments.trace);
  std::vector<model_run> runs = chosen_runs(arguments);
  if (arguments.lists) return list_runs(runs);
  const interrupt_listener listener;
  progress_bar bar;
  std::size_t width = std::string_view("configuration").size();
  for (const model_run& run : runs) width = std::max(width, run.name().size());
  print_head(width);
  std::size_t begun = 0;
  for (model_run& run : runs) {
    if (listener.was_interrupted()) break;
    ++begun;
    check(run, arguments, listener, bar);
    print_line(run, width);
    if (run.done.broken && (runs.size() == 1 || !run.is_as_expected())) print_behaviour(run);
    if (!arguments.itf.empty()) write_itf(run, arguments.itf);
  }
  return concluded(runs, begun, listener.was_interrupted());
}

}  // namespace

std::function<outcome(const context&)> add_model(CLI::App& options) {
  const auto arguments = std::make_shared<model_arguments>();
  model::check_options& how = arguments->options;
  how.threads = std::max(1U, std::thread::hardware_concurrency());
  options
      .add_option("configurations",
                  arguments->names,
                  "names (ctbench model --list) or files; without: every small one")
      ->type_name("NAME|FILE.cfg...");
  options.add_flag("--list", arguments->lists, "only name the configurations");
  options.add_flag("--all", arguments->all, "the large ones too");
  options.add_option("--models", arguments->folder, "where the modules and configurations are")
      ->type_name("FOLDER")
      ->capture_default_str();
  options.add_option("--threads", how.threads, "that search")
      ->check(CLI::Range(1, 1024))
      ->type_name("N")
      ->capture_default_str();
  options.add_option("--memory", how.memory_bytes_max, "it may take, such as 500MiB or 4GiB")
      ->transform(CLI::AsSizeValue(true))
      ->type_name("SIZE")
      ->default_str("4GiB");
  options.add_option("--states", how.states_max, "to stop at (default: none)")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  options.add_flag("--symmetry", how.uses_symmetry, "one state of those that differ in names only");
  options.add_flag("--ample", how.uses_ample, "local steps alone where that is enough");
  options.add_flag("--edges", how.counts_edges, "digest the graph, to compare it with TLC's");
  options
      .add_option("--accept",
                  arguments->trace,
                  "is this recorded run (ctbench replay --trace) a run of the contract machine?")
      ->type_name("FILE");
  options.add_option("--itf", arguments->itf, "write what breaks to FILE (Informal Trace Format)")
      ->type_name("FILE");
  return [arguments](const context&) { return run_model(*arguments); };
}

}  // namespace ct::harness
