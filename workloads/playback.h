// SPDX-License-Identifier: BSD-2-Clause
/// Several captures on one virtual clock, one after another in the order given.
///
/// The clock starts at initial_jiffies with the first packet of all. A capture that begins later
/// than the clock stands keeps its real gap; one that begins earlier is shifted to begin where the
/// last one ended. Within a capture time never goes back: an earlier packet arrives when the one
/// before it did (counted). A step of more than gap_s_max is shortened to it (counted): nothing
/// that is tracked outlives it, and the 32-bit clock could not order instants further apart
/// (spec/jiffies.h).
#pragma once

#include "spec/ct_system.h"
#include "spec/jiffies.h"
#include "workloads/capture.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace ct::workloads {

/// Longer than the longest default timeout: 5 days, TCP ESTABLISHED.
inline constexpr std::int64_t gap_s_max = 6LL * 24 * 3600;
static_assert(gap_s_max > 5LL * 24 * 3600);
static_assert(gap_s_max * hz < 1LL << 31, "further apart, jiffies cannot be ordered");

/// Packets of one capture, ready for a system. Stays until the next batch is asked for.
struct played_batch {
  std::span<const skb> packets;    ///< the given fields are set: frame, wire_bytes, link, jiffies64
  std::size_t capture_index = 0;   ///< among the paths
  std::uint64_t first_packet = 1;  ///< number of packets[0] in its capture, counted from 1
};

class playback {
 public:
  /// Looks at every capture before the first is played; throws input_error as `capture` does.
  /// `summed`: what its packets say of their checksums. By default that they are right: a capture
  /// may hold packets whose sums the card was to fill in, or has verified.
  explicit playback(std::vector<std::string> paths, ip_summed summed = ip_summed::unnecessary);

  /// Empty packets at the end.
  played_batch next(std::size_t most = batch_packets_max);

  const std::vector<std::string>& paths() const { return paths_; }
  std::string shown(std::size_t capture_index) const { return shown_path(paths_[capture_index]); }
  /// One line for each capture so far that is cut or damaged.
  const std::vector<std::string>& damages() const { return damages_; }

  std::uint64_t packet_count() const { return packet_count_; }
  std::uint64_t wire_bytes() const { return wire_bytes_; }
  /// Packets whose time lay before that of their predecessor.
  std::uint64_t reordered_count() const { return reordered_count_; }
  std::uint64_t shortened_gap_count() const { return shortened_gap_count_; }
  /// Virtual time from the first packet to the last.
  std::int64_t elapsed_ns() const { return elapsed_ns_; }
  std::uint64_t jiffies64() const;

  /// Share of the input that was read, 0 to 1; nothing if its size is unknown.
  std::optional<double> fraction() const;

 private:
  bool open_next();
  skb placed_in_time(const captured_packet& packet);

  std::vector<std::string> paths_;
  ip_summed summed_;
  std::vector<std::uint64_t> sizes_bytes_;  ///< [path], 0 if unknown
  std::size_t next_path_ = 0;
  std::unique_ptr<capture> current_;
  std::vector<skb> batch_;
  std::vector<std::string> damages_;

  bool has_begun_ = false;  ///< any packet was played
  bool is_first_of_capture_ = true;
  std::int64_t clock_ns_ = 0;   ///< of the last packet played, on the captures' time scale
  std::int64_t latest_ns_ = 0;  ///< time of the current capture up to which the clock has gone
  std::int64_t elapsed_ns_ = 0;

  std::uint64_t packet_count_ = 0;
  std::uint64_t wire_bytes_ = 0;
  std::uint64_t reordered_count_ = 0;
  std::uint64_t shortened_gap_count_ = 0;
};

}  // namespace ct::workloads
