// SPDX-License-Identifier: BSD-2-Clause
/// The FTP helper: reads a control connection and expects its data connections.
///
/// It reads segments, not a stream: a line is looked at where it begins a segment, and only if the
/// segment's sequence number is one at which a line is known to begin (the end of a segment that
/// ended in a newline; two are remembered a direction, so that a retransmission is read as well).
/// So the first line of each direction is never read, and neither is what follows a first line in
/// one segment. An offer that breaks off is dropped, and comes again, longer, as TCP retransmits:
/// this is the one place where connection tracking drops a packet of a sound connection.
///
/// What is expected: one connection from the other side, any source port, to the address and port
/// of the offer, within five minutes; a new offer replaces an unused one. An offer that names
/// another host than its sender is passed over, unless loose: it would open a port of a third host.
///
/// Limits: no NAT; a segment that the capture cut, or that is a fragment, is not read. Source:
/// nf_conntrack_ftp.c (help(), find_nl_seq(), update_nl_seq()), Linux 6.18.
#pragma once

#include "impls/core/helper.h"

#include <cstdint>

namespace ct::core {

/// Does a line begin at `seq` of that direction, as far as is known?
bool is_line_begin(const ftp_lines& lines, dir d, std::uint32_t seq) noexcept;
/// A line begins at `seq`: the oldest of the remembered places makes room, unless all are newer.
void remember_line_begin(ftp_lines& lines, dir d, std::uint32_t seq) noexcept;

}  // namespace ct::core
