// SPDX-License-Identifier: BSD-2-Clause
/// How much memory a check may take: asked before anything grows, so that it stops and says so
/// instead of taking the machine with it.
#pragma once

#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace ct::model {

/// A limit ended the check; what() is one line: which, and what to do.
class stopped_by_limit : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class memory_budget {
 public:
  explicit memory_budget(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  /// Throws stopped_by_limit instead of exceeding; `what` is for people: "the seen set".
  void take(std::uint64_t bytes, std::string_view what);
  void give_back(std::uint64_t bytes);
  std::uint64_t peak() const;

 private:
  const std::uint64_t bytes_max_;
  std::atomic<std::uint64_t> used_{0};
  std::atomic<std::uint64_t> peak_{0};
};

/// push_back that asks first. What it holds is given back when the budget goes.
template <class T>
void append(memory_budget& budget, std::string_view what, std::vector<T>& to, const T& element) {
  if (to.size() == to.capacity()) {
    constexpr std::size_t least = 1024;
    const std::size_t before = to.capacity();
    const std::size_t after = before < least ? least : before + before / 2;
    budget.take(after * sizeof(T), what);
    to.reserve(after);
    budget.give_back(before * sizeof(T));
  }
  to.push_back(element);
}

}  // namespace ct::model
