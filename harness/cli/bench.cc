// SPDX-License-Identifier: BSD-2-Clause
/// `ctbench bench`: how fast is each implementation, while every answer is right?
#include "harness/bench/bench.h"

#include "harness/cli/choice.h"
#include "harness/cli/progress.h"
#include "harness/cli/result_file.h"
#include "harness/cli/sysctl_option.h"
#include "harness/cli/verb.h"
#include "workloads/playback.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <utility>

namespace ct::harness {
namespace {

/// Where the project's own captures are, seen from its root.
constexpr const char* traces = "workloads/traces";
/// In the place of a file: packets from a generator.
constexpr const char* generated = "generated";

struct bench_arguments {
  bool quick = false;
  std::vector<int> threads;
  std::vector<std::size_t> connections;
  int repetitions = 0;
  double min_time_s = -1;
  std::string filter;
  std::vector<std::string> captures;
  std::string google_json;
  std::vector<std::string> sysctls;
  bool verify_checksums = false;
};

/// Packets of captures in memory.
struct loaded_captures {
  std::string name;
  std::vector<std::vector<std::byte>> frames;
  std::vector<skb> packets;
};

std::vector<std::string> own_captures() {
  std::vector<std::string> out;
  if (!std::filesystem::is_directory(traces)) return out;
  for (const auto& entry : std::filesystem::directory_iterator(traces)) {
    const std::string path = entry.path().string();
    if (path.ends_with(".pcap") || path.ends_with(".pcap.gz")) out.push_back(path);
  }
  std::ranges::sort(out);
  return out;
}

loaded_captures load(const std::vector<std::string>& asked) {
  loaded_captures out;
  if (asked == std::vector<std::string>{generated}) return out;
  const std::vector<std::string> paths = asked.empty() ? own_captures() : asked;
  if (paths.empty()) return out;
  out.name = asked.empty()       ? std::string(traces)
             : paths.size() == 1 ? workloads::shown_path(paths[0])
                                 : fmt::format("{} captures", paths.size());
  workloads::playback player(paths);
  for (auto batch = player.next(); !batch.packets.empty(); batch = player.next()) {
    for (const skb& packet : batch.packets) {
      out.frames.emplace_back(packet.frame.begin(), packet.frame.end());
      out.packets.push_back(packet);
      out.packets.back().frame = out.frames.back();
    }
  }
  if (!player.damages().empty()) throw usage_error(player.damages().front());
  if (out.packets.empty()) {
    throw usage_error(fmt::format("{}: no packets to replay; name another --capture", out.name));
  }
  return out;
}

bench::options options_of(const bench_arguments& arguments, const context& what) {
  bench::options out;
  out.impls = what.chosen;
  out.seed = what.seed;
  out.filter = arguments.filter;
  out.sysctls = sysctls_of(arguments.sysctls, out.impls);
  out.verify_checksums = arguments.verify_checksums;
  if (arguments.quick) bench::make_quick(out);
  if (!arguments.threads.empty()) out.threads = arguments.threads;
  if (!arguments.connections.empty()) out.connections = arguments.connections;
  if (arguments.repetitions > 0) out.repetitions = arguments.repetitions;
  if (arguments.min_time_s >= 0) out.min_time_s = arguments.min_time_s;
  return out;
}

outcome run_bench(const bench_arguments& arguments, const context& what) {
  if (std::ranges::any_of(what.chosen, &impl::is_live)) {
    throw usage_error(
        "bench: linux is reached by system calls, which would be all that is timed; leave it out");
  }
  if (!arguments.google_json.empty()) expect_writable(arguments.google_json);
  bench::options options = options_of(arguments, what);
  const loaded_captures captures = load(arguments.captures);
  if (!captures.packets.empty()) {
    options.capture = captures.packets;
    options.capture_name = captures.name;
  }
  progress_bar bar;
  options.progress = [&bar](double share, std::string_view running) {
    if (bar.is_due()) bar.draw(share, std::string(running));
  };
  const bench::report report = bench::run(options);
  bar.clear();
  fmt::print("{}", bench::text_of(report));
  if (!arguments.google_json.empty()) write_result(arguments.google_json, report.google_json);
  outcome found;
  found.exit = report.exit_code();
  found.verdict = bench::verdict_of(report);
  found.figures = bench::figures_of(report);
  found.figures["sysctls"] = arguments.sysctls;
  found.rows = bench::rows_of(report);
  return found;
}

}  // namespace

std::function<outcome(const context&)> add_bench(CLI::App& options) {
  const auto arguments = std::make_shared<bench_arguments>();
  options.add_flag("--quick",
                   arguments->quick,
                   "a first look in about a minute: two sizes, three short repetitions");
  options.add_option("--threads", arguments->threads, "numbers of threads (default 1,2)")
      ->delimiter(',')
      ->check(CLI::Range(1, bench::threads_max))
      ->type_name("N,...");
  options
      .add_option("--connections",
                  arguments->connections,
                  "in the table (default 1024,65536,1048576; --quick leaves the last one out)")
      ->delimiter(',')
      ->check(CLI::Range(bench::connections_min, bench::connections_max))
      ->type_name("N,...");
  options
      .add_option("--repetitions",
                  arguments->repetitions,
                  "of everything, shuffled; the median is shown (default 5, --quick 3)")
      ->check(CLI::Range(1, 1000))
      ->type_name("N");
  options
      .add_option("--min-time",
                  arguments->min_time_s,
                  "seconds that a repetition is timed (default 0.1, --quick 0.02)")
      ->check(CLI::Range(0.0, 3600.0))
      ->type_name("S");
  options
      .add_option("--filter",
                  arguments->filter,
                  "only what matches, as in lookup_miss/rcu/connections:65536/threads:2")
      ->type_name("REGEX");
  options
      .add_option(
          "--capture",
          arguments->captures,
          "what replay passes through, or 'generated' (default: workloads/traces, if there)")
      ->type_name("FILE...");
  options
      .add_option("--google-json",
                  arguments->google_json,
                  "write Google Benchmark's own JSON, for its compare.py")
      ->type_name("FILE");
  options.add_flag("--verify-checksums",
                   arguments->verify_checksums,
                   "in replay: as for packets whose checksums no card has verified");
  add_sysctl_option(options, arguments->sysctls);
  return [arguments](const context& what) { return run_bench(*arguments, what); };
}

}  // namespace ct::harness
