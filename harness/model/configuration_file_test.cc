// SPDX-License-Identifier: BSD-2-Clause
/// What is read of a TLC configuration, and what is refused how.
#include "harness/model/configuration_file.h"

#include <catch2/catch.hpp>

namespace ct::model {
namespace {

TEST_CASE("a configuration file of TLC is read with its constants, names and labels") {
  const configuration_file file = parse_configuration("/x/Conntrack/two_cpus.cfg",
                                                      R"(\* Expect: UniqueTuple
\* Size: large
(* a comment (* in *) another *)
SPECIFICATION FairSpec
CONSTANTS
  Cpus = {p1, p2}  \* two
  Faults = {"early_free", "no_recheck"}
  Max = 3
  Name = "x"
  None <- NoneValue
  Flag = TRUE
  Empty = {}
SYMMETRY Sym
VIEW view
INVARIANT TypeOK
INVARIANTS UniqueTuple Refs
PROPERTIES Atomic
CHECK_DEADLOCK FALSE
)");
  const configuration& c = file.configuration;
  CHECK(c.module == "Conntrack");
  CHECK(c.name == "two_cpus");
  CHECK(c.set("Cpus", 2) == std::vector<std::string>{"p1", "p2"});
  CHECK(c.has("Faults", "no_recheck"));
  CHECK_FALSE(c.has("Faults", "early"));
  CHECK(c.number("Max", 9) == 3);
  CHECK(c.text("Name") == "x");
  CHECK(c.at("Flag").elements == std::vector<std::string>{"TRUE"});
  CHECK(c.set("Empty", 0).empty());
  CHECK_FALSE(c.constants.contains("None"));
  CHECK(c.invariants == std::vector<std::string>{"TypeOK", "UniqueTuple", "Refs"});
  CHECK(c.properties == std::vector<std::string>{"Atomic"});
  CHECK(c.expected == "UniqueTuple");
  CHECK(c.is_large);
  CHECK(c.assumes_fair);
  CHECK_FALSE(c.checks_deadlock);
  CHECK(file.line_of.at("Refs") == 16);
}

TEST_CASE("without labels a configuration expects nothing, is small and checks deadlock") {
  const configuration c = parse_configuration("M/a.cfg", "INIT Init\nNEXT Next").configuration;
  CHECK(c.expected.empty());
  CHECK_FALSE(c.is_large);
  CHECK_FALSE(c.assumes_fair);
  CHECK(c.checks_deadlock);
}

std::string refusal(std::string_view text) {
  try {
    parse_configuration("M/a.cfg", text);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("what is wrong in a configuration file is said in one line with its place") {
  using Catch::Contains;
  using Catch::StartsWith;
  CHECK_THAT(refusal("\nINVARIENT TypeOK"),
             StartsWith("M/a.cfg:2: unknown keyword 'INVARIENT': did you mean INVARIANT?"));
  CHECK_THAT(refusal("CONSTANTS A = 1\nINVARIENT TypeOK"),
             StartsWith("M/a.cfg:2: unknown keyword 'INVARIENT': did you mean INVARIANT?"));
  CHECK_THAT(refusal("CONSTANTS\nA = 1\nA = 2"), StartsWith("M/a.cfg:3: constant A has a value"));
  CHECK_THAT(refusal("CONSTANTS\nA = {1,"), Contains("is missing before the end"));
  CHECK_THAT(refusal("CONSTANTS A ="), Contains("a value is missing"));
  CHECK_THAT(refusal("CONSTANTS A 3"), Contains("write A = value"));
  CHECK_THAT(refusal("CONSTANTS A = [x]"), StartsWith("M/a.cfg:1: '[' has no meaning here"));
  CHECK_THAT(refusal("CONSTANTS A = \"x\n"), Contains("no end"));
  CHECK_THAT(refusal("\n(* (* *)\n"), StartsWith("M/a.cfg:2: this comment has no end"));
  CHECK_THAT(refusal("CHECK_DEADLOCK yes"), Contains("neither TRUE nor FALSE"));
  CHECK_THAT(refusal("\\* Size: huge\n"), Contains("write 'large' or 'small'"));
  CHECK_THAT(refusal("CONSTRAINT Small"), Contains("did you mean CONSTANT?"));
  CHECK(refusal("CONSTANTS A = 1").empty());
}

TEST_CASE("a name that the machine does not have is refused with its line and the nearest one") {
  const configuration_file file =
      parse_configuration("M/a.cfg", "INVARIANTS\n TypeOK\n UniqueTupel\nPROPERTY P");
  const std::vector<std::string_view> properties = {"P"};
  const std::vector<std::string_view> without = {"TypeOK", "UniqueTuple"};
  const std::vector<std::string_view> with = {"TypeOK", "UniqueTupel"};
  CHECK_THROWS_WITH(expect_known(file, without, properties),
                    Catch::StartsWith("M/a.cfg:3: M has no invariant 'UniqueTupel': did you mean "
                                      "UniqueTuple?"));
  CHECK_THROWS_WITH(expect_known(file, with, {}),
                    Catch::StartsWith("M/a.cfg:4: M has no property"));
  CHECK_NOTHROW(expect_known(file, with, properties));
}

TEST_CASE("a file that is not there is said by name") {
  CHECK_THROWS_WITH(read_configuration("/nonexistent/x.cfg"),
                    Catch::StartsWith("/nonexistent/x.cfg: "));
}

}  // namespace
}  // namespace ct::model
