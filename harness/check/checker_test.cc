// SPDX-License-Identifier: BSD-2-Clause
/// Histories by hand, allowed and forbidden, for each letter that a history can show.
#include "harness/check/checker.h"

#include "harness/check/history_text.h"
#include "harness/check/judge.h"

#include <catch2/catch.hpp>
#include <sstream>
#include <string>
#include <string_view>

namespace ct::check {
namespace {

const std::string inserted = R"(
    0-1 in 0 made 7
    2-4 confirm 7 0 1 inserted
)";

check_report judged(std::string_view text,
                    allowances allows = check_options{}.allows,
                    const run_facts& facts = {}) {
  return check(read_history(std::string(text)), facts, {.allows = allows});
}
bool is_allowed(std::string_view text, allowances allows = check_options{}.allows) {
  return judged(text, allows).outcome == outcome::allowed;
}
/// The one finding's letter.
std::string broken(std::string_view text, allowances allows = check_options{}.allows) {
  const check_report report = judged(text, allows);
  if (report.findings.size() != 1) return "findings: " + std::to_string(report.findings.size());
  CAPTURE(report.findings[0].what);
  CHECK(report.findings[0].operations.size() <= 4);
  return std::string(name(report.findings[0].letter));
}

}  // namespace

TEST_CASE("A history of nothing is allowed") { CHECK(judged("").outcome == outcome::allowed); }

TEST_CASE("A lookup after confirm finds the entry, under either tuple") {
  CHECK(is_allowed(inserted + "5-6 find 0 found 7\n7-8 find 1 found 7 reply"));
  CHECK(broken(inserted + "5-6 find 0 missed") == "A.1");
  CHECK(broken(inserted + "5-6 find 1 missed") == "A.1");
}

TEST_CASE("A lookup beside confirm finds the entry or misses it") {
  CHECK(is_allowed(inserted + "3-6 find 0 missed"));
  CHECK(is_allowed(inserted + "3-6 find 0 found 7"));
}

TEST_CASE("Two operations that share a stamp may have happened in either order") {
  CHECK(is_allowed(inserted + "4-6 find 0 missed"));
  CHECK(is_allowed(inserted + "1-2 find 0 found 7"));
  CHECK(broken(inserted + "0-1 find 0 found 7") == "A.2");
}

TEST_CASE("A finding says who contradicts whom") {
  const check_report report = judged(
      inserted + "5-6 find 4 missed\n5-7 find 0 found 7\n8-9 find 0 missed\n10-11 find 0 missed");
  REQUIRE(report.findings.size() == 1);
  CHECK(report.findings[0].what ==
        "find of key 0 missed, but entry 0x7 could be found under it from stamp 4 on and nobody "
        "removed it");
  CHECK(report.findings[0].operations == std::vector<std::size_t>{3, 4});
}

TEST_CASE("What is found was confirmed and had that tuple") {
  CHECK(broken("0-1 in 0 made 7\n2-3 find 0 found 7") == "A.2");
  CHECK(broken(inserted + "5-6 find 0 found 8") == "A.2");
  CHECK(broken(inserted + "5-6 find 2 found 7") == "A.2");
  CHECK(broken(inserted + "5-6 find 1 found 7") == "A.2");
}

TEST_CASE("An entry that NAT gave another reply key is found by that one") {
  const std::string nat = "0-1 in 0 made 7\n2-4 confirm 7 0 5 inserted\n";
  CHECK(is_allowed(nat + "5-6 find 5 found 7 reply\n7-8 find 1 missed"));
  CHECK(broken(nat + "5-6 find 5 missed") == "A.1");
}

TEST_CASE("An entry in a packet's hands is what it was until it is put") {
  CHECK(is_allowed(inserted + "5-6 kill 0 won\n7-8 look 7 0\n9-10 put 7"));
  CHECK(broken(inserted + "5-6 look 7 4") == "A.3");
  CHECK(broken(inserted + "5-6 kill 0 won\n7-8 put 7\n9-10 look 7 0") == "A.3");
}

TEST_CASE("A reference is put once") {
  CHECK(is_allowed(inserted + "5-6 in 0 found 7\n7-8 put 7\n7-9 put 7"));
  CHECK(broken(inserted + "5-6 put 7\n7-8 put 7") == "D.4");
}

TEST_CASE("Both tuples of a confirmed entry appear at once") {
  const std::string half = "0-1 in 0 made 7\n2-9 confirm 7 0 1 inserted\n";
  CHECK(is_allowed(half + "3-4 find 0 found 7\n5-6 find 1 found 7 reply"));
  CHECK(broken(half + "3-4 find 0 found 7\n5-6 find 1 missed") == "B.2");
  CHECK(broken(half + "3-4 find 1 found 7 reply\n5-6 find 0 missed") == "B.2");
  CHECK(is_allowed(half + "3-4 find 0 found 7\n5-6 find 1 missed", allowances::all()));
}

TEST_CASE("Of several confirms of one tuple one inserts") {
  const std::string two = "0-1 in 0 made 7\n0-1 in 0 made 8\n2-5 confirm 7 0 1 inserted\n";
  CHECK(broken(two + "3-6 confirm 8 0 1 inserted") == "C.2");
  CHECK(is_allowed(two + "3-6 confirm 8 0 1 merged 7"));
  CHECK(is_allowed(two + "3-6 confirm 8 0 1 clashed"));
  CHECK(is_allowed(two + "2-6 kill 0 won\n3-6 confirm 8 0 1 inserted"));
  CHECK(broken("0-1 in 0 made 8\n0-1 in 0 made 7\n2-3 confirm 8 0 1 merged 7") == "C.2");
  const allowances strict = check_options{}.allows.without(allowance::chain_too_long);
  CHECK(is_allowed(two + "3-6 confirm 8 0 1 clashed", strict));
  CHECK(broken("0-1 in 0 made 8\n2-3 confirm 8 0 1 clashed", strict) == "C.2");
}

TEST_CASE("Beside another flow's entry the reply tuple alone may be inserted") {
  const std::string other = inserted + "0-1 in 4 made 8\n5-6 confirm 8 4 0 inserted\n";
  CHECK(broken(other) == "C.2");
  const std::string translated =
      "0-1 in 0 made 9\n2-3 in 4 made 8\n4-5 confirm 8 4 0 inserted\n6-7 confirm 9 0 1 inserted\n";
  CHECK(is_allowed(translated + "8-9 find 1 found 9 reply"));
  CHECK(broken(translated, check_options{}.allows.without(allowance::clash_reply_only)) == "C.2");
}

TEST_CASE("One kill wins") {
  CHECK(is_allowed(inserted + "5-7 kill 0 won\n6-8 kill 1 lost"));
  CHECK(broken(inserted + "5-7 kill 0 won\n6-8 kill 1 won") == "D.1");
  CHECK(broken(inserted + "5-7 kill 0 lost") == "D.1");
}

TEST_CASE("The loser of two kills may return early") {
  const std::string early = inserted + "5-12 kill 0 won\n6-7 kill 0 lost\n8-9 find 0 found 7\n";
  CHECK(is_allowed(early));
  CHECK(broken(early, check_options{}.allows.without(allowance::loser_returns_early)) == "D.1");
}

TEST_CASE("A kill that lost may have unlinked its entry where a destroy event is refused") {
  const std::string text = inserted + "5-7 kill 0 lost\n8-9 find 0 missed";
  CHECK(judged(text).outcome == outcome::violated);
  CHECK(judged(text, check_options{}.allows, {.refuses_destroy = true}).outcome ==
        outcome::allowed);
}

TEST_CASE("Of two kills that lost, the one that unlinks late may be the one that ends late") {
  const std::string text =
      inserted + "5-20 kill 0 lost thread 1\n6-7 kill 0 lost thread 2\n8-9 find 0 found 7 thread 3";
  CHECK(judged(text, check_options{}.allows, {.refuses_destroy = true}).outcome ==
        outcome::allowed);
  const std::string too_late = text + "\n10-11 find 0 missed thread 2\n12-13 find 0 found 7";
  CHECK(judged(too_late, check_options{}.allows, {.refuses_destroy = true}).outcome ==
        outcome::violated);
}

TEST_CASE("Of one thread an operation is over where the next begins, at the same stamp too") {
  const std::string kill = inserted + "5-7 kill 0 won thread 1\n";
  CHECK(broken(kill + "7-9 find 0 found 7 thread 1") == "D.2");
  CHECK(is_allowed(kill + "7-9 find 0 found 7 thread 2"));
}

TEST_CASE("A created entry has the id that is told, and no other") {
  operation created{.call = 1,
                    .ret = 2,
                    .id = 7,
                    .timeout = 100,
                    .key = 0,
                    .other = 1,
                    .verb = verb::create,
                    .answer = answer::inserted};
  operation found{.call = 3,
                  .ret = 4,
                  .id = 7,
                  .key = 0,
                  .verb = verb::find,
                  .answer = answer::found};
  CHECK(check(std::vector<operation>{created, found}, {}).outcome == outcome::allowed);
  found.id = 8;
  CHECK(check(std::vector<operation>{created, found}, {}).outcome == outcome::violated);
  operation again = created;
  again.call = 5;
  again.ret = 6;
  again.key = 2;
  again.other = 3;
  CHECK(check(std::vector<operation>{created, again}, {}).outcome == outcome::violated);
}

TEST_CASE("After the kill neither tuple finds the entry") {
  CHECK(is_allowed(inserted + "5-7 kill 0 won\n6-8 find 0 found 7\n8-9 find 0 missed"));
  CHECK(broken(inserted + "5-6 kill 0 won\n7-8 find 0 found 7") == "D.2");
  CHECK(broken(inserted + "5-6 kill 0 won\n7-8 find 1 found 7 reply") == "D.2");
  CHECK(broken(inserted + "5-9 kill 0 won\n6-7 find 1 missed\n8-9 find 0 found 7") == "D.2");
}

TEST_CASE("Whether both tuples vanish at one instant is an allowance") {
  const std::string phases =
      inserted + "5-12 kill 0 won\n6-7 find 0 missed\n8-9 find 1 found 7 reply";
  CHECK(is_allowed(phases));
  CHECK(broken(phases, check_options{}.allows.without(allowance::two_phase_delete)) == "D.3");
}

TEST_CASE("A flush leaves nothing of what was there") {
  CHECK(is_allowed(inserted + "5-6 flush 1\n7-8 find 0 missed"));
  CHECK(broken(inserted + "5-6 flush 1\n7-8 find 0 found 7") == "D.2");
  CHECK(
      is_allowed("0-1 in 0 made 7\n2-8 confirm 7 0 1 inserted\n5-6 flush 0\n9-10 find 0 found 7"));
}

TEST_CASE("A flush that won no kill may have unlinked what its listener refused") {
  const std::string text = inserted + "5-6 flush 0\n7-8 find 0 missed";
  CHECK(judged(text).outcome == outcome::violated);
  CHECK(judged(text, check_options{}.allows, {.refuses_destroy = true}).outcome ==
        outcome::allowed);
}

TEST_CASE("The exit of a netns takes its own entries") {
  const run_facts facts{.netns = 2, .netns_of_flow = {0, 1}};
  const std::string two =
      inserted + "0-1 in 2 made 8\n2-4 confirm 8 2 3 inserted\n5-6 exit 1 0\n7-8 find 2 missed\n";
  const auto outcome_of = [&](const std::string& text) {
    return judged(text, check_options{}.allows, facts).outcome;
  };
  CHECK(outcome_of(two + "7-8 find 0 found 7\n9-10 in 2 refused") == outcome::allowed);
  CHECK(outcome_of(two + "7-8 find 0 missed") == outcome::violated);
  CHECK(outcome_of(two + "9-10 in 0 refused") == outcome::violated);
}

TEST_CASE("A dump shows what was there") {
  CHECK(is_allowed(inserted + "5-6 dump\n5-6 shown 7 0 1\n5-6 kill 0 won"));
  CHECK(broken(inserted + "5-6 kill 0 won\n7-8 dump\n7-8 shown 7 0 1") == "D.2");
}

TEST_CASE("What has expired stands in the way of a confirm, where expiry is lazy") {
  const allowances strict = check_options{}.allows.without(allowance::chain_too_long);
  const std::string text =
      "0-1 in 0 made 7\n0-1 in 0 made 8\n2-4 confirm 7 0 1 inserted timeout 10\n"
      "5-6 confirm 8 0 1 clashed now 1010 1010\n";
  CHECK(is_allowed(text, strict));
  CHECK_FALSE(is_allowed(text, strict.without(allowance::lazy_expiry)));
}

TEST_CASE("What had expired before a lookup began is not found by it") {
  const std::string timed =
      "0-1 in 0 made 7\n2-4 confirm 7 0 1 inserted timeout 10 now 1000 1000\n";
  CHECK(is_allowed(timed + "5-6 find 0 found 7 now 1009 1009"));
  CHECK(broken(timed + "5-6 find 0 missed now 1009 1009") == "A.1");
  CHECK(broken(timed + "5-6 find 0 found 7 now 1010 1010") == "E.1");
  CHECK(is_allowed(timed + "5-6 find 0 missed now 1005 1010"));
  CHECK(is_allowed(timed + "5-6 find 0 found 7 now 1009 1011"));
}

TEST_CASE("A packet prolongs the life of its entry, also that of one that is being unlinked") {
  const std::string timed =
      "0-1 in 0 made 7\n2-4 confirm 7 0 1 inserted timeout 10 now 1000 1000\n";
  const std::string refreshed = timed + "5-6 in 0 found 7 timeout 10 now 1009 1009\n";
  CHECK(is_allowed(refreshed + "7-8 find 0 found 7 now 1018 1018"));
  CHECK(broken(refreshed + "7-8 find 0 missed now 1018 1018") == "A.1");
  CHECK(broken(timed + "5-6 in 0 found 7 timeout 10 now 1010 1010") == "E.1");
  const std::string late = timed +
                           "5-20 in 0 found 7 timeout 10 now 1009 1009\n"
                           "6-18 find 0 found 7 now 1010 1010\n";
  CHECK(is_allowed(late + "7-8 find 0 missed now 1010 1010\n9-10 find 1 missed now 1010 1010\n"));
  CHECK(is_allowed(late + "21-22 find 0 missed now 1012 1012"));
}

TEST_CASE("A whole pass of gc_worker removes what had expired") {
  const std::string timed =
      "0-1 in 0 made 7\n0-1 in 0 made 8\n2-4 confirm 7 0 1 inserted timeout 10 now 1000 1000\n"
      "5-6 put 7\n";
  CHECK(is_allowed(timed + "7-8 confirm 8 0 1 merged 7 now 1010 1010"));
  CHECK(broken(timed + "7-8 gc 1 now 1010 1010\n9-10 confirm 8 0 1 merged 7 now 1010 1010") ==
        "C.2");
}

TEST_CASE("A resize loses nothing, but a lookup beside it may miss") {
  CHECK(broken(inserted + "5-6 resize\n7-8 find 0 missed") == "F.1");
  CHECK(is_allowed(inserted + "5-7 resize\n6-8 find 0 missed"));
  CHECK(broken(inserted + "5-7 resize\n6-8 find 0 missed",
               check_options{}.allows.without(allowance::miss_during_resize)) == "F.2");
}

TEST_CASE("A created entry is known by whoever finds it first") {
  const std::string created = "0-1 create 0 inserted\n";
  CHECK(is_allowed(created + "2-3 find 0 found 7\n4-5 find 1 found 7 reply"));
  CHECK(broken(created + "2-3 find 0 found 7\n4-5 find 0 found 8") == "A.2");
  CHECK(broken(created + "2-3 find 0 missed") == "A.1");
  CHECK(broken(created + "2-3 find 0 found 7\n4-5 kill 0 won\n6-7 create 0 inserted\n"
                         "8-9 find 0 found 7") == "D.2");
}

TEST_CASE("Whoever is refused had no room") {
  const run_facts two{.max = 2};
  const std::string one = "0-1 in 0 made 7\n";
  const auto outcome_of = [&](const std::string& text) {
    return judged(text, check_options{}.allows, two).outcome;
  };
  CHECK(outcome_of(one + "2-3 in 2 refused") == outcome::violated);
  CHECK(outcome_of(one + "2-3 in 2 made 8\n4-5 in 4 refused") == outcome::allowed);
  CHECK(outcome_of(one + "2-5 in 2 refused\n4-5 in 4 refused") == outcome::allowed);
  CHECK(outcome_of(one + "2-3 in 2 made 8\n4-5 put 8\n6-7 in 4 refused") == outcome::violated);
  CHECK(outcome_of(one + "2-3 in 2 made 8\n4-6 put 8\n6-7 in 4 refused") == outcome::allowed);
  CHECK(outcome_of(one + "2-3 in 2 made 8\n4-5 in 4 made 9") == outcome::violated);
}

TEST_CASE("A full table may drop what is there") {
  const run_facts two{.max = 2};
  const std::string full = inserted + "5-6 in 2 made 8\n7-8 in 4 made 9\n9-10 find 0 missed";
  CHECK(judged(full, check_options{}.allows, two).outcome == outcome::allowed);
  CHECK(judged(full).outcome == outcome::violated);
}

TEST_CASE("The count is within what can be there") {
  CHECK(is_allowed(inserted + "5-6 count 1"));
  CHECK(broken(inserted + "5-6 count 2") == "D.4");
  CHECK(broken(inserted + "5-6 count 0") == "D.4");
  CHECK(broken(inserted + "5-6 kill 0 won\n7-8 put 7\n10-11 count 1") == "D.4");
}

TEST_CASE("Ids are never used again") {
  CHECK(broken("0-1 in 0 made 7\n2-3 in 2 made 7") == "D.4");
}

TEST_CASE("Too many configurations are no verdict") {
  std::ostringstream text;
  for (int id = 10; id < 22; ++id) {
    text << "0-1 in 0 made " << id << "\n2-900 confirm " << id
         << " 0 1 inserted\n2-900 kill 0 won\n";
  }
  const std::vector<operation> history = read_history(text.str());
  CHECK(check(history, {}, {.configurations_max = 50}).outcome == outcome::unknown);
  CHECK(check(history, {}).outcome == outcome::allowed);
}

TEST_CASE("What is over is forgotten") {
  judge j({}, {});
  std::uint64_t stamp = 0;
  for (std::uint32_t i = 0; i < 20000; ++i) {
    const std::uint64_t id = i + 1;
    const auto feed = [&](verb v, answer a) {
      operation op;
      op.call = ++stamp;
      op.ret = ++stamp;
      op.id = v == verb::kill ? 0 : id;
      op.key = 2 * i;
      op.other = 2 * i + 1;
      op.verb = v;
      op.answer = a;
      j.feed(op);
    };
    feed(verb::in, answer::made);
    feed(verb::confirm, answer::inserted);
    feed(verb::kill, answer::won);
    feed(verb::put, answer::none);
  }
  CHECK(j.kept() < 5000);
  CHECK(j.finish().outcome == outcome::allowed);
}

}  // namespace ct::check
