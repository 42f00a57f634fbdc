// SPDX-License-Identifier: BSD-2-Clause
/// The counters of one CPU: written by its thread alone, readable by all.
///
/// Source: struct ip_conntrack_stat and NF_CT_STAT_INC(), Linux 6.18.
#pragma once

#include "spec/nf_conn.h"

#include <atomic>
#include <cstdint>

namespace ct::core {

/// A counter with one writer: no read-modify-write is needed.
class counter {
 public:
  void operator++() { *this += 1; }
  void operator+=(std::uint64_t n) {
    // relaxed, both: a statistic; nothing is ordered by it, and only this thread writes it.
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  std::uint64_t get() const {
    return value_.load(std::memory_order_relaxed);  // relaxed: a statistic.
  }

 private:
  std::atomic<std::uint64_t> value_{0};
};

struct cpu_statistics {
  counter found, invalid, insert, insert_failed, drop, early_drop, error, search_restart,
      clash_resolve, chaintoolong, expect_new, expect_create, expect_delete;

  ip_conntrack_stat read() const {
    return {.found = found.get(),
            .invalid = invalid.get(),
            .insert = insert.get(),
            .insert_failed = insert_failed.get(),
            .drop = drop.get(),
            .early_drop = early_drop.get(),
            .error = error.get(),
            .search_restart = search_restart.get(),
            .clash_resolve = clash_resolve.get(),
            .chaintoolong = chaintoolong.get(),
            .expect_new = expect_new.get(),
            .expect_create = expect_create.get(),
            .expect_delete = expect_delete.get()};
  }
};

}  // namespace ct::core
