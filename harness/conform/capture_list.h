// SPDX-License-Identifier: BSD-2-Clause
/// A capture as a list of IP packets that a router forwards.
#pragma once

#include "harness/conform/campaign.h"

#include <cstddef>
#include <optional>
#include <span>
#include <string>

namespace ct::harness::conform {

/// Where the IP packet begins in a frame; none: it carries no IP.
std::optional<std::size_t> ip_offset(std::span<const std::byte> frame, link_type link);

/// Reads all of it. Packets that were cut get zeros up to their length, IPv4 headers the checksum
/// that the sending card may not have filled in yet; 127/8, which no router forwards, becomes
/// 126/8. What is no IP or not forwarded is left out.
/// With `keeps_gaps` a gap of 1 s or more is a pause, of at most 3 s. Throws
/// workloads::input_error.
captured_list read_capture(const std::string& path, bool keeps_gaps);

}  // namespace ct::harness::conform
