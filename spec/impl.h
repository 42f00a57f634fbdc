// SPDX-License-Identifier: BSD-2-Clause
/// The registry: every implementation that was built in, by name.
///
/// The list itself is generated from the `ct_impl(...)` lines of impls/CMakeLists.txt; that
/// generated code is the only place that sees tables and harness together.
#pragma once

#include "spec/ct_system.h"
#include "spec/guarantees.h"
#include "spec/trace.h"

#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace ct {

struct impl {
  std::string_view name;
  std::string_view summary;  ///< one line
  claims promises;           ///< none: it stores nothing and takes part in timing only
  std::unique_ptr<ct_system> (*make)(const system_options&);
  /// Of what does not live in this program but in the machine, on the real clock: what it needs and
  /// has not got here, or empty. It takes part only where it is named, never in `all`.
  std::string (*lacks)() = nullptr;
  /// The same, telling each of its steps to the sink, which must outlive it; slow, for one thread.
  /// nullptr: it cannot be observed.
  std::unique_ptr<ct_system> (*make_observed)(const system_options&, trace_sink&) = nullptr;

  bool is_live() const { return lacks != nullptr; }
  bool is_timing_only() const { return promises.empty(); }
};

/// Those that live in this program, sorted by name; fixed at link time.
std::span<const impl> implementations();
/// Those that live in the machine.
std::span<const impl> live_implementations();

}  // namespace ct
