// SPDX-License-Identifier: BSD-2-Clause
/// What the machines themselves claim: that some steps are local, that some sets are symmetric.
#include "harness/model/machines.h"

#include "harness/model/configuration_file.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

namespace ct::model {
namespace {

configuration read(const std::string& name) {
  return read_configuration(std::string(CT_MODELS) + "/" + name + ".cfg").configuration;
}

report checked(const configuration& c, check_options options = {}) {
  options.threads = 2;
  return find_machine(c.module)->check(c, options, {});
}

std::string name_broken(const report& done) { return done.broken ? done.broken->name : ""; }

TEST_CASE("every step that a machine claims to be local is, in the whole graph") {
  const auto* const name = GENERATE("Conntrack/tiny",
                                    "Conntrack/walks",
                                    "DoubleLockResize/small",
                                    "EventRedelivery/small",
                                    "Peterson/good");
  INFO(name);
  const configuration c = read(name);
  CHECK(find_machine(c.module)->false_local_claim(c, {}).empty());
}

TEST_CASE("symmetry and local steps change no verdict of the contract, and save states") {
  const auto* const name = GENERATE("Conntrack/tiny",
                                    "Conntrack/walks",
                                    "Conntrack/broken_stale_find",
                                    "Conntrack/broken_no_clash_search",
                                    "Conntrack/broken_loser_puts_too",
                                    "Conntrack/broken_refused_and_forgotten");
  INFO(name);
  const configuration c = read(name);
  const report full = checked(c);
  REQUIRE(name_broken(full) == c.expected);
  const report by_symmetry = checked(c, {.uses_symmetry = true});
  CHECK(name_broken(by_symmetry) == c.expected);
  CHECK(by_symmetry.counts.distinct < full.counts.distinct);
  CHECK(by_symmetry.counts.depth == full.counts.depth);
  const report by_ample = checked(c, {.uses_ample = true});
  CHECK(name_broken(by_ample) == c.expected);
  CHECK(by_ample.counts.distinct <= full.counts.distinct);
}

TEST_CASE("a configuration is found for every machine, and each promise of one is checked by one") {
  std::vector<std::string> modules;
  std::vector<std::string> promises;
  for (const auto& file : std::filesystem::recursive_directory_iterator(CT_MODELS)) {
    if (file.path().extension() != ".cfg") continue;
    if (file.path().parent_path().string().ends_with("Trace")) continue;
    const configuration c = read_configuration(file.path().string()).configuration;
    modules.push_back(c.module);
    for (const std::string& i : c.invariants) promises.push_back(c.module + " " + i);
    for (const std::string& p : c.properties) promises.push_back(c.module + " " + p);
  }
  const auto has = [](const std::vector<std::string>& all, const std::string& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
  };
  for (const checked_machine& m : machines()) {
    CHECK(has(modules, std::string(m.name)));
    for (const auto& names : {m.invariants, m.properties}) {
      for (const std::string_view promise : names) {
        INFO(m.name << " " << promise);
        CHECK(has(promises, std::string(m.name) + " " + std::string(promise)));
      }
    }
  }
}

}  // namespace
}  // namespace ct::model
