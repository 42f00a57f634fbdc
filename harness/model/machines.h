// SPDX-License-Identifier: BSD-2-Clause
/// The machines that can be checked, each by its name; a line ct_machine(...) in
/// harness/model/CMakeLists.txt adds one.
#pragma once

#include "harness/model/report.h"
#include "spec/model/configuration.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ct::model {

/// A machine without its type.
struct checked_machine {
  std::string_view name;  ///< as its TLA+ module
  std::vector<std::string_view> actions;
  std::vector<std::string_view> invariants;
  std::vector<std::string_view> properties;  ///< of steps, then of behaviours
  /// Throws std::invalid_argument for a configuration that the machine cannot be made from.
  report (*check)(const configuration&, const check_options&, const check_hooks&);
  /// What is wrong with the claims that steps are local (local_claims.h); empty: nothing.
  std::string (*false_local_claim)(const configuration&, const check_options&);
};

/// In the order of their names.
std::span<const checked_machine> machines();

/// nullptr if there is none.
const checked_machine* find_machine(std::string_view name);

}  // namespace ct::model
