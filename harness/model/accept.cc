// SPDX-License-Identifier: BSD-2-Clause
/// Lines of a trace as steps of the machine.
#include "harness/model/accept.h"

#include "harness/trace/trace_reader.h"
#include "spec/model/conntrack.h"

#include <algorithm>
#include <fmt/format.h>
#include <memory>
#include <span>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace ct::harness {
namespace {

using model::index_t;
using machine = model::long_conntrack;
using domain = machine::domain;

model::constant numbered(std::string_view prefix, std::uint32_t count) {
  model::constant set{.is_set = true, .elements = {}};
  for (std::uint32_t i = 1; i <= count; ++i) set.elements.push_back(fmt::format("{}{}", prefix, i));
  return set;
}

model::constant quoted(const std::vector<std::string>& names) {
  model::constant set{.is_set = true, .elements = {}};
  for (const std::string& name : names) set.elements.push_back('"' + name + '"');
  return set;
}

model::constant one(std::string text) { return {.is_set = false, .elements = {std::move(text)}}; }

model::configuration configuration_of(const trace_header& header, const std::string& path) {
  model::configuration c;
  c.module = trace_machine;
  c.name = path;
  c.constants["Cpus"] = numbered("p", header.cpus);
  c.constants["Workers"] = numbered("", 0);
  c.constants["Entries"] = numbered("e", header.entries);
  c.constants["Netns"] = numbered("n", header.netns);
  c.constants["Tuples"] = numbered("f", header.flows);
  c.constants["Timeout"] = one("1");
  c.constants["Max"] = one(std::to_string(header.max));
  c.constants["ChainLimit"] = one(std::to_string(header.chain_limit));
  c.constants["Operations"] = quoted(header.operations);
  c.constants["Allowances"] = quoted(header.allowances);
  c.constants["Fault"] = one("\"none\"");
  return c;
}

class follower {
 public:
  explicit follower(const std::string& path)
      : path_(path),
        trace_(path),
        machine_(configuration_of(trace_.header(), path)),
        state_(std::make_unique<machine::state>()) {
    // Looking at all pairs of entries is to cost less than the actions between do.
    const std::uint64_t entries = trace_.header().entries;
    interval_ = std::max<std::uint64_t>(4096, entries * entries / 16);
  }

  acceptance run();

 private:
  model::arguments arguments_of(const trace_step& step) const;
  index_t argument(domain d, const trace_step& step) const;
  std::string called(const trace_step& step) const;
  std::string broken() const;
  std::string here(const trace_step& step) const;
  std::string of_element(domain d, index_t i) const;
  std::string at_line() const { return fmt::format("{}:{}", path_, trace_.line()); }

  const std::string path_;
  trace_reader trace_;
  machine machine_;
  std::unique_ptr<machine::state> state_;
  std::uint64_t interval_;
};

acceptance follower::run() {
  acceptance found;
  found.impl = trace_.header().impl;
  found.entries = trace_.header().entries;
  const std::span<const model::action<machine>> actions = machine::actions();
  while (const std::optional<trace_step> step = trace_.next()) {
    const model::action<machine>& a = actions[static_cast<std::size_t>(step->action)];
    if (!a.apply(machine_, *state_, arguments_of(*step))) {
      found.rejected = fmt::format("{}: {} is no step of the machine here:\n{}",
                                   at_line(),
                                   called(*step),
                                   here(*step));
      return found;
    }
    ++found.actions;
    if (found.actions % interval_ == 0) found.rejected = broken();
    if (!found.rejected.empty()) return found;
  }
  found.rejected = broken();
  return found;
}

index_t follower::argument(domain d, const trace_step& step) const {
  switch (d) {
    case domain::cpu:
    case domain::carrier:
      return step.cpu - 1;
    case domain::entry:
      return step.entry - 1;
    case domain::netns:
      return step.key.netns - 1;
    case domain::key:
      return 2 * ((step.key.netns - 1) * machine_.tuples() + step.key.flow - 1) +
             (step.key.is_reply ? 1 : 0);
    case domain::boolean:
      return step.flag ? 1 : 0;
    default:
      return step.number;
  }
}

model::arguments follower::arguments_of(const trace_step& step) const {
  const auto& over = machine::actions()[static_cast<std::size_t>(step.action)].over;
  model::arguments all{};
  for (std::size_t i = 0; i < over.count; ++i) all[i] = argument(over.set[i], step);
  return all;
}

/// FindGet(p1, e3)
std::string follower::called(const trace_step& step) const {
  const model::action<machine>& a = machine::actions()[static_cast<std::size_t>(step.action)];
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < a.over.count; ++i) {
    texts.push_back(machine_.element(a.over.set[i], argument(a.over.set[i], step)).text());
  }
  return texts.empty() ? std::string(a.name)
                       : fmt::format("{}({})", a.name, fmt::join(texts, ", "));
}

std::string follower::broken() const {
  for (const model::invariant<machine>& one : machine::invariants()) {
    if (one.holds(machine_, *state_)) continue;
    return fmt::format("{}: by this line the run has broken {}: {}\n",
                       at_line(),
                       one.name,
                       one.says);
  }
  return {};
}

/// The variables of one CPU or entry, on a line.
std::string follower::of_element(domain d, index_t i) const {
  const std::string name = machine_.element(d, i).text();
  std::string line = "  " + name + ":";
  for (const model::variable& v : machine_.show(*state_)) {
    const std::vector<model::value>& parts = v.value.parts();
    for (std::size_t at = 0; at + 1 < parts.size(); at += 2) {
      if (v.value.type() != model::value::kind::function || parts[at].text() != name) continue;
      line += fmt::format(" {} = {}", v.name, parts[at + 1].text());
    }
  }
  return line + '\n';
}

/// What the machine has of the CPU and the entry that a step is about.
std::string follower::here(const trace_step& step) const {
  std::string text;
  std::uint32_t entry = step.entry;
  if (step.cpu != 0) {
    text += of_element(domain::cpu, step.cpu - 1);
    if (entry == 0) entry = state_->cpu[step.cpu - 1].at;
  }
  if (entry != 0) text += of_element(domain::entry, entry - 1);
  return text;
}

}  // namespace

acceptance accept(const std::string& path) { return follower(path).run(); }

}  // namespace ct::harness
