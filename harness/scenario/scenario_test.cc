// SPDX-License-Identifier: BSD-2-Clause
/// Every scenario on every implementation; and what the runner must find when an outcome is wrong.
#include "harness/scenario/scenario_run.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

namespace ct::harness {
namespace {

using workloads::scenario;
using workloads::text_error;

std::vector<scenario> all_scenarios() {
  std::vector<scenario> all;
  for (const auto& entry : std::filesystem::directory_iterator(CT_SCENARIOS)) {
    if (entry.path().extension() != ".scn") continue;
    all.push_back(workloads::read_scenario_file(entry.path().string()));
  }
  std::ranges::sort(all, {}, &scenario::path);
  return all;
}

TEST_CASE("every implementation does what the scenarios say") {
  int runs = 0;
  for (const scenario& what : all_scenarios()) {
    int taking_part = 0;
    for (const impl& on : implementations()) {
      if (!takes_part(what, on)) continue;
      INFO(on.name);
      CHECK(run_scenario(what, on) == "");
      ++taking_part;
      ++runs;
    }
    INFO(what.path);
    CHECK(taking_part > 0);
  }
  CHECK(runs > 0);
}

const impl& some_impl() { return *std::ranges::find(implementations(), "locked_map", &impl::name); }

/// What comes of these steps behind a common head.
std::string result_of(const std::string& steps, const std::string& head = "") {
  std::istringstream text("# A request and its answer.\nrule a\n" + head +
                          "packet request = udp 10.0.0.1:4000 > 192.0.2.7:53 data 4\n"
                          "packet answer = udp 192.0.2.7:53 > 10.0.0.1:4000 data 4\n" +
                          steps);
  return run_scenario(workloads::read_scenario(text, "x.scn"), some_impl());
}

bool is_found(const std::string& steps, const std::string& finding, const std::string& head = "") {
  const std::string found = result_of(steps, head);
  INFO(found);
  CHECK(found.find(finding) != std::string::npos);
  return !found.empty();
}

TEST_CASE("a step that goes as written is no finding") {
  CHECK(result_of("pass request -> NEW entry=new\npass answer -> ESTABLISHED_REPLY entry=request\n"
                  "count -> 1\nstat -> drop=0\n") == "");
}

TEST_CASE("a wrong outcome is found with its line, what was expected and what was") {
  CHECK(result_of("pass request -> NEW\npass answer -> NEW\n") ==
        "x.scn:6: pass answer: expected 'NEW', was 'ESTABLISHED_REPLY'");
  CHECK(is_found("pass request -> NEW drop\n", "expected 'NEW drop', was 'NEW'"));
  CHECK(is_found("pass request\npass request -> ESTABLISHED entry=request\n",
                 "expected 'ESTABLISHED', was 'NEW'"));
  CHECK(is_found("pass request -> NEW entry=none\n", "expected entry=none, was entry=new"));
  CHECK(is_found("pass request\ncount -> 2\n", "expected '2', was '1'"));
  CHECK(is_found("find request -> original\n", "expected 'original', was 'none'"));
}

TEST_CASE("a counter that is not named must be zero, a named one as large as said") {
  const std::string clash = "in request as a\nin request as b\nconfirm a\nconfirm b\n";
  CHECK(is_found(clash + "stat -> drop=0\n", "expected clash_resolve=0, was clash_resolve=1"));
  CHECK(is_found(clash + "stat -> clash_resolve=2\n", "was clash_resolve=1"));
  CHECK(is_found(clash + "stat -> clash_resolve>=2\n", "was clash_resolve=1"));
  CHECK(result_of(clash + "stat -> clash_resolve>=1\n") == "");
}

TEST_CASE("lines that are printed are compared one by one, blanks apart") {
  const std::string line =
      "udp 17 30 src=10.0.0.1 dst=192.0.2.7 sport=4000 dport=53 [UNREPLIED] src=192.0.2.7 "
      "dst=10.0.0.1 sport=53 dport=4000 mark=0 use=1";
  CHECK(result_of("pass request\nlist\n | " + line + "\n") == "");
  CHECK(result_of("list\n |\n") == "");
  CHECK(is_found("pass request\nlist\n |\n", "line 1: expected\n  no line\nwas\n  udp 17 30"));
  CHECK(is_found("list\n | " + line + "\n", "was\n  no line"));
  CHECK(is_found("pass request\nwait 1s\nlist\n | " + line + "\n", "was\n  udp 17 29"));
}

TEST_CASE("events come with their names ahead if they are asked for") {
  const std::string line = "udp 17 30 src=10.0.0.1 dst=192.0.2.7 sport=4000 dport=53";
  const std::string back = "src=192.0.2.7 dst=10.0.0.1 sport=53 dport=4000\n";
  const std::string both = "listen\npass request\npass answer\n";
  CHECK(result_of(both + "events bits\n | NEW [NEW] " + line + " [UNREPLIED] " + back +
                  " | REPLY [UPDATE] " + line + " " + back + "events\n |\n") == "");
  CHECK(is_found(both + "events bits\n | NEW|MARK [NEW] " + line + " [UNREPLIED] " + back,
                 "was\n  NEW [NEW] udp"));
  CHECK(is_found(both + "events\n | [NEW] " + line + " [UNREPLIED] " + back,
                 "line 2: expected\n  no line\nwas\n  [UPDATE] udp"));
}

TEST_CASE("books are kept for whoever listened to everything from the first entry on") {
  const std::string ends = "kill request -> 1\n";
  CHECK(result_of("listen\npass request\n" + ends) == "");
  CHECK(result_of("listen DESTROY\npass request\n" + ends) == "");
  CHECK(result_of("pass request\nlisten\n" + ends, "with nf_conntrack_events=1\n") == "");
}

TEST_CASE("who has no size to set takes no part in a scenario that needs to set it") {
  std::istringstream text("# A title.\nrule a\nneeds resize\ncount -> 0\n");
  const scenario what = workloads::read_scenario(text, "x.scn");
  CHECK(what.needs_resize);
  for (const impl& on : implementations()) {
    INFO(on.name);
    CHECK(takes_part(what, on) == (!on.is_timing_only() && on.name != "tbb"));
  }
}

TEST_CASE("packets of a port range must have one outcome") {
  const std::string head = "packet many = udp 10.0.0.1:4000-4002 > 192.0.2.7:53\n";
  CHECK(result_of("pass many -> NEW\ncount -> 3\n", head) == "");
  CHECK(is_found("pass request\npass answer\npass many\n", "packet 2 of 3 is 'NEW'", head));
  CHECK(result_of("pass many\nupdate many mark=7 -> updated\nflush mark=7 -> 3\n", head) == "");
  CHECK(is_found("pass request\nupdate many mark=7\n", "not all of them have one answer", head));
}

TEST_CASE("what makes no sense is refused with its line") {
  const auto refusal = [](const std::string& steps) {
    try {
      (void)result_of(steps);
    } catch (const text_error& refused) {
      return std::string(refused.what());
    }
    return std::string("nothing was refused");
  };
  CHECK(refusal("jump\n").starts_with("x.scn:5: jump: 'jump' is no verb; there are: in confirm"));
  CHECK(refusal("pass nobody\n").starts_with("x.scn:5: pass nobody: no packet 'nobody'"));
  CHECK(refusal("confirm request\n").find("no such packet is on its way") != std::string::npos);
  CHECK(refusal("in request\nin request\n").find("on its way already") != std::string::npos);
  CHECK(refusal("count 3\n").find("'3' has no meaning here") != std::string::npos);
  CHECK(refusal("pass request -> NEW entri=new\n").find("has no 'entri'") != std::string::npos);
  CHECK(refusal("count -> 0\n | x\n").find("prints no lines") != std::string::npos);
  CHECK(refusal("wait 3\n").find("write seconds as 30s") != std::string::npos);
  CHECK_THROWS_WITH(result_of("count\n", "with nf_conntrack_udp_timeout=x\n"),
                    Catch::Contains("nf_conntrack_udp_timeout"));
}

}  // namespace
}  // namespace ct::harness
