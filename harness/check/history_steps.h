// SPDX-License-Identifier: BSD-2-Clause
/// Bodies of history_spec: the steps that change what is linked.
#pragma once

#include "harness/check/history_spec.h"

namespace ct::check {

template <class Emit>
void history_spec::steps(const configuration& c, std::size_t place, Emit&& emit) const {
  if (c.done.has(place)) return;
  const called& by = calls[place];
  switch (by.deed) {
    case deed::miss: {
      configuration next = c;
      if (!take_away(next, by.op.key, &by)) return;
      next.done.add(place);
      emit(std::move(next));
      return;
    }
    case deed::lose:
      return steps_of_loser(c, place, emit);
    case deed::hit:
    case deed::join:
      return steps_of_foundling(c, place, emit);
    case deed::link:
      return steps_of_link(c, place, emit);
    case deed::kill:
      return steps_of_kill(c, place, emit);
    case deed::walk:
      return steps_of_walk(c, place, emit);
    case deed::nothing:
    case deed::clash:
      return;
  }
}

/// Both tuples at once; one of two, where that is allowed; or the reply alone beside another flow.
template <class Emit>
void history_spec::steps_of_link(const configuration& c, std::size_t place, Emit&& emit) const {
  const called& by = calls[place];
  if (allows.has(allowance::half_confirm)) steps_of_half(c, place, emit);
  const auto is_mine = [&](const slot& s) { return s.half == place + 1; };
  if (std::ranges::any_of(c.slots, is_mine)) return;
  if (may_reply_alone(c, by)) {
    configuration next = c;
    if (take_away(next, by.op.other, nullptr)) {
      next.slots.insert({.entry = by.entry, .links = reply_link, .half = alone});
      next.done.add(place);
      emit(std::move(next));
    }
  }
  configuration next = c;
  if (!take_away(next, by.op.key, nullptr)) return;
  if (!take_away(next, by.op.other, nullptr)) return;
  next.slots.insert({.entry = by.entry, .links = both_links});
  next.done.add(place);
  emit(std::move(next));
}

inline bool history_spec::may_reply_alone(const configuration& c, const called& by) const {
  if (by.op.verb != verb::confirm || !allows.has(allowance::clash_reply_only)) return false;
  bool is_taken = false;
  for (const slot& s : c.slots) {
    if (links_under(s, by.op.key) == 0) continue;
    const entry& w = of(s);
    if (w.has(by.op.key) && w.has(by.op.other)) return false;  // the same flow
    is_taken = true;
  }
  return is_taken;
}

template <class Emit>
void history_spec::steps_of_half(const configuration& c, std::size_t place, Emit&& emit) const {
  const called& by = calls[place];
  configuration next = c;
  for (slot& s : next.slots) {
    if (s.half != place + 1) continue;
    const std::uint32_t left = s.links == original_link ? by.op.other : by.op.key;
    if (!take_away(next, left, nullptr)) return;
    for (slot& own : next.slots) {
      if (own.half != place + 1) continue;
      own.links = both_links;
      own.half = 0;
    }
    next.done.add(place);
    emit(std::move(next));
    return;
  }
  for (const std::uint8_t first : {original_link, reply_link}) {
    next = c;
    if (!take_away(next, first == original_link ? by.op.key : by.op.other, nullptr)) continue;
    next.slots.insert(
        {.entry = by.entry, .links = first, .half = static_cast<std::uint8_t>(place + 1)});
    emit(std::move(next));
  }
}

/// Somebody may have claimed the entry who is no operation: a reaper. Or its own destroy event was
/// refused, and it has unlinked what it says it lost.
template <class Emit>
void history_spec::steps_of_loser(const configuration& c, std::size_t place, Emit&& emit) const {
  const called& by = calls[place];
  const bool has_begun =
      std::ranges::any_of(c.slots, [&](const slot& s) { return s.owner == place + 1; });
  if (has_begun) return steps_of_kill(c, place, emit);
  configuration next = c;
  if ((refuses_destroy && fits(c, place)) || take_away(next, by.op.key, &by)) {
    next.done.add(place);
    emit(std::move(next));
  }
  for (std::size_t i = 0; allows_early_loser() && i < c.slots.size(); ++i) {
    const slot& s = c.slots[i];
    if (links_under(s, by.op.key) == 0 || s.owner != 0 || !is_reapable(s)) continue;
    next = c;
    next.slots[i].owner = reaper;
    next.done.add(place);
    emit(std::move(next));
  }
  if (refuses_destroy) steps_of_kill(c, place, emit);
}

template <class Emit>
void history_spec::steps_of_kill(const configuration& c, std::size_t place, Emit&& emit) const {
  const called& by = calls[place];
  for (std::size_t i = 0; i < c.slots.size(); ++i) {
    if (c.slots[i].owner == place + 1) return unlink(c, i, place, emit);
  }
  if (!is_first_of_its_like(c, place)) return;
  for (std::size_t i = 0; i < c.slots.size(); ++i) {
    const slot& s = c.slots[i];
    if (links_under(s, by.op.key) == 0 || s.owner != 0 || s.is_half()) continue;
    if (!may_live(c, s, by)) continue;
    claim(c, i, place, emit);
  }
}

/// Of several kills that were won and differ only in their ends, the one that ends first goes
/// first: each of the others could do for it what it does, and it for them. Not so where a kill
/// that lost may have unlinked, or an entry have keys of two flows: then one that ends later may
/// unlink later.
inline bool history_spec::is_first_of_its_like(const configuration& c, std::size_t place) const {
  const called& by = calls[place];
  if (by.deed == deed::lose || has_several_flows) return true;
  bool is_first = true;
  active.for_each([&](std::size_t p) {
    const called& o = calls[p];
    if (p == place || o.deed != by.deed || c.done.has(p) || o.op.key != by.op.key) return;
    if (o.now.lo != by.now.lo || o.is_optional != by.is_optional) return;
    if (o.op.ret > by.op.ret || (o.op.ret == by.op.ret && p > place)) return;
    for (const slot& s : c.slots) {
      if (s.owner == p + 1) return;
    }
    is_first = false;
  });
  return is_first;
}

template <class Emit>
void history_spec::steps_of_walk(const configuration& c, std::size_t place, Emit&& emit) const {
  const called& by = calls[place];
  for (std::size_t i = 0; i < c.slots.size(); ++i) {
    const slot& s = c.slots[i];
    if (s.owner == place + 1) {
      unlink(c, i, place, emit);
    } else if ((s.walks & by.walk) != 0 && is_reapable(s)) {
      configuration next = c;
      if (allows_early_loser()) {  // whoever reaps it may not have unlinked it yet
        next.slots[i].owner = reaper;
      } else {
        drop(next, i);
      }
      if (!allows_early_loser() || s.owner == 0) emit(std::move(next));
    }
    if (s.owner == 0 && (s.links & reply_link) != 0 && !s.is_half() && may_kill(by)) {
      claim(c, i, place, emit);
    }
  }
}

/// That it is claimed shows only to who comes to kill it too. Without such the claim and the first
/// unlink are one step.
template <class Emit>
void history_spec::claim(const configuration& c,
                         std::size_t slot_index,
                         std::size_t place,
                         Emit&& emit) const {
  configuration next = c;
  next.slots[slot_index].owner = static_cast<std::uint8_t>(place + 1);
  if (allows_early_loser() && !losers.without(c.done).is_empty()) {
    emit(std::move(next));
  } else {
    unlink(next, slot_index, place, emit);
  }
}

template <class Emit>
void history_spec::unlink(const configuration& c,
                          std::size_t slot_index,
                          std::size_t place,
                          Emit&& emit) const {
  configuration next = c;
  if (allows.has(allowance::two_phase_delete) && c.slots[slot_index].links == both_links) {
    next.slots[slot_index].links = reply_link;
  } else {
    drop(next, slot_index);
    if (calls[place].deed != deed::walk) next.done.add(place);
  }
  emit(std::move(next));
}

/// An id that no `in` made is that of a created entry, which had none so far.
template <class Emit>
void history_spec::steps_of_foundling(const configuration& c,
                                      std::size_t place,
                                      Emit&& emit) const {
  const called& by = calls[place];
  if (by.entry == no_entry) return;
  entry& foundling = (*entries)[by.entry];
  if (!foundling.is_foundling || foundling.is_settled || find(c, by.entry) != nullptr) return;
  for (std::size_t i = 0; i < c.slots.size(); ++i) {
    const slot s = c.slots[i];
    const entry& made = of(s);
    const bool is_alike = made.key_original == foundling.key_original ||
                          (foundling.is_turnable && made.key_original == foundling.key_reply);
    if (made.id != 0 || !is_alike) continue;
    foundling.key_original = made.key_original;
    foundling.key_reply = made.key_reply;
    configuration next = c;
    next.slots.erase(i);
    slot renamed = s;
    renamed.entry = by.entry;
    next.slots.insert(renamed);
    foundling.timeout.absorb(made.timeout, made.linked_ret);
    foundling.is_perishable = foundling.is_perishable || made.is_perishable;
    foundling.linked_call = made.linked_call;
    foundling.linked_ret = made.linked_ret;
    foundling.linked_number = made.linked_number;
    foundling.is_confirmed = true;
    if (!fits(next, place)) continue;
    next.done.add(place);
    emit(std::move(next));
  }
}

}  // namespace ct::check
