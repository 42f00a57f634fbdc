// SPDX-License-Identifier: BSD-2-Clause
/// The seam through which somebody watches the core at work: a mark at each decisive place.
///
/// A mark is named by the action of the contract machine (spec/model/conntrack.h) that takes place
/// there. It costs nothing where nobody can watch: whether a CPU has an observer is a matter of its
/// table's type (observed_table.h), and of no other table's code anything is left.
#pragma once

#include "impls/core/nf_conn.h"
#include "spec/table.h"
#include "spec/trace.h"

#include <cstddef>
#include <cstdint>

namespace ct::core {

using action = trace_action;

/// What a mark is about: an entry, a key, a number, or nothing.
struct subject {
  subject() = default;
  explicit subject(const nf_conn& about) : ct(&about) {}
  explicit subject(const key& about) : wanted(&about) {}
  explicit subject(std::uint64_t about) : number(about) {}

  const nf_conn* ct = nullptr;
  const key* wanted = nullptr;
  std::uint64_t number = 0;
};

/// Called in the midst of things, with locks held: calls nothing of the system.
class observer {
 public:
  virtual ~observer() = default;
  /// A CPU, or another reader, comes; returns its number from now on.
  virtual std::size_t attach() noexcept = 0;
  virtual void detach(std::size_t cpu) noexcept = 0;
  virtual void on(std::size_t cpu, action what, const subject& about) noexcept = 0;
};

/// A table's `local` that has an observer.
template <class Local>
concept observed = requires(Local& local) {
  local.observer->on(local.number, action::packet, subject{});
};

template <class Local, class... About>
void mark([[maybe_unused]] Local& local,
          [[maybe_unused]] action what,
          [[maybe_unused]] const About&... about) noexcept {
  if constexpr (observed<Local>) local.observer->on(local.number, what, subject(about...));
}

}  // namespace ct::core
