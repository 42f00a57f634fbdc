// SPDX-License-Identifier: BSD-2-Clause
/// What every table is asked, as far as one thread can ask it.
///
/// A check is a function of a table type that returns what is broken, in one sentence that begins
/// with the letter of the guarantee; an empty string if nothing is. So the same functions judge
/// real tables (table_suite.h) and are judged themselves, on tables with planted faults
/// (table_suite_test.cc).
#pragma once

#include "impls/core/small_core.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ct::core::checks {

template <class T>
finding found_under_both_tuples() {
  return find_out([] {
    bench_of_one<T> t;
    small_core<T>& core = t.core;
    typename T::local& l = t.l;
    nf_conn& e = core.make(l, make_key(1), make_key(2));
    for (const std::uint32_t n : {1U, 2U}) {
      demand(core.whom(l, make_key(n)) == nullptr, "A.2 an entry is found before it was inserted");
    }
    steps s;
    demand(core.insert(l, e, s) == insert_status::inserted,
           "B.1 the insert into an empty table failed");
    demand(s.calls == "mba", "B.1 the steps of an insert ran as '" + s.calls + "', not as 'mba'");
    demand(use_of(e) == 2,
           "A.3 after the insert there are other references than the packet's and the table's");
    demand(core.table.is_valid(), "is_valid() is false with one entry");
    for (const dir d : {dir::original, dir::reply}) {
      const found<nf_conn> hit = core.find_get(l, e.hash_node(d).key());
      demand(hit.entry == &e, "A.1 an entry is not found by a tuple of its own");
      demand(hit.dir == d, "A.1 a lookup names the wrong direction");
      demand(use_of(e) == 3, "A.3 a lookup did not reference what it found");
      core.put(l, e);
    }
    demand(core.kill(l, e) && !core.kill(l, e), "D.1 not exactly one of two kills returns true");
    for (const std::uint32_t n : {1U, 2U}) {
      demand(core.whom(l, make_key(n)) == nullptr, "D.2 a tuple of a killed entry finds it");
    }
    demand(use_of(e) == 1, "D.4 references went astray");
    core.put(l, e);
    core.demand_empty(l);
  });
}

template <class T>
finding zones_and_netns_are_separate() {
  return find_out([] {
    bench_of_one<T> t;
    small_core<T>& core = t.core;
    typename T::local& l = t.l;
    // One hash for all, so that nothing but zone and netns can tell them apart.
    const auto at = [](std::uint32_t n, unsigned zone, unsigned net) {
      return make_key(n, 7, static_cast<std::uint16_t>(zone), static_cast<std::uint16_t>(net));
    };
    std::array<std::array<nf_conn*, 2>, 2> all{};
    for (unsigned zone = 0; zone < 2; ++zone) {
      for (unsigned net = 0; net < 2; ++net) {
        demand(core.whom(l, at(1, zone, net)) == nullptr,
               "A.2 an entry of another zone or netns is found");
        nf_conn& e = core.make(l, at(1, zone, net), at(2, zone, net));
        steps s;
        demand(core.insert(l, e, s) == insert_status::inserted,
               "C.1 the same tuples in another zone or netns are taken for a clash");
        all[zone][net] = &e;
      }
    }
    for (unsigned zone = 0; zone < 2; ++zone) {
      for (unsigned net = 0; net < 2; ++net) {
        for (const std::uint32_t n : {1U, 2U}) {
          demand(core.whom(l, at(n, zone, net)) == all[zone][net],
                 "A.2 an entry of another zone or netns is found");
        }
      }
    }
    demand(core.whom(l, at(1, 2, 0)) == nullptr, "A.2 a zone without entries finds one");
    demand(core.whom(l, at(1, 0, 2)) == nullptr, "A.2 a netns without entries finds one");
    demand(core.table.is_valid(), "is_valid() is false with four zones and netns");
    for (const auto& nets : all) {
      for (nf_conn* e : nets) core.bury(l, *e);
    }
    core.demand_empty(l);
  });
}

template <class T>
finding expired_goes_to_reap() {
  return find_out([] {
    bench_of_one<T> t;
    small_core<T>& core = t.core;
    typename T::local& l = t.l;
    nf_conn& e = core.add(l, make_key(1), make_key(2), 0x200);
    const std::uint32_t deadline = start_jiffy + 0x200;  // wraps
    for (const std::uint32_t n : {1U, 2U}) {
      demand(core.whom(l, make_key(n), deadline - 1) == &e,
             "E.1 an entry is taken for expired a jiffy early");
      int reaped = 0;
      bool is_referenced = false;
      const auto reap = [&](nf_conn& expired) {
        ++reaped;
        is_referenced = &expired == &e && use_of(e) == 3;
        core.put(l, expired);
      };
      demand(core.table.find_get(l, make_key(n), deadline, reap).entry == nullptr,
             "E.1 an entry is found in the jiffy in which it expires");
      demand(reaped == 1, "E.1 an expired entry was not handed to reap once");
      demand(is_referenced, "A.3 reap did not get the expired entry with a reference");
      demand(use_of(e) == 2, "A.3 a lookup that reaped kept a reference");
    }
    core.put(l, e);
    demand(core.whom(l, make_key(1), deadline) == nullptr, "E.1 an expired entry is found");
    core.demand_empty(l);  // reap killed it
  });
}

template <class T>
finding unconfirmed_is_not_found() {
  return find_out([] {
    bench_of_one<T> t;
    small_core<T>& core = t.core;
    typename T::local& l = t.l;
    nf_conn& e = core.make(l, make_key(1), make_key(2));
    steps s;
    s.confirms = false;
    demand(core.insert(l, e, s) == insert_status::inserted,
           "B.1 the insert into an empty table failed");
    for (const std::uint32_t n : {1U, 2U}) {
      demand(core.whom(l, make_key(n)) == nullptr,
             "A.2 a linked entry is found before it is CONFIRMED");
      // Relative, it would look expired since long.
      demand(core.whom(l, make_key(n), start_jiffy + 5000) == nullptr && use_of(e) == 2,
             "E.1 an unconfirmed entry was judged by its timeout");
    }
    e.status.fetch_or(status::confirmed, std::memory_order_release);  // release: as after_link
    demand(core.whom(l, make_key(1)) == &e && core.whom(l, make_key(2)) == &e,
           "A.1 an entry is not found once it is CONFIRMED");
    core.bury(l, e);
    core.demand_empty(l);
  });
}

template <class T>
finding refused_leaves_nothing() {
  return find_out([] {
    bench_of_one<T> t;
    small_core<T>& core = t.core;
    typename T::local& l = t.l;
    nf_conn& e = core.make(l, make_key(1), make_key(2));
    steps refusing;
    refusing.is_welcome = false;
    demand(core.insert(l, e, refusing) == insert_status::refused,
           "B.3 may_insert said no and was not heard");
    demand(refusing.calls == "m", "B.3 a refused insert went on: '" + refusing.calls + "'");
    demand(use_of(e) == 1, "B.3 a refused entry has another reference than the packet's");
    demand(core.whom(l, make_key(1)) == nullptr && core.whom(l, make_key(2)) == nullptr,
           "B.3 a refused entry is found");
    demand(core.count_nodes(l) == 0, "B.3 a scan shows a refused entry");
    demand(core.table.is_valid(), "is_valid() is false after a refused insert");
    steps s;
    demand(core.insert(l, e, s) == insert_status::inserted,
           "B.1 what was refused once cannot be inserted");
    steps again;
    demand(core.insert(l, e, again) == insert_status::refused,
           "B.3 a confirmed entry was inserted again");
    core.bury(l, e);
    core.demand_empty(l);
  });
}

/// An entry that lost its original tuple to another and is linked by its reply tuple alone.
template <class T>
finding reply_only_entry_comes_and_goes() {
  return find_out([] {
    bench_of_one<T> t;
    small_core<T>& core = t.core;
    typename T::local& l = t.l;
    nf_conn& winner = core.add(l, make_key(1), make_key(2));
    nf_conn& one = core.make(l, make_key(1), make_key(9));
    steps s{.answer = clash_answer::link_reply};
    demand(core.insert(l, one, s) == insert_status::inserted,
           "B.1 an entry was refused although its reply tuple is free and asked for");
    demand(s.calls == "mcba", "B.1 steps ran as '" + s.calls + "', not as 'mcba'");
    demand(s.winner == &winner, "C.2 wrong winner named to a reply-only entry");
    demand(core.count_nodes(l) == 3, "C.1 a scan shows more than the reply of a reply-only entry");
    demand(core.whom(l, make_key(1)) == &winner, "C.1 the winner's original tuple was taken over");
    demand(core.whom(l, make_key(9)) == &one, "A.1 a reply-only entry is not found");
    demand(core.table.is_valid(), "B.1 is_valid() is false with a reply-only entry");

    nf_conn& late = core.make(l, make_key(1), make_key(9));
    steps again{.answer = clash_answer::link_reply};
    demand(core.insert(l, late, again) == insert_status::clash,
           "C.2 a reply-only entry was linked although its reply tuple is taken");
    demand(again.calls == "mcc" && again.winner == &one, "C.2 the second clash named another");
    core.put(l, late);

    core.bury(l, one);
    demand(core.whom(l, make_key(9)) == nullptr, "D.2 a killed reply-only entry is found");
    demand(core.whom(l, make_key(1)) == &winner && core.whom(l, make_key(2)) == &winner,
           "D.2 the winner went with the reply-only entry");
    demand(core.count_nodes(l) == 2 && core.table.is_valid(), "D.2 unlink left something behind");
    core.bury(l, winner);
  });
}

/// A loser's keys, and the winner and direction that must be named.
struct clash_case {
  std::string_view name;
  std::uint32_t original;
  std::uint32_t reply;
  std::size_t winner;
  dir winner_dir;
};

template <class T>
finding clash_leaves_nothing_and_names_the_winner() {
  static constexpr std::array<clash_case, 7> cases = {{
      {"in the original tuple", 1, 9, 0, dir::original},
      {"in the reply tuple", 9, 2, 0, dir::reply},
      {"in both tuples", 1, 2, 0, dir::original},
      {"of the original with a reply tuple", 2, 9, 0, dir::reply},
      {"of the reply with an original tuple", 9, 1, 0, dir::original},
      {"crosswise in both tuples", 2, 1, 0, dir::reply},
      {"with two entries, of which the original's is named", 4, 1, 1, dir::reply},
  }};
  return find_out([] {
    bench_of_one<T> t;
    small_core<T>& core = t.core;
    typename T::local& l = t.l;
    const std::array<nf_conn*, 2> winners = {&core.add(l, make_key(1), make_key(2)),
                                             &core.add(l, make_key(3), make_key(4))};
    for (const clash_case& c : cases) {
      const std::string what = "C.2 clash " + std::string(c.name) + ": ";
      nf_conn& loser = core.make(l, make_key(c.original), make_key(c.reply));
      steps s;
      demand(core.insert(l, loser, s) == insert_status::clash, what + "not noticed");
      demand(s.calls == "mc", what + "steps ran as '" + s.calls + "', not as 'mc'");
      demand(s.winner == winners[c.winner] && s.winner_dir == c.winner_dir,
             what + "wrong winner named");
      demand(use_of(loser) == 1, what + "the loser was referenced");
      demand(core.whom(l, make_key(9)) == nullptr,
             what + "the loser's other tuple was left behind (B.1)");
      demand(core.count_nodes(l) == 4, what + "a scan shows more than the winners");
      demand(core.table.is_valid(), what + "is_valid() is false after it");
      core.put(l, loser);
    }
    for (const std::uint32_t n : {1U, 2U, 3U, 4U}) {
      demand(core.whom(l, make_key(n)) == winners[(n - 1) / 2],
             "C.2 a winner of a clash is not found");
    }
    nf_conn& loser = core.make(l, make_key(2), make_key(1));
    core.bury(l, *winners[0]);
    steps s;
    demand(core.insert(l, loser, s) == insert_status::inserted,
           "C.1 a dead entry still stands in the way");
    core.bury(l, loser);
    core.bury(l, *winners[1]);
    core.demand_empty(l);
  });
}

template <class T>
finding both_tuples_in_one_bucket() {
  return find_out([] {
    bench_of_one<T> t;
    small_core<T>& core = t.core;
    typename T::local& l = t.l;
    // Keys 1 and 2: two tuples with one hash. Keys 5 and 5: two tuples that are one flow.
    for (const std::uint32_t second : {2U, 5U}) {
      const std::uint32_t first = second == 2 ? 1 : 5;
      const key original = make_key(first, 99);
      const key reply = make_key(second, 99);
      nf_conn& e = core.add(l, original, reply);
      demand(core.table.is_valid(),
             "is_valid() is false with an entry that lies in one bucket twice");
      demand(core.count_nodes(l) == 2, "E.2 a scan does not show both tuplehashes of one bucket");
      const found<nf_conn> hit = core.find_get(l, original);
      demand(hit.entry == &e, "A.1 an entry that lies in one bucket twice is not found");
      demand(hit.dir == (first == second ? dir::reply : dir::original),
             "A.1 of two tuples that are one flow the reply's answers, as in the kernel");
      core.put(l, e);
      demand(core.whom(l, reply) == &e, "A.1 an entry that lies in one bucket twice is not found");

      nf_conn& loser = core.make(l, reply, original);
      steps s;
      demand(core.insert(l, loser, s) == insert_status::clash && s.winner == &e,
             "C.1 a clash was not noticed");
      core.put(l, loser);

      core.kill(l, e);
      demand(core.whom(l, original) == nullptr && core.whom(l, reply) == nullptr,
             "D.2 a killed entry that lay in one bucket twice is found");
      demand(core.count_nodes(l) == 0,
             "D.2 a killed entry that lay in one bucket twice is still linked");
      core.put(l, e);
    }
    core.demand_empty(l);
  });
}

/// Tables that claim B.4.
template <class T>
finding chain_limit_is_the_kernels() {
  return find_out([] {
    constexpr std::uint32_t limit = 5;
    for (const dir crowded : {dir::original, dir::reply}) {
      bench_of_one<T> t(1024);
      small_core<T>& core = t.core;
      typename T::local& l = t.l;
      std::vector<nf_conn*> all;
      steps s;
      for (std::uint32_t n = 1;; ++n) {
        key here = make_key(n, 0);
        key elsewhere = make_key(1000 + n, n * 0x0400'0001);
        if (crowded == dir::reply) std::swap(here, elsewhere);
        all.push_back(&core.make(l, here, elsewhere));
        s = steps{};
        s.limit = limit;
        const insert_status status = core.insert(l, *all.back(), s);
        // Entry n passes the n - 1 others.
        if (status == insert_status::inserted) {
          demand(n - 1 <= limit + 1, "B.4 limit + 2 nodes were passed");
          continue;
        }
        demand(status == insert_status::chain_too_long, "B.4 too long a chain was not called that");
        demand(n - 1 == limit + 2, "B.4 a chain of less than limit + 2 nodes was too long");
        break;
      }
      nf_conn& refused = *all.back();
      demand(s.calls == "m" && use_of(refused) == 1, "B.4 a refused insert went on");
      demand(core.whom(l, refused.hash_node(dir::original).key()) == nullptr &&
                 core.whom(l, refused.hash_node(dir::reply).key()) == nullptr,
             "B.4 a refused entry is found");
      demand(core.count_nodes(l) == 2 * (all.size() - 1) && core.table.is_valid(),
             "B.4 a refused entry left something behind");
      core.put(l, refused);
      all.pop_back();
      for (nf_conn* e : all) core.bury(l, *e);
      core.demand_empty(l);
    }
  });
}

template <class T>
finding unlink_removes_both_and_only_those() {
  return find_out([] {
    constexpr std::uint32_t count = 8;
    // Stride 3 takes the entries out of the middle, the ends and beside holes.
    for (const std::uint32_t hash_step : {0U, 0x4000'0001U}) {
      bench_of_one<T> t;
      small_core<T>& core = t.core;
      typename T::local& l = t.l;
      const auto key_of = [&](std::uint32_t n) { return make_key(n, n % 3 * hash_step); };
      std::map<std::uint32_t, nf_conn*> linked;
      for (std::uint32_t n = 0; n < count; ++n)
        linked[n] = &core.add(l, key_of(2 * n), key_of(2 * n + 1));
      for (std::uint32_t i = 0; i < count; ++i) {
        nf_conn& victim = *linked[i * 3 % count];
        linked.erase(i * 3 % count);
        core.kill(l, victim);
        demand(core.table.is_valid(), "D.2 is_valid() is false after a kill");
        for (std::uint32_t n = 0; n < 2 * count; ++n) {
          const auto at = linked.find(n / 2);
          nf_conn* const expected = at == linked.end() ? nullptr : at->second;
          nf_conn* const got = core.whom(l, key_of(n));
          demand(got == expected,
                 expected == nullptr ? "D.2 a tuple of a killed entry finds something"
                                     : "A.1 the kill of another entry hid this one");
        }
        demand(core.count_nodes(l) == 2 * linked.size(), "D.2 a killed entry is still linked");
        core.put(l, victim);
      }
      core.demand_empty(l);
    }
  });
}

template <class T>
finding referenced_memory_is_not_reused() {
  return find_out([] {
    bench_of_one<T> t;
    small_core<T>& core = t.core;
    typename T::local& l = t.l;
    nf_conn& e = core.add(l, make_key(1), make_key(2));
    core.kill(l, e);  // the packet's reference is left
    std::vector<nf_conn*> others;
    for (std::uint32_t n = 0; n < 300; ++n) {
      others.push_back(&core.make(l, make_key(100 + n), make_key(500 + n)));
      demand(others.back() != &e, "D.4 the memory of a referenced entry was reused");
    }
    demand(
        e.hash_node(dir::original).matches(make_key(1)) && use_of(e) == 1 && e.has(status::dying),
        "A.3 a referenced entry changed");
    core.put(l, e);
    for (nf_conn* other : others) core.put(l, *other);
    core.demand_empty(l);
  });
}

template <class T>
finding freed_memory_is_reused() {
  return find_out([] {
    bench_of_one<T> t;
    small_core<T>& core = t.core;
    typename T::local& l = t.l;
    std::size_t bytes = 0;
    for (std::uint32_t round = 0; round < 2000; ++round) {
      nf_conn& e = core.make(l, make_key(round), make_key(5000 + round));
      steps s;
      demand(core.insert(l, e, s) == insert_status::inserted,
             "B.1 an insert without obstacle failed");
      if (!T::promises.empty()) core.kill(l, e);
      core.put(l, e);
      core.table.quiescent(l);
      if (round == 100) bytes = core.table.memory_bytes();
    }
    demand(core.table.memory_bytes() <= bytes,
           "D.4 memory grows though as many entries are freed as allocated");
    core.demand_empty(l);
  });
}

/// Tables without promises: they store nothing, and say so consistently.
template <class T>
finding stores_nothing() {
  return find_out([] {
    bench_of_one<T> t;
    small_core<T>& core = t.core;
    typename T::local& l = t.l;
    nf_conn& e = core.make(l, make_key(1), make_key(2));
    steps s;
    demand(core.insert(l, e, s) == insert_status::inserted,
           "a table without promises refused an entry");
    demand(s.calls.empty() && use_of(e) == 1, "a table without promises ran steps of an insert");
    demand(core.whom(l, make_key(1)) == nullptr && core.whom(l, make_key(2)) == nullptr,
           "a table without promises found an entry");
    demand(core.count_nodes(l) == 0, "a table without promises shows entries");
    core.put(l, e);
    core.demand_empty(l);
  });
}

}  // namespace ct::core::checks
