// SPDX-License-Identifier: BSD-2-Clause
/// BLAKE2b with 16 bytes of output and no key, as python's hashlib.blake2b(digest_size=16).
/// Source: RFC 7693.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace ct::model {

std::array<std::uint8_t, 16> blake2b_128(std::string_view data);

}  // namespace ct::model
