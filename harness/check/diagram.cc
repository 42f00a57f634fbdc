// SPDX-License-Identifier: BSD-2-Clause
/// Columns are the ranks of stamps; an entry's life is read off the operations that name it.
#include "harness/check/diagram.h"

#include "harness/check/words.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string_view>

namespace ct::check {
namespace {

bool has_key(const operation& o) {
  switch (o.verb) {
    case verb::find:
    case verb::in:
    case verb::look:
    case verb::create:
    case verb::kill:
    case verb::shown:
    case verb::exit:
      return true;
    default:
      return false;
  }
}

bool has_count(const operation& o) {
  return o.verb == verb::flush || o.verb == verb::gc || o.verb == verb::exit ||
         o.verb == verb::count;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

/// Is an entry there under its tuples? Half-open intervals of columns.
struct life {
  std::size_t maybe_from = 0;  ///< its confirm was called
  std::size_t sure_from = 0;   ///< it returned, or somebody had found it
  std::size_t sure_to = 0;     ///< somebody called for its end
  std::size_t maybe_to = 0;    ///< its end was certain
};

constexpr double column_width = 46;
constexpr double lane_height = 58;
constexpr double left = 92;
constexpr double top = 26;
constexpr double bar_height = 22;
constexpr double row_height = 13;
constexpr double letter_width = 6.9;  // at most, in the text of a bar

/// Draws one history.
class drawing {
 public:
  drawing(std::span<const operation> operations, const finding& found)
      : operations_(operations), marked_(found.operations.begin(), found.operations.end()) {
    std::set<std::uint64_t> stamps;
    for (const operation& o : operations) {
      stamps.insert(o.call);
      stamps.insert(o.ret);
      lanes_.emplace(o.thread, 0);
    }
    std::size_t column = 0;
    for (const std::uint64_t s : stamps) columns_[s] = column++;
    std::size_t lane = 0;
    for (auto& [thread, at] : lanes_) at = lane++;
    live();
    place_words();
  }

  std::string svg() const {
    const double width = left + column_width * static_cast<double>(columns_.size()) + 120;
    const double height =
        top + lane_height * static_cast<double>(lanes_.size() + lives_.size()) + 8;
    std::string out = fmt::format(
        R"(<svg viewBox="0 0 {0:.0f} {1:.0f}" width="{0:.0f}" height="{1:.0f}" role="img" )"
        R"(aria-label="Operations of each thread over time">)",
        width,
        height);
    out += R"(<defs><pattern id="maybe" width="6" height="6" patternUnits="userSpaceOnUse" )"
           R"x(patternTransform="rotate(45)"><rect width="3" height="6" class="hatch"/>)x"
           "</pattern></defs>";
    grid(out, height);
    for (const auto& [thread, lane] : lanes_) {
      label(out, lane, fmt::format("thread {}", thread));
    }
    std::size_t lane = lanes_.size();
    for (const auto& [id, of] : lives_) entry(out, lane++, id, of);
    for (std::size_t i = 0; i < operations_.size(); ++i) bar(out, i);
    return out + "</svg>";
  }

 private:
  double x(std::uint64_t stamp) const { return at_column(columns_.at(stamp)); }
  static double at_column(std::size_t c) { return left + column_width * static_cast<double>(c); }
  static double y(std::size_t lane) { return top + lane_height * static_cast<double>(lane); }

  void grid(std::string& out, double height) const {
    for (const auto& [stamp, column] : columns_) {
      fmt::format_to(std::back_inserter(out),
                     R"(<path class="grid" d="M{0:.0f} {1:.0f}V{2:.0f}"/>)"
                     R"(<text class="stamp" x="{0:.0f}" y="14">{3}</text>)",
                     at_column(column),
                     top - 6,
                     height,
                     stamp - columns_.begin()->first);
    }
  }

  static void label(std::string& out, std::size_t lane, std::string_view text) {
    fmt::format_to(std::back_inserter(out),
                   R"(<text class="lane" x="6" y="{:.0f}">{}</text>)",
                   y(lane) + bar_height / 2 + 5,
                   text);
  }

  void bar(std::string& out, std::size_t i) const {
    const operation& o = operations_[i];
    const std::string words = escaped(words_of(o));
    const double from = x(o.call);
    const double width = std::max(x(o.ret) - from, 10.0);
    const bool is_bad = o.answer == answer::missed || o.answer == answer::clashed ||
                        o.answer == answer::lost || o.answer == answer::refused;
    fmt::format_to(
        std::back_inserter(out),
        R"(<g class="bar {}{}"><title>[{}] {}, stamps {} to {}, jiffies {} to {}</title>)"
        R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.0f}" rx="4"/>)"
        R"(<text x="{:.1f}" y="{:.1f}">{}</text></g>)",
        is_bad ? "not" : "done",
        marked_.contains(i) ? " marked" : "",
        i,
        words,
        o.call,
        o.ret,
        o.now_lo,
        o.now_hi,
        from,
        y(lanes_.at(o.thread)),
        width,
        bar_height,
        from + 2,
        y(lanes_.at(o.thread)) + bar_height + row_height * static_cast<double>(1 + rows_[i]),
        words);
  }

  void entry(std::string& out, std::size_t lane, std::uint64_t id, const life& of) const {
    label(out, lane, fmt::format("entry {:#x}", id));
    const auto band = [&](std::string_view kind, std::size_t from, std::size_t to) {
      if (to <= from) return;
      fmt::format_to(std::back_inserter(out),
                     R"(<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="14"/>)",
                     kind,
                     at_column(from),
                     y(lane) + 5,
                     at_column(to) - at_column(from));
    };
    band("maybe", of.maybe_from, std::min(of.sure_from, of.maybe_to));
    band("sure", of.sure_from, of.sure_to);
    band("maybe", std::max(of.sure_to, of.sure_from), of.maybe_to);
  }

  /// Words are longer than bars: in the first of two rows that is free, or the second.
  void place_words() {
    std::map<std::uint32_t, std::array<double, 2>> ends;  // [thread][row]
    for (const operation& o : operations_) {
      std::array<double, 2>& end = ends[o.thread];
      const std::size_t row = x(o.call) < end[0] ? 1 : 0;
      end[row] = x(o.call) + letter_width * static_cast<double>(words_of(o).size());
      rows_.push_back(row);
    }
  }

  /// Where each entry that was confirmed, or found, could be found.
  void live() {
    const std::size_t end = columns_.empty() ? 0 : columns_.size() - 1;
    for (const operation& o : operations_) {
      const bool is_born = o.verb == verb::confirm && o.answer == answer::inserted;
      const bool is_met = o.answer == answer::found && o.id != 0;
      if (!is_born && !is_met) continue;
      const auto [at, is_new] =
          lives_.try_emplace(o.id, life{is_born ? columns_[o.call] : 0, columns_[o.ret], end, end});
      if (!is_new && is_met) at->second.sure_from = std::min(at->second.sure_from, columns_[o.ret]);
    }
    for (const operation& o : operations_) {
      const bool is_kill = o.verb == verb::kill && o.answer == answer::won;
      if (!is_kill && o.verb != verb::flush) continue;
      for (auto& [id, of] : lives_) {
        if ((is_kill && !has_key_of(id, o.key)) || of.maybe_from > columns_[o.ret]) continue;
        of.sure_to = std::min(of.sure_to, columns_[o.call]);
        of.maybe_to = std::min(of.maybe_to, columns_[o.ret]);
      }
    }
  }

  /// The keys of an entry, as far as the operations say them.
  bool has_key_of(std::uint64_t id, std::uint32_t key) const {
    return std::any_of(operations_.begin(), operations_.end(), [&](const operation& o) {
      if (o.id != id) return false;
      if (o.verb == verb::confirm) return o.key == key || o.other == key;
      return (o.verb == verb::find || o.verb == verb::in) && (o.key == key || (o.key ^ 1U) == key);
    });
  }

  std::span<const operation> operations_;
  std::set<std::size_t> marked_;
  std::map<std::uint64_t, std::size_t> columns_;  // [stamp]
  std::map<std::uint32_t, std::size_t> lanes_;    // [thread]
  std::map<std::uint64_t, life> lives_;           // [id]
  std::vector<std::size_t> rows_{};               // [operation] of its words
};

constexpr std::string_view style = R"(
:root {
  color-scheme: light dark;
  --ink: #1c2430; --paper: #fff; --faint: #e3e7ec; --soft: #66707d;
  --done: #cfe3f7; --not: #f6dcc5; --mark: #c1121f; --sure: #3b8f5a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6e9ee; --paper: #14181d; --faint: #2a313a; --soft: #98a2ae;
    --done: #22415f; --not: #5a3a20; --mark: #ff6b6b; --sure: #4fb477;
  }
}
body {
  font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  margin: 2rem auto; max-width: 70rem; padding: 0 1rem;
}
h1 { font-size: 1.25rem; margin: 0 0 .3rem; }
.what { font-size: 1.05rem; color: var(--mark); font-weight: 600; margin: .2rem 0; }
.promise, .key { color: var(--soft); margin: .2rem 0 1rem; }
.scroll { overflow-x: auto; border: 1px solid var(--faint); border-radius: 6px; padding: .5rem; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg .stamp { font-size: 10px; fill: var(--soft); text-anchor: middle; }
svg .lane { font-weight: 600; }
.grid { stroke: var(--faint); fill: none; }
.bar rect { stroke: var(--soft); stroke-width: 1; }
.done rect { fill: var(--done); }
.not rect { fill: var(--not); }
.bar.marked rect { stroke: var(--mark); stroke-width: 2.5; }
.bar.marked text { fill: var(--mark); font-weight: 600; }
.sure { fill: var(--sure); }
.maybe { fill: url(#maybe); }
.hatch { fill: var(--sure); }
table { border-collapse: collapse; margin: 1rem 0; }
td, th { text-align: left; padding: .15rem .9rem .15rem 0; border-bottom: 1px solid var(--faint); }
th { color: var(--soft); font-weight: 600; }
tr.marked td { color: var(--mark); font-weight: 600; }
code { font: 13px ui-monospace, monospace; }
@media print { body { margin: 0; } .scroll { overflow: visible; border: 0; } }
)";

void table_of(std::string& out, std::span<const operation> operations, const finding& found) {
  const std::set<std::size_t> marked(found.operations.begin(), found.operations.end());
  out += "<table><tr><th></th><th>thread</th><th>from</th><th>to</th><th>operation</th></tr>";
  const std::uint64_t begin = operations.empty() ? 0 : operations.front().call;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const operation& o = operations[i];
    fmt::format_to(std::back_inserter(out),
                   "<tr{}><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                   marked.contains(i) ? R"( class="marked")" : "",
                   i,
                   o.thread,
                   o.call - begin,
                   o.ret - begin,
                   escaped(words_of(o)));
  }
  out += "</table>\n";
}

}  // namespace

std::string words_of(const operation& o) {
  std::string text(name_of(o.verb));
  const auto to = std::back_inserter(text);
  if (has_key(o)) fmt::format_to(to, " {}", o.key);
  if (o.verb == verb::confirm || o.verb == verb::put) fmt::format_to(to, " {:#x}", o.id);
  if (o.verb == verb::advance) fmt::format_to(to, " {} to {}", o.now_lo, o.now_hi);
  if (o.answer != answer::none) fmt::format_to(to, " -> {}", name_of(o.answer));
  const bool has_id = o.verb != verb::confirm && o.verb != verb::put && o.id != 0;
  if (has_id) fmt::format_to(to, "{} {:#x}", o.answer == answer::none ? " ->" : "", o.id);
  if (o.answer == answer::merged) fmt::format_to(to, " into {:#x}", o.number);
  if (o.verb == verb::find && o.answer == answer::found && o.is_reply) text += " (reply)";
  if (has_count(o)) fmt::format_to(to, " -> {}", o.number);
  return text;
}

std::string lanes_of(std::span<const operation> operations, const finding& found) {
  constexpr std::size_t width_max = 60;
  std::set<std::uint64_t> stamps;
  for (const operation& o : operations) {
    stamps.insert(o.call);
    stamps.insert(o.ret);
  }
  const std::size_t step = std::clamp<std::size_t>(width_max / (stamps.size() + 1), 1, 5);
  const auto column = [&](std::uint64_t stamp) {
    return step * static_cast<std::size_t>(std::distance(stamps.begin(), stamps.find(stamp)));
  };
  std::string out;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const operation& o = operations[i];
    const bool is_marked = std::ranges::find(found.operations, i) != found.operations.end();
    std::string bar(column(o.ret) - column(o.call) + 1, '-');
    bar.front() = '|';
    bar.back() = '|';
    fmt::format_to(std::back_inserter(out),
                   "  {} thread {:<3}{}{}{}{}\n",
                   is_marked ? '*' : ' ',
                   o.thread,
                   std::string(column(o.call), ' '),
                   bar,
                   std::string(step * stamps.size() - column(o.ret), ' '),
                   words_of(o));
  }
  return out;
}

std::string html_of(const diagram& about,
                    std::span<const operation> operations,
                    const finding& found) {
  const auto* const promise =
      std::find_if(guarantees.begin(), guarantees.end(), [&](const guarantee& g) {
        return g.letter == found.letter;
      });
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" "
      "content=\"width=device-width\"><title>{0}</title><style>{1}</style></head>\n"
      "<body><h1>{0}</h1>\n<p class=\"what\">{2}</p>\n<p class=\"promise\">{3}: {4}</p>\n",
      escaped(about.title),
      style,
      escaped(found.what),
      promise->name,
      escaped(promise->promises));
  out += "<div class=\"scroll\">" + drawing(operations, found).svg() + "</div>\n";
  out +=
      "<p class=\"key\">Time goes to the right; stamps in their order, not to scale. Framed: what "
      "contradicts each other. Entries: solid where they could certainly be found, hatched where "
      "they may have been.</p>\n";
  table_of(out, operations, found);
  if (!about.facts.empty()) out += "<table>";
  for (const auto& [name, value] : about.facts) {
    fmt::format_to(std::back_inserter(out),
                   "<tr><th>{}</th><td>{}</td></tr>\n",
                   escaped(name),
                   escaped(value));
  }
  if (!about.facts.empty()) out += "</table>\n";
  if (!about.command.empty()) {
    out += "<p>Judge it again: <code>" + escaped(about.command) + "</code></p>\n";
  }
  return out + "</body></html>\n";
}

}  // namespace ct::check
