// SPDX-License-Identifier: BSD-2-Clause
/// `ctbench replay`: what does each implementation make of this traffic, and do they agree?
#include "harness/replay/replay.h"

#include "harness/cli/choice.h"
#include "harness/cli/interrupt.h"
#include "harness/cli/progress.h"
#include "harness/cli/sysctl_option.h"
#include "harness/cli/verb.h"
#include "harness/format/conntrack.h"
#include "harness/format/number.h"
#include "harness/trace/trace_writer.h"
#include "workloads/playback.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <fmt/format.h>
#include <memory>

namespace ct::harness {
namespace {

struct replay_arguments {
  std::vector<std::string> captures;
  bool dump = false;
  bool events = false;
  bool stats = false;
  bool expectations = false;
  std::vector<std::string> helpers;
  bool ftp_loose = false;
  bool acct = false;
  std::size_t buckets = system_options{}.buckets;
  std::string hash = "siphash";
  std::uint16_t zone = 0;
  std::vector<std::string> sysctls;
  bool dccp = false;
  bool verify_checksums = false;
  std::string trace;
};

/// Those that are compared; of those that only time, the ones that were named.
std::vector<impl> contestants(const context& what) {
  std::vector<impl> taking_part;
  for (const impl& one : what.chosen) {
    if (what.is_chosen_by_name || !one.is_timing_only()) taking_part.push_back(one);
  }
  if (taking_part.size() > 1 && std::ranges::any_of(taking_part, &impl::is_live)) {
    throw usage_error(
        "replay: linux has the machine's clock, the others have that of the capture; name it "
        "alone, "
        "or compare with ctbench conform --pcap");
  }
  if (std::ranges::all_of(taking_part, &impl::is_timing_only)) {
    throw usage_error(
        "replay: every implementation chosen takes part in timing only; name one that tracks "
        "(ctbench list says which promise something)");
  }
  return taking_part;
}

std::string captures_text(const workloads::playback& player) {
  const std::size_t count = player.paths().size();
  return fmt::format("{} capture{}", grouped(count), count == 1 ? "" : "s");
}

void print_traffic(std::FILE* to,
                   const workloads::playback& player,
                   const replay_result& result,
                   std::uint64_t seed) {
  const protocol_mix& mix = result.mix;
  constexpr double ns_per_s = 1e9;
  fmt::print(to,
             "seed {}; {} packets of {}, {}, {:.1f} s on the clock\n",
             seed,
             grouped(player.packet_count()),
             captures_text(player),
             size_text(player.wire_bytes()),
             static_cast<double>(player.elapsed_ns()) / ns_per_s);
  fmt::print(to,
             "TCP {}, UDP {}, ICMP {}, ICMPv6 {}, other {}; IPv4 {}, IPv6 {}, not IP {}\n",
             grouped(mix.tcp),
             grouped(mix.udp),
             grouped(mix.icmp),
             grouped(mix.icmpv6),
             grouped(mix.other),
             grouped(mix.ipv4),
             grouped(mix.ipv6),
             grouped(mix.not_ip));
  fmt::print(to,
             "invalid {}, untracked {}; connections {}\n",
             grouped(mix.invalid),
             grouped(mix.untracked),
             grouped(result.connections));
  if (player.reordered_count() > 0) {
    fmt::print(to,
               "{} packets came before their predecessor's time; time stood still for them\n",
               grouped(player.reordered_count()));
  }
  if (player.shortened_gap_count() > 0) {
    fmt::print(to,
               "{} gaps of more than {} days were shortened to that: no connection outlives it\n",
               grouped(player.shortened_gap_count()),
               workloads::gap_s_max / (24 * 3600));
  }
}

std::string_view agreement_text(const replay_row& row) {
  if (!row.agrees) return "-";
  return *row.agrees ? "yes" : "NO";
}

void print_rows(std::FILE* to, const replay_result& result) {
  std::size_t width = std::string_view("implementation").size();
  for (const replay_row& row : result.rows) width = std::max(width, row.impl.size());
  fmt::print(to,
             "\n{:<{}}  {:>13}  {:>13}  {:>6}  {:>13}\n",
             "implementation",
             width,
             "packets",
             "connections",
             "agrees",
             "packets/s");
  for (const replay_row& row : result.rows) {
    fmt::print(to,
               "{:<{}}  {:>13}  {:>13}  {:>6}  {:>13}\n",
               row.impl,
               width,
               grouped(row.packets),
               row.agrees ? grouped(row.connections) : "-",
               agreement_text(row),
               grouped(static_cast<std::uint64_t>(row.packets_per_second())));
  }
  fmt::print(to,
             "packets/s: with every run of gc_worker that the clock asked for; bench times packets "
             "alone\n\n");
  for (const replay_row& row : result.rows) {
    if (!row.difference.empty()) fmt::print(to, "{}: {}\n", row.impl, row.difference);
  }
}

void print_events(const replay_arguments& arguments, std::span<const event_message> told) {
  for (const event_message& message : told) {
    fmt::print("{}\n", conntrack_event_line(message, {.acct = arguments.acct}));
  }
}

/// The state as the tools would print it; their summary goes to stderr, as theirs does.
void print_state(const replay_arguments& arguments, const replay_result& result) {
  if (arguments.dump) {
    for (const conn& entry : result.dump) {
      fmt::print("{}\n", conntrack_line(entry, {.acct = arguments.acct}));
    }
    fmt::print(stderr, "{}\n", conntrack_closing_line(result.dump.size()));
  }
  if (arguments.expectations) {
    for (const expect& exp : result.expectations) fmt::print("{}\n", expect_line(exp));
    fmt::print(stderr,
               "conntrack (ctbench): {} expectations have been shown.\n",
               result.expectations.size());
  }
  if (!arguments.stats) return;
  for (std::size_t cpu = 0; cpu < result.statistics.size(); ++cpu) {
    fmt::print("{}\n", conntrack_stat_line(cpu, result.statistics[cpu]));
  }
}

nlohmann::json json_row(const replay_row& row) {
  nlohmann::json json = {{"impl", row.impl},
                         {"packets", row.packets},
                         {"connections", row.connections},
                         {"agrees", nullptr},
                         {"packets_per_second", row.packets_per_second()}};
  if (row.agrees) json["agrees"] = *row.agrees;
  if (!row.difference.empty()) json["difference"] = row.difference;
  return json;
}

nlohmann::json json_figures(const workloads::playback& player, const replay_result& result) {
  const protocol_mix& mix = result.mix;
  constexpr double ns_per_s = 1e9;
  return {{"packets", player.packet_count()},
          {"bytes", player.wire_bytes()},
          {"captures", player.paths()},
          {"damages", player.damages()},
          {"clock_s", static_cast<double>(player.elapsed_ns()) / ns_per_s},
          {"reordered", player.reordered_count()},
          {"shortened_gaps", player.shortened_gap_count()},
          {"connections", result.connections},
          {"entries", result.dump.size()},
          {"events", result.event_count},
          {"tcp", mix.tcp},
          {"udp", mix.udp},
          {"icmp", mix.icmp},
          {"icmpv6", mix.icmpv6},
          {"other", mix.other},
          {"ipv4", mix.ipv4},
          {"ipv6", mix.ipv6},
          {"not_ip", mix.not_ip},
          {"invalid", mix.invalid},
          {"untracked", mix.untracked},
          {"interrupted", result.was_stopped}};
}

/// "all implementations agree", or what else it is; `closing` with figures and names.
void set_verdict(outcome& found, const workloads::playback& player, const replay_result& result) {
  std::vector<std::string> differing;
  std::size_t compared = 0;
  for (const replay_row& row : result.rows) {
    if (row.agrees) ++compared;
    if (row.agrees == false) differing.push_back(row.impl);
  }
  if (!differing.empty()) {
    found.verdict = "implementations differ";
    found.closing = fmt::format("{}: {} of {} ({})",
                                found.verdict,
                                differing.size(),
                                compared,
                                fmt::join(differing, ", "));
  } else {
    found.verdict = compared == 1 ? "nothing to compare" : "all implementations agree";
    found.closing = compared == 1 ? "nothing to compare, one implementation" : found.verdict;
  }
  found.closing += fmt::format(": {} packets, {} connections",
                               grouped(player.packet_count()),
                               grouped(result.connections));
  if (result.was_stopped) found.closing += " until it was interrupted";
  if (!player.damages().empty()) {
    found.closing +=
        fmt::format("; incomplete: {} of {}", player.damages().size(), captures_text(player));
  }
}

int exit_of(const workloads::playback& player, const replay_result& result) {
  if (!result.all_agree()) return exit_code::bad;
  if (result.was_stopped) return exit_code::interrupted;
  return player.damages().empty() ? exit_code::good : exit_code::usage;
}

/// "ftp:21": the helper's name, and the port that gets it.
std::vector<helper_rule> helper_rules(const std::vector<std::string>& texts) {
  constexpr unsigned port_max = 65535;
  std::vector<helper_rule> rules;
  for (const std::string& text : texts) {
    const std::size_t colon = std::min(text.find(':'), text.size());
    const std::string name = text.substr(0, colon);
    if (std::ranges::find(helper_names, name) == helper_names.end()) {
      throw usage_error(fmt::format("replay: --helper {}: no helper of that name; there is {}",
                                    text,
                                    fmt::join(helper_names, ", ")));
    }
    unsigned port = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] =
        std::from_chars(text.data() + std::min(colon + 1, text.size()), end, port);
    if (error != std::errc{} || stop != end || port == 0 || port > port_max) {
      throw usage_error(
          fmt::format("replay: --helper {}: a port from 1 to {} must follow the name, as in {}:21",
                      text,
                      port_max,
                      name));
    }
    rules.push_back({.helper = name, .port = static_cast<std::uint16_t>(port)});
  }
  return rules;
}

/// What the steps of the one implementation are written to; nullptr: nothing.
std::unique_ptr<trace_writer> trace_of(const replay_arguments& arguments,
                                       std::span<const impl> impls,
                                       const system_options& options) {
  if (arguments.trace.empty()) return nullptr;
  if (impls.size() != 1 || impls[0].make_observed == nullptr) {
    throw usage_error(
        "replay: --trace records one implementation that can be observed; name it with --impl "
        "(locked_map, rcu, spinlock or tbb)");
  }
  std::size_t max_entries = 0;
  for (const sysctl& one : impls[0].make(options)->sysctls(0)) {
    if (one.name == "nf_conntrack_max") max_entries = one.value;
  }
  return std::make_unique<trace_writer>(arguments.trace, begun_trace(impls[0], max_entries));
}

outcome run_replay(const replay_arguments& arguments, const context& what) {
  const std::vector<impl> impls = contestants(what);
  workloads::playback player(arguments.captures,
                             arguments.verify_checksums ? ip_summed::none : ip_summed::unnecessary);
  const interrupt_listener listener;
  progress_bar bar;
  replay_options options = {
      .system = {.buckets = arguments.buckets,
                 .max_entries = 0,
                 .hash = arguments.hash == "xxh3" ? hash_kind::xxh3 : hash_kind::siphash,
                 .seed = what.seed,
                 .acct = arguments.acct,
                 .sysctls = sysctls_of(arguments.sysctls, impls, arguments.dccp),
                 .helpers = helper_rules(arguments.helpers),
                 .ftp_loose = arguments.ftp_loose,
                 .dccp = arguments.dccp},
      .zone = {.id = arguments.zone},
      .events = arguments.events};
  const std::unique_ptr<trace_writer> trace = trace_of(arguments, impls, options.system);
  options.trace = trace.get();
  const replay_hooks hooks = {
      .should_stop = [&listener] { return listener.was_interrupted(); },
      .progress =
          [&bar](const workloads::playback& at) {
            if (!bar.is_due()) return;
            bar.draw(at.fraction(),
                     traffic_text(at.packet_count(), at.wire_bytes(), bar.elapsed_s()));
          },
      .events =
          [&](std::span<const event_message> told) {
            if (!told.empty()) bar.clear();
            print_events(arguments, told);
          }};
  const replay_result result = replay(impls, player, options, hooks);
  bar.clear();
  for (const std::string& damage : player.damages()) fmt::print(stderr, "ctbench: {}\n", damage);

  if (trace != nullptr) trace->finish();

  outcome found;
  found.exit = exit_of(player, result);
  found.is_stdout_taken =
      arguments.dump || arguments.events || arguments.stats || arguments.expectations;
  std::FILE* to = found.is_stdout_taken ? stderr : stdout;
  print_traffic(to, player, result, what.seed);
  print_rows(to, result);
  if (arguments.events) {
    fmt::print(stderr, "{}\n", conntrack_event_closing_line(result.event_count));
  }
  if (result.all_agree()) print_state(arguments, result);
  set_verdict(found, player, result);
  found.figures = json_figures(player, result);
  found.figures["sysctls"] = arguments.sysctls;
  if (trace != nullptr) {
    fmt::print(to, "trace: {} actions in {}\n", grouped(trace->header().actions), arguments.trace);
    found.figures["trace_actions"] = trace->header().actions;
  }
  for (const replay_row& row : result.rows) found.rows.push_back(json_row(row));
  return found;
}

}  // namespace

std::function<outcome(const context&)> add_replay(CLI::App& options) {
  const auto arguments = std::make_shared<replay_arguments>();
  constexpr int zone_max = 65535;
  constexpr std::size_t buckets_max = std::size_t{1} << 28;
  options
      .add_option("captures",
                  arguments->captures,
                  "pcap or pcapng, gzipped or not, - for stdin; played one after another")
      ->type_name("FILE...")
      ->required();
  options.add_flag("--dump", arguments->dump, "print the table at the end as conntrack -L does");
  options.add_flag("--events",
                   arguments->events,
                   "print what happens as conntrack -E does, by the first implementation, and "
                   "compare it");
  options.add_flag("--stats", arguments->stats, "print the counters as conntrack -S does");
  options.add_flag("--expect",
                   arguments->expectations,
                   "print what is still expected as conntrack -L expect does");
  options
      .add_option("--helper",
                  arguments->helpers,
                  "attach a helper to new connections to a port, as ftp:21; may be repeated")
      ->type_name("NAME:PORT")
      ->allow_extra_args(false);
  options.add_flag("--verify-checksums",
                   arguments->verify_checksums,
                   "take checksums for unverified, as of packets that just came in; without, "
                   "those of a capture are believed");
  options.add_flag("--dccp",
                   arguments->dccp,
                   "track DCCP, as Linux did until 6.14 (today it is generic)");
  options.add_flag("--ftp-loose",
                   arguments->ftp_loose,
                   "expect also what an FTP offer says of a third host (nf_conntrack_ftp loose=1)");
  options
      .add_option("--trace",
                  arguments->trace,
                  "write the steps of one implementation, in the contract machine's words "
                  "(ctbench model --accept reads it)")
      ->type_name("FILE");
  options.add_flag("--acct", arguments->acct, "count packets and bytes (nf_conntrack_acct)");
  options.add_option("--buckets", arguments->buckets, "of the table (nf_conntrack_buckets)")
      ->check(CLI::Range(std::size_t{1}, buckets_max))
      ->type_name("N")
      ->capture_default_str();
  options.add_option("--hash", arguments->hash, "siphash (the kernel's) or xxh3")
      ->check(CLI::IsMember({"siphash", "xxh3"}))
      ->type_name("NAME")
      ->capture_default_str();
  options.add_option("--zone", arguments->zone, "conntrack zone of every packet")
      ->check(CLI::Range(0, zone_max))
      ->type_name("N")
      ->capture_default_str();
  add_sysctl_option(options, arguments->sysctls);
  return [arguments](const context& what) { return run_replay(*arguments, what); };
}

}  // namespace ct::harness
