// SPDX-License-Identifier: BSD-2-Clause
/// Writes what a system tells of its steps as a file (harness/trace/trace_file.h), in the memory of
/// a buffer.
///
/// The file appears under its name when it is whole: until then it is NAME.partial, which vanishes
/// with the writer.
#pragma once

#include "harness/trace/trace_file.h"
#include "spec/impl.h"

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

namespace ct::harness {

/// What is known of a trace before its first step: the machine's constants for this implementation.
/// `max_entries` 0: no limit.
trace_header begun_trace(const impl& which, std::size_t max_entries);

class trace_writer final : public trace_sink {
 public:
  /// Throws std::invalid_argument, one line, if it cannot be written.
  trace_writer(std::string path, trace_header header);
  trace_writer(const trace_writer&) = delete;
  trace_writer& operator=(const trace_writer&) = delete;
  ~trace_writer();

  void take(const trace_step& step) noexcept override;
  void stop(std::string_view why) noexcept override { stopped_ = why; }
  /// Once nothing more comes. Throws as the constructor; also if the recording was stopped.
  void finish();
  const trace_header& header() const { return header_; }

 private:
  struct closes {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  std::string path_;
  std::string partial_;
  trace_header header_;
  std::unique_ptr<std::FILE, closes> file_;
  std::string stopped_;
};

}  // namespace ct::harness
