// SPDX-License-Identifier: BSD-2-Clause
/// A progress bar on stderr: only on a terminal, only once the work has taken a second, ten times a
/// second.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace ct::harness {

/// When to draw. Pure: the caller brings the time.
class progress_pace {
 public:
  static constexpr double first_s = 1.0;
  static constexpr double every_s = 0.1;

  bool is_due(double elapsed_s) {
    if (elapsed_s < first_s || elapsed_s - last_s_ < every_s) return false;
    last_s_ = elapsed_s;
    return true;
  }

 private:
  double last_s_ = -every_s;
};

/// " 42% [########            ] text", or only the text if the share that is done is unknown.
std::string progress_line(std::optional<double> share, const std::string& text);

/// "1,234,567 packets, 812 MB, 2.1 M packets/s".
std::string traffic_text(std::uint64_t packets, std::uint64_t bytes, double elapsed_s);

class progress_bar {
 public:
  progress_bar();
  ~progress_bar();
  progress_bar(const progress_bar&) = delete;
  progress_bar& operator=(const progress_bar&) = delete;

  /// True if it is time to draw; ask before the text is made.
  bool is_due();
  void draw(std::optional<double> share, const std::string& text);
  void clear();
  double elapsed_s() const;

 private:
  bool is_terminal_;
  bool is_drawn_ = false;
  progress_pace pace_;
  std::chrono::steady_clock::time_point begin_;
};

}  // namespace ct::harness
