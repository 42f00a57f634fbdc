// SPDX-License-Identifier: BSD-2-Clause
/// `ctbench bench`: how fast each implementation is, provided that it was right while the clock
/// ran.
///
/// Google Benchmark counts and times; this library prepares what is timed, and judges it. A figure
/// is given only when every answer was the expected one and the conservation law held afterwards:
///
///     entries at the end = entries at the beginning + created - killed - reaped
///
/// A row that breaks either is INVALID and has no figure. Keys, their order and all packets are
/// made before the clock starts, from one seed, the same for every implementation; the repetitions
/// of all implementations are interleaved at random, so that a slow minute of the machine hits all
/// of them.
///
/// | benchmark | timed | operations |
/// |---|---|---|
/// | lookup_hit_orig, lookup_hit_reply, lookup_miss | find, 32 tuples a call, on a full table | tuples looked up |
/// | confirm | create of new tuples, 32 a call, beside a full table | entries created |
/// | gc | gc_worker until a table full of expired entries is empty | entries reaped |
/// | gc_live | gc_worker over a table in which nothing has expired | tuplehashes looked at |
/// | mixed | 90 % find, 5 % create, 5 % kill; a thread of its own advances the clock every jiffy | all of them |
/// | replay | a capture through pass, 32 packets a call, into a table that was emptied | packets |
///
/// The capture is replayed in one jiffy (the clock stands still), again and again; between two laps
/// all of its connections are killed, untimed. With several threads each has the whole flows that
/// fell to it. Limits: rates are of all threads together by wall time; nothing is pinned; the load
/// factor is at most one connection a bucket (two tuplehashes).
#pragma once

#include "spec/ct_system.h"
#include "spec/impl.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace ct::bench {

/// Options that cannot be carried out. what() is one line: what is wrong, where, what to do.
class bad_options : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Fewest connections: below, a batch would hold a key twice.
inline constexpr std::size_t connections_min = 64;
inline constexpr std::size_t connections_max = std::size_t{1} << 26;
inline constexpr int threads_max = 64;

struct options {
  std::vector<impl> impls{};
  std::vector<std::size_t> connections{1024, 65536, 1048576};
  std::vector<int> threads{1, 2};
  int repetitions = 5;
  double min_time_s = 0.1;  ///< timed, a repetition; 0: one iteration
  std::string filter{};     ///< regular expression on benchmark/impl/connections:N/threads:T
  std::uint64_t seed = 1;
  std::vector<sysctl_setting> sysctls{};  ///< of every system
  bool verify_checksums = false;          ///< in `replay`, as if no card had
  std::string capture_name{"generated traffic"};
  std::span<const skb> capture{};  ///< of `replay`; empty: generated traffic
  /// Called now and then with the share that is done, 0 to 1, and what is running.
  std::function<void(double, std::string_view)> progress{};
};

/// What --quick means: no million of connections, three short repetitions.
void make_quick(options& of);

/// The names of the benchmarks, in the order of the table.
std::span<const std::string_view> benchmark_names();

/// Operations a second over the repetitions.
struct figure {
  double median = 0;
  double low = 0;
  double high = 0;
};

struct row {
  std::string impl;
  std::string benchmark;
  int threads = 1;
  std::size_t connections = 0;             ///< `replay`: those of the capture
  std::optional<figure> ops_per_second{};  ///< none: invalid
  std::string error{};                     ///< why
};

struct report {
  std::vector<row> rows;  ///< by benchmark, impl, connections, threads
  std::uint64_t seed = 0;
  int repetitions = 0;
  double min_time_s = 0;
  std::string capture_name{};
  std::size_t replay_packets = 0;
  double elapsed_s = 0;
  std::string google_json{};  ///< Google Benchmark's own format, as its compare.py reads it

  std::size_t invalid_count() const;
  /// 0 measured, 3 invalid.
  int exit_code() const { return invalid_count() == 0 ? 0 : 3; }
};

/// Measures. Throws bad_options before anything ran. One run at a time in a process.
report run(const options& what);

/// The tables for people, at most 120 columns wide; below them a line for each row without a
/// figure.
std::string text_of(const report& of);
/// The last line: whether the figures may be believed.
std::string verdict_of(const report& of);
/// For the result file: {"name": number, ...} of the whole run.
nlohmann::json figures_of(const report& of);
/// For the result file: [{impl, benchmark, threads, connections, ops_per_second{,_low,_high}[,
/// error]}, ...]
nlohmann::json rows_of(const report& of);

}  // namespace ct::bench
