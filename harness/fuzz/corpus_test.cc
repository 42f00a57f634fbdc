// SPDX-License-Identifier: BSD-2-Clause
/// The committed corpora: every input of every target, through every implementation, in every
/// build.
#include "harness/fuzz/corpus.h"

#include <catch2/catch.hpp>
#include <fstream>

namespace ct::harness::fuzz {
namespace {

void demand_no_finding(const target& of) {
  const auto files = corpus_files(std::string(CT_CORPUS) + "/" + std::string(of.name));
  CHECK(files.size() > 20);  // else it was lost
  for (const corpus_finding& one : replay_corpus(of, implementations(), files)) {
    FAIL_CHECK(one.path << ": " << one.what);
  }
}

TEST_CASE("no input of the corpus of target packet finds anything") {
  demand_no_finding(targets()[0]);
}
TEST_CASE("no input of the corpus of target tracker finds anything") {
  demand_no_finding(targets()[1]);
}
TEST_CASE("no input of the corpus of target helper finds anything") {
  demand_no_finding(targets()[2]);
}

TEST_CASE("every target has its corpus tested") { CHECK(targets().size() == 3); }

TEST_CASE("a corpus that is missing or empty is an error, not a corpus without findings") {
  CHECK_THROWS_WITH(corpus_files("/nonexistent"), Catch::Contains("name a folder of inputs"));
  const auto folder = std::filesystem::temp_directory_path() / "ctbench_empty_corpus";
  std::filesystem::create_directories(folder);
  CHECK_THROWS_WITH(corpus_files(folder.string()), Catch::Contains("no inputs in this folder"));
  std::filesystem::remove(folder);
  CHECK_THROWS_WITH(read_input("/nonexistent/input"), Catch::Contains("cannot be read"));
}

TEST_CASE("each file is run, and a finding carries its path") {
  const target odd = {.name = "odd",
                      .question = "is an input of odd length?",
                      .input_bytes_max = 9,
                      .run =
                          [](court&, std::span<const std::byte> input) {
                            return std::string(input.size() % 2 == 1 ? "odd" : "");
                          },
                      .seeds = nullptr};
  const auto folder = std::filesystem::temp_directory_path() / "ctbench_odd_corpus";
  const std::vector<input_bytes> inputs = {input_bytes(3), input_bytes(4), input_bytes(4)};
  write_inputs(folder.string(), inputs);
  const auto files = corpus_files(folder.string());
  CHECK(files.size() == 2);  // the same bytes have the same name
  const auto findings = replay_corpus(odd, implementations(), files);
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].what == "odd");
  CHECK(std::filesystem::file_size(findings[0].path) == 3);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace ct::harness::fuzz
