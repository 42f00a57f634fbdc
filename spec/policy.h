// SPDX-License-Identifier: BSD-2-Clause
/// What an administrator may set: sysctls, timeout policies, and changes to one entry.
///
/// Names, units and refusals are those that a user of Linux meets: `sysctl -w
/// net.netfilter.nf_conntrack_*`, `nfct timeout add`, `conntrack -U`. Source:
/// nf_conntrack_standalone.c, nfnetlink_cttimeout.c, ctnetlink_change_conntrack(), Linux 6.18.
#pragma once

#include "spec/tuple.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ct {

/// One line of `sysctl -a`.
struct sysctl {
  std::string_view name;  ///< nf_conntrack_...: without the prefix net.netfilter.
  std::uint64_t value = 0;
  std::uint64_t min = 0;
  std::uint64_t max = 0;
  std::string_view unit;     ///< "s", "entries" ..., empty for switches
  std::string_view meaning;  ///< what it is, a few words
  bool is_writable = true;
  bool is_per_netns = true;  ///< false: one value for all, set in netns 0
};

/// A sysctl and what to write into it, as text: sysctls take their numbers so.
struct sysctl_setting {
  std::string name;  ///< as the kernel has it; net.netfilter. and nf_conntrack_ may be left out
  std::string value;
};

/// A set of timeouts that an entry may have in place of its netns' ones; made by
/// ct_system::add_timeouts, opaque outside of the system.
class timeout_policy;

/// One timeout of a policy, by the name that `nfct timeout` gives it: "established", "replied" ...
struct timeout_setting {
  std::string_view name;
  std::uint32_t seconds = 0;
};

/// ctlabels: 128 bits.
using labels = std::array<std::uint32_t, 4>;

/// What to change of an entry; what is not given stays.
struct conn_update {
  netns_id net = 0;
  ct::zone zone{};
  std::optional<std::uint32_t> timeout_s{};
  std::optional<std::uint32_t> status{};  ///< the whole word as it should be
  std::optional<std::uint32_t> mark{};    ///< new mark = (old & ~mark_mask) ^ mark
  std::uint32_t mark_mask = 0xffff'ffff;
  std::optional<ct::labels> labels{};  ///< each word as the mark
  ct::labels labels_mask = {0xffff'ffff, 0xffff'ffff, 0xffff'ffff, 0xffff'ffff};
};

/// What came of an update; after a refusal, what stands ahead of it in conn_update is changed.
enum class update_status : std::uint8_t {
  updated,
  not_found,      ///< ENOENT
  fixed_timeout,  ///< EPERM: an entry with FIXED_TIMEOUT keeps its timeout
  dying,          ///< ETIME: it is being deleted
  busy,           ///< EBUSY: EXPECTED, CONFIRMED and DYING cannot change, SEEN_REPLY and ASSURED
                  ///< cannot be cleared
  no_labels,      ///< ENOSPC: it was made while its netns used no labels
};

}  // namespace ct
