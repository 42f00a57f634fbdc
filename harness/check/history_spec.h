// SPDX-License-Identifier: BSD-2-Clause
/// What the operations of a history do to the table, step by step: the contract machine
/// (spec/model/conntrack.h), cut down to what answers can show.
///
/// A configuration says how far each operation under way has come and which entries are linked, by
/// which of their tuples, claimed by whom. Everything else (which keys an entry has, when it may
/// expire) is the same in every configuration and stands in `entry`. An operation either reads, if
/// its answer fits the configuration, and changes nothing; or it has steps, each atomic, that do.
///
/// Who removes an expired entry, or one that a full table gave up, is no operation of its own: any
/// lookup, gc, the clock. Such an entry is perishable, and from then on for ever: it may be claimed
/// and unlinked at any moment by `reaper`. That is not tried at every moment: an operation that
/// needs the entry gone takes it away just before itself, as little of it as it needs. A removal is
/// never undone and hinders nobody who does not see it, so to put it off loses nothing.
///
/// What the handling of each allowance rests on: docs/check.md.
#pragma once

#include "harness/check/checker.h"
#include "harness/check/deadline.h"
#include "harness/check/history.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace ct::check {

inline constexpr std::uint32_t no_entry = ~std::uint32_t{0};

/// What an operation has to do with the links of its partition.
enum class deed : std::uint8_t {
  nothing,
  hit,    ///< reads: the entry is linked by that key
  miss,   ///< reads: none is, or what is has expired
  join,   ///< reads: the entry is linked by one of two keys
  clash,  ///< reads: some entry is linked by one of two keys
  lose,   ///< reads: a miss; or what is linked is claimed
  link,   ///< an entry becomes linked
  kill,   ///< an entry is claimed and unlinked
  walk,   ///< so is whatever was linked when it began
};

/// An operation under way.
struct called {
  operation op;
  std::uint64_t number = 0;  ///< in the history
  clock_window now;
  std::uint32_t entry = no_entry;  ///< hit, join: which; link: the new one
  check::deed deed = check::deed::nothing;
  std::uint32_t own = no_entry;  ///< the one that the packet holds
  std::uint32_t open = 0;        ///< the judge's number for it
  std::int32_t put_before = 0;   ///< look: references that were put for certain when it began
  std::uint8_t walk = 0;         ///< walk: its bit in slot::walks
  bool stores = false;           ///< hit, link: it gives the entry a timeout
  bool is_optional = false;      ///< it need not have happened
};

/// What is known of an entry, whatever the configuration.
struct entry {
  std::uint64_t id = 0;  ///< 0: a `create` made it, and nobody has found it yet
  std::uint32_t key_original = 0;
  std::uint32_t key_reply = 0;
  std::uint64_t linked_call = 0;  ///< its confirm's; and its end
  std::uint64_t linked_ret = 0;
  std::uint64_t linked_number = 0;
  deadline timeout;
  std::uint32_t timeout_relative = 0;
  std::uint32_t mentions = 0;  ///< operations under way that name it
  std::int32_t taken = 0;      ///< references that may have been taken
  std::int32_t put = 0;        ///< and those put for certain
  std::int32_t held = 0;       ///< those that are there for certain
  bool is_confirmed = false;   ///< a confirm of it was called
  bool is_foundling = false;   ///< no `in` made it: it can only be a created one
  bool is_turnable = false;    ///< foundling: which of its keys is the original, nobody has seen
  bool is_settled = false;     ///< foundling: it has an entry of a `create` in every configuration
  bool is_perishable = false;  ///< whoever reaps may have claimed it
  bool is_gone = false;        ///< in no configuration is it linked, or will be
  bool is_living = false;      ///< this memory is in use

  bool has(std::uint32_t key) const { return key_original == key || key_reply == key; }
};

inline constexpr std::uint8_t original_link = 1;
inline constexpr std::uint8_t reply_link = 2;
inline constexpr std::uint8_t both_links = original_link | reply_link;
inline constexpr std::uint8_t reaper = 255;
inline constexpr std::uint8_t alone = 254;  ///< the reply was linked alone: a second to live

/// A linked entry.
struct slot {
  std::uint32_t entry = 0;
  std::uint8_t links = 0;  ///< 0: a foundling that is gone, and must not come again
  std::uint8_t owner = 0;  ///< who claimed it: 1 + place of the operation, or `reaper`; 0: nobody
  std::uint8_t walks = 0;  ///< those that have to see it unlinked
  std::uint8_t half = 0;   ///< 1 + place of the confirm that has linked one tuple of two; or alone
  bool is_half() const { return half != 0 && half != alone; }
  friend bool operator==(const slot&, const slot&) = default;
};

/// The slots, sorted by entry. Few, nearly always: no memory of their own then.
class slot_list {
 public:
  std::size_t size() const { return more_.empty() ? count_ : more_.size(); }
  slot* begin() { return more_.empty() ? few_.data() : more_.data(); }
  slot* end() { return begin() + size(); }
  const slot* begin() const { return more_.empty() ? few_.data() : more_.data(); }
  const slot* end() const { return begin() + size(); }
  slot& operator[](std::size_t i) { return begin()[i]; }
  const slot& operator[](std::size_t i) const { return begin()[i]; }
  void erase(std::size_t i) {
    std::copy(begin() + i + 1, end(), begin() + i);
    if (more_.empty()) {
      --count_;
      return;
    }
    more_.pop_back();
    if (more_.size() == few_.size()) {
      std::ranges::copy(more_, few_.begin());
      count_ = static_cast<std::uint8_t>(few_.size());
      more_.clear();
    }
  }
  void insert(slot s) {
    if (more_.empty() && count_ == few_.size()) more_.assign(few_.begin(), few_.end());
    if (more_.empty()) {
      few_[count_++] = s;
    } else {
      more_.push_back(s);
    }
    for (slot* at = end() - 1; at != begin() && at[-1].entry > at->entry; --at) {
      std::swap(at[-1], *at);
    }
  }
  friend bool operator==(const slot_list& a, const slot_list& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  std::array<slot, 4> few_{};
  std::vector<slot> more_;
  std::uint8_t count_ = 0;
};

struct configuration {
  place_set done;  ///< operations under way that need nothing more
  slot_list slots;
};

/// Mistakes in the checker itself, which its tests must notice.
enum class planted_rule : std::uint8_t {
  none,
  step_is_a_read,        ///< who changes something does it as early as it can be done
  maybe_is_gone,         ///< what is perishable is taken for gone
  maybe_is_there,        ///< what is perishable stays for ever
  read_ignores_deadline  ///< a lookup may find what has expired
};

/// Of one partition. `calls[place]` is under way.
class history_spec {
 public:
  allowances allows;
  bool refuses_destroy = false;
  bool has_several_flows = false;
  planted_rule planted = planted_rule::none;
  std::vector<entry>* entries = nullptr;
  std::vector<called> calls;  // [place]
  place_set active;           // places in use
  place_set losers;           // and those of deeds to which a claim alone matters

  /// The answer of a read fits.
  bool fits(const configuration& c, std::size_t place) const;
  /// Every step that the operation may take now and that changes more than its own `done`.
  template <class Emit>
  void steps(const configuration& c, std::size_t place, Emit&& emit) const;
  /// It may end as it stands here.
  bool may_end(const configuration& c, std::size_t place) const;
  /// What is linked has to be gone when the walk ends.
  void begin_walk(configuration& c, std::size_t place) const;
  /// A walk counts the kills that it won; one that was refused it did not win.
  bool may_kill(const called& walk) const { return walk.op.number != 0 || refuses_destroy; }
  /// Does it change nothing, if its answer fits?
  bool reads(deed d) const {
    return d >= deed::hit && d <= deed::lose && !(d == deed::lose && refuses_destroy);
  }

  entry& of(const slot& s) const { return (*entries)[s.entry]; }
  static const slot* find(const configuration& c, std::uint32_t entry) {
    for (const slot& s : c.slots) {
      if (s.entry == entry) return &s;
    }
    return nullptr;
  }
  /// By which links is it found under that key?
  std::uint8_t links_under(const slot& s, std::uint32_t key) const {
    const entry& e = of(s);
    return static_cast<std::uint8_t>(s.links & ((e.key_original == key ? original_link : 0U) |
                                                (e.key_reply == key ? reply_link : 0U)));
  }
  bool may_live(const configuration& c, const slot& s, const called& by) const {
    return planted == planted_rule::read_ignores_deadline ||
           of(s).timeout.latest(c.done) > by.now.lo;
  }
  bool may_have_expired(const configuration& c, const slot& s, const called& by) const {
    return of(s).timeout.earliest(c.done) <= by.now.hi;
  }

 private:
  bool is_reapable(const slot& s) const {
    return planted != planted_rule::maybe_is_there && (of(s).is_perishable || s.half == alone) &&
           (s.owner == 0 || s.owner == reaper) && !s.is_half();
  }
  bool allows_early_loser() const { return allows.has(allowance::loser_returns_early); }
  bool is_missed(const configuration& c, std::uint32_t key, const called& by) const;
  bool is_in_the_way(const configuration& c, const slot& s, const called& by) const;
  bool take_away(configuration& c, std::uint32_t key, const called* misses) const;
  template <class Emit>
  void steps_of_link(const configuration& c, std::size_t place, Emit&& emit) const;
  template <class Emit>
  void steps_of_half(const configuration& c, std::size_t place, Emit&& emit) const;
  template <class Emit>
  void steps_of_kill(const configuration& c, std::size_t place, Emit&& emit) const;
  template <class Emit>
  void steps_of_loser(const configuration& c, std::size_t place, Emit&& emit) const;
  template <class Emit>
  void steps_of_walk(const configuration& c, std::size_t place, Emit&& emit) const;
  template <class Emit>
  void steps_of_foundling(const configuration& c, std::size_t place, Emit&& emit) const;
  template <class Emit>
  void claim(const configuration& c, std::size_t slot_index, std::size_t place, Emit&& emit) const;
  template <class Emit>
  void unlink(const configuration& c, std::size_t slot_index, std::size_t place, Emit&& emit) const;
  bool may_reply_alone(const configuration& c, const called& by) const;
  bool is_first_of_its_like(const configuration& c, std::size_t place) const;
  void drop(configuration& c, std::size_t slot_index) const;
};

inline bool history_spec::is_missed(const configuration& c,
                                    std::uint32_t key,
                                    const called& by) const {
  return std::ranges::all_of(c.slots, [&](const slot& s) {
    if (links_under(s, key) == 0) return true;
    if (planted == planted_rule::maybe_is_gone && of(s).is_perishable) return true;
    return may_have_expired(c, s, by);
  });
}

inline bool history_spec::is_in_the_way(const configuration& c,
                                        const slot& s,
                                        const called& by) const {
  if (s.entry == by.entry) return false;
  if ((links_under(s, by.op.key) | links_under(s, by.op.other)) == 0) return false;
  return allows.has(allowance::lazy_expiry) || may_live(c, s, by);
}

inline bool history_spec::fits(const configuration& c, std::size_t place) const {
  const called& by = calls[place];
  switch (by.deed) {
    case deed::hit: {
      const slot* const s = find(c, by.entry);
      if (s == nullptr) return false;
      if (planted == planted_rule::maybe_is_gone && of(*s).is_perishable) return false;
      const std::uint8_t wanted = by.op.is_reply ? reply_link : original_link;
      return (links_under(*s, by.op.key) & wanted) != 0 && may_live(c, *s, by);
    }
    case deed::join: {
      const slot* const s = find(c, by.entry);
      return s != nullptr && !s->is_half() && allows.has(allowance::clash_merge) &&
             of(*s).has(by.op.key) && of(*s).has(by.op.other) &&
             (links_under(*s, by.op.key) | links_under(*s, by.op.other)) != 0;
    }
    case deed::miss:
      return is_missed(c, by.op.key, by);
    case deed::clash:
      return std::ranges::any_of(c.slots, [&](const slot& s) { return is_in_the_way(c, s, by); });
    case deed::lose:
      return is_missed(c, by.op.key, by) ||
             (allows_early_loser() && std::ranges::any_of(c.slots, [&](const slot& s) {
                return links_under(s, by.op.key) != 0 && s.owner != 0 && s.owner != place + 1;
              }));
    case deed::nothing:
    case deed::link:
    case deed::kill:
    case deed::walk:
      return false;
  }
  return false;
}

inline void history_spec::drop(configuration& c, std::size_t slot_index) const {
  slot& s = c.slots[slot_index];
  const entry& e = of(s);
  if (e.is_foundling && !e.is_settled) {
    s = {.entry = s.entry};  // stays as a mark: it cannot be another one later
  } else {
    c.slots.erase(slot_index);
  }
}

/// Reaps what is linked by the key, only so far that the key misses it. With `misses`: what that
/// lookup may take for expired stays. False: something stands there for good.
inline bool history_spec::take_away(configuration& c,
                                    std::uint32_t key,
                                    const called* misses) const {
  for (std::size_t i = c.slots.size(); i-- > 0;) {
    slot& s = c.slots[i];
    const std::uint8_t links = links_under(s, key);
    if (links == 0 || (misses != nullptr && may_have_expired(c, s, *misses))) continue;
    if (!is_reapable(s)) return false;
    const bool is_half_enough =
        allows.has(allowance::two_phase_delete) && links == original_link && s.links == both_links;
    if (is_half_enough) {
      s.links = reply_link;
      s.owner = reaper;
    } else {
      drop(c, i);
    }
  }
  return true;
}

inline bool history_spec::may_end(const configuration& c, std::size_t place) const {
  if (c.done.has(place)) return true;
  const called& by = calls[place];
  const auto is_mine = [&](const slot& s) { return s.owner == place + 1 || s.half == place + 1; };
  if (by.deed == deed::nothing) return true;
  if (by.deed == deed::walk) {
    return std::ranges::none_of(c.slots, [&](const slot& s) {
      if (is_mine(s)) return true;
      const bool is_left = s.links != 0 && (s.walks & by.walk) != 0;
      return is_left && !by.is_optional && !(s.owner != 0 && allows_early_loser());
    });
  }
  return by.is_optional && std::ranges::none_of(c.slots, is_mine);
}

inline void history_spec::begin_walk(configuration& c, std::size_t place) const {
  for (slot& s : c.slots) {
    // Half linked, it is not confirmed yet: no walk takes it.
    if ((s.links & reply_link) != 0 && !s.is_half()) {
      s.walks = static_cast<std::uint8_t>(s.walks | calls[place].walk);
    }
  }
}

}  // namespace ct::check

#include "harness/check/history_steps.h"
