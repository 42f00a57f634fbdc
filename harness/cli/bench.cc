// SPDX-License-Identifier: BSD-2-Clause
/// `ctbench bench`: how fast is each implementation, provided that it was right while the clock ran?
#include "harness/bench/bench.h"

#include <deque>
#include <fmt/format.h>
#include <memory>

#include "harness/cli/choice.h"
#include "harness/cli/progress.h"
#include "harness/cli/result_file.h"
#include "harness/cli/verb.h"
#include "workloads/playback.h"

namespace ct::harness {
namespace {

struct bench_arguments {
  bool quick = false;
  std::vector<std::size_t> connections;
  std::vector<int> threads;
  int repetitions = 0;
  double min_time_s = 0;
  std::string filter;
  std::string google_json;
  std::vector<std::string> captures;
};

/// Captures in memory: what is timed must not wait for a disk.
class loaded_captures {
 public:
  explicit loaded_captures(const std::vector<std::string>& paths) {
    if (paths.empty()) return;
    workloads::playback player(paths);
    for (;;) {
      const workloads::played_batch batch = player.next();
      if (batch.packets.empty()) break;
      for (skb packet : batch.packets) {
        packet.frame = frames_.emplace_back(packet.frame.begin(), packet.frame.end());
        packets_.push_back(packet);
      }
    }
    if (!player.damages().empty()) throw workloads::input_error(player.damages().front());
    if (packets_.empty()) throw usage_error("--capture: no packet in it; record some traffic first");
  }
  std::span<const skb> packets() const { return packets_; }

 private:
  std::deque<std::vector<std::byte>> frames_;  // a deque: no frame moves when the next one is added
  std::vector<skb> packets_;
};

/// --quick first, so that what is given beside it holds.
bench::options options_of(const bench_arguments& arguments, const context& what,
                          const CLI::App& given) {
  bench::options options;
  options.impls = what.chosen;
  options.seed = what.seed;
  if (arguments.quick) bench::make_quick(options);
  if (given.count("--connections") > 0) options.connections = arguments.connections;
  if (given.count("--threads") > 0) options.threads = arguments.threads;
  if (given.count("--repetitions") > 0) options.repetitions = arguments.repetitions;
  if (given.count("--min-time") > 0) options.min_time_s = arguments.min_time_s;
  options.filter = arguments.filter;
  options.google_json = arguments.google_json;
  return options;
}

/// The report's text without its last line, which the program prints as every verb's.
std::string all_but_last_line(const std::string& text, std::string& last) {
  const std::size_t end = text.find_last_not_of('\n');
  if (end == std::string::npos) return {};
  const std::size_t before = text.rfind('\n', end);
  const std::size_t begin = before == std::string::npos ? 0 : before + 1;
  last = text.substr(begin, end + 1 - begin);
  return text.substr(0, begin);
}

outcome run_bench(const bench_arguments& arguments, const context& what, const CLI::App& given) {
  if (!arguments.google_json.empty()) expect_writable(arguments.google_json);
  const loaded_captures captures(arguments.captures);
  bench::options options = options_of(arguments, what, given);
  options.capture = captures.packets();
  progress_bar bar;
  options.progress = [&bar](double share, std::string_view running) {
    if (bar.is_due()) bar.draw(share, std::string(running));
  };
  const bench::report report = bench::run(options);
  bar.clear();

  outcome found;
  found.exit = report.exit_code();
  found.verdict = report.verdict();
  fmt::print("{}", all_but_last_line(bench::text_of(report), found.closing));
  nlohmann::json json = nlohmann::json::parse(bench::json_of(report));
  found.figures = std::move(json["figures"]);
  found.rows = std::move(json["rows"]);
  return found;
}

}  // namespace

std::function<outcome(const context&)> add_bench(CLI::App& options) {
  const auto arguments = std::make_shared<bench_arguments>();
  options.add_flag("--quick", arguments->quick, "small tables, three short repetitions");
  options.add_option("--connections", arguments->connections, "in the table: N[,N...]")
      ->delimiter(',')
      ->type_name("N[,N...]");
  options.add_option("--threads", arguments->threads, "N[,N...]")->delimiter(',')->type_name("N[,N...]");
  options.add_option("--repetitions", arguments->repetitions, "of each benchmark")->type_name("N");
  options.add_option("--min-time", arguments->min_time_s, "timed, a repetition")->type_name("SECONDS");
  options
      .add_option("--filter", arguments->filter,
                  "only what matches, of names like lookup_miss/rcu/connections:65536/threads:1")
      ->type_name("REGEX");
  options.add_option("--capture", arguments->captures, "replay this in the place of generated traffic")
      ->type_name("FILE...");
  options
      .add_option("--google-json", arguments->google_json,
                  "write Google Benchmark's own JSON to FILE")
      ->type_name("FILE");
  const CLI::App* given = &options;
  return [arguments, given](const context& what) { return run_bench(*arguments, what, *given); };
}

}  // namespace ct::harness
