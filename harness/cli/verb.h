// SPDX-License-Identifier: BSD-2-Clause
/// A verb of ctbench: one question, one file that answers it, one line in the list of verbs.cc.
///
/// A verb adds its own options to a CLI::App and returns what runs it. The options that every verb
/// has (--impl, --seed, --json) are added and resolved around it; it returns an outcome, of which
/// the program prints the last line, writes the JSON, and takes its exit code.
#pragma once

#include "spec/impl.h"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ct::harness {

/// Exit codes that verbs share; `gate` adds its own.
namespace exit_code {
inline constexpr int good = 0;           ///< the question was answered: yes
inline constexpr int bad = 1;            ///< answered: no
inline constexpr int usage = 2;          ///< bad input, in one line on stderr
inline constexpr int interrupted = 130;  ///< Ctrl-C: what was done so far is reported
}  // namespace exit_code

/// What a verb found out.
struct outcome {
  int exit = exit_code::good;
  std::string verdict;  ///< a few words that stay the same from run to run
  std::string
      closing;  ///< the last line that is printed: the verdict with its figures; empty: the verdict
  nlohmann::json figures = nlohmann::json::object();
  nlohmann::json rows = nlohmann::json::array();
  bool is_stdout_taken =
      false;  ///< stdout carries another tool's lines: the verdict goes to stderr
};

/// What the program knows before a verb runs.
struct context {
  std::span<const impl> all;  ///< the registry
  std::vector<impl>
      chosen;  ///< by --impl, in the order given; `all` sorts by name, timing-only included
  bool is_chosen_by_name = false;  ///< --impl named them; false for `all` and the default
  std::uint64_t seed = 1;
  const char* const* arguments = nullptr;  ///< as main has them
};

struct verb {
  std::string_view name;
  std::string_view summary;
  /// Adds the verb's options to its subcommand; the returned function owns what they are parsed
  /// into.
  std::function<outcome(const context&)> (*add)(CLI::App& options);
  bool drives = true;  ///< makes the implementations that are chosen, which must be able to run
};

/// Every verb, in the order in which help shows them.
std::span<const verb> verbs();

std::function<outcome(const context&)> add_list(CLI::App& options);
std::function<outcome(const context&)> add_doctor(CLI::App& options);
std::function<outcome(const context&)> add_replay(CLI::App& options);
std::function<outcome(const context&)> add_scenario(CLI::App& options);
std::function<outcome(const context&)> add_flood(CLI::App& options);
std::function<outcome(const context&)> add_verify(CLI::App& options);
std::function<outcome(const context&)> add_bench(CLI::App& options);
std::function<outcome(const context&)> add_conform(CLI::App& options);
std::function<outcome(const context&)> add_faults(CLI::App& options);
std::function<outcome(const context&)> add_fuzz(CLI::App& options);
std::function<outcome(const context&)> add_model(CLI::App& options);

}  // namespace ct::harness
