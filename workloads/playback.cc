// SPDX-License-Identifier: BSD-2-Clause
/// Where on the virtual clock the packets of each capture lie.
#include "workloads/playback.h"

#include <algorithm>
#include <numeric>
#include <sys/stat.h>
#include <utility>

namespace ct::workloads {
namespace {

constexpr std::int64_t ns_per_s = 1'000'000'000;
constexpr std::int64_t gap_ns_max = gap_s_max * ns_per_s;
constexpr std::int64_t ns_per_jiffy = ns_per_s / hz;
static_assert(ns_per_jiffy * hz == ns_per_s);

/// Where the clock stops counting (the year 2116): a capture's latest time fits above it.
constexpr std::int64_t clock_ns_max = std::int64_t{1} << 62;

std::uint64_t size_bytes(const std::string& path) {
  struct stat status {};
  if (path == "-" || stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return 0;
  return static_cast<std::uint64_t>(status.st_size);
}

}  // namespace

playback::playback(std::vector<std::string> paths, ip_summed summed)
    : paths_(std::move(paths)), summed_(summed) {
  if (std::ranges::count(paths_, "-") > 1) {
    throw input_error("capture (standard input): named twice; it can be read once");
  }
  for (const std::string& path : paths_) {
    expect_usable(path);
    sizes_bytes_.push_back(size_bytes(path));
  }
}

bool playback::open_next() {
  if (next_path_ == paths_.size()) return false;
  current_ = std::make_unique<capture>(paths_[next_path_]);
  ++next_path_;
  is_first_of_capture_ = true;
  return true;
}

played_batch playback::next(std::size_t most) {
  while (current_ != nullptr || open_next()) {
    const std::uint64_t first_packet = current_->packet_count() + 1;
    const std::span<const captured_packet> captured = current_->next(most);
    if (captured.empty()) {
      if (!current_->damage().empty()) damages_.push_back(current_->damage());
      current_.reset();
      continue;
    }
    batch_.clear();
    for (const captured_packet& packet : captured) batch_.push_back(placed_in_time(packet));
    packet_count_ += batch_.size();
    return {.packets = batch_, .capture_index = next_path_ - 1, .first_packet = first_packet};
  }
  return {};
}

skb playback::placed_in_time(const captured_packet& packet) {
  if (!has_begun_) {
    has_begun_ = true;
    clock_ns_ = packet.time_ns;
  }
  if (is_first_of_capture_) {
    is_first_of_capture_ = false;
    // Later than the clock: the step is the real gap. Earlier: no step, the capture is shifted.
    latest_ns_ = std::min(packet.time_ns, clock_ns_);
  }
  std::int64_t step_ns = packet.time_ns - latest_ns_;
  if (step_ns < 0) {
    ++reordered_count_;
    step_ns = 0;
  }
  latest_ns_ += step_ns;
  clock_ns_ = std::min(clock_ns_ + step_ns, clock_ns_max);
  if (step_ns > gap_ns_max) {
    ++shortened_gap_count_;
    step_ns = gap_ns_max;
  }
  elapsed_ns_ += step_ns;
  wire_bytes_ += packet.wire_bytes;
  skb given;
  given.frame = packet.frame;
  given.wire_bytes = packet.wire_bytes;
  given.link = current_->link();
  given.ip_summed = summed_;
  given.jiffies64 = jiffies64();
  return given;
}

std::uint64_t playback::jiffies64() const {
  return initial_jiffies + static_cast<std::uint64_t>(elapsed_ns_ / ns_per_jiffy);
}

std::optional<double> playback::fraction() const {
  if (std::ranges::count(sizes_bytes_, 0U) > 0) return std::nullopt;
  const auto total = std::accumulate(sizes_bytes_.begin(), sizes_bytes_.end(), std::uint64_t{0});
  const std::size_t done_paths = current_ == nullptr ? next_path_ : next_path_ - 1;
  auto done = std::accumulate(sizes_bytes_.begin(),
                              sizes_bytes_.begin() + static_cast<std::ptrdiff_t>(done_paths),
                              std::uint64_t{0});
  if (current_ != nullptr) done += current_->bytes_read();
  return std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
}

}  // namespace ct::workloads
