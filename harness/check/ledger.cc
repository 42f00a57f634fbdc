// SPDX-License-Identifier: BSD-2-Clause
/// Bounds of the count, and references; see ledger.h.
#include "harness/check/ledger.h"

#include <algorithm>
#include <fmt/format.h>

namespace ct::check {

ledger::ledger(const run_facts& facts)
    : max_(facts.max),
      refuses_destroy_(facts.refuses_destroy),
      net_of_flow_(facts.netns_of_flow),
      nets_(std::max<std::uint32_t>(1, facts.netns)) {}

void ledger::advance_to(std::uint64_t stamp, std::uint64_t ret_max) {
  ret_max_ = std::max(ret_max_, ret_max);
  now_ = std::max(now_, stamp);
  while (!freeings_.empty() && freeings_.front().after < now_) {
    net& n = nets_[freeings_.front().net];
    note(n);
    --n.most;
    freeings_.pop_front();
    note(n);
  }
}

/// Called before and after every change of a netns' bounds.
void ledger::note(net& n) {
  if (may_be_full(n)) n.full_at = now_;
  if (!is_surely_full(n)) n.room_at = now_;
  if (max_ != 0 && is_nearly_full(n)) n.dropped_before = ret_max_ + 1;
  if (readings_.empty()) return;
  const auto i = static_cast<std::size_t>(&n - nets_.data());
  for (count_reading& r : readings_) {
    r.most[i] = std::max(r.most[i], n.most);
    r.least[i] = std::min(r.least[i], n.least);
  }
}

void ledger::may_count(std::uint32_t key, std::int64_t change) {
  net& n = nets_[net_of(key)];
  note(n);
  n.most += change;
  note(n);
}

void ledger::hold(entry& e, std::int32_t change) {
  const bool was_held = e.held > 0;
  e.held += change;
  if (was_held == (e.held > 0)) return;
  net& n = nets_[net_of(e.key_original)];
  note(n);
  n.least += was_held ? -1 : 1;
  if (!e.is_confirmed) n.unconfirmed += was_held ? -1 : 1;
  note(n);
}

void ledger::gone(const entry& e) {
  net& n = nets_[net_of(e.key_original)];
  if (e.is_confirmed && refuses_destroy_) return;  // it may wait for its listener
  if (e.is_confirmed) {
    note(n);
    --n.confirmed;
    note(n);
  }
  freeings_.push_back(
      {.after = ret_max_, .net = static_cast<std::uint32_t>(net_of(e.key_original))});
}

void ledger::begin_confirm(const called& c, std::vector<entry>& entries) {
  if (c.own == no_entry) return;
  entry& own = entries[c.own];
  net& n = nets_[net_of(c.op.key)];
  if (c.op.answer == answer::inserted) {
    note(n);
    ++n.confirmed;
    if (own.held > 0) --n.unconfirmed;
    note(n);
    return;
  }
  hold(own, -1);
  if (c.op.answer == answer::merged && c.entry != no_entry) ++entries[c.entry].taken;
}

void ledger::begin(called& c, std::vector<entry>& entries) {
  switch (c.op.verb) {
    case verb::in:
      if (c.op.answer != answer::found) may_count(c.op.key, 1);
      if (c.own != no_entry) ++entries[c.own].taken;
      return;
    case verb::confirm:
      return begin_confirm(c, entries);
    case verb::put:
      if (c.own != no_entry) hold(entries[c.own], -1);
      return;
    case verb::look:
      if (c.own != no_entry) c.put_before = entries[c.own].put;
      return;
    case verb::create: {
      may_count(c.op.key, 1);
      net& n = nets_[net_of(c.op.key)];
      note(n);
      n.confirmed += c.op.answer == answer::inserted ? 1 : 0;
      note(n);
      return;
    }
    case verb::count: {
      count_reading r{.number = c.number, .most = {}, .least = {}};
      for (const net& n : nets_) {
        r.most.push_back(n.most);
        r.least.push_back(n.least);
      }
      readings_.push_back(std::move(r));
      return;
    }
    default:
      return;
  }
}

std::string ledger::end(const called& c, std::vector<entry>& entries) {
  switch (c.op.verb) {
    case verb::in:
      return end_packet(c, entries);
    case verb::confirm:
      if (c.op.answer != answer::merged || c.own == no_entry) return {};
      ++entries[c.own].put;
      if (c.entry != no_entry) hold(entries[c.entry], 1);
      return {};
    case verb::put: {
      const bool is_held = c.own != no_entry && entries[c.own].taken > entries[c.own].put;
      if (c.own != no_entry) ++entries[c.own].put;
      if (is_held) return {};
      return fmt::format("put of entry {:#x}, which nobody held any more", c.op.id);
    }
    case verb::look:
      if (c.own == no_entry || entries[c.own].taken <= c.put_before) {
        return fmt::format("look shows entry {:#x}, which nobody holds", c.op.id);
      }
      if (entries[c.own].key_original == c.op.key) return {};
      return fmt::format("look shows entry {:#x} with key {}, but it was made with key {}",
                         c.op.id,
                         c.op.key,
                         entries[c.own].key_original);
    case verb::create:
      if (c.op.answer != answer::inserted) may_count(c.op.key, -1);
      return {};
    case verb::count:
      return check_count(c);
    default:
      return {};
  }
}

std::string ledger::end_packet(const called& c, std::vector<entry>& entries) {
  net& n = nets_[net_of(c.op.key)];
  if (c.op.answer == answer::found || c.op.answer == answer::made) {
    const bool had_no_room =
        c.op.answer == answer::made && is_surely_full(n) && n.room_at < c.op.call;
    if (c.own != no_entry) hold(entries[c.own], 1);
    if (!had_no_room) return {};
    return fmt::format(
        "in of key {} made entry {:#x}, though {} unconfirmed entries filled the table",
        c.op.key,
        c.op.id,
        n.unconfirmed - 1);
  }
  const bool may_refuse = n.has_exited || may_be_full(n) || (max_ != 0 && n.full_at >= c.op.call);
  const std::int64_t most = n.most - 1;
  may_count(c.op.key, -1);
  if (c.op.answer != answer::refused || may_refuse) return {};
  if (max_ == 0) return fmt::format("in of key {} was refused, though there is no limit", c.op.key);
  return fmt::format("in of key {} was refused, though at most {} of {} places were taken",
                     c.op.key,
                     most,
                     max_);
}

std::string ledger::check_count(const called& c) {
  const auto at = std::ranges::find(readings_, c.number, &count_reading::number);
  if (at == readings_.end()) return {};
  std::int64_t most = 0;
  std::int64_t least = 0;
  for (std::size_t i = 0; i < nets_.size(); ++i) {
    most += at->most[i];
    least += at->least[i];
  }
  readings_.erase(at);
  const auto count = static_cast<std::int64_t>(c.op.number);
  if (count > most) {
    return fmt::format("count says {}, but at most {} entries were there: some are never freed",
                       count,
                       most);
  }
  if (count < least) {
    return fmt::format("count says {}, but packets held {} entries: some were freed too early",
                       count,
                       least);
  }
  return {};
}

}  // namespace ct::check
