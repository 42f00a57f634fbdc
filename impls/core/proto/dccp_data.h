// SPDX-License-Identifier: BSD-2-Clause
/// What the DCCP tracker keeps of a connection: struct nf_ct_dccp.
///
/// Plain data, guarded by the entry's lock; the rules that write it are in dccp.cc.
/// Source: include/linux/netfilter/nf_conntrack_dccp.h, Linux 5.10.
#pragma once

#include "spec/nf_conn.h"
#include "spec/tuple.h"

#include <cstdint>

namespace ct::core {

/// Packet types, numbered as on the wire; higher ones are reserved.
enum class dccp_type : std::uint8_t {
  request,
  response,
  data,
  ack,
  dataack,
  closereq,
  close,
  reset,
  sync,
  syncack,
};

struct dccp_data {
  dccp_state state = dccp_state::none;
  dir client = dir::original;  ///< which way the client's packets go
  dir last_dir = dir::original;
  dccp_type last_type = dccp_type::request;
  std::uint64_t handshake_seq = 0;  ///< of the RESPONSE: what the client's first ACK acknowledges
};

}  // namespace ct::core
