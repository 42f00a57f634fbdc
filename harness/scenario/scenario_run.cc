// SPDX-License-Identifier: BSD-2-Clause
/// Steps, their outcomes, and what is compared; see the header.
#include "harness/scenario/scenario_run.h"

#include "harness/scenario/scenario_host.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <map>
#include <memory>
#include <optional>
#include <span>

namespace ct::harness {
namespace {

using workloads::scenario_step;
using workloads::text_error;
using workloads::to_number;
using workloads::word_reader;

using verb_function = observation (scenario_host::*)(word_reader&);
struct verb_entry {
  std::string_view name;
  verb_function run;
};

constexpr std::array<verb_entry, 30> verbs = {{
    {"in", &scenario_host::in},
    {"confirm", &scenario_host::confirm},
    {"free", &scenario_host::free},
    {"pass", &scenario_host::pass},
    {"alter-reply", &scenario_host::alter_reply},
    {"wait", &scenario_host::wait},
    {"find", &scenario_host::find},
    {"create", &scenario_host::create},
    {"kill", &scenario_host::kill},
    {"flush", &scenario_host::flush},
    {"update", &scenario_host::update},
    {"exit", &scenario_host::exit_netns},
    {"gc", &scenario_host::gc},
    {"resize", &scenario_host::resize},
    {"sysctl", &scenario_host::set_sysctl},
    {"labels", &scenario_host::labels},
    {"policy", &scenario_host::policy},
    {"listen", &scenario_host::listen},
    {"unlisten", &scenario_host::unlisten},
    {"refuse", &scenario_host::refuse},
    {"take", &scenario_host::take},
    {"redeliver", &scenario_host::redeliver},
    {"list", &scenario_host::list},
    {"events", &scenario_host::events},
    {"expectations", &scenario_host::expectations},
    {"count", &scenario_host::count},
    {"buckets", &scenario_host::buckets},
    {"stat", &scenario_host::stat},
    {"event-stat", &scenario_host::event_stat},
    {"entry", &scenario_host::entry},
}};

const verb_entry& find_verb(const std::string& name) {
  const auto* const at = std::ranges::find(verbs, name, &verb_entry::name);
  if (at == verbs.end()) {
    throw text_error(
        fmt::format("'{}' is no verb; there are: {}", name, fmt::join(scenario_verbs(), " ")));
  }
  return *at;
}

/// "KEY=VALUE" or "KEY>=VALUE" of an outcome.
struct wanted_value {
  std::string key;
  std::string value;
  bool is_least = false;
};

std::optional<wanted_value> as_value(const std::string& word) {
  const std::size_t equals = word.find('=');
  if (equals == std::string::npos || equals == 0) return std::nullopt;
  const bool is_least = word[equals - 1] == '>';
  return wanted_value{.key = word.substr(0, equals - (is_least ? 1 : 0)),
                      .value = word.substr(equals + 1),
                      .is_least = is_least};
}

bool holds(const wanted_value& wanted, const std::string& was) {
  if (!wanted.is_least) return was == wanted.value;
  const std::optional<std::uint64_t> least = to_number(wanted.value, ~std::uint64_t{0});
  const std::optional<std::uint64_t> value = to_number(was, ~std::uint64_t{0});
  if (!least || !value) throw text_error("'" + wanted.key + ">=' compares numbers only");
  return *value >= *least;
}

/// What differs between an outcome as written and as it was; empty: nothing.
std::string difference(const std::vector<std::string>& outcome, const observation& was) {
  std::vector<std::string> words;
  std::map<std::string, bool> is_named;
  for (const std::string& word : outcome) {
    const std::optional<wanted_value> wanted = as_value(word);
    if (!wanted) {
      words.push_back(word);
      continue;
    }
    is_named[wanted->key] = true;
    const auto at = was.values.find(wanted->key);
    if (at == was.values.end()) {
      std::string keys;
      for (const auto& [key, value] : was.values) keys += " " + key;
      throw text_error(fmt::format("this step has no '{}'; it has:{}", wanted->key, keys));
    }
    if (!holds(*wanted, at->second)) {
      return fmt::format("expected {}, was {}={}", word, at->first, at->second);
    }
  }
  if (words != was.words) {
    return fmt::format("expected '{}', was '{}'", fmt::join(words, " "), fmt::join(was.words, " "));
  }
  if (!was.are_counters) return {};
  for (const auto& [key, value] : was.values) {
    if (!is_named[key] && value != "0") {
      return fmt::format("expected {}=0, was {}={}", key, key, value);
    }
  }
  return {};
}

/// Blanks do not count: tools pad their columns.
std::string squeezed(const std::string& line) {
  std::string out;
  for (const char c : line) {
    if (c != ' ' || (!out.empty() && out.back() != ' ')) out += c;
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

std::string line_difference(const std::vector<std::string>& wanted, const observation& was) {
  if (!was.lines) throw text_error("this step prints no lines; take the | lines out");
  const std::size_t count = std::max(wanted.size(), was.lines->size());
  for (std::size_t i = 0; i < count; ++i) {
    const std::string expected = i < wanted.size() ? squeezed(wanted[i]) : "no line";
    const std::string line = i < was.lines->size() ? squeezed((*was.lines)[i]) : "no line";
    if (expected != line)
      return fmt::format("line {}: expected\n  {}\nwas\n  {}", i + 1, expected, line);
  }
  return {};
}

std::string run_step(scenario_host& host, const scenario_step& step) {
  const verb_entry& verb = find_verb(step.verb);
  word_reader words(step.words);
  const observation was = (host.*verb.run)(words);
  words.expect_end();
  if (!was.failure.empty()) return was.failure;
  if (step.outcome) {
    const std::string differs = difference(*step.outcome, was);
    if (!differs.empty()) return differs;
  }
  return step.lines ? line_difference(*step.lines, was) : std::string();
}

/// Does it have a size to set? Only the system itself can say.
bool can_resize(const impl& on) {
  const std::unique_ptr<ct_system> system = on.make({.buckets = 1});
  return system->attach()->resize(2) != resize_status::not_supported;
}

}  // namespace

std::vector<std::string_view> scenario_verbs() {
  std::vector<std::string_view> names;
  for (const verb_entry& one : verbs) names.push_back(one.name);
  return names;
}

bool takes_part(const workloads::scenario& what, const impl& on) {
  return !on.is_timing_only() &&
         std::ranges::all_of(what.needs, [&](letter l) { return on.promises.has(l); }) &&
         (!what.needs_resize || can_resize(on));
}

std::string run_scenario(const workloads::scenario& what, const impl& on) {
  std::size_t line = 0;
  std::string step_text = "with";
  try {
    scenario_host host(what, on);
    for (const scenario_step& step : what.steps) {
      line = step.line;
      step_text = step.text;
      const std::string differs = run_step(host, step);
      if (!differs.empty())
        return fmt::format("{}:{}: {}: {}", what.path, line, step.text, differs);
    }
    const std::string left = host.finish();
    return left.empty() ? left : fmt::format("{}: at the end: {}", what.path, left);
  } catch (const text_error& wrong) {
    throw text_error(fmt::format("{}:{}: {}: {}", what.path, line, step_text, wrong.what()));
  } catch (const std::invalid_argument& wrong) {  // what is wrong with an option
    throw text_error(fmt::format("{}: {}", what.path, wrong.what()));
  }
}

}  // namespace ct::harness
