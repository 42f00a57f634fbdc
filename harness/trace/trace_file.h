// SPDX-License-Identifier: BSD-2-Clause
/// A recorded run as a file: newline-delimited JSON, a header and then a line an action, in the
/// order in which they took place.
///
///     {"format":"ctbench-trace/1","machine":"Conntrack","impl":"rcu","entries":12,"cpus":1,
///      "flows":14,"netns":1,"max":1000000,"chain_limit":26,"operations":["lookup",...],
///      "allowances":["count_reserves",...],"actions":5123}                  (one line)
///     {"action":"Packet","cpu":1,"netns":1,"flow":3,"dir":"original"}
///     {"action":"FindMiss","cpu":1}
///     {"action":"Alloc","cpu":1,"entry":2}
///     {"action":"Track","cpu":1,"timeout":7500,"assures":false}
///     {"action":"Tick","ticks":250}
///
/// An action has the fields of its signature (spec/trace.h), in this order: cpu, entry, netns, flow
/// and dir, timeout, assures, again, ticks. CPUs, entries, netns and flows are numbered from 1 to
/// what the header says; max is nf_conntrack_max; operations and allowances are the machine's
/// constants (spec/model/conntrack.h). Timeouts and ticks are jiffies. A line ends with \n, the
/// header's after as many blanks as its numbers leave room for.
#pragma once

#include "spec/model/run_limits.h"
#include "spec/trace.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace ct::harness {

inline constexpr std::string_view trace_format = "ctbench-trace/1";
inline constexpr std::string_view trace_machine = "Conntrack";

struct trace_header {
  std::string impl;
  model::run_limits limits{};
  std::uint64_t actions = 0;
};

/// The line of an action, with its end.
std::string trace_line(const trace_step& step);

}  // namespace ct::harness
