// SPDX-License-Identifier: BSD-2-Clause
/// The call ids of a netns' PPTP tunnels: which source key goes with a destination key.
///
/// A PPTP packet carries its receiver's call id and not its sender's. The control connection has
/// agreed on both; whoever reads it (in Linux a helper, of which there is none here; the program
/// calls ct_system::add_gre_keys) writes them into this map, and the packets of both directions
/// find one entry. A list that is searched from its oldest pair on, as in the kernel; who has no
/// tunnels pays one load for each PPTP packet. Difference to the kernel: its list belongs to the
/// control connection, and allows pairs that contradict each other, of which the first counts.
/// Source: nf_ct_gre_keymap_add(), gre_keymap_lookup(), nf_ct_gre_keymap_flush(), Linux 6.18 and
/// 5.10; RFC 2637 section 4.1.
#pragma once

#include "impls/sync/spinlock.h"
#include "spec/tuple.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ct::core {

class gre_keymap {
 public:
  /// False: one of the two is known with another source key; nothing is changed.
  [[nodiscard]] bool add(const tuple& original, const tuple& reply);
  void remove(const tuple& original, const tuple& reply) noexcept;
  void clear() noexcept;

  /// The source key of a tuple with these addresses and this destination key; 0: none is known.
  std::uint16_t find(const tuple& t) const noexcept;
  std::size_t size() const noexcept {
    return size_.load(std::memory_order_relaxed);  // relaxed: a figure; the lock guards the list
  }

 private:
  void update_size() noexcept {
    size_.store(known_.size(), std::memory_order_relaxed);  // relaxed: see size()
  }
  const tuple* search(const tuple& t) const noexcept;

  mutable sync::spinlock lock_;
  // Guarded by lock_.
  std::vector<tuple> known_;
  // Atomic.
  std::atomic<std::size_t> size_{0};
};

}  // namespace ct::core
