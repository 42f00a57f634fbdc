// SPDX-License-Identifier: BSD-2-Clause
/// Actions of the contract machine, up to confirm, in the order of the TLA+ module: a guard, then
/// the effect.
#pragma once

#include "spec/model/conntrack.h"

namespace ct::model {

template <class Room>
void basic_conntrack<Room>::watch(state& s) const {
  for (index_t p = 0; p < cpus(); ++p) {
    cpu_state& cpu = s.cpu[p];
    if (cpu.pc != place::lookup) {
      cpu.seen.clear();
      cpu.unseen = false;
      continue;
    }
    bool is_there = false;
    for (index_t e = 0; e < entries(); ++e) {
      if (finds(s.entry[e], cpu.want)) {
        cpu.seen.add(e);
        is_there = true;
      } else if (allows_.late_refresh && answers_to(s.entry[e], cpu.want)) {
        cpu.seen.add(e);
      } else if (s.entry[e].status == life::free) {
        cpu.seen.remove(e);
      }
    }
    if (!is_there || (s.resizing && allows_.miss_during_resize)) cpu.unseen = true;
  }
}

// A packet's way: lookup.

template <class Room>
bool basic_conntrack<Room>::packet(state& s, index_t p, index_t k) const {
  const auto key = static_cast<number>(k + 1);
  if (s.cpu[p].pc != place::idle || is_worker(p)) return false;
  if (s.net[net_of_key(key)].is_exiting && !may_.late_packets) return false;
  go(s, p, place::lookup);
  s.cpu[p].want = key;
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::obtain(state& s, index_t p, index_t e, place to) const {
  number& at = s.cpu[p].at;
  if ((at != 0 && at != e + 1) || s.entry[e].use == 0) return false;
  if (at == 0) ++s.entry[e].use;
  at = static_cast<number>(e + 1);
  go(s, p, to);
  return true;
}

template <class Room>
bool basic_conntrack<Room>::find_get(state& s, index_t p, index_t e) const {
  const cpu_state& cpu = s.cpu[p];
  if (cpu.pc != place::lookup) return false;
  const bool is_stale = is_fault("stale_find") && s.entry[e].status == life::confirmed &&
                        has_key(s.entry[e], cpu.want);
  const bool was_there = cpu.seen.has(e) && !(allows_.late_refresh && s.entry[e].ttl == 0);
  if (!was_there && !is_stale) return false;
  return obtain(s, p, e, place::track) && done(s);
}

template <class Room>
bool basic_conntrack<Room>::glance(state& s, index_t p, index_t e) const {
  if (!allows_.passing_reference || s.cpu[p].pc != place::lookup || s.cpu[p].at != 0) return false;
  return obtain(s, p, e, place::lookup) && done(s);
}

template <class Room>
bool basic_conntrack<Room>::look_away(state& s, index_t p) const {
  if (s.cpu[p].pc != place::lookup || s.cpu[p].at == 0) return false;
  --at_hand(s, p).use;
  s.cpu[p].at = 0;
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::find_miss(state& s, index_t p) const {
  const cpu_state& cpu = s.cpu[p];
  if (cpu.pc != place::lookup || cpu.at != 0 || !cpu.unseen) return false;
  go(s, p, place::reserve);
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::find_expired(state& s, index_t p, index_t e) const {
  const cpu_state& cpu = s.cpu[p];
  const entry_state& entry = s.entry[e];
  if (cpu.pc != place::lookup || !cpu.unseen) return false;
  if (entry.status != life::confirmed || entry.ttl != 0 || !has_key(entry, cpu.want)) return false;
  if (!obtain(s, p, e, place::reap)) return false;
  s.cpu[p].then = place::reserve;
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::give_up(state& s, index_t p) const {
  if (s.cpu[p].pc != place::reserve || !may_.lookup) return false;
  go(s, p, place::idle);
  s.cpu[p].want = 0;
  return done(s);
}

// alloc.

template <class Room>
bool basic_conntrack<Room>::reserve(state& s, index_t p) const {
  if (s.cpu[p].pc != place::reserve) return false;
  netns_state& net = s.net[net_of_key(s.cpu[p].want)];
  const bool is_room = !net.is_exiting && net.count < max_;
  if (is_room || allows_.count_reserves) ++net.count;
  go(s, p, is_room ? place::alloc : net.is_exiting ? place::refuse : place::full);
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::early_drop(state& s, index_t p, index_t v) const {
  const place pc = s.cpu[p].pc;
  const entry_state& victim = s.entry[v];
  if ((pc != place::full && pc != place::room) || !may_.early_drop) return false;
  if (victim.status != life::confirmed || victim.linked == 0 || victim.dying) return false;
  if (victim.ttl != 0 && (victim.assured || net_of(victim) != net_of_key(s.cpu[p].want))) {
    return false;
  }
  s.cpu[p].then = pc == place::full && victim.ttl != 0 ? place::making_room : pc;
  take(s, p, v, place::claim);
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::refuse(state& s, index_t p) const {
  const place pc = s.cpu[p].pc;
  if (pc != place::full && pc != place::refuse) return false;
  go(s, p, place::idle);
  if (allows_.count_reserves && !is_fault("refused_and_counted")) {
    --s.net[net_of_key(s.cpu[p].want)].count;
  }
  s.cpu[p].want = 0;
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::alloc(state& s, index_t p, index_t e) const {
  const number want = s.cpu[p].want;
  const bool is_room = s.cpu[p].pc == place::room;
  if (s.cpu[p].pc != place::alloc && !is_room) return false;
  netns_state& net = s.net[net_of_key(want)];
  if (is_room && !allows_.count_reserves && net.count >= max_) return false;
  if (s.entry[e].status != life::free) return false;
  s.entry[e].status = life::unconfirmed;
  s.entry[e].key_original = want;
  s.entry[e].key_reply = inverse(want);
  if (is_room && !allows_.count_reserves) ++net.count;
  take(s, p, e, place::track);
  return done(s);
}

// What the tracker and the rules do with the entry at hand.

template <class Room>
bool basic_conntrack<Room>::track(state& s, index_t p, index_t timeout, index_t assures) const {
  if (s.cpu[p].pc != place::track) return false;
  if (Room::is_search && (timeout != timeout_ || (assures != 0 && !may_.early_drop))) return false;
  go(s, p, place::confirm);
  entry_state& e = at_hand(s, p);
  if (!e.silent) e.ttl = static_cast<number>(timeout);
  e.assured = e.assured || assures != 0;
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::alter_reply(state& s, index_t p, index_t k) const {
  if (s.cpu[p].pc != place::track || !may_.nat) return false;
  entry_state& e = at_hand(s, p);
  const auto key = static_cast<number>(k + 1);
  if (e.status != life::unconfirmed || e.key_reply != inverse(e.key_original)) return false;
  if (has_key(e, key) || net_of_key(key) != net_of(e)) return false;
  e.key_reply = key;
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::drop(state& s, index_t p) const {
  if (s.cpu[p].pc != place::track && s.cpu[p].pc != place::confirm) return false;
  go(s, p, place::release);
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::kill(state& s, index_t p, index_t again) const {
  if (s.cpu[p].pc != place::track || !may_.kill) return false;
  if (at_hand(s, p).status != life::confirmed) return false;
  go(s, p, place::claim);
  s.cpu[p].then = again != 0 ? place::lookup : place::idle;
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::kill_unconfirmed(state& s, index_t p) const {
  if (s.cpu[p].pc != place::track || !may_.kill) return false;
  if (at_hand(s, p).status != life::unconfirmed) return false;
  go(s, p, place::confirm);
  at_hand(s, p).dying = true;
  return done(s);
}

// confirm.

template <class Room>
bool basic_conntrack<Room>::is_locked(const state& s, index_t p, const entry_state& e) const {
  if (s.resizing) return true;
  for (index_t q = 0; q < cpus(); ++q) {
    if (q != p && is_critical(s.cpu[q].pc) && shares_a_key(at_hand(s, q), e)) return true;
  }
  return false;
}

template <class Room>
bool basic_conntrack<Room>::is_inserting(const state& s, index_t p) const {
  return s.cpu[p].pc == place::confirm && at_hand(s, p).status == life::unconfirmed &&
         !is_locked(s, p, at_hand(s, p));
}

/// Does another entry answer to this key, expired or not?
template <class Room>
bool basic_conntrack<Room>::clashes(const state& s, index_t e, number key) const {
  for (index_t w = 0; w < entries(); ++w) {
    if (w != e && s.entry[w].status == life::confirmed && is_linked_as(s.entry[w], key)) {
      return true;
    }
  }
  return false;
}

template <class Room>
bool basic_conntrack<Room>::is_same_flow(const entry_state& a, const entry_state& b) {
  return (a.key_original == b.key_original && a.key_reply == b.key_reply) ||
         (a.key_original == b.key_reply && a.key_reply == b.key_original);
}

template <class Room>
bool basic_conntrack<Room>::confirm(state& s, index_t p) const {
  if (!is_inserting(s, p)) return false;
  const index_t e = s.cpu[p].at - 1U;
  entry_state& entry = s.entry[e];
  if (entry.dying) return false;
  if (!is_fault("no_clash_search") &&
      (clashes(s, e, entry.key_original) || clashes(s, e, entry.key_reply))) {
    return false;
  }
  go(s, p, place::insert_original);
  ++entry.use;
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::insert_original(state& s, index_t p) const {
  if (s.cpu[p].pc != place::insert_original) return false;
  go(s, p, place::insert_reply);
  at_hand(s, p).linked |= original;
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::insert_reply(state& s, index_t p) const {
  if (s.cpu[p].pc != place::insert_reply) return false;
  go(s, p, place::publish);
  at_hand(s, p).linked |= reply;
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::publish(state& s, index_t p) const {
  if (s.cpu[p].pc != place::publish) return false;
  go(s, p, place::deliver);
  at_hand(s, p).status = life::confirmed;
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::confirm_dying(state& s, index_t p) const {
  if (!is_inserting(s, p) || !at_hand(s, p).dying) return false;
  go(s, p, place::release);
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::merge(state& s, index_t p, index_t w) const {
  if (!allows_.clash_merge || !is_inserting(s, p) || at_hand(s, p).dying) return false;
  entry_state& loser = at_hand(s, p);
  entry_state& winner = s.entry[w];
  if (&loser == &winner || winner.status != life::confirmed) return false;
  if (!is_linked_as(winner, loser.key_original) && !is_linked_as(winner, loser.key_reply)) {
    return false;
  }
  if (!is_same_flow(loser, winner)) return false;
  --loser.use;
  take(s, p, w, place::deliver);
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::link_reply(state& s, index_t p, index_t timeout) const {
  if (!allows_.clash_reply_only || !is_inserting(s, p) || at_hand(s, p).dying) return false;
  if (Room::is_search && timeout != 1) return false;
  const index_t e = s.cpu[p].at - 1U;
  entry_state& entry = s.entry[e];
  if (!clashes(s, e, entry.key_original) || clashes(s, e, entry.key_reply)) return false;
  for (index_t w = 0; w < entries(); ++w) {
    const entry_state& winner = s.entry[w];
    if (w != e && winner.status == life::confirmed && is_linked_as(winner, entry.key_original) &&
        is_same_flow(entry, winner)) {
      return false;
    }
  }
  go(s, p, place::insert_reply);
  ++entry.use;
  entry.ttl = static_cast<number>(timeout);
  entry.silent = true;
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::clash_drop(state& s, index_t p) const {
  if (!is_inserting(s, p) || at_hand(s, p).dying) return false;
  const index_t e = s.cpu[p].at - 1U;
  if (!clashes(s, e, s.entry[e].key_original) && !clashes(s, e, s.entry[e].key_reply)) {
    return false;
  }
  go(s, p, place::release);
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::chain_too_long(state& s, index_t p) const {
  if (!allows_.chain_too_long || !is_inserting(s, p) || at_hand(s, p).dying) return false;
  const auto linked = std::count_if(s.entry.begin(),
                                    s.entry.begin() + entries(),
                                    [](const auto& e) { return e.linked != 0; });
  if (static_cast<index_t>(linked) < chain_limit_) return false;
  go(s, p, place::release);
  return done(s);
}

template <class Room>
typename basic_conntrack<Room>::message basic_conntrack<Room>::after(message last, message next) {
  const bool is_alive = last == message::new_ || last == message::update;
  const bool is_right = next == message::new_     ? last == message::nothing
                        : next == message::update ? is_alive
                                                  : is_alive || last == message::nothing;
  return is_right ? next : message::broken;
}

template <class Room>
bool basic_conntrack<Room>::deliver(state& s, index_t p) const {
  const place pc = s.cpu[p].pc;
  if (pc != place::deliver && !(pc == place::confirm && at_hand(s, p).status == life::confirmed)) {
    return false;
  }
  go(s, p, place::release);
  entry_state& e = at_hand(s, p);
  const message next = e.told == message::nothing ? message::new_ : message::update;
  if (!e.silent && e.told != message::destroy && !refuses(s, e) &&
      (next == message::new_ || may_.update)) {
    e.told = after(e.told, next);
  }
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::leave_to_killer(state& s, index_t p) const {
  const place pc = s.cpu[p].pc;
  if (!allows_.killer_tells || (pc != place::deliver && pc != place::confirm)) return false;
  const entry_state& e = at_hand(s, p);
  if ((pc == place::confirm && e.status != life::confirmed) || !e.dying) return false;
  go(s, p, place::release);
  return done(s);
}

}  // namespace ct::model
