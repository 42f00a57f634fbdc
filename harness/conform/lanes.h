// SPDX-License-Identifier: BSD-2-Clause
/// A list of packets side by side: what was sent, what ours made of it, what Linux did.
#pragma once

#include "harness/conform/campaign.h"

#include <span>
#include <string>
#include <vector>

namespace ct::harness::conform {

/// Runs the packets deep and writes down what is to be seen of each.
std::vector<lane> make_lanes(lockstep& pair, std::span<const walked_packet> packets);

/// The lanes as a table, with the lines where they part marked.
std::string lanes_text(const finding& of, std::string_view our_name, std::string_view their_name);

/// The packets as a capture of raw IP packets, a millisecond apart and their pauses.
std::string pcap_of(std::span<const walked_packet> packets);

}  // namespace ct::harness::conform
