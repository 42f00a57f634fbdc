// SPDX-License-Identifier: BSD-2-Clause
/// Oracles of the checker's tests: every interleaving of every step, one after the other.
///
/// Nothing of the checker's own machine is used. Entries have a deadline that is stored, a lookup
/// meets an entry and judges its timeout later, a reaper is a thread of its own that may take every
/// step at every moment. `search` walks through the events of the history and takes steps between
/// them; with a cache of what was seen (Wing and Gong, with Lowe's cache) or without (naive).
#pragma once

#include "harness/check/checker.h"
#include "harness/check/history.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <unordered_set>
#include <vector>

namespace ct::check {

class naive_checker {
 public:
  naive_checker(std::vector<operation> history, allowances allows)
      : history_(std::move(history)), allows_(allows) {
    for (std::size_t i = 0; i < history_.size(); ++i) {
      events_.push_back({history_[i].call, false, i});
      events_.push_back({history_[i].ret, true, i});
      if (history_[i].verb == verb::in && history_[i].answer == answer::made) {
        made_.push_back(history_[i].id);
      }
    }
    std::ranges::sort(events_, [](const event& a, const event& b) {
      return std::tie(a.stamp, a.is_ret, a.op) < std::tie(b.stamp, b.is_ret, b.op);
    });
  }

  bool is_allowed(bool with_cache) {
    with_cache_ = with_cache;
    seen_.clear();
    state s;
    s.phase.assign(history_.size(), 0);
    s.at.assign(history_.size(), -1);
    return search(0, s);
  }

 private:
  static constexpr std::uint8_t done = 200;
  static constexpr std::int8_t nobody = -1;
  static constexpr std::int8_t reaper_ = -2;
  static constexpr std::uint32_t no_deadline = std::numeric_limits<std::uint32_t>::max();

  struct event {
    std::uint64_t stamp;
    bool is_ret;
    std::size_t op;
  };
  struct conn {
    std::uint64_t id;
    std::uint32_t keys[2];
    std::uint32_t deadline;
    std::uint8_t links;  // bit 0: original
    std::int8_t owner;
    bool is_half;
    bool is_short;  // the reply alone: whoever may end it at once
    bool is_created;
  };
  struct state {
    std::vector<conn> conns;
    std::vector<std::uint8_t> phase;                        // [op]
    std::vector<std::int8_t> at;                            // [op] the entry that it met
    std::vector<std::pair<std::size_t, std::size_t>> todo;  // walk, entry
    std::uint32_t clock = 0;
    std::string bytes(std::size_t event) const;
  };

  bool search(std::size_t next, const state& s);
  bool try_step(std::size_t next, state s, std::size_t op, std::uint8_t phase) {
    s.phase[op] = phase;
    return search(next, s);
  }
  bool steps_of(std::size_t next, const state& s, std::size_t op);
  bool lookup(std::size_t next, const state& s, std::size_t op);
  bool found_or_bound(std::size_t next, const state& s, std::size_t op);
  bool confirm(std::size_t next, const state& s, std::size_t op);
  bool insert(std::size_t next, const state& s, std::size_t op);
  bool kill(std::size_t next, const state& s, std::size_t op);
  bool walk(std::size_t next, const state& s, std::size_t op);
  bool reap(std::size_t next, const state& s);
  bool unlink(std::size_t next, const state& s, std::size_t op, std::size_t e, bool is_last);
  /// An `in` makes it, or it is a created one's already.
  bool is_known(const state& s, std::uint64_t id) const {
    return std::ranges::find(made_, id) != made_.end() ||
           std::ranges::any_of(s.conns, [&](const conn& c) { return c.id == id; });
  }
  bool has(allowance a) const { return allows_.has(a); }
  static std::uint8_t under(const conn& c, std::uint32_t key) {
    return static_cast<std::uint8_t>(c.links &
                                     ((c.keys[0] == key ? 1U : 0U) | (c.keys[1] == key ? 2U : 0U)));
  }

  std::vector<operation> history_;
  allowances allows_;
  std::vector<event> events_;
  std::vector<std::uint64_t> made_;
  std::unordered_set<std::string> seen_;
  bool with_cache_ = false;
};

inline std::string naive_checker::state::bytes(std::size_t event) const {
  std::string b;
  const auto put = [&b](std::uint64_t x) { b.append(reinterpret_cast<const char*>(&x), 5); };
  put(event);
  for (const conn& c : conns) {
    put(c.id);
    put(c.keys[0] << 8 | c.keys[1]);
    put(c.deadline);
    b += static_cast<char>(c.links);
    b += static_cast<char>(c.owner);
    b += static_cast<char>((c.is_half ? 1 : 0) | (c.is_short ? 2 : 0));
  }
  b += '|';
  b.append(reinterpret_cast<const char*>(phase.data()), phase.size());
  b.append(reinterpret_cast<const char*>(at.data()), at.size());
  for (const auto& [w, e] : todo) put(w << 8 | e);
  return b;
}

inline bool naive_checker::search(std::size_t next, const state& s) {
  if (next == events_.size()) return true;
  if (with_cache_ && !seen_.insert(s.bytes(next)).second) return false;
  const event& e = events_[next];
  const bool may_pass = !e.is_ret || s.phase[e.op] == done;
  if (may_pass) {
    state after = s;
    if (!e.is_ret) {
      after.phase[e.op] = 1;
      after.clock = std::max(after.clock, history_[e.op].now_hi);
    }
    if (search(next + 1, after)) return true;
  }
  for (std::size_t op = 0; op < history_.size(); ++op) {
    if (s.phase[op] != 0 && s.phase[op] != done && steps_of(next, s, op)) return true;
  }
  return reap(next, s);
}

inline bool naive_checker::steps_of(std::size_t next, const state& s, std::size_t op) {
  const operation& o = history_[op];
  switch (o.verb) {
    case verb::find:
    case verb::in:
      return o.answer == answer::found ? found_or_bound(next, s, op) : lookup(next, s, op);
    case verb::confirm:
      return confirm(next, s, op);
    case verb::create:
      return confirm(next, s, op);
    case verb::kill:
      return kill(next, s, op);
    case verb::flush:
      return walk(next, s, op);
    default:
      return try_step(next, s, op, done);
  }
}

/// Misses: nothing is linked, or what was met has expired when its timeout is read.
inline bool naive_checker::lookup(std::size_t next, const state& s, std::size_t op) {
  const operation& o = history_[op];
  if (s.phase[op] == 2) {
    const conn& c = s.conns[static_cast<std::size_t>(s.at[op])];
    return c.deadline <= o.now_hi && try_step(next, s, op, done);
  }
  bool is_empty = true;
  for (std::size_t i = 0; i < s.conns.size(); ++i) {
    if (under(s.conns[i], o.key) == 0) continue;
    is_empty = false;
    state met = s;
    met.at[op] = static_cast<std::int8_t>(i);
    if (try_step(next, met, op, 2)) return true;
  }
  return is_empty && try_step(next, s, op, done);
}

inline bool naive_checker::found_or_bound(std::size_t next, const state& s, std::size_t op) {
  const operation& o = history_[op];
  if (s.phase[op] == 3) {  // it refreshes
    for (std::uint32_t now = o.now_lo; now <= o.now_hi; ++now) {
      state stored = s;
      stored.conns[static_cast<std::size_t>(s.at[op])].deadline = now + o.timeout;
      if (try_step(next, stored, op, done)) return true;
    }
    return false;
  }
  if (s.phase[op] == 2) {
    const conn& c = s.conns[static_cast<std::size_t>(s.at[op])];
    if (c.deadline <= o.now_lo) return false;
    const bool stores = o.verb == verb::in && o.timeout != 0;
    return try_step(next, s, op, stores && !c.is_short ? 3 : done);
  }
  for (std::size_t i = 0; i < s.conns.size(); ++i) {
    const conn& c = s.conns[i];
    if ((under(c, o.key) & (o.is_reply ? 2U : 1U)) == 0) continue;
    state met = s;
    met.at[op] = static_cast<std::int8_t>(i);
    if (c.id != o.id && (c.id != 0 || is_known(s, o.id))) continue;
    met.conns[i].id = o.id;
    if (try_step(next, met, op, 2)) return true;
  }
  return false;
}

inline bool naive_checker::confirm(std::size_t next, const state& s, std::size_t op) {
  const operation& o = history_[op];
  const std::uint32_t other = o.verb == verb::create ? o.key ^ 1U : o.other;
  if (o.answer == answer::inserted) return insert(next, s, op);
  if (o.answer == answer::clashed && has(allowance::chain_too_long)) {
    return try_step(next, s, op, done);
  }
  if (o.answer == answer::merged && !has(allowance::clash_merge)) return false;
  for (const conn& c : s.conns) {
    if ((o.id != 0 && c.id == o.id) || (under(c, o.key) | under(c, other)) == 0) continue;
    if (o.answer == answer::clashed) {
      if (has(allowance::lazy_expiry) || c.deadline > o.now_lo) return try_step(next, s, op, done);
      continue;
    }
    const bool is_same = (c.keys[0] == o.key && c.keys[1] == o.other) ||
                         (c.keys[1] == o.key && c.keys[0] == o.other);
    if (!is_same || c.is_half) continue;
    if (c.id == o.number) return try_step(next, s, op, done);
    if (c.id != 0 || is_known(s, o.number)) continue;
    state bound = s;
    bound.conns[static_cast<std::size_t>(&c - s.conns.data())].id = o.number;
    if (try_step(next, bound, op, done)) return true;
  }
  return false;
}

inline bool naive_checker::insert(std::size_t next, const state& s, std::size_t op) {
  const operation& o = history_[op];
  const std::uint32_t other = o.verb == verb::create ? o.key ^ 1U : o.other;
  const auto is_free = [&](std::uint32_t key) {
    return std::ranges::all_of(s.conns, [&](const conn& c) {
      return under(c, key) == 0 ||
             (s.at[op] >= 0 && &c == &s.conns[static_cast<std::size_t>(s.at[op])]);
    });
  };
  if (s.phase[op] == 2) {  // the other half
    state after = s;
    conn& c = after.conns[static_cast<std::size_t>(s.at[op])];
    if (!is_free(c.links == 1 ? other : o.key)) return false;
    c.links = 3;
    c.is_half = false;
    return try_step(next, after, op, done);
  }
  const bool is_taken_by_flow = std::ranges::any_of(s.conns, [&](const conn& c) {
    const bool is_same =
        (c.keys[0] == o.key && c.keys[1] == other) || (c.keys[1] == o.key && c.keys[0] == other);
    return under(c, o.key) != 0 && is_same;
  });
  const bool is_reply_alone = !is_free(o.key) && !is_taken_by_flow && is_free(other) &&
                              o.verb == verb::confirm && has(allowance::clash_reply_only);
  for (std::uint32_t now = o.now_lo; now <= o.now_hi; ++now) {
    const conn fresh{.id = o.verb == verb::create ? 0 : o.id,
                     .keys = {o.key, other},
                     .deadline = o.timeout == 0 ? no_deadline : now + o.timeout,
                     .links = 3,
                     .owner = nobody,
                     .is_half = false,
                     .is_short = false,
                     .is_created = o.verb == verb::create};
    state after = s;
    after.conns.push_back(fresh);
    conn& c = after.conns.back();
    if (is_free(o.key) && is_free(other) && try_step(next, after, op, done)) return true;
    if (is_reply_alone) {
      c.links = 2;
      c.is_short = true;
      if (try_step(next, after, op, done)) return true;
    }
    after.at[op] = static_cast<std::int8_t>(s.conns.size());
    c.is_short = false;
    c.is_half = true;
    for (const std::uint8_t first : {std::uint8_t{1}, std::uint8_t{2}}) {
      if (!has(allowance::half_confirm) || !is_free(first == 1 ? o.key : other)) continue;
      c.links = first;
      if (try_step(next, after, op, 2)) return true;
    }
  }
  return false;
}

inline bool naive_checker::unlink(std::size_t next,
                                  const state& s,
                                  std::size_t op,
                                  std::size_t e,
                                  bool is_last) {
  state after = s;
  conn& c = after.conns[e];
  if (has(allowance::two_phase_delete) && c.links == 3) {
    c.links = 2;
    return search(next, after);
  }
  c.links = 0;
  return is_last ? try_step(next, after, op, done) : search(next, after);
}

inline bool naive_checker::kill(std::size_t next, const state& s, std::size_t op) {
  const operation& o = history_[op];
  if (o.answer == answer::lost && s.phase[op] < 3 && lookup(next, s, op)) return true;
  if (s.phase[op] == 1) {
    for (std::size_t i = 0; i < s.conns.size(); ++i) {
      if (under(s.conns[i], o.key) == 0) continue;
      state met = s;
      met.at[op] = static_cast<std::int8_t>(i);
      if (try_step(next, met, op, 2)) return true;
    }
    return false;
  }
  const auto e = static_cast<std::size_t>(s.at[op]);
  const conn& c = s.conns[e];
  if (s.phase[op] == 2) return c.deadline > o.now_lo && try_step(next, s, op, 3);
  if (s.phase[op] == 3) {
    if (o.answer == answer::lost) {
      const bool may_return = has(allowance::loser_returns_early) || c.links == 0;
      return c.owner != nobody && may_return && try_step(next, s, op, done);
    }
    if (c.owner != nobody || c.is_half) return false;
    state claimed = s;
    claimed.conns[e].owner = static_cast<std::int8_t>(op);
    return try_step(next, claimed, op, 4);
  }
  return unlink(next, s, op, e, true);
}

inline bool naive_checker::walk(std::size_t next, const state& s, std::size_t op) {
  if (s.phase[op] == 1) {
    state begun = s;
    for (std::size_t i = 0; i < s.conns.size(); ++i) {
      if ((s.conns[i].links & 2U) != 0 && !s.conns[i].is_half) begun.todo.emplace_back(op, i);
    }
    return try_step(next, begun, op, 2);
  }
  bool may_end = true;
  for (std::size_t i = 0; i < s.conns.size(); ++i) {
    const conn& c = s.conns[i];
    if (c.links == 0) continue;
    const bool is_mine = c.owner == static_cast<std::int8_t>(op);
    const bool is_due = std::ranges::find(s.todo, std::pair(op, i)) != s.todo.end();
    if (is_mine && unlink(next, s, op, i, false)) return true;
    if (is_mine) may_end = false;
    if (is_due && !(c.owner != nobody && has(allowance::loser_returns_early))) may_end = false;
    if (c.owner == nobody && (c.links & 2U) != 0 && !c.is_half && history_[op].number != 0) {
      state claimed = s;
      claimed.conns[i].owner = static_cast<std::int8_t>(op);
      if (search(next, claimed)) return true;
    }
  }
  if (!may_end) return false;
  state ended = s;
  std::erase_if(ended.todo, [&](const auto& t) { return t.first == op; });
  return try_step(next, ended, op, done);
}

/// Somebody of whom the history says nothing meets what has expired.
inline bool naive_checker::reap(std::size_t next, const state& s) {
  for (std::size_t i = 0; i < s.conns.size(); ++i) {
    const conn& c = s.conns[i];
    if (c.links == 0) continue;
    if (c.owner == reaper_ && unlink(next, s, 0, i, false)) return true;
    if (c.owner != nobody || c.is_half || (c.deadline > s.clock && !c.is_short)) continue;
    state claimed = s;
    claimed.conns[i].owner = reaper_;
    if (search(next, claimed)) return true;
  }
  return false;
}

}  // namespace ct::check
