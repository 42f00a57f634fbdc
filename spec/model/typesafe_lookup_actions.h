// SPDX-License-Identifier: BSD-2-Clause
/// Actions of typesafe_lookup, in the order of the TLA+ module: a guard, then the effect.
#pragma once

#include "spec/model/typesafe_lookup.h"

namespace ct::model {

// The reader.

inline bool typesafe_lookup::set_out(state& s, index_t p, index_t k) const {
  const flow& of = flow_of(static_cast<number>(k + 1));
  if ((is_reader_[p] && !of.is_asked) || (k % 2 != 0 && of.is_one_way)) return false;
  return base_.packet(s.base, p, k) && move(s, p, stage::head, 0);
}

inline bool typesafe_lookup::load_head(state& s, index_t p) const {
  return is_at(s, p, stage::head) && arrive(s, p, s.head[bucket_of(s.base.cpu[p].want)]);
}

inline bool typesafe_lookup::load_next(state& s, index_t p) const {
  return is_at(s, p, stage::next) && arrive(s, p, next_of(s, s.cpu[p].on));
}

inline bool typesafe_lookup::is_answer(const state& s, index_t p) const {
  const link on = s.cpu[p].on;
  const memory_state& memory = s.memory[entry_of(on)];
  return memory.node[dir_of(on)].tuple == s.base.cpu[p].want &&
         (memory.bit || base_.is_fault("no_confirmed_test"));
}

inline bool typesafe_lookup::look(state& s, index_t p) const {
  return is_at(s, p, stage::node) &&
         move(s, p, is_answer(s, p) ? stage::get : stage::next, s.cpu[p].on);
}

inline bool typesafe_lookup::get_unless_zero(state& s, index_t p) const {
  const link on = s.cpu[p].on;
  return is_at(s, p, stage::get) && base_.glance(s.base, p, entry_of(on)) &&
         move(s, p, after_get(), on);
}

inline bool typesafe_lookup::get_fails(state& s, index_t p) const {
  if (!is_at(s, p, stage::get) || s.base.entry[entry_of(s.cpu[p].on)].use != 0) return false;
  return !base_.is_fault("blind_get") && move(s, p, stage::head, 0);
}

inline bool typesafe_lookup::get_blindly(state& s, index_t p) const {
  const link on = s.cpu[p].on;
  if (!is_at(s, p, stage::get) || s.base.entry[entry_of(on)].use != 0) return false;
  if (!base_.is_fault("blind_get")) return false;
  ++s.base.entry[entry_of(on)].use;
  s.base.cpu[p].at = static_cast<number>(entry_of(on) + 1);
  base_.watch(s.base);
  return move(s, p, after_get(), on);
}

inline bool typesafe_lookup::look_again(state& s, index_t p) const {
  return is_at(s, p, stage::again) &&
         move(s, p, is_answer(s, p) ? stage::judge : stage::let_go, s.cpu[p].on);
}

inline bool typesafe_lookup::let_go(state& s, index_t p) const {
  return is_at(s, p, stage::let_go) && base_.look_away(s.base, p) && move(s, p, stage::head, 0);
}

inline bool typesafe_lookup::return_(state& s, index_t p) const {
  return is_at(s, p, stage::judge) && s.base.entry[at_hand(s, p)].ttl != 0 &&
         answer(s, p, place::track);
}

inline bool typesafe_lookup::bury(state& s, index_t p) const {
  if (!is_at(s, p, stage::judge) || s.base.entry[at_hand(s, p)].ttl != 0) return false;
  s.base.cpu[p].then = place::reserve;
  return answer(s, p, place::reap);
}

inline bool typesafe_lookup::is_own_marker(const state& s, index_t p) const {
  return s.cpu[p].on == marker_of(bucket_of(s.base.cpu[p].want)) ||
         base_.is_fault("no_nulls_check");
}

inline bool typesafe_lookup::miss(state& s, index_t p) const {
  return is_at(s, p, stage::marker) && is_own_marker(s, p) && answer(s, p, place::reserve);
}

inline bool typesafe_lookup::turn_back(state& s, index_t p) const {
  return is_at(s, p, stage::marker) && !is_own_marker(s, p) && move(s, p, stage::head, 0);
}

// The writer: a life begins.

inline bool typesafe_lookup::take_memory(state& s, index_t p, index_t e) const {
  if (s.base.cpu[p].pc != place::alloc || !is_at(s, p, stage::rest)) return false;
  if (s.base.entry[e].status != conntrack::life::free) return false;
  for (const reader_state& other : s.cpu) {
    if (other.stage == stage::fresh && other.on == node_of(e, 0)) return false;
  }
  return move(s, p, stage::fresh, node_of(e, 0));
}

inline bool typesafe_lookup::has_taken(state& s, index_t p, index_t e) {
  return is_at(s, p, stage::fresh) && s.cpu[p].on == node_of(e, 0) && settle(s, p);
}

inline bool typesafe_lookup::write_tuples(state& s, index_t p, index_t e) const {
  const bool is_late = base_.is_fault("use_before_tuples");
  if (!(is_late ? has_taken(s, p, e) : take_memory(s, p, e))) return false;
  const number want = s.base.cpu[p].want;
  s.memory[e].node[0].tuple = want;
  s.memory[e].node[1].tuple = conntrack::inverse(want);
  s.memory[e].bit = false;
  return true;
}

inline bool typesafe_lookup::first_use(state& s, index_t p, index_t e) const {
  const bool is_late = base_.is_fault("use_before_tuples");
  return (is_late ? take_memory(s, p, e) : has_taken(s, p, e)) && base_.alloc(s.base, p, e);
}

inline bool typesafe_lookup::rewrite_reply(state& s, index_t p, index_t k) const {
  if (!is_at(s, p, stage::rest) || !base_.alter_reply(s.base, p, k)) return false;
  s.memory[at_hand(s, p)].node[1].tuple = static_cast<number>(k + 1);
  return true;
}

// The writer: bucket locks, link, unlink.

inline bool typesafe_lookup::are_held(const state& s, index_t p) const {
  const conntrack::entry_state& mine = s.base.entry[at_hand(s, p)];
  for (index_t q = 0; q < base_.cpus(); ++q) {
    if (q == p || !conntrack::is_critical(s.base.cpu[q].pc)) continue;
    const conntrack::entry_state& other = s.base.entry[at_hand(s, q)];
    for (index_t i = 0; i < 4; ++i) {
      if (bucket_of(key_of(mine, i / 2)) == bucket_of(key_of(other, i % 2))) return true;
    }
  }
  return false;
}

inline bool typesafe_lookup::can_lock(const state& s, index_t p) const {
  return s.base.cpu[p].pc == place::confirm && is_at(s, p, stage::rest) && !are_held(s, p);
}

inline bool typesafe_lookup::point(state& s, index_t p, index_t d) const {
  const index_t e = at_hand(s, p);
  if (!is_at(s, p, stage::rest)) return false;
  s.memory[e].node[d].next = s.head[bucket_of(key_of(s.base.entry[e], d))];
  return move(s, p, stage::pointed, node_of(e, d));
}

inline bool typesafe_lookup::push(state& s, index_t p, index_t d) const {
  const index_t e = at_hand(s, p);
  s.head[bucket_of(key_of(s.base.entry[e], d))] = node_of(e, d);
  return settle(s, p);
}

inline bool typesafe_lookup::point_original(state& s, index_t p) const {
  return s.base.cpu[p].pc == place::insert_original && point(s, p, 0);
}

inline bool typesafe_lookup::push_original(state& s, index_t p) const {
  return is_at(s, p, stage::pointed) && base_.insert_original(s.base, p) && push(s, p, 0);
}

inline bool typesafe_lookup::point_reply(state& s, index_t p) const {
  return s.base.cpu[p].pc == place::insert_reply && point(s, p, 1);
}

inline bool typesafe_lookup::push_reply(state& s, index_t p) const {
  return is_at(s, p, stage::pointed) && base_.insert_reply(s.base, p) && push(s, p, 1);
}

inline bool typesafe_lookup::set_confirmed(state& s, index_t p) const {
  if (!base_.publish(s.base, p)) return false;
  s.memory[at_hand(s, p)].bit = true;
  return true;
}

/// Whoever leads to the node leads past it, if it was linked and is no longer.
inline void typesafe_lookup::bypass(state& s,
                                    index_t e,
                                    index_t d,
                                    std::uint8_t linked_before) const {
  if ((linked_before >> d & 1) == 0 || is_linked(s, e, d)) return;
  const link from = node_of(e, d);
  const link to = next_of(s, from);
  for (link& head : s.head) head = head == from ? to : head;
  for (index_t w = 0; w < base_.entries(); ++w) {
    for (index_t x = 0; x < 2; ++x) {
      const bool was_linked = w == e ? (linked_before >> x & 1) != 0 : is_linked(s, w, x);
      link& next = s.memory[w].node[x].next;
      if (was_linked && next == from) next = to;
    }
  }
}

inline bool typesafe_lookup::bypass_original(state& s, index_t p) const {
  if (s.base.cpu[p].pc != place::unlink_original || are_held(s, p)) return false;
  const std::uint8_t before = s.base.entry[at_hand(s, p)].linked;
  if (!base_.unlink_original(s.base, p)) return false;
  bypass(s, at_hand(s, p), 0, before);
  return true;
}

inline bool typesafe_lookup::bypass_reply(state& s, index_t p) const {
  if (s.base.cpu[p].pc != place::unlink_reply) return false;
  const std::uint8_t before = s.base.entry[at_hand(s, p)].linked;
  if (!base_.unlink_reply(s.base, p)) return false;
  bypass(s, at_hand(s, p), 1, before);
  return true;
}

inline bool typesafe_lookup::put_entry(state& s, index_t p) const {
  if (!is_at(s, p, stage::rest) || !base_.put(s.base, p)) return false;
  return s.base.cpu[p].pc != place::lookup || move(s, p, stage::head, 0);
}

// The contract's.

inline bool typesafe_lookup::as_track(state& s, index_t p) const {
  return is_at(s, p, stage::rest) && !is_reader_[p] &&
         base_.track(s.base, p, base_.size(domain::timeout) - 1, 0);
}

inline bool typesafe_lookup::as_link_reply(state& s, index_t p) const {
  return can_lock(s, p) && base_.link_reply(s.base, p, 1);
}

inline bool typesafe_lookup::as_tick(state& s) const { return base_.tick(s.base, 1); }

}  // namespace ct::model
