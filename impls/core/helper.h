// SPDX-License-Identifier: BSD-2-Clause
/// Helpers: readers of a protocol's payload that announce connections to come.
///
/// A helper is attached to an entry while that is unconfirmed, by a rule; the entry then carries
/// `nf_conn_help`, allocated apart because few entries have it. A new helper is one file that
/// defines a conntrack_helper, one line in helper.cc and its name in spec/expect.h. Source: struct
/// nf_conntrack_helper, struct nf_conn_help, nf_confirm(), Linux 6.18.
#pragma once

#include "impls/core/packet.h"
#include "impls/core/statistics.h"
#include "spec/ct_system.h"
#include "spec/expect.h"
#include "spec/nf_conn.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace ct::core {

struct expectation;
class expect_table;
struct nf_conn;

/// How many expectations of a class a master may have, and how long each of them waits.
struct expect_policy {
  std::uint32_t max_expected = 0;  ///< 0: no limit
  std::uint32_t timeout_s = 0;
};
inline constexpr std::size_t expect_classes_max = 4;

/// What a helper is given with a packet.
struct help_context {
  const packet& pkt;
  const ctinfo info;
  const std::uint32_t now;
  const bool ftp_loose;
  expect_table& expects;
  cpu_statistics& stat;
  const char* reason = nullptr;  ///< why the packet is dropped; a static string
};

struct conntrack_helper {
  std::string_view name;
  std::uint8_t protonum;
  std::array<expect_policy, expect_classes_max> classes;
  std::uint8_t class_count;
  /// Reads a packet of an entry that it is attached to, on its way to confirm.
  verdict (*help)(nf_conn& ct, help_context& context) noexcept;
};

extern const conntrack_helper ftp_helper;

/// nullptr: there is none of that name.
const conntrack_helper* find_helper(std::string_view name) noexcept;

/// A rule, with its helper found: new connections of the helper's protocol to this port get it.
struct helper_attachment {
  const conntrack_helper* helper;
  std::uint16_t port;
};
/// Of the rules in the options. Throws std::invalid_argument for a helper that there is not.
std::vector<helper_attachment> attachments_of(const system_options& options);

/// What the FTP helper knows of each direction: sequence numbers at which a line begins.
struct ftp_lines {
  static constexpr std::size_t remembered = 2;
  std::array<std::array<std::uint32_t, remembered>, 2> begins{};  // [dir]
  std::array<std::uint8_t, 2> count{};                            // [dir]
};

/// What an entry with a helper carries.
struct nf_conn_help {
  explicit nf_conn_help(const conntrack_helper& attached) : helper(attached) {}

  // Immutable.
  const conntrack_helper& helper;
  // Guarded by nf_conn::lock.
  ftp_lines ftp;
  // Guarded by the lock of expect_table: newest first, and how many of each class.
  expectation* expectations = nullptr;
  std::array<std::uint32_t, expect_classes_max> expecting{};
};

}  // namespace ct::core
