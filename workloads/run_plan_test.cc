// SPDX-License-Identifier: BSD-2-Clause
/// Plans of concurrent runs as they are read, and those of workloads/runs.
#include "workloads/run_plan.h"

#include <catch2/catch.hpp>
#include <set>
#include <stdexcept>
#include <string>

namespace ct::workloads {
namespace {

std::string refusal(const std::string& text) {
  try {
    (void)read_run_plan(text, "folder/some.run");
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return {};
}

TEST_CASE("a plan says its question, its settings, and how often each step comes") {
  const run_plan plan =
      read_run_plan("# Does it hold?\n# More.\n\nflows 7\nfind 3\nkill 1\n", "folder/some.run");
  CHECK(plan.name == "some");
  CHECK(plan.question == "Does it hold?");
  CHECK(plan.flows == 7);
  CHECK(plan.weights[static_cast<std::size_t>(run_step::find)] == 3);
  CHECK(plan.has(run_step::kill));
  CHECK_FALSE(plan.has(run_step::put));
}

TEST_CASE("a plan that cannot be run is refused in a line that says where") {
  CHECK(refusal("# ?\nflows 7\nfnd 3\n").starts_with("folder/some.run:3: 'fnd' is neither"));
  CHECK(refusal("# ?\nflows many\nfind 1\n").starts_with("folder/some.run:2: 'many' is no number"));
  CHECK(refusal("# ?\nflows 0\nfind 1\n").starts_with("folder/some.run:2: '0' is no number"));
  CHECK(refusal("# ?\nfind 1 2\n").starts_with("folder/some.run:2: '2' is too much"));
  CHECK(refusal("# ?\nfind\n").starts_with("folder/some.run:2: '' is no number"));
  CHECK(refusal("find 1\n").find("no question") != std::string::npos);
  CHECK(refusal("# ?\nflows 3\n").find("no step") != std::string::npos);
  CHECK(refusal("# ?\nin 1\n").find("never leave") != std::string::npos);
  CHECK(refusal("# ?\nflows 2\nnetns 3\nfind 1\n").find("fewer flows") != std::string::npos);
}

TEST_CASE("together the plans of workloads/runs take every step, and no two ask the same") {
  std::set<std::string> questions;
  std::set<std::size_t> steps;
  const auto plans = read_run_plans(CT_RUNS);
  for (const run_plan& plan : plans) {
    questions.insert(plan.question);
    for (std::size_t i = 0; i < run_steps; ++i) {
      if (plan.weights[i] != 0) steps.insert(i);
    }
  }
  CHECK(plans.size() >= 16);
  CHECK(questions.size() == plans.size());
  CHECK(steps.size() == run_steps);
}

}  // namespace
}  // namespace ct::workloads
