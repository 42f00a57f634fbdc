// SPDX-License-Identifier: BSD-2-Clause
/// Where juries come from: systems that are made once and used for input after input.
///
/// Making a system costs a hundred times what most inputs cost. What an input left is taken away by
/// the exit of its netns, which also brings their settings back; the clock leaps to the next
/// instant whose low 32 bits are those of a new system. What no exit takes away (numbers of
/// entries, counters, free memory) has no influence on what a packet becomes; after a finding
/// nothing is relied upon and all systems are made anew. Not synchronised.
#pragma once

#include "spec/ct_system.h"
#include "spec/impl.h"

#include <compare>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace ct::harness::fuzz {

/// What a system has from its beginning; all else are sysctls.
struct court_options {
  bool has_dccp = false;
  bool has_ftp = false;  ///< the helper, on port 21
  bool is_ftp_loose = false;
  auto operator<=>(const court_options&) const = default;
};

class court {
 public:
  /// Few: chains are met, and walks over the table, of which each input takes dozens, are short.
  static constexpr std::size_t buckets = 8;
  /// Netns that inputs use: 0 and 1.
  static constexpr netns_id nets = 2;

  /// Those of `impls` that track and live in this program. At least one does.
  explicit court(std::span<const impl> impls);

  struct member {
    const impl* which = nullptr;
    std::unique_ptr<ct_system> system;
    std::unique_ptr<cpu> on;
  };
  /// All with these options, empty, at the same time of their clocks.
  std::span<member> seat(const court_options& options);
  /// What was made is not used again.
  void dismiss() { seats_.clear(); }

 private:
  std::vector<impl> impls_;
  std::map<court_options, std::vector<member>> seats_;
};

}  // namespace ct::harness::fuzz
