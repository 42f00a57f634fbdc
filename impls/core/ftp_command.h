// SPDX-License-Identifier: BSD-2-Clause
/// FTP's offers of a data connection, read from one segment: PORT and EPRT of a client, the replies
/// 227 (PASV) and 229 (EPSV) of a server.
///
/// Pure text: no entry, no sequence numbers. The segment must begin with the line; what follows
/// the offer is not looked at. No read passes the segment. As forgiving as Linux: numbers wrap
/// instead of being refused, 227 needs no parentheses, any printable character may delimit EPRT.
/// What begins like an offer and cannot be read to its end is `incomplete`: of such a line no one
/// can know yet what it will be. Source: RFC 959, RFC 1123, RFC 2428; the patterns of
/// nf_conntrack_ftp.c, Linux 6.18.
#pragma once

#include "spec/tuple.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace ct::core {

enum class ftp_offer_status : std::uint8_t {
  none,        ///< the segment does not begin with an offer
  found,       ///< address and port were read
  incomplete,  ///< it begins like one, and breaks off or makes no sense
};

struct ftp_offer {
  address addr{};          ///< given: the sender's own, which EPSV does not repeat
  std::uint16_t port = 0;  ///< host byte order
};

/// Looks for what the side `from` can offer: the client is the original direction. `family` is that
/// of the control connection: EPRT must name it; PORT and 227 write four bytes whatever it is.
[[nodiscard]] ftp_offer_status read_ftp_offer(std::span<const std::byte> segment,
                                              dir from,
                                              l3num family,
                                              ftp_offer& out) noexcept;

}  // namespace ct::core
