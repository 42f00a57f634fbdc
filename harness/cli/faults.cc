// SPDX-License-Identifier: BSD-2-Clause
/// `ctbench faults`: is every planted fault found, and how soon?
///
/// Faults are planted in a program of their own, ctbench_faults, which lies beside this one and is
/// called in its place. The checker so far: conformance with the live kernel.
#include "harness/cli/choice.h"
#include "harness/cli/interrupt.h"
#include "harness/cli/machine.h"
#include "harness/cli/progress.h"
#include "harness/cli/verb.h"
#include "harness/conform/sharpness.h"
#include "harness/format/number.h"
#include "spec/fault.h"
#include "workloads/walk.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <unistd.h>

namespace ct::harness {
namespace {

namespace fs = std::filesystem;

struct faults_arguments {
  std::vector<std::string> names;
  std::uint64_t packets = 400'000;
  std::uint32_t seeds = 5;
};

/// Goes on as the program in which faults can be planted.
[[noreturn]] void become_planted(const context& what) {
  constexpr const char* name = "ctbench_faults";
  std::error_code error;
  const fs::path here = fs::read_symlink("/proc/self/exe", error).parent_path();
  const fs::path there = here / name;
  execv(there.c_str(), const_cast<char* const*>(what.arguments));
  throw usage_error(
      fmt::format("faults: {}: {}; build it: ninja -C {} {}, or cmake --build {} --target {}",
                  there.string(),
                  std::strerror(errno),
                  here.string(),
                  name,
                  here.string(),
                  name));
}

std::vector<const fault*> find_faults(const std::vector<std::string>& names) {
  std::vector<const fault*> chosen;
  std::vector<std::string_view> known;
  for (const fault& one : faults()) {
    known.push_back(one.name);
    if (names.empty()) chosen.push_back(&one);
  }
  for (const std::string& name : names) {
    const auto found = std::ranges::find(known, name);
    if (found == known.end()) {
      throw usage_error(fmt::format("faults: --fault {}: unknown{} (ctbench list names them)",
                                    name,
                                    suggestion(name, known)));
    }
    chosen.push_back(&faults()[static_cast<std::size_t>(found - known.begin())]);
  }
  return chosen;
}

impl find_faulty(const context& what) {
  const auto found = std::ranges::find_if(what.chosen, [](const impl& one) {
    return !one.is_live() && !one.is_timing_only();
  });
  if (found == what.chosen.end()) {
    throw usage_error("faults: name an implementation that tracks; faults stand in its core");
  }
  return *found;
}

conform::campaign_options options_of(const faults_arguments& arguments, const context& what) {
  conform::campaign_options options;
  options.packets = arguments.packets;
  options.seed = what.seed;
  std::ranges::copy_if(workloads::walk_kinds(),
                       std::back_inserter(options.kinds),
                       [](const auto& kind) { return kind.weight > 0; });
  options.system.seed = what.seed;
  options.system.acct = true;
  return options;
}

std::string_view name_of(const conform::sharpness_row& row) {
  return row.planted == nullptr ? "(none)" : row.planted->name;
}

void print_row(const conform::sharpness_row& row, std::size_t width) {
  std::uint64_t most = 0;
  for (const conform::sharpness_try& one : row.tries) most = std::max(most, one.packets);
  const bool is_silent = row.planted != nullptr && row.found() == 0;
  fmt::print("{:<{}}  {:>3} of {:<2}  {:>9}  {:>9}  {:>8}  {:<10}  {}\n",
             name_of(row),
             width,
             row.found(),
             row.tries.size(),
             is_silent ? "-" : grouped(row.packets()),
             is_silent ? "-" : grouped(most),
             is_silent ? "-" : fmt::format("{:.3f}", row.busy_s()),
             row.field().empty() ? "-" : row.field(),
             row.planted == nullptr ? "no fault: nothing may be found" : row.planted->what);
  std::fflush(stdout);
}

nlohmann::json json_of(const conform::sharpness_row& row) {
  nlohmann::json tries = nlohmann::json::array();
  for (const conform::sharpness_try& one : row.tries) {
    tries.push_back({{"seed", one.seed},
                     {"found", one.is_found},
                     {"field", one.field},
                     {"packets", one.packets},
                     {"seconds", one.busy_s}});
  }
  return {{"fault", name_of(row)},
          {"what", row.planted == nullptr ? "" : row.planted->what},
          {"from", row.planted == nullptr ? "" : row.planted->from},
          {"checker", "conform"},
          {"packets", row.packets()},
          {"seconds", row.busy_s()},
          {"tries", tries}};
}

outcome run_faults(const faults_arguments& arguments, const context& what) {
  const std::vector<const fault*> chosen = find_faults(arguments.names);
  if (!plant(nullptr)) become_planted(what);
  outcome found;
  const impl faulty = find_faulty(what);
  const impl* const judge = find_kernel(what.all, found.verdict);
  if (judge == nullptr) return found;

  const interrupt_listener listener;
  progress_bar bar;
  const conform::campaign_options options = options_of(arguments, what);
  std::size_t width = std::string_view("fault").size();
  for (const fault* one : chosen) width = std::max(width, one->name.size());
  fmt::print(
      "{} against {}; each packet compared with the entry's state, up to {} packets a seed\n\n",
      faulty.name,
      kernel_text(),
      grouped(arguments.packets));
  fmt::print("{:<{}}  {:<8}  {:>9}  {:>9}  {:>8}  {:<10}\n",
             "fault",
             width,
             "found",
             "packets",
             "most",
             "seconds",
             "shows in");
  std::size_t caught = 0;
  bool is_false_alarm = false;
  std::vector<const fault*> order = chosen;
  order.push_back(nullptr);
  for (std::size_t i = 0; i < order.size() && !listener.was_interrupted(); ++i) {
    if (bar.is_due()) {
      bar.draw(static_cast<double>(i) / static_cast<double>(order.size()),
               order[i] == nullptr ? "no fault" : std::string(order[i]->name));
    }
    const conform::sharpness_row row =
        conform::measure_sharpness(order[i], faulty, *judge, options, arguments.seeds, [&] {
          return listener.was_interrupted();
        });
    if (listener.was_interrupted()) break;
    bar.clear();
    print_row(row, width);
    found.rows.push_back(json_of(row));
    if (order[i] == nullptr) {
      is_false_alarm = !row.is_as_it_should_be();
    } else {
      caught += row.is_as_it_should_be() ? 1 : 0;
    }
  }
  fmt::print("\npackets, seconds: median over the seeds, of those needed; most: of one seed\n");
  found.figures = {{"kernel", kernel_text()},
                   {"faults", chosen.size()},
                   {"found", caught},
                   {"false_alarm", is_false_alarm},
                   {"seeds", arguments.seeds},
                   {"interrupted", listener.was_interrupted()}};
  const bool is_good = caught == chosen.size() && !is_false_alarm;
  found.exit = listener.was_interrupted() ? exit_code::interrupted
               : is_good                  ? exit_code::good
                                          : exit_code::bad;
  found.verdict = is_good ? "every fault found" : "not every fault found";
  if (is_false_alarm) found.verdict = "false alarm";
  found.closing = fmt::format("{}: {} of {} with each of {} seeds",
                              found.verdict,
                              caught,
                              chosen.size(),
                              arguments.seeds);
  return found;
}

}  // namespace

std::function<outcome(const context&)> add_faults(CLI::App& options) {
  const auto arguments = std::make_shared<faults_arguments>();
  constexpr std::uint64_t packets_max = 1'000'000'000;
  options.add_option("--fault", arguments->names, "only these (ctbench list names them)")
      ->delimiter(',')
      ->type_name("NAME,...");
  options.add_option("--packets", arguments->packets, "at most, for each fault and seed")
      ->check(CLI::Range(std::uint64_t{1}, packets_max))
      ->type_name("N")
      ->capture_default_str();
  options.add_option("--seeds", arguments->seeds, "tries, from --seed on")
      ->check(CLI::Range(1, 1000))
      ->type_name("N")
      ->capture_default_str();
  return [arguments](const context& what) { return run_faults(*arguments, what); };
}

}  // namespace ct::harness
