// SPDX-License-Identifier: BSD-2-Clause
/// The program around the verbs: arguments in, verdict, result file and exit code out.
#include "harness/cli/run.h"

#include "harness/cli/choice.h"
#include "harness/cli/result_file.h"
#include "harness/cli/verb.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fmt/format.h>
#include <system_error>

namespace ct::harness {
namespace {

/// What every verb takes.
struct shared_options {
  std::string impls = "all";
  std::uint64_t seed = 1;
  std::string json;
};

struct subcommand {
  const verb* which = nullptr;
  CLI::App* app = nullptr;
  std::function<outcome(const context&)> work;
};

int complain(const std::string& what) {
  std::string line = what;
  std::ranges::replace(line, '\n', ' ');
  fmt::print(stderr, "ctbench: {}\n", line);
  return exit_code::usage;
}

void add_shared_options(CLI::App& app, shared_options& shared) {
  app.add_option("--impl", shared.impls, "implementations: NAME[,NAME...] or all")
      ->type_name("NAMES")
      ->capture_default_str();
  app.add_option("--seed", shared.seed, "of everything random")
      ->check(CLI::NonNegativeNumber)  // CLI11 would wrap -1 around
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--json", shared.json, "write the result to FILE too (schema ctbench/1)")
      ->type_name("FILE");
}

/// An unknown verb in the place of one: CLI11 would only call it unexpected.
void expect_known_verb(int argc, const char* const* argv) {
  if (argc < 2) throw usage_error("no verb given (ctbench --help names them)");
  if (argv[1][0] == '-') return;
  const std::string_view name = argv[1];
  std::vector<std::string_view> known;
  for (const verb& one : verbs()) known.push_back(one.name);
  if (std::ranges::find(known, name) != known.end()) return;
  throw usage_error(fmt::format("unknown verb '{}'{} (ctbench --help names them)",
                                name,
                                suggestion(name, known)));
}

/// Why an implementation cannot run on this machine; empty if it can.
std::string why_skipped(const impl& one) {
  const std::string missing = one.is_live() ? one.lacks() : "";
  return missing.empty() ? "" : fmt::format("skipped: {} (needs {})", one.name, missing);
}

/// Takes out of the chosen what cannot run here, by name. Empty, or the line about the last one.
std::string take_out_skipped(std::vector<impl>& chosen) {
  std::string last;
  std::erase_if(chosen, [&last](const impl& one) {
    const std::string why = why_skipped(one);
    if (why.empty()) return false;
    fmt::print(stderr, "{}\n", why);
    last = why;
    return true;
  });
  return last;
}

outcome work(const subcommand& chosen,
             const shared_options& shared,
             std::span<const impl> all,
             const char* const* arguments) {
  if (!shared.json.empty() || chosen.app->count("--json") > 0) expect_writable(shared.json);
  context what = {.all = all,
                  .chosen = choose(all, shared.impls),
                  .is_chosen_by_name = shared.impls != "all",
                  .seed = shared.seed,
                  .arguments = arguments};
  std::string skipped;
  if (chosen.which->drives) skipped = take_out_skipped(what.chosen);
  // Nothing is left to do: said, and no failure.
  outcome found;
  found.verdict = skipped;
  if (!what.chosen.empty()) found = chosen.work(what);
  const std::string& last = found.closing.empty() ? found.verdict : found.closing;
  fmt::print(found.is_stdout_taken ? stderr : stdout, "{}\n", last);
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    throw usage_error(
        fmt::format("standard output: {}; free space or name another file", std::strerror(errno)));
  }
  if (!shared.json.empty()) {
    write_result(shared.json, result_text(chosen.which->name, shared.seed, found));
  }
  return found;
}

}  // namespace

int run(int argc, const char* const* argv, std::span<const impl> all) {
  CLI::App app("Benchmarks and verifies connection-tracking tables.\n", "ctbench");
  app.set_version_flag("--version", "ctbench " CT_VERSION);
  app.require_subcommand(1);
  app.footer("ctbench VERB --help shows a verb's options.");
  shared_options shared;
  std::vector<subcommand> subcommands;
  for (const verb& one : verbs()) {
    CLI::App* sub = app.add_subcommand(std::string(one.name), std::string(one.summary));
    subcommands.push_back({.which = &one, .app = sub, .work = one.add(*sub)});
    add_shared_options(*sub, shared);
  }
  try {
    expect_known_verb(argc, argv);
    app.parse(argc, argv);
    const auto chosen =
        std::ranges::find_if(subcommands, [](const subcommand& one) { return one.app->parsed(); });
    return work(*chosen, shared, all, argv).exit;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) return app.exit(error);
    const auto parsed = app.get_subcommands();
    const std::string verb_name = parsed.empty() ? "" : " " + parsed.front()->get_name();
    return complain(fmt::format("{} (see ctbench{} --help)", error.what(), verb_name));
  } catch (const std::system_error& error) {
    // Only printing throws this.
    return complain(
        fmt::format("output: {}; free space or write elsewhere", error.code().message()));
  } catch (const std::exception& error) {
    return complain(error.what());
  }
}

}  // namespace ct::harness
