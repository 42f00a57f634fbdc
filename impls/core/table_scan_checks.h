// SPDX-License-Identifier: BSD-2-Clause
/// What is asked of a table's walk: every tuplehash shown, stop and take obeyed, no lock held in
/// take (E.2).
#pragma once

#include "impls/core/small_core.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace ct::core::checks {

using shown_nodes = std::map<std::pair<nf_conn*, dir>, int>;

/// Three shapes: spread over the buckets; all in one; and more in one than any batch can hold.
struct scan_shape {
  std::uint32_t entries;
  bool is_one_bucket;
};
inline constexpr scan_shape scan_shapes[] = {{500, false}, {4, true}, {100, true}};

template <class T>
struct filled : bench_of_one<T> {
  explicit filled(scan_shape shape) {
    const auto key_of = [&](std::uint32_t n) {
      return make_key(n, shape.is_one_bucket ? 3 : spread(n));
    };
    for (std::uint32_t n = 0; n < shape.entries; ++n) {
      all.push_back(&this->core.add(this->l, key_of(2 * n), key_of(2 * n + 1)));
    }
  }
  std::vector<nf_conn*> all;
};

template <class T>
finding scan_shows_each_once() {
  return find_out([] {
    for (const scan_shape shape : scan_shapes) {
      filled<T> t(shape);
      shown_nodes shown;
      const bool is_finished = t.core.scan(
          t.l,
          [&](nf_conn& e, dir d) {
            return ++shown[{&e, d}], scan_verdict::next;
          },
          [](nf_conn&, dir) {});
      demand(is_finished, "E.2 a scan that nobody stopped was not finished");
      demand(shown.size() == 2 * t.all.size(), "E.2 a scan does not show every tuplehash");
      for (const auto& [node, times] : shown) {
        demand(times == 1, "E.2 a scan at rest shows a tuplehash more than once");
      }
      for (nf_conn* e : t.all) t.core.bury(t.l, *e);
      t.core.demand_empty(t.l);
    }
  });
}

template <class T>
finding scan_stops() {
  return find_out([] {
    filled<T> t({20, true});
    std::size_t wanted = 0;
    std::size_t taken = 0;
    const bool is_finished = t.core.scan(
        t.l,
        [&](nf_conn&, dir) {
          ++wanted;
          return wanted == 1  ? scan_verdict::take
                 : wanted < 5 ? scan_verdict::next
                              : scan_verdict::stop;
        },
        [&](nf_conn& e, dir) {
          ++taken;
          t.core.put(t.l, e);
        });
    demand(!is_finished, "E.2 a scan that was stopped says that it was finished");
    demand(wanted == 5, "E.2 a scan went on after stop");
    demand(taken == 1, "E.2 what was taken before stop was not handed over");
    demand(t.core.count_nodes(t.l) == 40 && t.core.table.is_valid(),
           "E.2 a stopped scan left something behind");
    for (nf_conn* e : t.all) t.core.bury(t.l, *e);
    t.core.demand_empty(t.l);
  });
}

/// Taken entries that stay linked: the scan ends nevertheless, and hands over every tuplehash.
template <class T>
finding take_that_leaves_entries_linked() {
  return find_out([] {
    for (const scan_shape shape : scan_shapes) {
      filled<T> t(shape);
      shown_nodes taken;
      bool is_referenced = true;
      t.core.scan(
          t.l,
          [](nf_conn&, dir) { return scan_verdict::take; },
          [&](nf_conn& e, dir d) {
            ++taken[{&e, d}];
            is_referenced &= use_of(e) >= 3;
            t.core.put(t.l, e);
          });
      demand(is_referenced, "A.3 take got an entry without a reference");
      demand(taken.size() == 2 * t.all.size(), "E.2 a wanted tuplehash was not handed over");
      for (nf_conn* e : t.all) {
        demand(use_of(*e) == 2, "A.3 a scan kept references");
        t.core.bury(t.l, *e);
      }
      t.core.demand_empty(t.l);
    }
  });
}

/// take looks up and unlinks the entry, and inserts another: it would deadlock if a lock were held.
template <class T>
finding take_that_unlinks() {
  return find_out([] {
    for (const scan_shape shape : scan_shapes) {
      filled<T> t(shape);
      for (nf_conn* e : t.all) t.core.put(t.l, *e);  // the table's references are left
      std::size_t kills = 0;
      bool is_found = true;
      bool is_gone = true;
      bool is_first = true;
      const auto kill = [&](nf_conn& e, dir d) {
        const key k = e.hash_node(d).key();
        if (!e.has(status::dying)) {
          is_found &= t.core.whom(t.l, k) == &e;
          kills += t.core.kill(t.l, e) ? 1 : 0;
          is_gone &= t.core.whom(t.l, k) == nullptr;
        }
        t.core.put(t.l, e);
        if (!std::exchange(is_first, false)) return;
        const key other = make_key(90000, k.hash);
        t.core.put(t.l, t.core.add(t.l, other, make_key(90001, k.hash)));
      };
      t.core.scan(
          t.l,
          [](nf_conn&, dir) { return scan_verdict::take; },
          kill);
      demand(is_found, "E.2 a taken entry that was not killed is not linked");
      demand(is_gone, "D.2 an entry killed in take is found");
      demand(kills >= t.all.size(), "E.2 a pass that takes everything left entries linked");
      t.core.clear(t.l);  // the one that was inserted meanwhile need not have been shown
      t.core.demand_empty(t.l);
    }
  });
}

/// gc's use of it: exactly the expired ones go.
template <class T>
finding a_pass_removes_what_expired() {
  return find_out([] {
    bench_of_one<T> t;
    small_core<T>& core = t.core;
    typename T::local& l = t.l;
    for (std::uint32_t n = 0; n < 200; ++n) {
      core.put(l, core.add(l, make_key(2 * n), make_key(2 * n + 1), n % 2 == 0 ? 100 : 300));
    }
    const std::uint32_t now = start_jiffy + 200;
    core.scan(
        l,
        [&](nf_conn& e, dir) {
          return e.is_confirmed() && e.is_expired(now) ? scan_verdict::take : scan_verdict::next;
        },
        [&](nf_conn& e, dir) { core.bury(l, e); });
    demand(core.count_nodes(l) == 200, "E.2 a pass of gc did not remove exactly what had expired");
    for (std::uint32_t n = 0; n < 200; ++n) {
      demand((core.whom(l, make_key(2 * n), now) != nullptr) == (n % 2 == 1),
             "E.2 a pass of gc did not remove exactly what had expired");
    }
    demand(core.table.is_valid(), "is_valid() is false after a pass of gc");
    core.clear(l);
    core.demand_empty(l);
  });
}

}  // namespace ct::core::checks
