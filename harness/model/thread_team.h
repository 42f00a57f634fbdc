// SPDX-License-Identifier: BSD-2-Clause
/// The same work by several threads at once, the calling one among them.
#pragma once

#include <functional>

namespace ct::model {

/// Calls work(0) here and work(1) to work(count - 1) in threads of their own; returns when all are
/// done. Rethrows the first exception; `on_failure` is called before, by the thread that threw.
void run_team(unsigned count,
              const std::function<void(unsigned)>& work,
              const std::function<void()>& on_failure);

}  // namespace ct::model
