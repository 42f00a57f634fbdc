// SPDX-License-Identifier: BSD-2-Clause
/// The sysctls: names, units and ranges of what stands in policy.h.
///
/// A sysctl more is a line in sysctl.cc. Ranges are the kernel's, with one exception: a negative
/// timeout, which Linux takes, is refused. Source: nf_ct_sysctl_table[], Linux 6.18.
#pragma once

#include "impls/core/policy.h"
#include "spec/policy.h"
#include "spec/table.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ct::core {

/// Where the values of a netns are: what a line of the list reads and writes.
struct sysctl_target {
  policy& own;
  global_policy& global;
  netns_id net = 0;
  std::uint64_t count = 0;                        ///< nf_conntrack_count
  std::uint64_t buckets = 0;                      ///< nf_conntrack_buckets
  std::optional<std::uint64_t> wanted_buckets{};  ///< written: whoever holds the table resizes it
  bool dccp = false;                              ///< are there those of DCCP?
};

/// Why nf_conntrack_buckets could not be set to `wanted`, in one line; empty: it is.
[[nodiscard]] std::string refusal_of(resize_status status, std::uint64_t wanted);

/// Every sysctl with its value in that netns, in the order of the kernel's table.
std::vector<sysctl> read_sysctls(const sysctl_target& from);

/// Writes one; in force at once. Empty, or one line that says what is wrong and what to do; nothing
/// is changed then.
[[nodiscard]] std::string write_sysctl(sysctl_target& to,
                                       std::string_view name,
                                       std::string_view value);

}  // namespace ct::core
