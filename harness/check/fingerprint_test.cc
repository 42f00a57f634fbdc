// SPDX-License-Identifier: BSD-2-Clause
/// The search for needed allowances, with a judge that knows the answer.
#include "harness/check/fingerprint.h"

#include <catch2/catch.hpp>
#include <cstddef>
#include <set>
#include <vector>

namespace ct::check {
namespace {

/// A history whose first operation's id says, bit by bit, which allowances explain it; its number
/// of operations is the length of its witness.
recorded needs(std::uint64_t bits, std::size_t length) {
  recorded run;
  run.operations.resize(length);
  run.operations[0].id = bits;
  return run;
}

constexpr std::uint64_t bit(allowance a) { return 1U << static_cast<unsigned>(a); }

/// Allowed if any allowance of the history's is on, or if it names none.
check_report by_bits(const recorded& run, const check_options& options) {
  const std::uint64_t wanted = run.operations[0].id;
  bool is_explained = wanted == 0;
  for (std::size_t i = 0; i < allowance_count; ++i) {
    const auto a = static_cast<allowance>(i);
    is_explained = is_explained || ((wanted & bit(a)) != 0 && options.allows.has(a));
  }
  check_report report;
  if (is_explained) return report;
  report.outcome = outcome::violated;
  report.findings.push_back({.what = "no order"});
  for (std::size_t i = 0; i < run.operations.size(); ++i) {
    report.findings[0].operations.push_back(i);
  }
  return report;
}

TEST_CASE("a table whose histories are all explained without needs no allowance") {
  const std::vector<recorded> runs = {needs(0, 3), needs(0, 1)};
  const fingerprint print = fingerprint_of(runs, allowances::all(), by_bits);
  CHECK(print.outcome == outcome::allowed);
  CHECK(print.needs == allowances{});
  CHECK(print.because.empty());
}

TEST_CASE("what one history needs the table needs, and the shortest one is the witness") {
  const std::vector<recorded> runs = {needs(0, 1),
                                      needs(bit(allowance::two_phase_delete), 9),
                                      needs(bit(allowance::two_phase_delete), 4),
                                      needs(bit(allowance::half_confirm), 2)};
  const fingerprint print = fingerprint_of(runs, allowances::all(), by_bits);
  CHECK(print.needs ==
        allowances{}.with(allowance::two_phase_delete).with(allowance::half_confirm));
  REQUIRE(print.because.size() == 2);
  CHECK(print.because[0].allowance == allowance::two_phase_delete);
  CHECK(print.because[0].history == 2);
  CHECK(print.because[0].witness.operations.size() == 4);
  CHECK(print.because[1].history == 3);
}

TEST_CASE("of two allowances that would do, one is kept") {
  const std::vector<recorded> runs = {
      needs(bit(allowance::two_phase_delete) | bit(allowance::miss_during_resize), 3)};
  const fingerprint print = fingerprint_of(runs, allowances::all(), by_bits);
  CHECK(print.because.size() == 1);
}

TEST_CASE("what no allowance explains is broken, and no fingerprint is given") {
  const std::vector<recorded> runs = {needs(bit(allowance::half_confirm), 3)};
  const fingerprint print =
      fingerprint_of(runs, allowances::all().without(allowance::half_confirm), by_bits);
  CHECK(print.outcome == outcome::violated);
  CHECK(print.broken.what == "no order");
  CHECK(print.because.empty());
}

}  // namespace
}  // namespace ct::check
