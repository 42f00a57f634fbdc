// SPDX-License-Identifier: BSD-2-Clause
/// The constants of event_redelivery, its list of actions, what must hold, and how a state is
/// shown.
#pragma once

#include "spec/model/event_redelivery.h"

namespace ct::model {

inline event_redelivery::event_redelivery(const configuration& c)
    : base_(c),
      capacity_(c.number("Capacity", 100)),
      burst_(c.number("Burst", few::entries)),
      timeout_(c.number("Timeout", 100)),
      workers_(static_cast<index_t>(c.set("Workers", few::cpus).size())) {
  if (capacity_ == 0 || burst_ == 0) {
    throw std::invalid_argument("constants Capacity and Burst in " + c.name +
                                ".cfg must be 1 at least");
  }
}

inline std::span<const action<event_redelivery>> event_redelivery::actions() {
  using m = event_redelivery;
  using c = conntrack;
  using d = domain;
  constexpr auto seen = visibility::observed;
  constexpr auto tau = visibility::internal;
  static constexpr std::array<action<m>, 56> list = {{
      {"LockTelling", {d::cpu}, tau, calls<&m::lock_telling>::apply},
      {"NothingToTell", {d::cpu}, tau, calls<&m::nothing_to_tell>::apply},
      {"TakeCached", {d::cpu}, tau, calls<&m::take_cached>::apply},
      {"HandOver", {d::cpu}, seen, calls<&m::hand_over>::apply},
      {"Leave", {d::cpu}, tau, calls<&m::leave>::apply},
      {"TellNobody", {d::cpu}, tau, calls<&m::tell_nobody>::apply},
      {"BeRefused", {d::cpu}, seen, calls<&m::be_refused>::apply},
      {"UnlockTelling", {d::cpu}, tau, calls<&m::unlock_telling>::apply},
      {"Kick", {d::cpu}, tau, calls<&m::kick>::apply},
      {"ParkEntry", {d::cpu}, tau, calls<&m::park_entry>::apply},
      {"SetDue", {d::cpu}, tau, calls<&m::set_due>::apply},
      {"TimePasses", {}, tau, calls<&m::time_passes>::apply},
      {"Wake", {}, tau, calls<&m::wake>::apply},
      {"Pop", {d::entries}, tau, calls<&m::pop>::apply},
      {"Sleep", {}, tau, calls<&m::sleep>::apply},
      {"LockParked", {d::entry}, tau, calls<&m::lock_parked>::apply},
      {"HandOverParked", {d::entry}, seen, calls<&m::hand_over_parked>::apply},
      {"LeaveParked", {}, tau, calls<&m::leave_parked>::apply},
      {"TellNobodyParked", {d::entry}, tau, calls<&m::tell_nobody_parked>::apply},
      {"BeRefusedParked", {d::entry}, seen, calls<&m::be_refused_parked>::apply},
      {"UnlockParked", {}, tau, calls<&m::unlock_parked>::apply},
      {"PutBack", {}, tau, calls<&m::put_back>::apply},
      {"PutTold", {d::entry}, tau, calls<&m::put_told>::apply},
      {"EndBurst", {}, tau, calls<&m::end_burst>::apply},
      {"TimeIsUp", {}, tau, calls<&m::time_is_up>::apply},
      {"Drain", {}, seen, calls<&m::drain>::apply},
      {"DrainInTime", {d::entry}, seen, calls<&m::drain_in_time>::apply},
      {"PublishAndCache", {d::cpu}, tau, calls<&m::publish_and_cache>::apply},
      {"FreeEntry", {d::entry}, tau, calls<&m::free_entry>::apply},
      {"SilenceAndExit", {d::cpu, d::netns}, seen, calls<&m::silence_and_exit>::apply},
      {"AsPacket", {d::cpu, d::key}, seen, at_rest<&c::packet>},
      {"AsFindGet", {d::cpu, d::entry}, seen, at_rest<&c::find_get>},
      {"AsFindMiss", {d::cpu}, seen, at_rest<&c::find_miss>},
      {"AsGiveUp", {d::cpu}, seen, at_rest<&c::give_up>},
      {"AsReserve", {d::cpu}, tau, at_rest<&c::reserve>},
      {"AsRefuse", {d::cpu}, seen, at_rest<&c::refuse>},
      {"AsAlloc", {d::cpu, d::entry}, seen, at_rest<&c::alloc>},
      {"AsTrack", {d::cpu}, seen, calls<&m::as_track>::apply},
      {"AsDrop", {d::cpu}, seen, at_rest<&c::drop>},
      {"AsKill", {d::cpu, d::boolean}, seen, at_rest<&c::kill>},
      {"AsKillUnconfirmed", {d::cpu}, seen, at_rest<&c::kill_unconfirmed>},
      {"AsConfirm", {d::cpu}, tau, at_rest<&c::confirm>},
      {"AsConfirmDying", {d::cpu}, seen, at_rest<&c::confirm_dying>},
      {"AsClashDrop", {d::cpu}, seen, at_rest<&c::clash_drop>},
      {"AsInsertOriginal", {d::cpu}, tau, at_rest<&c::insert_original>},
      {"AsInsertReply", {d::cpu}, tau, at_rest<&c::insert_reply>},
      {"AsClaim", {d::cpu}, tau, at_rest<&c::claim>},
      {"AsClaimLost", {d::cpu}, seen, at_rest<&c::claim_lost>},
      {"AsUnlinkOriginal", {d::cpu}, tau, at_rest<&c::unlink_original>},
      {"AsUnlinkReply", {d::cpu}, tau, at_rest<&c::unlink_reply>},
      {"AsPutTable", {d::cpu}, tau, at_rest<&c::put_table>},
      {"AsPut", {d::cpu}, seen, at_rest<&c::put>},
      {"AsWalkVisit", {d::cpu, d::entry}, tau, at_rest<&c::walk_visit>},
      {"AsWalkEnd", {d::cpu}, seen, at_rest<&c::walk_end>},
      {"AsExitEnd", {d::cpu, d::netns}, seen, at_rest<&c::exit_end>},
      {"AsUncount", {d::netns}, tau, alone<&c::uncount>},
  }};
  return list;
}

inline bool event_redelivery::waiting_is_listed(const state& s) const {
  for (index_t e = 0; e < base_.entries(); ++e) {
    const bool is_listed = s.list.has(e) || s.burst.has(e);
    if (s.base.entry[e].parked == parking::waiting && !is_listed) return false;
  }
  return true;
}

inline bool event_redelivery::told_leaves_the_list(const state& s) const {
  for (index_t e = 0; e < base_.entries(); ++e) {
    const bool is_listed = s.list.has(e) || s.burst.has(e);
    if (is_listed && s.base.entry[e].parked != parking::waiting) return false;
  }
  return true;
}

inline bool event_redelivery::waiting_is_referenced(const state& s) const {
  for (index_t e = 0; e < base_.entries(); ++e) {
    if (!s.list.has(e) && !s.burst.has(e)) continue;
    const conntrack::entry_state& entry = s.base.entry[e];
    if (entry.status != life::confirmed || entry.use == 0 || entry.linked != 0) return false;
  }
  return true;
}

inline bool event_redelivery::waiting_is_awaited(const state& s) const {
  return s.list.is_empty() || s.run != place_of_worker::asleep || s.due != due_time::never ||
         std::find(s.stage.begin(), s.stage.end(), stage::due) != s.stage.end();
}

inline bool event_redelivery::new_is_kept(const state& s) const {
  for (index_t e = 0; e < base_.entries(); ++e) {
    const conntrack::entry_state& entry = s.base.entry[e];
    const bool is_untold = entry.status == life::confirmed && entry.told == message::nothing;
    if (is_untold && s.telling[e] == 0 && !s.cached[e]) return false;
  }
  return true;
}

inline bool event_redelivery::cached_is_untold(const state& s) const {
  for (index_t e = 0; e < base_.entries(); ++e) {
    if (s.cached[e] && s.base.entry[e].told != message::nothing) return false;
  }
  return true;
}

inline bool event_redelivery::buffer_is_bounded(const state& s) const {
  return s.buffered + (s.inside == 0 ? 0U : 1U) <= capacity_;
}

inline std::span<const invariant<event_redelivery>> event_redelivery::invariants() {
  using m = event_redelivery;
  static constexpr std::array<invariant<m>, 7> own = {{
      {"WaitingIsListed",
       "H.1",
       "what waits to be told again is on the list, or in the worker's hands",
       holds<&m::waiting_is_listed>::in},
      {"ToldLeavesTheList",
       "H.1",
       "what was told is on the list no longer",
       holds<&m::told_leaves_the_list>::in},
      {"WaitingIsReferenced",
       "H.1",
       "what waits is referenced, and out of the table",
       holds<&m::waiting_is_referenced>::in},
      {"WaitingIsAwaited",
       "H.1",
       "while something waits, the worker is there or will come",
       holds<&m::waiting_is_awaited>::in},
      {"NewIsKept", "H.1", "NEW is told, cached, or on its way", holds<&m::new_is_kept>::in},
      {"CachedIsUntold",
       "H.1",
       "what is in the cache was not told",
       holds<&m::cached_is_untold>::in},
      {"BufferIsBounded",
       "",
       "the listener is not handed more than his buffer holds",
       holds<&m::buffer_is_bounded>::in},
  }};
  static const auto all = with_those_of_contract(std::span<const invariant<m>>(own));
  return all;
}

inline std::span<const step_property<event_redelivery>> event_redelivery::step_properties() {
  using m = event_redelivery;
  // In place of the one that every machine has: `deaf` is mapped.
  static const auto all = [] {
    auto list = with_those_of_contract(std::span<const step_property<m>>());
    list.back().says = "each step, a full buffer taken for a deaf listener, is one of the contract";
    list.back().holds = [](const m& self, const state& before, const step&, const state& after) {
      return is_step_of_contract(self.base_, self.mapped(before), self.mapped(after));
    };
    return list;
  }();
  return all;
}

inline std::span<const leads_to<event_redelivery>> event_redelivery::leads_to_properties() {
  using m = event_redelivery;
  static constexpr auto is_parked = [](const m&, const state& s, index_t e) {
    return s.base.entry[e].parked != parking::no;
  };
  static constexpr std::array<leads_to<m>, 2> list = {{
      {"ParkedIsTold",
       "H.1",
       "a destroy event that was refused is told",
       domain::entry,
       is_parked,
       [](const m& self, const state& s, index_t e) { return !is_parked(self, s, e); }},
      {"ParkedIsFreed",
       "H.1",
       "an entry whose destroy event was refused is freed",
       domain::entry,
       is_parked,
       [](const m&, const state& s, index_t e) { return s.base.entry[e].status == life::free; }},
  }};
  return list;
}

namespace detail {
inline bool is_one_of(const step& taken, std::initializer_list<std::string_view> names) {
  const std::string_view name = event_redelivery::actions()[taken.action].name;
  return std::find(names.begin(), names.end(), name) != names.end();
}

inline bool cpu_goes_on(const event_redelivery&, const step& taken, index_t p) {
  const action<event_redelivery>& a = event_redelivery::actions()[taken.action];
  return a.over.count != 0 && a.over.set[0] == event_redelivery::domain::cpu &&
         taken.arguments[0] == p && !is_one_of(taken, {"AsPacket", "SilenceAndExit", "AsExitEnd"});
}

inline bool worker_goes_on(const event_redelivery&, const step& taken, index_t) {
  return is_one_of(taken,
                   {"Wake",
                    "Sleep",
                    "LeaveParked",
                    "UnlockParked",
                    "PutBack",
                    "EndBurst",
                    "TimeIsUp",
                    "PutTold",
                    "TellNobodyParked",
                    "BeRefusedParked"});
}
}  // namespace detail

inline std::span<const fairness<event_redelivery>> event_redelivery::fairness_of() {
  using m = event_redelivery;
  static constexpr auto is = [](const step& taken, std::string_view name_of_action) {
    return detail::is_one_of(taken, {name_of_action});
  };
  // A tuple, of which there is one at least, stands for "once": these have no parameter.
  static constexpr std::array<fairness<m>, 10> list = {{
      {"CpuGoesOn", true, domain::cpu, detail::cpu_goes_on},
      {"WorkerGoesOn", false, domain::tuple, detail::worker_goes_on},
      {"TimePasses",
       false,
       domain::tuple,
       [](const m&, const step& taken, index_t) { return is(taken, "TimePasses"); }},
      {"Pop",
       true,
       domain::entry,
       [](const m&, const step& taken, index_t e) {
         return is(taken, "Pop") && (taken.arguments[0] >> e & 1U) != 0;
       }},
      {"LockParked",
       true,
       domain::entry,
       [](const m&, const step& taken, index_t e) {
         return is(taken, "LockParked") && taken.arguments[0] == e;
       }},
      {"HandOverParked",
       true,
       domain::entry,
       [](const m&, const step& taken, index_t e) {
         return is(taken, "HandOverParked") && taken.arguments[0] == e;
       }},
      {"Drain",
       false,
       domain::tuple,
       [](const m&, const step& taken, index_t) { return is(taken, "Drain"); }},
      {"DrainInTime",
       true,
       domain::entry,
       [](const m&, const step& taken, index_t e) {
         return is(taken, "DrainInTime") && taken.arguments[0] == e;
       }},
      {"FreeEntry",
       true,
       domain::entry,
       [](const m&, const step& taken, index_t e) {
         return is(taken, "FreeEntry") && taken.arguments[0] == e;
       }},
      {"AsUncount",
       false,
       domain::netns,
       [](const m&, const step& taken, index_t n) {
         return is(taken, "AsUncount") && taken.arguments[0] == n;
       }},
  }};
  return list;
}

inline index_t event_redelivery::size(domain d) const {
  return d == domain::entries ? 1U << base_.entries() : base_.size(domain_of_contract(d));
}

inline value event_redelivery::element(domain d, index_t i) const {
  if (d != domain::entries) return base_.element(domain_of_contract(d), i);
  std::vector<value> all;
  for (index_t e = 0; e < base_.entries(); ++e) {
    if ((i >> e & 1U) != 0) all.push_back(element(domain::entry, e));
  }
  return value::set(std::move(all));
}

inline std::vector<variable> event_redelivery::show(const state& s) const {
  static constexpr std::array<std::string_view, 7> stages =
      {"rest", "look", "tell", "inside", "unlock", "kick", "due"};
  static constexpr std::array<std::string_view, 8> runs =
      {"asleep", "pop", "lock", "tell", "inside", "unlock", "put_back", "put"};
  static constexpr std::array<std::string_view, 3> dues = {"never", "later", "now"};
  const auto text = [](const auto& names, auto which) {
    return value::string(names[static_cast<std::size_t>(which)]);
  };
  const auto teller = [&](number who) {
    if (who == worker) return value::string("worker");
    return who == 0 ? value::model("None") : element(domain::cpu, who - 1U);
  };
  const auto members = [&](const set& of) {
    std::vector<value> all;
    for (index_t e = 0; e < base_.entries(); ++e) {
      if (of.has(e)) all.push_back(element(domain::entry, e));
    }
    return value::set(std::move(all));
  };
  const auto by_entry = [&](auto of) { return function_over(base_, conntrack::domain::entry, of); };
  std::vector<variable> all = base_.show(s.base);
  all.push_back({"cached", by_entry([&](index_t e) { return value::boolean(s.cached[e]); })});
  all.push_back({"telling", by_entry([&](index_t e) { return teller(s.telling[e]); })});
  all.push_back({"inside", teller(s.inside)});
  all.push_back({"buffered", value::integer(s.buffered)});
  all.push_back({"list", members(s.list)});
  all.push_back({"due", text(dues, s.due)});
  all.push_back({"stage", function_over(base_, conntrack::domain::cpu, [&](index_t p) {
                   return text(stages, s.stage[p]);
                 })});
  all.push_back({"run", text(runs, s.run)});
  all.push_back({"burst", members(s.burst)});
  all.push_back({"hand", s.hand == 0 ? value::model("None") : element(domain::entry, s.hand - 1U)});
  all.push_back({"congested", value::boolean(s.congested)});
  return all;
}

inline std::span<const event_redelivery::domain> event_redelivery::symmetric() {
  static constexpr std::array<domain, 3> sets = {domain::carrier, domain::entry, domain::tuple};
  return sets;
}

inline event_redelivery::state event_redelivery::renamed(
    const state& s,
    std::span<const std::vector<index_t>> renaming) const {
  const std::vector<index_t>& of_cpu = renaming[0];
  const std::vector<index_t>& of_entry = renaming[1];
  const auto cpu = [&](index_t p) { return p < of_cpu.size() ? of_cpu[p] : p; };
  const auto teller = [&](number who) {
    return who == 0 || who == worker ? who : one_based(cpu(who - 1U));
  };
  state out = s;
  out.base = base_.renamed(s.base, renaming);
  out.list.clear();
  out.burst.clear();
  for (index_t e = 0; e < base_.entries(); ++e) {
    out.cached[of_entry[e]] = s.cached[e];
    out.telling[of_entry[e]] = teller(s.telling[e]);
    if (s.list.has(e)) out.list.add(of_entry[e]);
    if (s.burst.has(e)) out.burst.add(of_entry[e]);
  }
  out.inside = teller(s.inside);
  if (s.hand != 0) out.hand = one_based(of_entry[s.hand - 1U]);
  for (index_t p = 0; p < base_.cpus(); ++p) out.stage[cpu(p)] = s.stage[p];
  return out;
}

}  // namespace ct::model
