// SPDX-License-Identifier: BSD-2-Clause
/// Connections and counters as the tool conntrack(8) prints them: the lines of `conntrack -L`,
/// `-E` and `-S`.
///
/// Byte for byte, spaces at the ends included, so that both outputs can be compared with diff once
/// they are sorted (the tool prints in hash order). Protocols that have no tracker here are printed
/// as the tool prints what the kernel's generic tracker holds: gre, sctp, dccp and udplite with
/// keys or ports of zero. Limits: no start times, labels or NAT; SCTP and DCCP entries have no
/// state yet. Source: measured from conntrack 1.4.7 on Linux 6.18 (conntrack_test.cc holds its
/// lines).
#pragma once

#include "spec/events.h"
#include "spec/expect.h"
#include "spec/nf_conn.h"

#include <cstddef>
#include <string>

namespace ct::harness {

struct line_options {
  bool acct = false;      ///< packets= and bytes= of entries too that have no counters
  bool extended = false;  ///< `-o extended`: the family in front
  bool id = false;        ///< `-o id`: the id at the end
};

/// A line of `conntrack -L`, without its newline.
std::string conntrack_line(const conn& entry, const line_options& options);

/// A line of `conntrack -L expect`, without its newline; of protocols with ports.
std::string expect_line(const expect& exp);

/// A line of `conntrack -S`, without its newline but with the space that the tool leaves at its
/// end.
std::string conntrack_stat_line(std::size_t cpu_index, const ip_conntrack_stat& counters);

/// A line of `conntrack -E`, without its newline: what happened in brackets, then what the kernel
/// puts into that message. A TCP state stands where it changed, counters and no spent timeout in
/// DESTROY, a mark where there is one or it changed.
std::string conntrack_event_line(const event_message& message, const line_options& options);

/// What the tool says on stderr after its last line, of ourselves.
std::string conntrack_closing_line(std::size_t entry_count);

std::string conntrack_event_closing_line(std::size_t event_count);

/// An order for printing: by netns, family, protocol, addresses, ports, zone, then id; total over
/// one dump.
bool is_printed_before(const conn& a, const conn& b);

}  // namespace ct::harness
