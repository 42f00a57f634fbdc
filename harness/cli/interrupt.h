// SPDX-License-Identifier: BSD-2-Clause
/// Ctrl-C while a verb works: the first asks it to stop and report, the second ends the program.
#pragma once

namespace ct::harness {

/// Listens for SIGINT and SIGTERM while it lives; one at a time.
class interrupt_listener {
 public:
  interrupt_listener();
  ~interrupt_listener();
  interrupt_listener(const interrupt_listener&) = delete;
  interrupt_listener& operator=(const interrupt_listener&) = delete;

  bool was_interrupted() const;
};

}  // namespace ct::harness
