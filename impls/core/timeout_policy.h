// SPDX-License-Identifier: BSD-2-Clause
/// Timeout policies: the timeouts of single entries, in place of those of their netns.
///
/// A packet that carries one gives it to the entry that it makes, if the protocol is the policy's;
/// every tracker asks the entry first (track_context::timeouts). Limit: a policy stays until the
/// system ends, so that no entry can outlive it. Source: nfnetlink_cttimeout.c and the
/// nlattr_to_obj functions of the trackers, Linux 6.18.
#pragma once

#include "impls/core/policy.h"
#include "impls/core/proto/l4proto.h"
#include "spec/policy.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace ct {

class timeout_policy {
 public:
  timeout_policy(const core::timeouts& values,
                 const core::l4proto& tracker,
                 const core::l4proto_list& among)
      : values_(values), tracker_(tracker), among_(among) {}

  const core::timeouts& values() const { return values_; }
  bool is_for(std::uint8_t protonum) const { return among_[protonum] == &tracker_; }

 private:
  // Immutable.
  const core::timeouts values_;
  const core::l4proto& tracker_;
  const core::l4proto_list& among_;
};

}  // namespace ct

namespace ct::core {

/// A policy of `given` values; what is not given is as in `defaults` now. nullptr: `error` is one
/// line that says what is wrong and what to do.
std::unique_ptr<const timeout_policy> make_timeout_policy(
    const timeouts& defaults,
    std::uint8_t protonum,
    std::span<const timeout_setting> given,
    std::string& error,
    const l4proto_list& among = default_l4protos);

}  // namespace ct::core
