// SPDX-License-Identifier: BSD-2-Clause
/// Which allowances a table needs: its semantic fingerprint, found by experiment.
///
/// Its histories are judged with every allowance, and then with one after another switched off:
/// what is not needed stays off. So the set is minimal: without any one of it some history has no
/// explanation, which is that allowance's witness. An allowance may be needed that these histories
/// do not show; more of them, and more threads, show more.
#pragma once

#include "harness/check/checker.h"

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

namespace ct::check {

/// A run that was recorded.
struct recorded {
  std::vector<operation> operations{};  ///< sorted by `call`
  run_facts facts{};
};

/// An allowance that is needed.
struct needed {
  check::allowance allowance = allowance::two_phase_delete;
  finding witness{};        ///< what has no explanation without it, in the fewest operations
  std::size_t history = 0;  ///< in which
};

struct fingerprint {
  /// With every allowance that is asked about; if not allowed, nothing else is said.
  check::outcome outcome = outcome::allowed;
  finding broken{};  ///< the first finding then
  allowances needs{};
  std::vector<needed> because{};  ///< one for each of them, in their order
};

/// `asked`: those that may be needed. `judge` is check(), or a stand-in for it in tests.
fingerprint fingerprint_of(
    std::span<const recorded> histories,
    allowances asked = allowances::all(),
    const std::function<check_report(const recorded&, const check_options&)>& judge = {});

}  // namespace ct::check
