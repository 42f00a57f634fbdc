// SPDX-License-Identifier: BSD-2-Clause
/// Conversations that know their protocol's state machine and step off it on purpose.
///
/// A walk is one conversation between two hosts that nobody else uses: mostly what both ends would
/// send, and in between what they would not (wrong flags, old numbers, cut headers ...), so that a
/// tracker is asked in every state with every kind of packet. A mix interleaves walks of several
/// protocols over IPv4 and IPv6; everything follows from its seed.
///
/// A protocol is one file in workloads/walks/ and one line in walk_kinds(). What walks do not do:
/// wait (the mix asks for pauses), answer (nobody looks at what becomes of a packet), and send what
/// a router would not forward.
#pragma once

#include "spec/random.h"
#include "spec/tuple.h"
#include "workloads/packet_builder.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ct::workloads {

/// Where a walk takes place.
struct walk_place {
  bool is_ipv6 = false;
  std::string client;
  std::string server;
  std::string router;  ///< a third host, between them

  const std::string& from(dir d) const { return d == dir::original ? client : server; }
  const std::string& to(dir d) const { return d == dir::original ? server : client; }

  /// An IP packet from one to the other.
  build::bytes wrap(dir d, build::layer4 l4) const { return wrap(from(d), to(d), std::move(l4)); }
  build::bytes wrap(const std::string& src, const std::string& dst, build::layer4 l4) const;
};

class walk {
 public:
  virtual ~walk() = default;
  /// The next IP packet.
  virtual build::bytes next(random_source& random) = 0;
};

struct walk_kind {
  std::string_view name;     ///< of --protocol
  std::string_view summary;  ///< what it sends, a few words
  std::uint32_t weight = 0;  ///< share of walks in the default mix; 0: only where it is named
  std::unique_ptr<walk> (*begin)(walk_place, random_source&) = nullptr;
};

std::span<const walk_kind> walk_kinds();

/// A packet of a mix, and how it is to be sent.
struct walked_packet {
  build::bytes ip;
  std::uint16_t zone_id = 0;
  std::uint32_t mark = 0;      ///< a rule sets it; 0: none does
  std::uint32_t pause_ms = 0;  ///< to wait before it
};

struct mix_options {
  std::vector<walk_kind> kinds;  ///< at least one
  std::uint64_t seed = 1;
  std::uint32_t packets = 0;         ///< that will be asked for
  std::uint32_t first_place = 0;     ///< mixes that are that many walks apart share no host
  bool has_pause = false;            ///< one pause, in the middle
  bool has_zones_and_marks = false;  ///< of some walks
};

/// UDP tells streams from single answers after 2 s.
inline constexpr std::uint32_t pause_ms = 2200;

class walk_mix {
 public:
  explicit walk_mix(mix_options options);

  walked_packet next();

 private:
  struct under_way {
    std::unique_ptr<workloads::walk> walk;
    std::uint32_t packets_left = 0;
    std::uint16_t zone_id = 0;
    std::uint32_t mark = 0;
  };

  under_way begin();
  const walk_kind& choose_kind();

  mix_options options_;
  random_source random_;
  std::uint32_t weight_sum_ = 0;
  std::uint32_t places_ = 0;   // the last that was given out
  std::uint32_t packets_ = 0;  // made so far
  std::vector<under_way> under_way_;
};

// Draws that walks share.

inline bool happens(random_source& random, std::uint32_t percent) {
  return random.below(100) < percent;
}
template <class Item, std::size_t Count>
Item one_of(random_source& random, const Item (&items)[Count]) {
  return items[random.below(static_cast<std::uint32_t>(Count))];
}
inline dir any_dir(random_source& random) {
  return random.below(2) == 0 ? dir::original : dir::reply;
}
/// Cuts a layer-4 header or its payload short; a checksum that is cut off is not written.
void cut(build::layer4& l4, std::size_t bytes);
/// Gives it a checksum that is wrong, but for one time in 65,536.
void break_checksum(build::layer4& l4, random_source& random);

}  // namespace ct::workloads
