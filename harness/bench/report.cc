// SPDX-License-Identifier: BSD-2-Clause
/// A report as tables for people and as JSON for programs.
#include "harness/bench/bench.h"
#include "harness/format/number.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <set>

namespace ct::bench {
namespace {

constexpr int name_width = 16;
constexpr int size_width = 11;
constexpr int cell_width = 13;

struct column {
  std::string_view benchmark;
  std::string_view heading;
};
constexpr std::array<column, 7> columns = {{
    {"lookup_hit_orig", "hit orig"},
    {"lookup_hit_reply", "hit reply"},
    {"lookup_miss", "miss"},
    {"confirm", "confirm"},
    {"gc", "gc"},
    {"gc_live", "gc live"},
    {"mixed", "mixed"},
}};
static_assert(name_width + size_width + static_cast<int>(columns.size()) * cell_width <= 120);

using harness::grouped;

/// Three digits that count: 0.12 1.23 12.3 123.
std::string millions(double per_second) {
  const double m = per_second / 1e6;
  return fmt::format("{:.{}f}", m, m >= 100 ? 0 : m >= 10 ? 1 : 2);
}

std::string cell_text(const row* of) {
  if (of == nullptr) return "-";
  if (!of->ops_per_second) return "INVALID";
  const figure& f = *of->ops_per_second;
  return fmt::format("{} ±{:.0f}%", millions(f.median), (f.high - f.low) / 2 / f.median * 100);
}

/// Right-aligned by characters: ± has two bytes.
std::string padded(const std::string& text, int width) {
  const auto shown = static_cast<int>(std::ranges::count_if(text, [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
  return std::string(static_cast<std::size_t>(std::max(width - shown, 1)), ' ') + text;
}

const row* find(const report& in,
                std::string_view impl,
                std::string_view benchmark,
                std::size_t connections,
                int threads) {
  const auto found = std::ranges::find_if(in.rows, [&](const row& r) {
    return r.impl == impl && r.benchmark == benchmark && r.threads == threads &&
           (r.connections == connections || benchmark == "replay");
  });
  return found == in.rows.end() ? nullptr : &*found;
}

struct extent {
  std::set<std::string> impls;
  std::set<std::size_t> connections;
  std::set<int> threads;
};
template <class Wanted>
extent extent_of(const report& of, Wanted is_wanted) {
  extent out;
  for (const row& r : of.rows) {
    if (!is_wanted(r)) continue;
    out.impls.insert(r.impl);
    out.connections.insert(r.connections);
    out.threads.insert(r.threads);
  }
  return out;
}

std::string threads_text(int threads) {
  return fmt::format("{} thread{}", threads, threads == 1 ? "" : "s");
}

std::string table_of(const report& of, const extent& over, int threads) {
  std::string out = fmt::format("{}, million operations a second\n", threads_text(threads));
  out += fmt::format("{:<{}}{:>{}}", "implementation", name_width, "connections", size_width);
  for (const column& c : columns) out += padded(std::string(c.heading), cell_width);
  for (const std::size_t connections : over.connections) {
    out += '\n';
    for (const std::string& impl : over.impls) {
      std::string line =
          fmt::format("{:<{}}", impl, name_width) + padded(grouped(connections), size_width);
      bool is_empty = true;
      for (const column& c : columns) {
        const row* r = find(of, impl, c.benchmark, connections, threads);
        line += padded(cell_text(r), cell_width);
        is_empty = is_empty && r == nullptr;
      }
      if (!is_empty) out += line + '\n';
    }
  }
  return out;
}

std::string replay_of(const report& of, const extent& over) {
  std::string out =
      fmt::format("replay of {}: {} packets of {} connections, million packets a second\n",
                  of.capture_name,
                  grouped(of.replay_packets),
                  grouped(*over.connections.begin()));
  out += fmt::format("{:<{}}", "implementation", name_width);
  for (const int threads : over.threads) out += padded(threads_text(threads), cell_width);
  out += '\n';
  for (const std::string& impl : over.impls) {
    out += fmt::format("{:<{}}", impl, name_width);
    for (const int threads : over.threads) {
      out += padded(cell_text(find(of, impl, "replay", 0, threads)), cell_width);
    }
    out += '\n';
  }
  return out;
}

nlohmann::json json_row(const row& of) {
  nlohmann::json out = {{"impl", of.impl},
                        {"benchmark", of.benchmark},
                        {"threads", of.threads},
                        {"connections", of.connections},
                        {"ops_per_second", nullptr},
                        {"ops_per_second_low", nullptr},
                        {"ops_per_second_high", nullptr}};
  if (of.ops_per_second) {
    out["ops_per_second"] = of.ops_per_second->median;
    out["ops_per_second_low"] = of.ops_per_second->low;
    out["ops_per_second_high"] = of.ops_per_second->high;
  } else {
    out["error"] = of.error;
  }
  return out;
}

}  // namespace

std::string text_of(const report& of) {
  std::string out;
  const extent tables = extent_of(of, [](const row& r) { return r.benchmark != "replay"; });
  for (const int threads : tables.threads) out += table_of(of, tables, threads) + '\n';
  const extent replay = extent_of(of, [](const row& r) { return r.benchmark == "replay"; });
  if (!replay.impls.empty()) out += replay_of(of, replay) + '\n';
  out += fmt::format(
      "Median of {} repetitions, ± half of lowest to highest; all threads together, wall time.\n"
      "noop stores nothing: its row is what the harness itself costs. seed {}, {:.0f} s in all.\n",
      of.repetitions,
      of.seed,
      of.elapsed_s);
  for (const row& r : of.rows) {
    if (r.ops_per_second) continue;
    out += fmt::format("INVALID {} {}, {} connections, {}: {}\n",
                       r.impl,
                       r.benchmark,
                       grouped(r.connections),
                       threads_text(r.threads),
                       r.error);
  }
  return out;
}

std::string verdict_of(const report& of) {
  if (of.invalid_count() == 0) {
    return fmt::format("{} figures measured; every answer was right and no entry was lost",
                       of.rows.size());
  }
  return fmt::format(
      "invalid: {} of {} benchmarks answered wrongly or lost entries and have no figure",
      of.invalid_count(),
      of.rows.size());
}

nlohmann::json figures_of(const report& of) {
  return {{"benchmarks", of.rows.size()},
          {"invalid", of.invalid_count()},
          {"repetitions", of.repetitions},
          {"min_time_s", of.min_time_s},
          {"replay_capture", of.capture_name},
          {"replay_packets", of.replay_packets},
          {"elapsed_s", of.elapsed_s}};
}

nlohmann::json rows_of(const report& of) {
  nlohmann::json out = nlohmann::json::array();
  for (const row& r : of.rows) out.push_back(json_row(r));
  return out;
}

}  // namespace ct::bench
