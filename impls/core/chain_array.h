// SPDX-License-Identifier: BSD-2-Clause
/// An array of locked_chain on huge pages, and which of them a hash belongs to.
///
/// Source: scale_hash() of nf_conntrack_core.c, Linux 6.18: (hash * size) >> 32, for any size.
#pragma once

#include "impls/core/locked_chain.h"
#include "impls/sync/pages.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>

namespace ct::core {

class chain_array {
 public:
  explicit chain_array(std::size_t wanted)
      : count_(std::clamp<std::size_t>(wanted, 1, std::numeric_limits<std::uint32_t>::max())),
        memory_(count_ * sizeof(locked_chain)),
        chains_(reinterpret_cast<locked_chain*>(memory_.bytes().data())) {
    std::uninitialized_default_construct_n(chains_, count_);
  }

  std::size_t size() const noexcept { return count_; }
  std::size_t memory_bytes() const noexcept { return memory_.bytes().size(); }
  std::span<locked_chain> chains() const noexcept { return {chains_, count_}; }
  locked_chain& operator[](std::size_t i) const noexcept { return chains_[i]; }
  std::size_t index_of(std::uint32_t hash) const noexcept {
    return static_cast<std::size_t>(std::uint64_t{hash} * count_ >> 32);
  }
  locked_chain& of(std::uint32_t hash) const noexcept { return chains_[index_of(hash)]; }

 private:
  // Immutable.
  std::size_t count_;
  sync::pages memory_;
  locked_chain* chains_;
};

}  // namespace ct::core
