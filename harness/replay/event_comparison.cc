// SPDX-License-Identifier: BSD-2-Clause
/// The walk over both sequences, and the words for what differs.
#include "harness/replay/event_comparison.h"

#include "harness/format/conntrack.h"

#include <algorithm>
#include <fmt/format.h>
#include <tuple>

namespace ct::harness {
namespace {

/// The line, and what it does not show.
std::string text(const event_message& message) {
  return fmt::format("\"{}\" events=0x{:x} status=0x{:x} jiffies={} net={}",
                     conntrack_event_line(message, {.acct = true, .extended = true, .id = true}),
                     message.bits,
                     message.entry.status,
                     message.entry.timeout_jiffies,
                     message.entry.net);
}

/// Everything but references, and by how much an entry is beyond its end.
bool is_same(const event_message& a, const event_message& b) {
  const auto all = [](const event_message& m) {
    const conn& c = m.entry;
    return std::tuple(m.bits,
                      c.id,
                      c.tuples,
                      c.status,
                      std::max(c.timeout_jiffies, 0),
                      c.mark,
                      c.net,
                      c.zone,
                      c.tcp,
                      c.sctp,
                      c.dccp,
                      c.packets,
                      c.bytes,
                      c.start_ns,
                      c.stop_ns,
                      c.labels);
  };
  return all(a) == all(b);
}

bool is_destroy(const event_message& m) { return m.kind() == event_kind::destroy; }

}  // namespace

std::string event_comparison::next(std::span<const event_message> mine,
                                   std::span<const event_message> reference,
                                   std::string_view name) {
  auto a = mine.begin();
  auto b = reference.begin();
  for (;;) {
    for (; a != mine.end() && is_destroy(*a); ++a) note_destroyed(*a, mine_, reference_);
    for (; b != reference.end() && is_destroy(*b); ++b) note_destroyed(*b, reference_, mine_);
    if (!altered_.empty()) {
      return fmt::format("event: tells {}, {} tells {}", altered_[0], name, altered_[1]);
    }
    if (a == mine.end() && b == reference.end()) return {};
    ++count_;
    if (a == mine.end()) {
      return fmt::format("event {}: lacks {}, which {} tells", count_, text(*b), name);
    }
    if (b == reference.end()) {
      return fmt::format("event {}: tells {}, which {} does not", count_, text(*a), name);
    }
    if (!is_same(*a, *b)) {
      return fmt::format("event {}: tells {}, {} tells {}", count_, text(*a), name, text(*b));
    }
    ++a;
    ++b;
  }
}

void event_comparison::note_destroyed(const event_message& message,
                                      std::map<std::uint64_t, event_message>& own,
                                      std::map<std::uint64_t, event_message>& others) {
  const auto at = others.find(message.entry.id);
  if (at == others.end()) {
    own.emplace(message.entry.id, message);
    return;
  }
  if (!is_same(message, at->second) && altered_.empty()) {
    const bool is_mine = &own == &mine_;
    altered_ = {text(is_mine ? message : at->second), text(is_mine ? at->second : message)};
  }
  others.erase(at);
}

std::string event_comparison::at_end(std::string_view name) const {
  if (!mine_.empty()) {
    return fmt::format("event: tells {}, which {} does not", text(mine_.begin()->second), name);
  }
  if (!reference_.empty()) {
    return fmt::format("event: lacks {}, which {} tells", text(reference_.begin()->second), name);
  }
  return {};
}

}  // namespace ct::harness
