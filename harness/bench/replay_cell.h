// SPDX-License-Identifier: BSD-2-Clause
/// The cells of `replay`: a capture through pass, lap after lap, each lap into an empty table.
///
/// Before any clock starts every implementation tracks the capture once. What becomes of each
/// packet (ctinfo, verdict, tracked or not) is then known, must be the same with the packets dealt
/// out to threads, must be what most implementations say, and must come out of every timed lap
/// again.
#pragma once

#include "harness/bench/cell.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace ct::bench {

/// Order-dependent sum of the outcomes of packets.
class outcome_digest {
 public:
  /// What became of a packet, in one byte.
  static std::uint8_t outcome(const skb& packet) {
    return static_cast<std::uint8_t>(static_cast<unsigned>(packet.info) |
                                     (packet.verdict == verdict::drop ? 1U : 0U) << 4 |
                                     (packet.conn_id != 0 ? 1U : 0U) << 5);
  }
  void add(std::uint8_t outcome) { value_ = value_ * 0x9e3779b97f4a7c15ULL + outcome; }
  friend bool operator==(const outcome_digest&, const outcome_digest&) = default;

 private:
  std::uint64_t value_ = 0;
};

/// What one thread replays.
struct replay_share {
  std::vector<std::size_t> places{};  ///< [packet] its place in the capture
  std::vector<skb> packets{};
};

/// What one implementation makes of one share.
struct replay_outcome {
  outcome_digest digest{};
  std::vector<tuple> originals{};  ///< of the entries that are in the table at the end of a lap
};

/// One implementation with the capture known to it.
struct replay_subject {
  std::unique_ptr<ct_system> system;
  std::vector<std::uint8_t> outcomes{};                 ///< [place in the capture]
  std::map<int, std::vector<replay_outcome>> shares{};  ///< threads -> [thread]
  std::string problem{};
};

class replay_arena {
 public:
  /// The capture's frames must outlive the arena; `summed` is what its packets say of their
  /// checksums.
  replay_arena(std::uint64_t seed,
               std::span<const skb> capture,
               const std::vector<sysctl_setting>& sysctls = {},
               ip_summed summed = ip_summed::unnecessary);

  std::size_t packet_count() const { return capture_.size(); }
  std::size_t connections() const { return connections_; }
  /// Lets `of` track the capture, whole and dealt out to each number of threads.
  void prepare(const impl& of, std::span<const int> threads);
  /// When all are prepared: whoever differs from the majority gets a problem.
  void compare();

  replay_subject& subject(const impl& of) { return subjects_.at(std::string(of.name)); }
  const std::vector<replay_share>& shares(int threads);
  std::unique_ptr<cell> make_cell(const impl& of, int threads);

 private:
  void learn(replay_subject& subject, cpu& on, int threads, bool stores_nothing);

  std::uint64_t seed_;
  std::vector<sysctl_setting> sysctls_;
  std::vector<skb> capture_;
  std::size_t connections_;
  std::map<int, std::vector<replay_share>> shares_;
  std::map<std::string, replay_subject> subjects_;
  std::vector<std::string> judges_;  ///< implementations whose outcomes count
};

}  // namespace ct::bench
