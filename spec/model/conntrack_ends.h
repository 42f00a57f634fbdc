// SPDX-License-Identifier: BSD-2-Clause
/// Actions of the contract machine: kill, references, and what goes on beside packets.
#pragma once

#include "spec/model/conntrack.h"

namespace ct::model {

// kill.

template <class Room>
bool basic_conntrack<Room>::reap(state& s, index_t p) const {
  if (s.cpu[p].pc != place::reap) return false;
  const entry_state& e = at_hand(s, p);
  go(s, p, e.status == life::confirmed && e.ttl == 0 ? place::claim : place::release);
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::claim(state& s, index_t p) const {
  if (s.cpu[p].pc != place::claim || at_hand(s, p).dying) return false;
  go(s, p, place::tell);
  at_hand(s, p).dying = true;
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::claim_lost(state& s, index_t p) const {
  if (s.cpu[p].pc != place::claim || !at_hand(s, p).dying) return false;
  if (!allows_.loser_returns_early && at_hand(s, p).linked != 0) return false;
  go(s, p, is_fault("loser_puts_too") ? place::put_table : place::release);
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::spare(state& s, index_t p) const {
  if (s.cpu[p].pc != place::claim) return false;
  const place then = s.cpu[p].then;
  const bool is_filtered = then == place::walk && may_.filter;
  const bool is_assured =
      (then == place::full || then == place::making_room || then == place::room) &&
      at_hand(s, p).assured;
  if (!is_filtered && !is_assured) return false;
  go(s, p, place::release);
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::tell(state& s, index_t p) const {
  if (s.cpu[p].pc != place::tell) return false;
  entry_state& e = at_hand(s, p);
  if (!e.silent && refuses(s, e)) return false;
  go(s, p, place::unlink_original);
  if (!e.silent) e.told = after(e.told, message::destroy);
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::tell_refused(state& s, index_t p) const {
  if (s.cpu[p].pc != place::tell) return false;
  entry_state& e = at_hand(s, p);
  if (e.silent || !refuses(s, e)) return false;
  go(s, p, place::unlink_original);
  if (!is_fault("refused_and_forgotten")) e.parked = parking::refused;
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::unlink_original(state& s, index_t p) const {
  if (s.cpu[p].pc != place::unlink_original || is_locked(s, p, at_hand(s, p))) return false;
  entry_state& e = at_hand(s, p);
  go(s, p, allows_.two_phase_delete ? place::unlink_reply : unlinked(e));
  e.linked = allows_.two_phase_delete ? e.linked & reply : 0;
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::unlink_reply(state& s, index_t p) const {
  if (s.cpu[p].pc != place::unlink_reply) return false;
  entry_state& e = at_hand(s, p);
  go(s, p, unlinked(e));
  if (!is_fault("reply_stays")) e.linked &= original;
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::put_table(state& s, index_t p) const {
  if (s.cpu[p].pc != place::put_table) return false;
  go(s, p, place::release);
  --at_hand(s, p).use;
  if (s.cpu[p].then == place::making_room) s.cpu[p].then = place::room;
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::park(state& s, index_t p) const {
  if (s.cpu[p].pc != place::park) return false;
  go(s, p, place::release);
  at_hand(s, p).parked = parking::waiting;
  return done(s);
}

// References and memory.

template <class Room>
bool basic_conntrack<Room>::put(state& s, index_t p) const {
  cpu_state& cpu = s.cpu[p];
  if (cpu.pc != place::release) return false;
  cpu.pc = cpu.then == place::making_room ? place::full : cpu.then;
  cpu.then = place::idle;
  if (cpu.pc == place::idle || cpu.pc == place::walk) cpu.want = 0;
  --at_hand(s, p).use;
  cpu.at = 0;
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::free(state& s, index_t e) const {
  entry_state& entry = s.entry[e];
  if (entry.status == life::free || s.net[net_of(entry)].freed >= cpus()) return false;
  const bool is_too_early = is_fault("freed_too_early") && entry.dying && entry.use == 1;
  if (entry.use != 0 && !is_too_early) return false;
  ++s.net[net_of(entry)].freed;
  entry = {.use = entry.use, .parked = entry.parked};
  for (index_t p = 0; p < cpus(); ++p) s.cpu[p].todo.remove(e);
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::uncount(state& s, index_t n) const {
  if (s.net[n].freed == 0) return false;
  --s.net[n].freed;
  --s.net[n].count;
  return done(s);
}

// What else goes on.

template <class Room>
bool basic_conntrack<Room>::tick(state& s, index_t ticks) const {
  if (!may_.clock || (Room::is_search && ticks != 1)) return false;
  bool is_change = false;
  for (index_t e = 0; e < entries(); ++e) {
    entry_state& entry = s.entry[e];
    if (entry.status != life::confirmed || entry.ttl == 0) continue;
    is_change = true;
    entry.ttl = entry.ttl > ticks ? static_cast<number>(entry.ttl - ticks) : number{0};
  }
  // A recorded clock also goes on while nothing lives.
  return (is_change || !Room::is_search) && done(s);
}

template <class Room>
bool basic_conntrack<Room>::gc_visit(state& s, index_t p, index_t e) const {
  const entry_state& entry = s.entry[e];
  if (!is_idle_for(s, p, may_.gc)) return false;
  const bool is_there = entry.status == life::confirmed && entry.linked != 0 && entry.ttl == 0;
  if (!is_there && !(allows_.stale_visit && entry.use != 0)) return false;
  take(s, p, e, place::reap);
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::gc_drop(state& s, index_t p, index_t e) const {
  const entry_state& entry = s.entry[e];
  if (!is_idle_for(s, p, may_.gc) || !may_.early_drop) return false;
  if (entry.status != life::confirmed || entry.linked == 0 || entry.dying) return false;
  if (!is_nearly_full(s.net[net_of(entry)])) return false;
  take(s, p, e, place::claim);
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::redeliver(state& s, index_t e) const {
  entry_state& entry = s.entry[e];
  if (entry.parked != parking::waiting || refuses(s, entry)) return false;
  entry.told = after(entry.told, message::destroy);
  entry.parked = allows_.put_after_telling ? parking::told : parking::no;
  if (!allows_.put_after_telling) --entry.use;
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::put_parked(state& s, index_t e) const {
  entry_state& entry = s.entry[e];
  if (entry.parked != parking::told) return false;
  entry.parked = parking::no;
  --entry.use;
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::stall(state& s) const {
  if (!may_.listener || s.deaf) return false;
  s.deaf = true;
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::recover(state& s) const {
  if (!s.deaf) return false;
  s.deaf = false;
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::is_walked(const state& s) const {
  return std::any_of(s.cpu.begin(), s.cpu.begin() + cpus(), [](const cpu_state& cpu) {
    return !cpu.scope.is_empty();
  });
}

template <class Room>
void basic_conntrack<Room>::walk(state& s, index_t p, set scope) const {
  go(s, p, place::walk);
  s.cpu[p].scope = scope;
  for (index_t e = 0; e < entries(); ++e) {
    const entry_state& entry = s.entry[e];
    if (entry.status == life::confirmed && (entry.linked & reply) != 0 &&
        scope.has(net_of(entry))) {
      s.cpu[p].todo.add(e);
    }
  }
}

template <class Room>
bool basic_conntrack<Room>::flush_begin(state& s, index_t p) const {
  if (!is_idle_for(s, p, may_.flush) || s.resizing || is_walked(s)) return false;
  set all;
  for (index_t n = 0; n < nets(); ++n) all.add(n);
  walk(s, p, all);
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::exit_begin(state& s, index_t p, index_t n) const {
  if (!is_idle_for(s, p, may_.exit) || s.resizing || is_walked(s)) return false;
  set one;
  one.add(n);
  walk(s, p, one);
  s.net[n].is_exiting = true;
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::walk_visit(state& s, index_t p, index_t e) const {
  cpu_state& cpu = s.cpu[p];
  const entry_state& entry = s.entry[e];
  if (cpu.pc != place::walk) return false;
  if (entry.status != life::confirmed || (entry.linked & reply) == 0) return false;
  if (!cpu.scope.has(net_of(entry)) || !(cpu.todo.has(e) || allows_.weak_dump)) return false;
  take(s, p, e, place::claim);
  cpu.then = place::walk;
  cpu.todo.remove(e);
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::walk_end(state& s, index_t p) const {
  cpu_state& cpu = s.cpu[p];
  if (cpu.pc != place::walk) return false;
  for (index_t e = 0; e < entries(); ++e) {
    if (cpu.todo.has(e) && (s.entry[e].linked & reply) != 0) return false;
  }
  cpu.pc = place::idle;
  cpu.scope.clear();
  cpu.todo.clear();
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::exit_end(state& s, index_t p, index_t n) const {
  if (!is_idle_for(s, p, may_.exit) || !s.net[n].is_exiting || s.net[n].count != 0) return false;
  s.net[n].is_exiting = false;
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::resize_begin(state& s, index_t p) const {
  if (!is_idle_for(s, p, may_.resize) || s.resizing || is_walked(s)) return false;
  for (index_t q = 0; q < cpus(); ++q) {
    if (is_critical(s.cpu[q].pc)) return false;
  }
  s.resizing = true;
  go(s, p, place::resize);
  return done(s);
}

template <class Room>
bool basic_conntrack<Room>::resize_end(state& s, index_t p) const {
  if (s.cpu[p].pc != place::resize) return false;
  s.resizing = false;
  go(s, p, place::idle);
  return done(s);
}

}  // namespace ct::model
