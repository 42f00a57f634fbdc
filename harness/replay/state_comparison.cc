// SPDX-License-Identifier: BSD-2-Clause
/// The comparisons, and the words for what differs.
#include "harness/replay/state_comparison.h"

#include "harness/format/conntrack.h"

#include <algorithm>
#include <fmt/format.h>
#include <tuple>

namespace ct::harness {
namespace {

/// Runs of gc_worker after which whatever is left is taken as it is; a run that meets its budget
/// goes on in the next one, and a table of 64k buckets needs few.
constexpr int gc_runs_max = 256;

std::string_view name_of(verdict v) {
  if (v == verdict::stolen) return "stolen";
  return v == verdict::accept ? "accept" : "drop";
}

bool differs(const skb& a, const skb& b) {
  return a.info != b.info || a.verdict != b.verdict || a.conn_id != b.conn_id;
}

/// A dump line with all that is compared, also what `conntrack -L` rounds or leaves out.
std::string full_line(const conn& entry) {
  std::string line =
      fmt::format("\"{}\" status=0x{:x} jiffies={} net={}",
                  conntrack_line(entry, {.acct = true, .extended = true, .id = true}),
                  entry.status,
                  entry.timeout_jiffies,
                  entry.net);
  if (entry.start_ns != 0) line += fmt::format(" start_ns={}", entry.start_ns);
  if (entry.labels != labels{}) {
    line += fmt::format(" labels={:x}", fmt::join(entry.labels, ":"));
  }
  if (entry.master_id != 0) line += fmt::format(" master={}", entry.master_id);
  return line;
}

bool is_same(const conn& a, const conn& b) {
  const auto all = [](const conn& c) {
    return std::tie(c.id,
                    c.tuples,
                    c.status,
                    c.timeout_jiffies,
                    c.use,
                    c.mark,
                    c.net,
                    c.zone,
                    c.tcp,
                    c.sctp,
                    c.dccp,
                    c.packets,
                    c.bytes,
                    c.start_ns,
                    c.labels,
                    c.master_id,
                    c.helper);
  };
  return all(a) == all(b);
}

}  // namespace

std::string packet_difference(const skb& mine, const skb& reference, std::string_view name) {
  if (!differs(mine, reference)) return {};
  std::vector<std::string> parts;
  const auto add = [&](std::string_view what, const auto& a, const auto& b) {
    if (a != b) parts.push_back(fmt::format("{} {} ({}: {})", what, a, name, b));
  };
  add("ctinfo", ct::name(mine.info), ct::name(reference.info));
  add("verdict", name_of(mine.verdict), name_of(reference.verdict));
  add("connection", mine.conn_id, reference.conn_id);
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::vector<conn> dump_of(ct_system& system, cpu& on) {
  std::vector<conn> entries;
  system.dump(on, [&entries](const conn& entry) { entries.push_back(entry); });
  std::ranges::sort(entries, is_printed_before);
  return entries;
}

std::string dump_difference(std::span<const conn> mine,
                            std::span<const conn> reference,
                            std::string_view name) {
  const std::size_t both = std::min(mine.size(), reference.size());
  for (std::size_t i = 0; i < both; ++i) {
    if (is_same(mine[i], reference[i])) continue;
    const std::string a = full_line(mine[i]);
    const std::string b = full_line(reference[i]);
    if (is_printed_before(mine[i], reference[i])) {
      return fmt::format("dump: shows {}, which {} does not", a, name);
    }
    if (is_printed_before(reference[i], mine[i])) {
      return fmt::format("dump: lacks {}, which {} shows", b, name);
    }
    return fmt::format("dump: shows {}, {} shows {}", a, name, b);
  }
  if (mine.size() > both) {
    return fmt::format("dump: shows {}, which {} does not", full_line(mine[both]), name);
  }
  if (reference.size() > both) {
    return fmt::format("dump: lacks {}, which {} shows", full_line(reference[both]), name);
  }
  return {};
}

std::vector<expect> expectations_of(const ct_system& system) {
  std::vector<expect> all = system.expectations();
  std::ranges::sort(all);
  return all;
}

std::string expectations_difference(std::span<const expect> mine,
                                    std::span<const expect> reference,
                                    std::string_view name) {
  const auto [a, b] = std::ranges::mismatch(mine, reference);
  if (a == mine.end() && b == reference.end()) return {};
  const auto shown = [](auto at, auto end) {
    return at == end ? std::string("no more") : fmt::format("\"{}\"", expect_line(*at));
  };
  return fmt::format("expectations: {} ({}: {})",
                     shown(a, mine.end()),
                     name,
                     shown(b, reference.end()));
}

ip_conntrack_stat total(std::span<const ip_conntrack_stat> statistics) {
  ip_conntrack_stat sum;
  for (const ip_conntrack_stat& counters : statistics) sum += counters;
  return sum;
}

std::string statistics_difference(const ip_conntrack_stat& mine,
                                  const ip_conntrack_stat& reference,
                                  std::string_view name) {
  std::vector<std::string> parts;
  const auto add = [&](std::string_view what, std::uint64_t a, std::uint64_t b) {
    if (a != b) parts.push_back(fmt::format("{}={} ({}: {})", what, a, name, b));
  };
  add("found", mine.found, reference.found);
  add("invalid", mine.invalid, reference.invalid);
  add("insert", mine.insert, reference.insert);
  add("insert_failed", mine.insert_failed, reference.insert_failed);
  add("drop", mine.drop, reference.drop);
  add("early_drop", mine.early_drop, reference.early_drop);
  add("error", mine.error, reference.error);
  add("search_restart", mine.search_restart, reference.search_restart);
  add("clash_resolve", mine.clash_resolve, reference.clash_resolve);
  add("chaintoolong", mine.chaintoolong, reference.chaintoolong);
  add("expect_new", mine.expect_new, reference.expect_new);
  add("expect_create", mine.expect_create, reference.expect_create);
  add("expect_delete", mine.expect_delete, reference.expect_delete);
  return parts.empty() ? "" : fmt::format("statistics: {}", fmt::join(parts, ", "));
}

std::size_t count_at_rest(ct_system& system, cpu& on) {
  for (int run = 0; run < gc_runs_max; ++run) {
    on.quiescent();
    const gc_report report = on.gc_worker();
    if (report.reaped == 0 && report.next_run != 0) break;
  }
  on.quiescent();
  return system.count();
}

}  // namespace ct::harness
