// SPDX-License-Identifier: BSD-2-Clause
/// What a picture of a history shows, and that it is one page that needs nothing else.
#include "harness/check/diagram.h"

#include <catch2/catch.hpp>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ct::check {
namespace {

std::size_t times(std::string_view what, std::string_view in) {
  std::size_t sum = 0;
  for (std::size_t at = in.find(what); at != in.npos; at = in.find(what, at + 1)) ++sum;
  return sum;
}

operation at(std::uint16_t thread, std::uint64_t call, std::uint64_t ret, operation o) {
  o.thread = thread;
  o.call = call;
  o.ret = ret;
  return o;
}

const operation confirmed{.id = 7,
                          .key = 6,
                          .other = 7,
                          .verb = verb::confirm,
                          .answer = answer::inserted};
const operation missed{.key = 7, .verb = verb::find, .answer = answer::missed};
const operation killed{.key = 6, .verb = verb::kill, .answer = answer::won};

std::vector<operation> history() {
  return {at(0, 100, 120, confirmed), at(1, 130, 150, missed), at(0, 140, 160, killed)};
}

finding found() {
  return {.what = "find of <7> & its entry", .letter = letter::a1, .operations = {0, 1}};
}

TEST_CASE("an operation in words says what was called, and what came of it") {
  CHECK(words_of(confirmed) == "confirm 0x7 -> inserted");
  CHECK(words_of(missed) == "find 7 -> missed");
  CHECK(words_of(
            {.id = 7, .key = 7, .verb = verb::find, .answer = answer::found, .is_reply = true}) ==
        "find 7 -> found 0x7 (reply)");
  operation merged{.id = 8, .verb = verb::confirm, .answer = answer::merged};
  merged.number = 7;
  CHECK(words_of(merged) == "confirm 0x8 -> merged into 0x7");
  operation swept{.verb = verb::gc};
  swept.number = 3;
  CHECK(words_of(swept) == "gc -> 3");
  CHECK(words_of({.now_lo = 5, .now_hi = 9, .verb = verb::advance}) == "advance 5 to 9");
  CHECK(words_of({.id = 7, .key = 6, .verb = verb::look}) == "look 6 -> 0x7");
}

TEST_CASE("a diagram shows each operation once as a bar, and frames those that contradict") {
  const std::string page = html_of({.title = "rcu & co"}, history(), found());
  CHECK(times("<g class=\"bar", page) == 3);
  CHECK(times(" marked\"><title>", page) == 2);
  CHECK(times("<tr class=\"marked\">", page) == 2);
  CHECK(times(">thread 0<", page) == 1);
  CHECK(times(">thread 1<", page) == 1);
  CHECK(times(">entry 0x7<", page) == 1);
}

TEST_CASE("an entry is drawn solid between its confirm and the call of its kill") {
  const std::string page = html_of({.title = "rcu"}, history(), found());
  // Columns: 100, 120, 130, 140, 150, 160.
  CHECK(times("<rect class=\"maybe\"", page) == 2);
  CHECK(times("<rect class=\"sure\"", page) == 1);
  const std::size_t sure = page.find("<rect class=\"sure\"");
  CHECK(page.substr(sure, 60).find("x=\"138.0\"") != page.npos);
  CHECK(page.substr(sure, 80).find("width=\"92.0\"") != page.npos);
}

TEST_CASE("a diagram quotes what comes from outside, asks for nothing, and is the same twice") {
  const diagram about{.title = "a<b", .facts = {{"seed", "\"1\""}}, .command = "x && y"};
  const std::string page = html_of(about, history(), found());
  CHECK(page == html_of(about, history(), found()));
  CHECK(times("find of &lt;7&gt; &amp; its entry", page) == 1);
  CHECK(times("a<b", page) == 0);
  CHECK(times("x &amp;&amp; y", page) == 1);
  CHECK(times("http", page) == 0);
  CHECK(times("<script", page) == 0);
}

TEST_CASE("in a terminal an operation is a line, its bar between its stamps") {
  CHECK(lanes_of(history(), found()) ==
        "  * thread 0  |----|                         confirm 0x7 -> inserted\n"
        "  * thread 1            |---------|          find 7 -> missed\n"
        "    thread 0                 |---------|     kill 6 -> won\n");
}

TEST_CASE("a diagram of nothing is a page") {
  const std::string page = html_of({.title = "empty"}, {}, {.what = "nothing"});
  CHECK(times("</html>", page) == 1);
}

}  // namespace
}  // namespace ct::check
