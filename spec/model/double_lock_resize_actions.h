// SPDX-License-Identifier: BSD-2-Clause
/// Actions of double_lock_resize, in the order of the TLA+ module: a guard, then the effect.
#pragma once

#include "spec/model/double_lock_resize.h"

namespace ct::model {

/// Original keys hash to 0, or 1 if their tuple is shifted; reply keys to 2.
inline index_t double_lock_resize::bucket(number key, index_t size) const {
  const index_t k = key - 1U;
  const index_t hash = k % 2 == 1 ? 2 : is_shifted_[k / 2 % base_.tuples()] ? 1 : 0;
  return hash % size;
}

inline std::array<index_t, 2> double_lock_resize::locks_of(const state& s, index_t p) const {
  const index_t original = bucket_of(s, p, 0) % locks_;
  const index_t reply = bucket_of(s, p, 1) % locks_;
  if (original <= reply || base_.is_fault("unsorted_locks")) return {original, reply};
  return {reply, original};
}

inline double_lock_resize::stage double_lock_resize::after_first(const state& s, index_t p) const {
  const auto [one, two] = locks_of(s, p);
  return one == two || base_.is_fault("one_lock") ? stage::recheck : stage::second;
}

inline bool double_lock_resize::is_writer(const state& s, index_t p) {
  const place pc = s.base.cpu[p].pc;
  return pc == place::unlink_original ||
         (pc == place::confirm && at_hand(s, p).status == conntrack::life::unconfirmed);
}

inline bool double_lock_resize::is_met(const state& s, index_t p, index_t e, number key) const {
  const view_state& view = s.cpu[p].view;
  const nodes chain = s.chain[view.array][bucket(key, view.size)];
  for (index_t d = 0; d < 2; ++d) {
    if ((chain & node(e, d)) != 0 && key_of(s.base.entry[e], d) == key) return true;
  }
  return false;
}

// The shape of the table, read without a lock.

inline bool double_lock_resize::begin_read(state& s, index_t p) const {
  if (!is_at(s, p, stage::rest) || s.generation % 2 != 0) return false;
  if (s.base.cpu[p].pc != place::lookup && !is_writer(s, p)) return false;
  s.cpu[p].view.generation = s.generation;
  return move_on(s, p, stage::array);
}

inline bool double_lock_resize::read_array(state& s, index_t p) const {
  if (!is_at(s, p, stage::array)) return false;
  s.cpu[p].view.array = s.array;
  return move_on(s, p, stage::size);
}

inline bool double_lock_resize::read_size(state& s, index_t p) const {
  if (!is_at(s, p, stage::size)) return false;
  s.cpu[p].view.size = s.size;
  return move_on(s,
                 p,
                 s.base.cpu[p].pc == place::lookup    ? stage::check
                 : base_.is_fault("flag_before_lock") ? stage::flag
                                                      : stage::first);
}

inline bool double_lock_resize::check_shape(state& s, index_t p) const {
  if (!is_at(s, p, stage::check)) return false;
  if (s.generation == s.cpu[p].view.generation || base_.is_fault("torn_shape")) {
    return move_on(s, p, stage::walk);
  }
  return settle(s, p);
}

inline bool double_lock_resize::find(state& s, index_t p, index_t e) const {
  conntrack::cpu_state& cpu = s.base.cpu[p];
  conntrack::entry_state& entry = s.base.entry[e];
  if (!is_at(s, p, stage::walk) || !is_met(s, p, e, cpu.want)) return false;
  if (entry.status != conntrack::life::confirmed || entry.use == 0) return false;
  ++entry.use;
  cpu.at = one_based(e);
  go(s, p, place::track);
  return settle(s, p);
}

inline bool double_lock_resize::miss(state& s, index_t p) const {
  if (!is_at(s, p, stage::walk)) return false;
  for (index_t e = 0; e < base_.entries(); ++e) {
    if (is_met(s, p, e, s.base.cpu[p].want) &&
        s.base.entry[e].status == conntrack::life::confirmed) {
      return false;
    }
  }
  go(s, p, place::reserve);
  return settle(s, p);
}

// Two bucket locks.

inline bool double_lock_resize::lock_first(state& s, index_t p) const {
  if (!is_at(s, p, stage::first)) return false;
  number& owner = s.owner[locks_of(s, p)[0]];
  if (owner != 0) return false;
  owner = one_based(p);
  return move_on(s, p, base_.is_fault("flag_before_lock") ? after_first(s, p) : stage::flag);
}

inline bool double_lock_resize::test_flag(state& s, index_t p) const {
  if (!is_at(s, p, stage::flag)) return false;
  if (base_.is_fault("flag_before_lock")) {
    return move_on(s, p, s.flag ? stage::global : stage::first);
  }
  return move_on(s, p, s.flag ? stage::yield : after_first(s, p));
}

inline bool double_lock_resize::yield(state& s, index_t p) const {
  if (!is_at(s, p, stage::yield)) return false;
  s.owner[locks_of(s, p)[0]] = 0;
  return move_on(s, p, stage::global);
}

inline bool double_lock_resize::wait_global(state& s, index_t p) const {
  if (!is_at(s, p, stage::global) || s.global != 0) return false;
  s.global = one_based(p);
  return move_on(s, p, stage::again);
}

inline bool double_lock_resize::lock_again(state& s, index_t p) const {
  if (!is_at(s, p, stage::again)) return false;
  number& owner = s.owner[locks_of(s, p)[0]];
  if (owner != 0) return false;
  owner = one_based(p);
  return move_on(s, p, stage::leave);
}

inline bool double_lock_resize::leave_global(state& s, index_t p) const {
  if (!is_at(s, p, stage::leave)) return false;
  s.global = 0;
  return move_on(s, p, is_writer(s, p) ? after_first(s, p) : stage::rest);
}

inline bool double_lock_resize::lock_second(state& s, index_t p) const {
  if (!is_at(s, p, stage::second)) return false;
  number& owner = s.owner[locks_of(s, p)[1]];
  if (owner != 0) return false;
  owner = one_based(p);
  return move_on(s, p, stage::recheck);
}

inline bool double_lock_resize::recheck(state& s, index_t p) const {
  if (!is_at(s, p, stage::recheck)) return false;
  const bool is_same =
      s.generation == s.cpu[p].view.generation || base_.is_fault("no_generation_check");
  return move_on(s, p, is_same ? stage::holding : stage::unlock);
}

inline bool double_lock_resize::unlock(state& s, index_t p) const {
  if (!is_at(s, p, stage::unlock)) return false;
  const auto [one, two] = locks_of(s, p);
  if (one != two && s.owner[two] == one_based(p)) {
    s.owner[two] = 0;
    return true;
  }
  s.owner[one] = 0;
  return settle(s, p);
}

// What both locks are for.

inline bool double_lock_resize::is_clash(const state& s, index_t p) const {
  for (index_t e = 0; e < base_.entries(); ++e) {
    for (index_t d = 0; d < 2; ++d) {
      if (is_met(s, p, e, key_of(at_hand(s, p), d))) return true;
    }
  }
  return false;
}

inline bool double_lock_resize::begin_insert(state& s, index_t p) const {
  if (!is_at(s, p, stage::holding) || s.base.cpu[p].pc != place::confirm) return false;
  if (at_hand(s, p).dying || is_clash(s, p)) return false;
  ++s.base.entry[hand(s, p)].use;
  go(s, p, place::insert_original);
  return true;
}

inline bool double_lock_resize::refuse_clash(state& s, index_t p) const {
  if (!is_at(s, p, stage::holding) || s.base.cpu[p].pc != place::confirm) return false;
  if (at_hand(s, p).dying || !is_clash(s, p)) return false;
  go(s, p, place::release);
  return move_on(s, p, stage::unlock);
}

inline bool double_lock_resize::refuse_dying(state& s, index_t p) const {
  if (!is_at(s, p, stage::holding) || s.base.cpu[p].pc != place::confirm) return false;
  if (!at_hand(s, p).dying) return false;
  go(s, p, place::release);
  return move_on(s, p, stage::unlock);
}

inline void double_lock_resize::chained(state& s, index_t p, index_t d) const {
  s.chain[s.cpu[p].view.array][bucket_of(s, p, d)] |= node(hand(s, p), d);
}

inline void double_lock_resize::unchained(state& s, index_t p, index_t d) {
  for (auto& array : s.chain) {
    for (nodes& chain : array) chain = static_cast<nodes>(chain & ~node(hand(s, p), d));
  }
}

inline bool double_lock_resize::chain_original(state& s, index_t p) const {
  if (!base_.insert_original(s.base, p)) return false;
  chained(s, p, 0);
  return true;
}

inline bool double_lock_resize::chain_reply(state& s, index_t p) const {
  if (!base_.insert_reply(s.base, p)) return false;
  chained(s, p, 1);
  return true;
}

inline bool double_lock_resize::publish_entry(state& s, index_t p) const {
  return base_.publish(s.base, p) && move_on(s, p, stage::unlock);
}

inline bool double_lock_resize::unchain_original(state& s, index_t p) const {
  if (!is_at(s, p, stage::holding) || s.base.cpu[p].pc != place::unlink_original) return false;
  unchained(s, p, 0);
  s.base.entry[hand(s, p)].linked &= conntrack::reply;
  go(s, p, place::unlink_reply);
  return true;
}

inline bool double_lock_resize::unchain_reply(state& s, index_t p) const {
  if (!base_.unlink_reply(s.base, p)) return false;
  unchained(s, p, 1);
  return move_on(s, p, stage::unlock);
}

// Resize.

inline bool double_lock_resize::is_idle_for_resize(const state& s, index_t p) const {
  return may_resize_ && is_at(s, p, stage::rest) && s.base.cpu[p].pc == place::idle &&
         (workers_ == 0 || p >= base_.cpus() - workers_);
}

inline bool double_lock_resize::take_global(state& s, index_t p) const {
  if (!is_idle_for_resize(s, p) || s.global != 0 || s.generation >= 2 * resizes_) return false;
  s.global = one_based(p);
  return move_on(s, p, stage::set);
}

inline bool double_lock_resize::set_flag(state& s, index_t p) const {
  if (!is_at(s, p, stage::set)) return false;
  s.flag = true;
  return move_on(s, p, stage::pass);
}

inline bool double_lock_resize::pass_lock(state& s, index_t p) const {
  if (!is_at(s, p, stage::pass) || s.owner[s.passed] != 0) return false;
  const bool is_last = s.passed + 1U == locks_;
  s.passed = is_last ? std::uint8_t{0} : static_cast<std::uint8_t>(s.passed + 1);
  return move_on(s, p, is_last ? stage::odd : stage::pass);
}

inline bool double_lock_resize::begin_move(state& s, index_t p) const {
  if (!is_at(s, p, stage::odd)) return false;
  ++s.generation;
  s.base.resizing = true;
  go(s, p, place::resize);
  return move_on(s, p, stage::move);
}

inline bool double_lock_resize::move(state& s, index_t p, index_t e, index_t d) const {
  if (!is_at(s, p, stage::move)) return false;
  const index_t to = 1U - s.array;
  for (nodes& chain : s.chain[s.array]) {
    if ((chain & node(e, d)) == 0) continue;
    chain = static_cast<nodes>(chain & ~node(e, d));
    s.chain[to][bucket(key_of(s.base.entry[e], d), buckets_of(to))] |= node(e, d);
    return true;
  }
  return false;
}

inline bool double_lock_resize::publish_array(state& s, index_t p) const {
  if (!is_at(s, p, stage::move) || s.chain[s.array] != std::array<nodes, buckets_max>{}) {
    return false;
  }
  s.array = s.array == 0 ? 1 : 0;
  return move_on(s, p, stage::publish_size);
}

inline bool double_lock_resize::publish_size(state& s, index_t p) const {
  if (!is_at(s, p, stage::publish_size)) return false;
  s.size = static_cast<std::uint8_t>(buckets_of(s.array));
  return move_on(s, p, stage::even);
}

inline bool double_lock_resize::end_move(state& s, index_t p) const {
  if (!is_at(s, p, stage::even) || !base_.resize_end(s.base, p)) return false;
  ++s.generation;
  return move_on(s, p, stage::clear);
}

inline bool double_lock_resize::clear_flag(state& s, index_t p) const {
  if (!is_at(s, p, stage::clear)) return false;
  s.flag = false;
  return move_on(s, p, stage::leave);
}

inline bool double_lock_resize::as_track(state& s, index_t p) const {
  return is_at(s, p, stage::rest) && base_.track(s.base, p, timeout_, 0);
}

}  // namespace ct::model
