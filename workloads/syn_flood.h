// SPDX-License-Identifier: BSD-2-Clause
/// A SYN flood beside people who want to work: connections that shake hands, talk and close, and
/// for each of them a number of SYNs from sources that never answer.
///
/// A pure function of its options and of what it is told: attempts begin evenly over time, each
/// sends its eight packets half a round trip apart, and one that is given up (`give_up`: a packet
/// of it was lost) sends nothing more, as its peer would. The SYNs of the flood lie evenly between,
/// their sources are drawn from the seed. Packets are made a jiffy at a time: memory is that of a
/// jiffy and of the connections that are open. Limits: IPv4; nobody sends anything twice, so that
/// an attempt has one chance, where a real client would try again after a second.
#pragma once

#include "spec/ct_system.h"
#include "spec/random.h"
#include "workloads/flows.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <unordered_set>
#include <vector>

namespace ct::workloads {

struct syn_flood_options {
  std::uint64_t seed = 1;
  std::uint64_t connections = 20'000;         ///< attempts of those who want to work
  std::uint32_t connections_per_s = 1'000;    ///< at least 1
  std::uint32_t syns_per_connection = 10;     ///< of the flood
  std::uint32_t step_jiffies = hz / 20;       ///< between two packets of a connection; at least 1
  std::uint64_t begin = initial_jiffies + 1;  ///< time of the first packet
};

/// The packets of a connection, in order.
enum class flood_step : std::uint8_t {
  syn,
  syn_ack,
  ack,  ///< accepted, it makes the entry ASSURED
  request,
  answer,
  client_fin,  ///< from here on the connection is closing
  server_fin,
  last_ack,
};
inline constexpr std::size_t flood_steps = 8;

/// What a packet of the flood belongs to.
struct flood_packet {
  static constexpr std::uint64_t nobody = ~std::uint64_t{0};
  std::uint64_t connection = nobody;  ///< number of the attempt; nobody: a SYN of the flood
  flood_step step = flood_step::syn;
};

/// Packets of one jiffy, no two of one connection. Valid until the next call of the generator.
struct flood_batch {
  std::uint64_t jiffies64 = 0;
  std::span<const skb> packets{};         ///< empty: the end
  std::span<const flood_packet> about{};  ///< [packet]
};

class syn_flood {
 public:
  explicit syn_flood(const syn_flood_options& options);

  flood_batch next();
  /// Connection `number` sends nothing more.
  void give_up(std::uint64_t number) { given_up_.insert(number); }

  const syn_flood_options& options() const { return options_; }

 private:
  struct due {
    std::uint64_t jiffies64 = 0;
    flood_packet what{};
  };

  /// How many of something that comes `per_s` times a second have begun by the end of that jiffy.
  std::uint64_t begun_by(std::uint64_t jiffies64, std::uint64_t per_s) const;
  void make_packets_of(std::uint64_t jiffies64);
  void make_flood(std::uint64_t count);
  void make_step(std::uint64_t connection, flood_step step);

  syn_flood_options options_;
  flow_source flows_;
  random_source random_;
  std::uint64_t now_;
  std::uint64_t started_ = 0;  // attempts
  std::uint64_t flooded_ = 0;  // SYNs of the flood
  std::deque<due> open_;       // next packets, by time: all steps are of one length
  std::unordered_set<std::uint64_t> given_up_;
  std::vector<std::byte> bytes_;
  std::vector<std::size_t> lengths_;
  std::vector<skb> packets_;
  std::vector<flood_packet> about_;
};

}  // namespace ct::workloads
