// SPDX-License-Identifier: BSD-2-Clause
/// The table of expectations: which connections are announced, and by whom.
///
/// A hash over the destination of the connection to come (its source may be masked), chains, and
/// one spinlock over all of it, timers too. Expectations are few and short-lived: the lock is taken
/// by packets that make an entry, and only while their netns has expectations at all.
///
/// An expectation in the table has two references, the chain's and the timer's, and holds none on
/// its master: the master's end removes it. So `master` may be followed under the lock only, or by
/// who got a reference on the master from find_get().
///
/// Timers run on the system's clock: run_timers() after it moved, and whoever meets an expectation
/// whose time has come treats it as gone. Where the kernel can lose a race with a timer that fires
/// at that moment, here both are under the lock.
///
/// Lock order: nf_conn::lock, then this one; no bucket lock and no other is taken under it. Cost:
/// find and insert O(chain); run_timers O(table) when something is due, one load otherwise. Limits:
/// the maximum is per netns, as the kernel counts; no events, no expectfn, no NAT. Source:
/// nf_conntrack_expect.c (nf_ct_find_expectation(), __nf_ct_expect_check(), nf_ct_expect_insert(),
/// evict_oldest_expect(), nf_ct_remove_expectations()), Linux 6.18.
#pragma once

#include "impls/core/hash.h"
#include "impls/core/helper.h"
#include "impls/core/netns.h"
#include "impls/core/nf_conn.h"
#include "impls/core/policy.h"
#include "impls/core/statistics.h"
#include "impls/sync/spinlock.h"
#include "spec/expect.h"
#include "spec/tuple.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ct::core {

struct expectation {
  // Immutable once inserted.
  ct::tuple tuple;
  expect_mask mask;
  nf_conn* master = nullptr;  // not referenced
  std::uint8_t class_index = 0;
  std::uint32_t flags = 0;
  /// From insert on absolute. Given by the maker for USERSPACE, by the helper's policy otherwise.
  std::uint32_t timeout = 0;

  // Atomic: caller, chain, timer; 0 frees.
  std::atomic<std::uint32_t> use{1};

  // Guarded by the table's lock.
  bool is_linked = false;
  expectation* chain_next = nullptr;
  expectation* chain_prev = nullptr;
  expectation* master_next = nullptr;
  expectation* master_prev = nullptr;
};

/// What came of an insertion, with the number that the kernel answers.
enum class expect_status : std::uint8_t {
  inserted,
  already,      ///< EALREADY: the same is there, of another class or master
  busy,         ///< EBUSY: one packet could match this and another one
  full,         ///< EMFILE: the netns has nf_conntrack_expect_max
  no_helper,    ///< ESHUTDOWN: the master has no helper
  bad_request,  ///< EINVAL: the helper has no such class
};

class expect_table {
 public:
  /// A chain for 256 of `conntrack_buckets`; `max` is nf_conntrack_expect_max, read at each insert.
  expect_table(std::size_t conntrack_buckets,
               const setting<std::size_t>& max,
               std::uint64_t hash_seed);
  expect_table(const expect_table&) = delete;
  expect_table& operator=(const expect_table&) = delete;
  /// Requires: no packets. Frees what no timer took; masters and their netns may be gone already.
  ~expect_table();

  /// An expectation of `master` with the caller's reference; nullptr: no memory.
  static expectation* alloc(nf_conn& master) noexcept;
  static void put(expectation& exp) noexcept;

  /// Inserts `exp`; the caller keeps his reference. The same one of the same master is replaced. A
  /// class that is full loses its oldest. `is_any_master`: that of another master counts as the
  /// same (NF_CT_EXP_F_SKIP_MASTER).
  expect_status insert(expectation& exp,
                       std::uint32_t now,
                       cpu_statistics& stat,
                       bool is_any_master = false) noexcept;

  /// The expectation that a packet of that tuple fulfils, referenced, and its master, referenced
  /// too; nullptr: none, or its master is not CONFIRMED, or dying. It leaves the table unless it is
  /// PERMANENT or `takes` is false.
  expectation* find_get(const ct::tuple& t,
                        std::uint16_t zone_id,
                        const netns& in_net,
                        std::uint32_t now,
                        cpu_statistics& stat,
                        bool takes = true) noexcept;

  /// Removes every expectation of that master, which is dying or about to be freed.
  void remove_all_of(nf_conn& master, cpu_statistics& stat) noexcept;
  /// Removes those whose time has come.
  void run_timers(std::uint32_t now, cpu_statistics& stat) noexcept;

  /// Copies of those that have not expired, in no order.
  std::vector<expect> dump(std::uint32_t now) const;
  std::size_t count() const noexcept {
    return count_.load(
        std::memory_order_relaxed);  // relaxed: a hint; who needs more takes the lock
  }
  /// At rest: chains, masters' lists and counts agree.
  bool is_valid() const;

 private:
  std::size_t chain_of(const ct::tuple& t, const netns& in_net) const noexcept;
  // All of these: under lock_.
  expect_status check(expectation& exp,
                      std::uint32_t now,
                      cpu_statistics& stat,
                      bool is_any_master) noexcept;
  bool evict_oldest(nf_conn_help& help, std::uint8_t class_index, cpu_statistics& stat) noexcept;
  void link(expectation& exp) noexcept;
  void unlink(expectation& exp, cpu_statistics& stat) noexcept;
  void remove(expectation& exp, cpu_statistics& stat) noexcept;

  // Immutable.
  const tuple_hash hash_;
  const setting<std::size_t>& max_;
  mutable sync::spinlock lock_;
  // Guarded by lock_.
  std::vector<expectation*> chains_;
  // Atomic, written under lock_.
  std::atomic<std::size_t> count_{0};
  std::atomic<std::uint32_t> next_due_{
      0};  // no expectation is due before it; void while count_ == 0
};

}  // namespace ct::core
