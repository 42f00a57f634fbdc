// SPDX-License-Identifier: BSD-2-Clause
/// Bodies of conntrack: settings, and changes of entries on request.
#pragma once

#include "impls/core/conntrack.h"

#include <stdexcept>
#include <string>
#include <string_view>

namespace ct::core {

/// What every netns begins with: the kernel's defaults, then what the system was made with.
template <ct::table Table>
void conntrack<Table>::set_defaults() {
  defaults_.acct = options_.acct;
  global_.max_entries = options_.max_entries;
  global_.expect_max = global_policy::default_expect_max(options_.buckets);
  sysctl_target to{.own = defaults_, .global = global_, .dccp = options_.dccp};
  for (const sysctl_setting& one : options_.sysctls) {
    const std::string error = write_sysctl(to, one.name, one.value);
    if (!error.empty()) throw std::invalid_argument("sysctl: " + error);
  }
}

/// With nf_conntrack_buckets from among the sysctls: the table is made with as many, as by the
/// kernel's parameter hashsize, whether or not it can be resized later.
template <ct::table Table>
system_options conntrack<Table>::as_at_boot(system_options options) {
  policy own;
  global_policy global;
  sysctl_target to{.own = own, .global = global};
  for (const sysctl_setting& one : options.sysctls) {
    // What is wrong with one is said by set_defaults().
    (void)write_sysctl(to, one.name, one.value);
  }
  options.buckets = to.wanted_buckets.value_or(options.buckets);
  return options;
}

/// Writes a sysctl of `in_net`; nf_conntrack_buckets resizes, as the calling thread's own reader,
/// which is another beside that of its CPU.
template <ct::table Table>
std::string conntrack<Table>::set_sysctl(netns& in_net,
                                         std::string_view name,
                                         std::string_view value) {
  sysctl_target to = sysctls_of(in_net);
  std::string error = write_sysctl(to, name, value);
  if (!error.empty() || !to.wanted_buckets) return error;
  typename Table::local local(table_);
  return refusal_of(resize(local, *to.wanted_buckets), *to.wanted_buckets);
}

template <ct::table Table>
sysctl_target conntrack<Table>::sysctls_of(netns& in_net) noexcept {
  return {.own = in_net.policy,
          .global = global_,
          .net = in_net.id,
          // relaxed: a figure to look at.
          .count = in_net.count.load(std::memory_order_relaxed),
          .buckets = table_.bucket_count(),
          .dccp = options_.dccp};
}

/// What rules do to the entry of a packet between `in` and `confirm`.
template <ct::table Table>
void conntrack<Table>::apply_rules(const skb& s) noexcept {
  if (s.ct_mark) set_mark(*static_cast<nf_conn*>(s.nfct), *s.ct_mark);
}

template <ct::table Table>
update_status conntrack<Table>::update(cpu_state& cpu,
                                       const tuple& t,
                                       const conn_update& change) noexcept {
  const ct::dir d = t.dst.dir;
  const found<nf_conn> hit = find_get(cpu, key_of(t, change.zone.id_for(d), net(change.net)));
  if (hit.entry == nullptr) return update_status::not_found;
  const update_status is = core::update(*hit.entry, change, now());
  if (is == update_status::updated) {
    mark(cpu.local, action::track, *hit.entry);
    mark(cpu.local, action::deliver, *hit.entry);
    deliver(*hit.entry, events_of_update);
  }
  put(cpu, *hit.entry);
  return is;
}

}  // namespace ct::core
