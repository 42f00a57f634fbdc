// SPDX-License-Identifier: BSD-2-Clause
/// The list of fuzz targets: one line each.
#include "harness/fuzz/target.h"

#include <array>

namespace ct::harness::fuzz {

std::span<const target> targets() {
  static constexpr std::array<target, 3> list = {{
      {"packet",
       "frames of any bytes: are they read within bounds?",
       4096,
       run_packet,
       packet_seeds},
      {"tracker",
       "conversations of any kind: do the protocols' trackers keep their laws?",
       512,
       run_tracker,
       tracker_seeds},
      {"helper",
       "FTP control connections: is only that expected which was offered?",
       1024,
       run_helper,
       helper_seeds},
  }};
  return list;
}

}  // namespace ct::harness::fuzz
