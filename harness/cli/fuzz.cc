// SPDX-License-Identifier: BSD-2-Clause
/// `ctbench fuzz`: does any input make a target find something?
///
/// With files it replays them here, in this build; without, libFuzzer's program looks for new ones.
#include "harness/cli/choice.h"
#include "harness/cli/interrupt.h"
#include "harness/cli/progress.h"
#include "harness/cli/verb.h"
#include "harness/format/number.h"
#include "harness/fuzz/campaign.h"
#include "harness/fuzz/corpus.h"
#include "harness/fuzz/target.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <memory>

namespace ct::harness {
namespace {

namespace fs = std::filesystem;

struct fuzz_arguments {
  std::string target;
  std::vector<std::string> paths;
  double seconds = 60;
  double cpu_minutes = 0;
  std::string corpus;
  std::string findings;
  std::string program;
  std::string seeds;
};

const fuzz::target& chosen_target(const std::string& name) {
  std::vector<std::string_view> known;
  for (const fuzz::target& one : fuzz::targets()) {
    if (one.name == name) return one;
    known.push_back(one.name);
  }
  throw usage_error(fmt::format("fuzz: unknown target '{}'{} (there are: {})",
                                name,
                                suggestion(name, known),
                                fmt::join(known, ", ")));
}

/// Beside this program, or where the preset fuzz builds it.
fs::path find_program(const std::string& named) {
  if (!named.empty()) return named;
  const fs::path here = fs::read_symlink("/proc/self/exe").parent_path();
  const fs::path beside = here / "ctbench_fuzz";
  return fs::exists(beside) ? beside : here.parent_path() / "fuzz" / "ctbench_fuzz";
}

outcome write_seeds(const fuzz::target& target, const fuzz_arguments& arguments) {
  const std::size_t count = fuzz::write_inputs(arguments.seeds, target.seeds(arguments.paths));
  outcome found;
  found.verdict = "seeds written";
  found.closing = fmt::format("{} seeds written to {}", grouped(count), arguments.seeds);
  found.figures = {{"target", target.name}, {"seeds", count}};
  return found;
}

void print_finding(const std::string& what, const std::string& path, const std::string& again) {
  fmt::print("FINDING {}\n        input: {}\n        again: {}\n", what, path, again);
}

void conclude(outcome& found, std::size_t findings, const std::string& figures) {
  found.exit = findings == 0 ? exit_code::good : exit_code::bad;
  found.verdict = findings == 0 ? "no finding" : "an input makes it fail";
  found.closing = fmt::format("{}: {}", found.verdict, figures);
  found.figures["findings"] = findings;
}

outcome replay_files(const fuzz::target& target,
                     const fuzz_arguments& arguments,
                     const context& what) {
  std::vector<std::string> files;
  for (const std::string& path : arguments.paths) {
    const std::vector<std::string> some = fuzz::corpus_files(path);
    files.insert(files.end(), some.begin(), some.end());
  }
  const interrupt_listener listener;
  progress_bar bar;
  std::size_t begun = 0;
  const auto findings =
      fuzz::replay_corpus(target, what.chosen, files, [&](const std::string& path) {
        if (listener.was_interrupted()) return false;
        const auto share = static_cast<double>(begun++) / static_cast<double>(files.size());
        if (bar.is_due()) bar.draw(share, path);
        return true;
      });
  bar.clear();
  outcome found;
  for (const fuzz::corpus_finding& one : findings) {
    const std::string again =
        fmt::format("build/release/ctbench fuzz --target {} {}", target.name, one.path);
    print_finding(one.what, one.path, again);
    found.rows.push_back({{"input", one.path}, {"what", one.what}, {"again", again}});
  }
  found.figures = {{"target", target.name}, {"executions", begun}};
  conclude(found, findings.size(), fmt::format("{} inputs replayed", grouped(begun)));
  if (found.exit == exit_code::good && listener.was_interrupted()) {
    found.exit = exit_code::interrupted;
  }
  return found;
}

fuzz::campaign_options campaign_of(const fuzz::target& target,
                                   const fuzz_arguments& arguments,
                                   std::uint64_t seed) {
  const fs::path program = find_program(arguments.program);
  if (!fs::exists(program)) {
    throw usage_error(
        fmt::format("fuzz: libFuzzer's program is not at {}; build it (cmake --workflow --preset "
                    "fuzz), name it (--program), or name inputs to replay here",
                    program.string()));
  }
  const std::string name(target.name);
  const fs::path committed = fs::path(CT_FUZZ_CORPUS) / name;
  const fs::path dictionary = fs::path(CT_FUZZ_CORPUS) / (name + ".dict");
  fuzz::campaign_options options{
      .program = program.string(),
      .target = target.name,
      .corpora = {arguments.corpus.empty() ? (program.parent_path() / "corpus" / name).string()
                                           : arguments.corpus},
      .findings = arguments.findings.empty() ? (program.parent_path() / "findings").string()
                                             : arguments.findings,
      .wall_s_max = arguments.cpu_minutes > 0 ? 0 : arguments.seconds,
      .cpu_s_max = arguments.cpu_minutes * 60,
      .seed = seed,
      .input_bytes_max = target.input_bytes_max};
  if (fs::is_directory(committed)) options.corpora.push_back(committed.string());
  if (fs::exists(dictionary)) options.dictionary = dictionary.string();
  return options;
}

nlohmann::json figures_of(const fuzz::target& target, const fuzz::campaign_result& result) {
  const auto& status = result.status;
  return {{"target", target.name},
          {"executions", status.executions},
          {"executions_per_s",
           result.wall_s > 0 ? static_cast<double>(status.executions) / result.wall_s : 0},
          {"executions_per_cpu_s",
           result.cpu_s > 0 ? static_cast<double>(status.executions) / result.cpu_s : 0},
          {"edges", status.edges},
          {"features", status.features},
          {"corpus_inputs", status.inputs},
          {"wall_s", result.wall_s},
          {"cpu_s", result.cpu_s},
          {"log", result.log}};
}

std::string text_of(const fuzz::campaign_result& result) {
  return fmt::format("{} executions, {:.0f} a CPU second, {} edges, {} inputs, {:.1f} CPU minutes",
                     grouped(result.status.executions),
                     static_cast<double>(result.status.executions) / std::max(result.cpu_s, 1e-3),
                     grouped(result.status.edges),
                     grouped(result.status.inputs),
                     result.cpu_s / 60);
}

outcome search(const fuzz::target& target, const fuzz_arguments& arguments, std::uint64_t seed) {
  const fuzz::campaign_options options = campaign_of(target, arguments, seed);
  const interrupt_listener listener;
  progress_bar bar;
  const fuzz::campaign_result result =
      fuzz::run_campaign(options, [&](const fuzz::campaign_result& so_far) {
        if (bar.is_due()) {
          const double share = options.cpu_s_max > 0 ? so_far.cpu_s / options.cpu_s_max
                                                     : so_far.wall_s / options.wall_s_max;
          bar.draw(std::min(share, 1.0), text_of(so_far));
        }
        return !listener.was_interrupted();
      });
  bar.clear();
  outcome found;
  found.figures = figures_of(target, result);
  const bool was_interrupted = listener.was_interrupted();
  const bool has_finding = !result.input.empty() || (result.exit != 0 && !was_interrupted);
  if (has_finding) {
    const std::string what = result.finding.empty()
                                 ? fmt::format("it ended with {}; see {}", result.exit, result.log)
                                 : result.finding;
    const std::string again =
        fmt::format("{} --target={} {}", options.program, target.name, result.input);
    print_finding(what, result.input, again);
    found.rows.push_back({{"input", result.input}, {"what", what}, {"again", again}});
  }
  conclude(found, has_finding ? 1 : 0, text_of(result));
  if (found.exit == exit_code::good && was_interrupted) found.exit = exit_code::interrupted;
  return found;
}

outcome run_fuzz(const fuzz_arguments& arguments, const context& what) {
  const fuzz::target& target = chosen_target(arguments.target);
  try {
    if (!arguments.seeds.empty()) return write_seeds(target, arguments);
    if (!arguments.paths.empty()) return replay_files(target, arguments, what);
    if (what.is_chosen_by_name) {
      throw usage_error(
          "fuzz: a search goes through every implementation; call it without --impl, or name "
          "inputs to replay");
    }
    return search(target, arguments, what.seed);
  } catch (const fs::filesystem_error& error) {
    throw usage_error(fmt::format("fuzz: {}; name a folder that can be written", error.what()));
  }
}

}  // namespace

std::function<outcome(const context&)> add_fuzz(CLI::App& options) {
  const auto arguments = std::make_shared<fuzz_arguments>();
  options.add_option("--target", arguments->target, "what is asked (ctbench list names them)")
      ->type_name("NAME")
      ->required();
  options
      .add_option("inputs",
                  arguments->paths,
                  "inputs to replay in this build, or folders of them; without: look for new ones")
      ->type_name("FILE|FOLDER...");
  constexpr double seconds_max = 1e7;
  options.add_option("--seconds", arguments->seconds, "to look for")
      ->check(CLI::Range(1.0, seconds_max))
      ->type_name("N")
      ->capture_default_str();
  options.add_option("--cpu-minutes", arguments->cpu_minutes, "to look for, instead: CPU time")
      ->check(CLI::Range(0.0, seconds_max))
      ->type_name("N");
  options
      .add_option("--corpus",
                  arguments->corpus,
                  "inputs that reach new code are kept here (default: beside the program)")
      ->type_name("FOLDER");
  options
      .add_option("--findings",
                  arguments->findings,
                  "inputs of findings and the log go here (default: beside the program)")
      ->type_name("FOLDER");
  options
      .add_option("--program", arguments->program, "libFuzzer's (default: build/fuzz/ctbench_fuzz)")
      ->type_name("FILE");
  options
      .add_option("--write-seeds",
                  arguments->seeds,
                  "only write inputs to begin with, from the captures that are named in place of "
                  "inputs")
      ->type_name("FOLDER");
  return [arguments](const context& what) { return run_fuzz(*arguments, what); };
}

}  // namespace ct::harness
