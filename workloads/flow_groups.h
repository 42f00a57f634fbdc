// SPDX-License-Identifier: BSD-2-Clause
/// Which packets of a capture concern the same connection: how a capture is dealt out to several
/// threads.
///
/// As a network card does with symmetric RSS, but exact where a card is not: both directions of a
/// flow, the ICMP errors about it and its fragments stay together. The frames are read by this
/// file's own short parser, which shares nothing with the packet code of the implementations.
/// Limits: a fragment has no ports, so everything of its protocol between its two addresses becomes
/// one group; what is not IP is one group too.
#pragma once

#include "spec/ct_system.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ct::workloads {

/// [packet] number of its group, counted from 0 in the order of first appearance.
std::vector<std::size_t> flow_groups(std::span<const skb> packets);

/// Flows by their own five values, whatever fragments there are; ICMP echoes count by identifier.
std::size_t flow_count(std::span<const skb> packets);

/// [packet] thread below `threads` which gets it: whole groups, the largest first to the least
/// loaded.
std::vector<int> deal_out(std::span<const skb> packets, int threads);

}  // namespace ct::workloads
