// SPDX-License-Identifier: BSD-2-Clause
/// Recorded runs, and what is made of them: the machine's answer, and that to what is no trace.
#include "harness/model/accept.h"

#include "harness/trace/trace_file.h"
#include "harness/trace/trace_reader.h"
#include "harness/trace/trace_writer.h"

#include <catch2/catch.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace ct::harness {
namespace {

std::string run(const std::string& name) { return CT_RUNS "/" + name + ".ndjson"; }

/// A file that is there for one test.
class scratch {
 public:
  explicit scratch(const std::string& text = {})
      : path_((std::filesystem::temp_directory_path() /
               ("ctbench_accept_" + std::to_string(reinterpret_cast<std::uintptr_t>(this))))
                  .string()) {
    std::ofstream(path_, std::ios::binary) << text;
  }
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;
  ~scratch() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string header(unsigned actions) {
  return R"({"format":"ctbench-trace/1","machine":"Conntrack","impl":"x","entries":2,"cpus":1,)"
         R"("flows":2,"netns":1,"max":9,"chain_limit":9,"operations":["lookup","clock"],)"
         R"("allowances":[],"actions":)" +
         std::to_string(actions) + "}\n";
}

/// What is said of a trace that is none, without the file's name; empty: nothing.
std::string complaint(const std::string& text) {
  const scratch file(text);
  try {
    (void)accept(file.path());
  } catch (const std::invalid_argument& error) {
    const std::string what = error.what();
    REQUIRE(what.starts_with(file.path() + ":"));
    CHECK(what.find('\n') == std::string::npos);
    return what.substr(file.path().size() + 1);
  }
  return {};
}

const std::string packet =
    "{\"action\":\"Packet\",\"cpu\":1,\"netns\":1,\"flow\":1,\"dir\":\"original\"}\n";

TEST_CASE("a real run is a run of the machine") {
  const acceptance is = accept(run("accepted"));
  CHECK(is.rejected == "");
  CHECK(is.actions == 600);
  CHECK(is.impl == "rcu");
}

TEST_CASE("a run with one action changed is rejected there") {
  const auto first_line = [](const std::string& name) {
    const acceptance is = accept(run(name));
    CHECK(is.rejected.find("\n  p1: pc = ") != std::string::npos);
    return is.rejected.substr(0, is.rejected.find('\n'));
  };
  const auto expected = [](const std::string& name, const std::string& line) {
    return run(name) + ":" + line + " is no step of the machine here:";
  };
  CHECK(first_line("missed") == expected("missed", "254: FindMiss(p1)"));
  CHECK(first_line("kept") == expected("kept", "252: Packet(p1, <<n1, f2, \"original\">>)"));
  CHECK(first_line("expired") == expected("expired", "265: FindGet(p1, e2)"));
}

TEST_CASE("the clock goes on while nothing lives") {
  const scratch file(header(2) + "{\"action\":\"Tick\",\"ticks\":5}\n" + packet);
  const acceptance is = accept(file.path());
  CHECK(is.rejected == "");
  CHECK(is.actions == 2);
}

TEST_CASE("what is no trace gets one line") {
  CHECK(complaint("").starts_with("1: the file is empty"));
  CHECK(complaint("{}\n").starts_with("1: this is no header"));
  CHECK(complaint("not json\n").starts_with("1: this is no header"));
  CHECK(complaint(header(1)).starts_with("2: the trace ends after 0 actions of 1"));
  CHECK(complaint(header(1) + packet + packet).starts_with("3: more than the 1 actions"));
  CHECK(complaint(header(1) + "{\"action\":\"Tick\",\"ti").starts_with("2: the line is cut"));
  CHECK(complaint(header(1) + "Tick\n").starts_with("2: this is no action"));
  CHECK(complaint(header(1) + "{\"action\":\"Tick\",\"ticks\":-1}\n").starts_with("2: this is no"));
  CHECK(complaint(header(1) + "{\"action\":\"Tock\",\"ticks\":1}\n")
            .starts_with("2: unknown action 'Tock'"));
  CHECK(complaint(header(1) + "{\"action\":\"Tick\"}\n").starts_with("2: Tick lacks a field"));
  CHECK(complaint(header(1) + "{\"action\":\"Free\",\"entry\":3}\n")
            .starts_with("2: entry is 3, and must be 1 to 2"));
  CHECK(complaint(header(1) + "{\"action\":\"Put\",\"cpu\":0}\n").starts_with("2: cpu is 0"));
  CHECK_THROWS_AS(accept("/nowhere/trace.ndjson"), std::invalid_argument);
}

TEST_CASE("every action is read as it was written; a trace appears whole or not at all") {
  const scratch file;
  std::filesystem::remove(file.path());
  std::vector<trace_step> written;
  trace_header begun;
  // Not `= "x"`: g++ 12 sees an overflow in what it inlines of that.
  begun.impl = std::string(1, 'x');
  {
    trace_writer writer(file.path(), begun);
    for (std::size_t i = 0; i < ct::detail::signatures.size(); ++i) {
      trace_step step{.action = static_cast<trace_action>(i)};
      const std::uint8_t fields = signature_of(step.action).fields;
      const auto has = [&](int field) { return (fields & field) != 0; };
      if (has(trace_field::cpu)) step.cpu = 2;
      if (has(trace_field::entry)) step.entry = 3;
      if (has(trace_field::netns | trace_field::key)) step.key.netns = 4;
      if (has(trace_field::key)) step.key = {4, 5, true};
      if (has(trace_field::timeout | trace_field::ticks)) step.number = 0xffff'ffff;
      step.flag = has(trace_field::assures | trace_field::again);
      writer.take(step);
      written.push_back(step);
    }
    CHECK(!std::filesystem::exists(file.path()));
    writer.finish();
    trace_writer stopped(file.path() + "2", begun);
    stopped.stop("two at once");
    CHECK_THROWS_WITH(stopped.finish(), Catch::Contains("two at once"));
  }
  CHECK(!std::filesystem::exists(file.path() + "2"));
  CHECK(!std::filesystem::exists(file.path() + "2.partial"));
  trace_reader reader(file.path());
  CHECK(reader.header().limits.flows == 5);
  std::vector<trace_step> read;
  while (const std::optional<trace_step> step = reader.next()) read.push_back(*step);
  CHECK(read == written);
}

}  // namespace
}  // namespace ct::harness
