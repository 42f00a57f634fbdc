// SPDX-License-Identifier: BSD-2-Clause
/// libFuzzer at work: starts its program (preset fuzz) on one target, follows what it says, ends it
/// when its time is up.
///
/// The program writes the inputs that reach new code into the first corpus, and the input of a
/// finding, at which it stops, beside a log of all that it said. Time may be the wall's or the
/// CPU's, which counts what was searched on a machine that is shared. Source:
/// https://llvm.org/docs/LibFuzzer.html, LLVM 14.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ct::harness::fuzz {

struct campaign_options {
  std::string program;
  std::string_view target;
  std::vector<std::string> corpora;  ///< the first is written to, and made if it is not there
  std::string dictionary{};          ///< empty: none
  std::string findings;              ///< folder, made if it is not there
  double wall_s_max = 0;             ///< 0: no end
  double cpu_s_max = 0;              ///< 0: no end
  std::uint64_t seed = 1;
  std::size_t input_bytes_max = 4096;
};

/// As far as it has come.
struct campaign_status {
  std::uint64_t executions = 0;
  std::uint64_t edges = 0;     ///< of the program's code, covered
  std::uint64_t features = 0;  ///< edges by how often, as libFuzzer counts them
  std::uint64_t inputs = 0;    ///< of the corpus, in memory
};
/// Of a line of libFuzzer's: "#4096 NEW cov: 300 ft: 400 corp: 10/2000b ...". Nothing: another one.
std::optional<campaign_status> read_status(std::string_view line);

struct campaign_result {
  campaign_status status;
  double wall_s = 0;
  double cpu_s = 0;
  int exit = 0;           ///< of the program; not 0: it found something, or could not run
  std::string finding{};  ///< the line that says what, if one was recognised
  std::string input{};    ///< path of the input that shows it
  std::string log;        ///< path
};

/// Throws std::runtime_error, one line, if the program cannot be started. `seen` is called about
/// five times a second and may ask to stop by answering false.
campaign_result run_campaign(const campaign_options& options,
                             const std::function<bool(const campaign_result& so_far)>& seen);

}  // namespace ct::harness::fuzz
