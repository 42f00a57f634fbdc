// SPDX-License-Identifier: BSD-2-Clause
/// The rules of insertion and match; see the header.
#include "impls/core/expect.h"

#include "spec/jiffies.h"

#include <algorithm>
#include <bit>
#include <mutex>
#include <new>
#include <utility>

namespace ct::core {
namespace {

bool is_same_destination(const tuple& a, const tuple& b) {
  return a.dst.addr == b.dst.addr && a.dst.id == b.dst.id && a.dst.protonum == b.dst.protonum &&
         a.src.l3num == b.src.l3num;
}

bool is_same_source(const tuple& a, const tuple& b, const expect_mask& under) {
  for (std::size_t i = 0; i < under.addr.size(); ++i) {
    if (((a.src.addr[i] ^ b.src.addr[i]) & under.addr[i]) != 0) return false;
  }
  return ((a.src.id ^ b.src.id) & under.id) == 0;
}

expect_mask intersection(const expect_mask& a, const expect_mask& b) {
  expect_mask both{.addr = a.addr, .id = static_cast<std::uint16_t>(a.id & b.id)};
  for (std::size_t i = 0; i < both.addr.size(); ++i) both.addr[i] &= b.addr[i];
  return both;
}

bool is_same_scope(const expectation& a, const expectation& b) {
  return a.master->net == b.master->net && a.master->zone.id == b.master->zone.id;
}

/// Could one packet match both?
bool overlap(const expectation& a, const expectation& b) {
  return is_same_destination(a.tuple, b.tuple) &&
         is_same_source(a.tuple, b.tuple, intersection(a.mask, b.mask)) && is_same_scope(a, b);
}

bool is_same(const expectation& a, const expectation& b) {
  return same_flow(a.tuple, b.tuple) && a.mask == b.mask && is_same_scope(a, b);
}

nf_conn_help& help_of(const expectation& exp) { return *exp.master->help; }

}  // namespace

expect_table::expect_table(std::size_t conntrack_buckets,
                           const setting<std::size_t>& max,
                           std::uint64_t hash_seed)
    : hash_(hash_kind::siphash, hash_seed),
      max_(max),
      chains_(std::max<std::size_t>(conntrack_buckets / 256, 1)) {}

expect_table::~expect_table() {
  for (expectation* exp : chains_) {
    while (exp != nullptr) delete std::exchange(exp, exp->chain_next);
  }
}

/// The source does not enter: it may be masked. Netns and protocol do, zones do not.
std::size_t expect_table::chain_of(const tuple& t, const netns& in_net) const noexcept {
  tuple destination;
  destination.src.l3num = t.src.l3num;
  destination.dst = t.dst;
  const std::uint64_t hash = hash_(words(destination), 0, in_net.hash_mix);
  return static_cast<std::size_t>(hash * chains_.size() >> 32);
}

expectation* expect_table::alloc(nf_conn& master) noexcept {
  auto* const exp = new (std::nothrow) expectation;
  if (exp != nullptr) exp->master = &master;
  return exp;
}

void expect_table::put(expectation& exp) noexcept {
  // release: what this holder did happens before the memory is freed; acquire: for the last one.
  if (exp.use.fetch_sub(1, std::memory_order_acq_rel) == 1) delete &exp;
}

expect_status expect_table::insert(expectation& exp,
                                   std::uint32_t now,
                                   cpu_statistics& stat,
                                   bool is_any_master) noexcept {
  const std::lock_guard guard(lock_);
  const expect_status checked = check(exp, now, stat, is_any_master);
  if (checked != expect_status::inserted) return checked;
  const bool has_own_timeout = (exp.flags & expect_flag::userspace) != 0;
  const expect_policy& policy = help_of(exp).helper.classes[exp.class_index];
  exp.timeout = now + (has_own_timeout ? exp.timeout : seconds(policy.timeout_s));
  // relaxed: the caller's reference keeps it alive; chain and timer.
  exp.use.fetch_add(2, std::memory_order_relaxed);
  link(exp);
  ++stat.expect_create;
  return expect_status::inserted;
}

/// Source: __nf_ct_expect_check(), Linux 6.18.
expect_status expect_table::check(expectation& exp,
                                  std::uint32_t now,
                                  cpu_statistics& stat,
                                  bool is_any_master) noexcept {
  nf_conn& master = *exp.master;
  if (master.help == nullptr) return expect_status::no_helper;
  if (exp.class_index >= master.help->helper.class_count) return expect_status::bad_request;
  expectation* next = nullptr;
  for (expectation* other = chains_[chain_of(exp.tuple, *master.net)]; other != nullptr;
       other = next) {
    next = other->chain_next;
    if (is_reached(other->timeout, now)) {
      remove(*other, stat);  // its timer was due
    } else if ((is_any_master || other->master == &master) && is_same(*other, exp)) {
      if (other->class_index != exp.class_index || other->master != &master) {
        return expect_status::already;
      }
      remove(*other, stat);
      break;
    } else if (overlap(*other, exp)) {
      return expect_status::busy;
    }
  }
  const expect_policy& policy = master.help->helper.classes[exp.class_index];
  const auto is_class_full = [&] {
    return policy.max_expected != 0 &&
           master.help->expecting[exp.class_index] >= policy.max_expected;
  };
  if (is_class_full() && !evict_oldest(*master.help, exp.class_index, stat)) {
    return expect_status::full;
  }
  // relaxed: written under lock_ only.
  if (master.net->expect_count.load(std::memory_order_relaxed) >= max_) return expect_status::full;
  return expect_status::inserted;
}

bool expect_table::evict_oldest(nf_conn_help& help,
                                std::uint8_t class_index,
                                cpu_statistics& stat) noexcept {
  expectation* oldest = nullptr;  // the list is newest first
  for (expectation* e = help.expectations; e != nullptr; e = e->master_next) {
    if (e->class_index == class_index) oldest = e;
  }
  if (oldest == nullptr) return false;
  remove(*oldest, stat);
  return true;
}

expectation* expect_table::find_get(const tuple& t,
                                    std::uint16_t zone_id,
                                    const netns& in_net,
                                    std::uint32_t now,
                                    cpu_statistics& stat,
                                    bool takes) noexcept {
  const std::lock_guard guard(lock_);
  expectation* exp = chains_[chain_of(t, in_net)];
  for (; exp != nullptr; exp = exp->chain_next) {
    if ((exp->flags & expect_flag::inactive) == 0 && is_same_destination(exp->tuple, t) &&
        is_same_source(exp->tuple, t, exp->mask) && exp->master->net == &in_net &&
        exp->master->zone.id == zone_id && !is_reached(exp->timeout, now)) {
      break;
    }
  }
  if (exp == nullptr) return nullptr;
  // An announcement that has not left yet cannot be known to the other side; and a master on its
  // way out takes its expectations with it.
  nf_conn& master = *exp->master;
  if (!master.is_confirmed() || master.has(status::dying) || !master.get_unless_zero()) {
    return nullptr;
  }
  // relaxed: the chain's reference keeps it alive.
  exp->use.fetch_add(1, std::memory_order_relaxed);
  if (takes && (exp->flags & expect_flag::permanent) == 0) remove(*exp, stat);
  return exp;
}

void expect_table::remove_all_of(nf_conn& master, cpu_statistics& stat) noexcept {
  if (master.help == nullptr) return;
  const std::lock_guard guard(lock_);
  while (expectation* const exp = master.help->expectations) remove(*exp, stat);
}

void expect_table::run_timers(std::uint32_t now, cpu_statistics& stat) noexcept {
  // relaxed, both: who comes a moment late finds it removed by find_get's own test, or next time.
  if (count_.load(std::memory_order_relaxed) == 0) return;
  if (!is_reached(next_due_.load(std::memory_order_relaxed), now)) return;
  const std::lock_guard guard(lock_);
  std::uint32_t next_due = now + seconds(3600);  // at the latest: a look too many costs a look
  for (expectation* exp : chains_) {
    while (exp != nullptr) {
      expectation* const next = exp->chain_next;
      if (is_reached(exp->timeout, now)) {
        remove(*exp, stat);
      } else if (jiffies_between(exp->timeout, next_due) > 0) {
        next_due = exp->timeout;
      }
      exp = next;
    }
  }
  next_due_.store(next_due, std::memory_order_relaxed);  // relaxed: see above
}

void expect_table::link(expectation& exp) noexcept {
  expectation*& head = chains_[chain_of(exp.tuple, *exp.master->net)];
  exp.chain_next = head;
  if (head != nullptr) head->chain_prev = &exp;
  head = &exp;

  nf_conn_help& help = help_of(exp);
  exp.master_next = help.expectations;
  if (exp.master_next != nullptr) exp.master_next->master_prev = &exp;
  help.expectations = &exp;
  ++help.expecting[exp.class_index];
  exp.is_linked = true;

  // relaxed, all of these: written under lock_ only; read without it as hints.
  const bool is_first = count_.fetch_add(1, std::memory_order_relaxed) == 0;
  const std::uint32_t due = next_due_.load(std::memory_order_relaxed);
  if (is_first || jiffies_between(exp.timeout, due) > 0) {
    next_due_.store(exp.timeout, std::memory_order_relaxed);  // relaxed: see above
  }
  exp.master->net->expect_count.fetch_add(1, std::memory_order_relaxed);  // relaxed: see above
}

void expect_table::unlink(expectation& exp, cpu_statistics& stat) noexcept {
  nf_conn_help& help = help_of(exp);
  (exp.chain_prev != nullptr ? exp.chain_prev->chain_next
                             : chains_[chain_of(exp.tuple, *exp.master->net)]) = exp.chain_next;
  if (exp.chain_next != nullptr) exp.chain_next->chain_prev = exp.chain_prev;
  (exp.master_prev != nullptr ? exp.master_prev->master_next : help.expectations) = exp.master_next;
  if (exp.master_next != nullptr) exp.master_next->master_prev = exp.master_prev;
  --help.expecting[exp.class_index];
  exp.is_linked = false;
  count_.fetch_sub(1, std::memory_order_relaxed);                         // relaxed: as in link()
  exp.master->net->expect_count.fetch_sub(1, std::memory_order_relaxed);  // relaxed: as in link()
  ++stat.expect_delete;
}

/// Out of the table, with the references of chain and timer.
void expect_table::remove(expectation& exp, cpu_statistics& stat) noexcept {
  unlink(exp, stat);
  put(exp);
  put(exp);
}

std::vector<expect> expect_table::dump(std::uint32_t now) const {
  const std::lock_guard guard(lock_);
  std::vector<expect> all;
  for (const expectation* exp : chains_) {
    for (; exp != nullptr; exp = exp->chain_next) {
      if (is_reached(exp->timeout, now)) continue;
      const nf_conn& master = *exp->master;
      all.push_back({.tuple = exp->tuple,
                     .mask = exp->mask,
                     .master = master.tuple(dir::original),
                     .master_id = master.id,
                     .class_index = exp->class_index,
                     .flags = exp->flags,
                     .timeout_jiffies = jiffies_between(now, exp->timeout),
                     .helper = master.help->helper.name,
                     .net = master.net->id,
                     .zone = master.zone});
    }
  }
  return all;
}

bool expect_table::is_valid() const {
  const std::lock_guard guard(lock_);
  std::size_t linked = 0;
  for (std::size_t i = 0; i < chains_.size(); ++i) {
    const expectation* before = nullptr;
    for (const expectation* exp = chains_[i]; exp != nullptr; exp = exp->chain_next) {
      ++linked;
      const nf_conn_help& help = help_of(*exp);
      std::uint32_t of_class = 0;
      bool is_listed = false;
      for (const expectation* e = help.expectations; e != nullptr; e = e->master_next) {
        of_class += e->class_index == exp->class_index ? 1 : 0;
        is_listed |= e == exp;
      }
      // relaxed: at rest; chain and timer.
      if (exp->use.load(std::memory_order_relaxed) != 2 || !exp->is_linked) return false;
      if (exp->chain_prev != before || chain_of(exp->tuple, *exp->master->net) != i) return false;
      if (!is_listed || help.expecting[exp->class_index] != of_class) return false;
      before = exp;
    }
  }
  return linked == count();
}

}  // namespace ct::core
