// SPDX-License-Identifier: BSD-2-Clause
/// A network namespace, as far as conntrack knows it: its settings, its count, its lists.
///
/// All netns share one table; a netns is told apart by its number in every key, and spread by its
/// hash_mix. Source: struct netns_ct, struct nf_conntrack_net, Linux 6.18; the per-CPU lists: 5.10.
#pragma once

#include "impls/core/entry_list.h"
#include "impls/core/event_channel.h"
#include "impls/core/policy.h"
#include "impls/core/proto/gre_keymap.h"
#include "spec/tuple.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace ct::core {

/// CPUs that can be attached to a system at one time.
inline constexpr std::size_t cpus_max = 64;
/// Network namespaces of a system; their numbers are 0 to netns_max - 1.
inline constexpr std::size_t netns_max = 4096;
static_assert(netns_max <= 1U << 16, "a key keeps the netns in 16 bits");

struct netns {
  struct cpu_lists {
    entry_list unconfirmed;
    entry_list dying;
  };

  netns(netns_id number,
        std::uint32_t mix,
        const core::policy& settings,
        event_channel::listener_count& listening)
      : id(number), hash_mix(mix), policy(settings), events(number, listening) {}

  // Immutable.
  const netns_id id;
  const std::uint32_t hash_mix;
  // Each value synchronises itself.
  core::policy policy;
  // Atomic: entries that were allocated here and not freed yet (nf_conntrack_count).
  alignas(64) std::atomic<std::size_t> count{0};
  std::atomic<bool> is_exiting{false};  // no new entries
  // Each list has its own lock.
  std::array<cpu_lists, cpus_max> lists;  // [cpu]
  // Synchronises itself.
  event_channel events;
  // Atomic, written under the lock of expect_table: its expectations of this netns.
  std::atomic<std::size_t> expect_count{0};
  // Synchronises itself.
  gre_keymap gre_keys;
};

}  // namespace ct::core
