// SPDX-License-Identifier: BSD-2-Clause
/// Who does what in a concurrent run: a workload as a file of workloads/runs, one question each.
///
///     # Is exactly one entry made, when every CPU confirms the same tuple?
///     flows 2
///     pass 60
///     find 20
///     kill 20
///
/// The first comment is the question. A line is a word and a number: a setting, or a step and its
/// weight: how often, in comparison with the others, a thread takes it. Settings:
///   flows N     different connections; each has the tuples of both directions
///   hot N       percent of the steps that are about flow 0
///   netns N     flows belong to netns 0 .. N-1 in turn
///   zones N     and to zones 0 .. N-1
///   max N       nf_conntrack_max a netns; 0: none
///   buckets N   nf_conntrack_buckets
///   timeout N   seconds, of every entry
///   clock N     jiffies at which the run begins
///   held N      packets that a thread may have in flight
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ct::workloads {

/// What a thread may do next.
enum class run_step : std::uint8_t {
  find,     ///< a lookup
  pass,     ///< a packet comes, is confirmed and leaves
  in,       ///< a packet comes and is held
  nat,      ///< the same; if it makes an entry, that is given the reply tuple of another flow
  confirm,  ///< a held packet is confirmed
  look,     ///< at the entry of a held packet
  put,      ///< a held packet leaves, confirmed or not
  create,   ///< conntrack -I
  kill,     ///< conntrack -D
  flush,    ///< conntrack -F
  dump,     ///< conntrack -L
  gc,       ///< a whole pass of gc_worker
  advance,  ///< the clock: up to half a timeout
  resize,   ///< to half, or to twice the buckets
  exit,     ///< a pass of the exit of a netns
  count,    ///< nf_conntrack_count
  stall,    ///< the event listener refuses, or recovers and is told again
};
constexpr std::size_t run_steps = 17;

struct run_plan {
  std::string name;      ///< of its file, without folder and ending
  std::string question;  ///< that it asks
  std::uint32_t flows = 64;
  std::uint32_t hot = 0;
  std::uint32_t netns = 1;
  std::uint32_t zones = 1;
  std::uint32_t max = 0;
  std::uint32_t buckets = 1024;
  std::uint32_t timeout = 600;
  std::uint64_t clock = 0;
  std::uint32_t held = 4;
  std::array<std::uint32_t, run_steps> weights{};  ///< [run_step]

  bool has(run_step step) const { return weights[static_cast<std::size_t>(step)] != 0; }
};

/// Throws std::invalid_argument, one line with `path` and the line's number.
run_plan read_run_plan(std::string_view text, const std::string& path);
run_plan read_run_plan_file(const std::string& path);
/// The files *.run of a folder, sorted by name.
std::vector<run_plan> read_run_plans(const std::string& folder);

}  // namespace ct::workloads
