// SPDX-License-Identifier: BSD-2-Clause
/// The header with a JSON library; the lines, of which there are millions, by hand: flat objects of
/// strings, numbers and booleans.
#include "harness/trace/trace_reader.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

namespace ct::harness {
namespace {

constexpr std::uint32_t numbers_max = 1'000'000;

/// Consumes a text from its front. What does not fit leaves `ok` false.
struct scanner {
  std::string_view rest;
  bool ok = true;

  void blanks() {
    while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  }
  bool take(char c) {
    blanks();
    if (rest.empty() || rest.front() != c) return false;
    rest.remove_prefix(1);
    return true;
  }
  void expect(char c) { ok = take(c) && ok; }
  std::string_view string() {
    expect('"');
    const std::size_t end = std::min(rest.find_first_of("\"\\"), rest.size());
    const std::string_view text = rest.substr(0, end);
    rest.remove_prefix(end);
    expect('"');
    return text;
  }
  std::uint32_t number() {
    blanks();
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    ok = ok && error == std::errc{};
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    return value;
  }
  bool boolean() {
    blanks();
    for (const bool value : {false, true}) {
      const std::string_view word = value ? "true" : "false";
      if (!rest.starts_with(word)) continue;
      rest.remove_prefix(word.size());
      return value;
    }
    ok = false;
    return false;
  }
};

/// A line's fields, and which there are.
struct fields {
  std::string_view action;
  std::uint8_t present = 0;
  trace_step step;
};

void read_field(scanner& from, std::string_view name, fields& to) {
  const auto number = [&](std::uint8_t field) {
    to.present |= field;
    return from.number();
  };
  trace_step& step = to.step;
  if (name == "action") {
    to.action = from.string();
  } else if (name == "cpu") {
    step.cpu = number(trace_field::cpu);
  } else if (name == "entry") {
    step.entry = number(trace_field::entry);
  } else if (name == "netns") {
    step.key.netns = number(trace_field::netns);
  } else if (name == "flow") {
    step.key.flow = number(trace_field::key);
  } else if (name == "dir") {
    const std::string_view dir = from.string();
    step.key.is_reply = dir == "reply";
    from.ok = from.ok && (step.key.is_reply || dir == "original");
  } else if (name == "timeout") {
    step.number = number(trace_field::timeout);
  } else if (name == "ticks") {
    step.number = number(trace_field::ticks);
  } else if (name == "assures" || name == "again") {
    to.present |= name == "again" ? trace_field::again : trace_field::assures;
    step.flag = from.boolean();
  } else {
    from.ok = false;
  }
}

/// False: it is no flat JSON object of fields that a trace has.
bool read_fields(std::string_view line, fields& to) {
  scanner from{line};
  from.expect('{');
  do {
    const std::string_view name = from.string();
    from.expect(':');
    read_field(from, name, to);
  } while (from.ok && from.take(','));
  from.expect('}');
  from.blanks();
  // A key has its netns.
  if ((to.present & trace_field::key) != 0) {
    from.ok = from.ok && (to.present & trace_field::netns) != 0;
    to.present = static_cast<std::uint8_t>(to.present & ~trace_field::netns);
  }
  return from.ok && from.rest.empty();
}

std::optional<trace_action> action_of(std::string_view name) {
  for (std::size_t i = 0; i < detail::signatures.size(); ++i) {
    if (detail::signatures[i].name == name) return static_cast<trace_action>(i);
  }
  return std::nullopt;
}

}  // namespace

trace_reader::trace_reader(std::string path)
    : path_(std::move(path)), file_(path_, std::ios::binary) {
  if (!file_) {
    throw std::invalid_argument(path_ +
                                ": cannot be opened; name a trace (ctbench replay --trace)");
  }
  read_header();
}

bool trace_reader::read_line() {
  ++line_;
  if (!std::getline(file_, text_)) return false;
  if (file_.eof()) fail("the line is cut; record the trace again");
  return true;
}

void trace_reader::read_header() {
  if (!read_line()) fail("the file is empty; record the trace again (ctbench replay --trace)");
  try {
    const nlohmann::json json = nlohmann::json::parse(text_);
    if (json.at("format") != trace_format || json.at("machine") != trace_machine) {
      fail(fmt::format("this is no trace of format {} of the machine {}; record it anew",
                       trace_format,
                       trace_machine));
    }
    const auto number = [&](const char* field) {
      return within(field, json.at(field).get<std::uint32_t>(), numbers_max);
    };
    header_.impl = json.at("impl").get<std::string>();
    header_.limits = {.entries = number("entries"),
                      .cpus = number("cpus"),
                      .flows = number("flows"),
                      .netns = number("netns"),
                      .max = number("max"),
                      .chain_limit = number("chain_limit"),
                      .operations = json.at("operations").get<std::vector<std::string>>(),
                      .allowances = json.at("allowances").get<std::vector<std::string>>()};
    header_.actions = json.at("actions").get<std::uint64_t>();
  } catch (const nlohmann::json::exception&) {
    fail(
        "this is no header of a trace (harness/trace/trace_file.h); record it with ctbench "
        "replay --trace");
  }
}

std::uint32_t trace_reader::within(const char* field,
                                   std::uint32_t number,
                                   std::uint32_t most) const {
  if (number == 0 || number > most) {
    fail(fmt::format("{} is {}, and must be 1 to {}; record the trace again", field, number, most));
  }
  return number;
}

std::optional<trace_step> trace_reader::next() {
  if (!read_line()) {
    if (line_ != header_.actions + 2) {
      fail(fmt::format("the trace ends after {} actions of {}; record it again",
                       line_ - 2,
                       header_.actions));
    }
    return std::nullopt;
  }
  fields read;
  if (!read_fields(text_, read)) {
    fail("this is no action of a trace (harness/trace/trace_file.h); record it again");
  }
  const std::optional<trace_action> action = action_of(read.action);
  if (!action) {
    fail(fmt::format("unknown action '{}'; those of spec/tla/Conntrack/Conntrack.tla are known",
                     read.action));
  }
  const trace_signature& signature = signature_of(*action);
  if (read.present != signature.fields) {
    fail(fmt::format("{} lacks a field, or has one too many (spec/trace.h); record it again",
                     signature.name));
  }
  if (line_ > header_.actions + 1) {
    fail(fmt::format("more than the {} actions of the header; record the trace again",
                     header_.actions));
  }
  trace_step& step = read.step;
  step.action = *action;
  const auto has = [&](std::uint8_t field) { return (signature.fields & field) != 0; };
  if (has(trace_field::cpu)) within("cpu", step.cpu, header_.limits.cpus);
  if (has(trace_field::entry)) within("entry", step.entry, header_.limits.entries);
  if (has(trace_field::netns | trace_field::key))
    within("netns", step.key.netns, header_.limits.netns);
  if (has(trace_field::key)) within("flow", step.key.flow, header_.limits.flows);
  return step;
}

void trace_reader::fail(const std::string& what) const {
  throw std::invalid_argument(fmt::format("{}:{}: {}", path_, line_, what));
}

}  // namespace ct::harness
