// SPDX-License-Identifier: BSD-2-Clause
/// A checker of letter H.1: keeps the books of a listener and says what is wrong with them.
///
///     event_ledger books;
///     books.add(message);                       // every message that was taken, in order
///     CHECK(books.finding() == "");             // nothing twice, nothing before NEW or after
///     DESTROY CHECK(books.compare(ids_in_table) == ""); // nothing lost: who lives there lives
///     here
///
/// Source: the order of nf_conntrack_confirm() and nf_ct_delete(), Linux 6.18. Limits: of updates
/// it knows only when they must not come; a lost update is found by comparing with another
/// listener's. Not synchronised.
#pragma once

#include "spec/events.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>

namespace ct {

class event_ledger {
 public:
  void add(const event_message& message) {
    const std::uint64_t id = message.entry.id;
    const bool is_birth = message.has(event::new_) || message.has(event::related);
    const auto [at, is_first] = is_alive_.try_emplace(id, true);
    const auto wrong = [&](const char* what) {
      if (finding_.empty()) finding_ = "entry " + std::to_string(id) + ": " + what;
    };
    if (message.bits == 0) wrong("a message without events");
    if (is_first && !is_birth) {
      wrong(message.has(event::destroy) ? "DESTROY before NEW" : "an update before NEW");
    }
    if (!is_first && is_birth) wrong(at->second ? "NEW twice" : "NEW after DESTROY");
    if (!is_first && !is_birth && !at->second) {
      wrong(message.has(event::destroy) ? "DESTROY twice" : "an update after DESTROY");
    }
    alive_ += is_first ? 1 : 0;
    if (message.has(event::destroy) && at->second) {
      at->second = false;
      --alive_;
    }
  }

  /// The first violation; empty: none.
  const std::string& finding() const { return finding_; }
  /// Entries that were told of, and how many of them live.
  std::size_t known() const { return is_alive_.size(); }
  std::size_t alive() const { return alive_; }
  std::size_t destroyed() const { return known() - alive_; }

  /// At rest: do the books agree with who is in the table? Empty: they do.
  std::string compare(std::span<const std::uint64_t> ids_in_table) const {
    for (const std::uint64_t id : ids_in_table) {
      const auto at = is_alive_.find(id);
      const std::string who = "entry " + std::to_string(id) + " is in the table, ";
      if (at == is_alive_.end()) return who + "its NEW is lost";
      if (!at->second) return who + "its DESTROY was told";
    }
    if (ids_in_table.size() == alive_) return {};
    return std::to_string(alive_ - ids_in_table.size()) +
           " DESTROY are lost: " + std::to_string(alive_) + " entries live by the events, " +
           std::to_string(ids_in_table.size()) + " are in the table";
  }

 private:
  std::unordered_map<std::uint64_t, bool> is_alive_;  // [conn id]
  std::size_t alive_ = 0;
  std::string finding_;
};

}  // namespace ct
