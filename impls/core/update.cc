// SPDX-License-Identifier: BSD-2-Clause
/// Changes of an entry on request, and what Linux refuses.
///
/// Source: __nf_ct_change_timeout(), nf_ct_change_status_common(), ctnetlink_change_mark(),
/// ctnetlink_attach_labels(), Linux 6.18.
#include "impls/core/extensions.h"
#include "spec/jiffies.h"
#include "spec/nf_conn.h"

#include <algorithm>
#include <limits>

namespace ct::core {
namespace {

/// Bits that an update may set, none of which it can clear; every other difference is ignored.
constexpr std::uint32_t settable =
    status::seen_reply | status::assured | status::fixed_timeout | status::helper;
constexpr std::uint32_t unchangeable = status::expected | status::confirmed | status::dying;
constexpr std::uint32_t only_set = status::seen_reply | status::assured;

update_status change_timeout(nf_conn& ct, std::uint32_t timeout_s, std::uint32_t now) {
  if (ct.has(status::fixed_timeout)) return update_status::fixed_timeout;
  constexpr std::uint64_t jiffies_max = std::numeric_limits<std::int32_t>::max();
  const auto left =
      static_cast<std::uint32_t>(std::min(std::uint64_t{timeout_s} * hz, jiffies_max));
  ct.timeout.store(now + left, std::memory_order_relaxed);  // relaxed: it stands for itself
  return ct.has(status::dying) ? update_status::dying : update_status::updated;
}

update_status change_status(nf_conn& ct, std::uint32_t wanted) {
  // relaxed: as nf_conn::has(). DYING that comes after this load is a race that the kernel has too.
  const std::uint32_t now = ct.status.load(std::memory_order_relaxed);
  if (((now ^ wanted) & unchangeable) != 0 || (now & ~wanted & only_set) != 0) {
    return update_status::busy;
  }
  ct.set_all(wanted & settable);
  return update_status::updated;
}

}  // namespace

update_status update(nf_conn& ct, const conn_update& change, std::uint32_t now) noexcept {
  if (change.timeout_s) {
    const update_status is = change_timeout(ct, *change.timeout_s, now);
    if (is != update_status::updated) return is;
  }
  if (change.status) {
    const update_status is = change_status(ct, *change.status);
    if (is != update_status::updated) return is;
  }
  if (change.mark) {
    // relaxed: as set_mark().
    const std::uint32_t old = ct.mark.load(std::memory_order_relaxed);
    set_mark(ct, (old & ~change.mark_mask) ^ *change.mark);
  }
  if (change.labels) {
    if (!ct.has_extension(ext::labels)) return update_status::no_labels;
    replace_labels(ct, *change.labels, change.labels_mask);
  }
  return update_status::updated;
}

}  // namespace ct::core
