// SPDX-License-Identifier: BSD-2-Clause
/// A run in the words of the contract machine (spec/model/conntrack.h): which of its actions a
/// system takes, one after another.
///
/// An implementation that can be observed (impl::make_observed) tells a trace_sink its steps. Who
/// takes them for a run of the machine must find each of them possible in the state that the ones
/// before have led to. Limit: steps are told in the order in which one thread makes them; systems
/// whose CPUs are driven by several threads at once are not observed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ct {

/// The machine's actions, in its order.
enum class trace_action : std::uint8_t {
  packet,
  find_get,
  glance,
  look_away,
  find_miss,
  find_expired,
  give_up,
  reserve,
  early_drop,
  refuse,
  alloc,
  track,
  alter_reply,
  drop,
  kill,
  kill_unconfirmed,
  confirm,
  insert_original,
  insert_reply,
  publish,
  confirm_dying,
  merge,
  link_reply,
  clash_drop,
  chain_too_long,
  deliver,
  leave_to_killer,
  reap,
  claim,
  claim_lost,
  spare,
  tell,
  tell_refused,
  unlink_original,
  unlink_reply,
  put_table,
  park,
  put,
  free,
  uncount,
  tick,
  gc_visit,
  gc_drop,
  redeliver,
  put_parked,
  stall,
  recover,
  flush_begin,
  exit_begin,
  walk_visit,
  walk_end,
  exit_end,
  resize_begin,
  resize_end,
};

/// What an action is about: bits of trace_signature::fields.
namespace trace_field {
inline constexpr std::uint8_t cpu = 1U << 0;
inline constexpr std::uint8_t entry = 1U << 1;
inline constexpr std::uint8_t netns = 1U << 2;
inline constexpr std::uint8_t key = 1U << 3;  ///< with its netns
inline constexpr std::uint8_t timeout = 1U << 4;
inline constexpr std::uint8_t assures = 1U << 5;
inline constexpr std::uint8_t again = 1U << 6;
inline constexpr std::uint8_t ticks = 1U << 7;
}  // namespace trace_field

struct trace_signature {
  std::string_view name;  ///< as in the TLA+ module
  std::uint8_t fields = 0;
};

namespace detail {
inline constexpr std::uint8_t on_cpu = trace_field::cpu;
inline constexpr std::uint8_t on_entry = trace_field::cpu | trace_field::entry;
inline constexpr std::uint8_t on_netns = trace_field::cpu | trace_field::netns;
inline constexpr std::uint8_t on_key = trace_field::cpu | trace_field::key;

inline constexpr std::array<trace_signature, 54> signatures = {{
    {"Packet", on_key},
    {"FindGet", on_entry},
    {"Glance", on_entry},
    {"LookAway", on_cpu},
    {"FindMiss", on_cpu},
    {"FindExpired", on_entry},
    {"GiveUp", on_cpu},
    {"Reserve", on_cpu},
    {"EarlyDrop", on_entry},
    {"Refuse", on_cpu},
    {"Alloc", on_entry},
    {"Track", on_cpu | trace_field::timeout | trace_field::assures},
    {"AlterReply", on_key},
    {"Drop", on_cpu},
    {"Kill", on_cpu | trace_field::again},
    {"KillUnconfirmed", on_cpu},
    {"Confirm", on_cpu},
    {"InsertOriginal", on_cpu},
    {"InsertReply", on_cpu},
    {"Publish", on_cpu},
    {"ConfirmDying", on_cpu},
    {"Merge", on_entry},
    {"LinkReply", on_cpu | trace_field::timeout},
    {"ClashDrop", on_cpu},
    {"ChainTooLong", on_cpu},
    {"Deliver", on_cpu},
    {"LeaveToKiller", on_cpu},
    {"Reap", on_cpu},
    {"Claim", on_cpu},
    {"ClaimLost", on_cpu},
    {"Spare", on_cpu},
    {"Tell", on_cpu},
    {"TellRefused", on_cpu},
    {"UnlinkOriginal", on_cpu},
    {"UnlinkReply", on_cpu},
    {"PutTable", on_cpu},
    {"Park", on_cpu},
    {"Put", on_cpu},
    {"Free", trace_field::entry},
    {"Uncount", trace_field::netns},
    {"Tick", trace_field::ticks},
    {"GcVisit", on_entry},
    {"GcDrop", on_entry},
    {"Redeliver", trace_field::entry},
    {"PutParked", trace_field::entry},
    {"Stall", 0},
    {"Recover", 0},
    {"FlushBegin", on_cpu},
    {"ExitBegin", on_netns},
    {"WalkVisit", on_entry},
    {"WalkEnd", on_cpu},
    {"ExitEnd", on_netns},
    {"ResizeBegin", on_cpu},
    {"ResizeEnd", on_cpu},
}};
static_assert(signatures.size() == static_cast<std::size_t>(trace_action::resize_end) + 1);
}  // namespace detail

constexpr const trace_signature& signature_of(trace_action a) {
  return detail::signatures[static_cast<std::size_t>(a)];
}

/// A key of the machine: a flow has two, and its number no other flow that lives.
struct trace_key {
  std::uint32_t netns = 0;
  std::uint32_t flow = 0;
  bool is_reply = false;  ///< the inverse of the key that was seen first

  friend constexpr bool operator==(const trace_key&, const trace_key&) = default;
};

/// A step. CPUs, entries, netns and flows are numbered from 1 on; 0 is what the action has not.
struct trace_step {
  trace_action action = trace_action::packet;
  std::uint32_t cpu = 0;
  std::uint32_t entry = 0;
  trace_key key{};           ///< its netns alone where the action is about a netns
  std::uint32_t number = 0;  ///< timeout or ticks, in jiffies
  bool flag = false;         ///< assures, again

  friend constexpr bool operator==(const trace_step&, const trace_step&) = default;
};

/// Who is told the steps. Called from within the system: returns soon, calls nothing of it.
class trace_sink {
 public:
  virtual void take(const trace_step&) noexcept = 0;
  /// The system has done what the machine has no action for; no step follows.
  virtual void stop(std::string_view why) noexcept = 0;

 protected:
  ~trace_sink() = default;
};

}  // namespace ct
