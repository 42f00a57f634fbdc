// SPDX-License-Identifier: BSD-2-Clause
/// See workloads/run_plan.h.
#include "workloads/run_plan.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>

namespace ct::workloads {
namespace {

constexpr std::array<std::string_view, run_steps> step_names = {"find",
                                                                "pass",
                                                                "in",
                                                                "nat",
                                                                "confirm",
                                                                "look",
                                                                "put",
                                                                "create",
                                                                "kill",
                                                                "flush",
                                                                "dump",
                                                                "gc",
                                                                "advance",
                                                                "resize",
                                                                "exit",
                                                                "count",
                                                                "stall"};

struct setting {
  std::string_view name;
  std::uint32_t run_plan::*to;
  std::uint32_t most;
  std::uint32_t least = 1;
};

constexpr setting settings[] = {{"flows", &run_plan::flows, 1U << 24},
                                {"hot", &run_plan::hot, 100, 0},
                                {"netns", &run_plan::netns, 64},
                                {"zones", &run_plan::zones, 64},
                                {"max", &run_plan::max, 1U << 24, 0},
                                {"buckets", &run_plan::buckets, 1U << 24},
                                {"timeout", &run_plan::timeout, 86'400},
                                {"held", &run_plan::held, 64}};

[[noreturn]] void fail(const std::string& path, std::size_t line, const std::string& what) {
  throw std::invalid_argument(fmt::format("{}:{}: {}", path, line, what));
}

std::uint64_t number_of(std::string_view text,
                        std::uint64_t least,
                        std::uint64_t most,
                        const std::string& path,
                        std::size_t line) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most) {
    fail(path, line, fmt::format("'{}' is no number from {} to {}", text, least, most));
  }
  return value;
}

void read_line(run_plan& plan,
               std::string_view word,
               std::string_view text,
               const std::string& path,
               std::size_t line) {
  if (word == "clock") {
    plan.clock = number_of(text, 0, UINT64_MAX / 4, path, line);
    return;
  }
  const auto* const one = std::ranges::find(settings, word, &setting::name);
  if (one != std::end(settings)) {
    plan.*one->to = static_cast<std::uint32_t>(number_of(text, one->least, one->most, path, line));
    return;
  }
  const auto* const step = std::ranges::find(step_names, word);
  if (step == step_names.end()) {
    std::string names = "clock";
    for (const setting& s : settings) names.append(" ").append(s.name);
    fail(path,
         line,
         fmt::format("'{}' is neither a setting nor a step; there are: {} {}",
                     word,
                     names,
                     fmt::join(step_names, " ")));
  }
  plan.weights[static_cast<std::size_t>(step - step_names.begin())] =
      static_cast<std::uint32_t>(number_of(text, 0, 10'000, path, line));
}

void check_whole(const run_plan& plan, const std::string& path) {
  if (plan.question.empty()) fail(path, 1, "no question: begin with a comment that asks it");
  if (std::ranges::all_of(plan.weights, [](std::uint32_t w) { return w == 0; })) {
    fail(path, 1, "no step has a weight");
  }
  const bool is_held = plan.has(run_step::in) || plan.has(run_step::nat);
  if (is_held && !plan.has(run_step::put)) fail(path, 1, "packets come and never leave: add put");
  if (plan.netns * plan.zones > plan.flows) fail(path, 1, "fewer flows than netns times zones");
}

}  // namespace

run_plan read_run_plan(std::string_view text, const std::string& path) {
  run_plan plan;
  plan.name = std::filesystem::path(path).stem().string();
  std::istringstream lines{std::string(text)};
  std::string line;
  for (std::size_t number = 1; std::getline(lines, line); ++number) {
    if (line.starts_with('#')) {
      const bool is_licence = line.find("SPDX") != line.npos;
      if (plan.question.empty() && !is_licence && line.size() > 2) plan.question = line.substr(2);
      continue;
    }
    std::istringstream words(line);
    std::string word;
    std::string value;
    std::string more;
    if (!(words >> word)) continue;
    words >> value;
    if (words >> more)
      fail(path, number, fmt::format("'{}' is too much; a line is two words", more));
    read_line(plan, word, value, path, number);
  }
  check_whole(plan, path);
  return plan;
}

run_plan read_run_plan_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::invalid_argument(path + ": cannot be read; name a file of workloads/runs");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return read_run_plan(text, path);
}

std::vector<run_plan> read_run_plans(const std::string& folder) {
  std::vector<run_plan> all;
  std::error_code error;
  for (const auto& one : std::filesystem::directory_iterator(folder, error)) {
    if (one.path().extension() == ".run") all.push_back(read_run_plan_file(one.path().string()));
  }
  if (error) throw std::invalid_argument(folder + ": " + error.message());
  std::ranges::sort(all, {}, &run_plan::name);
  return all;
}

}  // namespace ct::workloads
