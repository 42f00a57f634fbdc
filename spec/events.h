// SPDX-License-Identifier: BSD-2-Clause
/// Events: what becomes of an entry, told to a listener, the messages behind `conntrack -E`.
///
/// An entry collects event bits while packets change it. They are told together, in one message,
/// when a packet has passed confirm; the destroy event is told at once, by whoever kills the entry,
/// before it is unlinked. A listener may refuse a message: its bits are told again with the entry's
/// next message; a refused destroy event keeps the entry (out of the table, but counted) until a
/// redelivery run succeeds.
///
/// What a listener may rely on (letter H.1): of an entry it gets the creation first (NEW or RELATED
/// among the bits of the first message that it takes), DESTROY exactly once and last. The messages
/// of one entry come one after another; those of different entries may come at the same time.
///
/// Names and numbers are the kernel's. Source: enum ip_conntrack_events,
/// include/uapi/linux/netfilter/nf_conntrack_common.h, Linux 6.18.
#pragma once

#include "spec/nf_conn.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ct {

enum class event : std::uint8_t {
  new_ = 0,
  related = 1,  ///< in place of new_: it was expected
  destroy = 2,
  reply = 3,      ///< SEEN_REPLY was set
  assured = 4,    ///< ASSURED was set
  protoinfo = 5,  ///< the protocol's state changed
  helper = 6,
  mark = 7,
  seqadj = 8,
  secmark = 9,
  label = 10,
  synproxy = 11,
};
inline constexpr std::size_t event_count = 12;
inline constexpr std::uint32_t all_events = (1U << event_count) - 1;

constexpr std::uint32_t bit(event e) { return 1U << static_cast<unsigned>(e); }

constexpr std::string_view name(event e) {
  constexpr std::array<std::string_view, event_count> names = {"NEW",
                                                               "RELATED",
                                                               "DESTROY",
                                                               "REPLY",
                                                               "ASSURED",
                                                               "PROTOINFO",
                                                               "HELPER",
                                                               "MARK",
                                                               "SEQADJ",
                                                               "SECMARK",
                                                               "LABEL",
                                                               "SYNPROXY"};
  return names[static_cast<std::size_t>(e)];
}

/// What a message is as a whole, as `conntrack -E` puts it in brackets.
enum class event_kind : std::uint8_t { new_, update, destroy };

/// One message: everything that happened to an entry since the last one that was taken.
struct event_message {
  std::uint32_t bits = 0;  ///< of ct::event
  conn entry;              ///< as it was when the message was made, not when the events happened

  bool has(event e) const { return (bits & bit(e)) != 0; }
  /// DESTROY wins over NEW: an entry that was killed before its NEW was told.
  event_kind kind() const {
    if (has(event::destroy)) return event_kind::destroy;
    return has(event::new_) || has(event::related) ? event_kind::new_ : event_kind::update;
  }
};

/// Who is told. Called by the threads that pass packets, several at once, with the entry held.
class listener {
 public:
  /// False: refused (the listener is congested); the same bits will come again. Must not call the
  /// system that it listens to.
  [[nodiscard]] virtual bool deliver(const event_message& message) noexcept = 0;

 protected:
  ~listener() = default;
};

/// When an entry is born with an event cache (nf_conntrack_events); without one it has no events in
/// all its life.
enum class events_mode : std::uint8_t {
  never = 0,
  always = 1,
  if_listened = 2,  ///< if any netns has a listener at that moment; the kernel's default since 5.19
};

/// Counters of a system's events, summed over netns.
struct event_stat {
  std::uint64_t delivered = 0;  ///< messages that were taken
  std::uint64_t refused = 0;    ///< deliveries that were refused
  /// Destroy events not taken yet: entries that are out of the table and still count.
  std::uint64_t destroy_waiting = 0;
  auto operator<=>(const event_stat&) const = default;
};

/// What one run of the redelivery worker did.
struct redelivery_report {
  std::size_t delivered = 0;  ///< destroy events
  std::size_t waiting = 0;    ///< destroy events of the netns that still wait
  bool is_congested = false;  ///< it ended because the listener refused
};

}  // namespace ct
