// SPDX-License-Identifier: BSD-2-Clause
/// How fast long histories are judged (harness/check): a program that prints it, a line a load.
#include "harness/check/busy_history.h"
#include "harness/check/judge.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

namespace ct::check {
namespace {

constexpr int repetitions = 5;

/// False: the history was not allowed, so its time says nothing.
bool measure(const busy_load& load) {
  const std::vector<operation> history = busy_history(load).run();
  std::vector<double> rates;  // million operations a second
  check_report report;
  std::size_t kept = 0;
  for (int i = 0; i < repetitions; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    judge j({}, {});
    for (const operation& op : history) j.feed(op);
    report = j.finish();
    kept = j.kept();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    rates.push_back(static_cast<double>(history.size()) / took.count() / 1e6);
  }
  std::ranges::sort(rates);
  std::printf(
      "%2zu threads %7u flows: %5.2f M operations/s (%.2f to %.2f), configurations %zu, kept %zu\n",
      load.threads,
      load.flows,
      rates[repetitions / 2],
      rates.front(),
      rates.back(),
      report.configurations_max,
      kept);
  return report.outcome == outcome::allowed;
}

}  // namespace
}  // namespace ct::check

int main() {
  using ct::check::measure;
  const bool is_allowed = measure({.operations = 1000000, .threads = 2, .flows = 1000}) &&
                          measure({.operations = 1000000, .threads = 8, .flows = 1000}) &&
                          measure({.operations = 1000000, .threads = 8, .flows = 100000}) &&
                          measure({.operations = 1000000, .threads = 16, .flows = 10}) &&
                          measure({.operations = 1000000, .threads = 8, .flows = 1}) &&
                          measure({.operations = 1000000, .threads = 64, .flows = 1});
  if (!is_allowed) std::puts("a history of a table that keeps the contract was not allowed");
  return is_allowed ? 0 : 1;
}
