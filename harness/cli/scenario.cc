// SPDX-License-Identifier: BSD-2-Clause
/// `ctbench scenario`: does each implementation do what the scenarios say, step by step?
#include "workloads/scenario.h"

#include "harness/cli/choice.h"
#include "harness/cli/verb.h"
#include "harness/format/number.h"
#include "harness/scenario/scenario_run.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <memory>

namespace ct::harness {
namespace {

/// Files as they are, of a folder every .scn in it, by name.
std::vector<std::string> files_of(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    if (!std::filesystem::is_directory(path)) {
      files.push_back(path);
      continue;
    }
    const auto begin = static_cast<std::ptrdiff_t>(files.size());
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      if (entry.path().extension() == ".scn") files.push_back(entry.path().string());
    }
    if (std::ssize(files) == begin) {
      throw usage_error("scenario: " + path + " has no .scn file; name another folder");
    }
    std::sort(files.begin() + begin, files.end());
  }
  return files;
}

struct played {
  std::vector<std::string_view> as_written;
  std::vector<std::string_view> left_out;  ///< they do not promise what it needs
  std::vector<std::string> differences;    ///< "IMPL: PATH:LINE: ..."
};

played play(const workloads::scenario& what, const context& with) {
  played result;
  for (const impl& one : with.chosen) {
    if (one.is_timing_only()) continue;
    if (!takes_part(what, one)) {
      result.left_out.push_back(one.name);
      continue;
    }
    const std::string differs = run_scenario(what, one);
    if (differs.empty()) {
      result.as_written.push_back(one.name);
    } else {
      result.differences.push_back(fmt::format("{}: {}", one.name, differs));
    }
  }
  return result;
}

outcome run_scenarios(const std::vector<std::string>& paths, const context& with) {
  if (std::ranges::all_of(with.chosen, &impl::is_timing_only)) {
    throw usage_error("scenario: every implementation chosen takes part in timing only");
  }
  std::vector<workloads::scenario> scenarios;
  for (const std::string& file : files_of(paths)) {
    scenarios.push_back(workloads::read_scenario_file(file));
  }
  outcome found;
  std::size_t runs = 0;
  std::size_t differing = 0;
  for (const workloads::scenario& one : scenarios) {
    const played result = play(one, with);
    runs += result.as_written.size() + result.differences.size();
    differing += result.differences.size();
    const std::string name = std::filesystem::path(one.path).stem().string();
    const std::string left_out =
        result.left_out.empty()
            ? ""
            : fmt::format(" (not promised by {})", fmt::join(result.left_out, ", "));
    fmt::print("{:<6} {:<36} {}{}\n",
               result.differences.empty() ? "ok" : "DIFFERS",
               name,
               one.title,
               left_out);
    for (const std::string& difference : result.differences) fmt::print("       {}\n", difference);
    found.rows.push_back({{"scenario", name},
                          {"rules", one.rules},
                          {"as_written", result.as_written},
                          {"left_out", result.left_out},
                          {"differences", result.differences}});
  }
  found.exit = differing == 0 ? exit_code::good : exit_code::bad;
  found.verdict = differing == 0 ? "all scenarios went as written" : "scenarios differ";
  found.closing =
      differing == 0
          ? fmt::format("{}: {} scenarios, {} runs", found.verdict, scenarios.size(), grouped(runs))
          : fmt::format("{}: {} of {} runs", found.verdict, differing, grouped(runs));
  found.figures = {{"scenarios", scenarios.size()}, {"runs", runs}, {"differing", differing}};
  return found;
}

}  // namespace

std::function<outcome(const context&)> add_scenario(CLI::App& options) {
  const auto paths = std::make_shared<std::vector<std::string>>();
  options.add_option("paths", *paths, "scenarios (.scn), or folders of them")
      ->type_name("FILE|FOLDER...")
      ->required();
  return [paths](const context& with) { return run_scenarios(*paths, with); };
}

}  // namespace ct::harness
