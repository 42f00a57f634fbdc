// SPDX-License-Identifier: BSD-2-Clause
/// What only some entries have: counters, timestamps, labels, a timeout policy.
///
/// Decided once, when the entry is made, by the settings of that moment: whoever turns accounting
/// on later gets counters of later entries. Timestamps are nanoseconds on the system's clock, whose
/// resolution is a jiffy. Difference to the kernel: the room is always there, at the end of
/// nf_conn, and a byte says what of it is used; the kernel allocates it beside the entry. Source:
/// nf_ct_acct_ext_add(), nf_ct_tstamp_ext_add(), nf_ct_labels_ext_add(),
/// nf_ct_timeout_ext_add(), nf_connlabels_replace(), Linux 6.18.
#pragma once

#include "impls/core/nf_conn.h"
#include "impls/core/policy.h"
#include "impls/core/timeout_policy.h"
#include "spec/jiffies.h"
#include "spec/nf_conn.h"
#include "spec/policy.h"

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace ct::core {

/// Sets up `ct`, which is private to its maker, for the settings of its netns.
inline void add_extensions(nf_conn& ct, const policy& settings) {
  ct.extensions = 0;
  if (settings.acct) {
    ct.extensions |= ext::acct;
    for (conn_counter& c : ct.counters) {
      c.packets.store(0, std::memory_order_relaxed);  // relaxed: private until it is linked
      c.bytes.store(0, std::memory_order_relaxed);    // relaxed: see above
    }
  }
  if (settings.timestamp) {
    ct.extensions |= ext::timestamp;
    ct.start_ns.store(0, std::memory_order_relaxed);  // relaxed: see above
    ct.stop_ns.store(0, std::memory_order_relaxed);   // relaxed: see above
  }
  if (settings.labels_used) {
    ct.extensions |= ext::labels;
    for (auto& word : ct.labels) word.store(0, std::memory_order_relaxed);  // relaxed: see above
  }
}

/// Gives a new entry a timeout policy, if it is one for its protocol. nullptr: none.
inline void add_timeouts(nf_conn& ct, const timeout_policy* own) {
  if (own == nullptr || !own->is_for(ct.tuple(dir::original).dst.protonum)) return;
  ct.own_timeouts = &own->values();
  ct.extensions |= ext::timeout;
}

/// The entry's own timeouts, or those of its netns.
inline const timeouts& timeouts_of(const nf_conn& ct, const policy& settings) {
  return ct.has_extension(ext::timeout) ? *ct.own_timeouts : settings;
}

/// Nanoseconds since the clock of the system began.
constexpr std::uint64_t clock_ns(std::uint64_t jiffies64) {
  return (jiffies64 - initial_jiffies) * (1'000'000'000 / hz);
}

/// At confirm.
inline void stamp_start(nf_conn& ct, std::uint64_t jiffies64) {
  if (!ct.has_extension(ext::timestamp)) return;
  // relaxed: private until it is linked.
  ct.start_ns.store(clock_ns(jiffies64), std::memory_order_relaxed);
}

/// By the one who claimed its deletion, ahead of the destroy event: now, or the moment at which it
/// expired.
inline void stamp_stop(nf_conn& ct, std::uint64_t jiffies64) {
  if (!ct.has_extension(ext::timestamp)) return;
  // relaxed, both: what a dump shows of an entry that goes is no snapshot.
  const std::int32_t left = jiffies_between(static_cast<std::uint32_t>(jiffies64),
                                            ct.timeout.load(std::memory_order_relaxed));
  const std::uint64_t late = left < 0 ? static_cast<std::uint64_t>(-std::int64_t{left}) : 0;
  ct.stop_ns.store(clock_ns(jiffies64 - late), std::memory_order_relaxed);  // relaxed: see above
}

/// Into a copy of the entry for dumps and events: what it has beyond what all have.
inline void show_extensions(const nf_conn& ct, conn& c) {
  c.has_acct = ct.has_extension(ext::acct);
  // relaxed, all of these: a dump is no snapshot.
  for (std::size_t d = 0; c.has_acct && d < 2; ++d) {
    c.packets[d] = ct.counters[d].packets.load(std::memory_order_relaxed);  // relaxed: see above
    c.bytes[d] = ct.counters[d].bytes.load(std::memory_order_relaxed);      // relaxed: see above
  }
  if (ct.has_extension(ext::timestamp)) {
    c.start_ns = ct.start_ns.load(std::memory_order_relaxed);  // relaxed: see above
    c.stop_ns = ct.stop_ns.load(std::memory_order_relaxed);    // relaxed: see above
  }
  if (!ct.has_extension(ext::labels)) return;
  for (std::size_t i = 0; i < c.labels.size(); ++i) {
    c.labels[i] = ct.labels[i].load(std::memory_order_relaxed);  // relaxed: see above
  }
}

/// True: the mark is another one than before.
inline bool set_mark(nf_conn& ct, std::uint32_t mark) {
  // relaxed, both: a mark stands for itself. Most packets set what is there: the line stays shared.
  if (ct.mark.load(std::memory_order_relaxed) == mark) return false;
  ct.mark.store(mark, std::memory_order_relaxed);  // relaxed: see above
  ct.ecache.cache(event::mark);
  return true;
}

/// Each word becomes (old & ~mask) ^ value. True: a bit is another one than before. Requires: the
/// extension.
inline bool replace_labels(nf_conn& ct, const labels& value, const labels& mask) {
  bool is_changed = false;
  for (std::size_t i = 0; i < value.size(); ++i) {
    std::uint32_t old = ct.labels[i].load(std::memory_order_relaxed);  // relaxed: see below
    std::uint32_t wanted = 0;
    do {
      wanted = (old & ~mask[i]) ^ value[i];
      // relaxed: each word stands for itself; the exchange only keeps another's change of it.
    } while (wanted != old &&
             !ct.labels[i].compare_exchange_weak(old, wanted, std::memory_order_relaxed));
    is_changed |= wanted != old;
  }
  if (is_changed) ct.ecache.cache(event::label);
  return is_changed;
}

/// Changes a confirmed entry as `conntrack -U` does, in the kernel's order: timeout, status, mark,
/// labels. Source: ctnetlink_change_conntrack(), Linux 6.18.
update_status update(nf_conn& ct, const conn_update& change, std::uint32_t now) noexcept;

}  // namespace ct::core
