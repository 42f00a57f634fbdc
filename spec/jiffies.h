// SPDX-License-Identifier: BSD-2-Clause
/// The clock of conntrack: jiffies, a 32-bit tick counter that wraps.
///
/// Every timeout of an nf_conn is a 32-bit jiffies value, compared by signed difference, so that a
/// wrap of the counter is no event. Drivers count in 64 bits (`jiffies64`), the entries keep the
/// low 32. Limit: two instants further apart than 2^31 jiffies (99 days at HZ=250) cannot be
/// ordered. Source: jiffies, time_after(), nf_ct_is_expired(), Linux 6.18.
#pragma once

#include <cstdint>

namespace ct {

/// Ticks a second (CONFIG_HZ). 250 is what Debian's kernels use.
inline constexpr std::uint32_t hz = 250;

/// The clock of a new system: five minutes before the wrap, as the kernel's INITIAL_JIFFIES, so
/// that every run meets the wrap early instead of after 198 days.
inline constexpr std::uint64_t initial_jiffies = 0x1'0000'0000ULL - 300ULL * hz;

/// Jiffies of `seconds` whole seconds.
constexpr std::uint32_t seconds(std::uint32_t seconds) { return seconds * hz; }

/// Signed distance from `earlier` to `later`, in jiffies; right across a wrap.
constexpr std::int32_t jiffies_between(std::uint32_t earlier, std::uint32_t later) {
  return static_cast<std::int32_t>(later - earlier);
}

/// Has `deadline` been reached at `now`? An entry expires in the very jiffy of its timeout.
constexpr bool is_reached(std::uint32_t deadline, std::uint32_t now) {
  return jiffies_between(now, deadline) <= 0;
}

}  // namespace ct
