// SPDX-License-Identifier: BSD-2-Clause
/// The list of faults for who asks, and the switch.
#include "impls/faults/planted.h"

namespace ct {

std::span<const fault> faults() { return core::planted_faults; }

#ifdef CT_FAULTS
bool plant(const fault* one) {
  const std::size_t at =
      one == nullptr ? core::no_fault : static_cast<std::size_t>(one - faults().data());
  core::fault_in_force.store(at, std::memory_order_relaxed);  // relaxed: no other thread runs yet
  return true;
}
#else
bool plant(const fault*) { return false; }
#endif

}  // namespace ct
