// SPDX-License-Identifier: BSD-2-Clause
/// Are two systems that were given the same packets in the same state? In words, where they are
/// not.
///
/// Each comparison answers with the first difference as one line, or nothing; `name` is what the
/// line calls the reference. What a table may decide for itself (the order of a dump, when
/// gc_worker meets an expired entry) is no difference.
#pragma once

#include "spec/ct_system.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ct::harness {

/// What of one packet differs, as "ctinfo NEW (locked_map: ESTABLISHED), ...".
std::string packet_difference(const skb& mine, const skb& reference, std::string_view name);

/// In printing order.
std::vector<conn> dump_of(ct_system& system, cpu& on);
/// The first entry that only one dump has, or that they show differently.
std::string dump_difference(std::span<const conn> mine,
                            std::span<const conn> reference,
                            std::string_view name);

/// In an order of their own.
std::vector<expect> expectations_of(const ct_system& system);
std::string expectations_difference(std::span<const expect> mine,
                                    std::span<const expect> reference,
                                    std::string_view name);

ip_conntrack_stat total(std::span<const ip_conntrack_stat> statistics);
std::string statistics_difference(const ip_conntrack_stat& mine,
                                  const ip_conntrack_stat& reference,
                                  std::string_view name);

/// Entries that are left once gc_worker has taken every expired one: how often it ran until now may
/// differ between tables (it looks at buckets, and they have different ones), what it leaves may
/// not.
std::size_t count_at_rest(ct_system& system, cpu& on);

}  // namespace ct::harness
