// SPDX-License-Identifier: BSD-2-Clause
/// A concurrent run of one system, recorded: threads with a CPU each take random steps of a plan
/// (workloads/run_plan.h), and what they were told is a history (history.h).
///
/// The threads rest together after every slice, so that a run of any length needs the memory of
/// one: a slice is handed on while nobody works. At the end come the laws at rest: the books of
/// the event listener agree with the table, everything expires, and nothing is left.
///
/// Equal seeds give each thread the same steps; what comes of them is up to the machine.
#pragma once

#include "harness/check/checker.h"
#include "harness/check/history.h"
#include "spec/impl.h"
#include "workloads/run_plan.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

namespace ct::check {

struct run_options {
  std::size_t threads = 2;
  std::size_t operations = 100'000;  ///< of all threads, about
  std::size_t slice = 250'000;       ///< operations of all threads between two rests, about
  std::uint64_t seed = 1;
  /// A pause of up to some microseconds, or of the rest of a thread's time, before one of that many
  /// operations; 0: never.
  std::uint32_t jitter = 0;
  bool is_recorded = true;  ///< false: nothing is written down, to see what recording costs
  /// Told every step of the system, in the contract machine's actions; one thread alone, and an
  /// implementation that can be observed.
  trace_sink* trace = nullptr;
};

struct run_outcome {
  std::size_t operations = 0;  ///< of the history
  double seconds = 0;          ///< in which the threads worked
  std::string broken_law;      ///< empty: all hold at rest
  bool was_stopped = false;    ///< `take` said so
};

/// Facts of the plan's runs, for check().
run_facts facts_of(const workloads::run_plan& plan);

/// Runs it. `take` gets each slice, sorted by `call`, every operation after all of the slice
/// before; false ends the run.
run_outcome run(const impl& which,
                const workloads::run_plan& plan,
                const run_options& options,
                const std::function<bool(std::span<const operation>)>& take);

}  // namespace ct::check
