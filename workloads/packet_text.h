// SPDX-License-Identifier: BSD-2-Clause
/// Packets by a line of text each, as scenarios write them.
///
///     tcp  10.0.0.1:5000 > 192.0.2.7:80 SA seq 1 ack 101 win 1000 data 10
///     udp  [2001:db8::1]:4000 > [2001:db8::2]:53 data 4
///     icmp 10.0.0.1 > 192.0.2.7 echo id 7           icmp 192.0.2.7 > 10.0.0.1 echo-reply id 7
///     icmp 10.9.9.9 > 10.0.0.1 unreachable about request
///     proto 253 10.0.0.1 > 192.0.2.7 data 8
///
/// `proto N` adds no header, of TCP or UDP neither: `proto 17 ... data 3` is one that ends early.
/// TCP flags are letters of FSRPAUEC, or `none`; `say "text"` in place of `data N` gives the
/// payload. ICMP takes `type N code N` too; addresses decide between ICMP and ICMPv6. A source port
/// may be a range, 1000-1019: a packet each. Behind all of them may stand `net N`, `zone N`,
/// `zone N original` (or reply: the direction that is in the zone), `mark N` (a rule sets it),
/// `policy NAME` (a rule gives its timeouts), `cut N` (only its first N bytes exist), `part N M` (a
/// fragment: bytes N to M of what is behind the IP header).
#pragma once

#include "spec/tuple.h"
#include "workloads/words.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ct::workloads {

struct text_packet {
  std::vector<std::byte> ip;  ///< raw IP, lengths and checksums right unless cut
  ct::tuple tuple;            ///< what its lookup asks for; of an ICMP error: zero
  netns_id net = 0;
  ct::zone zone;
  std::optional<std::uint32_t> mark;
  std::string policy;  ///< name of its timeout policy; empty: none
};

/// The packet of a name, for `about`; nullptr: there is none.
using packet_lookup = std::function<const text_packet*(std::string_view name)>;

/// Throws text_error.
std::vector<text_packet> parse_packets(std::span<const std::string> words,
                                       const packet_lookup& lookup);

}  // namespace ct::workloads
