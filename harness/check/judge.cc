// SPDX-License-Identifier: BSD-2-Clause
/// The stream of a history: beginnings and ends in the order of their stamps; see judge.h.
#include "harness/check/judge.h"

#include "harness/check/words.h"

#include <algorithm>
#include <fmt/format.h>

namespace ct::check {
namespace {

constexpr std::size_t findings_max = 1000;

bool names_entry(const operation& op) {
  return op.answer == answer::found || op.answer == answer::merged || op.verb == verb::shown;
}
std::uint64_t named_by(const operation& op) {
  return op.answer == answer::merged ? op.number : op.id;
}

}  // namespace

judge::judge(const run_facts& facts, const check_options& options, planted_rule planted)
    : facts_(facts), options_(options), planted_(planted), ledger_(facts) {}

void judge::feed(const operation& op, bool is_optional) {
  const bool is_created = op.verb == verb::create && op.answer == answer::inserted && op.id != 0;
  if ((op.verb == verb::in && op.answer == answer::made) || is_created) {
    if (entry_of(op.id) != no_entry || forgotten_.find(op.id) != id_map::none) {
      add_finding(letter::d4,
                  fmt::format("{} of key {} made entry {:#x}, an id that was there before",
                              name_of(op.verb),
                              op.key,
                              op.id),
                  fed_,
                  op.ret);
    } else {
      entries_[new_entry(op.id, op.key, op.key ^ 1U)].mentions = 1;  // until it has ended
    }
  }
  has_created_ = has_created_ || (op.verb == verb::create && op.id == 0);
  last_call_ = std::max(last_call_, op.call);
  waiting_.push_back({.op = op, .number = fed_++, .is_optional = is_optional});
  drain(false);
}

/// Who names an entry that is not known waits until everybody has come who can have made it.
void judge::drain(bool is_last) {
  while (!waiting_.empty()) {
    const fed f = waiting_.front();
    if (!is_last && names_entry(f.op) && last_call_ <= f.op.ret &&
        entry_of(named_by(f.op)) == no_entry) {
      return;
    }
    waiting_.pop_front();
    while (!ends_.empty() && ends_.top().first < f.op.call) {
      const std::uint32_t open = ends_.top().second;
      ends_.pop();
      end(open);
    }
    end_own(f.op);
    begin(f);
  }
}

check_report judge::finish() {
  drain(true);
  while (!ends_.empty()) {
    const std::uint32_t open = ends_.top().second;
    ends_.pop();
    end(open);
  }
  report_.operations = fed_;
  for (const auto& p : partitions_) {
    if (p == nullptr) continue;
    report_.unknown += p->verdict == partition::state::unknown ? 1 : 0;
    report_.configurations_max = std::max(report_.configurations_max, p->configurations_peak());
  }
  if (report_.unknown != 0) report_.outcome = outcome::unknown;
  if (!findings_.empty()) report_.outcome = outcome::violated;
  for (const judged_finding& f : findings_) report_.findings.push_back(f.found);
  return report_;
}

std::int64_t judge::unwrapped(std::uint32_t jiffies) const {
  return clock_ + static_cast<std::int32_t>(jiffies - static_cast<std::uint32_t>(clock_));
}

/// Of one thread, what ended with the stamp at which the next begins was over.
void judge::end_own(const operation& next) {
  std::vector<std::uint32_t> others;
  while (!ends_.empty() && ends_.top().first == next.call) {
    const std::uint32_t open = ends_.top().second;
    ends_.pop();
    const operation& op = open_[open].c.op;
    if (op.thread == next.thread && op.call < op.ret) {
      end(open);
    } else {
      others.push_back(open);
    }
  }
  for (const std::uint32_t open : others) ends_.emplace(next.call, open);
}

void judge::begin(const fed& f) {
  if (clock_ == 0) clock_ = (std::int64_t{1} << 32) + f.op.now_lo;
  std::uint32_t open = 0;
  if (free_open_.empty()) {
    open = static_cast<std::uint32_t>(open_.size());
    open_.emplace_back();
  } else {
    open = free_open_.back();
    free_open_.pop_back();
  }
  open_operation& o = open_[open];
  o = {};
  called& c = o.c;
  c.op = f.op;
  c.number = f.number;
  c.open = open;
  c.is_optional = f.is_optional;
  c.now = {.lo = unwrapped(f.op.now_lo), .hi = unwrapped(f.op.now_hi)};
  clock_ = std::max(clock_, c.now.hi);
  ret_max_ = std::max(ret_max_, f.op.ret);
  ledger_.advance_to(f.op.call, ret_max_);
  read_answer(c);
  if (c.own != no_entry) ++entries_[c.own].mentions;
  if (c.entry != no_entry) ++entries_[c.entry].mentions;
  ledger_.begin(c, entries_);
  if (c.deed == deed::walk) {
    begin_walk(open);
  } else if (c.deed != deed::nothing) {
    begin_in_partition(open);
  }
  if (c.op.verb == verb::gc) begin_gc(c);
  ends_.emplace(f.op.ret, open);
}

/// What the answer says that the operation did.
void judge::read_answer(called& c) {
  const operation& op = c.op;
  switch (op.verb) {
    case verb::find:
    case verb::shown:
    case verb::in:
      return read_packet(c);
    case verb::confirm:
      c.own = entry_of(op.id);
      return read_confirm(c);
    case verb::put:
    case verb::look:
      c.own = entry_of(op.id);
      return;
    case verb::create:
      return read_create(c);
    case verb::kill:
      if (op.answer == answer::won) c.deed = deed::kill;
      if (op.answer == answer::lost) c.deed = deed::lose;
      return;
    case verb::exit:
      ledger_.exiting(op.key);
      [[fallthrough]];
    case verb::flush:
      c.deed = deed::walk;
      return;
    case verb::resize:
      has_resized_ = true;
      resize_ret_max_ = std::max(resize_ret_max_, op.ret);
      return;
    case verb::dump:
    case verb::gc:
    case verb::advance:
    case verb::count:
      return;
  }
}

void judge::read_packet(called& c) {
  operation& op = c.op;
  const bool is_shown = op.verb == verb::shown;
  if (op.answer == answer::found || is_shown) {
    if (is_shown) op.is_reply = false;
    c.deed = deed::hit;
    c.entry = entry_of(op.id);
    if (c.entry == no_entry) {
      const std::uint32_t original = op.is_reply ? op.key ^ 1U : op.key;
      c.entry = new_foundling(op.id, original, original ^ 1U);
    }
    c.stores = op.verb == verb::in && op.timeout != 0;
  } else if (op.answer == answer::missed || op.answer == answer::made ||
             op.answer == answer::refused) {
    c.deed = deed::miss;
  }
  if (op.verb != verb::in || (op.answer != answer::found && op.answer != answer::made)) return;
  c.own = entry_of(op.id);
  if (op.answer == answer::made && c.own != no_entry) {
    --entries_[c.own].mentions;
    if (op.timeout != 0) entries_[c.own].timeout_relative = op.timeout;
  }
}

void judge::read_confirm(called& c) {
  const operation& op = c.op;
  if (op.answer == answer::merged) {
    c.deed = deed::join;
    c.entry = entry_of(op.number);
    if (c.entry == no_entry) {
      c.entry = new_foundling(op.number, op.key, op.other);
      entries_[c.entry].is_turnable = true;
    }
    return;
  }
  if (op.answer == answer::clashed) {
    if (!options_.allows.has(allowance::chain_too_long)) c.deed = deed::clash;
    c.entry = c.own;
    return;
  }
  if (op.answer != answer::inserted) return;
  c.deed = deed::link;
  if (c.own == no_entry) {
    c.own = new_entry(op.id, op.key, op.other);
    add_finding(letter::a3,
                fmt::format("confirm of entry {:#x}, which nobody holds", op.id),
                c.number,
                op.ret);
  }
  c.entry = c.own;
  entry& e = entries_[c.own];
  e.key_original = op.key;
  e.key_reply = op.other;
  e.is_confirmed = true;
  e.linked_call = op.call;
  e.linked_ret = op.ret;
  e.linked_number = c.number;
  if (op.timeout != 0) e.timeout_relative = op.timeout;
  c.stores = e.timeout_relative != 0;
}

void judge::read_create(called& c) {
  operation& op = c.op;
  op.other = op.key ^ 1U;
  if (op.answer != answer::inserted) {
    const bool may_be_refused = options_.allows.has(allowance::chain_too_long) ||
                                ledger_.has_limit() || ledger_.has_exited(op.key);
    if (!may_be_refused) c.deed = deed::clash;
    return;
  }
  c.deed = deed::link;
  c.entry = op.id != 0 ? entry_of(op.id) : no_entry;
  if (c.entry != no_entry) {
    --entries_[c.entry].mentions;
  } else {
    c.entry = new_entry(0, op.key, op.other);
  }
  entry& e = entries_[c.entry];
  e.is_confirmed = true;
  e.linked_call = op.call;
  e.linked_ret = op.ret;
  e.linked_number = c.number;
  e.timeout_relative = op.timeout;
  c.stores = op.timeout != 0;
}

void judge::begin_in_partition(std::uint32_t open) {
  called& c = open_[open].c;
  const operation& op = c.op;
  std::uint32_t at = partition_of(op.key);
  if (c.deed == deed::link || c.deed == deed::join || c.deed == deed::clash) {
    at = join(at, partition_of(op.other));
  }
  if (c.entry != no_entry) at = join(at, partition_of(entries_[c.entry].key_original));
  partition& p = *partitions_[at];
  if (p.verdict != partition::state::open) return;
  if (p.is_full()) return p.give_up(partition::state::unknown);
  age(p);
  const bool is_new =
      c.deed == deed::link || (c.entry != no_entry && entries_[c.entry].is_foundling);
  if (is_new && std::ranges::find(p.members, c.entry) == p.members.end()) {
    p.members.push_back(c.entry);
  }
  called now = c;
  const std::size_t place = p.next_place();
  if (c.stores) {
    const std::int64_t timeout =
        c.deed == deed::link ? entries_[c.entry].timeout_relative : op.timeout;
    entries_[c.entry].timeout.begin(place, {.lo = c.now.lo + timeout, .hi = c.now.hi + timeout});
  }
  p.call(std::move(now));
  open_[open].partition = at;
  open_[open].place = static_cast<std::uint32_t>(place);
}

bool judge::beside_resize(const operation& op) const {
  return has_resized_ && resize_ret_max_ >= op.call &&
         options_.allows.has(allowance::miss_during_resize);
}

void judge::end(std::uint32_t open) {
  open_operation& o = open_[open];
  const called& c = o.c;
  ledger_.advance_to(c.op.ret, ret_max_);
  if (o.partition != no_partition) end_in_partition(o);
  if (c.deed == deed::walk) {
    std::erase(walks_, open);
    end_walk(c);
  }
  if (c.op.verb == verb::gc) end_gc(c);
  if (std::string wrong = ledger_.end(c, entries_); !wrong.empty()) {
    const bool is_look = c.op.verb == verb::look;
    add_finding(is_look ? letter::a3 : letter::d4, std::move(wrong), c.number, c.op.ret);
  }
  for (const std::uint32_t e : {c.own, c.entry}) {
    if (e == no_entry) continue;
    --entries_[e].mentions;
    forget_if_dead(e);
  }
  free_open_.push_back(open);
}

void judge::end_in_partition(open_operation& o) {
  partition& p = *partitions_[o.partition];
  if (p.verdict != partition::state::open) return;
  age(p);
  const bool is_lookup = o.c.deed == deed::miss || o.c.deed == deed::lose;
  if (is_lookup && beside_resize(o.c.op)) p.excuse(o.place);
  if (!p.ret(o.place)) return violated(o.partition, o.place);
  if (o.c.deed != deed::hit && o.c.deed != deed::join) sweep(p);
  retire(o.partition);
}

// Walks and gc: operations of every partition.

void judge::begin_walk(std::uint32_t open) {
  walks_.push_back(open);
  for (std::uint32_t i = 0; i < partitions_.size(); ++i) {
    if (partitions_[i] != nullptr) begin_walk_in(i, open_[open].c);
  }
}

void judge::begin_walk_in(std::uint32_t at, const called& c) {
  partition& p = *partitions_[at];
  if (p.verdict != partition::state::open || p.flows.empty()) return;
  const bool is_of_net = c.op.verb == verb::exit;
  if (is_of_net && ledger_.net_of(p.flows.front() * 2) != c.op.key) return;
  if (p.is_full()) return p.give_up(partition::state::unknown);
  age(p);
  called now = c;
  if (is_of_net) now.op.number = 1;  // of an exit it is not how many it killed
  p.call(std::move(now));
}

void judge::end_walk(const called& c) {
  for (std::uint32_t i = 0; i < partitions_.size(); ++i) {
    if (partitions_[i] == nullptr) continue;
    partition& p = *partitions_[i];
    age(p);
    for (std::size_t place = 0; place < p.spec().calls.size(); ++place) {
      if (p.verdict != partition::state::open || !p.spec().active.has(place)) continue;
      if (p.spec().calls[place].number != c.number) continue;
      if (!p.ret(place)) violated(i, place);
    }
    sweep(p);
    retire(i);
  }
}

/// What has expired for certain, and nobody can prolong.
void judge::begin_gc(const called& c) {
  gc_targets_.clear();
  gc_number_ = c.number;
  for (const auto& p : partitions_) {
    if (p == nullptr || p->verdict != partition::state::open) continue;
    for (const std::uint32_t e : p->members) {
      const entry& x = entries_[e];
      const bool is_quiet = x.linked_ret < c.op.call && !x.timeout.is_being_stored() &&
                            x.taken <= x.put && x.mentions == 0;
      if (is_quiet && x.timeout.latest({}) <= c.now.lo) gc_targets_.push_back({e, x.id});
    }
  }
}

/// Only if nobody else is under way, who may have claimed one and not unlinked it yet.
void judge::end_gc(const called& c) {
  if (c.number != gc_number_ || !ends_.empty()) return;
  if (has_resized_ && resize_ret_max_ >= c.op.call) return;
  for (const gc_target& t : gc_targets_) {
    const entry& e = entries_[t.entry];
    if (!e.is_living || e.id != t.id || e.timeout.latest({}) > c.now.lo) continue;
    partition& p = *partitions_[partition_of(e.key_original)];
    p.remove_reaped(t.entry);
    sweep(p);
  }
  gc_targets_.clear();
}

// Partitions and entries.

std::uint32_t judge::partition_of(std::uint32_t key) {
  const std::uint32_t flow = key / 2;
  if (const std::uint32_t known = flows_.find(flow); known != no_partition) return known;
  std::uint32_t at = 0;
  if (free_partitions_.empty()) {
    at = static_cast<std::uint32_t>(partitions_.size());
    partitions_.emplace_back();
  } else {
    at = free_partitions_.back();
    free_partitions_.pop_back();
  }
  partitions_[at] = std::make_unique<partition>(entries_,
                                                options_.allows,
                                                options_.configurations_max,
                                                planted_,
                                                facts_.refuses_destroy);
  ++report_.partitions;
  partitions_[at]->flows.push_back(flow);
  flows_.set(flow, at);
  for (const std::uint32_t open : walks_) begin_walk_in(at, open_[open].c);
  return at;
}

std::uint32_t judge::join(std::uint32_t a, std::uint32_t b) {
  if (a == b) return a;
  if (partitions_[a]->flows.size() < partitions_[b]->flows.size()) std::swap(a, b);
  partition& into = *partitions_[a];
  for (const std::uint32_t flow : partitions_[b]->flows) flows_.set(flow, a);
  into.join(*partitions_[b]);
  partitions_[b].reset();
  free_partitions_.push_back(b);
  --report_.partitions;
  for (open_operation& o : open_) {
    if (o.partition == b) o.partition = a;
  }
  into.spec().active.for_each([&](std::size_t place) {
    const called& c = into.spec().calls[place];
    if (c.deed != deed::walk) open_[c.open].place = static_cast<std::uint32_t>(place);
  });
  return a;
}

/// Where nothing is left, the keys have nothing to do with each other any more.
void judge::retire(std::uint32_t at) {
  partition& p = *partitions_[at];
  if (!p.is_idle() || p.verdict != partition::state::open || !p.is_empty()) return;
  if (!p.members.empty() || partitions_.size() - free_partitions_.size() <= idle_partitions) return;
  report_.configurations_max = std::max(report_.configurations_max, p.configurations_peak());
  for (const std::uint32_t flow : p.flows) flows_.erase(flow);
  partitions_[at].reset();
  free_partitions_.push_back(at);
}

/// Whose time may have come since it was looked at last?
void judge::age(partition& p) {
  for (const std::uint32_t m : p.members) {
    entry& e = entries_[m];
    if (e.is_perishable || !e.is_confirmed) continue;
    e.is_perishable =
        e.timeout.earliest() <= clock_ || ledger_.may_have_dropped(e.key_original, e.linked_call);
  }
}

void judge::sweep(partition& p) {
  if (p.verdict != partition::state::open) return;
  for (std::size_t i = p.members.size(); i-- > 0;) {
    const std::uint32_t e = p.members[i];
    bool is_coming = false;
    p.spec().active.for_each(
        [&](std::size_t place) { is_coming = is_coming || p.spec().calls[place].entry == e; });
    if (is_coming || !p.is_gone(e)) continue;
    p.members[i] = p.members.back();
    p.members.pop_back();
    entries_[e].is_gone = true;
    forget_if_dead(e);
  }
}

std::uint32_t judge::new_entry(std::uint64_t id,
                               std::uint32_t key_original,
                               std::uint32_t key_reply) {
  std::uint32_t at = 0;
  if (free_entries_.empty()) {
    at = static_cast<std::uint32_t>(entries_.size());
    entries_.emplace_back();
  } else {
    at = free_entries_.back();
    free_entries_.pop_back();
  }
  entry& e = entries_[at];
  e = {};
  e.id = id;
  e.key_original = key_original;
  e.key_reply = key_reply;
  e.is_living = true;
  if (id != 0) ids_.set(id, at);
  return at;
}

/// An id that no `in` made: of a created entry, unless it is one that is gone.
std::uint32_t judge::new_foundling(std::uint64_t id,
                                   std::uint32_t key_original,
                                   std::uint32_t key_reply) {
  const std::uint32_t at = new_entry(id, key_original, key_reply);
  entry& e = entries_[at];
  e.is_foundling = true;
  e.is_confirmed = true;
  e.is_settled = forgotten_.find(id) != id_map::none;
  return at;
}

void judge::forget_if_dead(std::uint32_t at) {
  entry& e = entries_[at];
  if (!e.is_living || e.mentions != 0 || e.taken > e.put) return;
  if (e.is_confirmed ? !e.is_gone : e.taken == 0) return;
  if (e.id != 0) {
    ledger_.gone(e);
    ids_.erase(e.id);
    if (has_created_) remember(e.id);
  }
  e.is_living = false;
  free_entries_.push_back(at);
}

/// An id that is gone is no created entry's that nobody has found yet.
void judge::remember(std::uint64_t id) {
  constexpr std::size_t remembered_max = 1U << 16;
  forgotten_.set(id, 0);
  forgotten_in_order_.push_back(id);
  if (forgotten_in_order_.size() <= remembered_max) return;
  forgotten_.erase(forgotten_in_order_.front());
  forgotten_in_order_.pop_front();
}

void judge::violated(std::uint32_t at, std::size_t place) {
  partition& p = *partitions_[at];
  const called& c = p.spec().calls[place];
  judged_finding f = {.found = explained(p, place), .flows = p.flows, .until = c.op.ret};
  if (f.found.letter == letter::a1 && has_resized_) {
    f.found.letter = resize_ret_max_ >= c.op.call ? letter::f2 : letter::f1;
  }
  f.found.operations.push_back(c.number);
  if (findings_.size() < findings_max) findings_.push_back(std::move(f));
  p.give_up(partition::state::violated);
}

void judge::add_finding(letter l, std::string what, std::uint64_t number, std::uint64_t until) {
  if (findings_.size() >= findings_max) return;
  finding found{.outcome = outcome::violated,
                .what = std::move(what),
                .letter = l,
                .operations = {number}};
  findings_.push_back({.found = std::move(found), .flows = {}, .until = until});
}

}  // namespace ct::check
