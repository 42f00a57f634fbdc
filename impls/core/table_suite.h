// SPDX-License-Identifier: BSD-2-Clause
/// The tests of every registered table. The generated file that includes this has defined `tables`, a
/// std::tuple of them; what is demanded follows from each one's claims.
#pragma once

#include <catch2/catch.hpp>

#include "impls/core/table_checks.h"
#include "impls/core/table_scan_checks.h"
#include "impls/core/table_thread_checks.h"
#include "spec/guarantees.h"
#include "spec/table.h"

namespace ct::core::checks {

/// Demands a check of a table that promises what it is about; of another nothing is known.
template <class T, class Check>
void demand_of(bool is_promised, Check&& check) {
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

}  // namespace ct::core::checks

// Each of these names a check, the claim without which it is not demanded, and what it shows.
#define CT_TABLE_TEST(sentence, is_promised, check)                        \
  TEMPLATE_LIST_TEST_CASE(sentence, "[table]", tables) {                   \
    using namespace ct::core::checks;                                      \
    using ct::letter;                                                      \
    static_assert(ct::table<TestType>);                                    \
    demand_of<TestType>(is_promised, [] { return check<TestType>(); });    \
  }

CT_TABLE_TEST("an entry is found under both tuples after insert and under neither before or after its life",
              stores<TestType>, found_under_both_tuples)
CT_TABLE_TEST("zones and netns keep equal tuples apart", stores<TestType>, zones_and_netns_are_separate)
CT_TABLE_TEST("an expired entry goes to reap, referenced, and is not returned",
              promises<TestType>(letter::e1), expired_goes_to_reap)
CT_TABLE_TEST("an entry that is not confirmed is not found", stores<TestType>, unconfirmed_is_not_found)
CT_TABLE_TEST("an insert that may_insert refuses leaves nothing behind", promises<TestType>(letter::b3),
              refused_leaves_nothing)
CT_TABLE_TEST("a clash in any pair of tuples leaves nothing behind and names the winner",
              promises<TestType>(letter::c2), clash_leaves_nothing_and_names_the_winner)
CT_TABLE_TEST("an entry may lie in one bucket with both tuples, even if they are one flow", stores<TestType>,
              both_tuples_in_one_bucket)
CT_TABLE_TEST("limit + 1 nodes of a chain are passed and limit + 2 refuse the entry",
              promises<TestType>(letter::b4), chain_limit_is_the_kernels)
CT_TABLE_TEST("unlink removes both tuplehashes and only those", stores<TestType>,
              unlink_removes_both_and_only_those)
CT_TABLE_TEST("a scan at rest shows every tuplehash exactly once", stores<TestType>, scan_shows_each_once)
CT_TABLE_TEST("a scan stops where it is told to", stores<TestType>, scan_stops)
CT_TABLE_TEST("a scan ends although take leaves the entries linked", stores<TestType>,
              take_that_leaves_entries_linked)
CT_TABLE_TEST("take may unlink, look up and insert: no lock is held", stores<TestType>, take_that_unlinks)
CT_TABLE_TEST("a pass over all buckets removes exactly what expired", promises<TestType>(letter::e2),
              a_pass_removes_what_expired)
CT_TABLE_TEST("memory is not reused while it is referenced", stores<TestType>, referenced_memory_is_not_reused)
CT_TABLE_TEST("memory is reused after the last put", true, freed_memory_is_reused)
CT_TABLE_TEST("a table without promises stores nothing", !stores<TestType>, stores_nothing)

CT_TABLE_TEST("four threads insert, find, kill and scan few keys and see nothing wrong", stores<TestType>, churn)
CT_TABLE_TEST("of four inserts of one flow one goes in, of four kills one returns true",
              promises<TestType>(letter::c2), storm)
CT_TABLE_TEST("both tuples come and go together, as far as claimed", stores<TestType>,
              both_tuples_come_and_go_together)
CT_TABLE_TEST("growth loses no entry and hides none from lookups",
              promises<TestType>(letter::f1) && promises<TestType>(letter::f2), growth_loses_nothing)
