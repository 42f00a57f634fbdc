// SPDX-License-Identifier: BSD-2-Clause
/// What the contract machine is made with to follow a run of a real system.
#pragma once

#include "spec/model/configuration.h"

#include <cstdint>
#include <string>
#include <vector>

namespace ct::model {

/// The machine's constants, for a run. Operations and allowances are those of our implementations;
/// a table that does not promise F.2 has one allowance more, miss_during_resize.
struct run_limits {
  std::uint32_t entries = 1;
  std::uint32_t cpus = 1;
  std::uint32_t flows = 1;
  std::uint32_t netns = 1;
  std::uint32_t max = 1;
  std::uint32_t chain_limit = 1;
  std::vector<std::string> operations = {"lookup",
                                         "early_drop",
                                         "nat",
                                         "kill",
                                         "update",
                                         "filter",
                                         "clock",
                                         "gc",
                                         "listener",
                                         "flush",
                                         "exit",
                                         "resize",
                                         "late_packets"};
  std::vector<std::string> allowances = {"two_phase_delete",
                                         "loser_returns_early",
                                         "count_reserves",
                                         "chain_too_long",
                                         "clash_merge",
                                         "clash_reply_only"};
};

/// The contract machine with these limits.
inline configuration configuration_of(const run_limits& limits) {
  const auto one = [](const std::string& text) {
    return constant{.is_set = false, .elements = {text}};
  };
  const auto numbered = [](const char* prefix, std::uint32_t count) {
    constant set{.is_set = true, .elements = {}};
    for (std::uint32_t i = 1; i <= count; ++i) set.elements.push_back(prefix + std::to_string(i));
    return set;
  };
  const auto quoted = [](const std::vector<std::string>& names) {
    constant set{.is_set = true, .elements = {}};
    for (const std::string& name : names) set.elements.push_back('"' + name + '"');
    return set;
  };
  configuration c;
  c.module = "Conntrack";
  c.name = "run";
  c.constants["Cpus"] = numbered("p", limits.cpus);
  c.constants["Workers"] = numbered("p", 0);
  c.constants["Entries"] = numbered("e", limits.entries);
  c.constants["Netns"] = numbered("n", limits.netns);
  c.constants["Tuples"] = numbered("f", limits.flows);
  c.constants["Timeout"] = one("1");
  c.constants["Max"] = one(std::to_string(limits.max));
  c.constants["ChainLimit"] = one(std::to_string(limits.chain_limit));
  c.constants["Operations"] = quoted(limits.operations);
  c.constants["Allowances"] = quoted(limits.allowances);
  c.constants["Fault"] = one("\"none\"");
  return c;
}

}  // namespace ct::model
