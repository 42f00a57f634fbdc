// SPDX-License-Identifier: BSD-2-Clause
/// Threads for one level: starting them costs less than the thousands of states they take.
#include "harness/model/thread_team.h"

#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace ct::model {

void run_team(unsigned count,
              const std::function<void(unsigned)>& work,
              const std::function<void()>& on_failure) {
  std::mutex lock;
  std::exception_ptr first;
  const auto guarded = [&](unsigned index) {
    try {
      work(index);
    } catch (...) {
      on_failure();
      const std::lock_guard guard(lock);
      if (!first) first = std::current_exception();
    }
  };
  std::vector<std::thread> others;
  for (unsigned i = 1; i < count; ++i) others.emplace_back(guarded, i);
  guarded(0);
  for (std::thread& other : others) other.join();
  if (first) std::rethrow_exception(first);
}

}  // namespace ct::model
