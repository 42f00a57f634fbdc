// SPDX-License-Identifier: BSD-2-Clause
/// The bar: one line, redrawn in place and taken away at the end.
#include "harness/cli/progress.h"

#include "harness/format/number.h"

#include <algorithm>
#include <cstdio>
#include <fmt/format.h>
#include <unistd.h>

namespace ct::harness {

std::string progress_line(std::optional<double> share, const std::string& text) {
  constexpr int width = 20;
  if (!share) return text;
  const double part = std::clamp(*share, 0.0, 1.0);
  const auto filled = static_cast<std::size_t>(part * width);
  return fmt::format("{:3.0f}% [{:<{}}] {}", part * 100, std::string(filled, '#'), width, text);
}

std::string traffic_text(std::uint64_t packets, std::uint64_t bytes, double elapsed_s) {
  const double rate = elapsed_s > 0 ? static_cast<double>(packets) / elapsed_s : 0;
  return fmt::format("{} packets, {}, {:.1f} M packets/s",
                     grouped(packets),
                     size_text(bytes),
                     rate / 1e6);
}

progress_bar::progress_bar()
    : is_terminal_(isatty(STDERR_FILENO) != 0), begin_(std::chrono::steady_clock::now()) {}

progress_bar::~progress_bar() { clear(); }

double progress_bar::elapsed_s() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

bool progress_bar::is_due() { return is_terminal_ && pace_.is_due(elapsed_s()); }

void progress_bar::draw(std::optional<double> share, const std::string& text) {
  if (!is_terminal_) return;
  // Back to the first column, the line, and whatever an older, longer one left behind it erased.
  fmt::print(stderr, "\r{}\x1b[K", progress_line(share, text));
  std::fflush(stderr);
  is_drawn_ = true;
}

void progress_bar::clear() {
  if (!is_drawn_) return;
  fmt::print(stderr, "\r\x1b[K");
  std::fflush(stderr);
  is_drawn_ = false;
}

}  // namespace ct::harness
