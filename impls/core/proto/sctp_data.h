// SPDX-License-Identifier: BSD-2-Clause
/// What the SCTP tracker keeps of an association: struct ip_ct_sctp.
///
/// Plain data, guarded by the entry's lock; the rules that write it are in sctp.cc.
/// Source: include/linux/netfilter/nf_conntrack_sctp.h, Linux 6.18.
#pragma once

#include "spec/nf_conn.h"
#include "spec/tuple.h"

#include <array>
#include <cstdint>

namespace ct::core {

struct sctp_data {
  sctp_state state = sctp_state::none;
  /// A heartbeat came with a tag that its side does not have; of the two, the last.
  bool heartbeat_failed = false;
  dir heartbeat_dir = dir::original;    ///< which way it went
  std::array<bool, 2> has_init{};       ///< [dir]: an INIT went this way and is not answered yet
  std::array<std::uint32_t, 2> vtag{};  ///< [dir]: tag of the packets that go this way; 0: unknown
};

}  // namespace ct::core
