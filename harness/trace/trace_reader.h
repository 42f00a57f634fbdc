// SPDX-License-Identifier: BSD-2-Clause
/// Reads a recorded run (harness/trace/trace_file.h), a line at a time.
///
/// What is no trace, or is cut, is thrown as std::invalid_argument: "FILE:LINE: what is wrong; what
/// to do".
#pragma once

#include "harness/trace/trace_file.h"

#include <cstdint>
#include <fstream>
#include <optional>
#include <string>

namespace ct::harness {

class trace_reader {
 public:
  explicit trace_reader(std::string path);

  const trace_header& header() const { return header_; }
  /// Nothing at the end, which is where the header says.
  std::optional<trace_step> next();
  std::uint64_t line() const { return line_; }  ///< of the last step, from 1 on

 private:
  bool read_line();
  void read_header();
  std::uint32_t within(const char* field, std::uint32_t number, std::uint32_t most) const;
  [[noreturn]] void fail(const std::string& what) const;

  std::string path_;
  std::ifstream file_;
  std::string text_;
  std::uint64_t line_ = 0;
  trace_header header_;
};

}  // namespace ct::harness
