// SPDX-License-Identifier: BSD-2-Clause
/// Texts and sums.
#include "harness/model/graph_digest.h"

#include <algorithm>
#include <fmt/format.h>

namespace ct::model {

void digest_sum::add(const std::array<std::uint8_t, 16>& big_endian) {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    high = high << 8U | big_endian[i];
    low = low << 8U | big_endian[8 + i];
  }
  low_ += low;
  high_ += high + (low_ < low ? 1 : 0);
}

std::string digest_sum::text() const { return fmt::format("{:016x}{:016x}", high_, low_); }

std::string state_text(std::vector<variable> variables) {
  std::ranges::sort(variables, {}, &variable::name);
  std::string text;
  for (const variable& v : variables) {
    text += fmt::format("/\\ {} = {}\n", v.name, v.value.text());
  }
  return text;
}

std::array<std::uint8_t, 16> edge_hash(const std::array<std::uint8_t, 16>& from,
                                       std::string_view action_name,
                                       const std::array<std::uint8_t, 16>& to) {
  std::string text(from.begin(), from.end());
  text += action_name;
  text.append(to.begin(), to.end());
  return blake2b_128(text);
}

}  // namespace ct::model
