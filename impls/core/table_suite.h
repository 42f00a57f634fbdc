// SPDX-License-Identifier: BSD-2-Clause
/// The tests of every registered table. The generated file that includes this has defined `tables`,
/// a std::tuple of them; what is demanded follows from each one's claims.
#pragma once

#include "impls/core/table_checks.h"
#include "impls/core/table_resize_checks.h"
#include "impls/core/table_scan_checks.h"
#include "impls/core/table_thread_checks.h"
#include "spec/guarantees.h"
#include "spec/table.h"

#include <catch2/catch.hpp>

namespace ct::core::checks {

/// Demands a check of a table that promises what it is about; of another nothing is known.
template <class T, class Check>
void demand_of(bool is_promised, Check&& check) {
  static_assert(ct::table<T>);
  if (is_promised) {
    CHECK(check() == finding{});
  } else {
    SUCCEED("not promised by " << T::summary);
  }
}
template <class T>
constexpr bool stores = !T::promises.empty();
template <class T>
constexpr bool promises(letter l) {
  return T::promises.has(l);
}

TEMPLATE_LIST_TEST_CASE(
    "an entry is found under both tuples after insert and under neither before or after its life",
    "[table]",
    tables) {
  demand_of<TestType>(stores<TestType>, found_under_both_tuples<TestType>);
}

TEMPLATE_LIST_TEST_CASE("zones and netns keep equal tuples apart", "[table]", tables) {
  demand_of<TestType>(stores<TestType>, zones_and_netns_are_separate<TestType>);
}

TEMPLATE_LIST_TEST_CASE("an expired entry goes to reap, referenced, and is not returned",
                        "[table]",
                        tables) {
  demand_of<TestType>(promises<TestType>(letter::e1), expired_goes_to_reap<TestType>);
}

TEMPLATE_LIST_TEST_CASE("an entry that is not confirmed is not found", "[table]", tables) {
  demand_of<TestType>(stores<TestType>, unconfirmed_is_not_found<TestType>);
}

TEMPLATE_LIST_TEST_CASE("an insert that may_insert refuses leaves nothing behind",
                        "[table]",
                        tables) {
  demand_of<TestType>(promises<TestType>(letter::b3), refused_leaves_nothing<TestType>);
}

TEMPLATE_LIST_TEST_CASE("a clash in any pair of tuples leaves nothing behind and names the winner",
                        "[table]",
                        tables) {
  demand_of<TestType>(promises<TestType>(letter::c2),
                      clash_leaves_nothing_and_names_the_winner<TestType>);
}

TEMPLATE_LIST_TEST_CASE("a reply-only entry comes and goes by its reply tuple alone",
                        "[table]",
                        tables) {
  demand_of<TestType>(promises<TestType>(letter::c2), reply_only_entry_comes_and_goes<TestType>);
}

TEMPLATE_LIST_TEST_CASE(
    "an entry may lie in one bucket with both tuples, even if they are one flow",
    "[table]",
    tables) {
  demand_of<TestType>(stores<TestType>, both_tuples_in_one_bucket<TestType>);
}

TEMPLATE_LIST_TEST_CASE("limit + 1 nodes of a chain are passed and limit + 2 refuse the entry",
                        "[table]",
                        tables) {
  demand_of<TestType>(promises<TestType>(letter::b4), chain_limit_is_the_kernels<TestType>);
}

TEMPLATE_LIST_TEST_CASE("unlink removes both tuplehashes and only those", "[table]", tables) {
  demand_of<TestType>(stores<TestType>, unlink_removes_both_and_only_those<TestType>);
}

TEMPLATE_LIST_TEST_CASE("a scan at rest shows every tuplehash exactly once", "[table]", tables) {
  demand_of<TestType>(stores<TestType>, scan_shows_each_once<TestType>);
}

TEMPLATE_LIST_TEST_CASE("a scan stops where it is told to", "[table]", tables) {
  demand_of<TestType>(stores<TestType>, scan_stops<TestType>);
}

TEMPLATE_LIST_TEST_CASE("a scan ends although take leaves the entries linked", "[table]", tables) {
  demand_of<TestType>(stores<TestType>, take_that_leaves_entries_linked<TestType>);
}

TEMPLATE_LIST_TEST_CASE("take may unlink, look up and insert: no lock is held", "[table]", tables) {
  demand_of<TestType>(stores<TestType>, take_that_unlinks<TestType>);
}

TEMPLATE_LIST_TEST_CASE("a pass over all buckets removes exactly what expired", "[table]", tables) {
  demand_of<TestType>(promises<TestType>(letter::e2), a_pass_removes_what_expired<TestType>);
}

TEMPLATE_LIST_TEST_CASE("memory is not reused while it is referenced", "[table]", tables) {
  demand_of<TestType>(stores<TestType>, referenced_memory_is_not_reused<TestType>);
}

TEMPLATE_LIST_TEST_CASE("memory is reused after the last put", "[table]", tables) {
  demand_of<TestType>(true, freed_memory_is_reused<TestType>);
}

TEMPLATE_LIST_TEST_CASE("a table without promises stores nothing", "[table]", tables) {
  demand_of<TestType>(!stores<TestType>, stores_nothing<TestType>);
}

TEMPLATE_LIST_TEST_CASE("four threads insert, find, kill and scan few keys and see nothing wrong",
                        "[table]",
                        tables) {
  demand_of<TestType>(stores<TestType>, churn<TestType>);
}

TEMPLATE_LIST_TEST_CASE("of four inserts of one flow one goes in, of four kills one returns true",
                        "[table]",
                        tables) {
  demand_of<TestType>(promises<TestType>(letter::c2), storm<TestType>);
}

TEMPLATE_LIST_TEST_CASE("both tuples come and go together, as far as claimed", "[table]", tables) {
  demand_of<TestType>(stores<TestType>, both_tuples_come_and_go_together<TestType>);
}

TEMPLATE_LIST_TEST_CASE("growth loses no entry and hides none from lookups", "[table]", tables) {
  demand_of<TestType>(promises<TestType>(letter::f1) && promises<TestType>(letter::f2),
                      growth_loses_nothing<TestType>);
}

TEMPLATE_LIST_TEST_CASE(
    "a resize up, down, to the same size and to odd ones keeps every entry once",
    "[table]",
    tables) {
  demand_of<TestType>(promises<TestType>(letter::f1), resize_keeps_every_entry<TestType>);
}

TEMPLATE_LIST_TEST_CASE("a resize in the middle of a scan loses nothing and ends",
                        "[table]",
                        tables) {
  demand_of<TestType>(promises<TestType>(letter::f1), resize_between_two_takes<TestType>);
}

TEMPLATE_LIST_TEST_CASE("resizes under traffic lose nothing, double nothing and hide what they may",
                        "[table]",
                        tables) {
  demand_of<TestType>(promises<TestType>(letter::f1), churn_while_resizing<TestType>);
}

}  // namespace ct::core::checks
