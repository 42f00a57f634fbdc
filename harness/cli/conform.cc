// SPDX-License-Identifier: BSD-2-Clause
/// `ctbench conform`: does it agree with the live kernel, packet by packet?
#include "harness/cli/choice.h"
#include "harness/cli/interrupt.h"
#include "harness/cli/machine.h"
#include "harness/cli/progress.h"
#include "harness/cli/sysctl_option.h"
#include "harness/cli/verb.h"
#include "harness/conform/campaign.h"
#include "harness/conform/capture_list.h"
#include "harness/conform/explained.h"
#include "harness/conform/lanes.h"
#include "harness/format/number.h"
#include "workloads/walk.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <memory>
#include <system_error>
#include <thread>

namespace ct::harness {
namespace {

namespace fs = std::filesystem;

struct conform_arguments {
  std::uint64_t packets = 100'000;
  bool has_packets = false;
  std::vector<std::string> captures;
  std::vector<std::string> protocols;
  std::vector<std::string> sysctls;
  std::string out = "results";
  std::uint32_t threads = 0;
  bool is_always_deep = false;
  bool keeps_gaps = false;
};

/// The one that is judged: named, or rcu, which is the kernel's own design.
impl find_judged(const context& what) {
  std::vector<impl> ours;
  std::ranges::copy_if(what.chosen, std::back_inserter(ours), [](const impl& one) {
    return !one.is_live() && !one.is_timing_only();
  });
  if (!what.is_chosen_by_name) {
    std::erase_if(ours, [](const impl& one) { return one.name != "rcu"; });
  }
  if (ours.size() != 1) {
    throw usage_error(
        "conform: compares one implementation with the live kernel; name one that "
        "tracks, as --impl rcu (ctbench list names them)");
  }
  return ours.front();
}

/// "tcp, udp, fragments (by name only)".
std::string protocol_names() {
  std::string names;
  for (const workloads::walk_kind& one : workloads::walk_kinds()) {
    names += fmt::format("{}{}{}",
                         names.empty() ? "" : ", ",
                         one.name,
                         one.weight == 0 ? " (by name only)" : "");
  }
  return names;
}

std::vector<workloads::walk_kind> find_kinds(const std::vector<std::string>& names) {
  const auto all = workloads::walk_kinds();
  std::vector<workloads::walk_kind> chosen;
  if (names.empty()) {
    std::ranges::copy_if(all, std::back_inserter(chosen), [](const auto& k) {
      return k.weight > 0;
    });
    return chosen;
  }
  std::vector<std::string_view> known;
  for (const workloads::walk_kind& one : all) known.push_back(one.name);
  for (const std::string& name : names) {
    const auto found = std::ranges::find(all, name, &workloads::walk_kind::name);
    if (found == all.end()) {
      throw usage_error(fmt::format("conform: --protocol {}: unknown{}; there is {}",
                                    name,
                                    suggestion(name, known),
                                    fmt::join(known, ", ")));
    }
    chosen.push_back(*found);
  }
  return chosen;
}

conform::campaign_options options_of(const conform_arguments& arguments,
                                     const context& what,
                                     const impl& judged) {
  conform::campaign_options options;
  const bool is_generated = arguments.has_packets || arguments.captures.empty();
  options.packets = is_generated ? arguments.packets : 0;
  options.seed = what.seed;
  options.kinds = find_kinds(arguments.protocols);
  options.is_always_deep = arguments.is_always_deep;
  options.threads = arguments.threads;
  options.system.seed = what.seed;
  options.system.acct = true;
  if (!arguments.captures.empty()) {
    // Captures hold the checksums that a card would have filled in, and packets that were cut.
    options.system.sysctls.push_back({.name = "nf_conntrack_checksum", .value = "0"});
  }
  for (const sysctl_setting& one : sysctls_of(arguments.sysctls, {&judged, 1})) {
    options.system.sysctls.push_back(one);
  }
  for (const std::string& path : arguments.captures) {
    options.captures.push_back(conform::read_capture(path, arguments.keeps_gaps));
  }
  return options;
}

std::string file_name_of(const conform::finding& one, std::uint64_t seed) {
  if (one.capture.empty()) return fmt::format("conform-seed{}-{}.pcap", seed, one.episode);
  std::string stem = fs::path(one.capture).filename().string();
  return fmt::format("conform-seed{}-{}.pcap", seed, stem.substr(0, stem.find('.')));
}

/// Where it was written.
std::string save(const conform::finding& one, const std::string& folder, std::uint64_t seed) {
  std::error_code error;
  fs::create_directories(folder, error);
  const std::string path = (fs::path(folder) / file_name_of(one, seed)).string();
  std::ofstream file(path, std::ios::binary);
  file << conform::pcap_of(one.packets);
  file.close();
  if (!file) {
    throw usage_error(
        fmt::format("--out {}: {}; name a folder that can be written", path, std::strerror(errno)));
  }
  return path;
}

void print_finding(const conform::finding& one,
                   std::size_t number,
                   const impl& judged,
                   const std::string& path) {
  fmt::print("difference {}: {} {}, {} of {} packets{}\n",
             number,
             one.capture.empty() ? "episode" : "capture",
             one.capture.empty() ? std::to_string(one.episode) : one.capture,
             one.packets.size(),
             grouped(one.packets_before),
             one.is_repeated ? "" : "; it did not show again and is not shrunk");
  std::string settings;
  for (const sysctl_setting& s : one.settings)
    settings += fmt::format(" --sysctl {}={}", s.name, s.value);
  if (!settings.empty()) fmt::print("  with{}\n", settings);
  // Those of a capture are not verified unless it is asked for; these may be wrong on purpose.
  if (one.capture.empty()) settings += " --sysctl nf_conntrack_checksum=1";
  fmt::print("{}", conform::lanes_text(one, judged.name, "linux"));
  const bool has_pause = std::ranges::any_of(one.packets, [](const conform::walked_packet& p) {
    return p.pause_ms != 0;
  });
  fmt::print("  again: ctbench conform --impl {} --pcap {}{}{}\n\n",
             judged.name,
             path,
             has_pause ? " --gaps" : "",
             settings);
}

void print_coverage(const conform::campaign_result& result) {
  std::string text;
  for (const conform::cell_table* const table : conform::cell_tables()) {
    text += result.seen.has(*table)
                ? fmt::format("{} table {} of {} cells, {} can be reached; ",
                              table->name,
                              result.seen.count(*table),
                              table->size(),
                              table->reachable())
                : fmt::format("{} table: none, this kernel tracks it as any other protocol; ",
                              table->name);
  }
  fmt::print("coverage: {}ICMP types {}, ICMPv6 types {}; sysctls {} of {} that a run varies\n",
             text,
             result.seen.icmp_count(),
             result.seen.icmpv6_count(),
             result.seen.sysctl_count(),
             result.sysctls_varied);
  constexpr std::size_t few = 12;
  for (const conform::cell_table* const table : conform::cell_tables()) {
    // Who asks for other protocols wants to hear of those.
    if (result.seen.count(*table) == 0) continue;
    const std::vector<std::string> missing = result.seen.missing(*table);
    if (missing.empty()) continue;
    fmt::print("not reached, {}: {}\n",
               table->name,
               missing.size() <= few ? fmt::format("{}", fmt::join(missing, ", "))
                                     : fmt::format("{} cells (--json names them)", missing.size()));
  }
}

void print_summary(const conform::campaign_result& result,
                   const conform::campaign_options& options,
                   const impl& judged) {
  fmt::print("{} against {}, seed {}; {} thread{}\n",
             judged.name,
             kernel_text(),
             options.seed,
             result.threads,
             result.threads == 1 ? "" : "s");
  for (const conform::captured_list& one : options.captures) {
    fmt::print("{}: {} packets, {} left out (no IP, or not forwarded by a router)\n",
               one.name,
               grouped(one.packets.size()),
               grouped(one.left_out));
  }
  fmt::print(
      "compared after each packet: outcome {} packets, {}/s; outcome and the entry's state {} "
      "packets, {}/s\n",
      grouped(result.outcomes.packets),
      grouped(static_cast<std::uint64_t>(result.rate(result.outcomes))),
      grouped(result.states.packets),
      grouped(static_cast<std::uint64_t>(result.rate(result.states))));
  print_coverage(result);
  for (const auto& [row, count] : result.explained) {
    fmt::print("explained: {} ({} times; docs/linux-differences.md)\n", row, grouped(count));
  }
  fmt::print("\n");
}

nlohmann::json json_row(const conform::finding& one, const std::string& path) {
  nlohmann::json lanes = nlohmann::json::array();
  for (const conform::lane& l : one.lanes) {
    lanes.push_back({{"packet", l.packet}, {"ours", l.ours}, {"linux", l.theirs}});
  }
  return {{"episode", one.episode},
          {"capture", one.capture},
          {"field", one.what.field},
          {"ours", one.what.ours},
          {"linux", one.what.theirs},
          {"packets_before", one.packets_before},
          {"is_repeated", one.is_repeated},
          {"lanes", lanes},
          {"pcap", path}};
}

nlohmann::json json_figures(const conform::campaign_result& result) {
  nlohmann::json explained = nlohmann::json::object();
  for (const auto& [row, count] : result.explained) explained[std::string(row)] = count;
  nlohmann::json figures = {{"kernel", kernel_text()},
                            {"packets", result.packets()},
                            {"threads", result.threads},
                            {"outcomes", result.outcomes.packets},
                            {"outcomes_per_second", result.rate(result.outcomes)},
                            {"states", result.states.packets},
                            {"states_per_second", result.rate(result.states)},
                            {"icmp_types", result.seen.icmp_count()},
                            {"icmpv6_types", result.seen.icmpv6_count()},
                            {"sysctls", result.seen.sysctl_count()},
                            {"sysctls_varied", result.sysctls_varied},
                            {"explained", explained},
                            {"interrupted", result.was_stopped}};
  nlohmann::json missing = nlohmann::json::object();
  for (const conform::cell_table* const table : conform::cell_tables()) {
    if (!result.seen.has(*table)) continue;
    figures[std::string(table->key)] = result.seen.count(*table);
    missing[std::string(table->key)] = result.seen.missing(*table);
  }
  figures["cells_missing"] = missing;
  return figures;
}

conform::campaign_result run_with_progress(const impl& judged,
                                           const impl& judge,
                                           const conform::campaign_options& options) {
  const interrupt_listener listener;
  progress_bar bar;
  const conform::campaign_hooks hooks = {
      .should_stop = [&listener] { return listener.was_interrupted(); },
      .progress =
          [&](std::uint64_t packets) {
            if (!bar.is_due()) return;
            const double all = static_cast<double>(std::max<std::uint64_t>(options.packets, 1));
            bar.draw(options.captures.empty() ? std::optional(static_cast<double>(packets) / all)
                                              : std::nullopt,
                     fmt::format("{} packets", grouped(packets)));
          }};
  conform::campaign_result result = conform::run_campaign(judged, judge, options, hooks);
  bar.clear();
  return result;
}

outcome run_conform(const conform_arguments& arguments, const context& what) {
  outcome found;
  const impl judged = find_judged(what);
  const conform::campaign_options options = options_of(arguments, what, judged);
  const impl* const judge = find_kernel(what.all, found.verdict);
  if (judge == nullptr) return found;
  const conform::campaign_result result = run_with_progress(judged, *judge, options);
  print_summary(result, options, judged);
  for (std::size_t i = 0; i < result.findings.size(); ++i) {
    const std::string path = save(result.findings[i], arguments.out, what.seed);
    print_finding(result.findings[i], i + 1, judged, path);
    found.rows.push_back(json_row(result.findings[i], path));
  }
  found.figures = json_figures(result);
  found.figures["sysctls_given"] = arguments.sysctls;
  if (!result.findings.empty()) {
    found.exit = exit_code::bad;
    found.verdict = "unexplained differences";
    found.closing = fmt::format("unexplained differences: {} in {} packets",
                                result.findings.size(),
                                grouped(result.packets()));
    return found;
  }
  found.verdict = "no unexplained difference";
  found.closing = fmt::format("{}: {} packets", found.verdict, grouped(result.packets()));
  if (result.was_stopped) {
    found.exit = exit_code::interrupted;
    found.closing += " until it was interrupted";
  }
  return found;
}

}  // namespace

std::function<outcome(const context&)> add_conform(CLI::App& options) {
  const auto arguments = std::make_shared<conform_arguments>();
  constexpr std::uint64_t packets_max = 1'000'000'000;
  arguments->threads = std::clamp(std::thread::hardware_concurrency(), 1U, 4U);
  CLI::Option* const packets =
      options.add_option("--packets", arguments->packets, "generated, by --seed")
          ->check(CLI::Range(std::uint64_t{1}, packets_max))
          ->type_name("N")
          ->capture_default_str();
  options.add_option("--pcap", arguments->captures, "captures in place of generated packets")
      ->type_name("FILE...");
  options
      .add_option("--protocol",
                  arguments->protocols,
                  fmt::format("generate only, of: {}", protocol_names()))
      ->delimiter(',')
      ->type_name("NAME,...");
  options.add_flag("--state",
                   arguments->is_always_deep,
                   "read the entry's whole state after every packet, not in one episode of eight");
  options.add_flag("--gaps", arguments->keeps_gaps, "wait where a capture has a gap, at most 3 s");
  options.add_option("--out", arguments->out, "folder for the captures of differences")
      ->type_name("FOLDER")
      ->capture_default_str();
  options.add_option("--threads", arguments->threads, "each with its own namespace")
      ->check(CLI::Range(1, 64))
      ->type_name("N")
      ->capture_default_str();
  add_sysctl_option(options, arguments->sysctls);
  return [arguments, packets](const context& what) {
    arguments->has_packets = packets->count() > 0;
    return run_conform(*arguments, what);
  };
}

}  // namespace ct::harness
