// SPDX-License-Identifier: BSD-2-Clause
/// Taken before it is used, by any thread.
#include "harness/model/memory_budget.h"

#include "harness/format/number.h"

#include <fmt/format.h>

namespace ct::model {

void memory_budget::take(std::uint64_t bytes, std::string_view what) {
  // relaxed, all of these: a sum; what is taken is handed to nobody by it.
  std::uint64_t used = used_.load(std::memory_order_relaxed);
  do {
    if (bytes > bytes_max_ - used) {
      throw stopped_by_limit(
          fmt::format("the next growth of {} needs {}, and {} of {} are taken; raise --memory or "
                      "take a smaller configuration",
                      what,
                      harness::size_text(bytes),
                      harness::size_text(used),
                      harness::size_text(bytes_max_)));
    }
  } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
  std::uint64_t peak = peak_.load(std::memory_order_relaxed);
  while (peak < used + bytes &&
         !peak_.compare_exchange_weak(peak, used + bytes, std::memory_order_relaxed)) {
  }
}

void memory_budget::give_back(std::uint64_t bytes) {
  used_.fetch_sub(bytes, std::memory_order_relaxed);  // relaxed: a sum
}

std::uint64_t memory_budget::peak() const {
  return peak_.load(std::memory_order_relaxed);  // relaxed: a statistic
}

}  // namespace ct::model
