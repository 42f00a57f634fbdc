// SPDX-License-Identifier: BSD-2-Clause
/// Just-in-time linearization of one partition; see partition.h.
#include "harness/check/partition.h"

#include <algorithm>
#include <utility>

namespace ct::check {
namespace {

constexpr std::uint64_t mix(std::uint64_t h, std::uint64_t with) {
  h = (h ^ with) * 0x9e3779b97f4a7c15ULL;
  return h ^ h >> 29;
}

}  // namespace

void configuration_set::clear() {
  items_.clear();
  is_dominated_.clear();
  next_.clear();
  if (heads_.size() > 1024) heads_.resize(64);
  std::ranges::fill(heads_, none);
}

std::uint64_t configuration_set::hash(const configuration& c, const place_set& readers) {
  const place_set writers = c.done.without(readers);
  std::uint64_t h = mix(writers.word(0), writers.word(1));
  for (const slot& s : c.slots) {
    h = mix(h,
            std::uint64_t{s.entry} << 32 | std::uint64_t{s.links} << 24 |
                std::uint64_t{s.owner} << 16 | std::uint64_t{s.walks} << 8 | s.half);
  }
  return h ^ h >> 32;
}

void configuration_set::grow(const place_set& readers) {
  heads_.assign(std::max<std::size_t>(64, 2 * heads_.size()), none);
  for (std::uint32_t i = 0; i < items_.size(); ++i) {
    std::uint32_t& head = heads_[hash(items_[i], readers) & (heads_.size() - 1)];
    next_[i] = head;
    head = i;
  }
}

void configuration_set::add(configuration&& c, const place_set& readers) {
  if (items_.size() >= heads_.size()) grow(readers);
  std::uint32_t& head = heads_[hash(c, readers) & (heads_.size() - 1)];
  for (std::uint32_t i = head; i != none; i = next_[i]) {
    const configuration& o = items_[i];
    if (o.slots != c.slots || o.done.without(readers) != c.done.without(readers)) continue;
    if (o.done.contains(c.done)) return;
    if (c.done.contains(o.done)) is_dominated_[i] = 1;
  }
  next_.push_back(head);
  head = static_cast<std::uint32_t>(items_.size());
  items_.push_back(std::move(c));
  is_dominated_.push_back(0);
}

partition::partition(std::vector<entry>& entries,
                     allowances allows,
                     std::size_t configurations_max,
                     planted_rule planted,
                     bool refuses_destroy)
    : configurations_(1), configurations_max_(configurations_max) {
  spec_.allows = allows;
  spec_.entries = &entries;
  spec_.planted = planted;
  spec_.refuses_destroy = refuses_destroy;
}

bool partition::is_full() const {
  return spec_.active.lowest_free() >= places_max || walks_ == 0xffU;
}

std::size_t partition::call(called&& c) {
  const std::size_t place = spec_.active.lowest_free();
  if (place >= spec_.calls.size()) spec_.calls.resize(place + 1);
  spec_.calls[place] = std::move(c);
  called& now = spec_.calls[place];
  spec_.active.add(place);
  if (now.deed == deed::walk) {
    now.walk = static_cast<std::uint8_t>(~walks_ & (walks_ + 1U));
    walks_ = static_cast<std::uint8_t>(walks_ | now.walk);
    for (configuration& o : configurations_) spec_.begin_walk(o, place);
  }
  if (now.deed == deed::walk || now.deed == deed::lose) spec_.losers.add(place);
  if (spec_.planted == planted_rule::step_is_a_read) {
    for (configuration& o : configurations_) step_too_early(o);
  }
  if (!spec_.reads(now.deed)) return place;
  readers_.add(place);
  for (configuration& o : configurations_) {
    const bool fits = spec_.fits(o, place);
    if (fits) o.done.add(place);
    if (fits && now.stores) take_reads(o);
  }
  return place;
}

/// Wrong, and there to be found: see planted_rule.
void partition::step_too_early(configuration& c) const {
  spec_.active.without(c.done).for_each([&](std::size_t p) {
    configuration taken = c;
    spec_.steps(c, p, [&](configuration&& next) { taken = std::move(next); });
    c = taken;
  });
}

void partition::take_reads(configuration& c) const {
  if (spec_.planted == planted_rule::step_is_a_read) step_too_early(c);
  for (bool is_changed = true; is_changed;) {
    is_changed = false;
    readers_.without(c.done).for_each([&](std::size_t p) {
      if (!spec_.fits(c, p)) return;
      c.done.add(p);
      is_changed = is_changed || spec_.calls[p].stores;
    });
  }
}

bool partition::ret(std::size_t place) {
  const auto may_end = [&](const configuration& c) { return spec_.may_end(c, place); };
  const called& by = spec_.calls[place];
  // What it may have done and need not have, it cannot do any more.
  const bool has_choice = by.is_optional || (by.deed == deed::walk && spec_.may_kill(by));
  if ((has_choice || !std::ranges::all_of(configurations_, may_end)) && !explain(place)) {
    return false;
  }
  leave(place);
  return true;
}

/// Replaces the configurations by all those in which the operation may end.
bool partition::explain(std::size_t place) {
  const called& by = spec_.calls[place];
  const bool goes_on = by.deed == deed::walk || (by.is_optional && by.deed != deed::nothing);
  tried_.clear();
  for (const configuration& c : configurations_) tried_.add(configuration(c), readers_);
  std::vector<configuration> left;
  for (std::size_t i = 0; i < tried_.size(); ++i) {
    if (tried_.is_dominated(i)) continue;
    const configuration c = tried_[i];
    if (spec_.may_end(c, place)) {
      left.push_back(c);
      if (!goes_on || c.done.has(place)) continue;
    }
    spec_.active.for_each([&](std::size_t p) {
      spec_.steps(c, p, [&](configuration&& next) {
        take_reads(next);
        tried_.add(std::move(next), readers_);
      });
    });
    if (tried_.size() > configurations_max_) {
      peak_ = tried_.size();
      give_up(state::unknown);
      return true;
    }
  }
  peak_ = std::max(peak_, tried_.size());
  if (left.empty()) return false;
  configurations_ = std::move(left);
  return true;
}

/// The operation is over; its place may be another one's.
void partition::leave(std::size_t place) {
  if (verdict != state::open) return;
  const called& by = spec_.calls[place];
  if (by.stores) {
    deadline& timeout = (*spec_.entries)[by.entry].timeout;
    timeout.end(place, by.is_optional ? 0 : by.op.call, by.op.ret);
  }
  bool has_marks = false;
  if (by.entry != no_entry && (by.deed == deed::hit || by.deed == deed::join) && !by.is_optional) {
    entry& e = (*spec_.entries)[by.entry];
    has_marks = e.is_foundling && !e.is_settled;
    e.is_settled = e.is_foundling;
  }
  for (configuration& c : configurations_) {
    c.done.remove(place);
    for (std::size_t i = c.slots.size(); i-- > 0;) {
      slot& s = c.slots[i];
      if (by.deed == deed::walk) s.walks = static_cast<std::uint8_t>(s.walks & ~by.walk);
      if (has_marks && s.entry == by.entry && s.links == 0) c.slots.erase(i);
    }
  }
  if (by.deed == deed::walk) walks_ = static_cast<std::uint8_t>(walks_ & ~by.walk);
  spec_.active.remove(place);
  spec_.losers.remove(place);
  readers_.remove(place);
  if (configurations_.size() < 2) return;
  tried_.clear();
  for (configuration& c : configurations_) tried_.add(std::move(c), readers_);
  configurations_.clear();
  for (std::size_t i = 0; i < tried_.size(); ++i) {
    if (!tried_.is_dominated(i)) configurations_.push_back(std::move(tried_[i]));
  }
}

void partition::give_up(state s) {
  verdict = s;
  spec_.active = spec_.losers = readers_ = {};
  walks_ = 0;
  configurations_.assign(1, {});
  configurations_.shrink_to_fit();
  tried_ = {};
}

bool partition::is_gone(std::uint32_t entry) const {
  return std::ranges::none_of(configurations_, [&](const configuration& c) {
    return history_spec::find(c, entry) != nullptr;
  });
}

void partition::remove_reaped(std::uint32_t entry) {
  for (configuration& c : configurations_) {
    for (std::size_t i = c.slots.size(); i-- > 0;) {
      const slot& s = c.slots[i];
      if (s.entry == entry && (s.owner == 0 || s.owner == reaper)) c.slots.erase(i);
    }
  }
}

void partition::join(partition& o) {
  spec_.has_several_flows = true;
  std::array<std::uint8_t, place_set::size> to{};
  std::array<std::uint8_t, 256> walk_to{};
  o.spec_.active.for_each([&](std::size_t p) {
    if (is_full()) return give_up(state::unknown);
    const std::size_t place = spec_.active.lowest_free();
    if (place >= spec_.calls.size()) spec_.calls.resize(place + 1);
    to[p] = static_cast<std::uint8_t>(place);
    called& c = spec_.calls[place] = std::move(o.spec_.calls[p]);
    spec_.active.add(place);
    if (o.readers_.has(p)) readers_.add(place);
    if (o.spec_.losers.has(p)) spec_.losers.add(place);
    if (c.deed != deed::walk) return;
    const auto bit = static_cast<std::uint8_t>(~walks_ & (walks_ + 1U));
    walks_ = static_cast<std::uint8_t>(walks_ | bit);
    walk_to[std::exchange(c.walk, bit)] = bit;
  });
  for (const std::uint32_t e : o.members) {
    (*spec_.entries)[e].timeout.rename_places(to);
    members.push_back(e);
  }
  flows.insert(flows.end(), o.flows.begin(), o.flows.end());
  peak_ = std::max(peak_, o.peak_);
  if (o.verdict != state::open && verdict == state::open) give_up(o.verdict);
  if (configurations_.size() * o.configurations_.size() > configurations_max_) {
    give_up(state::unknown);
  }
  if (verdict != state::open) return;
  const std::vector<configuration> mine = std::move(configurations_);
  configurations_.clear();
  for (const configuration& a : mine) {
    for (const configuration& b : o.configurations_) {
      configuration c = a;
      b.done.for_each([&](std::size_t p) { c.done.add(to[p]); });
      for (slot s : b.slots) {
        if (s.owner != 0 && s.owner != reaper)
          s.owner = static_cast<std::uint8_t>(to[s.owner - 1U] + 1);
        if (s.is_half()) s.half = static_cast<std::uint8_t>(to[s.half - 1U] + 1);
        std::uint8_t walks = 0;
        for (unsigned bit = 1; bit < 256; bit <<= 1U) {
          if ((s.walks & bit) != 0) walks = static_cast<std::uint8_t>(walks | walk_to[bit]);
        }
        s.walks = walks;
        c.slots.insert(s);
      }
      configurations_.push_back(std::move(c));
    }
  }
}

}  // namespace ct::check
