// SPDX-License-Identifier: BSD-2-Clause
/// Systems on demand, and the leap of their clocks.
#include "harness/fuzz/court.h"

#include "spec/jiffies.h"

#include <stdexcept>

namespace ct::harness::fuzz {
namespace {

/// The next instant at which the 32-bit clock stands where that of a new system does, with time in
/// between for every run of gc_worker that is left over.
std::uint64_t next_beginning(std::uint64_t now) {
  constexpr std::uint64_t wrap = std::uint64_t{1} << 32;
  constexpr std::uint64_t phase = initial_jiffies % wrap;
  std::uint64_t next = now / wrap * wrap + phase;
  while (next < now + seconds(600)) next += wrap;
  return next;
}

}  // namespace

court::court(std::span<const impl> impls) {
  for (const impl& one : impls) {
    if (!one.is_timing_only() && !one.is_live()) impls_.push_back(one);
  }
  if (impls_.empty()) {
    throw std::runtime_error(
        "fuzz: none of these implementations tracks; name one that promises something");
  }
}

std::span<court::member> court::seat(const court_options& options) {
  std::vector<member>& members = seats_[options];
  if (members.empty()) {
    system_options made{.buckets = buckets,
                        .ftp_loose = options.is_ftp_loose,
                        .dccp = options.has_dccp};
    constexpr std::uint16_t ftp_port = 21;
    if (options.has_ftp) made.helpers = {{.helper = "ftp", .port = ftp_port}};
    for (const impl& which : impls_) {
      member& one = members.emplace_back();
      one.which = &which;
      one.system = which.make(made);
      one.on = one.system->attach();
    }
  }
  for (member& one : members) one.on->advance(next_beginning(one.system->jiffies64()));
  return members;
}

}  // namespace ct::harness::fuzz
