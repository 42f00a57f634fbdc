// SPDX-License-Identifier: BSD-2-Clause
/// Actions of event_redelivery, in the order of the TLA+ module: a guard, then the effect.
#pragma once

#include "spec/model/event_redelivery.h"

namespace ct::model {

// A CPU has something to tell.

inline bool event_redelivery::is_teller(const state& s, index_t p) {
  const place pc = s.base.cpu[p].pc;
  return pc == place::tell || pc == place::deliver ||
         (pc == place::confirm && at_hand(s, p).status == life::confirmed);
}

inline bool event_redelivery::lock_telling(state& s, index_t p) const {
  if (!is_at(s, p, stage::rest) || !is_teller(s, p)) return false;
  if (takes_lock(s, p)) {
    number& telling = s.telling[hand(s, p)];
    if (telling != 0) return false;
    telling = one_based(p);
  }
  return move(s, p, stage::look);
}

inline bool event_redelivery::nothing_to_tell(state& s, index_t p) const {
  if (!is_at(s, p, stage::look) || is_killer(s, p)) return false;
  if (!at_hand(s, p).dying && s.cached[hand(s, p)]) return false;
  go_on(s, p);
  return move(s, p, stage::unlock);
}

inline bool event_redelivery::take_cached(state& s, index_t p) const {
  if (!is_at(s, p, stage::look)) return false;
  bool& cached = s.cached[hand(s, p)];
  if (!is_killer(s, p) && (at_hand(s, p).dying || !cached)) return false;
  cached = false;
  return move(s, p, stage::tell);
}

inline void event_redelivery::go_on(state& s, index_t p) const {
  s.base.cpu[p].pc = is_killer(s, p) ? place::unlink_original : place::release;
  base_.watch(s.base);
}

inline void event_redelivery::is_told(state& s, index_t p) const {
  message& told = at_hand(s, p).told;
  told = conntrack::after(told, is_killer(s, p) ? message::destroy : message::new_);
  go_on(s, p);
}

inline bool event_redelivery::hand_over(state& s, index_t p) const {
  if (!is_at(s, p, stage::tell) || !is_heard(s, hand(s, p))) return false;
  if (s.inside != 0 || is_full(s)) return false;
  s.inside = one_based(p);
  is_told(s, p);
  return move(s, p, stage::inside);
}

inline bool event_redelivery::leave(state& s, index_t p) const {
  if (!is_at(s, p, stage::inside)) return false;
  s.inside = 0;
  ++s.buffered;
  return move(s, p, stage::unlock);
}

inline bool event_redelivery::tell_nobody(state& s, index_t p) const {
  if (!is_at(s, p, stage::tell) || is_heard(s, hand(s, p))) return false;
  is_told(s, p);
  return move(s, p, stage::unlock);
}

inline bool event_redelivery::be_refused(state& s, index_t p) const {
  if (!is_at(s, p, stage::tell) || !is_heard(s, hand(s, p))) return false;
  if (s.inside != 0 || !is_full(s)) return false;
  conntrack::entry_state& entry = at_hand(s, p);
  s.cached[hand(s, p)] = entry.told == message::nothing;
  if (is_killer(s, p)) entry.parked = parking::refused;
  go_on(s, p);
  return move(s, p, stage::unlock);
}

inline bool event_redelivery::unlock_telling(state& s, index_t p) const {
  if (!is_at(s, p, stage::unlock)) return false;
  number& telling = s.telling[hand(s, p)];
  if (telling == one_based(p)) telling = 0;
  const bool is_destroy_told =
      s.base.cpu[p].pc == place::unlink_original && at_hand(s, p).parked == parking::no;
  return move(s, p, is_destroy_told ? stage::kick : stage::rest);
}

inline bool event_redelivery::kick(state& s, index_t p) const {
  if (!is_at(s, p, stage::kick)) return false;
  if (s.due != due_time::never) s.due = due_time::now;
  return move(s, p, stage::rest);
}

inline bool event_redelivery::park_entry(state& s, index_t p) const {
  if (!is_at(s, p, stage::rest) || !base_.park(s.base, p)) return false;
  if (!base_.is_fault("forgotten")) s.list.add(hand(s, p));
  return move(s, p, stage::due);
}

inline bool event_redelivery::set_due(state& s, index_t p) const {
  if (!is_at(s, p, stage::due)) return false;
  if (s.due == due_time::never) s.due = due_time::later;
  return move(s, p, stage::rest);
}

// The worker.

inline bool event_redelivery::time_passes(state& s) const {
  if (s.due != due_time::later) return false;
  s.due = due_time::now;
  return true;
}

inline bool event_redelivery::wake(state& s) const {
  if (s.run != place_of_worker::asleep || s.due != due_time::now) return false;
  s.due = due_time::never;
  return run(s, place_of_worker::pop);
}

/// `taken`: bit i is entry i.
inline bool event_redelivery::pop(state& s, index_t taken) const {
  if (s.run != place_of_worker::pop || taken == 0) return false;
  index_t count = 0;
  bool is_all = true;
  for (index_t e = 0; e < base_.entries(); ++e) {
    const bool is_taken = (taken >> e & 1U) != 0;
    if (is_taken && !s.list.has(e)) return false;
    if (!is_taken && s.list.has(e)) is_all = false;
    count += is_taken ? 1U : 0U;
  }
  if (count != burst_ && (count > burst_ || !is_all)) return false;
  for (index_t e = 0; e < base_.entries(); ++e) {
    if ((taken >> e & 1U) == 0) continue;
    s.list.remove(e);
    s.burst.add(e);
    if (base_.is_fault("put_before_told")) --s.base.entry[e].use;
  }
  base_.watch(s.base);
  return run(s, place_of_worker::lock);
}

inline bool event_redelivery::sleep(state& s) const {
  if (s.run != place_of_worker::pop || !s.list.is_empty()) return false;
  return run(s, place_of_worker::asleep);
}

inline bool event_redelivery::lock_parked(state& s, index_t e) const {
  if (s.run != place_of_worker::lock || !s.burst.has(e) || s.telling[e] != 0) return false;
  s.telling[e] = worker;
  s.cached[e] = false;
  s.hand = one_based(e);
  return run(s, place_of_worker::tell);
}

inline void event_redelivery::is_told_again(state& s, index_t e) const {
  conntrack::entry_state& entry = s.base.entry[e];
  entry.told = conntrack::after(entry.told, message::destroy);
  entry.parked = parking::told;
  s.burst.remove(e);
  base_.watch(s.base);
}

inline bool event_redelivery::hand_over_parked(state& s, index_t e) const {
  if (!is_in_hand(s, e) || !is_heard(s, e) || s.inside != 0 || is_full(s)) return false;
  s.inside = worker;
  is_told_again(s, e);
  return run(s, place_of_worker::inside);
}

inline bool event_redelivery::leave_parked(state& s) const {
  if (s.run != place_of_worker::inside) return false;
  s.inside = 0;
  ++s.buffered;
  return run(s, place_of_worker::unlock);
}

inline bool event_redelivery::tell_nobody_parked(state& s, index_t e) const {
  if (!is_in_hand(s, e) || is_heard(s, e)) return false;
  is_told_again(s, e);
  return run(s, place_of_worker::unlock);
}

inline bool event_redelivery::be_refused_parked(state& s, index_t e) const {
  if (!is_in_hand(s, e) || !is_heard(s, e) || s.inside != 0 || !is_full(s)) return false;
  s.cached[e] = s.base.entry[e].told == message::nothing;
  s.congested = true;
  return run(s, place_of_worker::unlock);
}

inline bool event_redelivery::unlock_parked(state& s) const {
  if (s.run != place_of_worker::unlock) return false;
  s.telling[s.hand - 1U] = 0;
  s.hand = 0;
  const bool is_over = s.congested || s.burst.is_empty();
  return run(s, is_over ? place_of_worker::put_back : place_of_worker::lock);
}

inline bool event_redelivery::put_back(state& s) const {
  if (s.run != place_of_worker::put_back) return false;
  for (index_t e = 0; e < base_.entries(); ++e) {
    const bool is_told = s.base.entry[e].parked == parking::told;
    if (s.burst.has(e) || (is_told && base_.is_fault("told_twice"))) s.list.add(e);
  }
  s.burst.clear();
  return run(s, place_of_worker::put);
}

inline bool event_redelivery::put_told(state& s, index_t e) const {
  return s.run == place_of_worker::put && base_.put_parked(s.base, e);
}

inline bool event_redelivery::is_put(const state& s) const {
  if (s.run != place_of_worker::put) return false;
  return std::none_of(s.base.entry.begin(), s.base.entry.end(), [](const auto& entry) {
    return entry.parked == parking::told;
  });
}

inline bool event_redelivery::end_burst(state& s) const {
  if (!is_put(s)) return false;
  const bool is_refused = s.congested;
  if (is_refused && !base_.is_fault("no_retry")) s.due = due_time::later;
  s.congested = false;
  return run(s, is_refused ? place_of_worker::asleep : place_of_worker::pop);
}

inline bool event_redelivery::time_is_up(state& s) const {
  if (!is_put(s) || s.congested) return false;
  s.due = due_time::now;
  return run(s, place_of_worker::asleep);
}

// The listener.

inline bool event_redelivery::drain(state& s) const {
  if (s.run == place_of_worker::tell || s.buffered == 0) return false;
  --s.buffered;
  return true;
}

inline bool event_redelivery::drain_in_time(state& s, index_t e) const {
  if (!is_in_hand(s, e) || s.buffered == 0) return false;
  --s.buffered;
  return true;
}

// The contract's, with more than their name.

inline bool event_redelivery::publish_and_cache(state& s, index_t p) const {
  if (!base_.publish(s.base, p)) return false;
  s.cached[hand(s, p)] = true;
  return true;
}

inline bool event_redelivery::free_entry(state& s, index_t e) const {
  if (!base_.free(s.base, e)) return false;
  s.cached[e] = false;
  return true;
}

inline bool event_redelivery::silence_and_exit(state& s, index_t p, index_t n) const {
  return is_at(s, p, stage::rest) && s.inside == 0 && base_.exit_begin(s.base, p, n);
}

inline bool event_redelivery::as_track(state& s, index_t p) const {
  return is_at(s, p, stage::rest) && base_.track(s.base, p, timeout_, 0);
}

}  // namespace ct::model
