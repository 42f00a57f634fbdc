// SPDX-License-Identifier: BSD-2-Clause
/// What of a machine a configuration asks to check: its names, resolved.
#pragma once

#include "spec/model/configuration.h"
#include "spec/model/machine.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ct::model {

/// Those of `known` that `names` names, in the machine's order. Throws std::invalid_argument for a
/// name that is not there, unless `others` has it: `kind` is what it should have been.
std::vector<std::size_t> chosen_of(std::span<const std::string> names,
                                   std::span<const std::string_view> known,
                                   std::span<const std::string_view> others,
                                   std::string_view kind);

template <class Promise>
std::vector<std::string_view> names_of(std::span<const Promise> promises) {
  std::vector<std::string_view> names;
  for (const Promise& p : promises) names.push_back(p.name);
  return names;
}

template <machine M>
struct promises {
  std::vector<const invariant<M>*> invariants;
  std::vector<const step_property<M>*> step_properties;
  std::vector<const leads_to<M>*> leads_to_properties;
  bool checks_deadlock;

  explicit promises(const configuration& asked) : checks_deadlock(asked.checks_deadlock) {
    const std::span<const invariant<M>> all_invariants = M::invariants();
    const std::span<const step_property<M>> all_steps = M::step_properties();
    const std::span<const leads_to<M>> all_leads_to = M::leads_to_properties();
    const auto steps = names_of(all_steps);
    const auto behaviours = names_of(all_leads_to);
    for (const auto i : chosen_of(asked.invariants, names_of(all_invariants), {}, "invariant")) {
      invariants.push_back(&all_invariants[i]);
    }
    for (const auto i : chosen_of(asked.properties, steps, behaviours, "property")) {
      step_properties.push_back(&all_steps[i]);
    }
    for (const auto i : chosen_of(asked.properties, behaviours, steps, "property")) {
      leads_to_properties.push_back(&all_leads_to[i]);
    }
  }
};

}  // namespace ct::model
