// SPDX-License-Identifier: BSD-2-Clause
/// The constants of confirm_kill, its list of actions, what must hold, and how a state is shown.
#pragma once

#include "spec/model/confirm_kill.h"

namespace ct::model {

inline confirm_kill::confirm_kill(const configuration& c)
    : base_(c), horizon_(c.number("Horizon", 100)) {
  if (!c.has("Allowances", "stale_visit")) {
    throw std::invalid_argument("constant Allowances in " + c.name +
                                ".cfg must contain stale_visit");
  }
}

inline std::span<const action<confirm_kill>> confirm_kill::actions() {
  using m = confirm_kill;
  using c = conntrack;
  using d = domain;
  constexpr auto seen = visibility::observed;
  constexpr auto tau = visibility::internal;
  static constexpr std::array<action<m>, 40> list = {{
      {"Spot", {d::cpu, d::entry}, tau, calls<&m::spot>::apply},
      {"Grab", {d::cpu}, tau, calls<&m::grab>::apply},
      {"GrabFails", {d::cpu}, tau, calls<&m::grab_fails>::apply},
      {"Meet", {d::cpu, d::entry}, tau, calls<&m::meet>::apply},
      {"ReadConfirmed", {d::cpu}, tau, calls<&m::read_confirmed>::apply},
      {"ReadTimeout", {d::cpu}, tau, calls<&m::read_timeout>::apply},
      {"AsClaim", {d::cpu}, tau, calls<&m::as_claim>::apply},
      {"AsClaimLost", {d::cpu}, seen, at_rest<&c::claim_lost>},
      {"TestDying", {d::cpu}, tau, calls<&m::test_dying>::apply},
      {"SetDying", {d::cpu}, tau, calls<&m::set_dying>::apply},
      {"AsTell", {d::cpu}, seen, at_rest<&c::tell>},
      {"AsUnlinkOriginal", {d::cpu}, tau, at_rest<&c::unlink_original>},
      {"AsUnlinkReply", {d::cpu}, tau, at_rest<&c::unlink_reply>},
      {"AsPutTable", {d::cpu}, tau, at_rest<&c::put_table>},
      {"AsPut", {d::cpu}, seen, at_rest<&c::put>},
      {"AsPacket", {d::cpu, d::key}, seen, at_rest<&c::packet>},
      {"AsFindGet", {d::cpu, d::entry}, seen, at_rest<&c::find_get>},
      {"AsFindMiss", {d::cpu}, seen, at_rest<&c::find_miss>},
      {"AsGiveUp", {d::cpu}, seen, at_rest<&c::give_up>},
      {"AsReserve", {d::cpu}, tau, at_rest<&c::reserve>},
      {"AsRefuse", {d::cpu}, seen, at_rest<&c::refuse>},
      {"AsAlloc", {d::cpu, d::entry}, seen, at_rest<&c::alloc>},
      {"Prolong", {d::cpu}, seen, calls<&m::prolong>::apply},
      {"AsDrop", {d::cpu}, seen, at_rest<&c::drop>},
      {"AsKill", {d::cpu, d::boolean}, seen, at_rest<&c::kill>},
      {"AsKillUnconfirmed", {d::cpu}, seen, at_rest<&c::kill_unconfirmed>},
      {"AsMerge", {d::cpu, d::entry}, seen, at_rest<&c::merge>},
      {"AsConfirm", {d::cpu}, tau, at_rest<&c::confirm>},
      {"AsConfirmDying", {d::cpu}, seen, calls<&m::as_confirm_dying>::apply},
      {"ConfirmAnyway", {d::cpu}, tau, calls<&m::confirm_anyway>::apply},
      {"AsClashDrop", {d::cpu}, seen, at_rest<&c::clash_drop>},
      {"SetConfirmedFirst", {d::cpu}, tau, calls<&m::set_confirmed_first>::apply},
      {"MakeMoment", {d::cpu}, tau, calls<&m::make_moment>::apply},
      {"AsInsertOriginal", {d::cpu}, tau, calls<&m::as_insert_original>::apply},
      {"AsInsertReply", {d::cpu}, tau, calls<&m::as_insert_reply>::apply},
      {"SetConfirmed", {d::cpu}, tau, calls<&m::set_confirmed>::apply},
      {"AsDeliver", {d::cpu}, seen, at_rest<&c::deliver>},
      {"Release", {d::entry}, tau, calls<&m::release>::apply},
      {"AsUncount", {d::netns}, tau, calls<&m::as_uncount>::apply},
      {"PassTime", {}, tau, calls<&m::pass_time>::apply},
  }};
  return list;
}

inline bool confirm_kill::timeout_is_what_is_left(const state& s) const {
  for (index_t e = 0; e < base_.entries(); ++e) {
    const conntrack::entry_state& entry = s.base.entry[e];
    bool is_moment = is_confirmed(entry);
    for (index_t p = 0; p < base_.cpus(); ++p) {
      is_moment = is_moment || (s.base.cpu[p].at == e + 1 && is_at(s, p, stage::timed));
    }
    const int left = is_moment ? std::max(s.timeout[e] - s.clock, 0) : s.timeout[e];
    if (entry.ttl != left) return false;
  }
  return true;
}

inline bool confirm_kill::reaps_only_expired(const confirm_kill& m,
                                             const state& before,
                                             const step&,
                                             const state& after) {
  for (index_t p = 0; p < m.base_.cpus(); ++p) {
    if (!is_in(before, p, place::reap) || !is_in(after, p, place::claim)) continue;
    const conntrack::entry_state& e = before.base.entry[at_hand(before, p)];
    if (!is_confirmed(e) || e.ttl != 0 || (e.linked == 0 && !e.dying)) return false;
  }
  return true;
}

inline std::span<const invariant<confirm_kill>> confirm_kill::invariants() {
  using m = confirm_kill;
  static constexpr std::array<invariant<m>, 1> own = {{
      {"TimeoutIsWhatIsLeft",
       "",
       "the timeout, a duration or a moment, says what is left",
       holds<&m::timeout_is_what_is_left>::in},
  }};
  static const auto all = with_those_of_contract<m>(std::span<const invariant<m>>(own));
  return all;
}

inline std::span<const step_property<confirm_kill>> confirm_kill::step_properties() {
  using m = confirm_kill;
  static constexpr std::array<step_property<m>, 1> own = {{
      {"ReapsOnlyExpired",
       "",
       "nobody is buried before his time, nor before he was in the table",
       m::reaps_only_expired},
  }};
  static const auto all = with_those_of_contract<m>(std::span<const step_property<m>>(own));
  return all;
}

inline std::vector<variable> confirm_kill::show(const state& s) const {
  std::vector<variable> all = base_.show(s.base);
  all.push_back({"clock", value::integer(s.clock)});
  all.push_back({"timeout", function_over(base_, domain::entry, [&](index_t e) {
                   return value::integer(s.timeout[e]);
                 })});
  all.push_back({"stage", function_over(base_, domain::cpu, [&](index_t p) {
                   return value::string(stages[static_cast<std::size_t>(s.cpu[p].stage)]);
                 })});
  all.push_back({"prey", function_over(base_, domain::cpu, [&](index_t p) {
                   const number prey = s.cpu[p].prey;
                   return prey == 0 ? value::model("None")
                                    : base_.element(domain::entry, prey - 1U);
                 })});
  return all;
}

inline confirm_kill::state confirm_kill::renamed(
    const state& s,
    std::span<const std::vector<index_t>> renaming) const {
  const std::vector<index_t>& of_cpu = renaming[0];
  const std::vector<index_t>& of_entry = renaming[1];
  state out = s;
  out.base = base_.renamed(s.base, renaming);
  for (index_t e = 0; e < base_.entries(); ++e) out.timeout[of_entry[e]] = s.timeout[e];
  for (index_t p = 0; p < base_.cpus(); ++p) {
    reaper_state& to = out.cpu[p < of_cpu.size() ? of_cpu[p] : p];
    to = s.cpu[p];
    if (to.prey != 0) to.prey = static_cast<number>(of_entry[to.prey - 1U] + 1);
  }
  return out;
}

static_assert(machine<confirm_kill>);

}  // namespace ct::model
