// SPDX-License-Identifier: BSD-2-Clause
/// Expectations, as an observer sees them: connections that another one has announced.
///
/// A helper reads an announcement (FTP: "connect to this port of mine") in the packets of a master
/// connection and leaves an expectation; the first packet that matches it makes an entry that is
/// EXPECTED, has that master, and is RELATED. Source: struct nf_conntrack_expect,
/// include/uapi/linux/netfilter/nf_conntrack_common.h, Linux 6.18.
#pragma once

#include "spec/tuple.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace ct {

/// Flags of an expectation; values are the kernel's.
namespace expect_flag {
inline constexpr std::uint32_t permanent = 1U << 0;  ///< a match does not use it up
inline constexpr std::uint32_t inactive = 1U << 1;   ///< matches nothing
inline constexpr std::uint32_t userspace = 1U << 2;  ///< made on request, with a timeout of its own
}  // namespace expect_flag

/// The bits of a source that must agree; destinations must agree in all of them.
struct expect_mask {
  address addr{};
  std::uint16_t id = 0;
  auto operator<=>(const expect_mask&) const = default;
};

/// One expectation as a dump shows it: a copy, not a reference.
struct expect {
  ct::tuple tuple;  ///< of the connection to come; its source counts only under the mask
  expect_mask mask;
  ct::tuple master;  ///< original tuple of the connection that announced it
  std::uint64_t master_id = 0;
  std::uint8_t class_index = 0;
  std::uint32_t flags = 0;
  std::int32_t timeout_jiffies = 0;  ///< left before it expires
  std::string_view helper;           ///< of its master
  netns_id net = 0;
  ct::zone zone{};
  auto operator<=>(const expect&) const = default;
};

/// The helpers that every system has, by the names that the kernel gives them.
inline constexpr std::array<std::string_view, 1> helper_names = {"ftp"};

/// "New connections to this port get that helper": what a rule says (`ct helper set`).
struct helper_rule {
  std::string helper;
  std::uint16_t port = 0;
};

}  // namespace ct
