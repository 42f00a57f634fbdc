// SPDX-License-Identifier: BSD-2-Clause
/// Numbers to small numbers, by open addressing: what the judge asks for every operation.
///
/// Linear probing at a load of at most one half; erasing moves the followers up, so that nothing
/// is left behind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace ct::check {

class id_map {
 public:
  static constexpr std::uint32_t none = ~std::uint32_t{0};

  std::uint32_t find(std::uint64_t id) const {
    if (items_.empty()) return none;
    for (std::size_t i = home(id);; i = after(i)) {
      if (items_[i].value == none) return none;
      if (items_[i].id == id) return items_[i].value;
    }
  }
  void set(std::uint64_t id, std::uint32_t value) {
    if (2 * (size_ + 1) > items_.size()) grow();
    std::size_t i = home(id);
    while (items_[i].value != none && items_[i].id != id) i = after(i);
    size_ += items_[i].value == none ? 1 : 0;
    items_[i] = {.id = id, .value = value};
  }
  void erase(std::uint64_t id) {
    if (items_.empty()) return;
    std::size_t hole = home(id);
    while (items_[hole].id != id) {
      if (items_[hole].value == none) return;
      hole = after(hole);
    }
    if (items_[hole].value == none) return;
    --size_;
    for (std::size_t i = after(hole); items_[i].value != none; i = after(i)) {
      // May it move up to the hole? Not past its home.
      const std::size_t mask = items_.size() - 1;
      if (((i - home(items_[i].id)) & mask) < ((i - hole) & mask)) continue;
      items_[hole] = items_[i];
      hole = i;
    }
    items_[hole] = {};
  }
  std::size_t size() const { return size_; }

 private:
  struct item {
    std::uint64_t id = 0;
    std::uint32_t value = none;
  };
  std::size_t home(std::uint64_t id) const {
    const std::uint64_t h = id * 0x9e3779b97f4a7c15ULL;
    return static_cast<std::size_t>(h >> 32 ^ h) & (items_.size() - 1);
  }
  std::size_t after(std::size_t i) const { return (i + 1) & (items_.size() - 1); }
  void grow() {
    std::vector<item> old(items_.empty() ? 64 : 2 * items_.size());
    std::swap(old, items_);
    size_ = 0;
    for (const item& i : old) {
      if (i.value != none) set(i.id, i.value);
    }
  }
  std::vector<item> items_;
  std::size_t size_ = 0;
};

}  // namespace ct::check
