// SPDX-License-Identifier: BSD-2-Clause
/// The contract machine's constants, its list of actions, and what must hold.
#pragma once

#include "spec/model/conntrack.h"

namespace ct::model {

template <class Room>
basic_conntrack<Room>::basic_conntrack(const configuration& c)
    : entry_names_(c.set("Entries", Room::entries)),
      net_names_(c.set("Netns", Room::netns)),
      tuple_names_(c.set("Tuples", Room::tuples)),
      timeout_(c.number("Timeout", 100)),
      max_(c.number("Max", 1'000'000)),
      chain_limit_(c.number("ChainLimit", 1'000'000)),
      fault_(c.text("Fault")) {
  const std::vector<std::string>& workers = c.set("Workers", Room::cpus);
  for (const std::string& cpu : c.set("Cpus", Room::cpus)) {
    if (std::find(workers.begin(), workers.end(), cpu) == workers.end()) cpu_names_.push_back(cpu);
  }
  for (const std::string& cpu : workers) cpu_names_.push_back(cpu);
  workers_ = static_cast<index_t>(workers.size());
  const auto may = [&](std::string_view what) { return c.has("Operations", what); };
  may_ = {.lookup = may("lookup"),
          .early_drop = may("early_drop"),
          .nat = may("nat"),
          .kill = may("kill"),
          .update = may("update"),
          .filter = may("filter"),
          .clock = may("clock"),
          .gc = may("gc"),
          .listener = may("listener"),
          .flush = may("flush"),
          .exit = may("exit"),
          .resize = may("resize"),
          .late_packets = may("late_packets")};
  const auto allows = [&](std::string_view what) { return c.has("Allowances", what); };
  allows_ = {.two_phase_delete = allows("two_phase_delete"),
             .loser_returns_early = allows("loser_returns_early"),
             .count_reserves = allows("count_reserves"),
             .miss_during_resize = allows("miss_during_resize"),
             .chain_too_long = allows("chain_too_long"),
             .clash_merge = allows("clash_merge"),
             .clash_reply_only = allows("clash_reply_only"),
             .weak_dump = allows("weak_dump"),
             .passing_reference = allows("passing_reference"),
             .late_refresh = allows("late_refresh"),
             .killer_tells = allows("killer_tells"),
             .put_after_telling = allows("put_after_telling"),
             .stale_visit = allows("stale_visit")};
}

template <class Room>
std::span<const action<basic_conntrack<Room>>> basic_conntrack<Room>::actions() {
  using m = basic_conntrack;
  using d = domain;
  using v = visibility;
  static constexpr std::array<action<m>, 54> list = {{
      {"Packet", {d::cpu, d::key}, v::observed, calls<&m::packet>::apply},
      {"FindGet", {d::cpu, d::entry}, v::observed, calls<&m::find_get>::apply},
      {"Glance", {d::cpu, d::entry}, v::internal, calls<&m::glance>::apply},
      {"LookAway", {d::cpu}, v::internal, calls<&m::look_away>::apply},
      {"FindMiss", {d::cpu}, v::observed, calls<&m::find_miss>::apply},
      {"FindExpired", {d::cpu, d::entry}, v::internal, calls<&m::find_expired>::apply},
      {"GiveUp", {d::cpu}, v::observed, calls<&m::give_up>::apply},
      {"Reserve", {d::cpu}, v::internal, calls<&m::reserve>::apply},
      {"EarlyDrop", {d::cpu, d::entry}, v::internal, calls<&m::early_drop>::apply},
      {"Refuse", {d::cpu}, v::observed, calls<&m::refuse>::apply},
      {"Alloc", {d::cpu, d::entry}, v::observed, calls<&m::alloc>::apply},
      {"Track", {d::cpu, d::timeout, d::boolean}, v::observed, calls<&m::track>::apply},
      {"AlterReply", {d::cpu, d::key}, v::observed, calls<&m::alter_reply>::apply},
      {"Drop", {d::cpu}, v::observed, calls<&m::drop>::apply},
      {"Kill", {d::cpu, d::boolean}, v::observed, calls<&m::kill>::apply},
      {"KillUnconfirmed", {d::cpu}, v::observed, calls<&m::kill_unconfirmed>::apply},
      {"Confirm", {d::cpu}, v::internal, calls<&m::confirm>::apply},
      {"InsertOriginal", {d::cpu}, v::internal, calls<&m::insert_original>::apply, true},
      {"InsertReply", {d::cpu}, v::internal, calls<&m::insert_reply>::apply, true},
      {"Publish", {d::cpu}, v::internal, calls<&m::publish>::apply},
      {"ConfirmDying", {d::cpu}, v::observed, calls<&m::confirm_dying>::apply},
      {"Merge", {d::cpu, d::entry}, v::observed, calls<&m::merge>::apply},
      {"LinkReply", {d::cpu, d::tick}, v::internal, calls<&m::link_reply>::apply},
      {"ClashDrop", {d::cpu}, v::observed, calls<&m::clash_drop>::apply},
      {"ChainTooLong", {d::cpu}, v::observed, calls<&m::chain_too_long>::apply},
      {"Deliver", {d::cpu}, v::observed, calls<&m::deliver>::apply},
      {"LeaveToKiller", {d::cpu}, v::observed, calls<&m::leave_to_killer>::apply},
      {"Reap", {d::cpu}, v::internal, calls<&m::reap>::apply},
      {"Claim", {d::cpu}, v::internal, calls<&m::claim>::apply},
      {"ClaimLost", {d::cpu}, v::observed, calls<&m::claim_lost>::apply},
      {"Spare", {d::cpu}, v::internal, calls<&m::spare>::apply},
      {"Tell", {d::cpu}, v::observed, calls<&m::tell>::apply},
      {"TellRefused", {d::cpu}, v::observed, calls<&m::tell_refused>::apply},
      {"UnlinkOriginal", {d::cpu}, v::internal, calls<&m::unlink_original>::apply},
      {"UnlinkReply", {d::cpu}, v::internal, calls<&m::unlink_reply>::apply},
      {"PutTable", {d::cpu}, v::internal, calls<&m::put_table>::apply, true},
      {"Park", {d::cpu}, v::internal, calls<&m::park>::apply, true},
      {"Put", {d::cpu}, v::observed, calls<&m::put>::apply},
      {"Free", {d::entry}, v::internal, calls<&m::free>::apply},
      {"Uncount", {d::netns}, v::internal, calls<&m::uncount>::apply},
      {"Tick", {d::tick}, v::internal, calls<&m::tick>::apply},
      {"GcVisit", {d::cpu, d::entry}, v::internal, calls<&m::gc_visit>::apply},
      {"GcDrop", {d::cpu, d::entry}, v::internal, calls<&m::gc_drop>::apply},
      {"Redeliver", {d::entry}, v::internal, calls<&m::redeliver>::apply},
      {"PutParked", {d::entry}, v::internal, calls<&m::put_parked>::apply},
      {"Stall", {}, v::observed, calls<&m::stall>::apply},
      {"Recover", {}, v::observed, calls<&m::recover>::apply},
      {"FlushBegin", {d::cpu}, v::observed, calls<&m::flush_begin>::apply},
      {"ExitBegin", {d::cpu, d::netns}, v::observed, calls<&m::exit_begin>::apply},
      {"WalkVisit", {d::cpu, d::entry}, v::internal, calls<&m::walk_visit>::apply},
      {"WalkEnd", {d::cpu}, v::observed, calls<&m::walk_end>::apply},
      {"ExitEnd", {d::cpu, d::netns}, v::observed, calls<&m::exit_end>::apply},
      {"ResizeBegin", {d::cpu}, v::observed, calls<&m::resize_begin>::apply},
      {"ResizeEnd", {d::cpu}, v::observed, calls<&m::resize_end>::apply},
  }};
  return list;
}

template <class Room>
bool basic_conntrack<Room>::table_holds(const state& s, index_t e) const {
  if (s.entry[e].linked != 0 || s.entry[e].parked != parking::no) return true;
  for (index_t p = 0; p < cpus(); ++p) {
    if (s.cpu[p].at == e + 1 && (is_critical(s.cpu[p].pc) || s.cpu[p].pc == place::put_table)) {
      return true;
    }
  }
  return false;
}

template <class Room>
template <class Holds>
bool basic_conntrack<Room>::for_entries(const state& s, Holds&& holds) const {
  for (index_t e = 0; e < entries(); ++e) {
    if (!holds(s.entry[e], e)) return false;
  }
  return true;
}

/// Is a CPU that has `e` at hand in one of these places?
template <class Room>
bool basic_conntrack<Room>::is_worked_on(const state& s,
                                         index_t e,
                                         std::initializer_list<place> places) const {
  return std::any_of(s.cpu.begin(), s.cpu.begin() + cpus(), [&](const cpu_state& cpu) {
    return cpu.at == e + 1 && std::find(places.begin(), places.end(), cpu.pc) != places.end();
  });
}

template <class Room>
bool basic_conntrack<Room>::found_is_asked_for(const state& s) const {
  return std::all_of(s.cpu.begin(), s.cpu.begin() + cpus(), [&](const cpu_state& cpu) {
    return cpu.pc != place::track || has_key(s.entry[cpu.at - 1U], cpu.want);
  });
}

template <class Room>
bool basic_conntrack<Room>::held_is_alive(const state& s) const {
  return std::all_of(s.cpu.begin(), s.cpu.begin() + cpus(), [&](const cpu_state& cpu) {
    return cpu.at == 0 ||
           (s.entry[cpu.at - 1U].status != life::free && s.entry[cpu.at - 1U].use > 0);
  });
}

template <class Room>
bool basic_conntrack<Room>::references_add_up(const state& s) const {
  return for_entries(s, [&](const entry_state& entry, index_t e) {
    const auto held = std::count_if(s.cpu.begin(), s.cpu.begin() + cpus(), [e](const auto& cpu) {
      return cpu.at == e + 1;
    });
    return entry.use == static_cast<index_t>(held) + (table_holds(s, e) ? 1U : 0U);
  });
}

template <class Room>
bool basic_conntrack<Room>::both_or_neither(const state& s) const {
  return for_entries(s, [](const entry_state& e, index_t) {
    return e.status != life::confirmed || e.dying || e.linked == (e.silent ? reply : both);
  });
}

template <class Room>
bool basic_conntrack<Room>::unconfirmed_is_outside(const state& s) const {
  return for_entries(s, [&](const entry_state& entry, index_t e) {
    return entry.status == life::confirmed || entry.linked == 0 ||
           is_worked_on(s, e, {place::insert_reply, place::publish});
  });
}

template <class Room>
bool basic_conntrack<Room>::no_duplicate(const state& s) const {
  return for_entries(s, [&](const entry_state& entry, index_t e) {
    if (entry.status != life::confirmed) return true;
    if ((entry.linked & original) != 0 && clashes(s, e, entry.key_original)) return false;
    return (entry.linked & reply) == 0 || !clashes(s, e, entry.key_reply);
  });
}

template <class Room>
bool basic_conntrack<Room>::dying_is_unlinked(const state& s) const {
  return for_entries(s, [&](const entry_state& entry, index_t e) {
    return !entry.dying || entry.linked == 0 ||
           is_worked_on(s, e, {place::tell, place::unlink_original, place::unlink_reply});
  });
}

/// Has this CPU counted an entry that is not there yet?
template <class Room>
bool basic_conntrack<Room>::is_reserved(const cpu_state& cpu, index_t n) const {
  if (cpu.want == 0 || net_of_key(cpu.want) != n) return false;
  if (cpu.pc == place::alloc) return true;
  return allows_.count_reserves &&
         (cpu.pc == place::full || cpu.pc == place::room || cpu.pc == place::refuse ||
          cpu.then == place::full || cpu.then == place::making_room || cpu.then == place::room);
}

template <class Room>
bool basic_conntrack<Room>::count_is_live(const state& s) const {
  for (index_t n = 0; n < nets(); ++n) {
    index_t counted = s.net[n].freed;
    for (index_t e = 0; e < entries(); ++e) {
      counted += s.entry[e].status != life::free && net_of(s.entry[e]) == n ? 1U : 0U;
    }
    for (index_t p = 0; p < cpus(); ++p) counted += is_reserved(s.cpu[p], n) ? 1U : 0U;
    if (s.net[n].count != counted) return false;
  }
  return true;
}

template <class Room>
bool basic_conntrack<Room>::event_order(const state& s) const {
  return for_entries(s, [](const entry_state& e, index_t) { return e.told != message::broken; });
}

template <class Room>
std::span<const invariant<basic_conntrack<Room>>> basic_conntrack<Room>::invariants() {
  using m = basic_conntrack;
  static constexpr std::array<invariant<m>, 9> list = {{
      {"FoundIsAskedFor",
       "A.2",
       "what was found has the tuple that was asked for",
       holds<&m::found_is_asked_for>::in},
      {"HeldIsAlive",
       "D.4",
       "what is at hand is not freed, and referenced",
       holds<&m::held_is_alive>::in},
      {"ReferencesAddUp",
       "A.3",
       "references are those of CPUs, and the table's",
       holds<&m::references_add_up>::in},
      {"BothOrNeither",
       "B.1",
       "a confirmed entry that nobody kills is linked in both directions (after a clash by its "
       "reply alone)",
       holds<&m::both_or_neither>::in},
      {"UnconfirmedIsOutside",
       "B.3",
       "what is not confirmed is in the table only while it is linked",
       holds<&m::unconfirmed_is_outside>::in},
      {"NoDuplicate",
       "C.1",
       "at most one linked entry answers to a tuple",
       holds<&m::no_duplicate>::in},
      {"DyingIsUnlinked",
       "D.2",
       "what is dying is linked only while its killer is at it",
       holds<&m::dying_is_unlinked>::in},
      {"CountIsLive",
       "D.4",
       "what is counted is alive, freed a moment ago, or about to be made",
       holds<&m::count_is_live>::in},
      {"EventOrder",
       "H.1",
       "NEW, then UPDATE, then DESTROY, nothing twice",
       holds<&m::event_order>::in},
  }};
  return list;
}

template <class Room>
std::span<const step_property<basic_conntrack<Room>>> basic_conntrack<Room>::step_properties() {
  using m = basic_conntrack;
  static constexpr std::array<step_property<m>, 3> list = {{
      {"FoundWasThere",
       "A.2",
       "what a lookup returns could be found at a moment of it",
       [](const m& self, const state& before, const step&, const state& after) {
         for (index_t p = 0; p < self.cpus(); ++p) {
           const cpu_state& was = before.cpu[p];
           const cpu_state& is = after.cpu[p];
           if (was.pc == place::lookup && is.pc == place::track && !was.seen.has(is.at - 1U)) {
             return false;
           }
         }
         return true;
       }},
      {"MissWasRight",
       "A.1",
       "a lookup misses only what was not there all the while",
       [](const m& self, const state& before, const step&, const state& after) {
         for (index_t p = 0; p < self.cpus(); ++p) {
           if (before.cpu[p].pc == place::lookup && after.cpu[p].pc == place::reserve &&
               !before.cpu[p].unseen) {
             return false;
           }
         }
         return true;
       }},
      {"DestroyIsTold",
       "H.1",
       "nothing is freed before its end is told",
       [](const m& self, const state& before, const step&, const state& after) {
         for (index_t e = 0; e < self.entries(); ++e) {
           const entry_state& was = before.entry[e];
           if (was.status == life::confirmed && after.entry[e].status == life::free &&
               !was.silent && was.told != message::destroy) {
             return false;
           }
         }
         return true;
       }},
  }};
  return list;
}

template <class Room>
std::span<const leads_to<basic_conntrack<Room>>> basic_conntrack<Room>::leads_to_properties() {
  using m = basic_conntrack;
  static constexpr std::array<leads_to<m>, 4> list = {{
      {"NobodyWaits",
       "G.1",
       "whoever has begun ends",
       domain::cpu,
       [](const m&, const state& s, index_t p) { return s.cpu[p].pc != place::idle; },
       [](const m&, const state& s, index_t p) { return s.cpu[p].pc == place::idle; }},
      {"ExpiredIsFreed",
       "E.2",
       "what has expired is freed, unless a packet brings it back to life",
       domain::entry,
       [](const m&, const state& s, index_t e) {
         return s.entry[e].status == life::confirmed && s.entry[e].ttl == 0;
       },
       [](const m&, const state& s, index_t e) {
         return s.entry[e].status == life::free || s.entry[e].ttl != 0;
       }},
      {"ExitEnds",
       "D.4",
       "the exit of a netns ends",
       domain::netns,
       [](const m&, const state& s, index_t n) { return s.net[n].is_exiting; },
       [](const m&, const state& s, index_t n) { return !s.net[n].is_exiting; }},
      {"ParkedIsTold",
       "H.1",
       "a destroy event that was refused is told",
       domain::entry,
       [](const m&, const state& s, index_t e) { return s.entry[e].parked != parking::no; },
       [](const m&, const state& s, index_t e) { return s.entry[e].parked == parking::no; }},
  }};
  return list;
}

template <class Room>
std::span<const fairness<basic_conntrack<Room>>> basic_conntrack<Room>::fairness_of() {
  using m = basic_conntrack;
  // What a CPU begins, and what no CPU does, is apart.
  static constexpr auto is = [](const step& taken, std::string_view action_name) {
    return actions()[taken.action].name == action_name;
  };
  static constexpr auto goes_on = [](const m&, const step& taken, index_t p) {
    const action<m>& a = actions()[taken.action];
    return a.over.count != 0 && a.over.set[0] == domain::cpu && taken.arguments[0] == p &&
           !is(taken, "Packet") && !is(taken, "GcVisit") && !is(taken, "GcDrop") &&
           !is(taken, "FlushBegin") && !is(taken, "ExitBegin") && !is(taken, "ExitEnd") &&
           !is(taken, "ResizeBegin");
  };
  static constexpr std::array<fairness<m>, 9> list = {{
      {"GoOn", true, domain::cpu, goes_on},
      {"Free",
       true,
       domain::entry,
       [](const m&, const step& taken, index_t e) {
         return is(taken, "Free") && taken.arguments[0] == e;
       }},
      {"Uncount",
       false,
       domain::netns,
       [](const m&, const step& taken, index_t n) {
         return is(taken, "Uncount") && taken.arguments[0] == n;
       }},
      {"GcVisit",
       true,
       domain::entry,
       [](const m&, const step& taken, index_t e) {
         return is(taken, "GcVisit") && taken.arguments[1] == e;
       }},
      {"Redeliver",
       true,
       domain::entry,
       [](const m&, const step& taken, index_t e) {
         return is(taken, "Redeliver") && taken.arguments[0] == e;
       }},
      {"PutParked",
       false,
       domain::entry,
       [](const m&, const step& taken, index_t e) {
         return is(taken, "PutParked") && taken.arguments[0] == e;
       }},
      {"Recover",
       false,
       domain::tick,
       [](const m&, const step& taken, index_t) { return is(taken, "Recover"); }},
      {"ExitAgain",
       true,
       domain::netns,
       [](const m&, const step& taken, index_t n) {
         return is(taken, "ExitBegin") && taken.arguments[1] == n;
       }},
      {"ExitEnd",
       true,
       domain::netns,
       [](const m&, const step& taken, index_t n) {
         return is(taken, "ExitEnd") && taken.arguments[1] == n;
       }},
  }};
  return list;
}

}  // namespace ct::model
