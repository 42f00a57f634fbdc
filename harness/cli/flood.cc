// SPDX-License-Identifier: BSD-2-Clause
/// `ctbench flood`: a SYN flood fills the table; who still gets through?
#include "harness/flood/flood.h"

#include "harness/cli/choice.h"
#include "harness/cli/interrupt.h"
#include "harness/cli/progress.h"
#include "harness/cli/sysctl_option.h"
#include "harness/cli/verb.h"
#include "harness/format/number.h"

#include <algorithm>
#include <cstdio>
#include <fmt/format.h>
#include <memory>

namespace ct::harness {
namespace {

struct flood_arguments {
  std::size_t max_entries = 65536;
  std::size_t buckets = system_options{}.buckets;
  std::uint64_t connections = workloads::syn_flood_options{}.connections;
  std::uint32_t ratio = workloads::syn_flood_options{}.syns_per_connection;
  std::uint32_t rate = workloads::syn_flood_options{}.connections_per_s;
  std::uint32_t rtt_ms = 100;
  bool no_early_drop = false;
  std::vector<std::string> sysctls;
};

std::vector<impl> contestants(const context& what) {
  std::vector<impl> taking_part = what.chosen;
  std::erase_if(taking_part, [](const impl& one) { return one.is_timing_only(); });
  if (taking_part.empty()) {
    throw usage_error(
        "flood: noop has no table that could be full; name an implementation that "
        "tracks (ctbench list says which promise something)");
  }
  return taking_part;
}

workloads::syn_flood_options traffic_of(const flood_arguments& arguments, std::uint64_t seed) {
  constexpr std::uint32_t ms_per_s = 1000;
  return {.seed = seed,
          .connections = arguments.connections,
          .connections_per_s = arguments.rate,
          .syns_per_connection = arguments.ratio,
          .step_jiffies = std::max(1U, arguments.rtt_ms * hz / (2 * ms_per_s))};
}

void print_rows(const std::vector<flood_row>& rows, const flood_arguments& arguments) {
  std::size_t width = std::string_view("implementation").size();
  for (const flood_row& row : rows) width = std::max(width, row.impl.size());
  fmt::print("{} attempts to connect, {} a second, {} SYNs of a flood beside each; room for {}\n\n",
             grouped(arguments.connections),
             grouped(arguments.rate),
             grouped(arguments.ratio),
             grouped(arguments.max_entries));
  fmt::print("{:<{}}  early drop  {:>9}  {:>7}  {:>9}  {:>9}  {:>9}  {:>11}  {:>11}  {:>9}\n",
             "implementation",
             width,
             "succeeded",
             "share",
             "refused",
             "opening",
             "closing",
             "early_drop",
             "drop",
             "peak");
  for (const flood_row& row : rows) {
    fmt::print("{:<{}}  {:<10}  {:>9}  {:>6.2f}%  {:>9}  {:>9}  {:>9}  {:>11}  {:>11}  {:>9}\n",
               row.impl,
               width,
               row.early_drop ? "yes" : "no",
               grouped(row.attempts.succeeded),
               100 * row.attempts.share(),
               grouped(row.attempts.refused),
               grouped(row.attempts.lost_opening),
               grouped(row.attempts.lost_closing),
               grouped(row.statistics.early_drop),
               grouped(row.statistics.drop),
               grouped(row.count_peak));
  }
  fmt::print(
      "refused: its SYN was dropped; opening, closing: its entry went before it was ASSURED, "
      "or after the first FIN\n\n");
  for (const flood_row& row : rows) {
    if (!row.broken.empty()) fmt::print("{}: {}\n", row.impl, row.broken);
    if (!row.differs.empty()) fmt::print("{}: {}\n", row.impl, row.differs);
  }
}

nlohmann::json json_row(const flood_row& row) {
  nlohmann::json json = {{"impl", row.impl},
                         {"early_drop_is_on", row.early_drop},
                         {"tried", row.attempts.tried},
                         {"succeeded", row.attempts.succeeded},
                         {"share", row.attempts.share()},
                         {"refused", row.attempts.refused},
                         {"lost_opening", row.attempts.lost_opening},
                         {"lost_assured", row.attempts.lost_assured},
                         {"lost_closing", row.attempts.lost_closing},
                         {"packets", row.packets},
                         {"packets_dropped", row.packets_dropped},
                         {"early_drop", row.statistics.early_drop},
                         {"drop", row.statistics.drop},
                         {"insert_failed", row.statistics.insert_failed},
                         {"chaintoolong", row.statistics.chaintoolong},
                         {"invalid", row.statistics.invalid},
                         {"count_peak", row.count_peak},
                         {"count_left", row.count_left},
                         {"full_at_jiffies", row.full_at_jiffies},
                         {"agreed_jiffies", row.agreed_jiffies},
                         {"is_good", row.is_good()}};
  if (!row.broken.empty()) json["broken"] = row.broken;
  if (!row.differs.empty()) json["differs"] = row.differs;
  return json;
}

void set_verdict(outcome& found, const std::vector<flood_row>& rows, bool was_stopped) {
  const auto bad = std::ranges::count_if(rows, [](const flood_row& r) { return !r.is_good(); });
  found.exit = bad != 0 ? exit_code::bad : exit_code::good;
  found.verdict = bad == 0 ? "every law of a full table held" : "a law of a full table is broken";
  if (bad == 0 && was_stopped) found.exit = exit_code::interrupted;
  found.closing = found.verdict;
  if (was_stopped) found.closing += " until it was interrupted";
  for (const bool early_drop : {true, false}) {
    double low = 1;
    double high = 0;
    for (const flood_row& row : rows) {
      if (row.early_drop != early_drop) continue;
      low = std::min(low, row.attempts.share());
      high = std::max(high, row.attempts.share());
    }
    if (low > high) continue;
    found.closing += fmt::format("{}{} early drop {:.1f} to {:.1f} % got through",
                                 early_drop ? ": " : "; ",
                                 early_drop ? "with" : "without",
                                 100 * low,
                                 100 * high);
  }
}

outcome run_flood(const flood_arguments& arguments, const context& what) {
  const std::vector<impl> impls = contestants(what);
  const workloads::syn_flood_options traffic = traffic_of(arguments, what.seed);
  system_options system = {.buckets = arguments.buckets,
                           .max_entries = arguments.max_entries,
                           .seed = what.seed,
                           .sysctls = sysctls_of(arguments.sysctls, impls)};
  std::vector<bool> early_drops = {true, false};
  if (arguments.no_early_drop) early_drops = {false};
  const interrupt_listener listener;
  progress_bar bar;
  std::vector<flood_row> rows;
  const std::size_t row_count = impls.size() * early_drops.size();
  const flood_hooks hooks = {
      .should_stop = [&listener] { return listener.was_interrupted(); },
      .progress =
          [&](std::uint64_t tried) {
            if (!bar.is_due()) return;
            const double of_this =
                static_cast<double>(tried) /
                static_cast<double>(std::max<std::uint64_t>(arguments.connections, 1));
            bar.draw((static_cast<double>(rows.size()) + of_this) / static_cast<double>(row_count),
                     fmt::format("{}", impls[rows.size() % impls.size()].name));
          }};
  for (const bool early_drop : early_drops) {
    system.early_drop = early_drop;
    for (const impl& one : impls) {
      if (!listener.was_interrupted()) rows.push_back(flood(one, system, traffic, hooks));
    }
  }
  bar.clear();
  compare(rows);
  print_rows(rows, arguments);
  outcome found;
  set_verdict(found, rows, listener.was_interrupted());
  found.figures = {{"connections", arguments.connections},
                   {"ratio", arguments.ratio},
                   {"connections_per_s", arguments.rate},
                   {"rtt_ms", arguments.rtt_ms},
                   {"max_entries", arguments.max_entries},
                   {"buckets", arguments.buckets},
                   {"sysctls", arguments.sysctls},
                   {"interrupted", listener.was_interrupted()}};
  for (const flood_row& row : rows) found.rows.push_back(json_row(row));
  return found;
}

}  // namespace

std::function<outcome(const context&)> add_flood(CLI::App& options) {
  const auto arguments = std::make_shared<flood_arguments>();
  constexpr std::size_t entries_max = std::size_t{1} << 28;
  options.add_option("--max", arguments->max_entries, "entries the table takes (nf_conntrack_max)")
      ->check(CLI::Range(std::size_t{1}, entries_max))
      ->type_name("N")
      ->capture_default_str();
  options.add_option("--buckets", arguments->buckets, "of the table (nf_conntrack_buckets)")
      ->check(CLI::Range(std::size_t{1}, entries_max))
      ->type_name("N")
      ->capture_default_str();
  options.add_option("--connections", arguments->connections, "attempts of those who want to work")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{workloads::flows_per_pool - 1}))
      ->type_name("N")
      ->capture_default_str();
  options.add_option("--ratio", arguments->ratio, "SYNs of the flood for each of them")
      ->check(CLI::Range(0, 10'000))
      ->type_name("N")
      ->capture_default_str();
  options.add_option("--rate", arguments->rate, "of these attempts a second")
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("N")
      ->capture_default_str();
  options.add_option("--rtt-ms", arguments->rtt_ms, "round trip of a connection")
      ->check(CLI::Range(1, 600'000))
      ->type_name("MS")
      ->capture_default_str();
  options.add_flag("--no-early-drop",
                   arguments->no_early_drop,
                   "only without early drop (default: with it and without)");
  add_sysctl_option(options, arguments->sysctls);
  return [arguments](const context& what) { return run_flood(*arguments, what); };
}

}  // namespace ct::harness
