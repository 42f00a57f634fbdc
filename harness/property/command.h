// SPDX-License-Identifier: BSD-2-Clause
/// What is done to a system and to the machine beside it: a value a command, and as a scenario
/// writes it (workloads/scenario.h).
///
/// A command that means nothing where it stands (a confirm without a packet) is left out by both
/// sides, so that any part of a sequence is a sequence.
#pragma once

#include "spec/tuple.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace ct::property {

// What there is, few of everything, so that things meet.
inline constexpr std::size_t slots = 3;  ///< packets on their way
inline constexpr std::size_t nets = 2;
inline constexpr std::size_t flows = 3;                ///< of a netns
inline constexpr std::size_t keys = nets * flows * 2;  ///< (netns, flow, direction), in that order
inline constexpr std::size_t keys_of_net = flows * 2;

enum class verb : std::uint8_t {
  pass,
  in,
  confirm,
  free,
  wait,
  find,
  kill,
  create,
  alter_reply,
  gc,
  flush,
  resize,
  refuse,
  take,
  redeliver,
  exit,
};

struct command {
  verb what = verb::pass;
  std::uint8_t slot = 0;    ///< of in, confirm, free, alter_reply
  std::uint8_t key = 0;     ///< whose tuple; requests know netns 0 alone and take it modulo
  std::uint8_t choice = 0;  ///< among the lists below; of redeliver and exit the netns

  std::size_t key_in_net0() const { return key % keys_of_net; }
  netns_id net() const { return choice % nets; }
  auto operator<=>(const command&) const = default;
};

/// Jiffies of a wait: about the edges of every timeout that there is.
inline constexpr std::array<std::uint32_t, 12> waits =
    {1, 249, 250, 500, 501, 750, 7249, 7250, 7499, 7500, 29'999, 30'000};
inline constexpr std::array<std::uint32_t, 4> create_timeouts_s = {30, 1, 77, 600};
inline constexpr std::array<std::size_t, 5> bucket_counts = {1, 2, 4, 8, 16};
inline constexpr std::size_t flush_all = 0;  ///< choices of a flush: all, or a netns alone
inline constexpr std::array<std::uint32_t, 5> limits = {0, 3, 4, 5, 6};  ///< nf_conntrack_max

template <class List>
constexpr auto chosen(const List& from, const command& c) {
  return from[c.choice % from.size()];
}
/// Netns of a flush; nets: all of them.
constexpr std::size_t scope_of(const command& flush) {
  const std::size_t choice = flush.choice % (nets + 1);
  return choice == flush_all ? nets : choice - 1;
}

/// Everything that one run follows from.
struct sequence {
  std::uint32_t limit = 0;  ///< index into limits
  std::uint32_t seed = 1;   ///< of the system's hash
  std::vector<command> commands;
};

tuple tuple_of(std::size_t key);
constexpr netns_id net_of(std::size_t key) { return static_cast<netns_id>(key / keys_of_net); }
constexpr std::size_t inverse(std::size_t key) { return key ^ 1U; }

/// "in a as s0".
std::string text_of(const command&);
/// Head of the scenario of a sequence: title, rule, `with`, packets, listeners.
std::string scenario_head(const sequence&, const std::string& title);

}  // namespace ct::property
