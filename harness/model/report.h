// SPDX-License-Identifier: BSD-2-Clause
/// What a check of a machine is asked and what it answers; the same for every machine.
#pragma once

#include "spec/model/value.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ct::model {

struct check_options {
  unsigned threads = 1;
  std::uint64_t memory_bytes_max = std::uint64_t{4} << 30;
  std::uint64_t states_max = 0;  ///< 0: as many as there are
  bool uses_symmetry = false;    ///< one state of those that differ only in names; safety alone
  bool uses_ample = false;       ///< a local step need not wait for the others; safety alone
  bool counts_edges = false;     ///< digests the graph; for some 100,000 states
  /// States that a thread takes at once; tests make it small so that two threads have work.
  std::size_t block_states = 256;
};

struct check_counts {
  std::uint64_t initial = 0;    ///< distinct ones
  std::uint64_t generated = 0;  ///< initial states and steps, known ones included
  std::uint64_t distinct = 0;
  std::uint64_t depth = 0;  ///< levels; that of the initial states is the first
};

struct check_hooks {
  std::function<bool()> should_stop = {};
  /// Called by the calling thread now and then; what it is doing, and how far it is.
  std::function<void(std::string_view, const check_counts&)> progress = {};
};

/// Unknown is no good answer: the search was stopped before it could know.
enum class verdict : std::uint8_t { holds, violated, unknown };

/// A state of a behaviour and how it was reached: "FindGet(p1, e2)"; empty for the first.
struct behaviour_state {
  std::string step;
  std::vector<variable> variables;
};

struct behaviour {
  std::vector<behaviour_state> states;
  /// After the last state that with this index comes again, for ever; then the last step is the one
  /// that returns to it, and the last state equals it. If it is the last state: it stays so.
  std::optional<std::size_t> loop;
};

struct broken_promise {
  std::string name;    ///< of the invariant or property; "deadlock"
  std::string letter;  ///< of the contract; may be empty
  std::string says;
  model::behaviour behaviour;
};

/// What the whole graph is, whatever order it was found in (graph_digest.h).
struct graph_digest {
  std::uint64_t edges = 0;  ///< distinct (state, action name, state)
  std::string edges_hash;   ///< 32 hexadecimal digits
  std::string states_hash;
};

struct report {
  model::verdict verdict = verdict::unknown;
  std::string stopped;  ///< why it is unknown
  bool was_interrupted = false;
  std::optional<broken_promise> broken;
  check_counts counts;
  std::vector<std::pair<std::string_view, std::uint64_t>> steps;  ///< of each action
  std::uint64_t memory_bytes_peak = 0;
  std::optional<graph_digest> digest;
};

}  // namespace ct::model
