// SPDX-License-Identifier: BSD-2-Clause
/// Lines of a trace as steps of the machine.
#include "harness/model/accept.h"

#include "harness/trace/trace_reader.h"
#include "spec/model/conntrack_run.h"

#include <algorithm>
#include <fmt/format.h>
#include <optional>

namespace ct::harness {
namespace {

std::string broken_at(const model::conntrack_run& run, const std::string& at) {
  const auto* const broken = run.broken();
  if (broken == nullptr) return {};
  return fmt::format("{}: by here the run has broken {}: {}\n", at, broken->name, broken->says);
}

}  // namespace

acceptance accept(const std::string& path) {
  trace_reader trace(path);
  const model::run_limits& limits = trace.header().limits;
  model::conntrack_run run(limits);
  // Looking at all pairs of entries is to cost less than the actions between do.
  const std::uint64_t entries = limits.entries;
  const std::uint64_t interval = std::max<std::uint64_t>(4096, entries * entries / 16);
  acceptance found;
  found.impl = trace.header().impl;
  found.entries = entries;
  const auto at = [&] { return fmt::format("{}:{}", path, trace.line()); };
  while (const std::optional<trace_step> step = trace.next()) {
    if (!run.take(*step)) {
      found.rejected = fmt::format("{}: {} is no step of the machine here:\n{}",
                                   at(),
                                   run.called(*step),
                                   run.shown(*step));
      return found;
    }
    ++found.actions;
    if (found.actions % interval == 0) found.rejected = broken_at(run, at());
    if (!found.rejected.empty()) return found;
  }
  found.rejected = broken_at(run, at());
  return found;
}

}  // namespace ct::harness
