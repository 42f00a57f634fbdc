// SPDX-License-Identifier: BSD-2-Clause
/// Do two implementations tell the same events of the same packets?
///
/// Births and updates follow from packets: they must be the same, in the same order. A connection
/// that expires is destroyed when a lookup or gc_worker meets it, which is each table's own matter:
/// of DESTROY the order is free, and of one that expired the moment too; at the end each must have
/// told the same ones. So what is kept is bounded by the expired entries that one has reaped and
/// the other has not. Source: letter H.1 and docs/guarantees.md ("What nobody promises").
#pragma once

#include "spec/event_ledger.h"
#include "spec/events.h"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ct::harness {

/// A listener that takes everything.
class event_recorder final : public listener {
 public:
  bool deliver(const event_message& message) noexcept override {
    told.push_back(message);
    books.add(message);
    return true;
  }

  std::vector<event_message> told;  ///< since it was cleared
  event_ledger books;               ///< of all
};

class event_comparison {
 public:
  /// The next messages of both. Returns the first difference, or nothing; `name` is the
  /// reference's.
  std::string next(std::span<const event_message> mine,
                   std::span<const event_message> reference,
                   std::string_view name);
  /// At rest, when gc_worker has taken what expired.
  std::string at_end(std::string_view name) const;

 private:
  void note_destroyed(const event_message& message,
                      std::map<std::uint64_t, event_message>& own,
                      std::map<std::uint64_t, event_message>& others);

  // [conn id]: DESTROY that only one of them has told yet.
  std::map<std::uint64_t, event_message> mine_;
  std::map<std::uint64_t, event_message> reference_;
  std::vector<std::string>
      altered_;              // the first DESTROY that the two tell differently: [mine, its]
  std::uint64_t count_ = 0;  // messages but DESTROY that were compared
};

}  // namespace ct::harness
